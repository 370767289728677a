//! A plugin of the tests that does what it is told with programs, numbers and datagrams.
//!
//! What the host answers comes back as JSON; an error as 409 with the name of its case. Arguments are a JSON list in the body.
//! It is not a model to copy: everybody may call it.

use std::fmt::Debug;

use plugbay_sdk::prelude::*;
use plugbay_sdk::{BlobRange, DigestAlgorithm, FileRange, blobs, crypto, process, system, udp};
use serde_json::{Value, json};

type Handled = Result<Answer, Problem>;

fn plugin() -> Plugin {
    let body = 64 * 1024;
    Plugin::new(env!("CARGO_PKG_VERSION"))
        .surface(
            Surface::new("main")
                .route(Route::get("/directory", "directory").open(), |_: &Request, _: Params| {
                    answer(process::directory())
                })
                .route(Route::get("/revision/{program}", "revision").open(), |_: &Request, params: Params| {
                    answer(process::revision(params.get("program")))
                })
                .route(Route::post("/run/{program}", "run").open().buffered(body), run)
                .route(Route::post("/start/{name}/{program}", "start").open().buffered(body), start)
                .route(
                    Route::post("/signal/{name}/{number}", "signal").open().buffered(body),
                    |_: &Request, params: Params| {
                        answer(
                            process::signal(params.get("name"), params.get("number").parse().unwrap_or(-1)).map(|()| 0),
                        )
                    },
                )
                .route(Route::post("/stop/{name}", "stop").open().buffered(body), |_: &Request, params: Params| {
                    answer(process::stop(params.get("name"), 10_000).map(|()| 0))
                })
                .route(Route::get("/status/{name}", "status").open(), status)
                .route(Route::get("/printed/{name}", "printed").open(), |_: &Request, params: Params| {
                    answer(process::printed(params.get("name"), 1000).map(text))
                })
                .route(Route::post("/dialogue/{*socket}", "dialogue").open().buffered(body), dialogue)
                .route(Route::get("/system", "system").open(), numbers)
                .route(Route::get("/networks/{program}", "networks").open(), |_: &Request, params: Params| {
                    answer(system::networks(Some(params.get("program"))).map(|all| all.len()))
                })
                .route(
                    Route::post("/datagram/{destination}", "datagram").open().buffered(body),
                    |request: &Request, params: Params| {
                        answer(udp::send(params.get("destination"), request.body_bytes()).map(|()| 0))
                    },
                )
                .route(Route::put("/file/{name}", "file-put").open().buffered(body), write)
                .route(Route::post("/file", "file").open().buffered(body), to_file)
                .route(Route::post("/piece", "piece").open().buffered(body), piece)
                .route(Route::get("/exits/{name}", "exits").open(), exits),
        )
        .other_jobs(note)
}

