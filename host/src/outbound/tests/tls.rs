//! Who the server is, and who the client.

use std::sync::atomic::Ordering;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring as provider;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};

use super::server::{Server, moved, text};
use super::*;
use crate::outbound::identity::sha256;

struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Certificate {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    fn identity(&self) -> Identity {
        Identity::from_pem(self.pem.as_bytes(), self.key.serialize_pem().as_bytes()).unwrap()
    }

    fn pin(&self) -> Trust {
        Trust::Pinned(vec![sha256(&self.der)])
    }
}

fn self_signed(name: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Certificate { der: certificate.der().clone(), pem: certificate.pem(), key }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issued(name: &str, by: &CertifiedIssuer<'static, KeyPair>) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, by).unwrap();
    Certificate { der: certificate.der().clone(), pem: certificate.pem(), key }
}

fn config(certificate: &Certificate, protocols: &[&[u8]]) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS12, &TLS13]).unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![certificate.der.clone()], certificate.key()).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

async fn serve(certificate: &Certificate) -> Server {
    Server::https(config(certificate, &[b"http/1.1"]), |_| text("hello")).await
}

fn trusting(server: &Server, trust: Trust) -> Request {
    Request { trust, ..get(server.named("/")) }
}

#[tokio::test]
async fn a_pin_is_enough_whatever_the_names() {
    let certificate = self_signed("lab");
    let server = serve(&certificate).await;
    let client = client(&[server.line(), server.named_line()]);
    for url in [server.url("/"), server.named("/")] {
        let answer = client.fetch(&Request { trust: certificate.pin(), ..get(url) }).await.unwrap();
        assert_eq!(answer.body, "hello");
    }
    // One of several is enough, for the time of a change.
    let pins = Trust::Pinned(vec![[0; 32], sha256(&certificate.der)]);
    assert!(client.fetch(&trusting(&server, pins)).await.is_ok());
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_gets_nothing() {
    let (certificate, other) = (self_signed("host.test"), self_signed("host.test"));
    let server = serve(&certificate).await;
    let client = client(&[server.named_line()]);
    let request = Request {
        identity: Some(self_signed("me").identity()),
        credential: Some(credential(Form::Bearer, "token", &server.named(""))),
        ..trusting(&server, other.pin())
    };
    let error = client.fetch(&request).await.unwrap_err();
    assert_eq!(error, OutboundError::PinMismatch { presented: sha256(&certificate.der) });
    assert_eq!((server.connected(), server.requests().len()), (1, 0));
    let pins = Trust::Pinned(Vec::new());
    assert!(matches!(client.fetch(&trusting(&server, pins)).await, Err(OutboundError::Invalid(_))));
}

#[tokio::test]
async fn a_pinned_certificate_without_its_key_is_not_enough() {
    let (certificate, other) = (self_signed("host.test"), self_signed("host.test"));
    let stolen = CertifiedKey::new(vec![certificate.der.clone()], any_supported_type(&other.key()).unwrap());
    for version in [&TLS12, &TLS13] {
        let builder = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(stolen.clone())));
        let server = Server::https(config, |_| text("hello")).await;
        let error = client(&[server.named_line()]).fetch(&trusting(&server, certificate.pin())).await.unwrap_err();
        assert!(matches!(error, OutboundError::Tls(_)), "{error:?}");
        assert!(server.requests().is_empty());
    }
}

#[tokio::test]
async fn authorities_vouch_for_chain_and_name() {
    let authority = authority();
    let server = serve(&issued("host.test", &authority)).await;
    let client = client(&[server.line(), server.named_line()]);
    let trust = Trust::Authorities(authority.pem().into());
    assert!(client.fetch(&trusting(&server, trust.clone())).await.is_ok());
    let refused = [
        trusting(&server, Trust::System),
        trusting(&server, Trust::Authorities(self_signed("other").pem.into())),
        Request { trust: trust.clone(), ..get(server.url("/")) },
    ];
    for request in refused {
        let error = client.fetch(&request).await.unwrap_err();
        assert!(matches!(error, OutboundError::Tls(_)), "{error:?}");
    }
    assert_eq!(server.requests().len(), 1);
    for pem in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let trust = Trust::Authorities(pem.into());
        assert!(matches!(client.fetch(&trusting(&server, trust)).await, Err(OutboundError::Invalid(_))), "{pem}");
    }
}

