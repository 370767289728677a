//! The crate as a plugin author uses it: plugins on the host in memory.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::prelude::*;
use crate::testing::{Host, TestApp};
use crate::{BlobRange, FileRange, ReceiveError, crypto, identity, jobs};

const PIECE: u64 = 4096;

fn one(route: Route, handler: impl Fn(&Request, Params) -> Result<Answer, Problem> + 'static) -> Plugin {
    Plugin::new("1").surface(Surface::new("main").route(route, handler))
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    List,
    Show,
    Copy,
}

const TABLE: &[(Op, Route)] = &[
    (Op::List, Route::get("/images", "image-list").open()),
    (Op::Show, Route::get("/images/{id}", "image-show")),
    (Op::Copy, Route::new("COPY", "/images/{id}", "image-copy").rule("admin")),
];

fn by_table() -> Plugin {
    Plugin::new("1").access_rule("admin", &["root", "boss"]).surface(
        Surface::new("main").header("X-Api", "1").optional_trailing_slash().table(
            TABLE,
            |op, request, params| match op {
                Op::List => Answer::text(200, "list"),
                Op::Show => Answer::text(200, params.get("id")),
                Op::Copy => Answer::text(200, &*request.method),
            },
        ),
    )
}

#[test]
fn a_table_is_both_what_is_described_and_what_is_dispatched() {
    let app = TestApp::new(by_table);
    let routes = &app.descriptor().surfaces[0].routes;
    assert_eq!(routes.len(), TABLE.len());
    assert_eq!(routes[2].method, "COPY");
    assert_eq!(app.get("/images").send().expect(200).text(), "list");
    assert_eq!(app.get("/images/").send().expect(200).text(), "list");
    assert_eq!(app.get("/images/a%20b").user("u", &[]).send().expect(200).text(), "a b");
    assert_eq!(app.request("COPY", "/images/x").user("u", &["boss"]).send().expect(200).text(), "COPY");
}

#[test]
fn an_optional_slash_goes_before_the_rest_of_another_route() {
    let app = TestApp::new(|| {
        let surface = Surface::new("main").optional_trailing_slash();
        let surface = surface.route(Route::get("/images/{id}", "show").open(), |_: &Request, params: Params| {
            Answer::text(200, params.get("id"))
        });
        let rest = Route::get("/{*rest}", "rest").open();
        Plugin::new("1").surface(surface.route(rest, |_: &Request, _: Params| Answer::text(200, "the rest")))
    });
    assert_eq!(app.get("/images/a/").send().text(), "a");
    assert_eq!(app.get("/images/a/b/").send().text(), "the rest");
    assert_eq!(app.get("/").send().text(), "the rest");
}

#[test]
fn the_host_answers_what_never_reaches_the_plugin() {
    let app = TestApp::new(by_table);
    assert_eq!(app.get("/images/x").send().expect(401).header("x-api"), Some("1"));
    app.request("COPY", "/images/x").user("u", &["member"]).send().expect(403);
    app.get("/nothing").send().expect(404);
    app.get("/images").body("surprise").send().expect(413);
    assert_eq!(app.put("/images/x").send().expect(405).header("allow"), Some("COPY, GET, HEAD, OPTIONS"));
    assert_eq!(app.request("OPTIONS", "/images").send().expect(204).header("allow"), Some("GET, HEAD, OPTIONS"));
    assert!(app.head("/images").send().expect(200).body.is_empty());
}

#[test]
#[should_panic(expected = "there is no rule `owner`")]
fn a_descriptor_that_a_host_refuses_fails_the_test() {
    TestApp::new(|| one(Route::get("/", "root").rule("owner"), |_, _| Ok(Answer::new(204))));
}

#[test]
#[should_panic(expected = "does not export `resume`")]
fn a_resumable_route_has_to_be_exported() {
    uploads().describe(crate::Exports { resume: false, jobs: true });
}

#[test]
fn bodies_that_are_not_json_and_bodies_of_another_shape_are_told_apart() {
    let app = TestApp::new(|| {
        one(Route::post("/", "add").open().buffered(100), |request, _| {
            Ok(Answer::json(200, &request.json::<Vec<u8>>()?))
        })
    });
    app.post("/").body("[1").send().expect(400);
    let answer = app.post("/").body("{}").send().expect(422);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem: serde_json::Value = answer.json();
    assert_eq!((&problem["title"], &problem["type"]), (&"Unprocessable Content".into(), &"about:blank".into()));
    assert_eq!(app.post("/").json(&[1, 2]).send().expect(200).json::<Vec<u8>>(), [1, 2]);
}

