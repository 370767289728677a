//! TLS and mutual TLS as the configuration asks for them, with curl as the client.

use plugbay_tests::{Bed, marked, plugbay};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::process::Command;

/// Writes `ca.pem`, and certificate and key of `server` and `client` beside it.
fn certificates(bed: &Bed) {
    let write = |name: &str, text: String| std::fs::write(bed.path().join(name), text).unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("ca.pem", authority.pem());
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        // Named otherwise than their issuer, or OpenSSL takes them for its own.
        params.distinguished_name.push(DnType::CommonName, name);
        write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

async fn serving(tls: &str) -> Bed {
    let mut bed = Bed::with_config(&format!(
        "admin.bind = \"off\"\n[[listener]]\nname = \"default\"\nbind = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"server.pem\", key = \"server.key\", {tls} }}\n[plugin.trouble]\nmounts = [{{}}]\n"
    ));
    certificates(&bed);
    bed.install("trouble", &marked(1, 1));
    bed.start().await;
    bed
}

/// What curl gets of `/echo/x`, or none if it got no answer.
async fn curl(bed: &Bed, arguments: &[&str]) -> Option<String> {
    let url = format!("https://localhost:{}/echo/x", bed.address().port());
    let mut command = Command::new("curl");
    command.current_dir(bed.path()).args(["-s", "--resolve"]);
    command.arg(format!("localhost:{}:127.0.0.1", bed.address().port()));
    let output = command.args(["--cacert", "ca.pem"]).args(arguments).arg(url).output().await.unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

const CLIENT: [&str; 4] = ["--cert", "client.pem", "--key", "client.key"];

#[tokio::test]
async fn a_listener_speaks_tls_over_http_1_and_2() {
    let bed = serving("min_version = \"1.2\"").await;
    for version in ["--http1.1", "--http2"] {
        let answer = curl(&bed, &[version]).await.unwrap();
        assert!(answer.contains("GET /echo/x x") && !answer.contains("certificate"), "{answer}");
    }
    assert_eq!(curl(&bed, &["--tls-max", "1.1"]).await, None);
    assert!(curl(&bed, &["--tls-max", "1.2"]).await.is_some());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_not_let_in() {
    let bed = serving("client_auth = \"required\", client_ca = \"ca.pem\"").await;
    assert_eq!(curl(&bed, &[]).await, None);
    let answer = curl(&bed, &CLIENT).await.unwrap();
    assert!(answer.contains("certificate shown"), "the plugin sees the certificate: {answer}");
}

#[tokio::test]
async fn any_certificate_is_handed_over_where_it_is_optional() {
    let bed = serving("client_auth = \"optional-any\"").await;
    assert!(!curl(&bed, &[]).await.unwrap().contains("certificate"));
    assert!(curl(&bed, &CLIENT).await.unwrap().contains("certificate shown"));
}

/// `plugbay pki` in the bed's directory.
async fn pki(bed: &Bed, arguments: &[&str]) {
    let output = plugbay(bed).current_dir(bed.path()).args(["pki", "pki"]).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn what_pki_makes_serves_and_is_replaced_while_it_serves() {
    let mut bed = Bed::with_config(
        "admin.bind = \"off\"\n[[listener]]\nname = \"default\"\nbind = \"127.0.0.1:0\"\n\
         tls = { cert = \"pki/server.pem\", client_auth = \"required\", client_ca = \"pki/client-ca.crt\" }\n\
         [plugin.trouble]\nmounts = [{}]\n",
    );
    pki(&bed, &[]).await;
    // What `curl` below trusts.
    let authority = bed.path().join("ca.pem");
    std::fs::copy(bed.path().join("pki/server-ca.crt"), &authority).unwrap();
    bed.install("trouble", &marked(1, 1));
    bed.start().await;
    let client = ["--cert", "pki/client.pem"];
    assert_eq!(curl(&bed, &[]).await, None);
    assert!(curl(&bed, &client).await.unwrap().contains("certificate shown"));

    // A certificate that is not for the name asked for: the client sees that it is another one.
    pki(&bed, &["--server-name", "elsewhere"]).await;
    std::fs::rename(bed.path().join("pki/server-elsewhere.pem"), bed.path().join("pki/server.pem")).unwrap();
    assert_eq!(curl(&bed, &client).await, None);
    std::fs::write(bed.path().join("pki/server.pem"), "rubbish").unwrap();
    assert_eq!(curl(&bed, &client).await, None);
    pki(&bed, &["--server-name", "localhost"]).await;
    std::fs::rename(bed.path().join("pki/server-localhost.pem"), bed.path().join("pki/server.pem")).unwrap();
    assert!(curl(&bed, &client).await.is_some());
}
