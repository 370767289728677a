//! Tests of `keys`.

use std::os::unix::fs::PermissionsExt;

use futures_util::future::join_all;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::store::{self, EngineKind, StoreConfig};

fn memory() -> Store {
    let config = StoreConfig { engine: EngineKind::Memory, path: PathBuf::new(), cache: 0 };
    store::open(&config).unwrap()
}

fn ring() -> (TempDir, KeyRing) {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(&folder.path().join("host.key")).unwrap();
    (folder, ring)
}

async fn put(store: &Store, key: &[u8], value: &[u8]) {
    let op = Op::Put { key: key.to_vec().into(), value: value.to_vec().into() };
    store.commit(Commit { ops: vec![op], ..Commit::default() }).await.unwrap();
}

const SEALING: KeyKind = KeyKind::Sealing;
const SIGNING: KeyKind = KeyKind::Signing;

#[test]
fn a_missing_host_key_is_made_once_and_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.key");
    KeyRing::open(&path).unwrap();
    let secret = std::fs::read(&path).unwrap();
    assert_eq!(secret.len(), SECRET);
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.nlink()), (0o600, 1));
    KeyRing::open(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), secret);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside");
}

#[test]
fn a_host_key_made_meanwhile_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.key");
    create(&path, &SystemRandom::new()).unwrap();
    let secret = std::fs::read(&path).unwrap();
    create(&path, &SystemRandom::new()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), secret);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_host_key_that_is_exposed_or_no_key_is_refused_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.key");
    let refused = |path: &Path| KeyRing::open(path).unwrap_err().to_string();
    KeyRing::open(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let text = refused(&path);
        assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
        assert!(text.contains(&format!("chmod 600 {}", path.display())), "{text}");
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    for bytes in [&b""[..], &[1; SECRET - 1], &[1; SECRET + 1]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(refused(&path).contains("not a file of 32 bytes"));
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is left as it was");
    }
    assert!(refused(&folder.path().join("no/host.key")).contains("has to exist"));
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert!(refused(folder.path()).contains("not a file of 32 bytes"));
}

#[tokio::test]
async fn what_was_sealed_opens_with_the_same_key_and_context_only() {
    let ((_folder, ring), store) = (ring(), memory());
    for (plugin, name) in [("one", "a"), ("one", "b"), ("two", "a"), ("on", "ea")] {
        assert!(ring.ensure(&store, plugin, name, SEALING).await.unwrap().is_empty());
    }
    let sealed = ring.seal(&store, "one", "a", b"context", b"plain").await.unwrap();
    assert_eq!(sealed.len(), b"plain".len() + 29);
    assert_eq!(sealed[0], VERSION);
    let plain = ring.open_sealed(&store, "one", "a", b"context", &sealed).await.unwrap();
    assert_eq!(plain, b"plain");
    for (plugin, name, context) in [
        ("one", "a", &b"Context"[..]),
        ("one", "a", b""),
        ("one", "b", b"context"),
        ("two", "a", b"context"),
        ("on", "ea", b"context"),
    ] {
        let opened = ring.open_sealed(&store, plugin, name, context, &sealed).await;
        assert!(matches!(opened, Err(KeyError::NotAuthentic)), "{plugin} {name}");
    }
}

#[tokio::test]
async fn a_message_with_any_bit_changed_or_byte_missing_does_not_open() {
    let ((_folder, ring), store) = (ring(), memory());
    ring.ensure(&store, "p", "k", SEALING).await.unwrap();
    let sealed = ring.seal(&store, "p", "k", b"", b"plain").await.unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = ring.open_sealed(&store, "p", "k", b"", &changed).await;
        assert!(matches!(opened, Err(KeyError::NotAuthentic)), "bit {bit}");
    }
    for length in 0..sealed.len() {
        let opened = ring.open_sealed(&store, "p", "k", b"", &sealed[..length]).await;
        assert!(matches!(opened, Err(KeyError::NotAuthentic)), "{length} bytes");
    }
    let empty = ring.seal(&store, "p", "k", b"", b"").await.unwrap();
    assert_eq!(ring.open_sealed(&store, "p", "k", b"", &empty).await.unwrap(), b"");
}