#[tokio::test]
async fn the_operators_authorities_are_trusted_beside_those_of_the_system() {
    let authority = authority();
    let server = serve(&issued("host.test", &authority)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    let config = OutboundConfig { ca: Some(path.clone()), ..super::config(&[server.named_line()]) };
    let open = || Outbound::open(&config, Vec::new(), names(&[("host.test", &["127.0.0.1"])]));
    assert!(open().unwrap().fetch(&get(server.named("/"))).await.is_ok());
    std::fs::write(&path, "x").unwrap();
    let error = open().err().unwrap().to_string();
    assert!(error.contains("ca.pem"), "{error}");
}

/// Wants a certificate of this authority.
fn demanding(certificate: &Certificate, of: &CertifiedIssuer<'static, KeyPair>, version: TlsVersion) -> ServerConfig {
    let provider = Arc::new(provider::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(of.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build().unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let builder = builder.with_client_cert_verifier(verifier);
    builder.with_single_cert(vec![certificate.der.clone()], certificate.key()).unwrap()
}

type TlsVersion = &'static rustls::SupportedProtocolVersion;

#[tokio::test]
async fn an_identity_is_presented_and_a_refused_one_is_told_apart() {
    let (authority, certificate) = (authority(), self_signed("host.test"));
    let own = issued("me", &authority);
    for version in [&TLS12, &TLS13] {
        let server = Server::https(demanding(&certificate, &authority, version), |_| text("hello")).await;
        let client = client(&[server.named_line()]);
        let with = |identity| Request { identity, ..trusting(&server, certificate.pin()) };
        client.fetch(&with(Some(own.identity()))).await.unwrap();
        let seen = server.requests();
        assert_eq!(seen.first().unwrap().client.as_ref(), Some(&own.der));
        for identity in [None, Some(self_signed("stranger").identity())] {
            let error = client.fetch(&with(identity)).await.unwrap_err();
            assert!(matches!(error, OutboundError::Tls(_)), "{error:?}");
        }
        assert_eq!((server.requests().len(), server.refused.load(Ordering::SeqCst)), (1, 2));
    }
}

#[tokio::test]
async fn connections_are_used_again_for_the_same_identity_and_trust_only() {
    let certificate = self_signed("host.test");
    for (protocol, http2) in [(&b"h2"[..], true), (b"http/1.1", false)] {
        let server = Server::https(config(&certificate, &[protocol]), |_| text("hello")).await;
        let client = client(&[server.named_line()]);
        let plain = trusting(&server, certificate.pin());
        let identified = Request { identity: Some(self_signed("me").identity()), ..plain.clone() };
        let differently = trusting(&server, Trust::Pinned(vec![sha256(&certificate.der), [1; 32]]));
        for request in [&plain, &plain, &identified, &differently, &plain, &identified] {
            client.fetch(request).await.unwrap();
        }
        let seen = server.requests();
        assert!(seen.iter().all(|seen| seen.http2 == http2));
        assert_eq!(seen.iter().map(|seen| seen.connection).collect::<Vec<_>>(), [0, 0, 1, 2, 0, 1], "{http2}");
    }
}

#[tokio::test]
async fn over_http2_requests_share_a_connection_and_giving_one_up_does_not_end_it() {
    let certificate = self_signed("host.test");
    let server = Server::https(config(&certificate, &[b"h2"]), |seen| match &*seen.path {
        "/large" => http::Response::new(vec![0; 1 << 20].into()),
        _ => text("small"),
    });
    let server = server.await;
    let client = client(&[server.named_line()]);
    let request = |path| Request { trust: certificate.pin(), ..get(server.named(path)) };
    let (first, second) = (client.send(&request("/large")).await.unwrap(), client.fetch(&request("/")).await);
    assert_eq!(second.unwrap().body, "small", "while the first is not read");
    drop(first);
    let small = Request { limit: Some(10), ..request("/large") };
    assert_eq!(client.fetch(&small).await, Err(OutboundError::TooLarge { limit: 10 }));
    assert_eq!(client.fetch(&request("/large")).await.unwrap().body.len(), 1 << 20);
    assert_eq!(client.fetch(&Request { method: "POST".into(), ..request("/") }).await.unwrap().body, "small");
    assert_eq!((server.requests().len(), server.connected()), (5, 1));
}

#[tokio::test]
async fn a_redirection_does_not_lead_out_of_tls() {
    let (certificate, plain) = (self_signed("host.test"), Server::http(|_| text("plain")).await);
    let to = plain.url("/");
    let server = Server::https(config(&certificate, &[b"h2"]), move |_| moved(302, &to)).await;
    let client = client(&[server.named_line(), plain.line()]);
    let request = Request { redirects: 1, ..trusting(&server, certificate.pin()) };
    assert!(matches!(client.fetch(&request).await, Err(OutboundError::Denied(_))));
    assert_eq!(plain.connected(), 0);
}

#[tokio::test]
async fn what_belongs_to_tls_needs_it() {
    let server = Server::http(|_| text("hello")).await;
    let client = client(&[server.line()]);
    let certificate = self_signed("x");
    let pinned = Request { trust: certificate.pin(), ..get(server.url("/")) };
    let identified = Request { identity: Some(certificate.identity()), ..get(server.url("/")) };
    for request in [pinned, identified] {
        assert!(matches!(client.fetch(&request).await, Err(OutboundError::Invalid(_))));
    }
    // And the other way: a server that does not speak TLS.
    let client = super::client(&[server.line().replace("http:", "https:")]);
    let error = client.fetch(&get(server.url("/").replace("http:", "https:"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Tls(_)), "{error:?}");
    assert!(server.requests().is_empty());
}

#[test]
fn an_identity_is_a_chain_and_its_key_and_is_in_no_text() {
    let (one, other) = (self_signed("one"), self_signed("other"));
    let (key, wrong) = (one.key.serialize_pem(), other.key.serialize_pem());
    let read = |chain: &str, key: &str| Identity::from_pem(chain.as_bytes(), key.as_bytes());
    let identity = read(&one.pem, &key).unwrap();
    assert_eq!((identity.fingerprint(), identity.chain().len()), (sha256(&one.der), 1));
    assert_eq!(format!("{identity:?}"), format!("Identity({})", hex::encode(sha256(&one.der))));
    assert_eq!(read(&one.pem, &wrong).unwrap_err(), IdentityError::Mismatch);
    assert_eq!(read(&one.pem, "").unwrap_err(), IdentityError::Key);
    assert_eq!(read("", &key).unwrap_err(), IdentityError::Chain);
    assert_eq!(read(&one.pem.repeat(9), &key).unwrap_err(), IdentityError::Chain);
}
