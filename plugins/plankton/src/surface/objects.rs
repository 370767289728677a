//! The object store: accounts, containers and objects.
//!
//! Routes, and how a call goes on from step to step. What the calls do is in the modules beside this one:
//! [`super::listings`] lists rows, [`super::containers`] and [`super::writes`] change, [`super::reads`] reads,
//! [`super::transfers`] copies.

use std::time::Duration;

use plugbay_sdk::{Answer, Event, IntoStep as _, More, Params, Park, Receive, Request, Route, Step, Surface};
use serde::{Deserialize, Serialize};

use super::{
    Call, HOST_ERRORS, bulk::Progress, containers, dressed, finish, hashmaps, listings, no_endpoint, nowhere, reads,
    rows::Page, sending::Sending, transfers, unknown_path, updates, writes,
};
use crate::{faults::Fault, headers::decode, store::places};

#[derive(Debug, Clone, Copy)]
enum Op {
    Top,
    Account,
    Container,
    Object,
    Nowhere,
}

const fn route(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route::new(method, path, operation).plugin_decides().staged()
}

const ACCOUNT: &str = "/{account}";
const ACCOUNT_SLASH: &str = "/{account}/";
const CONTAINER: &str = "/{account}/{container}";
const OBJECT: &str = "/{account}/{container}/{*object}";

const TABLE: [(Op, Route); 27] = [
    (Op::Top, route("GET", "/", "account-list")),
    (Op::Account, route("HEAD", ACCOUNT, "account-show")),
    (Op::Account, route("GET", ACCOUNT, "container-list")),
    (Op::Account, route("POST", ACCOUNT, "account-update")),
    (Op::Account, route("HEAD", ACCOUNT_SLASH, "account-show")),
    (Op::Account, route("GET", ACCOUNT_SLASH, "container-list")),
    (Op::Account, route("POST", ACCOUNT_SLASH, "account-update")),
    (Op::Container, route("HEAD", CONTAINER, "container-show")),
    (Op::Container, route("GET", CONTAINER, "object-list")),
    (Op::Container, route("PUT", CONTAINER, "container-create")),
    (Op::Container, route("POST", CONTAINER, "container-update")),
    (Op::Container, route("DELETE", CONTAINER, "container-delete")),
    (Op::Object, route("HEAD", OBJECT, "object-show")),
    (Op::Object, route("GET", OBJECT, "object-read")),
    (Op::Object, route("PUT", OBJECT, "object-write")),
    (Op::Object, route("POST", OBJECT, "object-update")),
    (Op::Object, route("COPY", OBJECT, "object-copy")),
    (Op::Object, route("MOVE", OBJECT, "object-move")),
    (Op::Object, route("DELETE", OBJECT, "object-delete")),
    (Op::Nowhere, nowhere("GET")),
    (Op::Nowhere, nowhere("HEAD")),
    (Op::Nowhere, nowhere("POST")),
    (Op::Nowhere, nowhere("PUT")),
    (Op::Nowhere, nowhere("DELETE")),
    (Op::Nowhere, nowhere("PATCH")),
    (Op::Nowhere, nowhere("COPY")),
    (Op::Nowhere, nowhere("MOVE")),
];

/// The surface.
pub fn surface() -> Surface {
    let surface = Surface::new("objects").errors(HOST_ERRORS.0, HOST_ERRORS.1).without_auto_head().resumable_table(
        &TABLE,
        handle,
        |op, request, params, going, event| step(request, resume(op, request, params, going, event)),
    );
    dressed(surface)
}

fn handle(op: Op, request: &Request, params: Params<'_>) -> Step {
    step(request, dispatch(op, request, params, None))
}

pub(super) fn step(request: &Request, outcome: Result<Outcome, Fault>) -> Step {
    match outcome {
        Ok(Outcome::Answer(answer)) => finish(request, Ok(answer)).into_step(),
        Ok(Outcome::More(answer, going)) => {
            let answer = finish(request, Ok(answer));
            More { head: Some(answer.head), body: answer.body, ..More::new() }.then(&going).into_step()
        }
        Ok(Outcome::Again(going)) => Park::new(Duration::from_millis(1)).then(&going).into_step(),
        Ok(Outcome::Receive(receive, going)) => receive.then(&going).into_step(),
        Ok(Outcome::BreakOff(why)) => Step::Fail(why),
        Err(fault) => finish(request, Err(fault)).into_step(),
    }
}

/// How a step ends.
pub(super) enum Outcome {
    /// With the answer, or the last of it.
    Answer(Answer),
    /// With a part of the answer.
    More(Answer, Going),
    /// With work left over, before anything is answered; others have their turn.
    Again(Going),
    /// The body is to be taken first.
    Receive(Receive, Going),
    /// The answer was begun and cannot go on: the host breaks it off, and logs why.
    BreakOff(String),
}

