//! The API's table of routes, and what answers each.
//!
//! Bodies that are stored are staged: they may be megabytes, from a slow sender, and hold no instance while they come in. JSON and the
//! empty bodies of actions are small and buffered.

mod body;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use plugbay_sdk::{Answer, Event, Params, Receive, Request, Route, Step, Surface, config};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::facts::API_VERSION;
use crate::files::Files;
use crate::haproxy::lifecycle::{self, Action};
use crate::haproxy::store;
use crate::keepalived::{lvs, vrrp};
use crate::machine::Machine;
use crate::names::Id;
use crate::plug::calls;
use crate::refusal::{HOST_ERRORS, Refusal, ok, ok_with};
use crate::settings::Settings;
use crate::{agent_conf, certificates, facts, listeners, own_certificate};

/// Most bytes of a stored body. Configurations of big pools and revocation lists reach megabytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Most bytes of JSON, and of what is sent with an action for nothing.
const SMALL: u32 = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Versions,
    Info,
    Details,
    Listeners,
    ConfigUpload,
    ConfigDownload,
    Action,
    Delete,
    CertificateUpload,
    CertificateMd5,
    CertificateDelete,
    LvsUpload,
    LvsDownload,
    PlugVip,
    PlugNetwork,
    Interface,
    Rules,
    VrrpUpload,
    VrrpAction,
    OwnCertificate,
    AgentConfig,
}

const fn small(method: &'static str, path: &'static str, operation: &'static str) -> Route {
    Route::new(method, path, operation).open().buffered(SMALL)
}

const fn stored(path: &'static str, operation: &'static str) -> Route {
    Route::put(path, operation).open().staged()
}

const CERTIFICATE: &str = "/1.0/loadbalancer/{lb}/certificates/{file}";

const TABLE: [(Op, Route); 21] = [
    (Op::Versions, small("GET", "/", "version-list")),
    (Op::Info, small("GET", "/1.0/info", "info")),
    (Op::Details, small("GET", "/1.0/details", "details")),
    (Op::Listeners, small("GET", "/1.0/listeners", "listener-list")),
    (Op::ConfigUpload, stored("/1.0/loadbalancer/{amphora}/{lb}/haproxy", "config-upload")),
    (Op::ConfigDownload, small("GET", "/1.0/loadbalancer/{lb}/haproxy", "config-download")),
    (Op::Action, small("PUT", "/1.0/loadbalancer/{object}/{action}", "action")),
    (Op::Delete, small("DELETE", "/1.0/listeners/{object}", "delete")),
    (Op::CertificateUpload, stored(CERTIFICATE, "certificate-upload")),
    (Op::CertificateMd5, small("GET", CERTIFICATE, "certificate-md5")),
    (Op::CertificateDelete, small("DELETE", CERTIFICATE, "certificate-delete")),
    (Op::LvsUpload, stored("/1.0/listeners/{amphora}/{listener}/udp_listener", "udp-listener-upload")),
    (Op::LvsDownload, small("GET", "/1.0/listeners/{listener}/udp_listener", "udp-listener-download")),
    (Op::PlugVip, small("POST", "/1.0/plug/vip/{ip}", "plug-vip")),
    (Op::PlugNetwork, small("POST", "/1.0/plug/network", "plug-network")),
    (Op::Interface, small("GET", "/1.0/interface/{ip}", "interface")),
    (Op::Rules, small("PUT", "/1.0/interface/{ip}/rules", "interface-rules")),
    (Op::VrrpUpload, stored("/1.0/vrrp/upload", "vrrp-upload")),
    (Op::VrrpAction, small("PUT", "/1.0/vrrp/{action}", "vrrp-action")),
    (Op::OwnCertificate, stored("/1.0/certificate", "certificate-rotation")),
    (Op::AgentConfig, stored("/1.0/config", "agent-config")),
];

/// What waits for a body: nothing, the route says it all.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Waiting {}

/// The surface over a private directory and a machine.
pub fn surface(files: Rc<dyn Files>, machine: Rc<dyn Machine>) -> Surface {
    let (later_files, later_machine) = (Rc::clone(&files), Rc::clone(&machine));
    Surface::new("main").errors(HOST_ERRORS.0, HOST_ERRORS.1).double_slash_root().resumable_table(
        &TABLE,
        move |op, request, params| handle(op, request, params, &*files, &*machine),
        move |op, request, params, Waiting {}, event| {
            let settings = admitted(request)?;
            let context = Context { files: &*later_files, machine: &*later_machine, settings: &settings };
            keep(op, context, params, event)
        },
    )
}

