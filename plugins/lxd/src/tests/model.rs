//! Whatever happens, in the end the trust store has what is wanted, what is an administrator's, our credential, and nothing
//! else; and what an administrator added was never deleted by us.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::*;
use crate::outside::fake::{Held, Mode};

const CERTIFICATES: usize = 4;

#[derive(Debug, Clone)]
enum Event {
    /// A unit (relation and number) wants these.
    Write(usize, u32, Vec<usize>),
    Depart(usize, u32),
    Mode(Mode),
    /// An administrator adds or deletes.
    Add(usize),
    Delete(usize),
    /// Workers run, and may be killed.
    Run,
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let modes = prop::sample::select(vec![
        Mode::Up,
        Mode::Up,
        Mode::Down,
        Mode::Silent,
        Mode::Deaf,
        Mode::Errors(500, "sick"),
        Mode::RefusesChanges(503, "no quorum"),
        Mode::KilledBefore,
        Mode::KilledAfter,
    ]);
    let certificates = prop::collection::vec(0..CERTIFICATES, 0..3);
    prop_oneof![
        4 => (0..2_usize, 0..2_u32, certificates).prop_map(|(relation, unit, list)| Event::Write(relation, unit, list)),
        1 => (0..2_usize, 0..2_u32).prop_map(|(relation, unit)| Event::Depart(relation, unit)),
        2 => modes.prop_map(Event::Mode),
        1 => (0..CERTIFICATES).prop_map(Event::Add),
        1 => (0..CERTIFICATES).prop_map(Event::Delete),
        5 => Just(Event::Run),
        2 => (1..70_i64).prop_map(Event::Wait),
    ]
}

/// The workers of a host that may be killed at any POST; what it was doing is done again.
fn run(lab: &Lab) {
    let store = hex::encode([1; 32]);
    let job = plugbay_sdk::Job {
        id: "worker".into(),
        name: crate::converge::JOB.into(),
        attempt: 1,
        trigger: plugbay_sdk::Trigger::Enqueued,
        payload: store.into_bytes(),
    };
    let _ = catch_unwind(AssertUnwindSafe(|| lab.app.run(&job)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_history_ends_in_what_is_wanted(events in prop::collection::vec(event(), 1..40)) {
        let (lab, trust) = Lab::with_node();
        let relations = [lab.relation("one"), lab.relation("two")];
        let all: Vec<String> = (0..CERTIFICATES).map(|number| lab.maker.pem(&format!("c{number}"))).collect();
        let mut theirs: BTreeSet<String> = BTreeSet::new();
        let mut wanted: BTreeMap<(usize, u32), Vec<usize>> = BTreeMap::new();
        for event in events {
            match event {
                Event::Write(relation, unit, list) => {
                    lab.as_operator("PUT", &format!("/v1/relations/{}/units/{unit}", relations[relation])).send();
                    let texts: Vec<&str> = list.iter().map(|at| all[*at].as_str()).collect();
                    lab.write(&relations[relation], unit, &texts).expect(200);
                    wanted.insert((relation, unit), list);
                }
                Event::Depart(relation, unit) => {
                    lab.as_operator("DELETE", &format!("/v1/relations/{}/units/{unit}", relations[relation])).send();
                    wanted.remove(&(relation, unit));
                }
                Event::Mode(mode) => lab.world.mode(&endpoint("a"), mode),
                Event::Add(at) => {
                    let held = Held { name: "by hand".into(), kind: "client".into(), restricted: false, projects: vec![], der: der(&all[at]) };
                    trust.borrow_mut().insert(fingerprint(&all[at]), held);
                    theirs.insert(fingerprint(&all[at]));
                }
                Event::Delete(at) => {
                    trust.borrow_mut().remove(&fingerprint(&all[at]));
                    theirs.remove(&fingerprint(&all[at]));
                }
                Event::Run => run(&lab),
                Event::Wait(seconds) => lab.world.pass(seconds),
            }
            prop_assert!(theirs.iter().all(|known| trust.borrow().contains_key(known)));
        }
        lab.world.mode(&endpoint("a"), Mode::Up);
        for _ in 0..4 {
            lab.world.pass(61);
            run(&lab);
        }
        let desired: BTreeSet<String> = wanted.values().flatten().map(|at| fingerprint(&all[*at])).collect();
        let mut expected: BTreeSet<String> = desired.union(&theirs).cloned().collect();
        expected.insert(fingerprint(&lab.own));
        prop_assert_eq!(trust.borrow().keys().cloned().collect::<BTreeSet<_>>(), expected);
        for (number, relation) in relations.iter().enumerate() {
            let mine = wanted.iter().filter(|((known, _), _)| *known == number);
            let mine: BTreeSet<String> = mine.flat_map(|(_, list)| list).map(|at| fingerprint(&all[*at])).collect();
            prop_assert_eq!(lab.trusted(relation)[0].1.iter().cloned().collect::<BTreeSet<_>>(), mine);
        }
        let marks = lab.host().keys().into_iter().filter(|key| key.starts_with("todo/") || key.starts_with("touch/"));
        prop_assert_eq!(marks.count(), 0);
    }
}
