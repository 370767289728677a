//! LVS listeners in heartbeats: what keepalived's configuration says there is, and what `ipvsadm` says of it.
//!
//! The configuration's comments carry the ids; addresses connect them with LVS's tables. Both parsers pass over what they do not know.

use std::net::{IpAddr, SocketAddr};

use crate::haproxy::stat::Row;

/// A listener as its configuration describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Id of its pool.
    pub pool: Option<String>,
    /// Whether the pool has a health monitor.
    pub monitored: bool,
    /// Members by id; one that is disabled has no address.
    pub members: Vec<(String, Option<SocketAddr>)>,
}

/// Read a configuration.
pub fn listener(config: &str) -> Listener {
    let mut listener = Listener::default();
    let mut group = false;
    for line in config.lines() {
        let separator = |c: char| c.is_whitespace() || c == '{';
        let words: Vec<&str> = line.split(separator).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["#", "Configuration", "for", "Pool", id, ..] => listener.pool = Some((*id).to_owned()),
            ["#", "Configuration", "for", "HealthMonitor", ..] => listener.monitored = true,
            ["#", "Configuration", "for", "Member", id, ..] | ["#", "Member", id, "is", "disabled", ..] => {
                listener.members.push(((*id).to_owned(), None));
            }
            ["virtual_server_group", ..] => group = true,
            ["}", ..] => group = false,
            ["virtual_server", ip, port, ..] => listener.addresses.extend(address(ip, port)),
            ["real_server", ip, port, ..] => {
                if let Some((_, place @ None)) = listener.members.last_mut() {
                    *place = address(ip, port);
                }
            }
            [ip, port, ..] if group => listener.addresses.extend(address(ip, port)),
            _ => {}
        }
    }
    listener
}

fn address(ip: &str, port: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, port.parse().ok()?))
}

/// A virtual server in one of `ipvsadm`'s tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Virtual {
    /// Where it listens.
    pub address: SocketAddr,
    /// The words behind the address.
    pub columns: Vec<String>,
    /// Where it forwards to, with the words behind each address.
    pub servers: Vec<(SocketAddr, Vec<String>)>,
}

/// The virtual servers of a table of `ipvsadm -Ln`, with or without `--stats --exact`. Those of TCP are not ours.
pub fn table(text: &str) -> Vec<Virtual> {
    let mut table: Vec<Virtual> = Vec::new();
    let mut ours = false;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match words.as_slice() {
            ["UDP" | "SCTP", place, columns @ ..] => {
                let address = place.parse();
                ours = address.is_ok();
                table.extend(address.map(|address| Virtual { address, columns: owned(columns), servers: Vec::new() }));
            }
            ["->", place, columns @ ..] if ours => {
                if let (Some(last), Ok(address)) = (table.last_mut(), place.parse()) {
                    last.servers.push((address, owned(columns)));
                }
            }
            _ => ours = false,
        }
    }
    table
}

/// The rows of a heartbeat: the listener, its pool, its members.
///
/// `forwarding` is the plain table, `traffic` the one of statistics; `restarting` if a newer configuration waits to be taken up.
pub fn rows(id: &str, listener: &Listener, forwarding: &[Virtual], traffic: &[Virtual], restarting: bool) -> Vec<Row> {
    let ours = |virtuals: &[Virtual]| -> Vec<Virtual> {
        virtuals.iter().filter(|one| listener.addresses.contains(&one.address)).cloned().collect()
    };
    let (forwarding, traffic) = (ours(forwarding), ours(traffic));
    let servers: Vec<_> = forwarding.iter().flat_map(|one| &one.servers).collect();
    let total = |column: usize| traffic.iter().map(|one| number(&one.columns, column)).sum();
    let mut rows = vec![Row {
        proxy: id.to_owned(),
        server: "FRONTEND".to_owned(),
        status: "OPEN".to_owned(),
        scur: servers.iter().map(|(_, columns)| number(columns, 2)).sum(),
        stot: total(0),
        bin: total(3),
        bout: total(4),
        ..Row::default()
    }];
    let Some(pool) = &listener.pool else { return rows };
    let status = |place: &Option<SocketAddr>| {
        let Some(place) = place else { return "MAINT" };
        match servers.iter().find(|(address, _)| address == place) {
            _ if !listener.monitored => "no check",
            Some((_, columns)) if number(columns, 1) == 0 => "DRAIN",
            Some(_) => "UP",
            None if restarting => "RESTARTING",
            None => "DOWN",
        }
    };
    let members: Vec<_> = listener.members.iter().map(|(id, place)| (id, status(place))).collect();
    let down = !members.is_empty() && members.iter().all(|(_, status)| *status == "DOWN");
    let row = |server: &str, status: &str| Row {
        proxy: pool.clone(),
        server: server.to_owned(),
        status: status.to_owned(),
        ..Row::default()
    };
    rows.push(row("BACKEND", if down { "DOWN" } else { "UP" }));
    rows.extend(members.into_iter().map(|(id, status)| row(id, status)));
    rows
}

