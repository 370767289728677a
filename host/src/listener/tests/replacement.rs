//! TLS files that are replaced while they are served with.

use super::tls::{Identity, Pki, ask, connect};
use super::*;

use std::path::Path;

use proptest::prelude::*;
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};

use crate::listener::pem;
use crate::listener::tls::Tls;

/// The server's certificate in a new handshake.
async fn shown(pki: &Pki, server: &Server) -> CertificateDer<'static> {
    let stream = connect(server, pki.client(None, b"http/1.1", &TLS13)).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn replace(path: &Path, content: impl AsRef<[u8]>) {
    let aside = path.with_extension("new");
    std::fs::write(&aside, content).unwrap();
    std::fs::rename(aside, path).unwrap();
}

/// A listener whose certificate and key are in one file.
fn combined(pki: &Pki) -> ListenerConfig {
    let (cert, key) = pki.sign("localhost");
    replace(&pki.path("server.pem"), cert + &key);
    let mut config = pki.config(ClientAuth::None);
    let tls = config.tls.as_mut().unwrap();
    (tls.cert, tls.key) = (pki.path("server.pem"), None);
    config
}

#[tokio::test]
async fn replaced_files_are_used_by_the_next_handshake() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::None)).await;
    let first = shown(&pki, &server).await;
    assert_eq!(shown(&pki, &server).await, first);

    // Half a replacement, then rubbish: the old pair stays.
    let (cert, key) = pki.sign("localhost");
    std::fs::write(pki.path("cert.pem"), &cert).unwrap();
    assert_eq!(shown(&pki, &server).await, first);
    std::fs::write(pki.path("key.pem"), "rubbish").unwrap();
    assert_eq!(shown(&pki, &server).await, first);
    std::fs::remove_file(pki.path("key.pem")).unwrap();
    assert_eq!(shown(&pki, &server).await, first);

    // The other half.
    replace(&pki.path("key.pem"), &key);
    let second = shown(&pki, &server).await;
    assert_ne!(second, first);

    // Again at once, within the file system's clock tick.
    pki.issue("localhost");
    let third = shown(&pki, &server).await;
    assert_ne!(third, second);
}

#[tokio::test]
async fn one_file_may_hold_certificate_and_key() {
    let pki = Pki::new();
    let file = pki.path("server.pem");
    let mut config = combined(&pki);
    // Saying so in words is the same.
    config.tls.as_mut().unwrap().key = Some(file.clone());
    let server = start(config).await;
    let first = shown(&pki, &server).await;

    let (cert, key) = pki.sign("localhost");
    let (_, foreign) = pki.sign("localhost");
    let bad = ["rubbish".to_owned(), String::new(), cert.clone(), key.clone(), format!("{cert}{foreign}")];
    for content in bad {
        replace(&file, content);
        assert_eq!(shown(&pki, &server).await, first);
    }
    // The key first is as good.
    replace(&file, key + &cert);
    assert_ne!(shown(&pki, &server).await, first);
}

#[tokio::test]
async fn an_open_connection_outlives_a_replacement() {
    let pki = Pki::new();
    let server = start(combined(&pki)).await;
    let mut open = connect(&server, pki.client(None, b"http/1.1", &TLS12)).await.unwrap();
    let request = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    send(&mut open, request).await;
    assert_eq!(status(&read_answer(&mut open).await), "200");

    let first = shown(&pki, &server).await;
    let (cert, key) = pki.sign("localhost");
    replace(&pki.path("server.pem"), cert + &key);
    assert_ne!(shown(&pki, &server).await, first);
    send(&mut open, request).await;
    assert_eq!(status(&read_answer(&mut open).await), "200");
}

#[tokio::test]
async fn a_client_of_a_former_authority_is_refused_and_resumes_nothing() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::Required)).await;
    for version in [&TLS12, &TLS13] {
        replace(&pki.path("ca.pem"), pki.authority());
        let (cert, key) = pki.sign("client");
        let client = pki.client(Some(Identity::from_pem(&cert, &key)), b"http/1.1", version);
        let mut stream = connect(&server, Arc::clone(&client)).await.unwrap();
        ask(&mut stream).await.unwrap();
        let mut stream = connect(&server, Arc::clone(&client)).await.unwrap();
        ask(&mut stream).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));

        replace(&pki.path("ca.pem"), Pki::new().authority());
        let refused = async {
            let mut stream = connect(&server, client).await?;
            ask(&mut stream).await
        };
        assert!(refused.await.is_err());
    }
}

