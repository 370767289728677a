//! What nodes ask for and report, under the key of their deployment.
//!
//! Order of checks: 404, then 401 and 403, then what is in the request. A Keystone token does not help here.

use plugbay_sdk::{Answer, Request, crypto, kv};
use serde_json::json;

use super::refusal::Refusal;
use super::{Call, body};
use crate::bootaction::archive as tar;
use crate::bootaction::asset::{self, Rendered};
use crate::bootaction::report::{self, Report};
use crate::bootaction::template::{ActionView, Scope};
use crate::design::bootaction::AssetKind;
use crate::fault::Broken;
use crate::store::boot::{self, ActionRecord, ActionStatus, NodeContext};
use crate::store::{keys, messages, plan};
use crate::task::{About, Message};

/// Kind of assets, and its word in file names.
pub(super) type Kind = (AssetKind, &'static str);
/// Files.
pub(super) const FILES: Kind = (AssetKind::File, "file");
/// Units.
pub(super) const UNITS: Kind = (AssetKind::Unit, "unit");

/// `GET …/files` and `…/units`.
pub(super) fn archive(call: &Call<'_>, host: &str, (kind, word): Kind) -> Result<Answer, Refusal> {
    let found = boot::context(host).map_err(broken)?.map(|context| context.value);
    let context = found.ok_or_else(|| Refusal::titled(404, Some("No boot actions are known for this node")))?;
    check_key(call.request, &context.key)?;
    let packed = render(call, &context, kind).and_then(|assets| tar::pack(&assets).map_err(|error| error.to_string()));
    let packed = packed.map_err(|text| {
        plugbay_sdk::error!("boot actions of {host}: {text}");
        Refusal::titled(500, Some("A boot action cannot be rendered"))
    })?;
    let disposition = format!("attachment; filename=\"{}-{word}.tar.gz\"", context.node_name);
    Ok(Answer::bytes(200, "application/gzip", packed).header("content-disposition", disposition))
}

fn render(call: &Call<'_>, context: &NodeContext, kind: AssetKind) -> Result<Vec<Rendered>, String> {
    let mut assets = Vec::new();
    for (id, of) in &context.actions {
        let action = plan::action(&of.digest).map_err(|error| error.to_string())?;
        let action = action.ok_or_else(|| format!("{} is not kept any more", of.name))?;
        let view = ActionView {
            action_id: id.clone(),
            action_key: context.key.clone(),
            report_url: call.settings.report_url.clone(),
            design_ref: context.design_ref.clone().unwrap_or_default(),
        };
        let scope = Scope { node: &context.view, action: &view };
        assets.extend(asset::render_all(&action, kind, &scope, call.world, &call.settings)?);
    }
    Ok(assets)
}

/// `POST /bootactions/{id}`.
pub(super) fn report(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let action = boot::action(id).map_err(broken)?;
    let action = action.ok_or_else(|| Refusal::titled(404, Some("No such boot action")))?;
    check_key(call.request, &action.key)?;
    let bad = |text: String| Refusal::titled(400, Some(&text));
    body::is_json(call.request).map_err(bad)?;
    let report = report::parse(call.request.body_bytes()).map_err(bad)?;
    let taken = take(call, &action, &report)?;
    let taken = taken.ok_or_else(|| Refusal::titled(409, Some("The boot action's status is final")))?;
    Ok(Answer::json(
        200,
        &json!({
            "node_name": taken.node_name,
            "action_id": taken.action_id,
            "action_name": taken.action_name,
            "task_id": taken.task_id,
            "action_status": taken.action_status,
        }),
    ))
}

/// Keep what was reported: details and status together; none if the status is final.
fn take(call: &Call<'_>, action: &ActionRecord, report: &Report) -> Result<Option<ActionRecord>, Refusal> {
    let now = call.world.now();
    let id = &action.action_id;
    let said: Vec<Message> = report
        .details
        .iter()
        .map(|detail| {
            let mut message = Message::new(&detail.message, detail.error, About::Bootaction, id, now);
            message.extra.clone_from(&detail.extra);
            message
        })
        .collect();
    let (early, last) = said.split_at(said.len().saturating_sub(messages::TOGETHER));
    let taken = kv::transact(|tx| {
        let record = tx.get_json::<ActionRecord>(&keys::boot_action(id))?.map(|record| record.value);
        let Some(mut record) = record.filter(|record| record.action_status == ActionStatus::Incomplete) else {
            return Ok(None);
        };
        messages::add(tx, &action.task_id, early.len(), last)?;
        if let Some(status) = report.status {
            record.action_status = status;
            tx.delete(format!("{}{id}", keys::incomplete(&record.root)));
        }
        // Written even if it is the same, so that of two final reports at once one is refused.
        tx.put_json(keys::boot_action(id), &record)?;
        Ok::<_, Broken>(Some(record))
    })
    .map_err(broken)?
    .value;
    if taken.is_some() {
        messages::add_all(&action.task_id, early).map_err(broken)?;
    }
    Ok(taken)
}

/// 401 without a key, 403 with one that is not this.
fn check_key(request: &Request, key: &str) -> Result<(), Refusal> {
    let Some(given) = request.header_text("x-bootaction-key").filter(|given| !given.is_empty()) else {
        let refusal = Refusal::titled(401, Some("A key is needed"));
        return Err(refusal.header("www-authenticate", "Bootaction-Key".to_owned()));
    };
    let wrong = || Refusal::titled(403, Some("The key is not this node's"));
    let given = hex::decode(given).map_err(|_| wrong())?;
    let key = hex::decode(key).map_err(|_| wrong())?;
    if crypto::equal(&given, &key) { Ok(()) } else { Err(wrong()) }
}

fn broken(broken: Broken) -> Refusal {
    Refusal::from(broken).as_titled()
}
