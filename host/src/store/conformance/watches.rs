//! Waiting for changes.

use futures_util::future::FutureExt;

use super::*;

fn key_watch(key: &'static str, seen: impl Into<Option<u64>>) -> Watch {
    Watch::Key { key: key.into(), seen: seen.into() }
}

fn prefix_watch(prefix: &'static str, seen: u64) -> Watch {
    Watch::Prefix { prefix: prefix.into(), seen }
}

pub(super) async fn a_watch_ends_at_once_if_the_change_came_before(factory: &impl Factory) {
    let store = factory.open();
    store.commit(write([put("a/1", "")])).await.unwrap();
    store.commit(write([put("b", ""), put("a/2", "")])).await.unwrap();
    store.watch(vec![key_watch("a/1", None)]).await.unwrap();
    store.watch(vec![key_watch("a/2", 1)]).await.unwrap();
    store.watch(vec![key_watch("none", 1)]).await.unwrap();
    store.watch(vec![prefix_watch("a/", 1)]).await.unwrap();
    store.watch(vec![key_watch("a/1", 1), prefix_watch("b", 1)]).await.unwrap();
    assert!(
        store.watch(vec![key_watch("a/1", 1), key_watch("none", None), prefix_watch("a/", 2)]).now_or_never().is_none()
    );
}

pub(super) async fn a_watch_ends_when_its_key_or_prefix_changes_and_not_before(factory: &impl Factory) {
    let store = factory.open();
    let revision = store.commit(write([put("a/1", "")])).await.unwrap();
    let mut key = Box::pin(store.watch(vec![key_watch("a/1", revision), key_watch("x", None)]));
    let mut absent = Box::pin(store.watch(vec![key_watch("a/2", None)]));
    let mut prefix = Box::pin(store.watch(vec![prefix_watch("a/", revision)]));
    let mut all = Box::pin(store.watch(vec![prefix_watch("", revision)]));
    assert!(futures_util::poll!(&mut key).is_pending());
    assert!(futures_util::poll!(&mut absent).is_pending());
    assert!(futures_util::poll!(&mut prefix).is_pending());
    assert!(futures_util::poll!(&mut all).is_pending());
    store.commit(write([put("b", ""), put("a", "")])).await.unwrap();
    all.await.unwrap();
    assert!(futures_util::poll!(&mut prefix).is_pending());
    store.commit(write([put("a/2", "")])).await.unwrap();
    absent.await.unwrap();
    prefix.await.unwrap();
    assert!(futures_util::poll!(&mut key).is_pending());
    store.commit(write([delete("a/1")])).await.unwrap();
    key.await.unwrap();
}

pub(super) async fn no_wake_up_is_lost_between_reading_and_watching(factory: &impl Factory) {
    let store = factory.open();
    let rounds = 100;
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 1..=rounds {
                store.commit(write([put("w/n", round.to_string())])).await.unwrap();
            }
        }
    });
    let by_key = async {
        loop {
            let entry = store.get(b"w/n").await.unwrap();
            if entry.as_ref().is_some_and(|entry| entry.value == rounds.to_string()) {
                break;
            }
            store.watch(vec![key_watch("w/n", entry.map(|entry| entry.version))]).await.unwrap();
        }
    };
    let by_prefix = async {
        loop {
            let page = store.scan(Scan::prefix("w/")).await.unwrap();
            if page.entries.first().is_some_and(|entry| entry.value == rounds.to_string()) {
                break;
            }
            store.watch(vec![prefix_watch("w/", page.revision)]).await.unwrap();
        }
    };
    tokio::join!(by_key, by_prefix);
    writer.await.unwrap();
}

pub(super) async fn ten_thousand_watches_on_one_key_and_on_many(factory: &impl Factory) {
    const MANY: usize = 10_000;
    let store = factory.open();
    let spawn = |watch: Watch| tokio::spawn(store.watch(vec![watch]));
    let one: Vec<_> = (0..MANY).map(|_| spawn(key_watch("one", None))).collect();
    let many: Vec<_> = (0..MANY).map(|n| spawn(Watch::Key { key: format!("k{n}").into(), seen: None })).collect();
    let prefixes: Vec<_> =
        (0..MANY).map(|n| spawn(Watch::Prefix { prefix: format!("p{n}/").into(), seen: 0 })).collect();
    while store.hub.waiting() < 3 * MANY {
        tokio::task::yield_now().await;
    }
    store.commit(write([put("k7", ""), put("p8/x", ""), put("one", "")])).await.unwrap();
    for task in one {
        task.await.unwrap().unwrap();
    }
    while store.hub.waiting() > 2 * MANY - 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.hub.waiting(), 2 * MANY - 2, "nobody else was woken");
    for task in many.iter().chain(&prefixes) {
        task.abort();
    }
    for task in many.into_iter().chain(prefixes) {
        let _ = task.await;
    }
    assert!(store.hub.is_empty());
}

pub(super) async fn a_dropped_watch_leaves_nothing_behind(factory: &impl Factory) {
    let store = factory.open();
    let mut watch = Box::pin(store.watch(vec![key_watch("a", None), key_watch("a", None), prefix_watch("a", 0)]));
    assert!(futures_util::poll!(&mut watch).is_pending());
    assert!(!store.hub.is_empty());
    drop(watch);
    assert!(store.hub.is_empty());
}
