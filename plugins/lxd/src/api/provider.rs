//! `…/provider/data` and `…/provider/events`: what the provider publishes, and waiting for it to change. Section 3.4.

use std::time::Duration;

use plugbay_sdk::{Answer, Event, Head, IntoStep, Params, Park, Problem, Request, Step, kv};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{access, conditions};
use crate::bag::{self, Bag};
use crate::outside::Outside;
use crate::published;
use crate::settings::Settings;
use crate::store::{keys, nodes};

/// Most seconds of a long poll.
const MOST: u32 = 60;
/// Seconds between signs of life of an event stream.
const BEAT: u64 = 15;
/// Signs of life after which a stream ends, and the client takes it up with `Last-Event-ID`.
const BEATS: u32 = 240;

/// A bag with its entity tag, and the version of the key that wakes who waits for another one.
struct Current {
    bag: Bag,
    etag: String,
    seen: Option<u64>,
}

fn current(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Current, Problem> {
    // The version is read first: a change after it wakes, even if what is read below has it already. A relation that
    // ends after it was found alive would else be waited for as one that never had published anything.
    let seen = kv::get(&keys::published(params.get("id")))?.map(|entry| entry.version);
    let relation = access::relation(request, params.get("id"))?;
    let bag = published::compute(&relation.id, &nodes::all()?, &Settings::load()?, outside.now_ms())?;
    let etag = bag::etag(&bag::text(&bag));
    Ok(Current { bag, etag, seen })
}

/// A long poll that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Polling {
    /// Milliseconds since 1970.
    until: i64,
}

pub(super) fn data(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Step, Problem> {
    let wait = request.query().parse::<u32>("wait")?.unwrap_or(0).min(MOST);
    poll(outside, request, params, &Polling { until: outside.now_ms() + i64::from(wait) * 1_000 })
}

pub(super) fn resume_data(
    outside: &Outside,
    request: &Request,
    params: Params<'_>,
    polling: Polling,
    event: Event,
) -> Result<Step, Problem> {
    let until = if event == Event::Timeout { 0 } else { polling.until };
    poll(outside, request, params, &Polling { until })
}

fn poll(outside: &Outside, request: &Request, params: Params<'_>, polling: &Polling) -> Result<Step, Problem> {
    let Current { bag, etag, seen } = current(outside, request, params)?;
    let left = u64::try_from(polling.until - outside.now_ms()).unwrap_or(0);
    if left > 0 && conditions::is_known(request, &etag) {
        return Park::new(Duration::from_millis(left)).key(keys::published(params.get("id")), seen).then(polling);
    }
    let mut answer = conditions::answer(request, 200, &etag, &json!(bag));
    if request.method == "HEAD" && conditions::is_known(request, &etag) {
        answer = Answer::new(304).header("etag", etag);
    }
    Ok(answer.into_step())
}

/// A stream that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Streaming {
    /// Entity tag of the last bag sent.
    etag: String,
    /// Signs of life left.
    beats: u32,
}

pub(super) fn events(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Step, Problem> {
    let current = current(outside, request, params)?;
    let known = request.header_text("last-event-id") == Some(current.etag.as_str());
    let first = if known { ": here\n\n".to_owned() } else { event(&current) };
    let head = Head::new(200).header("content-type", "text/event-stream");
    let park = Park::new(Duration::from_secs(BEAT)).head(head).bytes(first);
    park.key(keys::published(params.get("id")), current.seen).then(&Streaming { etag: current.etag, beats: BEATS })
}

pub(super) fn resume_events(
    outside: &Outside,
    request: &Request,
    params: Params<'_>,
    streaming: Streaming,
    _: Event,
) -> Result<Step, Problem> {
    // The head was sent, so that problems can only end the stream.
    let current = match current(outside, request, params) {
        Ok(current) => current,
        Err(problem) if problem.status() == 410 => {
            return Ok(Answer::bytes(200, "", "event: broken\ndata: {}\n\n").into_step());
        }
        Err(_) => return Ok(Answer::new(200).into_step()),
    };
    let Some(beats) = streaming.beats.checked_sub(1) else { return Ok(Answer::new(200).into_step()) };
    let text = if current.etag == streaming.etag { ": here\n\n".to_owned() } else { event(&current) };
    let park = Park::new(Duration::from_secs(BEAT)).bytes(text).key(keys::published(params.get("id")), current.seen);
    park.then(&Streaming { etag: current.etag, beats })
}

fn event(current: &Current) -> String {
    format!("id: {}\nevent: changed\ndata: {}\n\n", current.etag, bag::text(&current.bag))
}