#[tokio::test]
async fn the_same_message_is_never_sealed_the_same_way() {
    let ((_folder, ring), store) = (ring(), memory());
    ring.ensure(&store, "p", "k", SEALING).await.unwrap();
    let one = ring.seal(&store, "p", "k", b"", b"plain").await.unwrap();
    let other = ring.seal(&store, "p", "k", b"", b"plain").await.unwrap();
    assert_ne!(one[1..=NONCE_LEN], other[1..=NONCE_LEN]);
}

#[tokio::test]
async fn a_signature_holds_for_its_message_and_key_only() {
    let ((_folder, ring), store) = (ring(), memory());
    let public = ring.ensure(&store, "p", "k", SIGNING).await.unwrap();
    let other = ring.ensure(&store, "p", "other", SIGNING).await.unwrap();
    assert_eq!(ring.ensure(&store, "p", "k", SIGNING).await.unwrap(), public);
    assert_ne!(public, other);
    let signature = ring.sign(&store, "p", "k", b"message").await.unwrap();
    assert_eq!(signature.len(), 64);
    assert!(verify(&public, b"message", &signature).unwrap());
    assert!(!verify(&public, b"Message", &signature).unwrap());
    assert!(!verify(&other, b"message", &signature).unwrap());
    assert!(!verify(&public, b"message", &signature[1..]).unwrap());
    assert!(!verify(&public, b"message", b"").unwrap());
    assert!(matches!(verify(&public[1..], b"message", &signature), Err(KeyError::InvalidPublicKey)));
}

#[test]
fn signatures_are_as_in_rfc_8032() {
    let [secret, public] = [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ]
    .map(|text| hex::decode(text).unwrap());
    let key = ed25519(&secret, "k").unwrap();
    assert_eq!(key.public_key().as_ref(), public);
    let signature = key.sign(&[0x72]);
    assert_eq!(
        hex::encode(signature.as_ref()),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );
    assert!(verify(&public, &[0x72], signature.as_ref()).unwrap());
}

#[tokio::test]
async fn a_key_is_of_one_kind_for_ever() {
    let ((_folder, ring), store) = (ring(), memory());
    ring.ensure(&store, "p", "k", SEALING).await.unwrap();
    let error = ring.ensure(&store, "p", "k", SIGNING).await.unwrap_err();
    assert_eq!(error.to_string(), "key `k` is a sealing key; take another name for a signing key");
    let error = ring.sign(&store, "p", "k", b"").await.unwrap_err();
    assert!(matches!(error, KeyError::WrongKind { is: SEALING, wanted: SIGNING, .. }));
}

#[tokio::test]
async fn a_key_that_was_never_made_or_named_is_told_apart() {
    let ((_folder, ring), store) = (ring(), memory());
    let error = ring.seal(&store, "p", "k", b"", b"").await.unwrap_err();
    assert!(matches!(error, KeyError::NoSuchKey(name) if name == "k"));
    for name in [String::new(), "n".repeat(MAX_NAME + 1)] {
        let error = ring.ensure(&store, "p", &name, SEALING).await.unwrap_err();
        assert!(matches!(error, KeyError::InvalidName));
    }
    ring.ensure(&store, "p", &"n".repeat(MAX_NAME), SEALING).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_end_with_one_key() {
    let ((_folder, ring), store) = (ring(), memory());
    let (ring, calls) = (std::sync::Arc::new(ring), 32);
    let made = join_all((0..calls).map(|_| {
        let (ring, store) = (ring.clone(), store.clone());
        tokio::spawn(async move { ring.ensure(&store, "p", "k", SIGNING).await.unwrap() })
    }));
    let mut made: Vec<_> = made.await.into_iter().map(Result::unwrap).collect();
    made.dedup();
    assert_eq!(made.len(), 1);
    assert_eq!(ring.ensure(&store, "p", "k", SIGNING).await.unwrap(), made[0]);
}

#[tokio::test]
async fn a_key_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.key");
    let config = StoreConfig { engine: EngineKind::Sled, path: folder.path().join("store"), cache: 1024 * 1024 };
    let store = store::open(&config).unwrap();
    let ring = KeyRing::open(&path).unwrap();
    let public = ring.ensure(&store, "p", "sign", SIGNING).await.unwrap();
    ring.ensure(&store, "p", "seal", SEALING).await.unwrap();
    let sealed = ring.seal(&store, "p", "seal", b"", b"plain").await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = store::open(&config).unwrap();
    let ring = KeyRing::open(&path).unwrap();
    assert_eq!(ring.ensure(&store, "p", "sign", SIGNING).await.unwrap(), public);
    assert_eq!(ring.open_sealed(&store, "p", "seal", b"", &sealed).await.unwrap(), b"plain");
}

