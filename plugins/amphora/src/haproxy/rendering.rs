//! The copy of a configuration that haproxy is given.
//!
//! What the controller sent is kept and given back; what runs may differ: paths lead into the private directory, the change of user
//! is left out where haproxy may not change it, and `maxconn` is bounded. Lines keep their numbers, so that haproxy's messages point
//! at the right ones.

use super::config::SECTIONS;
use super::words::{Word, words};
use crate::names::Id;
use crate::settings::Settings;

/// Most bytes of the path of a socket: 107, less what haproxy puts behind it while it binds.
const SOCKET_PATH: usize = 92;

/// A configuration to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its text.
    pub text: String,
    /// Names of the crt-lists in it, which hold paths themselves and are read as copies too.
    pub crt_lists: Vec<String>,
}

/// The configuration of a load balancer with the private directory at `directory`.
///
/// # Errors
/// What cannot be run from there.
pub fn render(config: &str, lb: &Id, settings: &Settings, directory: &str) -> Result<Rendered, String> {
    // Grown only once: a configuration may be megabytes, of which there is not room for many.
    let longer = config.matches(trimmed(&settings.base_path)).count() * (directory.len() + "/crt-list/''".len());
    let mut rendered = Rendered { text: String::with_capacity(config.len() + longer + 64), crt_lists: Vec::new() };
    let mut global = false;
    for line in config.split_inclusive('\n') {
        // A word that is left open is haproxy's to refuse.
        let mut words = words(line.trim_end_matches(['\r', '\n']));
        words.retain(|word| !word.open);
        let first = words.first().map(|word| word.text.as_str()).unwrap_or_default();
        if SECTIONS.contains(&first) {
            global = first == "global";
        }
        if global && settings.haproxy_group.is_none() && matches!(first, "user" | "group" | "uid" | "gid") {
            rendered.text.push_str("    # ");
            rendered.text.push_str(line.trim_start());
            continue;
        }
        let mut end = 0;
        for (index, word) in words.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|at| words.get(at)).map(|word| word.text.as_str());
            let Some(replaced) = replacement(word, before, lb, settings, directory, &mut rendered.crt_lists) else {
                continue;
            };
            if before == Some("socket") && replaced.len() > SOCKET_PATH {
                return Err(format!("the path of the stats socket is longer than {SOCKET_PATH} bytes: {replaced}"));
            }
            rendered.text.push_str(line.get(end..word.span.start).unwrap_or_default());
            rendered.text.push_str(&quoted(&replaced));
            end = word.span.end;
        }
        rendered.text.push_str(line.get(end..).unwrap_or_default());
    }
    Ok(rendered)
}

/// What stands there instead of a word; none if the word stays.
fn replacement(
    word: &Word,
    before: Option<&str>,
    lb: &Id,
    settings: &Settings,
    directory: &str,
    crt_lists: &mut Vec<String>,
) -> Option<String> {
    if before == Some("maxconn") {
        let bound = settings.max_connections?;
        return word.text.parse::<u64>().ok().filter(|&wanted| wanted > bound).map(|_| bound.to_string());
    }
    if before == Some("crt-list")
        && let Some(name) = word.text.strip_prefix(&format!("{}/{lb}/", trimmed(&settings.base_cert_dir)))
        && moved(settings, directory)
        && !name.contains('/')
    {
        crt_lists.push(name.to_owned());
        return Some(format!("{directory}/{}", crt_list_copy(lb, name)));
    }
    moved_path(&word.text, settings, directory)
}

/// Where the copy of a crt-list is, below the private directory.
pub fn crt_list_copy(lb: &Id, name: &str) -> String {
    format!("{lb}/crt-list/{name}")
}

/// A crt-list with its paths in the private directory.
pub fn render_crt_list(list: &str, settings: &Settings, directory: &str) -> String {
    list.split_inclusive('\n')
        .map(|line| moved_path(line, settings, directory).unwrap_or_else(|| line.to_owned()))
        .collect()
}

/// The text with the private directory for the controller's base directory at its start; none if it begins otherwise.
fn moved_path(text: &str, settings: &Settings, directory: &str) -> Option<String> {
    if !moved(settings, directory) {
        return None;
    }
    let below = |base: &str| text.strip_prefix(trimmed(base))?.strip_prefix('/');
    match below(&settings.base_cert_dir) {
        Some(rest) => Some(format!("{directory}/certs/{rest}")),
        None => below(&settings.base_path).map(|rest| format!("{directory}/{rest}")),
    }
}