#[test]
fn each_replacement_is_spoken_of_once_with_the_reason() {
    let pki = Pki::new();
    let tls = Tls::open(combined(&pki).tls.unwrap(), "public".into()).unwrap();
    assert!(tls.take_over().is_none());

    let (cert, key) = pki.sign("localhost");
    let (_, foreign) = pki.sign("localhost");
    let bad = [
        ("", "no PEM certificate"),
        (&cert, "no usable private key"),
        (&format!("{cert}{foreign}"), "do not belong together"),
        ("-----BEGIN c2VjcmV0", "begins wrongly"),
        (&"x".repeat((1 << 20) + 1), "more than 1 MiB"),
    ];
    for (content, reason) in bad {
        replace(&pki.path("server.pem"), content);
        let said = tls.take_over().unwrap().unwrap_err().to_string();
        assert!(said.contains(reason) && !said.contains("c2VjcmV0"), "{said}");
        assert!(tls.take_over().is_none());
    }
    std::fs::remove_file(pki.path("server.pem")).unwrap();
    assert!(tls.take_over().unwrap().unwrap_err().to_string().contains("cannot read"));
    assert!(tls.take_over().is_none());
    replace(&pki.path("server.pem"), cert + &key);
    assert!(tls.take_over().unwrap().is_ok());
    assert!(tls.take_over().is_none());
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let pki = Pki::new();
    let pipe = pki.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    for (path, reason) in [(pipe, "not a regular file"), (pki.path("."), "not a regular file")] {
        assert!(pem::read(&path, None).unwrap_err().to_string().contains(reason));
    }
    let file = pki.path("file");
    std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
    assert_eq!(pem::read(&file, None).unwrap().len(), 1 << 20);
    std::fs::write(&file, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(pem::read(&file, None).unwrap_err().to_string().contains("more than 1 MiB"));
}

#[test]
fn a_link_that_a_plugin_made_is_not_followed() {
    let pki = Pki::new();
    let plugins = pki.path("plugins");
    let own = plugins.join("a");
    std::fs::create_dir_all(own.join("real")).unwrap();
    std::fs::write(pki.path("host.pem"), "the host's").unwrap();
    std::fs::write(own.join("real/own.pem"), "the plugin's").unwrap();
    std::os::unix::fs::symlink("../../host.pem", own.join("cert.pem")).unwrap();
    std::os::unix::fs::symlink("real", own.join("linked")).unwrap();
    for path in ["cert.pem", "linked/own.pem", "../../host.pem"] {
        assert!(pem::read(&own.join(path), Some(&plugins)).is_err(), "{path}");
    }
    assert_eq!(pem::read(&own.join("real/own.pem"), Some(&plugins)).unwrap(), b"the plugin's");
    // Links of the operator are, wherever they lead.
    std::os::unix::fs::symlink("host.pem", pki.path("live.pem")).unwrap();
    assert_eq!(pem::read(&pki.path("live.pem"), Some(&plugins)).unwrap(), b"the host's");
}

proptest! {
    #[test]
    fn no_file_breaks_its_parser_or_gets_into_an_error(
        lines in prop::collection::vec("-----(BEGIN|END) (CERTIFICATE|PRIVATE KEY)(-----)?|zzzz[ -~]{0,80}|[A-Za-z0-9+/=]{0,64}", 0..12)
    ) {
        let text = lines.join("\n");
        let path = Path::new("f.pem");
        let errors = [
            pem::certificates(path, text.as_bytes()).err().map(|error| error.to_string()),
            pem::private_key(path, text.as_bytes()).err().map(|error| error.to_string()),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(error.len() < 200 && !error.contains("zzzz"), "{}", error);
        }
    }
}
