//! What `plugbay pki` makes, and that it harms nothing that is there.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use proptest::prelude::*;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use x509_parser::prelude::*;

use super::*;

fn asked(directory: &Path, server_names: &[&str], client_name: Option<&str>) -> Pki {
    Pki {
        directory: directory.to_owned(),
        server_names: server_names.iter().map(|name| (*name).to_owned()).collect(),
        client_name: client_name.map(str::to_owned),
        days: 30,
    }
}

/// A directory with what the first call makes.
fn made(server_names: &[&str]) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("pki");
    make(&asked(&directory, server_names, None)).unwrap();
    (parent, directory)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn der(file: PathBuf) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

fn roots(authority: PathBuf) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(der(authority)).unwrap();
    Arc::new(roots)
}

/// Whether a client that trusts this authority takes this certificate for that server.
fn serves(authority: PathBuf, certificate: PathBuf, name: &str) -> bool {
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(authority), provider).build().unwrap();
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&der(certificate), &[], &name, &[], UnixTime::now()).is_ok()
}

/// Whether a server that trusts this authority takes this certificate for a client's.
fn is_client(authority: PathBuf, certificate: PathBuf) -> bool {
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority), provider).build().unwrap();
    verifier.verify_client_cert(&der(certificate), &[], UnixTime::now()).is_ok()
}

fn refused(asked: &Pki) -> String {
    make(asked).unwrap_err().to_string()
}

#[test]
fn the_first_call_makes_two_authorities_and_a_certificate_for_each_side() {
    let (_parent, directory) = made(&[]);
    let all = ["client-ca.crt", "client-ca.key", "client.crt", "client.key", "client.pem"];
    let all = all.into_iter().chain(["server-ca.crt", "server-ca.key", "server.crt", "server.key", "server.pem"]);
    assert_eq!(names(&directory), all.collect::<Vec<_>>());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for name in names(&directory).iter().filter(|name| !name.ends_with(".crt")) {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    for name in DEFAULT_SERVER_NAMES {
        assert!(serves(directory.join("server-ca.crt"), directory.join("server.crt"), name), "{name}");
    }
    assert!(!serves(directory.join("server-ca.crt"), directory.join("server.crt"), "other"));
    assert!(is_client(directory.join("client-ca.crt"), directory.join("client.crt")));
}

#[test]
fn no_side_can_pose_as_the_other() {
    let (_parent, directory) = made(&[]);
    let file = |name: &str| directory.join(name);
    assert!(!is_client(file("client-ca.crt"), file("server.crt")));
    assert!(!serves(file("server-ca.crt"), file("client.crt"), "localhost"));
    // Not even if both sides were given one authority.
    assert!(!is_client(file("server-ca.crt"), file("server.crt")));
}

#[test]
fn all_names_are_alternative_names_and_the_first_is_the_common_name() {
    let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let (_parent, directory) = made(&[id, "*.example.org", "192.0.2.7", "2001:db8::7"]);
    let der = der(directory.join("server.crt"));
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    assert_eq!(certificate.subject().to_string(), format!("CN={id}"));
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let names: Vec<_> = names.value.general_names.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    for name in [id, "a.example.org", "192.0.2.7", "2001:db8::7"] {
        assert!(serves(directory.join("server-ca.crt"), directory.join("server.crt"), name), "{name}");
    }
    let days = certificate.validity().not_after.timestamp() - UnixTime::now().as_secs().cast_signed();
    assert!((29 * 86_400..=30 * 86_400).contains(&days), "{days}");
}

#[test]
fn the_file_of_both_is_certificate_then_key() {
    let (_parent, directory) = made(&[]);
    for side in ["server", "client"] {
        let read = |extension: &str| std::fs::read_to_string(directory.join(format!("{side}.{extension}"))).unwrap();
        assert_eq!(read("pem"), read("crt") + &read("key"));
        let pem = read("pem").into_bytes();
        let chain = vec![CertificateDer::from_pem_slice(&pem).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        assert!(config.is_ok(), "they belong together");
    }
}

#[test]
fn authorities_that_are_there_issue_further_certificates() {
    let (_parent, directory) = made(&[]);
    let before = names(&directory).len();
    let said = make(&asked(&directory, &["*.example.org", "::1"], Some("ops"))).unwrap();
    assert!(said.contains("server-wildcard.example.org.pem") && said.contains("\n  mv "), "{said}");
    assert_eq!(names(&directory).len(), before + 6);
    let file = |name: &str| directory.join(name);
    assert!(serves(file("server-ca.crt"), file("server-wildcard.example.org.crt"), "a.example.org"));
    assert!(is_client(file("client-ca.crt"), file("client-ops.crt")));
    // The same name again is another certificate, for a rotation.
    make(&asked(&directory, &[], Some("ops"))).unwrap();
    assert_eq!(names(&directory).len(), before + 9);
    assert_ne!(der(file("client-ops.crt")), der(file("client-ops-2.crt")));
    assert!(is_client(file("client-ca.crt"), file("client-ops-2.crt")));
    let said = refused(&asked(&directory, &[], None));
    assert!(said.contains("--server-name"), "{said}");
}

#[test]
fn nothing_that_is_there_is_overwritten_and_nothing_half_made_is_left() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("client.pem"), "mine").unwrap();
    let said = refused(&asked(directory.path(), &[], None));
    assert!(said.contains("client.pem is there already"), "{said}");
    assert_eq!(names(directory.path()), ["client.pem"]);
    assert_eq!(std::fs::read_to_string(directory.path().join("client.pem")).unwrap(), "mine");
}

