//! Keys, versions, checks and pages; what is written together and what survives.

use bytes::Bytes;
use futures_util::future::join_all;

use super::*;

pub(super) async fn keys_come_in_the_order_of_their_bytes(factory: &impl Factory) {
    let store = factory.open();
    let mut keys: Vec<Bytes> =
        [&b"a"[..], b"a\0", b"a\0\0", b"ab", b"a\xff", b"b", b"\x01", b"\xff\xff\xff\xff\xff", b"B", b"\xc3\xa4"]
            .into_iter()
            .map(Bytes::from_static)
            .chain((0..200).map(|number| Bytes::from(format!("n/{number}"))))
            .collect();
    for key in &keys {
        store.commit(write([put(key.clone(), "x")])).await.unwrap();
    }
    keys.sort();
    let found: Vec<_> = all(&store).await.into_iter().map(|entry| entry.key).collect();
    assert_eq!(found, keys);
    let page = store.scan(Scan { reverse: true, ..Scan::prefix(Bytes::new()) }).await.unwrap();
    keys.reverse();
    assert_eq!(page.entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), keys);
}

pub(super) async fn a_page_ends_at_its_limits(factory: &impl Factory) {
    let store = factory.open();
    let keys = ["a1", "a2", "a3", "b1"];
    store.commit(write(keys.map(|key| put(key, "12345678")))).await.unwrap();
    let base = Scan::prefix("a");
    let page = async |scan: Scan| {
        let page = store.scan(scan).await.unwrap();
        assert_eq!(page.revision, 1);
        (
            page.entries
                .iter()
                .map(|entry| str::from_utf8(&entry.key).unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" "),
            page.more,
        )
    };
    let is = |keys: &str, more| (keys.to_owned(), more);

    assert_eq!(page(base.clone()).await, is("a1 a2 a3", false));
    assert_eq!(page(Scan { limit: 3, ..base.clone() }).await, is("a1 a2 a3", false), "the limit itself is no more");
    assert_eq!(page(Scan { limit: 2, ..base.clone() }).await, is("a1 a2", true));
    assert_eq!(page(Scan { limit: 2, reverse: true, ..base.clone() }).await, is("a3 a2", true));
    assert_eq!(page(Scan { limit: 0, ..base.clone() }).await, is("", true));
    assert_eq!(page(Scan { max_bytes: 20, ..base.clone() }).await, is("a1 a2", true), "two entries have 20 bytes");
    assert_eq!(page(Scan { max_bytes: 19, ..base.clone() }).await, is("a1", true));
    assert_eq!(page(Scan { max_bytes: 0, ..base.clone() }).await, is("a1", true), "one entry always");
    assert_eq!(page(Scan { start: "a2".into(), ..base.clone() }).await, is("a2 a3", false), "the start is in");
    assert_eq!(page(Scan { end: Some("a3".into()), ..base.clone() }).await, is("a1 a2", false), "the end is not");
    assert_eq!(page(Scan { start: "a3".into(), end: None, ..base.clone() }).await, is("a3 b1", false));
    assert_eq!(page(Scan { start: "a2".into(), end: Some("a2".into()), ..base.clone() }).await, is("", false));
    assert_eq!(page(Scan { start: "z".into(), end: Some("a".into()), ..base.clone() }).await, is("", false));
    assert_eq!(page(Scan { start: "a2".into(), end: Some("a".into()), reverse: true, ..base }).await, is("", false));
}