#[test]
fn the_base_url_is_the_public_one_or_made_of_what_the_client_used() {
    let app =
        TestApp::new(|| one(Route::get("/", "root").open(), |request, _| Ok(Answer::text(200, request.url("/x")))));
    let made = app.get("/").https().authority("api.example:8443").prefix("/v1").send();
    assert_eq!(made.text(), "https://api.example:8443/v1/x");
    assert_eq!(app.get("/").public_url("https://public.example/p").send().text(), "https://public.example/p/x");
}

#[test]
fn what_went_wrong_inside_is_logged_and_not_sent() {
    let app = TestApp::new(|| one(Route::get("/", "root").open(), |_, _| Err(Problem::internal("the secret cause"))));
    let answer = app.get("/").send().expect(500);
    assert!(!answer.text().contains("secret"));
    assert!(app.host().log().iter().any(|(_, line)| line.contains("secret")));
}

#[test]
fn a_transaction_runs_again_on_what_another_commit_left() {
    let host = Host::new();
    host.install();
    host.put("n", "1");
    host.before_next_commit(|host| host.put("n", "10"));
    let runs = Cell::new(0);
    let done = kv::transact(|tx| {
        runs.set(runs.get() + 1);
        let old = tx.get_json::<u32>("n")?.map_or(0, |stored| stored.value);
        tx.put_json("n", &(old + 1))?;
        Ok::<_, kv::Error>(old)
    })
    .unwrap();
    assert_eq!((runs.get(), done.value, host.get_json::<u32>("n")), (2, 10, Some(11)));
    assert_eq!(host.version("n"), Some(done.version));
}

#[test]
fn a_transaction_gives_up_after_64_conflicts_and_writes_nothing() {
    let host = Host::new();
    host.install();
    for _ in 0..64 {
        host.fail_next_commit(kv::Error::Conflict(0));
    }
    let runs = Cell::new(0);
    let add = || {
        kv::transact(|tx| {
            runs.set(runs.get() + 1);
            tx.put("k", "v");
            Ok::<_, kv::Error>(())
        })
    };
    assert_eq!(add().unwrap_err(), kv::Error::Conflict(0));
    assert_eq!((runs.get(), host.get("k")), (64, None));
    add().unwrap();
    assert_eq!(host.get("k").unwrap(), b"v");
}

#[test]
fn other_errors_of_a_commit_are_not_retried() {
    let host = Host::new();
    host.install();
    host.fail_next_commit(kv::Error::Storage("disk".to_owned()));
    let error = kv::transact(|tx| {
        tx.put("k", "v");
        Ok::<_, Problem>(())
    });
    assert_eq!(error.unwrap_err().status(), 503);
    assert_eq!(host.get("k"), None);
}

#[test]
fn the_last_of_several_writes_to_a_key_counts() {
    Host::new().install();
    let mut tx = kv::Transaction::new();
    tx.put("a", "1").delete("b").put("b", "2").put("a", "3").delete("a");
    tx.commit().unwrap();
    assert_eq!(Host::current().keys(), ["b"]);
}

