//! The copy of a configuration that keepalived is given.
//!
//! Paths lead into the private directory. The agent's own checks are run by the shell that the operator lets keepalived execute: a
//! confined program executes no file of the private directory. The network namespace is left to the operator's entry of the program.

use crate::settings::Settings;

/// The check of the load balancers, below the base directory.
pub const VRRP_CHECK: &str = "vrrp/check_script.sh";

/// The check of a member of a UDP pool, below the base directory.
pub const UDP_CHECK: &str = "lvs/check/udp_check.sh";

/// Whether a configuration names a check of the agent's own.
pub fn uses(config: &str, check: &str, settings: &Settings) -> bool {
    config.contains(&under(&settings.base_path, check))
}

fn under(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// The configuration with the private directory at `directory`. What it may name has been checked.
///
/// # Errors
/// What cannot be run from there.
pub fn render(config: &str, settings: &Settings, directory: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !directory.chars().all(plain) {
        return Err(format!("keepalived cannot be told of files below {directory}"));
    }
    let mut rendered = String::with_capacity(config.len());
    for line in config.split_inclusive('\n') {
        if line.split_whitespace().next() == Some("net_namespace") {
            rendered.push_str("# ");
        }
        rendered.push_str(&render_line(line, settings, directory)?);
    }
    Ok(rendered)
}

fn render_line(line: &str, settings: &Settings, directory: &str) -> Result<String, String> {
    let moved = |text: &str| text.replace(&under(&settings.base_path, ""), &format!("{directory}/"));
    let comment = line.trim_start().starts_with(['#', '!']);
    let found = |check: &&str| line.find(&under(&settings.base_path, check)).filter(|_| !comment);
    let Some((at, check)) = [VRRP_CHECK, UDP_CHECK].iter().find_map(|check| Some((found(check)?, check))) else {
        return Ok(moved(line));
    };
    let shell = settings.keepalived_shell.as_deref().ok_or_else(|| needs_shell(check))?;
    let before = line.get(..at).unwrap_or_default();
    let after = line.get(at + under(&settings.base_path, check).len()..).unwrap_or_default();
    let command = format!("{shell} {directory}/{check}");
    if before.ends_with('"') {
        return Ok(format!("{}{command}{}", moved(before), moved(after)));
    }
    // Without quotes the arguments end where the block or the line does.
    let end = after.find(['}', '\r', '\n']).unwrap_or(after.len());
    let (arguments, rest) = after.split_at_checked(end).unwrap_or((after, ""));
    Ok(format!("{}\"{command}{}\"{rest}", moved(before), arguments.trim_end()))
}

/// Why a configuration with a check of the agent's own is of no use.
pub fn needs_shell(check: &str) -> String {
    format!("{check} cannot be run: the operator has configured no keepalived_shell for the plugin")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings() -> Settings {
        Settings { keepalived_shell: Some("/bin/sh".into()), ..Settings::default() }
    }

    fn rendered(text: &str) -> String {
        render(text, &settings(), "/private").unwrap()
    }

    #[test]
    fn own_checks_are_run_by_the_shell() {
        let text = "vrrp_script check_script {\n  script /var/lib/octavia/vrrp/check_script.sh\n  interval 5\n}\n";
        let expected =
            "vrrp_script check_script {\n  script \"/bin/sh /private/vrrp/check_script.sh\"\n  interval 5\n}\n";
        assert_eq!(rendered(text), expected);
        assert_eq!(
            rendered("misc_path \"/var/lib/octavia/lvs/check/udp_check.sh 10.0.0.1 80\"\n"),
            "misc_path \"/bin/sh /private/lvs/check/udp_check.sh 10.0.0.1 80\"\n"
        );
        assert_eq!(
            rendered("{ misc_path /var/lib/octavia/lvs/check/udp_check.sh 10.0.0.1 80 }"),
            "{ misc_path \"/bin/sh /private/lvs/check/udp_check.sh 10.0.0.1 80\"}"
        );
        let without = render(text, &Settings::default(), "/private");
        assert!(without.unwrap_err().contains("keepalived_shell"));
    }

    #[test]
    fn the_namespace_is_the_operators_and_paths_are_moved() {
        assert_eq!(
            rendered("net_namespace amphora-haproxy\nx /var/lib/octavia/y\n"),
            "# net_namespace amphora-haproxy\nx /private/y\n"
        );
        assert!(render("x", &settings(), "/a b").is_err());
    }

    proptest! {
        #[test]
        fn lines_keep_their_numbers(
            text in "(/var/lib/octavia/(vrrp/check_script.sh|lvs/check/udp_check.sh|x)|[a-z \"}#\r\n]|net_namespace){0,30}"
        ) {
            prop_assert_eq!(rendered(&text).matches('\n').count(), text.matches('\n').count());
        }
    }
}
