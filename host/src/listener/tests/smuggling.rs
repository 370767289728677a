//! Requests that two parsers might read in two ways.

use super::*;

/// Each is followed by a second request; a server that misjudges where the first ends, or keeps
/// the connection after refusing it, answers that one too.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

async fn refused(server: &Server, request: &str, expected: &str) {
    let answer = server.exchange(format!("{request}{NEXT}")).await;
    assert_eq!(status(&answer), expected, "{request:?}: {answer}");
    assert!(!answer.contains("smuggled"), "{request:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.").count(), 1, "{request:?}: {answer}");
}

#[tokio::test]
async fn malformed_heads_are_refused_and_the_connection_closed() {
    let server = start(loopback()).await;
    for head in [
        // The parser's part.
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX(: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        // Whose it is.
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n",
        "GET http://user@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\n\r\n",
        "GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        // What it is for.
        "GET b:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ?q HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        refused(&server, head, "400").await;
    }
}

#[tokio::test]
async fn doubtful_body_lengths_are_refused_and_the_connection_closed() {
    let server = start(loopback()).await;
    for fields in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 1",
        "Content-Length: +1",
        "Content-Length: -1",
        "Content-Length: 0x1",
        "Content-Length: 1 1",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding : chunked",
        "Content-Length: 5\r\nTransfer-Encoding: gzip, chunked",
    ] {
        let head = format!("POST /read HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        refused(&server, &format!("{head}0\r\n\r\n"), "400").await;
    }
    let old = "POST /read HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
               Connection: keep-alive\r\n\r\n0\r\n\r\n";
    refused(&server, old, "400").await;
}

#[tokio::test]
async fn broken_chunks_fail_the_read_and_close_the_connection() {
    let server = start(loopback()).await;
    for body in [
        "x\r\n\r\n",
        "\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "1\na\r\n0\r\n\r\n",
        "1;ext\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "11111111111111111\r\na\r\n0\r\n\r\n",
    ] {
        let head = "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = server.exchange(format!("{head}{body}{NEXT}")).await;
        assert!(answer.contains("broken"), "{body:?}: {answer}");
        assert!(!answer.contains("smuggled"), "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn chunks_win_over_a_length_and_end_the_connection() {
    let server = start(loopback()).await;
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\nContent-Length: 40",
        "transfer-encoding: CHUNKED\r\nContent-Length: 4\r\nConnection: keep-alive",
    ] {
        let head = format!("POST /read HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let answer = server.exchange(format!("{head}3\r\nabc\r\n0\r\n\r\n{NEXT}")).await;
        assert!(answer.ends_with("3 bytes"), "{fields}: {answer}");
        assert!(answer.contains("connection: close"), "{fields}: {answer}");
        assert!(!answer.contains("smuggled"), "{fields}: {answer}");
    }
}

#[tokio::test]
async fn tunnels_are_refused_and_nothing_behind_them_is_read() {
    let server = start(loopback()).await;
    refused(&server, "CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n", "501").await;
    // An upgrade that nobody offers is an ordinary request.
    let answer = server
        .exchange(
            "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        )
        .await;
    assert_eq!(status(&answer), "200");
}

#[tokio::test]
async fn odd_but_sound_requests_are_taken() {
    let server = start(loopback()).await;
    for request in [
        "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /x HTTP/1.1\nHost: a\nConnection: close\n\n",
        "GET //x/%2e%2e/?a?b HTTP/1.1\r\nHost:\t[::1]:8080 \r\nConnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "MOVE /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\
         Connection: close\r\n\r\na",
        "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n\
         1;ext=1 \r\na\r\n0\r\nTrailer: x\r\n\r\n",
    ] {
        let answer = server.exchange(request).await;
        assert_eq!(status(&answer), "200", "{request:?}: {answer}");
    }
}