#[test]
fn a_scan_goes_through_every_page_in_both_directions() {
    let host = Host::new();
    host.install();
    let keys: Vec<String> = (0..700).map(|n| format!("k/{n:04}")).collect();
    for key in &keys {
        // Over 1 MiB in all, so that pages end by size too.
        host.put(key, vec![0; 8000]);
    }
    host.put("l", "another");
    let read = |scan: kv::Scan| scan.iter().map(|entry| entry.unwrap().key).collect::<Vec<_>>();
    assert_eq!(read(kv::prefix("k/")), keys);
    assert_eq!(read(kv::prefix("k/").reverse()), keys.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(read(kv::prefix("k/").after("k/0697")), ["k/0698", "k/0699"]);
    assert_eq!(read(kv::prefix("k/").reverse().after("k/0002")), ["k/0001", "k/0000"]);
    assert_eq!(kv::prefix("k/").limit(3).page().unwrap().entries.len(), 3);
}

#[derive(Serialize, Deserialize)]
struct Upload {
    name: String,
}

fn uploads() -> Plugin {
    Plugin::new("1").surface(
        Surface::new("main")
            .resumable(
                Route::put("/objects/{name}", "object-put").open().staged(),
                |_, params| {
                    let receive = Receive::up_to(3 * PIECE).pieces_of(PIECE).trim(0);
                    let receive = receive.piece_digests([DigestAlgorithm::Sha256]).body_digests([DigestAlgorithm::Md5]);
                    receive.then(&Upload { name: params.get("name").to_owned() })
                },
                |_, _, upload: Upload, event| {
                    let received = event.received()?;
                    let pieces = received.pieces.iter().map(Piece::range).collect::<Vec<_>>();
                    let whole = blobs::concat(&pieces, &[])?;
                    kv::transact(|tx| {
                        tx.attach(&*upload.name, &whole);
                        tx.put("size", received.size.to_string());
                        Ok::<_, Problem>(())
                    })?;
                    Ok::<_, Problem>(Answer::new(201).header("etag", crypto::hex(&received.digests[0])))
                },
            )
            .route(Route::get("/objects/{name}", "object-get").open(), |_: &Request, params: Params| {
                Answer::new(200).blob(params.get("name")).segment(Segment::Zeros(2))
            }),
    )
}

#[test]
fn a_body_is_received_in_pieces_and_attached_by_a_commit() {
    let app = TestApp::new(uploads);
    let body = [[1u8; PIECE as usize].as_slice(), &[2, 0, 0]].concat();
    let put = app.put("/objects/a").body(body.clone()).send().expect(201);
    assert_eq!(put.header("etag").unwrap(), crypto::hex(&crypto::md5(&body).unwrap()));
    assert_eq!(app.host().blobs(), ["a"]);
    assert_eq!(app.get("/objects/a").send().expect(200).body, [body.as_slice(), &[0, 0]].concat());
}

#[test]
fn a_file_is_made_of_segments_and_a_piece_of_a_file() {
    let host = Host::new();
    host.install();
    host.put_blob("a", "0123456789");
    let segments = [Segment::Blob(BlobRange::part("a", 2, 3)), Segment::Zeros(1), Segment::Bytes(b"x".to_vec())];
    assert_eq!(blobs::to_file(&segments, "folder/file", 0o400), Ok(5));
    assert_eq!(host.file("folder/file").unwrap(), b"234\0x");
    let piece = blobs::from_file(&FileRange::part("folder/file", 1, 2), &[]).unwrap();
    assert_eq!(blobs::read(&piece.range()).unwrap(), b"34");
    assert!(matches!(blobs::from_file(&FileRange::part("folder/file", 4, 2), &[]), Err(blobs::Error::Invalid(_))));
    assert_eq!(blobs::from_file(&FileRange::whole("none"), &[]), Err(blobs::Error::NotFound));
    for (path, mode) in [("../file", 0o600), ("/file", 0o600), ("file", 0o700)] {
        assert!(matches!(blobs::to_file(&segments, path, mode), Err(blobs::Error::Invalid(_))), "{path} {mode:o}");
    }
}

#[test]
fn what_was_received_and_not_attached_is_gone() {
    let app = TestApp::new(uploads);
    app.host().fail_next_commit(kv::Error::QuotaExceeded);
    app.put("/objects/a").body("x").send().expect(507);
    assert!(app.host().blobs().is_empty());
    app.put("/objects/a").body(vec![0; 3 * 4096 + 1]).send().expect(413);
    app.put("/objects/a").body("x").cut_off().send().expect(400);
    assert_eq!(Problem::from(ReceiveError::Storage("disk".into())).status(), 503);
}

#[test]
fn trailing_bytes_are_trimmed_from_the_digests_of_pieces_only() {
    let seen = Rc::new(Cell::new(None));
    let sink = Rc::clone(&seen);
    let app = TestApp::new(move || {
        Plugin::new("1").surface(Surface::new("main").resumable(
            Route::put("/", "put").open().staged(),
            |_, _| {
                let receive = Receive::up_to(100).trim(0).piece_digests([DigestAlgorithm::Sha256]);
                receive.body_digests([DigestAlgorithm::Sha256]).then(&())
            },
            move |_, _, (): (), event| sink.set(event.received().ok()),
        ))
    });
    app.put("/").body([7, 0, 0]).send().expect(204);
    let received = seen.take().unwrap();
    assert_eq!(received.pieces[0].digests[0], crypto::sha256(&[7]).unwrap());
    assert_eq!(received.digests[0], crypto::sha256(&[7, 0, 0]).unwrap());
}

fn waiting() -> Plugin {
    Plugin::new("1").surface(
        Surface::new("main")
            .resumable(
                Route::get("/state", "state").open(),
                |request, _| {
                    let seen = request.query().parse::<u64>("seen")?;
                    Park::new(Duration::from_secs(30)).key("state", seen).then(&1)
                },
                |_, _, _: u8, event| match event {
                    Event::Woken => Answer::text(200, "changed"),
                    _ => Answer::text(200, "the same"),
                },
            )
            .route(Route::get("/ready", "ready").open(), |_: &Request, _: Params| {
                match kv::get("ready")? {
                    Some(_) => Ok(Answer::text(200, "ready").into_step()),
                    None => Ok(Park::new(Duration::from_secs(1)).prefix("rea", 0).again()),
                }
                .map_err(|error: kv::Error| Problem::from(error))
            }),
    )
}

#[test]
fn a_parked_request_wakes_when_a_key_is_past_what_was_seen() {
    let app = TestApp::new(waiting);
    let version = app.host().put("state", "1");
    let target = format!("/state?seen={version}");
    assert_eq!(app.get(&target).send().text(), "the same");
    assert_eq!(app.get(&target).while_parked(|host| host.put("state", "2")).send().text(), "changed");
    assert_eq!(app.get(&target).send().text(), "changed");
    assert_eq!(app.get("/ready").while_parked(|host| host.put("ready", "")).send().text(), "ready");
}

#[test]
fn more_goes_on_until_done_and_the_first_head_counts() {
    let app = TestApp::new(|| {
        let more = |left: u32| More::new().head(Head::new(206)).bytes(left.to_string()).then(&left);
        Plugin::new("1").surface(Surface::new("main").resumable(
            Route::get("/", "count").open(),
            move |_, _| more(3),
            move |_, _, left: u32, _| if left == 0 { Ok(Answer::new(500).into_step()) } else { more(left - 1) },
        ))
    });
    let answer = app.get("/").send().expect(206);
    assert_eq!(answer.text(), "3210");
}

#[test]
fn jobs_are_enqueued_with_the_write_and_run_with_their_payload() {
    let app = TestApp::new(|| {
        let plugin = one(Route::post("/", "add").open(), |_, _| {
            let saved = kv::transact(|tx| {
                tx.enqueue(NewJob::named("count").key("one").json(&5)?);
                Ok::<_, Problem>(())
            })?;
            Ok(Answer::new(202).etag(saved.version))
        });
        plugin
            .job("count", |job: &Job| {
                let by: u32 = job.json()?;
                if job.attempt == 1 { Ok(Outcome::Failed("not yet".into())) } else { count(by).map(|()| Outcome::Done) }
            })
            .every("tidy", 60, JobScope::Shared, |_: &Job| count(1))
            .on_upgrade(|from, _: &Job| count(from * 100))
    });
    app.post("/").send().expect(202);
    assert_eq!(app.run_jobs(), [("count".to_owned(), Outcome::Failed("not yet".into()))]);
    assert_eq!(jobs::pending(Some("one"), 9).unwrap()[0].last_error.as_deref(), Some("not yet"));
    assert_eq!(app.run_jobs(), [("count".to_owned(), Outcome::Done)]);
    assert!(app.run_jobs().is_empty() && app.host().jobs().is_empty());
    assert_eq!(app.run_periodic("tidy"), Outcome::Done);
    assert_eq!(app.run_upgrade(2), Outcome::Done);
    assert_eq!(app.run_start(), Outcome::Done);
    assert_eq!(app.host().get_json::<u32>("count"), Some(206));
}

fn count(by: u32) -> Result<(), kv::Error> {
    kv::transact(|tx| {
        let old = tx.get_json::<u32>("count")?.map_or(0, |stored| stored.value);
        tx.put_json("count", &(old + by)).map(drop)
    })
    .map(drop)
}

#[test]
fn rules_are_asked_about_the_caller_of_the_request() {
    let app = TestApp::new(|| {
        let plugin =
            one(Route::get("/", "root").plugin_decides(), |_, _| Ok(Answer::json(200, &identity::allowed("a")?)));
        plugin.access_rule("a", &["admin"])
    });
    assert!(app.get("/").user("u", &["admin"]).send().json::<bool>());
    assert!(!app.get("/").user("u", &["x"]).send().json::<bool>());
    assert!(!app.get("/").caller(Caller::Rejected("old".into())).send().json::<bool>());
}

#[test]
fn capabilities_are_denied_while_the_plugin_describes_itself() {
    TestApp::new(|| {
        assert_eq!(kv::get("a").unwrap_err(), kv::Error::Denied);
        assert_eq!(config::all(), "{}");
        by_table()
    });
}

#[test]
fn a_sealed_message_opens_with_its_context_only() {
    Host::new().install();
    crypto::ensure_key("k", crypto::KeyKind::Sealing).unwrap();
    let sealed = crypto::seal("k", b"ctx", b"plain").unwrap();
    assert_eq!(crypto::open("k", b"ctx", &sealed).unwrap(), b"plain");
    assert_eq!(crypto::open("k", b"other", &sealed).unwrap_err(), crypto::Error::NotAuthentic);
    assert_eq!(crypto::sign("k", b"m").unwrap_err(), crypto::Error::Invalid("the key `k` is of another kind".into()));
}

#[test]
fn settings_are_read_as_a_type() {
    #[derive(Deserialize)]
    struct Settings {
        #[serde(default)]
        limit: u32,
    }
    let host = Host::new();
    host.install();
    assert_eq!(config::load::<Settings>().unwrap().limit, 0);
    host.set_config(&serde_json::json!({ "limit": 7 }));
    assert_eq!(config::load::<Settings>().unwrap().limit, 7);
    host.set_config(&serde_json::json!({ "limit": "many" }));
    assert!(config::load::<Settings>().is_err());
}
