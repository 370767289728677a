//! The API by requests, natively.

use plugbay_sdk::testing::{TestAnswer, TestApp};
use serde_json::{Value, json};

use super::*;

fn put(app: &TestApp, id: &str, title: &str) -> TestAnswer {
    app.put(&format!("/notes/{id}")).user("ann", &["member"]).json(&json!({ "title": title })).send()
}

fn get(app: &TestApp, target: &str) -> TestAnswer {
    app.get(target).user("ann", &["member"]).send()
}

#[test]
fn a_note_is_created_replaced_and_shown_with_its_tag() {
    let app = TestApp::new(plugin);
    let made = put(&app, "a", "First").expect(201);
    assert_eq!(made.header("location"), Some("http://localhost/notes/a"));
    let replaced = put(&app, "a", " Second ").expect(200);
    assert_ne!(made.header("etag"), replaced.header("etag"));
    let shown = get(&app, "/notes/a").expect(200);
    assert_eq!(shown.header("etag"), replaced.header("etag"));
    assert_eq!(shown.json::<Note>(), Note { title: "Second".into(), text: String::new(), author: "ann".into() });
    get(&app, "/notes/b").expect(404);
}

#[test]
fn a_write_against_a_version_that_is_gone_is_refused() {
    let app = TestApp::new(plugin);
    let tag = put(&app, "a", "First").header("etag").unwrap().to_owned();
    let write = |field: &str, value: &str| {
        app.put("/notes/a").user("bob", &[]).header(field, value).json(&json!({ "title": "Mine" })).send().status
    };
    assert_eq!(write("If-None-Match", "*"), 412);
    assert_eq!(write("If-Match", &tag), 200);
    assert_eq!(write("If-Match", &tag), 412);
    let delete = |value: &str| app.delete("/notes/a").user("eve", &["editor"]).header("If-Match", value).send().status;
    assert_eq!(delete(&tag), 412);
    assert_eq!(delete("*"), 204);
    assert_eq!(delete("*"), 404);
    assert!(app.host().keys().is_empty());
}

#[test]
fn a_change_that_gets_in_between_is_seen_by_the_condition() {
    let app = TestApp::new(plugin);
    let tag = put(&app, "a", "First").header("etag").unwrap().to_owned();
    let other = Note { title: "Other".into(), text: String::new(), author: "bob".into() };
    app.host().before_next_commit(move |host| host.put_json("note/a", &other));
    let write = app.put("/notes/a").user("ann", &[]).header("If-Match", tag).json(&json!({ "title": "Mine" }));
    write.send().expect(412);
    assert_eq!(app.host().get_json::<Note>("note/a").unwrap().title, "Other");
}

#[test]
fn a_listing_goes_page_by_page_in_the_order_of_the_ids() {
    let app = TestApp::new(plugin);
    for id in ["d", "b", "a", "c", "e"] {
        put(&app, id, id).expect(201);
    }
    let mut ids = Vec::new();
    let mut target = Some("/notes?limit=2".to_owned());
    while let Some(next) = target {
        let page = get(&app, &next).expect(200).json::<Value>();
        let notes = page["notes"].as_array().unwrap();
        assert!(notes.len() <= 2);
        ids.extend(notes.iter().map(|note| note["id"].as_str().unwrap().to_owned()));
        target = page["next"].as_str().map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
    }
    assert_eq!(ids, ["a", "b", "c", "d", "e"]);
    get(&app, "/notes?limit=x").expect(400);
}

#[test]
fn who_may_do_what() {
    let app = TestApp::new(plugin);
    put(&app, "a", "First").expect(201);
    app.get("/notes").send().expect(401);
    app.delete("/notes/a").user("ann", &["member"]).send().expect(403);
    app.delete("/notes/a").user("eve", &["admin"]).send().expect(204);
}

#[test]
fn bad_notes_and_ids_are_refused_and_change_nothing() {
    let app = TestApp::new(plugin);
    put(&app, "a", " ").expect(422);
    put(&app, "a", "two\nlines").expect(422);
    put(&app, "a.b", "First").expect(404);
    app.put("/notes/a").user("ann", &[]).body("{\"title\":1}").send().expect(422);
    app.put("/notes/a").user("ann", &[]).body("{").send().expect(400);
    app.put("/notes/a").user("ann", &[]).body(vec![b' '; 64 * 1024 + 1]).send().expect(413);
    assert!(app.host().keys().is_empty());
}

#[test]
fn a_full_quota_and_a_failed_store_are_told_apart() {
    let app = TestApp::new(plugin);
    app.host().fail_next_commit(kv::Error::QuotaExceeded);
    put(&app, "a", "First").expect(507);
    app.host().fail_next_commit(kv::Error::Storage("disk".into()));
    put(&app, "a", "First").expect(503);
    app.host().fail_next_commit(kv::Error::Conflict(0));
    put(&app, "a", "First").expect(201);
}
