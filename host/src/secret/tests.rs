//! Secrets over a store in memory, and the operator's files.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::layout::{Area, Prefix};
use crate::outbound::Target;
use crate::store::{self, Commit, EngineKind, Op, Scan, StoreConfig};

struct Place {
    folder: TempDir,
    store: Store,
    ring: Arc<KeyRing>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig { engine: EngineKind::Memory, path: PathBuf::new(), cache: 0 };
        let ring = KeyRing::open(&folder.path().join("host.key")).unwrap();
        Self { folder, store: store::open(&config).unwrap(), ring: Arc::new(ring) }
    }

    fn of(&self, plugin: &str) -> Secrets {
        self.with(plugin, "").unwrap()
    }

    fn with(&self, plugin: &str, given: &str) -> Result<Secrets, GivenError> {
        Secrets::open(self.store.clone(), self.ring.clone(), plugin, &toml::from_str(given).unwrap(), Keystones::new())
    }

    /// A file that only its owner may read.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        chmod(&path, 0o600);
        path
    }

    /// All that lies in the store.
    async fn dump(&self) -> Vec<u8> {
        let scan = Scan { start: vec![1].into(), end: None, ..Scan::prefix(vec![1]) };
        let page = self.store.scan(scan).await.unwrap();
        page.entries.iter().flat_map(|entry| [&entry.key[..], &entry.value[..]].concat()).collect()
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn to(line: &str) -> Vec<Destination> {
    vec![line.parse().unwrap()]
}

#[tokio::test]
async fn a_credential_is_kept_sealed_and_used_by_name() {
    let place = Place::new();
    let secrets = place.of("a");
    let form = Form::Basic { user: "calvin".into() };
    secrets.put_credential("bmc", form.clone(), secret("hunter22"), to("https://bmc.test")).await.unwrap();
    assert!(!contains(&place.dump().await, b"hunter22"));
    assert!(!contains(&place.dump().await, b"calvin"));
    // Another opening of the same plugin, as after a restart.
    let kept = place.of("a").credential("bmc").await.unwrap();
    assert_eq!((kept.form(), kept.value().as_str()), (&form, "hunter22"));
    assert!(kept.is_for(&Target::parse("https://bmc.test/x").unwrap()));
    assert!(!kept.is_for(&Target::parse("https://other.test/x").unwrap()));
    secrets.put_credential("bmc", Form::Bearer, secret("new"), to("https://bmc.test")).await.unwrap();
    assert_eq!(secrets.credential("bmc").await.unwrap().value().as_str(), "new");
    assert_eq!((secrets.remove("bmc").await.unwrap(), secrets.remove("bmc").await.unwrap()), (true, false));
    assert!(matches!(secrets.credential("bmc").await, Err(SecretError::NotFound(_))));
}

#[tokio::test]
async fn plugins_do_not_share_secrets_and_records_do_not_move() {
    let place = Place::new();
    let (one, other) = (place.of("a"), place.of("ab"));
    one.put_hmac_key("bk", Zeroizing::new(b"key".to_vec())).await.unwrap();
    assert!(matches!(other.hmac("k", Algorithm::Sha256, b"").await, Err(SecretError::NotFound(_))));
    assert_eq!(other.list().await.unwrap(), []);
    let from = Prefix::new(Area::Vault, "a").key(b"bk");
    let record = place.store.get(&from).await.unwrap().unwrap().value;
    for (to, reader, name) in
        [(Prefix::new(Area::Vault, "a").key(b"x"), &one, "x"), (Prefix::new(Area::Vault, "ab").key(b"x"), &other, "x")]
    {
        let op = Op::Put { key: to, value: record.clone() };
        place.store.commit(Commit { ops: vec![op], ..Commit::default() }).await.unwrap();
        let error = reader.hmac(name, Algorithm::Sha256, b"").await.unwrap_err();
        assert!(matches!(error, SecretError::Storage(_)), "{error:?}");
    }
}

#[tokio::test]
async fn an_identity_is_made_once_for_all_who_ask() {
    let place = Place::new();
    let secrets = place.of("a");
    let made = join_all((0..4).map(|_| secrets.ensure_identity("me", "plugbay", 30))).await;
    let made: Vec<Public> = made.into_iter().map(Result::unwrap).collect();
    assert!(made.iter().all(|one| one == made.first().unwrap()));
    let public = secrets.ensure_identity("me", "another", 1).await.unwrap();
    assert_eq!(&public, made.first().unwrap());
    let identity = secrets.identity("me").await.unwrap();
    assert_eq!(identity.fingerprint(), public.fingerprint);
    assert!(!contains(&place.dump().await, b"PRIVATE KEY"));
    assert!(!public.chain.contains("PRIVATE"));
    let (_, parsed) = x509_parser::parse_x509_certificate(identity.chain().first().unwrap()).unwrap();
    assert_eq!((parsed.subject().to_string(), parsed.issuer().to_string()), ("CN=plugbay".into(), "CN=plugbay".into()));
    assert!(parsed.validity().is_valid() && !parsed.is_ca());
    let left = parsed.validity().time_to_expiration().unwrap().whole_hours();
    assert!((29 * 24..=30 * 24).contains(&left), "{left}");
    for (name, common_name, days) in
        [("x", "", 1), ("x", "a\nb", 1), ("x", "a", 0), ("x", "a", MAX_DAYS + 1), ("", "a", 1)]
    {
        let refused = secrets.ensure_identity(name, common_name, days).await;
        assert!(matches!(refused, Err(SecretError::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_imported_identity_gives_its_public_part_only() {
    let place = Place::new();
    let secrets = place.of("a");
    let Secret::Identity { chain, key } = certificate::generate("me", 1).unwrap() else { panic!() };
    // A chain with everything in it, as people keep them.
    let both = [&chain[..], &key[..]].concat();
    let public = secrets.put_identity("me", &both, key.clone()).await.unwrap();
    assert_eq!(public.chain.replace('\r', ""), String::from_utf8(chain).unwrap().replace('\r', ""));
    assert_eq!(secrets.public("me").await.unwrap(), public);
    let Secret::Identity { key: other, .. } = certificate::generate("me", 1).unwrap() else { panic!() };
    let refused = secrets.put_identity("me", &both, other).await.unwrap_err();
    assert!(matches!(refused, SecretError::Invalid(_)), "{refused:?}");
    assert_eq!(secrets.public("me").await.unwrap(), public, "the old one is still there");
}

#[tokio::test]
async fn hmac_is_that_of_the_key() {
    let secrets = Place::new().of("a");
    let key = || Zeroizing::new(b"Jefe".to_vec());
    secrets.put_hmac_key("k", key()).await.unwrap();
    let mac = secrets.hmac("k", Algorithm::Sha256, b"what do ya want for nothing?").await.unwrap();
    // RFC 4231, test case 2.
    assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert!(secrets.put_hmac_key("k", Zeroizing::default()).await.is_err());
    assert!(secrets.put_hmac_key("k", Zeroizing::new(vec![0; MAX_RECORD])).await.is_err());
    assert!(secrets.put_hmac_key(&"n".repeat(129), key()).await.is_err());
    let error = secrets.identity("k").await.unwrap_err();
    assert_eq!(error.to_string(), "the secret `k` is an HMAC key, not an identity");
    assert!(secrets.ensure_identity("k", "me", 1).await.is_err());
}

#[tokio::test]
async fn a_plugin_has_a_bounded_number_of_secrets() {
    let secrets = Place::new().of("a");
    for n in 0..MAX_SECRETS {
        secrets.put_hmac_key(&n.to_string(), Zeroizing::new(vec![1])).await.unwrap();
    }
    assert!(matches!(secrets.put_hmac_key("x", Zeroizing::new(vec![1])).await, Err(SecretError::TooMany)));
    secrets.put_hmac_key("0", Zeroizing::new(vec![2])).await.unwrap();
    assert_eq!(secrets.list().await.unwrap().len() as u64, MAX_SECRETS);
}

#[tokio::test]
async fn the_operators_secrets_come_first_and_from_files_as_they_are() {
    let place = Place::new();
    let file = place.file("password", b"one\n");
    place.of("a").put_hmac_key("service", Zeroizing::new(vec![1])).await.unwrap();
    let given = format!(
        "[service]\nkind = \"basic\"\nuser = \"svc\"\nfile = {file:?}\ndestinations = [\"https://keystone.test:5000\"]\n"
    );
    let secrets = place.with("a", &given).unwrap();
    let value = async || secrets.credential("service").await.map(|kept| kept.value().to_string());
    assert_eq!(value().await.unwrap(), "one");
    std::fs::write(&file, "two\r\n").unwrap();
    assert_eq!(value().await.unwrap(), "two");
    let refused = secrets.put_credential("service", Form::Bearer, secret("x"), to("https://evil.test")).await;
    assert!(matches!(refused, Err(SecretError::Operators(_))), "{refused:?}");
    assert!(matches!(secrets.remove("service").await, Err(SecretError::Operators(_))));
    assert_eq!(secrets.list().await.unwrap(), [Named { name: "service".into(), operators: true }]);
    chmod(&file, 0o644);
    let error = value().await.unwrap_err().to_string();
    assert!(!error.contains("password") && error.contains("log"), "{error}");
}

#[test]
fn files_of_the_operator_are_checked_with_words() {
    let place = Place::new();
    let Secret::Identity { chain, key } = certificate::generate("me", 1).unwrap() else { panic!() };
    let (certificate, key) = (place.file("me.crt", &chain), place.file("me.key", &key));
    chmod(&certificate, 0o644);
    let (token, open, large) =
        (place.file("token", b"t"), place.file("open", b"t"), place.file("large", &vec![b'x'; MAX_RECORD + 1]));
    chmod(&open, 0o604);
    let try_one = |line: String| place.with("a", &format!("one = {{ {line} }}")).err().map(|error| error.to_string());
    assert_eq!(try_one(format!("kind = \"identity\", certificate = {certificate:?}, key = {key:?}")), None);
    assert_eq!(try_one(format!("kind = \"hmac-key\", file = {token:?}")), None);
    let header = |name: &str, file: &Path| {
        format!("kind = \"header\", header = \"{name}\", file = {file:?}, destinations = [\"https://a.test\"]")
    };
    assert_eq!(try_one(header("X-Auth-Token", &token)), None);
    for (line, word) in [
        (header("X-Auth-Token", &open), "chmod o="),
        (header("X-Auth-Token", &large), "more than"),
        (header("Host", &token), "cannot carry"),
        (header("a b", &token), "no name of a header"),
        (format!("kind = \"json\", pointer = \"a\", file = {token:?}, destinations = [\"https://a.test\"]"), "pointer"),
        (header("x", Path::new("/nowhere/token")), "No such file"),
        (header("x", place.folder.path()), "not a file"),
        (format!("kind = \"bearer\", file = {token:?}, destinations = []"), "at least one destination"),
        (format!("kind = \"identity\", certificate = {token:?}, key = {key:?}"), "certificate chain"),
        (format!("kind = \"identity\", certificate = {certificate:?}, key = {token:?}"), "private key"),
    ] {
        let error = try_one(line).unwrap();
        assert!(error.contains(word) && error.contains("secret \"one\""), "{error}");
    }
    for wrong in ["kind = \"x\"", "kind = \"hmac-key\", file = \"x\", mode = 1", "file = \"x\""] {
        assert!(toml::from_str::<BTreeMap<String, Given>>(&format!("one = {{ {wrong} }}")).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_service_accounts_token_is_a_credential_that_is_made_anew_when_it_is_refused() {
    use crate::keystone::tests::stand_in::StandIn;
    let (place, server) = (Place::new(), StandIn::start().await);
    let keystones: Keystones = [("cloud".to_owned(), Arc::new(server.client()))].into();
    let given = |line: &str, keystones: &Keystones| {
        let given = toml::from_str(&format!("one = {{ kind = \"keystone\", {line} }}")).unwrap();
        Secrets::open(place.store.clone(), place.ring.clone(), "a", &given, keystones.clone())
    };
    let line = "auth = \"cloud\", destinations = [\"http://deckhand.test\"]";
    let secrets = given(line, &keystones).unwrap();
    // Nobody logs in before it is used.
    assert_eq!(server.logins(), 0);
    let first = secrets.credential("one").await.unwrap();
    let header = Form::Header("x-auth-token".parse().unwrap());
    assert_eq!((first.form(), first.value().as_str()), (&header, "service-1"));
    assert!(first.is_for(&Target::parse("http://deckhand.test/x").unwrap()));
    assert!(!first.is_for(&Target::parse("http://other.test/x").unwrap()));
    let second = secrets.credential_in_place_of("one", &first).await.unwrap().unwrap();
    assert_eq!(second.value().as_str(), "service-2");
    assert!(secrets.credential_in_place_of("one", &second).await.unwrap().is_none());
    assert!(matches!(secrets.hmac("one", Algorithm::Sha256, b"").await, Err(SecretError::WrongKind { .. })));
    let own = secrets.put_credential("one", Form::Bearer, secret("x"), to("https://x.test")).await;
    assert!(matches!(own, Err(SecretError::Operators(_))), "{own:?}");
    // A file's secret has no other in its place.
    secrets.put_credential("kept", Form::Bearer, secret("x"), to("https://x.test")).await.unwrap();
    assert!(secrets.credential_in_place_of("kept", &first).await.unwrap().is_none());
    let nowhere: Keystones = [("cloud".to_owned(), Arc::new(StandIn::nowhere().client()))].into();
    let error = given(line, &nowhere).unwrap().credential("one").await.unwrap_err().to_string();
    assert_eq!(error, "the operator's secret `one` cannot be used; the log says why");
    for wrong in ["auth = \"x\", destinations = [\"http://d.test\"]", "auth = \"cloud\", destinations = []"] {
        assert!(given(wrong, &keystones).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn a_record_reads_as_it_was_written(
        chain in any::<Vec<u8>>(),
        key in any::<Vec<u8>>(),
        value in "[!-~]{1,40}",
        user in "[a-z]{0,9}",
    ) {
        let identity = Secret::Identity { chain: chain.clone(), key: Zeroizing::new(key.clone()) };
        let read = Secret::read(&identity.write());
        let same = matches!(&read, Some(Secret::Identity { chain: c, key: k }) if *c == chain && **k == key);
        prop_assert!(same);
        let header = Form::Header("x-auth-token".parse().unwrap());
        for form in [Form::Basic { user }, Form::Bearer, header, Form::Json { pointer: "/a".into() }] {
            let made = Credential::new(form.clone(), secret(&value), to("https://a.test")).unwrap();
            let read = Secret::read(&Secret::Credential(made).write());
            let Some(Secret::Credential(read)) = read else { return Err(TestCaseError::fail("no credential")) };
            prop_assert_eq!((read.form(), read.value().as_str()), (&form, value.as_str()));
            prop_assert_eq!(read.destinations(), &to("https://a.test")[..]);
        }
    }

    #[test]
    fn no_record_is_fatal(record in any::<Vec<u8>>(), kind in 0..5_u8) {
        let _ = Secret::read(&record);
        let _ = Secret::read(&[&[1, kind], &record[..]].concat());
    }
}
