//! Commits against a model: the engine agrees with a few lines over an ordered map.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::conformance::{Factory, OnDisk, all};
use super::local::{Local, Memory};
use super::*;

const PREFIXES: [&str; 3] = ["a", "a/", "b"];

/// What a store should be, in the plainest way.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<Bytes, (Bytes, u64)>,
    counters: BTreeMap<Bytes, u64>,
    revision: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done(u64),
    Conflict(usize),
    Quota,
    Charge(usize),
}

impl Model {
    fn usage(&self, prefix: &[u8]) -> Usage {
        let under = self.entries.iter().filter(|(key, _)| key.starts_with(prefix));
        under.fold(Usage::default(), |sum, (key, (value, _))| Usage {
            bytes: sum.bytes + (key.len() + value.len()) as u64,
            keys: sum.keys + 1,
        })
    }

    fn commit(&mut self, commit: &Commit) -> Outcome {
        let version = |key: &Bytes| self.entries.get(key).map(|(_, version)| *version);
        if let Some(failed) = commit.checks.iter().position(|check| version(&check.key) != check.expect) {
            return Outcome::Conflict(failed);
        }
        let mut next = self.clone();
        next.revision += 1;
        let mut changed = !commit.charges.is_empty();
        for op in &commit.ops {
            match op {
                Op::Put { key, value } => {
                    next.entries.insert(key.clone(), (value.clone(), next.revision));
                    changed = true;
                }
                Op::Delete { key } => changed |= next.entries.remove(key).is_some(),
            }
        }
        if let Some(quota) = &commit.quota {
            let (before, after) = (self.usage(&quota.prefix), next.usage(&quota.prefix));
            let bytes = after.bytes > before.bytes && after.bytes > quota.max_bytes;
            if bytes || (after.keys > before.keys && after.keys > quota.max_keys) {
                return Outcome::Quota;
            }
        }
        for (position, charge) in commit.charges.iter().enumerate() {
            let value = next.counters.entry(charge.counter.clone()).or_default();
            *value = value.saturating_add_signed(charge.delta);
            if charge.delta > 0 && *value > charge.limit {
                return Outcome::Charge(position);
            }
        }
        if changed {
            *self = next;
        }
        Outcome::Done(self.revision)
    }
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "a/1", "a/2", "a/2/x", "b", "b1", "c"]).prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (key(), value()).prop_map(|(key, value)| Op::Put { key, value }),
        1 => key().prop_map(|key| Op::Delete { key }),
    ]
}

fn commit() -> impl Strategy<Value = Commit> {
    let check = (key(), prop::option::of(1u64..12)).prop_map(|(key, expect)| Check { key, expect });
    let ops = prop::collection::vec(op(), 0..4).prop_map(|mut ops| {
        ops.sort_by(|a, b| a.key().cmp(b.key()));
        ops.dedup_by(|a, b| a.key() == b.key());
        ops
    });
    let quota = (prop::sample::select(PREFIXES.to_vec()), 0u64..40, 0u64..4)
        .prop_map(|(prefix, max_bytes, max_keys)| Quota { prefix: prefix.into(), max_bytes, max_keys });
    let charge = (prop::sample::select(vec!["x", "y"]), -5i64..10, 0u64..20)
        .prop_map(|(counter, delta, limit)| Charge { counter: counter.into(), delta, limit });
    let checks = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(check, 0..3)];
    (checks, ops, prop::option::of(quota), prop::collection::vec(charge, 0..3))
        .prop_map(|(checks, ops, quota, charges)| Commit { checks, ops, quota, charges })
}

/// Hand in `group` at once, then compare everything.
async fn compare(store: &Store, model: &mut Model, group: &[Commit]) {
    let results = futures_util::future::join_all(group.iter().map(|commit| store.commit(commit.clone()))).await;
    for (commit, result) in group.iter().zip(results) {
        let outcome = match result {
            Ok(revision) => Outcome::Done(revision),
            Err(CommitError::Conflict(position)) => Outcome::Conflict(position),
            Err(CommitError::QuotaExceeded) => Outcome::Quota,
            Err(CommitError::ChargeExceeded(position)) => Outcome::Charge(position),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(outcome, model.commit(commit), "{commit:?}");
    }
    let entries: Vec<_> = all(store).await.into_iter().map(|entry| (entry.key, (entry.value, entry.version))).collect();
    assert_eq!(entries, model.entries.clone().into_iter().collect::<Vec<_>>());
    for prefix in PREFIXES {
        assert_eq!(store.usage(prefix.as_bytes()).await.unwrap(), model.usage(prefix.as_bytes()), "{prefix}");
    }
    for counter in ["x", "y"] {
        let wanted = model.counters.get(counter.as_bytes()).copied().unwrap_or(0);
        assert_eq!(store.counter(counter.as_bytes()).await.unwrap(), wanted);
    }
    assert_eq!(store.revision(), model.revision);
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_of_commits_do_what_the_model_does(
        groups in prop::collection::vec(prop::collection::vec(commit(), 1..5), 1..12)
    ) {
        run(async {
            let store = Store::new(Arc::new(Local::open(Memory::default()).unwrap()));
            let mut model = Model::default();
            for group in &groups {
                compare(&store, &mut model, group).await;
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sled_does_what_the_model_does_across_reopening(
        groups in prop::collection::vec(prop::collection::vec(commit(), 1..5), 1..6)
    ) {
        run(async {
            let factory = OnDisk::new();
            let mut model = Model::default();
            for group in &groups {
                let store = factory.open();
                compare(&store, &mut model, group).await;
                store.close().await.unwrap();
            }
        });
    }
}