fn handle(
    op: Op,
    request: &Request,
    params: Params<'_>,
    files: &dyn Files,
    machine: &dyn Machine,
) -> Result<Step, Refusal> {
    let settings = admitted(request)?;
    let staged = TABLE.iter().any(|(known, route)| *known == op && matches!(route.body, plugbay_sdk::Body::Staged));
    if staged {
        return Ok(Receive::up_to(LARGEST).then(&Waiting {})?);
    }
    let context = Context { files, machine, settings: &settings };
    answer(op, context, params, request.body_bytes()).map(Step::Done)
}

/// The settings, for a caller that may call. The listener has verified the certificate; which one it is does not matter.
fn admitted(request: &Request) -> Result<Settings, Refusal> {
    let settings: Settings = config::load().map_err(|error| {
        plugbay_sdk::error!("{error}");
        Refusal::routing(500, "the service is not configured properly")
    })?;
    if settings.require_client_certificate && request.peer.certificate.is_none() {
        return Err(Refusal::routing(401, "a client certificate is required"));
    }
    Ok(settings)
}

fn answer(op: Op, context: Context<'_>, params: Params<'_>, body: &[u8]) -> Result<Answer, Refusal> {
    match op {
        Op::Versions => Ok(Answer::json(200, &json!({"api_version": API_VERSION}))),
        Op::Info => Ok(Answer::json(200, &facts::info(context)?)),
        Op::Details => Ok(Answer::json(200, &facts::details(context)?)),
        Op::Listeners => Ok(Answer::json(200, &listeners::all(context)?)),
        Op::ConfigDownload => store::download(context, params.get("lb")),
        Op::Action => act(context, params.get("object"), params.get("action")),
        Op::Delete => delete(context, params.get("object")),
        Op::CertificateMd5 => certificates::md5(context, params.get("lb"), params.get("file")),
        Op::CertificateDelete => certificates::delete(context, params.get("lb"), params.get("file")),
        Op::LvsDownload => lvs::download(context, params.get("listener")),
        Op::PlugVip => calls::vip(context, params.get("ip"), body),
        Op::PlugNetwork => calls::network(context, body),
        Op::Interface => calls::interface(context, params.get("ip")),
        Op::Rules => calls::set_rules(context, params.get("ip"), body),
        Op::VrrpAction => vrrp::act(context, params.get("action")),
        Op::ConfigUpload
        | Op::CertificateUpload
        | Op::LvsUpload
        | Op::VrrpUpload
        | Op::OwnCertificate
        | Op::AgentConfig => Err(Refusal::routing(500, "the body was not received")),
    }
}

/// Go on with the body that was received.
fn keep(op: Op, context: Context<'_>, params: Params<'_>, event: Event) -> Result<Answer, Refusal> {
    let body = body::read(event)?;
    match op {
        Op::ConfigUpload => store::upload(context, params.get("amphora"), params.get("lb"), body),
        Op::CertificateUpload => certificates::upload(context, params.get("lb"), params.get("file"), &body),
        Op::LvsUpload => lvs::upload(context, params.get("listener"), &body),
        Op::VrrpUpload => vrrp::upload(context, &body),
        Op::OwnCertificate => own_certificate::replace(context, &body),
        Op::AgentConfig => agent_conf::update(context, &body),
        _ => Err(Refusal::routing(500, "this operation takes no body")),
    }
}

/// `PUT /1.0/loadbalancer/{object}/{action}`: the action is looked at before the id.
fn act(context: Context<'_>, id: &str, action: &str) -> Result<Answer, Refusal> {
    let action = Action::parse(action)?;
    let object = Id::parse(id).ok_or_else(|| store::unknown(id))?;
    match store::stored(context.files, &object)? {
        Some(text) => Ok(ok_with(202, lifecycle::act(context, &object, &text, action)?)),
        None if lvs::stored(context.files, &object)?.is_some() => lvs::act(context, &object, action),
        None => Err(store::unknown(id)),
    }
}

/// `DELETE /1.0/listeners/{object}`: what is not there is deleted.
fn delete(context: Context<'_>, id: &str) -> Result<Answer, Refusal> {
    let Some(object) = Id::parse(id) else { return Ok(ok(200)) };
    if store::stored(context.files, &object)?.is_some() {
        lifecycle::delete(context, &object)?;
    } else if lvs::stored(context.files, &object)?.is_some() {
        lvs::delete(context, &object)?;
    }
    Ok(ok(200))
}
