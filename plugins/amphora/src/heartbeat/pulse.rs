//! The decision to send, and one heartbeat from sockets to datagram.
//!
//! The turn is taken in the key space before anything is asked: of two jobs at once, which there may be while one version
//! of the plugin follows another, one gets it. What was told last is in a file.

use std::net::SocketAddr;

use plugbay_sdk::kv;
use serde::{Deserialize, Serialize};

use super::message::{Memory, Message, build};
use super::seal::seal;
use crate::agent_conf;
use crate::context::Context;
use crate::haproxy::lifecycle::{process, runs, socket};
use crate::haproxy::stat::{Row, rows};
use crate::haproxy::store::balancers;
use crate::keepalived::{lvs, vrrp};
use crate::machine::Fault;
use crate::settings::Agent;

/// What was told last, kept over restarts so that nothing counts twice.
pub const FILE: &str = "stats_counters.json";

/// Key of the [`Turn`] that was last.
const TURN: &str = "heartbeat";

const ANSWER_MS: u32 = 5_000;

/// A turn to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    /// When it was taken, in milliseconds since 1970.
    at: u64,
    /// Number of the message; the next has one more.
    seq: u64,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// keepalived ought to run and does not: the controller is to take over.
    KeepalivedDead,
    /// No key, or nowhere to send.
    NotConfigured,
    /// The interval is not over.
    TooSoon,
}

/// What the decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// A VRRP configuration was uploaded.
    pub vrrp_configured: bool,
    /// Its process runs.
    pub vrrp_runs: bool,
    /// There is a key and a controller.
    pub configured: bool,
    /// Milliseconds since the last message; none if there was none.
    pub since: Option<u64>,
    /// Seconds between two.
    pub interval: u64,
}

/// So much too soon is in time: the job comes round every second, and would else be late by one.
const TOLERANCE_MS: u64 = 500;

/// Whether to send now.
///
/// # Errors
/// Why not.
pub fn decide(signs: Signs) -> Result<(), Silence> {
    if !signs.configured {
        return Err(Silence::NotConfigured);
    }
    if signs.since.is_some_and(|since| since + TOLERANCE_MS < signs.interval.saturating_mul(1000)) {
        return Err(Silence::TooSoon);
    }
    if signs.vrrp_configured && !signs.vrrp_runs {
        return Err(Silence::KeepalivedDead);
    }
    Ok(())
}

/// The controller that gets message number `seq`: each in turn.
pub fn destination(controllers: &[SocketAddr], seq: u64) -> Option<SocketAddr> {
    let count = u64::try_from(controllers.len()).ok().filter(|&count| count > 0)?;
    controllers.get(usize::try_from(seq % count).ok()?).copied()
}

/// One heartbeat, if it is time. The message that was sent.
///
/// The message is counted and its traffic told even if sending fails, as send errors are nobody's concern.
///
/// # Errors
/// In words for the log.
pub fn beat(context: Context<'_>) -> Result<Result<Message, Silence>, String> {
    let agent = agent_conf::in_force(context).map_err(|error| error.to_string())?;
    let controllers = agent_conf::controllers(&agent)?;
    let signs = signs(context, &agent, &controllers)?;
    let turn = match take_turn(signs, context.machine.now()).map_err(|error| error.to_string())? {
        Ok(turn) => turn,
        Err(silence) => return Ok(Err(silence)),
    };
    let Some(to) = destination(&controllers, turn.seq) else { return Ok(Err(Silence::NotConfigured)) };
    let (message, memory) = build(&agent.amphora_id, turn.seq, &all_rows(context)?, remembered(context)?);
    let datagram = seal(&message, &agent.heartbeat_key)?;
    let kept = serde_json::to_vec(&memory).map_err(|error| error.to_string())?;
    context.files.write(FILE, &kept).map_err(|error| error.to_string())?;
    match context.machine.send(to, &datagram) {
        Ok(()) => {}
        Err(Fault::Failed(why)) => plugbay_sdk::debug!("the heartbeat to {to} was not sent: {why}"),
        Err(fault) => return Err(fault.to_string()),
    }
    Ok(Ok(message))
}

