//! Bounds on what lies under a prefix and on counters.

use super::*;

pub(super) async fn a_quota_holds_growth_at_its_bound(factory: &impl Factory) {
    let store = factory.open();
    let quota = |max_bytes, max_keys| Some(Quota { prefix: "p/".into(), max_bytes, max_keys });
    let with = |quota, ops: Vec<Op>| store.commit(Commit { quota, ops, ..Commit::default() });
    let refused =
        |result: Result<u64, CommitError>| assert!(matches!(result, Err(CommitError::QuotaExceeded)), "{result:?}");

    with(quota(10, 2), vec![put("p/a", "12"), put("p/b", "12")]).await.unwrap();
    assert_eq!(store.usage(b"p/").await.unwrap(), Usage { bytes: 10, keys: 2 });
    refused(with(quota(10, 2), vec![put("p/a", "123")]).await);
    refused(with(quota(100, 2), vec![put("p/c", "")]).await);
    with(quota(10, 2), vec![put("p/a", "1"), put("p/b", "123")]).await.unwrap();
    with(quota(10, 2), vec![put("q/c", "elsewhere")]).await.unwrap();
    with(quota(10, 2), vec![delete("p/a"), put("p/c", "")]).await.unwrap();
    assert_eq!(store.usage(b"p/").await.unwrap(), Usage { bytes: 9, keys: 2 });

    with(quota(4, 1), vec![put("p/b", "12")]).await.unwrap();
    refused(with(quota(4, 1), vec![put("p/b", "123")]).await);
    with(quota(4, 1), vec![put("p/b", "21")]).await.unwrap();
    assert_eq!(store.usage(b"p/").await.unwrap(), Usage { bytes: 8, keys: 2 }, "beyond the bound, but not growing");
    with(quota(0, 0), vec![delete("p/b"), delete("p/c")]).await.unwrap();
    assert_eq!(store.usage(b"p/").await.unwrap(), Usage::default());
}

pub(super) async fn usage_counts_whoever_wrote(factory: &impl Factory) {
    let store = factory.open();
    store.commit(write([put("p/a", "12"), put("p", "x"), put("q", "x")])).await.unwrap();
    assert_eq!(store.usage(b"p/").await.unwrap(), Usage { bytes: 5, keys: 1 }, "counted, no quota has named it");
    let quota = |prefix: &'static str| Some(Quota { prefix: prefix.into(), max_bytes: 1000, max_keys: 1000 });
    store.commit(Commit { quota: quota("p/"), ops: vec![put("p/b", "")], ..Commit::default() }).await.unwrap();
    store.commit(Commit { quota: quota("p"), ops: vec![put("p/c", "")], ..Commit::default() }).await.unwrap();
    store.commit(write([put("p/d/e", "1"), delete("p/a")])).await.unwrap();
    assert_eq!(store.usage(b"p/").await.unwrap(), Usage { bytes: 12, keys: 3 });
    assert_eq!(store.usage(b"p").await.unwrap(), Usage { bytes: 14, keys: 4 }, "prefixes may contain each other");
}

pub(super) async fn charges_add_up_or_change_nothing(factory: &impl Factory) {
    let store = factory.open();
    let charge = |counter: &'static str, delta, limit| Charge { counter: counter.into(), delta, limit };
    let charged = |charges: Vec<Charge>| store.commit(Commit { charges, ops: vec![put("k", "")], ..Commit::default() });
    charged(vec![charge("blobs", 60, 100), charge("other", 1, 1)]).await.unwrap();
    charged(vec![charge("blobs", 40, 100)]).await.unwrap();
    let refused = charged(vec![charge("other", -1, 0), charge("blobs", 1, 100)]).await;
    assert!(matches!(refused, Err(CommitError::ChargeExceeded(1))), "{refused:?}");
    assert_eq!((store.counter(b"blobs").await.unwrap(), store.counter(b"other").await.unwrap()), (100, 1));
    assert_eq!(store.revision(), 2);

    charged(vec![charge("blobs", -30, 0)]).await.unwrap();
    charged(vec![charge("blobs", -70, 5), charge("blobs", 100, 100)]).await.unwrap();
    assert_eq!(store.counter(b"blobs").await.unwrap(), 100, "in order, each seeing the one before");
    charged(vec![charge("blobs", -500, 0)]).await.unwrap();
    assert_eq!(store.counter(b"blobs").await.unwrap(), 0);
    charged(vec![charge("blobs", i64::MAX, u64::MAX), charge("blobs", i64::MAX, u64::MAX)]).await.unwrap();
    assert_eq!(store.counter(b"never").await.unwrap(), 0);
    assert_eq!(store.get(b"blobs").await.unwrap(), None, "counters are not keys");
}
