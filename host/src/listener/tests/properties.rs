//! Properties of the one parser that is ours, and of the server on arbitrary bytes.

use super::*;
use crate::listener::screen::is_authority;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

proptest! {
    #[test]
    fn what_is_made_of_good_parts_is_an_authority(
        host in "[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?|[0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[::1\\]|%4[0-9a-f]",
        port in proptest::option::of(any::<u16>()),
    ) {
        let text = match port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        prop_assert!(is_authority(text.as_bytes()), "{}", text);
    }

    #[test]
    fn an_authority_is_safe_to_put_into_a_url(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        if is_authority(&text) {
            let url = format!("http://{}/path", str::from_utf8(&text).unwrap());
            let uri: http::Uri = url.parse().unwrap();
            prop_assert_eq!(uri.authority().unwrap().as_str().as_bytes(), &text[..]);
            prop_assert_eq!(uri.path(), "/path");
        }
    }

    #[test]
    fn separators_never_pass(
        before in "[a-z]{0,5}",
        separator in "[/?#@\\\\ \t<>\"^`{|}\r\n\0\u{80}]",
        after in "[a-z]{0,5}",
    ) {
        let text = format!("{before}{separator}{after}");
        prop_assert!(!is_authority(text.as_bytes()));
    }
}

#[test]
fn authorities_by_example() {
    for good in ["a", "a:", "a:0", "a:65535", "[::1]", "[::ffff:1.2.3.4]:80", "a_b~c", "1.2.3.4"] {
        assert!(is_authority(good.as_bytes()), "{good}");
    }
    for bad in [
        "",
        ":",
        ":80",
        "a:65536",
        "a:-1",
        "a:+1",
        "a:8 0",
        "[]",
        "[::1",
        "::1",
        "[::1]80",
        "[::1%1]",
        "[v1.x]",
        "[1.2.3.4]",
        "a%",
        "a%4",
        "a%zz",
        "a:1:2",
        "u@a",
        "a,b c",
    ] {
        assert!(!is_authority(bad.as_bytes()), "{bad}");
    }
}

#[tokio::test]
async fn arbitrary_bytes_end_in_a_refusal_or_a_close() {
    let server = start(limited(|limits| limits.header_timeout = SOON)).await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "(GET|PUT|PRI|\r\n)[ /*a-z:]{0,20}( HTTP/1.1)?(\r\n|\n|\r){0,2}[A-Za-z: \t,0-9\r\n]{0,80}"
            .prop_map(String::into_bytes),
    ];
    for _ in 0..200 {
        let bytes = bytes.new_tree(&mut runner).unwrap().current();
        let mut stream = server.connect().await;
        send(&mut stream, &bytes).await;
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is fine too; hanging is not.
        let _ = within(stream.read_to_end(&mut answer)).await;
    }
    let metrics = server.listening.metrics();
    wait_until(|| count(&metrics.open) == 0).await;
}
