//! Directives that run programs or load code, which a configuration may not hold.
//!
//! The controller is trusted with load balancing, not with the machine. The host confines haproxy as well; here the refusal has a
//! line number and a reason.

use super::words::words;

/// First words of lines, and what is wrong with them.
const FORBIDDEN: [(&str, &str); 14] = [
    ("program", "runs a program"),
    ("command", "runs a program"),
    ("insecure-fork-wanted", "lets haproxy run programs"),
    ("insecure-setuid-wanted", "lets programs gain privileges"),
    ("external-check", "runs a program"),
    ("lua-load", "loads code"),
    ("lua-load-per-thread", "loads code"),
    ("lua-prepend-path", "loads code"),
    ("module-load", "loads code"),
    ("module-path", "loads code"),
    ("ssl-engine", "loads code"),
    ("ssl-provider", "loads code"),
    ("ssl-provider-path", "loads code"),
    ("chroot", "moves haproxy out of its directory"),
];

/// Where health checks may look for programs.
const SYSTEM_PATHS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What is wrong with the first line that is, in the form of haproxy's own messages; none if nothing is.
///
/// `external_checks` are the commands that PING monitors may name; with any of them the directives around them are taken too.
pub fn refusal(config: &str, external_checks: &[String]) -> Option<String> {
    config.lines().enumerate().find_map(|(index, line)| {
        let why = line_refusal(line, external_checks)?;
        Some(format!("[ALERT] parsing [haproxy.cfg:{}] : {why}", index + 1))
    })
}

fn line_refusal(line: &str, external_checks: &[String]) -> Option<String> {
    if line.contains('\0') {
        return Some("a NUL character is not allowed.".to_owned());
    }
    let words = words(line);
    let mut texts = words.iter().skip_while(|word| matches!(word.text.as_str(), "default" | "no") && words.len() > 1);
    let first = texts.next()?;
    if first.variable || first.open {
        return Some("a keyword has to be written out.".to_owned());
    }
    let option = (first.text == "option").then(|| texts.next()).flatten();
    let keyword = option.unwrap_or(first);
    if keyword.variable || keyword.open {
        return Some("a keyword has to be written out.".to_owned());
    }
    let (name, why) = FORBIDDEN.iter().find(|(name, _)| *name == keyword.text)?;
    let arguments: Vec<_> = texts.map(|word| word.text.as_str()).collect();
    if is_allowed_check(name, &arguments, option.is_some(), external_checks) {
        return None;
    }
    Some(format!("'{name}' is not allowed on this amphora: it {why}."))
}

/// Whether this is part of a health check by a command that the operator listed.
fn is_allowed_check(name: &str, arguments: &[&str], option: bool, external_checks: &[String]) -> bool {
    if external_checks.is_empty() {
        return false;
    }
    match (name, arguments) {
        ("insecure-fork-wanted" | "external-check", []) => true,
        ("external-check", ["command", command]) => !option && external_checks.iter().any(|known| known == command),
        // Where the listed command finds others.
        ("external-check", ["path", path]) => !option && path.split(':').all(|place| SYSTEM_PATHS.contains(&place)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &str = "/var/lib/octavia/ping-wrapper.sh";

    #[test]
    fn directives_that_run_programs_are_refused_however_they_are_spelled() {
        for line in [
            "program x",
            "  command /bin/sh",
            "insecure-fork-wanted",
            "lua-load /x.lua",
            "\"lua-load\" /x.lua",
            "lua\\-load /x.lua",
            "no lua-load /x.lua",
            "option external-check",
            "external-check command /bin/sh",
            "ssl-engine x",
            "\"${X}\" /x.lua",
            "lua-\\",
            "chroot /x",
        ] {
            let config = format!("global\n{line}\n");
            let text = refusal(&config, &[]).unwrap_or_else(|| panic!("{line}"));
            assert!(text.contains("[haproxy.cfg:2]"), "{text}");
        }
    }

    #[test]
    fn what_the_controller_writes_is_taken() {
        let config = "global\n    daemon\n    user nobody\n    log /run/rsyslog/octavia/log local0\n\
                      # lua-load\nbackend x\n    option httpchk GET /program\n    acl lua-load path /x\n";
        assert_eq!(refusal(config, &[]), None);
    }

    #[test]
    fn ping_monitors_run_listed_commands_only() {
        let with = |command: &str| {
            format!("global\n external-check\n insecure-fork-wanted\nbackend b\n option external-check\n {command}\n")
        };
        let listed = [PING.to_owned()];
        assert_eq!(refusal(&with(&format!("external-check command {PING}")), &listed), None);
        assert_eq!(refusal(&with("external-check path \"/usr/bin:/bin\""), &listed), None);
        assert!(refusal(&with("external-check path /tmp"), &listed).is_some());
        assert!(refusal(&with("external-check command /bin/sh"), &listed).is_some());
        assert!(refusal(&with(&format!("external-check command {PING}")), &[]).is_some());
    }
}
