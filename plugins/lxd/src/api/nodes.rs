//! `/v1/nodes`: the inventory, and `/v1/reconcile`.

use plugbay_sdk::kv::{self, Transaction};
use plugbay_sdk::{Answer, Params, Problem, Request, crypto, warn};
use serde::Deserialize;
use serde_json::Value;

use super::{conditions, problem};
use crate::bag;
use crate::certificate::{Certificate, is_fingerprint};
use crate::converge::{self, stores};
use crate::outside::Outside;
use crate::pem;
use crate::settings::Settings;
use crate::store::keys;
use crate::store::nodes::{self as kept, LIMIT, Seen};
use crate::store::records::Node;
use crate::views;

/// Attempts at a write that meets others.
const ATTEMPTS: u32 = 8;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    endpoint: String,
    server_certificate: Option<String>,
    server_fingerprint: Option<String>,
    client_certificate: String,
    client_key: String,
    projects: Option<Vec<String>>,
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

pub(super) fn list(_: &Outside, _: &Request, _: Params<'_>) -> Result<Answer, Problem> {
    Ok(Answer::json(200, &kept::all()?.iter().map(views::node).collect::<Vec<_>>()))
}

pub(super) fn get(_: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let seen = known(params)?;
    Ok(conditions::answer(request, 200, &etag(&seen), &views::node(&seen)))
}

fn known(params: Params<'_>) -> Result<Seen, Problem> {
    kept::get(params.get("name"))?.ok_or_else(|| Problem::not_found("No such node."))
}

/// Over what an operator wrote; how the node is doing does not change it.
fn etag(seen: &Seen) -> String {
    let Node { name, endpoint, store, projects, enabled, deleting, own, .. } = &seen.node;
    bag::etag(&serde_json::json!([name, endpoint, store, projects, enabled, deleting, own]).to_string())
}

pub(super) fn put(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let name = params.get("name");
    if name.is_empty()
        || name.len() > 63
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err(invalid("a node's name has 1 to 63 letters, digits, `-`, `_`, `.`"));
    }
    let put: Put = request.json().map_err(|problem| without_secrets(&problem))?;
    let store = pin(&put)?;
    let wanted = Node {
        name: name.to_owned(),
        endpoint: endpoint(&put.endpoint)?,
        store,
        projects: put.projects,
        enabled: put.enabled,
        deleting: false,
        identity: String::new(),
        own: credential(&put.client_certificate, &put.client_key)?,
    };
    save(outside, request, name, Some((&put.client_certificate, &put.client_key)), |_| Ok(wanted.clone()))
}

pub(super) fn patch(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    conditions::merge_patch(request)?;
    let Value::Object(patch) = conditions::json(request)? else { return Err(invalid("a patch is a JSON object")) };
    let text = |name: &str| patch.get(name).and_then(Value::as_str);
    let fresh = match (text("client_certificate"), text("client_key")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(invalid("`client_certificate` and `client_key` change together")),
    };
    let own = fresh.map(|(certificate, key)| credential(certificate, key)).transpose()?;
    known(params)?;
    save(outside, request, params.get("name"), fresh, |old| {
        let mut node = old.ok_or_else(|| Problem::not_found("No such node."))?.node.clone();
        for (field, value) in &patch {
            match (field.as_str(), value) {
                ("enabled", Value::Bool(enabled)) => node.enabled = *enabled,
                ("projects", Value::Null) => node.projects = None,
                ("projects", Value::Array(_)) => {
                    let projects = serde_json::from_value(value.clone());
                    node.projects = Some(projects.map_err(|_| invalid("`projects` is a list of names"))?);
                }
                ("endpoint", Value::String(text)) => node.endpoint = endpoint(text)?,
                ("client_certificate" | "client_key", Value::String(_)) => {}
                _ => {
                    return Err(invalid(
                        "a patch has `enabled`, `projects`, `endpoint`, `client_certificate` with `client_key`",
                    ));
                }
            }
        }
        if let Some(own) = &own {
            node.own.clone_from(own);
        }
        Ok(node)
    })
}

