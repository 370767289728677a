//! What is read from a stored configuration: its listeners, and where haproxy answers questions.

use std::net::IpAddr;

use super::words::words;

/// What a listener terminates or passes on, as the API names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontend {
    /// Id of the listener; `prometheus-exporter-…` or the like for the internal one.
    pub id: String,
    /// `HTTP`, `TCP`, or `TERMINATED_HTTPS`.
    pub kind: String,
}

/// A configuration as far as the API looks into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// In the order of the file.
    pub frontends: Vec<Frontend>,
    /// Path of the first `stats socket`.
    pub stats_socket: String,
}

/// Words that begin a section.
pub const SECTIONS: [&str; 18] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "cache",
    "ring",
    "program",
    "http-errors",
    "log-forward",
    "fcgi-app",
    "crt-store",
    "traces",
    "acme",
];

#[derive(Default)]
struct Open {
    id: String,
    mode: Option<String>,
    terminates: bool,
}

impl Open {
    fn close(self) -> Result<Frontend, String> {
        let mode = self.mode.ok_or_else(|| format!("frontend {} has no mode", self.id))?;
        let kind = if self.terminates { "TERMINATED_HTTPS".to_owned() } else { mode.to_uppercase() };
        Ok(Frontend { id: self.id, kind })
    }
}

/// Read a configuration.
///
/// # Errors
/// What it lacks: a `stats socket`, or the `mode` of a frontend.
pub fn parse(text: &str) -> Result<Config, String> {
    let mut frontends = Vec::new();
    let mut open: Option<Open> = None;
    let mut stats_socket = None;
    for line in text.lines() {
        let words = words(line);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        match texts.as_slice() {
            ["frontend", id, ..] => {
                frontends.extend(open.take().map(Open::close).transpose()?);
                open = Some(Open { id: (*id).to_owned(), ..Open::default() });
            }
            [section, ..] if SECTIONS.contains(section) => frontends.extend(open.take().map(Open::close).transpose()?),
            ["stats", "socket", path, ..] if stats_socket.is_none() => stats_socket = Some((*path).to_owned()),
            ["mode", mode, ..] => {
                if let Some(open) = &mut open {
                    open.mode = Some((*mode).to_owned());
                }
            }
            ["bind", rest @ ..] => {
                let terminates = rest.windows(3).any(|three| matches!(three, ["ssl", "crt-list", _]));
                if let Some(open) = &mut open {
                    open.terminates |= terminates;
                }
            }
            _ => {}
        }
    }
    frontends.extend(open.map(Open::close).transpose()?);
    let stats_socket = stats_socket.ok_or("the configuration has no stats socket")?;
    Ok(Config { frontends, stats_socket })
}

/// The addresses that a configuration binds, each once. Names, unix sockets and `*` are none.
pub fn addresses(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let words = words(line);
        let mut words = words.iter().map(|word| word.text.as_str());
        if words.next() != Some("bind") {
            continue;
        }
        let places = words.next().into_iter().flat_map(|places| places.split(','));
        for ip in places.filter_map(bound) {
            if !found.contains(&ip) {
                found.push(ip);
            }
        }
    }
    found
}

/// The address of `address:port`, also of `ipv6:port` as the controller writes it.
fn bound(place: &str) -> Option<IpAddr> {
    let (host, _port) = place.rsplit_once(':')?;
    host.trim_matches(['[', ']']).parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified())
}

/// Take out what older controllers say of the group: every `group` with space on both sides, the line break before it
/// and the rest of its line included.
pub fn without_group(text: &str) -> String {
    let space = |c: char| c.is_whitespace();
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("group") {
        let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + 5..).unwrap_or_default());
        // What was kept so far never ends in a part of this match: a match takes its line to the end.
        if before.ends_with(space) && after.starts_with(space) {
            kept.push_str(before.trim_end_matches(space));
            // The space behind the word may itself be line breaks.
            let value = after.trim_start_matches(space);
            rest = value.find('\n').and_then(|end| value.get(end..)).unwrap_or_default();
        } else {
            kept.push_str(before);
            kept.push_str("group");
            rest = after;
        }
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: &str = "\
global
    daemon
    stats socket /var/lib/octavia/lb.sock mode 0666 level user
peers lb_peers
    peer x 10.0.0.1:1025
frontend l1
    bind 10.0.0.5:80
    mode http
frontend l2
    bind 10.0.0.5:443 ssl crt-list /var/lib/octavia/certs/lb/l2.pem
    mode http
backend p1:l1
    mode http
frontend l3
    bind 10.0.0.5:22
    mode tcp
";

    #[test]
    fn frontends_are_listeners_with_the_type_of_their_mode() {
        let config = parse(CONFIG).unwrap();
        let kinds: Vec<_> = config.frontends.iter().map(|f| (f.id.as_str(), f.kind.as_str())).collect();
        assert_eq!(kinds, [("l1", "HTTP"), ("l2", "TERMINATED_HTTPS"), ("l3", "TCP")]);
        assert_eq!(config.stats_socket, "/var/lib/octavia/lb.sock");
    }

    #[test]
    fn a_frontend_without_mode_or_a_configuration_without_stats_socket_cannot_be_read() {
        assert!(parse("global\n stats socket /x\nfrontend a\n bind :80\nbackend b\n mode http\n").is_err());
        assert!(parse("frontend a\n mode http\n").is_err());
        assert!(parse("global\n stats socket /x\n").unwrap().frontends.is_empty());
    }

    #[test]
    fn bound_addresses_are_found_in_both_families() {
        let text = "frontend a\n bind 10.0.0.5:80\n bind 2001:db8::5:443 ssl\n bind [::1]:80,10.0.0.5:81\n bind :9\n bind *:8\n";
        let expected = ["10.0.0.5", "2001:db8::5", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(addresses(text), expected);
        assert!(addresses("server a 10.0.0.5:80\nbind unix@/x\nbind\n").is_empty());
    }

    #[test]
    fn the_group_goes_with_the_line_break_before_it() {
        assert_eq!(without_group("    user nobody\n    group nogroup\n    log x\n"), "    user nobody\n    log x\n");
        assert_eq!(without_group("acl in a group of x\nnext"), "acl in a\nnext");
        assert_eq!(without_group("a-group x\nsubgroups\n"), "a-group x\nsubgroups\n");
        assert_eq!(without_group("x\ngroup"), "x\ngroup");
    }

    proptest! {
        #[test]
        fn nothing_else_is_taken_out(text in "[a-f \n]{0,60}") {
            prop_assert_eq!(without_group(&text), text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(frontend|mode|bind|stats socket|ssl crt-list|[a-z/\"' \\\\]|\n| ){0,40}") {
            let _ = parse(&text);
            let _ = addresses(&text);
        }
    }
}
