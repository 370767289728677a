//! What is ours and what is not: sections 1.6 and 3.6.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;

use super::*;
use crate::outside::fake::{Held, Mode};

fn held(name: &str, certificate: &str) -> Held {
    Held { name: name.into(), kind: "client".into(), restricted: false, projects: vec![], der: der(certificate) }
}

#[test]
fn what_was_there_before_is_trusted_and_never_deleted() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let (listed, meanwhile) = (lab.maker.pem("listed"), lab.maker.pem("meanwhile"));
    trust.borrow_mut().insert(fingerprint(&listed), held("by hand", &listed));
    lab.write(&relation, 0, &[&listed]).expect(200);
    lab.later();
    // Added by somebody else after the listing: the POST finds it.
    trust.borrow_mut().insert(fingerprint(&meanwhile), held("by hand", &meanwhile));
    lab.write(&relation, 0, &[&listed, &meanwhile]).expect(200);
    lab.run();
    assert_eq!(lab.trusted(&relation)[0].1.len(), 2);
    assert_eq!(lab.state(&listed, "a")["owned"], false);
    assert_eq!(lab.state(&meanwhile, "a")["owned"], false);
    lab.as_operator("DELETE", &format!("/v1/relations/{relation}")).send().expect(204);
    lab.later();
    assert!(
        trust.borrow().contains_key(&fingerprint(&listed)) && trust.borrow().contains_key(&fingerprint(&meanwhile))
    );
    assert!(!lab.world.log(&endpoint("a")).iter().any(|line| line.starts_with("DELETE")));
}

#[test]
fn our_own_credential_is_trusted_and_never_deleted() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    lab.write(&relation, 0, &[&lab.own.clone()]).expect(200);
    lab.run();
    assert_eq!(lab.trusted(&relation)[0].1, [fingerprint(&lab.own)]);
    lab.write(&relation, 0, &[]).expect(200);
    lab.later();
    assert!(trust.borrow().contains_key(&fingerprint(&lab.own)));
    let log = lab.world.log(&endpoint("a"));
    assert!(!log.iter().any(|line| line.starts_with("DELETE") || line.starts_with("POST")), "{log:?}");
}

/// A node, and a relation whose certificate was on its way there when the host was killed.
fn killed(mode: Mode) -> (Lab, Trust, String, String) {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    lab.write(&relation, 0, &[&certificate]).expect(200);
    lab.world.mode(&endpoint("a"), mode);
    let run = catch_unwind(AssertUnwindSafe(|| lab.app.run_jobs()));
    assert!(run.is_err(), "the host was to be killed");
    lab.world.mode(&endpoint("a"), Mode::Up);
    (lab, trust, relation, certificate)
}

/// A job that was running when its host was killed runs again.
fn again(lab: &Lab) -> TestApp {
    let app = lab.restart();
    for (status, _) in lab.host().jobs() {
        let store = status.key.clone().unwrap();
        app.run(&plugbay_sdk::Job {
            id: status.id,
            name: status.name,
            attempt: 2,
            trigger: plugbay_sdk::Trigger::Enqueued,
            payload: store.into_bytes(),
        });
    }
    app
}

#[test]
fn a_host_killed_before_the_post_posts_after_its_restart() {
    let (lab, trust, _, certificate) = killed(Mode::KilledBefore);
    again(&lab);
    assert!(trust.borrow().contains_key(&fingerprint(&certificate)));
    assert_eq!(lab.state(&certificate, "a")["owned"], true);
}

#[test]
fn a_host_killed_after_the_post_knows_its_entry_by_the_intents_name() {
    let (lab, trust, relation, certificate) = killed(Mode::KilledAfter);
    again(&lab);
    assert_eq!(lab.state(&certificate, "a")["owned"], true);
    assert_eq!(lab.registered(&relation).len(), 1);
    lab.as_operator("DELETE", &format!("/v1/relations/{relation}")).send().expect(202);
    again(&lab);
    assert!(!trust.borrow().contains_key(&fingerprint(&certificate)));
}

