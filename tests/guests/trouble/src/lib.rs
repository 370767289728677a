//! A guest of the end-to-end tests: everything a plugin can do to its host, one route each.
//!
//! Its schema, and the label it answers with, are in a marker that tests change in the component's
//! bytes, so that one build gives any number of versions.
#![expect(clippy::panic, reason = "panicking is what some of its routes are for")]

use std::hint::black_box;
use std::time::Duration;

use plugbay_sdk::jobs;
use plugbay_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// `schema=NNN label=NNN`, three digits each.
static MARKER: [u8; 20] = *b"schema=001 label=001";

fn number_at(start: usize) -> u32 {
    let marker = black_box(&MARKER);
    marker.iter().skip(start).take(3).fold(0, |number, digit| number * 10 + u32::from(digit.wrapping_sub(b'0')))
}

fn plugin() -> Plugin {
    let label = number_at(17);
    if label == 666 {
        panic!("described to death");
    }
    let main = Surface::new("main")
        .route(Route::get("/label", "label").open(), |_: &Request, _: Params| {
            Answer::text(200, number_at(17).to_string())
        })
        .route(Route::get("/echo/{*rest}", "echo").plugin_decides(), echo)
        .route(Route::post("/body", "body").open().buffered(1 << 20), |request: &Request, _: Params| {
            Answer::text(200, request.body_bytes().len().to_string())
        })
        .route(Route::get("/members", "members").rule("member"), |_: &Request, _: Params| Answer::text(200, "in"))
        .route(Route::get("/secret", "secret"), |request: &Request, _: Params| {
            Answer::text(200, request.user().map(|user| user.id.clone()).unwrap_or_default())
        })
        .route(Route::get("/panic", "panic").open(), |_: &Request, _: Params| -> Answer { panic!("as asked") })
        .route(Route::get("/loop", "loop").open(), |_: &Request, _: Params| -> Answer {
            loop {
                black_box(0);
            }
        })
        .route(Route::get("/allocate", "allocate").open(), allocate)
        .route(Route::get("/recurse", "recurse").open(), |_: &Request, _: Params| {
            Answer::text(200, recurse(1).to_string())
        })
        .route(Route::get("/huge", "huge").open(), |_: &Request, _: Params| Answer::bytes(200, "x/y", vec![7; 1 << 30]))
        .route(Route::get("/sleep/{ms}", "sleep").open(), sleep)
        .route(Route::get("/header", "header").open(), |request: &Request, _: Params| {
            Answer::new(200).header("x-bad", request.query().get("value").unwrap_or_default().to_owned())
        })
        .route(Route::get("/zeros/{count}", "zeros").open(), zeros)
        .resumable(Route::post("/upload", "upload").open().staged(), upload, uploaded)
        .resumable(Route::get("/stream/{count}", "stream").open(), stream, streamed)
        .resumable(Route::get("/park/{key}", "park").open(), park, woken)
        .route(Route::put("/kv/{key}", "kv-put").open().buffered(1 << 18), put)
        .route(Route::get("/kv/{key}", "kv-get").open(), get)
        .route(Route::post("/append/{key}", "append").open(), append)
        .route(Route::post("/jobs/{key}", "job-post").open(), enqueue)
        .route(Route::get("/jobs", "job-list").open(), |_: &Request, _: Params| {
            Ok::<_, Problem>(Answer::text(200, jobs::pending(None, 100)?.len().to_string()))
        });
    let operator = Surface::new("operator").route(Route::get("/label", "operator-label"), |_: &Request, _: Params| {
        Answer::text(200, format!("operator {}", number_at(17)))
    });
    let plugin = Plugin::new(format!("{label}"))
        .schema(number_at(7))
        .access_rule("member", &["member"])
        .surface(main)
        .surface(operator)
        .job("count", count)
        .job("fail", |_: &Job| -> Outcome { Outcome::Failed("as asked".into()) })
        .on_upgrade(|from: u32, _: &Job| {
            outcome(kv::transact(|tx| {
                tx.put("upgraded-from", from.to_string().into_bytes());
                Ok::<_, kv::Error>(())
            }))
        });
    // Only where a test asks for it by this label: it goes on by itself, second by second.
    if label == 777 { plugin.every("again", 1, JobScope::Host, again) } else { plugin }
}

/// A periodic job that asks to be run again at once until it has run often.
fn again(_: &Job) -> Outcome {
    let counted = kv::transact(|tx| {
        let count = 1 + tx.get_json::<u32>("again")?.map_or(0, |stored| stored.value);
        tx.put_json("again", &count)?;
        Ok::<_, Problem>(count)
    });
    match counted {
        Ok(count) if count.value % 200 != 0 => Outcome::RetryIn(1),
        Ok(_) => Outcome::Done,
        Err(problem) => Outcome::Failed(problem.to_string()),
    }
}

