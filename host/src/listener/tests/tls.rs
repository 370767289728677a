//! TLS: who is asked for what, and files that cannot work.

use super::*;

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate authority, and files for a server it vouches for.
pub(super) struct Pki {
    directory: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pki {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { directory: tempfile::tempdir().unwrap(), authority };
        std::fs::write(pki.path("ca.pem"), pki.authority.pem()).unwrap();
        pki.issue("localhost");
        pki
    }

    /// The authority's certificate.
    pub(super) fn authority(&self) -> String {
        self.authority.pem()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a new server certificate and key.
    pub(super) fn issue(&self, name: &str) {
        let (cert, key) = self.sign(name);
        std::fs::write(self.path("cert.pem"), cert).unwrap();
        std::fs::write(self.path("key.pem"), key).unwrap();
    }

    pub(super) fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.authority).unwrap().pem(), key.serialize_pem())
    }

    pub(super) fn config(&self, client_auth: ClientAuth) -> ListenerConfig {
        let mut config = loopback();
        config.tls = Some(TlsConfig {
            cert: self.path("cert.pem"),
            key: Some(self.path("key.pem")),
            client_auth,
            client_ca: Some(self.path("ca.pem")),
            min_version: TlsVersion::V1_2,
            plugins: None,
        });
        config
    }

    /// What a client that trusts the authority and speaks this is configured as.
    pub(super) fn client(
        &self,
        identity: Option<Identity>,
        alpn: &[u8],
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }

    /// One HTTP/1.1 request. TLS 1.3 reports a refused client certificate only now.
    async fn ask(
        &self,
        server: &Server,
        identity: Option<Identity>,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> std::io::Result<String> {
        let mut stream = connect(server, self.client(identity, b"http/1.1", version)).await?;
        ask(&mut stream).await
    }
}

pub(super) async fn connect(server: &Server, client: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(client).connect(name, server.connect().await)).await
}

/// The only request of this connection.
pub(super) async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    let request = b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await?;
    Ok(answer)
}

impl Identity {
    pub(super) fn from_pem(cert: &str, key: &str) -> Self {
        use rustls::pki_types::pem::PemObject;
        Self {
            chain: vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        }
    }

    fn self_signed() -> Self {
        let made = rcgen::generate_simple_self_signed(["anyone".to_owned()]).unwrap();
        Self::from_pem(&made.cert.pem(), &made.signing_key.serialize_pem())
    }
}

use rustls::version::{TLS12, TLS13};

#[tokio::test]
async fn requests_come_over_tls_of_either_version() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::None)).await;
    for version in [&TLS12, &TLS13] {
        let answer = pki.ask(&server, None, version).await.unwrap();
        assert!(answer.contains("GET /x at \"localhost\" over https"), "{answer}");
        assert!(answer.ends_with("certificate=0"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_handler() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::None)).await;
    let client = pki.client(None, b"http/1.1", &rustls::version::TLS13);
    let mut stream = connect(&server, client).await.unwrap();
    send(&mut stream, "GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    within(server.probe.held.acquire()).await.unwrap().forget();
    within(stream.shutdown()).await.unwrap();
    within(server.probe.gone.acquire()).await.unwrap().forget();
}

#[tokio::test]
async fn versions_older_than_the_oldest_allowed_are_refused() {
    let pki = Pki::new();
    let mut config = pki.config(ClientAuth::None);
    config.tls.as_mut().unwrap().min_version = TlsVersion::V1_3;
    let server = start(config).await;
    assert!(pki.ask(&server, None, &TLS12).await.is_err());
    assert!(pki.ask(&server, None, &TLS13).await.is_ok());
    assert_eq!(count(&server.listening.metrics().handshakes_failed), 1);
}

#[tokio::test]
async fn alpn_chooses_http2() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::None)).await;
    let stream = connect(&server, pki.client(None, b"h2", &TLS13)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().uri("https://localhost/y").body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let body = within(response.collect()).await.unwrap().to_bytes();
    assert!(body.starts_with(b"GET /y at \"localhost\" over https"));
}