#[tokio::test]
async fn another_host_key_opens_nothing_and_replaces_nothing() {
    let ((_folder, ring), store) = (ring(), memory());
    let (_other_folder, other) = self::ring();
    ring.check(&store).await.unwrap();
    ring.ensure(&store, "p", "k", SEALING).await.unwrap();
    let before = store.get(b"y\x01pk").await.unwrap();
    assert!(matches!(other.check(&store).await, Err(KeyError::Unreadable(_))));
    let error = other.ensure(&store, "p", "k", SEALING).await.unwrap_err();
    assert!(error.to_string().contains("put back the key file"), "{error}");
    assert_eq!(store.get(b"y\x01pk").await.unwrap(), before);
    ring.check(&store).await.unwrap();
}

#[tokio::test]
async fn a_record_that_was_moved_or_changed_does_not_open() {
    let ((_folder, ring), store) = (ring(), memory());
    ring.ensure(&store, "p", "k", SEALING).await.unwrap();
    let record = store.get(b"y\x01pk").await.unwrap().unwrap().value;
    assert_eq!(record.len(), 2 + NONCE_LEN + SECRET + TAG);
    put(&store, b"y\x01qk", &record).await;
    put(&store, b"y\x01pl", &record).await;
    for (plugin, name) in [("q", "k"), ("p", "l")] {
        let used = ring.seal(&store, plugin, name, b"", b"").await;
        assert!(matches!(used, Err(KeyError::Unreadable(_))));
    }
    for at in 0..record.len() {
        let mut changed = record.to_vec();
        changed[at] ^= 3;
        put(&store, b"y\x01pk", &changed).await;
        for kind in [SEALING, SIGNING] {
            let used = ring.ensure(&store, "p", "k", kind).await;
            assert!(matches!(used, Err(KeyError::Unreadable(_))), "byte {at}");
        }
    }
}

#[tokio::test]
async fn a_plugin_has_a_bounded_number_of_keys() {
    let ((_folder, ring), store) = (ring(), memory());
    let ensure = |plugin, name: u64| {
        let (ring, store) = (&ring, &store);
        // As long as names get: the bound of bytes must not be met first.
        let name = format!("{name:0>MAX_NAME$}");
        async move { ring.ensure(store, plugin, &name, SEALING).await }
    };
    for made in join_all((0..MAX_KEYS).map(|name| ensure("p", name))).await {
        made.unwrap();
    }
    assert!(matches!(ensure("p", MAX_KEYS).await, Err(KeyError::TooMany)));
    ensure("p", 0).await.unwrap();
    ensure("q", MAX_KEYS).await.unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_opened_without_panic(
        sealed in prop::collection::vec(any::<u8>(), 0..64),
        context in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let key = aes(&[7; SECRET]).unwrap();
        prop_assert_eq!(decrypt(&key, &context, &sealed), None);
        prop_assert_eq!(verify(&[9; 32], &context, &sealed).unwrap(), false);
    }
}
