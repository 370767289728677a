//! A whole store out and in again.

use super::*;

/// A store with some of everything, and its export.
async fn exported(store: &Store) -> Vec<u8> {
    let quota = Some(Quota { prefix: "p/".into(), max_bytes: 1 << 30, max_keys: 1 << 20 });
    for n in 0..30 {
        let ops = (0..50).map(|m| put(format!("p/{n}/{m}"), vec![n; usize::from(n) * 20])).collect();
        store.commit(Commit { ops, quota: quota.clone(), ..Commit::default() }).await.unwrap();
    }
    let charge = Charge { counter: "c\u{ff}".into(), delta: 77, limit: 100 };
    let ops = vec![delete("p/3/3"), put("q", ""), put("\u{7f}\n\"", "\0\n")];
    store.commit(Commit { ops, charges: vec![charge], ..Commit::default() }).await.unwrap();
    let mut file = Vec::new();
    assert_eq!(store.export(&mut file).await.unwrap(), 1499 + 2 + 1 + 1);
    file
}

pub(super) async fn an_export_imported_is_the_same_store(factory: &impl Factory) {
    let store = factory.open();
    let file = exported(&store).await;
    let entries = all(&store).await;
    let (usage, revision) = (store.usage(b"p/").await.unwrap(), store.revision());
    store.close().await.unwrap();
    drop(store);

    let elsewhere = OnDisk::new();
    for copy in [InMemory.open(), elsewhere.open()] {
        assert_eq!(copy.import(&mut &file[..]).await.unwrap(), 1503);
        assert_eq!(all(&copy).await, entries);
        assert_eq!(copy.usage(b"p/").await.unwrap(), usage);
        assert_eq!(copy.counter("c\u{ff}".as_bytes()).await.unwrap(), 77);
        assert_eq!(copy.commit(write([put("p/new", "")])).await.unwrap(), revision + 1);
        assert_eq!(copy.usage(b"p/").await.unwrap().keys, usage.keys + 1);
    }
}

pub(super) async fn import_wants_an_empty_store(factory: &impl Factory) {
    let store = factory.open();
    let file = exported(&store).await;
    let refused = store.import(&mut &file[..]).await;
    assert!(matches!(refused, Err(TransferError::Store(StoreError::NotEmpty))), "{refused:?}");
    store.commit(write([put("still", "works")])).await.unwrap();
}
