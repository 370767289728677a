//! What can be told without a running host; the end-to-end tests do the rest.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::TryStreamExt as _;
use http::Uri;
use prometheus_client::registry::Registry;
use proptest::prelude::*;

use super::collect::{Build, Connections, StoreOperations};
use super::front::{names_this_machine, operator_uri};
use crate::store::{self, Commit, EngineKind, Op, Store, StoreConfig};

fn memory() -> Store {
    store::open(&StoreConfig { engine: EngineKind::Memory, path: "unused".into(), cache: 0 }).unwrap()
}

#[test]
fn only_requests_that_name_this_machine_are_answered_over_tcp() {
    for own in [
        "localhost",
        "LocalHost:9080",
        "127.0.0.1",
        "127.0.0.1:9080",
        "127.1.2.3",
        "[::1]:9080",
        "[::ffff:127.0.0.1]",
        "",
    ] {
        assert!(names_this_machine(own), "{own}");
    }
    for other in [
        "example.org",
        "localhost.example.org:9080",
        "127.0.0.1.example.org",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "[localhost]",
    ] {
        assert!(!names_this_machine(other), "{other}");
    }
}

#[test]
fn a_call_reaches_the_operator_surface_with_its_path_as_sent() {
    let uri = |text: &str| operator_uri(&text.parse::<Uri>().unwrap()).map(|uri| uri.to_string());
    assert_eq!(uri("/call/notes/a%2Fb//c?x=1&y"), Some("/notes/a%2Fb//c?x=1&y".into()));
    assert_eq!(uri("/call/notes"), Some("/notes".into()));
    assert_eq!(uri("http://localhost/call/notes/"), Some("http://localhost/notes/".into()));
    for other in ["/", "/call", "/called/notes", "/plugins/call/notes", "/call?x=/notes"] {
        assert_eq!(uri(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn no_authority_breaks_the_check_of_it(authority in ".*") {
        let _ = names_this_machine(&authority);
    }
}

#[test]
fn metrics_kept_elsewhere_are_read_when_asked() {
    let connections = Arc::new(Connections::default());
    let counters = Arc::new(crate::listener::Metrics::default());
    connections.add("public", counters.clone());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Build));
    registry.register_collector(Box::new(StoreOperations(memory())));
    registry.register_collector(Box::new(connections));
    counters.accepted.store(7, Ordering::Relaxed);
    counters.write_timeouts.store(2, Ordering::Relaxed);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "plugbay_connections_total{listener=\"public\"} 7",
        "plugbay_listener_breaches_total{listener=\"public\",kind=\"write-timeout\"} 2",
        "plugbay_connections_open{listener=\"public\"} 0",
        "plugbay_store_commits_total 0",
        "plugbay_store_writable 1",
        "# TYPE plugbay_store_flush_seconds counter",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    assert!(text.contains("plugbay_build_info{version="), "{text}");
}

#[tokio::test]
async fn an_export_larger_than_its_buffer_arrives_whole() {
    let store = memory();
    for number in 0..64_u32 {
        let op = Op::Put { key: format!("key {number:04}").into(), value: vec![7; 8 * 1024].into() };
        store.commit(Commit { ops: vec![op], ..Commit::default() }).await.unwrap();
    }
    let chunks: Vec<_> = super::export::chunks(store.clone()).try_collect().await.unwrap();
    assert!(chunks.len() > 1);
    let mut direct = Vec::new();
    store.export(&mut direct).await.unwrap();
    assert_eq!(chunks.concat(), direct);
}
