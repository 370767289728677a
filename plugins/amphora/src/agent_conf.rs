//! The agent's configuration file: `PUT /1.0/config`, and the options in it that matter here.
//!
//! INI as oslo.config reads it: `key = value` or `key: value` in sections, an indented line goes on with the value before it, `#` and `;`
//! begin comments, the last of repeated keys wins save that lists add up. A file that cannot be read changes nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use plugbay_sdk::Answer;

use crate::context::Context;
use crate::files;
use crate::refusal::{Refusal, ok};
use crate::settings::Agent;

/// The stored file.
pub const FILE: &str = "amphora-agent.conf";

/// Values by section and key.
type Options = BTreeMap<(String, String), Vec<String>>;

/// `PUT /1.0/config`: in force from the next heartbeat on.
///
/// # Errors
/// 500 if it is not such a file.
pub fn update(context: Context<'_>, body: &[u8]) -> Result<Answer, Refusal> {
    let failed = |why: String| Refusal::detailed(500, "Unable to update amphora-agent configuration.", why);
    let text = std::str::from_utf8(body).map_err(|error| failed(error.to_string()))?;
    overlay(&context.settings.agent, text).map_err(failed)?;
    context.files.write(FILE, body).map_err(|error| failed(error.to_string()))?;
    Ok(ok(202))
}

/// The topology in which two amphorae share a VIP by keepalived.
pub const ACTIVE_STANDBY: &str = "ACTIVE_STANDBY";

/// The topology of one amphora alone.
pub const SINGLE: &str = "SINGLE";

/// The options in force: those of the stored file, else those of the operator.
///
/// # Errors
/// If the directory cannot be read.
pub fn in_force(context: Context<'_>) -> Result<Agent, files::Error> {
    let text = context.files.text(FILE)?.unwrap_or_default();
    let path = FILE.to_owned();
    overlay(&context.settings.agent, &text).map_err(|cause| files::Error { path, cause })
}

/// The options of a file over others.
///
/// # Errors
/// What is wrong with the file.
pub fn overlay(under: &Agent, text: &str) -> Result<Agent, String> {
    let options = parse(text)?;
    let all = |section: &str, key: &str| options.get(&(section.to_owned(), key.to_owned()));
    let last = |section: &str, key: &str| all(section, key).and_then(|values| values.last()).cloned();
    let mut agent = under.clone();
    if let Some(id) = last("amphora_agent", "amphora_id") {
        agent.amphora_id = id;
    }
    if let Some(key) = last("health_manager", "heartbeat_key") {
        agent.heartbeat_key = key;
    }
    if let Some(interval) = last("health_manager", "heartbeat_interval") {
        agent.heartbeat_interval =
            interval.parse().map_err(|_| format!("heartbeat_interval is not a number: {interval}"))?;
    }
    if let Some(lists) = all("health_manager", "controller_ip_port_list") {
        agent.controller_ip_port_list = lists
            .iter()
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|at| !at.is_empty())
            .map(str::to_owned)
            .collect();
    }
    if let Some(topology) = last("controller_worker", "loadbalancer_topology") {
        agent.loadbalancer_topology = topology;
    }
    controllers(&agent)?;
    Ok(agent)
}

/// Where heartbeats go.
///
/// # Errors
/// The entry that is no `address:port`.
pub fn controllers(agent: &Agent) -> Result<Vec<SocketAddr>, String> {
    let parse =
        |entry: &String| entry.parse().map_err(|_| format!("controller_ip_port_list: not address:port: {entry}"));
    agent.controller_ip_port_list.iter().map(parse).collect()
}

fn parse(text: &str) -> Result<Options, String> {
    let mut options = Options::new();
    let mut section: Option<String> = None;
    let mut open: Option<(String, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let trimmed = line.trim();
        if trimmed.is_empty() {
            open = None;
        } else if trimmed.starts_with(['#', ';']) {
        } else if line.starts_with([' ', '\t']) {
            let value = open.as_ref().and_then(|key| options.get_mut(key)).and_then(|values| values.last_mut());
            let value = value.ok_or_else(|| format!("line {number}: a continuation of nothing"))?;
            value.push('\n');
            value.push_str(trimmed);
        } else if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.strip_suffix(']').filter(|name| !name.is_empty());
            section = Some(name.ok_or_else(|| format!("line {number}: not a section: {trimmed}"))?.to_owned());
            open = None;
        } else {
            let section = section.clone().ok_or_else(|| format!("line {number}: an option outside of a section"))?;
            let split = trimmed.split_once(['=', ':']).filter(|(key, _)| !key.trim().is_empty());
            let (key, value) = split.ok_or_else(|| format!("line {number}: neither = nor : in {trimmed}"))?;
            let key = (section, key.trim().to_owned());
            options.entry(key.clone()).or_default().push(unquoted(value.trim()).to_owned());
            open = Some(key);
        }
    }
    Ok(options)
}

/// A value in quotes is what is in them.
fn unquoted(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "[DEFAULT]\ndebug = False\n[haproxy_amphora]\nbase_path = /var/lib/octavia\n\
                        [health_manager]\n# a comment\ncontroller_ip_port_list = 192.0.2.10:5555,\n  [2001:db8::1]:5555\n\
                        heartbeat_interval: 5\nheartbeat_key = insecure\n[amphora_agent]\namphora_id = 7\n\
                        [controller_worker]\nloadbalancer_topology = ACTIVE_STANDBY\n";

    #[test]
    fn the_options_that_matter_are_read() {
        let agent = overlay(&Agent::default(), FILE).unwrap();
        let expected = Agent {
            amphora_id: "7".into(),
            heartbeat_key: "insecure".into(),
            heartbeat_interval: 5,
            controller_ip_port_list: vec!["192.0.2.10:5555".into(), "[2001:db8::1]:5555".into()],
            loadbalancer_topology: "ACTIVE_STANDBY".into(),
        };
        assert_eq!(agent, expected);
        assert_eq!(controllers(&agent).unwrap().len(), 2);
    }

    #[test]
    fn what_the_file_leaves_out_stays() {
        let under = Agent { heartbeat_key: "k".into(), ..Agent::default() };
        assert_eq!(overlay(&under, "[DEFAULT]\n").unwrap(), under);
    }

    #[test]
    fn what_is_no_such_file_is_said_to_be_so() {
        for text in [
            "a = b",
            "[x",
            "[x]\na",
            "[x]\n\n  b",
            "[health_manager]\nheartbeat_interval = soon",
            "[health_manager]\ncontroller_ip_port_list = here",
        ] {
            assert!(overlay(&Agent::default(), text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([\\[\\]=:#; \nab]|health_manager|heartbeat_interval){0,40}") {
            let _ = overlay(&Agent::default(), &text);
        }
    }
}