pub(super) async fn versions_are_the_revision_of_the_last_write(factory: &impl Factory) {
    let store = factory.open();
    assert_eq!(store.revision(), 0);
    assert_eq!(store.commit(write([put("a", "1"), put("b", "1")])).await.unwrap(), 1);
    assert_eq!(store.commit(write([put("b", "1")])).await.unwrap(), 2, "the same value is a write too");
    assert_eq!((version(&store, "a").await, version(&store, "b").await), (Some(1), Some(2)));
    assert_eq!(store.commit(write([delete("a")])).await.unwrap(), 3);
    assert_eq!(version(&store, "a").await, None);
    assert_eq!(store.commit(write([delete("a")])).await.unwrap(), 3, "nothing was there to remove");
    assert_eq!(store.commit(write([put("a", "")])).await.unwrap(), 4, "a version is never used again");
    assert_eq!(version(&store, "a").await, Some(4));
    assert_eq!(store.commit(Commit { checks: vec![check("a", 4)], ..Commit::default() }).await.unwrap(), 4);
    assert_eq!(store.revision(), 4);
}

pub(super) async fn a_failed_check_is_named_and_nothing_is_written(factory: &impl Factory) {
    let store = factory.open();
    store.commit(write([put("a", "1"), put("b", "1")])).await.unwrap();
    for (checks, failed) in [
        (vec![check("a", None)], 0),
        (vec![check("a", 2)], 0),
        (vec![check("c", 1)], 0),
        (vec![check("a", 1), check("c", None), check("b", 7), check("a", 9)], 2),
    ] {
        let commit = Commit { checks, ops: vec![put("c", "2"), delete("a")], ..Commit::default() };
        let result = store.commit(commit).await;
        assert!(matches!(result, Err(CommitError::Conflict(position)) if position == failed), "{result:?}");
    }
    assert_eq!(store.revision(), 1);
    assert_eq!(all(&store).await.len(), 2);
    let commit =
        Commit { checks: vec![check("a", 1), check("c", None)], ops: vec![put("c", "2")], ..Commit::default() };
    assert_eq!(store.commit(commit).await.unwrap(), 2);
}

pub(super) async fn checks_see_the_state_before_the_commit(factory: &impl Factory) {
    let store = factory.open();
    let commit = Commit { checks: vec![check("a", None)], ops: vec![put("a", "1")], ..Commit::default() };
    assert_eq!(store.commit(commit.clone()).await.unwrap(), 1);
    assert!(matches!(store.commit(commit).await, Err(CommitError::Conflict(0))));
}

pub(super) async fn what_is_outside_the_limits_is_refused(factory: &impl Factory) {
    let store = factory.open();
    let key = |length: usize| Bytes::from(vec![b'k'; length]);
    let value = |length: usize| Bytes::from(vec![0; length]);
    let many = |count: usize| (0..count).map(|n| put(format!("m{n}"), "")).collect::<Vec<_>>();
    let charge = Charge { counter: Bytes::new(), delta: 1, limit: 1 };
    let quota = Quota { prefix: "\0x".into(), max_bytes: 1, max_keys: 1 };
    for refused in [
        write([put("", "x")]),
        write([put("\0x", "x")]),
        write([put(key(MAX_KEY + 1), "x")]),
        write([put("x", value(MAX_VALUE + 1))]),
        write(many(MAX_ITEMS + 1)),
        write((0..5).map(|n| put(format!("{n}"), value(MAX_VALUE)))),
        write([put("x", "1"), delete("x")]),
        write([put("x", "1"), put("x", "1")]),
        Commit { checks: vec![check("", None)], ..Commit::default() },
        Commit { charges: vec![charge], ..Commit::default() },
        Commit { quota: Some(quota), ..Commit::default() },
    ] {
        let result = store.commit(refused).await;
        assert!(matches!(result, Err(CommitError::Invalid(_))), "{result:?}");
    }
    assert_eq!(store.revision(), 0);
    store.commit(write([put(key(MAX_KEY), value(MAX_VALUE))])).await.unwrap();
    store.commit(write(many(MAX_ITEMS))).await.unwrap();
    assert_eq!(store.get(&key(MAX_KEY)).await.unwrap().unwrap().value.len(), MAX_VALUE);
    assert!(matches!(store.get(b"").await, Err(StoreError::InvalidKey)));
    assert!(matches!(store.get(b"\0revision").await, Err(StoreError::InvalidKey)), "the engine's own keys stay hidden");
    let own = Scan { start: "\0".into(), ..Scan::prefix(Bytes::new()) };
    assert!(matches!(store.scan(own).await, Err(StoreError::InvalidKey)));
    assert!(all(&store).await.iter().all(|entry| entry.key[0] != 0));
}

