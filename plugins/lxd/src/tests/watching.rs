//! Entity tags, long polls, event streams, and writers that wait: sections 3.2 and 3.4.

use serde_json::{Value, json};

use super::*;

fn data(relation: &str) -> String {
    format!("/v1/relations/{relation}/provider/data")
}

#[test]
fn a_poll_without_the_current_tag_is_answered_at_once() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let target = format!("{}?wait=30", data(&relation));
    let first = lab.as_operator("GET", &target).while_parked(|_| panic!("it waits")).send().expect(200);
    lab.as_operator("GET", &target).header("if-none-match", "\"other\"").send().expect(200);
    lab.as_operator("GET", &format!("{}?wait=soon", data(&relation))).send().expect(400);
    lab.as_operator("HEAD", &data(&relation)).send().expect(200);
    assert!(first.header("etag").is_some());
}

#[test]
fn a_poll_wakes_when_a_certificate_was_confirmed_and_else_is_a_304() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    let target = format!("{}?wait=30", data(&relation));
    let tag = lab.as_operator("GET", &target).send().expect(200).header("etag").unwrap().to_owned();
    lab.as_operator("GET", &target).header("if-none-match", tag.clone()).send().expect(304);
    lab.write(&relation, 0, &[&certificate]).expect(200);
    let woken = lab.as_operator("GET", &target).header("if-none-match", tag.clone()).while_parked(|_| lab.run()).send();
    assert_ne!(woken.expect(200).header("etag"), Some(tag.as_str()));
}

#[test]
fn writing_the_same_bag_again_wakes_nobody() {
    let (lab, _) = Lab::with_node();
    let (relation, certificate) = lab.wanted();
    let seen = lab.host().version(&format!("pub/{relation}"));
    lab.write(&relation, 0, &[&certificate]).expect(200);
    lab.later();
    assert_eq!(lab.host().version(&format!("pub/{relation}")), seen);
}

#[test]
fn a_poll_on_a_relation_that_breaks_ends_with_410() {
    let (lab, _) = Lab::with_node();
    let (relation, token) = lab.relation_with_token("app");
    let target = format!("{}?wait=30", data(&relation));
    let tag = lab.as_operator("GET", &target).send().expect(200).header("etag").unwrap().to_owned();
    let breaking = || lab.as_operator("DELETE", &format!("/v1/relations/{relation}")).send().expect(204);
    lab.app
        .get(&target)
        .header("authorization", format!("Bearer {token}"))
        .header("if-none-match", tag)
        .while_parked(|_| breaking())
        .send()
        .expect(410);
    lab.as_operator("DELETE", &format!("/v1/relations/{relation}")).send().expect(410);
}

/// Break a relation off before each of the reads that waiting for its bag takes, in turn, until there is none left.
/// Whoever waits all the same has to be woken at once.
fn broken_before_each_read(waiting: impl for<'a> Fn(&'a Lab, &str) -> TestRequest<'a>) {
    for others in 0.. {
        let (lab, _) = Lab::with_node();
        let (relation, token) = lab.relation_with_token("app");
        let waiting = waiting(&lab, &relation).header("authorization", format!("Bearer {token}"));
        let (other, target) = (lab.restart(), format!("/v1/relations/{relation}"));
        let broken = Rc::new(Cell::new(false));
        let tell = broken.clone();
        lab.host().before_read(others, move |_| {
            tell.set(true);
            other.request("DELETE", &target).user("ops", &["operator"]).send().expect(204);
        });
        waiting.while_parked(|_| assert!(!broken.get(), "not woken: broken off after {others} reads")).send();
        if !broken.get() {
            assert!(others > 2, "there was hardly a read to get in between");
            return;
        }
    }
}

#[test]
fn a_poll_does_not_miss_a_relation_that_breaks_while_it_is_looked_at() {
    broken_before_each_read(|lab, relation| {
        let tag = lab.as_operator("GET", &data(relation)).send().expect(200).header("etag").unwrap().to_owned();
        lab.app.get(&format!("{}?wait=30", data(relation))).header("if-none-match", tag)
    });
}

#[test]
fn an_event_stream_does_not_miss_a_relation_that_breaks_while_it_is_looked_at() {
    broken_before_each_read(|lab, relation| lab.app.get(&format!("/v1/relations/{relation}/provider/events")));
}

#[test]
fn a_writer_does_not_miss_a_relation_that_breaks_while_it_is_looked_at() {
    broken_before_each_read(|lab, relation| {
        let bag = json!({"client_certificates": json!([lab.maker.pem("c")]).to_string()});
        let target = format!("/v1/relations/{relation}/units/0/data");
        lab.app.request("PUT", &target).header("prefer", "wait=5").json(&bag)
    });
}

#[test]
fn an_event_stream_tells_each_change_and_the_end() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let target = format!("/v1/relations/{relation}/provider/events");
    let breaking = || lab.as_operator("DELETE", &format!("/v1/relations/{relation}")).send().expect(204);
    let tag = lab.as_operator("GET", &data(&relation)).send().expect(200).header("etag").unwrap().to_owned();
    let stream = lab.as_operator("GET", &target).while_parked(|_| breaking()).send().expect(200);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let text = stream.text();
    assert!(text.starts_with(&format!("id: {tag}\nevent: changed\ndata: {{")), "{text}");
    assert!(text.ends_with("event: broken\ndata: {}\n\n"), "{text}");
}

#[test]
fn an_event_stream_is_taken_up_where_it_was_left_and_has_an_end() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let tag = lab.as_operator("GET", &data(&relation)).send().expect(200).header("etag").unwrap().to_owned();
    let target = format!("/v1/relations/{relation}/provider/events");
    let stream = lab.as_operator("GET", &target).header("last-event-id", tag).send().expect(200);
    assert!(!stream.text().contains("event:"));
}

#[test]
fn a_writer_that_waits_is_told_what_is_pending() {
    let (lab, _) = Lab::with_node();
    let relation = lab.relation("app");
    let certificate = lab.maker.pem("c");
    let write = |certificates: &[&String], run: bool| {
        let list = serde_json::to_string(certificates).unwrap();
        let request = lab
            .as_operator("PUT", &format!("/v1/relations/{relation}/units/0/data"))
            .header("prefer", "wait=5")
            .json(&json!({"client_certificates": list}));
        let request = if run { request.while_parked(|_| lab.run()) } else { request };
        request.send().expect(200)
    };
    let waited = write(&[&certificate], true);
    assert_eq!(waited.json::<Value>()["pending"], json!([]));
    assert_eq!(waited.header("preference-applied"), Some("wait=5"));
    let other = lab.maker.pem("other");
    let body: Value = write(&[&certificate, &other], false).json();
    assert_eq!(body["pending"], json!([{"node": "a", "fingerprint": fingerprint(&other)}]));
}