fn answer<E: Debug>(result: Result<impl Into<Value>, E>) -> Handled {
    match result {
        Ok(value) => Ok(Answer::json(200, &value.into())),
        Err(error) => Ok(Answer::text(409, format!("{error:?}"))),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn run(request: &Request, params: Params) -> Handled {
    let args: Vec<String> = request.json()?;
    let output = process::run(params.get("program"), &args, b"input", 10_000);
    answer(output.map(|output| {
        json!({"status": output.exit.status, "signal": output.exit.signal, "stdout": text(output.stdout), "stderr": text(output.stderr)})
    }))
}

fn start(request: &Request, params: Params) -> Handled {
    let args: Vec<String> = request.json()?;
    answer(process::start(params.get("name"), params.get("program"), &args))
}

fn status(_: &Request, params: Params) -> Handled {
    answer(process::status(params.get("name")).map(|state| match state {
        None => Value::Null,
        Some(process::State::Running(pid)) => json!({"running": pid}),
        Some(process::State::Exited(exit)) => json!({"status": exit.status, "signal": exit.signal}),
    }))
}

fn dialogue(request: &Request, params: Params) -> Handled {
    answer(process::dialogue(params.get("socket"), request.body_bytes(), None, 5_000).map(text))
}

fn numbers(_: &Request, _: Params) -> Handled {
    let all = || -> Result<Value, system::Error> {
        let (cpu, memory, (used, available), load) =
            (system::cpu()?, system::memory(Some("cat"))?, system::disk()?, system::load()?);
        let networks: Vec<_> = system::networks(None)?
            .into_iter()
            .map(|one| json!({"name": one.name, "addresses": one.addresses}))
            .collect();
        Ok(json!({
            "hostname": system::hostname()?, "cpus": cpu.count, "ticks": cpu.total,
            "memory": memory.total, "room": memory.free + memory.buffers + memory.cached,
            "disk": used + available, "load": load.0, "networks": networks,
        }))
    };
    answer(all())
}

fn write(request: &Request, params: Params) -> Handled {
    answer(std::fs::write(format!("/{}", params.get("name")), request.body_bytes()).map(|()| 0))
}

fn word<'a>(asked: &'a Value, name: &str) -> Option<&'a str> {
    asked.get(name)?.as_str()
}

fn number(asked: &Value, name: &str) -> Option<u64> {
    asked.get(name)?.as_u64()
}

/// So often the same text of a piece, then zeros, a file, and an end.
fn to_file(request: &Request, _: Params) -> Handled {
    let asked: Value = request.json()?;
    let piece = blobs::write(word(&asked, "text").unwrap_or_default().repeat(1024).as_bytes(), &[])?;
    let times = number(&asked, "times").unwrap_or_default();
    let mut segments = vec![Segment::Blob(piece.range()); times.try_into().unwrap_or_default()];
    segments.push(Segment::Zeros(number(&asked, "zeros").unwrap_or_default()));
    segments.extend(word(&asked, "file").map(|file| Segment::File(FileRange::whole(file))));
    segments.push(Segment::Bytes(word(&asked, "end").unwrap_or_default().into()));
    let mode = number(&asked, "mode").unwrap_or(0o600).try_into().unwrap_or_default();
    answer(blobs::to_file(&segments, word(&asked, "path").unwrap_or_default(), mode))
}

/// A stretch of a file as a piece: its size, digest and beginning.
fn piece(request: &Request, _: Params) -> Handled {
    let asked: Value = request.json()?;
    let (offset, length) = (number(&asked, "offset").unwrap_or_default(), number(&asked, "length"));
    let file = FileRange { path: word(&asked, "path").unwrap_or_default().to_owned(), offset, length };
    answer(blobs::from_file(&file, &[DigestAlgorithm::Md5]).and_then(|piece| {
        let some = BlobRange::part(&piece.id, 0, piece.size.min(1024));
        let digest = piece.digests.concat();
        Ok(json!({"size": piece.size, "md5": crypto::hex(&digest), "text": text(blobs::read(&some)?)}))
    }))
}

/// How often the end of this program was told, and the status last told.
fn exits(_: &Request, params: Params) -> Handled {
    let told = kv::get_json::<Value>(&format!("exit/{}", params.get("name")))?;
    Ok(Answer::json(200, &told.map_or(Value::Null, |told| told.value)))
}

fn note(job: &Job) -> Outcome {
    let Trigger::ProgramExited((name, status)) = &job.trigger else { return Outcome::Done };
    let key = format!("exit/{name}");
    let noted = kv::transact(|tx| {
        let times =
            tx.get_json::<Value>(&key)?.map_or(0, |told| told.value.get("times").and_then(Value::as_u64).unwrap_or(0));
        tx.put_json(&key, &json!({"times": times + 1, "status": status}))?;
        Ok::<_, Problem>(())
    });
    noted.map_or_else(|problem| Outcome::Failed(problem.to_string()), |_| Outcome::Done)
}

export_plugin!(plugin, jobs);