/// Write a node. A new credential is with the host before the record names it; the old one goes after it.
fn save(
    outside: &Outside,
    request: &Request,
    name: &str,
    fresh: Option<(&str, &str)>,
    make: impl Fn(Option<&Seen>) -> Result<Node, Problem>,
) -> Result<Answer, Problem> {
    let mut identity = None;
    for _ in 0..ATTEMPTS {
        match try_save(outside, request, name, fresh, &mut identity, &make) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(problem) => {
                if let Some(identity) = identity {
                    forget(outside, &identity);
                }
                return Err(problem);
            }
        }
    }
    if let Some(identity) = identity {
        forget(outside, &identity);
    }
    Err(Problem::conflict("Others are changing this node; try again."))
}

/// One attempt; none if another write came first. `identity` is the new credential, once it is with the host.
fn try_save(
    outside: &Outside,
    request: &Request,
    name: &str,
    fresh: Option<(&str, &str)>,
    identity: &mut Option<String>,
    make: impl Fn(Option<&Seen>) -> Result<Node, Problem>,
) -> Result<Option<Answer>, Problem> {
    let all = kept::all()?;
    let old = all.iter().find(|seen| seen.node.name == name);
    conditions::before_write(request, old.map(etag).as_deref(), &Settings::load()?)?;
    let mut node = make(old)?;
    check(&node, old, &all)?;
    if let (None, Some((certificate, key))) = (&identity, fresh) {
        let new = format!("node-{name}-{}", crypto::hex(&crypto::random(8)?));
        outside.secrets.put_identity(&new, certificate, key).map_err(|fault| problem(&fault))?;
        *identity = Some(new);
    }
    node.identity = identity.clone().or_else(|| old.map(|old| old.node.identity.clone())).unwrap_or_default();
    let mut tx = Transaction::new();
    tx.check_unchanged(keys::node(name), old.map(|old| old.version));
    tx.put_json(keys::node(name), &node)?;
    tx.put(keys::poke(&node.store), Vec::new());
    tx.put(keys::STALE, Vec::new());
    if !all.iter().any(|seen| seen.node.store == node.store) {
        tx.enqueue(converge::job(&node.store));
    }
    let version = match tx.commit() {
        Ok(version) => version,
        Err(kv::Error::Conflict(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if let (Some(old), Some(_)) = (old, &identity) {
        forget(outside, &old.node.identity);
    }
    let seen = Seen { node, version, status: old.map(|old| old.status.clone()).unwrap_or_default() };
    let answer = Answer::json(if old.is_some() { 200 } else { 201 }, &views::node(&seen)).header("etag", etag(&seen));
    Ok(Some(if old.is_some() { answer } else { answer.header("location", request.url(&request.path)) }))
}

fn check(node: &Node, old: Option<&Seen>, all: &[Seen]) -> Result<(), Problem> {
    if let Some(old) = old {
        if old.node.deleting {
            return Err(Problem::conflict("The node is being removed; wait until it is gone."));
        }
        if old.node.store != node.store {
            return Err(Problem::conflict(
                "The name is in use by a node with another server certificate. Remove that one first.",
            ));
        }
    } else if all.len() >= LIMIT {
        return Err(Problem::conflict(format!("There are {LIMIT} nodes, the most there may be.")));
    } else if all.iter().any(|seen| seen.node.store == node.store && seen.node.deleting) {
        return Err(Problem::conflict("A node with this server certificate is being removed; wait until it is gone."));
    }
    Ok(())
}

pub(super) fn delete(outside: &Outside, request: &Request, params: Params<'_>) -> Result<Answer, Problem> {
    let force = request.query().parse::<bool>("force")?.unwrap_or(false);
    let seen = known(params)?;
    conditions::before_write(request, Some(&etag(&seen)), &Settings::load()?)?;
    let store = seen.node.store.clone();
    let shared = kept::all()?
        .iter()
        .any(|other| other.node.store == store && other.node.name != seen.node.name && !other.node.deleting);
    if shared {
        // Another member of the cluster answers for the store.
        stores::remove_node(outside, &seen.node, seen.version)?;
        poke(&store)?;
        return Ok(Answer::new(204));
    }
    if !seen.node.deleting {
        let mut tx = Transaction::new();
        tx.check_version(keys::node(&seen.node.name), seen.version);
        tx.put_json(keys::node(&seen.node.name), &Node { deleting: true, ..seen.node.clone() })?;
        tx.put(keys::poke(&store), Vec::new());
        tx.put(keys::STALE, Vec::new());
        tx.commit()?;
    }
    if force {
        stores::forget(&store)?;
    } else {
        stores::forget_unowed(&store)?;
    }
    Ok(Answer::new(if stores::finish(outside, &store)? { 204 } else { 202 }))
}

pub(super) fn reconcile(_: &Outside, _: &Request, _: Params<'_>) -> Result<Answer, Problem> {
    let all = kept::all()?;
    for store in kept::stores(&all) {
        poke(store)?;
    }
    Ok(Answer::new(202))
}

fn poke(store: &str) -> Result<(), kv::Error> {
    let mut tx = Transaction::new();
    tx.put(keys::poke(store), Vec::new());
    tx.commit()?;
    Ok(())
}

fn forget(outside: &Outside, identity: &str) {
    if let Err(fault) = outside.secrets.delete(identity) {
        warn!("an old credential is kept: {fault}");
    }
}

fn invalid(detail: &'static str) -> Problem {
    Problem::unprocessable(detail)
}

/// Errors of the body's shape without what the parser quotes of it.
fn without_secrets(problem: &Problem) -> Problem {
    match problem.status() {
        422 => invalid(
            "the body has `endpoint`, `server_certificate` or `server_fingerprint`, `client_certificate`, `client_key`, \
             and perhaps `projects` and `enabled`",
        ),
        _ => Problem::bad_request("The body is not valid JSON."),
    }
}

/// SHA-256 of the server certificate that is pinned.
fn pin(put: &Put) -> Result<String, Problem> {
    match (&put.server_certificate, &put.server_fingerprint) {
        (Some(text), None) => {
            let block = pem::first_certificate(text)
                .map_err(|error| Problem::unprocessable(format!("server_certificate: {error}")))?;
            Ok(hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&block.der)))
        }
        (None, Some(text)) => {
            let text = text.replace(':', "").to_ascii_lowercase();
            if is_fingerprint(&text) {
                Ok(text)
            } else {
                Err(invalid("`server_fingerprint` is a SHA-256 in 64 hex digits"))
            }
        }
        _ => Err(invalid("one of `server_certificate` and `server_fingerprint` is needed")),
    }
}

/// Fingerprint of our certificate, if the pair looks like one. Whether they belong together the host says.
fn credential(certificate: &str, key: &str) -> Result<String, Problem> {
    let block = pem::first_certificate(certificate)
        .map_err(|error| Problem::unprocessable(format!("client_certificate: {error}")))?;
    let certificate = Certificate::from_der(&block.der)
        .map_err(|error| Problem::unprocessable(format!("client_certificate: {error}")))?;
    if pem::first_certificate(key) != Err(pem::PemError::PrivateKey) {
        return Err(invalid("`client_key` is not the PEM of a private key"));
    }
    Ok(certificate.fingerprint)
}

/// `https://host:port`, as requirers want it.
fn endpoint(text: &str) -> Result<String, Problem> {
    let wrong = || invalid("`endpoint` is https://host:port, without a path");
    let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let is_host = |host: &str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if is_host(host) => (host, port.parse::<u16>().map_err(|_| wrong())?),
        _ => (rest, 8443),
    };
    if is_host(host) && port > 0 { Ok(format!("https://{host}:{port}")) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::endpoint;

    #[test]
    fn an_endpoint_has_scheme_host_and_port_and_nothing_else() {
        assert_eq!(endpoint("https://10.0.0.5:8443/").unwrap(), "https://10.0.0.5:8443");
        assert_eq!(endpoint("https://lxd.example").unwrap(), "https://lxd.example:8443");
        assert_eq!(endpoint("https://[fd00::1]:9").unwrap(), "https://[fd00::1]:9");
        assert_eq!(endpoint("https://[fd00::1]").unwrap(), "https://[fd00::1]:8443");
        for wrong in
            ["http://a:1", "https://", "https://a:1/x", "https://u@a:1", "https://a:0", "https://a:x", "https://a?b"]
        {
            assert_eq!(endpoint(wrong).unwrap_err().status(), 422, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_endpoint_is_refused_or_stays_as_it_is(text in "(https://)?\\PC{0,20}") {
            if let Ok(known) = endpoint(&text) {
                prop_assert_eq!(endpoint(&known).unwrap(), known);
            }
        }
    }
}