pub(super) async fn increments_by_compare_and_swap_lose_none(factory: &impl Factory) {
    let store = factory.open();
    let increments = 16;
    let tasks = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..increments {
                loop {
                    let entry = store.get(b"n").await.unwrap();
                    let count: u64 =
                        entry.as_ref().map_or(0, |entry| str::from_utf8(&entry.value).unwrap().parse().unwrap());
                    let checks = vec![check("n", entry.map(|entry| entry.version))];
                    let commit = Commit { checks, ops: vec![put("n", (count + 1).to_string())], ..Commit::default() };
                    match store.commit(commit).await {
                        Ok(_) => break,
                        Err(CommitError::Conflict(0)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    assert_eq!(value(&store, "n").await.unwrap(), (8 * increments).to_string());
    assert_eq!(store.revision(), 8 * increments);
}

pub(super) async fn a_scan_never_shows_half_a_commit(factory: &impl Factory) {
    let store = factory.open();
    let keys: Vec<_> = (0..40).map(|n| format!("k{n}")).collect();
    let writer = tokio::spawn({
        let (store, keys) = (store.clone(), keys.clone());
        async move {
            for round in 0..60 {
                store.commit(write(keys.iter().map(|key| put(key.clone(), round.to_string())))).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let page = store.scan(Scan::prefix("k")).await.unwrap();
        assert!(page.entries.is_empty() || page.entries.len() == keys.len());
        for entry in &page.entries {
            assert_eq!((&entry.value, entry.version), (&page.entries[0].value, page.entries[0].version));
            assert!(entry.version <= page.revision);
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

pub(super) async fn everything_survives_reopening(factory: &impl Factory) {
    let store = factory.open();
    let commit = Commit {
        ops: vec![put("p/a", "1"), put("p/large", vec![7; 200 * 1024]), put("p/gone", "x")],
        quota: Some(Quota { prefix: "p/".into(), max_bytes: 1 << 20, max_keys: 10 }),
        charges: vec![Charge { counter: "c".into(), delta: 5, limit: 9 }],
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    store.commit(write([delete("p/gone"), put("q", "2")])).await.unwrap();
    let (entries, usage) = (all(&store).await, store.usage(b"p/").await.unwrap());
    store.close().await.unwrap();
    drop(store);
    let store = factory.open();
    if !durable(factory) {
        assert!(all(&store).await.is_empty());
        return;
    }
    assert_eq!(all(&store).await, entries);
    assert_eq!(store.usage(b"p/").await.unwrap(), usage);
    assert_eq!(store.counter(b"c").await.unwrap(), 5);
    assert_eq!(store.commit(write([put("p/b", "1")])).await.unwrap(), 3, "revisions go on");
    assert_eq!(store.usage(b"p/").await.unwrap().keys, usage.keys + 1, "and so does the measuring");
}

pub(super) async fn closing_finishes_what_was_handed_in_and_takes_no_more(factory: &impl Factory) {
    let store = factory.open();
    let commits: Vec<_> = (0..20).map(|n| Box::pin(store.commit(write([put(format!("k{n}"), "")])))).collect();
    let (results, closed) = tokio::join!(join_all(commits), store.close());
    closed.unwrap();
    let acknowledged = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(all(&store).await.len(), acknowledged);
    let refused = store.commit(write([put("late", "")])).await;
    assert!(matches!(refused, Err(CommitError::Failed(StoreError::Closed))), "{refused:?}");
    assert!(matches!(store.health(), Health::ReadOnly(StoreError::Closed)));
}