#[test]
fn authorities_that_are_incomplete_or_do_not_belong_together_are_refused() {
    let (_parent, directory) = made(&[]);
    let more = asked(&directory, &["a"], None);
    let key = directory.join("server-ca.key");
    let before = names(&directory).len();

    std::fs::copy(directory.join("client-ca.key"), &key).unwrap();
    let said = refused(&more);
    assert!(said.contains("server-ca.crt and .key: certificate and key do not belong together"), "{said}");
    std::fs::write(&key, "rubbish").unwrap();
    assert!(refused(&more).contains("the key is not usable"));
    std::fs::remove_file(&key).unwrap();
    let said = refused(&more);
    assert!(said.contains("but not server-ca.key"), "{said}");
    std::fs::copy(directory.join("server.key"), &key).unwrap();
    std::fs::copy(directory.join("server.crt"), directory.join("server-ca.crt")).unwrap();
    assert!(refused(&more).contains("not that of an authority"));
    std::fs::write(directory.join("server-ca.crt"), "rubbish").unwrap();
    assert!(refused(&more).contains("not PEM"));
    assert_eq!(names(&directory).len(), before);
}

#[test]
fn names_that_no_certificate_can_have_are_refused_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("pki");
    let long = format!("{}.example.org", "a".repeat(60));
    for name in ["", "a b", "-a", "a.", "*", "*.", "a.*.b", "ä", "https://a", "a:443", "300.1.1.1", &long] {
        let said = refused(&asked(&directory, &[name], None));
        assert!(said.contains("--server-name"), "{name:?}: {said}");
    }
    for name in ["", "a b", "../a", "a/b", ".a"] {
        assert!(refused(&asked(&directory, &[], Some(name))).contains("--client-name"), "{name:?}");
    }
    assert!(!directory.exists());
    // A long name has room among the others.
    make(&asked(&directory, &["a", &long], None)).unwrap();
}

#[test]
fn the_example_is_a_listener_and_a_command_that_fit() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("it's \"here\"");
    let said = make(&asked(&directory, &["6ba7b810-9dad-11d1-80b4-00c04fd430c8"], None)).unwrap();
    let from = said.find("[[listener]]").unwrap();
    let to = said.find("\nAsk it").unwrap();
    let config: crate::config::Config = toml::from_str(&said[from..to]).unwrap();
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!((tls.cert.clone(), tls.key.clone()), (directory.join("server.pem"), None));
    assert_eq!(tls.client_ca, Some(directory.join("client-ca.crt")));
    assert!(said.contains("--resolve 6ba7b810-9dad-11d1-80b4-00c04fd430c8:9443:127.0.0.1 https://6ba7b810-"), "{said}");
    assert!(said.contains("it'\\''s \"here\"/client.pem'"), "{said}");
}

proptest! {
    #[test]
    fn every_name_is_refused_or_stays_in_its_directory(name in "[-a-z0-9.*:/_ ]{0,20}|\\PC{0,20}") {
        if let Ok(parsed) = ServerName::parse(&name) {
            let stem = free_stem(Path::new("/nonexistent"), "server", &parsed.text).unwrap();
            prop_assert!(is_name(&stem) || stem.len() > 64, "{}", stem);
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            prop_assert!(matches!(ServerName::parse(&name).unwrap().kind, rcgen::SanType::IpAddress(a) if a == address));
        }
    }
}