fn echo(request: &Request, params: Params) -> Answer {
    let caller = match &request.caller {
        Caller::Anonymous => "anonymous".to_owned(),
        Caller::Rejected(why) => format!("rejected: {why}"),
        Caller::Unverified(why) => format!("unverified: {why}"),
        Caller::User(user) => format!("user {}", user.id),
    };
    let certificate = if request.peer.certificate.is_some() { "certificate shown\n" } else { "" };
    let text = format!(
        "{} {} {}\nprefix {}\nquery {:?}\ncaller {caller}\n{certificate}",
        request.method,
        request.path,
        params.get("rest"),
        request.prefix,
        request.query,
    );
    Answer::text(200, text)
}

fn allocate(_: &Request, _: Params) -> Answer {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(black_box(vec![1; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "that is what the route is for")]
fn recurse(depth: u64) -> u64 {
    black_box(depth) + recurse(black_box(depth + 1))
}

fn sleep(_: &Request, params: Params) -> Result<Answer, Problem> {
    std::thread::sleep(Duration::from_millis(params.parse("ms")?));
    Ok(Answer::text(200, "slept"))
}

fn zeros(_: &Request, params: Params) -> Result<Answer, Problem> {
    Ok(Answer::new(200).segment(Segment::Zeros(params.parse("count")?)).conditional())
}

fn upload(_: &Request, _: Params) -> Result<Step, Problem> {
    Receive::up_to(1 << 30)
        .pieces_of(1 << 16)
        .piece_digests([DigestAlgorithm::Sha256])
        .body_digests([DigestAlgorithm::Md5])
        .then(&())
}

fn uploaded(_: &Request, _: Params, (): (), event: Event) -> Result<Answer, Problem> {
    let received = event.received()?;
    Ok(Answer::text(200, format!("{} bytes in {} pieces", received.size, received.pieces.len())))
}

#[derive(Serialize, Deserialize)]
struct Left(u32);

fn stream(_: &Request, params: Params) -> Result<Step, Problem> {
    More::new().head(Answer::text(200, "").head).bytes(b"begin\n").then(&Left(params.parse("count")?))
}

fn streamed(_: &Request, _: Params, left: Left, _: Event) -> Result<Step, Problem> {
    match left.0 {
        0 => Ok(Answer::text(200, "end\n").into_step()),
        some => More::new().bytes(format!("{some}\n")).then(&Left(some - 1)),
    }
}

fn park(_: &Request, params: Params) -> Result<Step, Problem> {
    let key = params.get("key");
    let seen = kv::get(key)?.map(|entry| entry.version);
    Park::new(Duration::from_secs(60)).key(key, seen).then(&())
}

fn woken(_: &Request, params: Params, (): (), event: Event) -> Result<Answer, Problem> {
    let value = kv::get(params.get("key"))?.map(|entry| entry.value).unwrap_or_default();
    let why = if matches!(event, Event::Woken) { "woken" } else { "timeout" };
    Ok(Answer::text(200, format!("{why} {}", String::from_utf8_lossy(&value))))
}

fn put(request: &Request, params: Params) -> Result<Answer, Problem> {
    kv::transact(|tx| {
        tx.put(params.get("key"), request.body_bytes());
        Ok::<_, Problem>(())
    })?;
    Ok(Answer::new(204))
}

fn get(_: &Request, params: Params) -> Result<Answer, Problem> {
    let entry = kv::get(params.get("key"))?.ok_or_else(|| Problem::not_found("There is no such key."))?;
    Ok(Answer::bytes(200, "application/octet-stream", entry.value))
}

/// One more `x` in the value, whoever else writes it.
fn append(_: &Request, params: Params) -> Result<Answer, Problem> {
    let key = params.get("key");
    kv::transact(|tx| {
        let mut value = tx.get(key)?.map(|entry| entry.value).unwrap_or_default();
        value.push(b'x');
        tx.put(key, value);
        Ok::<_, Problem>(())
    })?;
    Ok(Answer::new(204))
}

fn enqueue(request: &Request, params: Params) -> Result<Answer, Problem> {
    let name = if request.query().get("fail").is_some() { "fail" } else { "count" };
    let key = params.get("key");
    kv::transact(|tx| {
        tx.enqueue(NewJob::named(name).key(key).payload(key.as_bytes()));
        Ok::<_, Problem>(())
    })?;
    Ok(Answer::new(202))
}

fn count(job: &Job) -> Outcome {
    let key = format!("ran-{}", String::from_utf8_lossy(&job.payload));
    let counted = kv::transact(|tx| {
        let before: u64 = tx.get_json(&key)?.map(|stored| stored.value).unwrap_or(0);
        tx.put_json(&key, &(before + 1))?;
        Ok::<_, kv::Error>(())
    });
    outcome(counted)
}

fn outcome<T>(result: Result<T, kv::Error>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

export_plugin!(plugin, resume, jobs);