#[tokio::test]
async fn required_client_certificates_must_chain_to_the_authority() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::Required)).await;
    for version in [&TLS12, &TLS13] {
        assert!(pki.ask(&server, None, version).await.is_err());
        assert!(pki.ask(&server, Some(Identity::self_signed()), version).await.is_err());
        let (cert, key) = pki.sign("client");
        let identity = Identity::from_pem(&cert, &key);
        let length = identity.chain[0].len();
        let answer = pki.ask(&server, Some(identity), version).await.unwrap();
        assert!(answer.ends_with(&format!("certificate={length}")), "{answer}");
    }
    assert_eq!(count(&server.listening.metrics().handshakes_failed), 4);
}

#[tokio::test]
async fn any_client_certificate_is_handed_over_if_its_key_is_proved() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::OptionalAny)).await;
    for version in [&TLS12, &TLS13] {
        let answer = pki.ask(&server, None, version).await.unwrap();
        assert!(answer.ends_with("certificate=0"), "{answer}");
        let identity = Identity::self_signed();
        let length = identity.chain[0].len();
        let answer = pki.ask(&server, Some(identity), version).await.unwrap();
        assert!(answer.ends_with(&format!("certificate={length}")), "{answer}");
    }
}

/// A client that shows one certificate and signs with another's key.
#[derive(Debug)]
struct Thief(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Thief {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let pki = Pki::new();
    let server = start(pki.config(ClientAuth::OptionalAny)).await;
    let (victim, thief) = (Identity::self_signed(), Identity::self_signed());
    let key = rustls::crypto::ring::sign::any_supported_type(&thief.key).unwrap();
    let stolen = Thief(Arc::new(rustls::sign::CertifiedKey::new(victim.chain, key)));
    for version in [&TLS12, &TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(pki.authority.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Thief(Arc::clone(&stolen.0))));
        let name = ServerName::try_from("localhost").unwrap();
        let refused = async {
            let connector = TlsConnector::from(Arc::new(config));
            let mut stream = connector.connect(name, server.connect().await).await?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
            stream.read_to_end(&mut Vec::new()).await
        };
        assert!(within(refused).await.is_err());
    }
    assert_eq!(count(&server.listening.metrics().handshakes_failed), 2);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let pki = Pki::new();
    let mut config = pki.config(ClientAuth::None);
    config.limits.handshake_timeout = SOON;
    let server = start(config).await;
    assert_eq!(server.exchange("").await, "");
    assert_eq!(count(&server.listening.metrics().handshake_timeouts), 1);
    // Plain text is no handshake.
    let mut stream = server.connect().await;
    send(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let _ = within(stream.read_to_end(&mut Vec::new())).await;
    assert_eq!(count(&server.listening.metrics().handshakes_failed), 1);
}

#[tokio::test]
async fn files_that_cannot_work_are_refused_with_the_reason() {
    let pki = Pki::new();
    let (_, other_key) = pki.sign("localhost");
    std::fs::write(pki.path("other.pem"), other_key).unwrap();
    std::fs::write(pki.path("empty.pem"), "").unwrap();
    let reason = async |change: &dyn Fn(&mut TlsConfig)| {
        let mut config = pki.config(ClientAuth::Required);
        change(config.tls.as_mut().unwrap());
        match bind(config).await {
            Ok(_) => panic!("bound"),
            Err(error) => error.to_string(),
        }
    };
    let said = reason(&|tls| tls.cert = pki.path("none.pem")).await;
    assert!(said.contains("cannot read") && said.contains("none.pem"), "{said}");
    let said = reason(&|tls| tls.cert = pki.path("empty.pem")).await;
    assert!(said.contains("no PEM certificate"), "{said}");
    let said = reason(&|tls| tls.key = Some(pki.path("cert.pem"))).await;
    assert!(said.contains("no usable private key"), "{said}");
    let said = reason(&|tls| tls.key = Some(pki.path("other.pem"))).await;
    assert!(said.contains("do not belong together"), "{said}");
    let said = reason(&|tls| tls.key = None).await;
    assert!(said.contains("cert.pem holds no usable private key"), "{said}");
    let said = reason(&|tls| tls.client_ca = None).await;
    assert!(said.contains("client_ca"), "{said}");
    let said = reason(&|tls| tls.client_ca = Some(pki.path("empty.pem"))).await;
    assert!(said.contains("no PEM certificate"), "{said}");
}
