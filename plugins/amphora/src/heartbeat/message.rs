//! What a heartbeat says, computed from haproxy's counters and from what was told last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::haproxy::stat::Row;

/// Version of the message: traffic as differences.
pub const VERSION: u32 = 3;

/// A heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Id of the amphora.
    pub id: String,
    /// Counts messages built since the start, from 0.
    pub seq: u64,
    /// By listener.
    pub listeners: BTreeMap<String, Listener>,
    /// By `pool:listener`.
    pub pools: BTreeMap<String, Pool>,
    /// [`VERSION`].
    pub ver: u32,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// `OPEN`, `FULL`, …
    pub status: String,
    /// Traffic.
    pub stats: Stats,
}

/// Traffic of a listener since the last message, save `conns`, which is as it is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Bytes out.
    pub tx: u64,
    /// Bytes in.
    pub rx: u64,
    /// Connections now.
    pub conns: u64,
    /// Connections made.
    pub totconns: u64,
    /// Requests that were wrong.
    pub ereq: u64,
}

/// A pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// `UP` or `DOWN`.
    pub status: String,
    /// Status by member.
    pub members: BTreeMap<String, String>,
}

/// Counters of a listener as they were told last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Bytes out.
    pub tx: u64,
    /// Bytes in.
    pub rx: u64,
    /// Connections made.
    pub totconns: u64,
    /// Requests that were wrong.
    pub ereq: u64,
}

/// What is kept from message to message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// By listener.
    #[serde(default)]
    pub totals: BTreeMap<String, Totals>,
}

/// The message of these rows of all load balancers, and what is to be kept for the next.
///
/// Counters of listeners that did not answer are kept: they may do so next time.
pub fn build(amphora: &str, seq: u64, rows: &[Row], mut memory: Memory) -> (Message, Memory) {
    let mut message =
        Message { id: amphora.to_owned(), seq, listeners: BTreeMap::new(), pools: BTreeMap::new(), ver: VERSION };
    for row in rows.iter().filter(|row| !row.proxy.contains("prometheus")) {
        match row.server.as_str() {
            "FRONTEND" => {
                let now = Totals { tx: row.bout, rx: row.bin, totconns: row.stot, ereq: row.ereq };
                let before = memory.totals.insert(row.proxy.clone(), now).unwrap_or_default();
                let stats = Stats {
                    tx: since(before.tx, now.tx),
                    rx: since(before.rx, now.rx),
                    conns: row.scur,
                    totconns: since(before.totconns, now.totconns),
                    ereq: since(before.ereq, now.ereq),
                };
                message.listeners.insert(row.proxy.clone(), Listener { status: row.status.clone(), stats });
            }
            "BACKEND" => message.pools.entry(row.proxy.clone()).or_default().status.clone_from(&row.status),
            member => {
                let members = &mut message.pools.entry(row.proxy.clone()).or_default().members;
                members.insert(member.to_owned(), member_status(row));
            }
        }
    }
    (message, memory)
}

/// A counter that became smaller began anew.
fn since(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn member_status(row: &Row) -> String {
    if row.status == "UP" && row.weight == "0" { "DRAIN".to_owned() } else { row.status.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::stat::rows;
    use proptest::prelude::*;

    const STAT: &str = "# pxname,svname,scur,stot,bin,bout,ereq,status,weight,
l1,FRONTEND,2,10,100,200,1,OPEN,,
p1:l1,m1,0,5,1,1,,UP,1,
p1:l1,m2,0,5,1,1,,UP,0,
p1:l1,m3,0,5,1,1,,UP 1/3,1,
p1:l1,m4,0,5,1,1,,no check,1,
p1:l1,BACKEND,0,10,2,2,,UP,2,
prometheus-exporter,FRONTEND,0,0,0,0,0,OPEN,,
";

    #[test]
    fn a_message_has_exactly_these_fields() {
        let (message, _) = build("amp", 0, &rows(STAT), Memory::default());
        let expected = serde_json::json!({
            "id": "amp", "seq": 0, "ver": 3,
            "listeners": {"l1": {"status": "OPEN", "stats":
                {"tx": 200, "rx": 100, "conns": 2, "totconns": 10, "ereq": 1}}},
            "pools": {"p1:l1": {"status": "UP", "members":
                {"m1": "UP", "m2": "DRAIN", "m3": "UP 1/3", "m4": "no check"}}},
        });
        assert_eq!(serde_json::to_value(message).unwrap(), expected);
    }

    #[test]
    fn traffic_is_told_once_and_connections_as_they_are() {
        let (_, memory) = build("amp", 0, &rows(STAT), Memory::default());
        let (message, memory) = build("amp", 1, &rows(STAT), memory);
        let quiet = Stats { conns: 2, ..Stats::default() };
        assert_eq!((message.seq, message.listeners["l1"].stats), (1, quiet));
        let reloaded = rows("# pxname,svname,bin,bout,stot\nl1,FRONTEND,7,8,1\n");
        let (message, _) = build("amp", 2, &reloaded, memory);
        assert_eq!(message.listeners["l1"].stats, Stats { tx: 8, rx: 7, totconns: 1, ..Stats::default() });
    }

    proptest! {
        #[test]
        fn growing_counters_are_told_in_full(steps in prop::collection::vec(0u64..1000, 1..9)) {
            let (mut total, mut told, mut memory) = (0, 0, Memory::default());
            for step in steps {
                total += step;
                let row = Row { proxy: "l".into(), server: "FRONTEND".into(), bout: total, ..Row::default() };
                let (message, kept) = build("amp", 0, &[row], memory);
                told += message.listeners["l"].stats.tx;
                memory = kept;
            }
            prop_assert_eq!(told, total);
        }
    }
}