fn number(columns: &[String], at: usize) -> u64 {
    columns.get(at).and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: &str = "# Configuration for Loadbalancer lb
# Configuration for Listener l9
net_namespace amphora-haproxy
virtual_server_group ipv4-group {
    10.0.0.37 7777
}
virtual_server_group ipv6-group {
    2001:db8::37 7777
}
virtual_server group ipv4-group {
    protocol UDP
    # Configuration for Pool p9
    # Configuration for HealthMonitor h9
    # Configuration for Member m1
    real_server 10.0.0.99 82 {
        weight 13
        MISC_CHECK {
        }
    }
    # Configuration for Member m2
    real_server 10.0.0.98 82 {
        weight 0
    }
    # Configuration for Member m3
    real_server 10.0.0.97 82 {
    }
    # Member m4 is disabled
}
";

    const PLAIN: &str = "IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.0.0.37:7777 rr
  -> 10.0.0.97:82                 Masq    1      9          9
UDP  10.0.0.37:7777 rr
  -> 10.0.0.99:82                 Masq    13     2          0
  -> 10.0.0.98:82                 Masq    0      1          0
UDP  [2001:db8::37]:7777 rr
";

    const STATS: &str = "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
UDP  10.0.0.37:7777                      5       6        7      800      900
  -> 10.0.0.99:82                        5       6        7      800      900
UDP  [2001:db8::37]:7777                 1       1        1       10       20
";

    #[test]
    fn a_configuration_connects_ids_and_addresses() {
        let listener = listener(CONFIG);
        let place = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        assert_eq!(listener.addresses, ["10.0.0.37:7777".parse().unwrap(), "[2001:db8::37]:7777".parse().unwrap()]);
        assert_eq!((listener.pool.as_deref(), listener.monitored), (Some("p9"), true));
        let expected = [
            ("m1".to_owned(), place("10.0.0.99:82")),
            ("m2".to_owned(), place("10.0.0.98:82")),
            ("m3".to_owned(), place("10.0.0.97:82")),
            ("m4".to_owned(), None),
        ];
        assert_eq!(listener.members, expected);
        let single = super::listener("virtual_server 10.0.0.5 53 {\n}\n");
        assert_eq!(single.addresses, ["10.0.0.5:53".parse().unwrap()]);
    }

    #[test]
    fn a_listener_is_told_with_its_traffic_and_its_members() {
        let rows = rows("l9", &listener(CONFIG), &table(PLAIN), &table(STATS), false);
        let first = &rows[0];
        assert_eq!((first.proxy.as_str(), first.scur, first.stot, first.bin, first.bout), ("l9", 3, 6, 810, 920));
        let told: Vec<_> = rows[1..].iter().map(|row| (row.server.as_str(), row.status.as_str())).collect();
        assert_eq!(told, [("BACKEND", "UP"), ("m1", "UP"), ("m2", "DRAIN"), ("m3", "DOWN"), ("m4", "MAINT")]);
        assert!(rows[1..].iter().all(|row| row.proxy == "p9"));
    }

    #[test]
    fn without_a_monitor_nothing_is_known_and_while_restarting_nothing_is_down() {
        let config = CONFIG.replace("    # Configuration for HealthMonitor h9\n", "");
        let rows = rows("l9", &listener(&config), &[], &[], false);
        assert!(rows[2..5].iter().all(|row| row.status == "no check"));
        let rows = super::rows("l9", &listener(CONFIG), &[], &[], true);
        assert_eq!((rows[1].status.as_str(), rows[2].status.as_str()), ("UP", "RESTARTING"));
        let rows =
            super::rows("l9", &listener(CONFIG.replace("# Member m4 is disabled", "").as_str()), &[], &[], false);
        assert_eq!(rows[1].status, "DOWN");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(UDP|->|# Configuration for (Pool|Member)|real_server|virtual_server(_group)?|10.0.0.1:5|[a-z0-9:. {}\n]){0,60}") {
            let listener = listener(&text);
            let table = table(&text);
            let rows = rows("l", &listener, &table, &table, false);
            prop_assert_eq!(rows[0].server.as_str(), "FRONTEND");
        }
    }
}
