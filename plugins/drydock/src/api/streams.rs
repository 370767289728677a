//! The list of tasks, sent piece by piece.
//!
//! A list may be as long as there are tasks, so each step reads a bounded number of them and the next one comes when the
//! client has taken it. `limit` and `marker` (the last id of the page before) ask for a part; a page costs what is on it, however
//! many tasks there are. The order is that of ids.

use plugbay_sdk::{Answer, Head, IntoStep as _, More, Segment, Step, kv};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::{Call, Going, caller};
use crate::fault::Broken;
use crate::store::{ids, keys, messages};
use crate::task::{Task, view};

/// Tasks of one step.
const TASKS: u32 = 200;
/// Bytes after which a step ends.
const BYTES: usize = 256 * 1024;

/// Where the list goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cursor {
    after: Option<String>,
    left: Option<u64>,
    begun: bool,
}

/// `GET /tasks`.
pub(super) fn list(call: &Call<'_>) -> Result<Step, Refusal> {
    caller::admit(call, caller::READ_TASK)?;
    let query = call.request.query();
    let limit = match query.get("limit").map(str::parse::<u64>) {
        None => None,
        Some(Ok(limit)) => Some(limit),
        Some(Err(_)) => return Err(Refusal::error(400, "limit is not a number")),
    };
    let after = match query.get("marker") {
        Some(marker) if !ids::is_uuid4(marker) => return Err(Refusal::error(400, "marker is not the id of a task")),
        marker => marker.map(|marker| keys::task(&marker.to_ascii_lowercase())),
    };
    list_on(
        Cursor { after, left: limit, begun: false },
        Some(Head::new(200).header("content-type", "application/json")),
    )
}

/// The next piece; the head goes with the first.
pub(super) fn list_on(mut cursor: Cursor, head: Option<Head>) -> Result<Step, Refusal> {
    let mut body = if head.is_some() { b"[".to_vec() } else { Vec::new() };
    let wanted = cursor.left.map_or(TASKS, |left| u32::try_from(left).unwrap_or(TASKS).min(TASKS));
    let mut more = false;
    if wanted > 0 {
        let mut scan = kv::prefix(keys::TASKS).limit(wanted);
        if let Some(after) = &cursor.after {
            scan = scan.after(after);
        }
        let page = scan.page().map_err(Broken::from)?;
        more = page.more;
        for entry in page.entries {
            let task = entry.json::<Task>().map_err(Broken::from)?.value;
            if cursor.begun {
                body.extend(b", ");
            }
            cursor.begun = true;
            let row = view::task(&task, &messages::of(&task.id)?, false);
            serde_json::to_writer(&mut body, &row).map_err(Broken::from)?;
            cursor.after = Some(entry.key);
            cursor.left = cursor.left.map(|left| left.saturating_sub(1));
            if body.len() > BYTES {
                more = true;
                break;
            }
        }
    }
    let rest = more && cursor.left != Some(0);
    if !rest {
        body.push(b']');
    }
    send(head, body, rest.then_some(Going::List(cursor)))
}

/// A piece of an answer, and where it goes on if it does.
pub(super) fn send(head: Option<Head>, body: Vec<u8>, rest: Option<Going>) -> Result<Step, Refusal> {
    match rest {
        None => {
            let head = head.unwrap_or_else(|| Head::new(200));
            Ok(Answer { head, body: vec![Segment::Bytes(body)] }.into_step())
        }
        Some(going) => {
            let more = More::new().bytes(body);
            let more = match head {
                Some(head) => more.head(head),
                None => more,
            };
            more.then(&going).map_err(|problem| Refusal::error(500, problem.to_string()))
        }
    }
}