/// Count messages from 0 again, as after a start of the agent.
///
/// # Errors
/// If the key space cannot be written.
pub fn restarted() -> Result<(), kv::Error> {
    let restart = kv::transact(|tx| {
        let Some(turn) = tx.get_json::<Turn>(TURN)? else { return Ok::<_, kv::Error>(()) };
        tx.put_json(TURN, &Turn { at: turn.value.at, seq: u64::MAX })?;
        Ok(())
    });
    restart.map(|_| ())
}

/// Take the turn, if it is time and nobody else takes it.
fn take_turn(signs: Signs, now: u64) -> Result<Result<Turn, Silence>, kv::Error> {
    let taken = kv::transact(|tx| {
        let last = tx.get_json::<Turn>(TURN)?.map(|turn| turn.value);
        // A clock that was set back is no reason to wait.
        let since = last.and_then(|last| now.checked_sub(last.at));
        if let Err(silence) = decide(Signs { since, ..signs }) {
            return Ok::<_, kv::Error>(Err(silence));
        }
        let turn = Turn { at: now, seq: last.map_or(0, |last| last.seq.wrapping_add(1)) };
        tx.put_json(TURN, &turn)?;
        Ok(Ok(turn))
    });
    taken.map(|taken| taken.value)
}

fn signs(context: Context<'_>, agent: &Agent, controllers: &[SocketAddr]) -> Result<Signs, String> {
    let vrrp_configured = vrrp::is_configured(context).map_err(|error| error.to_string())?;
    Ok(Signs {
        vrrp_configured,
        vrrp_runs: vrrp_configured && runs(context, vrrp::PROCESS).map_err(|fault| fault.to_string())?,
        configured: !agent.heartbeat_key.is_empty() && !controllers.is_empty(),
        since: None,
        interval: agent.heartbeat_interval,
    })
}

/// What was told last; a file that does not read is as none.
fn remembered(context: Context<'_>) -> Result<Memory, String> {
    let bytes = context.files.read(FILE).map_err(|error| error.to_string())?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

/// The rows of every load balancer that runs and answers; the others are left out.
fn all_rows(context: Context<'_>) -> Result<Vec<Row>, String> {
    let mut all = Vec::new();
    for (lb, _) in balancers(context.files).map_err(|error| error.to_string())? {
        if !runs(context, &process(&lb)).map_err(|fault| fault.to_string())? {
            continue;
        }
        for line in ["show stat -1 1 -1", "show stat -1 6 -1"] {
            all.extend(
                context.machine.dialogue(&socket(&lb), line, ANSWER_MS).map(|text| rows(&text)).unwrap_or_default(),
            );
        }
    }
    match lvs::rows(context) {
        Ok(rows) => all.extend(rows),
        Err(why) => plugbay_sdk::warn!("nothing can be told of LVS listeners: {why}"),
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Signs =
        Signs { vrrp_configured: true, vrrp_runs: true, configured: true, since: Some(10_000), interval: 10 };

    #[test]
    fn a_dead_keepalived_silences_the_amphora() {
        assert_eq!(decide(WELL), Ok(()));
        assert_eq!(decide(Signs { vrrp_runs: false, ..WELL }), Err(Silence::KeepalivedDead));
        assert_eq!(decide(Signs { vrrp_runs: false, vrrp_configured: false, ..WELL }), Ok(()));
    }

    #[test]
    fn one_message_an_interval_and_the_first_at_once() {
        assert_eq!(decide(Signs { since: Some(9_400), ..WELL }), Err(Silence::TooSoon));
        assert_eq!(decide(Signs { since: Some(9_600), ..WELL }), Ok(()));
        assert_eq!(decide(Signs { since: None, ..WELL }), Ok(()));
        assert_eq!(decide(Signs { configured: false, ..WELL }), Err(Silence::NotConfigured));
    }

    #[test]
    fn controllers_get_messages_in_turn() {
        let controllers = ["192.0.2.1:5555".parse().unwrap(), "[2001:db8::1]:5555".parse().unwrap()];
        let turns: Vec<_> = (0..3).map(|seq| destination(&controllers, seq).unwrap()).collect();
        assert_eq!(turns, [controllers[0], controllers[1], controllers[0]]);
        assert_eq!(destination(&[], 0), None);
    }
}
