//! Commands in keepalived configurations: only the agent's own checks and what the operator lists may be named.
//!
//! keepalived runs them as root where it may, so anything unclear is refused: keywords in quotes or by variables, lines that are
//! continued, files that are included.

use crate::settings::Settings;

/// Words that are followed by a command.
const COMMANDS: [&str; 20] = [
    "script",
    "misc_path",
    "notify",
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
    "notify_deleted",
    "notify_master_rx_lower_pri",
    "notify_up",
    "notify_down",
    "notify_fifo_script",
    "vrrp_notify_fifo_script",
    "lvs_notify_fifo_script",
    "quorum_up",
    "quorum_down",
    "startup_script",
    "shutdown_script",
    "check_script",
    "notify_priority_changes_script",
];

/// Words that bring in other text.
const INCLUDES: [&str; 5] = ["include", "includer", "includem", "includew", "includeb"];

/// What is wrong with the first line that is; none if nothing is.
pub fn refusal(config: &str, settings: &Settings) -> Option<String> {
    let base = settings.base_path.trim_end_matches('/');
    let mut allowed = vec![format!("{base}/vrrp/check_script.sh"), format!("{base}/lvs/check/udp_check.sh")];
    allowed.extend(settings.keepalived_scripts.iter().cloned());
    config.lines().enumerate().find_map(|(index, line)| {
        let why = line_refusal(line, &allowed)?;
        Some(format!("line {}: {why}", index + 1))
    })
}

fn line_refusal(line: &str, allowed: &[String]) -> Option<String> {
    let first = line.split_whitespace().next()?;
    // A comment further on is read like the rest: where one begins is keepalived's to say.
    if first.starts_with(['#', '!']) {
        return None;
    }
    if first.contains(['"', '\'', '\\', '$', '@', '~']) {
        return Some("a keyword has to be written out".to_owned());
    }
    if line.contains('\0') || line.trim_end().ends_with('\\') {
        return Some("a line has to be whole".to_owned());
    }
    let separator = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '{' | '}');
    let mut words = line.split(separator).filter(|word| !word.is_empty()).peekable();
    let mut at_start = true;
    while let Some(word) = words.next() {
        if INCLUDES.contains(&word) {
            return Some("other files may not be included".to_owned());
        }
        // `check_script` is also the name of a script, wherever it does not begin its line and path or arguments follow.
        let names_command = COMMANDS.contains(&word) && (word != "check_script" || at_start && words.peek().is_some());
        at_start = false;
        if !names_command {
            continue;
        }
        match words.next() {
            Some(command) if allowed.iter().any(|known| known == command) => {}
            other => return Some(format!("{word} may not run {}", other.unwrap_or("anything"))),
        }
        if line.contains([';', '|', '&', '$', '`', '<', '>', '(', ')', '\\']) {
            return Some(format!("{word} may not be given such arguments"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_refused_however_they_are_written() {
        for line in [
            "script \"/bin/sh -c x\"",
            "vrrp_script x { script /bin/sh }",
            "\"script\" /bin/sh",
            "$X /bin/sh",
            "@main script /bin/sh",
            "notify_master /bin/sh",
            "misc_path \"/tmp/x\"",
            "scr\\",
            "include /etc/x",
            "script",
            "script /var/lib/octavia/vrrp/check_script.sh; reboot",
            "script /var/lib/octavia/vrrp/check_script.sh/../x",
            "vrrp_script a!b { script /bin/sh }",
        ] {
            let text = refusal(&format!("vrrp_instance a {{\n  {line}\n}}\n"), &Settings::default());
            assert!(text.is_some_and(|text| text.starts_with("line 2: ")), "{line}");
        }
    }

    #[test]
    fn the_agents_own_checks_are_taken() {
        let config = "vrrp_script check_script {\n  script /var/lib/octavia/vrrp/check_script.sh\n  interval 5\n}\n\
                      vrrp_instance a {\n  state MASTER\n  # script /bin/sh\n  track_script {\n    check_script\n  }\n}\n\
                      MISC_CHECK {\n  misc_path \"/var/lib/octavia/lvs/check/udp_check.sh 10.0.0.1 80\"\n}\n";
        assert_eq!(refusal(config, &Settings::default()), None);
        let other = "misc_path /usr/local/bin/check";
        assert!(refusal(other, &Settings::default()).is_some());
        let listed = Settings { keepalived_scripts: vec!["/usr/local/bin/check".into()], ..Settings::default() };
        assert_eq!(refusal(other, &listed), None);
    }
}