/// What haproxy says, with the controller's paths for those of the private directory.
pub fn told(text: &str, settings: &Settings, directory: &str) -> String {
    text.replace(&format!("{directory}/certs/"), &format!("{}/", trimmed(&settings.base_cert_dir)))
        .replace(&format!("{directory}/"), &format!("{}/", trimmed(&settings.base_path)))
}

fn moved(settings: &Settings, directory: &str) -> bool {
    trimmed(&settings.base_path) != directory || trimmed(&settings.base_cert_dir) != format!("{directory}/certs")
}

fn trimmed(base: &str) -> &str {
    base.trim_end_matches('/')
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=,+%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: &str = "global
    user nobody
    maxconn 50000
    server-state-file /var/lib/octavia/lb/servers-state
    stats socket /var/lib/octavia/lb.sock mode 0666 level user
frontend l1
    maxconn 100
    bind 10.0.0.5:443 ssl crt-list /var/lib/octavia/certs/lb/l1.pem ca-file /var/lib/octavia/certs/lb/a.pem
backend b
    user x
    server m 10.0.0.9:80 # /var/lib/octavia/x
";

    fn lb() -> Id {
        Id::parse("lb").unwrap()
    }

    #[test]
    fn paths_lead_into_the_private_directory() {
        let rendered = render(CONFIG, &lb(), &Settings::default(), "/private").unwrap();
        let expected = "global
    # user nobody
    maxconn 50000
    server-state-file /private/lb/servers-state
    stats socket /private/lb.sock mode 0666 level user
frontend l1
    maxconn 100
    bind 10.0.0.5:443 ssl crt-list /private/lb/crt-list/l1.pem ca-file /private/certs/lb/a.pem
backend b
    user x
    server m 10.0.0.9:80 # /var/lib/octavia/x
";
        assert_eq!(rendered, Rendered { text: expected.into(), crt_lists: vec!["l1.pem".into()] });
        let list = render_crt_list("/var/lib/octavia/certs/lb/a.pem\n/x\n", &Settings::default(), "/private");
        assert_eq!(list, "/private/certs/lb/a.pem\n/x\n");
    }

    #[test]
    fn what_haproxy_says_names_the_controllers_paths() {
        let said = "[/private/lb/haproxy.cfg.new:3] : unable to stat '/private/certs/lb/a.pem'";
        let told = told(said, &Settings::default(), "/private");
        let expected = "[/var/lib/octavia/lb/haproxy.cfg.new:3] : unable to stat '/var/lib/octavia/certs/lb/a.pem'";
        assert_eq!(told, expected);
    }

    #[test]
    fn where_the_directory_is_the_controllers_nothing_is_moved() {
        let settings = Settings { haproxy_group: Some("nogroup".into()), ..Settings::default() };
        let rendered = render(CONFIG, &lb(), &settings, "/var/lib/octavia").unwrap();
        assert_eq!(rendered, Rendered { text: CONFIG.into(), crt_lists: vec![] });
    }

    #[test]
    fn a_word_that_is_left_open_is_left_to_haproxy() {
        let text = "log '/var/lib/octavia/x\n  defaults\n  user x\nlog /var/lib/octavia/\\\n";
        assert_eq!(render(text, &lb(), &Settings::default(), "/private").unwrap().text, text);
    }

    #[test]
    fn connections_are_bounded_where_the_operator_says_so() {
        let settings = Settings { max_connections: Some(400), ..Settings::default() };
        let text = render(CONFIG, &lb(), &settings, "/private").unwrap().text;
        assert!(text.contains("    maxconn 400\n") && text.contains("    maxconn 100\n"));
    }

    #[test]
    fn a_socket_path_that_the_system_cannot_bind_is_said_to_be_so() {
        let deep = format!("/{}", "d".repeat(100));
        assert!(render(CONFIG, &lb(), &Settings::default(), &deep).unwrap_err().contains("stats socket"));
    }

    proptest! {
        #[test]
        fn lines_keep_their_numbers(text in "(global|user|maxconn 9|/var/lib/octavia/[a-c']|crt-list|[a-z \n\"'#\\\\]){0,30}") {
            let settings = Settings { max_connections: Some(5), ..Settings::default() };
            let rendered = render(&text, &lb(), &settings, "/p q").unwrap().text;
            prop_assert_eq!(rendered.lines().count(), text.lines().count());
        }
    }
}