/// What a call goes on with in its next step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Going {
    /// Make an object of the body.
    Data,
    /// Make an object of the blocks that the body names.
    Hashmap,
    /// Keep the body as blocks.
    Blocks,
    /// Lay the body over an object.
    Update,
    /// Send what is left.
    Send(Sending),
    /// Purge history from this key on.
    Purge(String),
    /// List what comes after this.
    Listing(Page),
    /// Go on with a subtree.
    Bulk(Progress),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Outcome {
        Outcome::Answer(answer)
    }
}

/// Account, container and object of a path.
pub(super) struct Target {
    pub account: String,
    pub container: String,
    pub object: String,
}

impl Target {
    fn of(op: Op, params: Params<'_>) -> Result<Target, Fault> {
        let text = |name: &str| params.get(name).to_owned();
        let empty = String::new;
        Ok(match op {
            Op::Top | Op::Nowhere => Target { account: empty(), container: empty(), object: empty() },
            Op::Account => Target { account: text("account"), container: empty(), object: empty() },
            Op::Container => Target { account: text("account"), container: text("container"), object: empty() },
            Op::Object => Target {
                account: text("account"),
                container: text("container"),
                object: decode(params.get("object").as_bytes())?,
            },
        })
    }
}

fn dispatch(op: Op, request: &Request, params: Params<'_>, going: Option<&Going>) -> Result<Outcome, Fault> {
    if matches!(op, Op::Nowhere) {
        return Ok(no_endpoint(&TABLE, request)?.into());
    }
    let call = Call::new(request)?;
    let target = Target::of(op, params)?;
    let Target { account, container, object } = &target;
    // A slash at the end of a container's path means the same as none.
    let op = match op {
        Op::Object if object.is_empty() => Op::Container,
        op => op,
    };
    let (page, progress) = match going {
        Some(Going::Listing(page)) => (Some(page), None),
        Some(Going::Bulk(progress)) => (None, Some(progress)),
        _ => (None, None),
    };
    Ok(match (op, request.method.as_str()) {
        (Op::Top, _) => listings::accounts(&call, page)?,
        (Op::Account, "HEAD" | "GET") => listings::containers(&call, account, page)?,
        (Op::Account, "POST") => listings::update_account(&call, account)?.into(),
        (Op::Container, "HEAD" | "GET") => listings::objects(&call, account, container, page)?,
        (Op::Container, "PUT") => containers::put(&call, account, container)?.into(),
        (Op::Container, "POST") => containers::update(&call, account, container)?,
        (Op::Container, "DELETE") => containers::delete(&call, account, container, progress)?,
        (Op::Object, "HEAD" | "GET") => reads::read(&call, &target)?,
        (Op::Object, "PUT") => writes::put(&call, &target, progress)?,
        (Op::Object, "POST") => writes::update(&call, &target)?,
        (Op::Object, "COPY") => transfers::to_destination(&call, &target, false, progress)?,
        (Op::Object, "MOVE") => transfers::to_destination(&call, &target, true, progress)?,
        (Op::Object, "DELETE") => containers::delete_object(&call, &target, progress)?,
        _ => return Err(unknown_path()),
    })
}

/// Only the account's owner may do this.
pub(super) fn own(call: &Call<'_>, account: &str) -> Result<(), Fault> {
    if call.user == account { Ok(()) } else { Err(places::denied()) }
}

/// What a step was waiting for has come.
fn resume(op: Op, request: &Request, params: Params<'_>, going: Going, event: Event) -> Result<Outcome, Fault> {
    let going = match going {
        Going::Send(sending) => return Ok(sending.resume()),
        going @ (Going::Listing(_) | Going::Bulk(_)) => {
            return match (dispatch(op, request, params, Some(&going)), &going) {
                (Err(fault), Going::Listing(page)) if page.sent => {
                    Ok(Outcome::BreakOff(format!("a listing cannot go on: {fault}")))
                }
                (outcome, _) => outcome,
            };
        }
        going => going,
    };
    let call = Call::new(request)?;
    let target = Target::of(op, params)?;
    Ok(match going {
        Going::Purge(from) => return containers::delete_on(&call, &target, from),
        Going::Hashmap => hashmaps::put(&call, &target, &writes::received(event)?)?.into(),
        Going::Blocks => hashmaps::blocks(&call, &target, writes::received(event)?)?.into(),
        Going::Update => updates::with_body(&call, &target, writes::received(event)?)?.into(),
        _ => writes::put_data(&call, &target, writes::received(event)?)?.into(),
    })
}
