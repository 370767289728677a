//! A plugin that uses all of the contract, on the contract alone: every import is called, every case of a step taken.
//!
//! `tests/contract` keeps a build of it for each published version. What it answers is the same text for as long as a
//! host serves that version, so it has nothing in it that differs from run to run.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "there is nothing to export natively"))]

mod asked;
mod bindings;
mod described;

use bindings::exports::plugbay::plugin::handler::{Descriptor, Guest as Handler};
use bindings::exports::plugbay::plugin::job_runner::{Guest as JobRunner, Job, Outcome, Trigger};
use bindings::exports::plugbay::plugin::resumption::Guest as Resumption;
use bindings::plugbay::plugin::types::{
    Answer, Delivery, DigestAlgorithm, Event, Head, More, Park, Receive, ReceivePlan, Request, Segment, Step, Watch,
};
use bindings::plugbay::plugin::{kv, log};

struct Witness;

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "generated")]
mod exported {
    use super::Witness;
    crate::bindings::export!(Witness with_types_in crate::bindings);
}

/// The whole answer, as text.
fn text(status: u16, text: impl Into<Vec<u8>>) -> Answer {
    Answer { head: head(status), body: vec![Segment::Bytes(text.into())] }
}

fn head(status: u16) -> Head {
    let headers = vec![("content-type".to_owned(), b"text/plain".to_vec())];
    Head { status, headers, delivery: Delivery::Verbatim }
}

impl Handler for Witness {
    fn describe() -> Descriptor {
        described::descriptor()
    }

    fn handle(request: Request) -> Step {
        match request.path.trim_start_matches('/').split('/').next().unwrap_or_default() {
            "imports" => Step::Done(text(200, asked::everything())),
            "body" => Step::Done(asked::whole(&request)),
            "more" => Step::More(More {
                head: Some(head(200)),
                body: vec![Segment::Bytes(b"one ".to_vec()), Segment::Zeros(2)],
                continuation: b"more".to_vec(),
            }),
            "park" => Step::Park(Park {
                head: None,
                body: Vec::new(),
                watches: vec![Watch::Key(("parked".to_owned(), None)), Watch::Prefix(("parked/".to_owned(), 0))],
                timeout_ms: 1,
                continuation: b"park".to_vec(),
            }),
            "receive" => Step::Receive(Receive {
                plan: ReceivePlan {
                    limit: 1 << 20,
                    piece_size: Some(4096),
                    piece_digests: vec![DigestAlgorithm::Sha256],
                    body_digests: vec![DigestAlgorithm::Md5],
                    trim: Some(0),
                },
                continuation: b"receive".to_vec(),
            }),
            "fail" => Step::Fail("as asked".to_owned()),
            "jobs" => Step::Done(text(200, asked::jobs_run())),
            other => Step::Done(text(404, format!("nothing is called {other}"))),
        }
    }
}

impl Resumption for Witness {
    fn resume(request: Request, continuation: Vec<u8>, event: Event) -> Step {
        let happened = match event {
            Event::Taken => "taken".to_owned(),
            Event::Woken => "woken".to_owned(),
            Event::Timeout => "timeout".to_owned(),
            Event::Received(Ok(received)) => asked::keep(&received),
            Event::Received(Err(error)) => format!("{error:?}"),
        };
        let went_on = format!("{} {} {happened}\n", request.method, String::from_utf8_lossy(&continuation));
        Step::Done(text(200, went_on))
    }
}

impl JobRunner for Witness {
    fn run_job(job: Job) -> Outcome {
        let trigger = match &job.trigger {
            Trigger::Enqueued => "enqueued",
            Trigger::Periodic => "periodic",
            Trigger::Start => "start",
            Trigger::Upgrade(_) => "upgrade",
            Trigger::ProgramExited(_) => "program-exited",
        };
        log::log(log::Level::Debug, &format!("{} was run: {trigger}", job.name));
        match kv::commit(&[], &[kv::Op::Put((format!("ran/{trigger}"), job.payload))]) {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(format!("{error:?}")),
        }
    }
}