#[test]
fn an_intent_that_somebody_else_fulfilled_makes_nothing_ours() {
    let (lab, trust, _, certificate) = killed(Mode::KilledBefore);
    trust.borrow_mut().insert(fingerprint(&certificate), held("by hand", &certificate));
    again(&lab);
    assert_eq!(lab.state(&certificate, "a")["owned"], false);
}

#[test]
fn an_intent_that_is_wanted_no_more_is_settled_by_its_name() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let (ours, theirs) = (lab.maker.pem("ours"), lab.maker.pem("theirs"));
    for (certificate, mode) in [(&ours, Mode::KilledAfter), (&theirs, Mode::KilledBefore)] {
        lab.write(&relation, 0, &[certificate]).expect(200);
        lab.world.mode(&endpoint("a"), mode);
        let app = lab.restart();
        let store = hex::encode([1; 32]);
        let job = plugbay_sdk::Job {
            id: "again".into(),
            name: crate::converge::JOB.into(),
            attempt: 1,
            trigger: plugbay_sdk::Trigger::Enqueued,
            payload: store.into_bytes(),
        };
        assert!(catch_unwind(AssertUnwindSafe(|| app.run(&job))).is_err());
        lab.world.mode(&endpoint("a"), Mode::Up);
        if *certificate == theirs {
            trust.borrow_mut().insert(fingerprint(&theirs), held("by hand", &theirs));
        }
        lab.write(&relation, 0, &[]).expect(200);
        app.run(&job);
    }
    assert!(!trust.borrow().contains_key(&fingerprint(&ours)));
    assert!(trust.borrow().contains_key(&fingerprint(&theirs)));
}

#[test]
fn entries_of_other_types_are_let_be() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let member = lab.maker.pem("member");
    let entry = Held { kind: "server".to_owned(), ..held("member", &member) };
    trust.borrow_mut().insert(fingerprint(&member), entry);
    lab.write(&relation, 0, &[&member]).expect(200);
    lab.later();
    assert_eq!(lab.trusted(&relation)[0].1, Vec::<String>::new());
    assert_eq!(lab.state(&member, "a")["error"]["code"], "other_type");
    lab.write(&relation, 0, &[]).expect(200);
    lab.later();
    assert!(trust.borrow().contains_key(&fingerprint(&member)));
    assert_eq!(lab.get("/v1/certificates"), json!([]));
}

#[test]
fn what_is_wanted_again_before_it_was_deleted_stays_ours() {
    let (lab, trust) = Lab::with_node();
    let (relation, certificate) = lab.wanted();
    lab.world.mode(&endpoint("a"), Mode::RefusesChanges(500, "busy"));
    lab.write(&relation, 0, &[]).expect(200);
    lab.run();
    lab.write(&relation, 0, &[&certificate]).expect(200);
    lab.world.mode(&endpoint("a"), Mode::Up);
    lab.later();
    assert_eq!(lab.state(&certificate, "a")["owned"], true);
    lab.write(&relation, 0, &[]).expect(200);
    lab.later();
    assert_eq!(trust.borrow().len(), 1);
}

#[test]
fn an_entry_that_somebody_put_in_the_place_of_ours_is_theirs() {
    let (lab, trust) = Lab::with_node();
    let relation = lab.relation("app");
    let (seen, unseen) = (lab.maker.pem("seen"), lab.maker.pem("unseen"));
    lab.write(&relation, 0, &[&seen, &unseen]).expect(200);
    lab.run();
    trust.borrow_mut().insert(fingerprint(&seen), held("by hand", &seen));
    lab.later();
    assert_eq!(lab.state(&seen, "a")["owned"], false);
    // No listing comes between this and the removal.
    trust.borrow_mut().insert(fingerprint(&unseen), held("by hand", &unseen));
    lab.write(&relation, 0, &[]).expect(200);
    lab.later();
    assert_eq!(trust.borrow().len(), 3);
    assert_eq!(lab.get("/v1/certificates"), json!([]));
}
