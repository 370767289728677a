//! Every test, with what they need built and found.

use crate::build;
use crate::command::{Outcome, run, which};
use crate::workspace::Workspace;

/// Where tests find programs and components: the target directory.
const TARGET_VARIABLE: &str = "PLUGBAY_TARGET";

/// Build everything and run the tests. Arguments go to the runner, and select: with any, the examples
/// in the documentation are left out.
pub fn test(workspace: &Workspace, arguments: &[String]) -> Outcome {
    build::build(workspace)?;
    let runner: &[&str] = if which("cargo-nextest").is_some() {
        &["nextest", "run", "--release", "--workspace", "--no-fail-fast"]
    } else {
        eprintln!("cargo-nextest is not on the path; using the slower `cargo test`");
        &["test", "--release", "--workspace", "--lib", "--bins", "--tests"]
    };
    run(workspace.cargo(runner).args(arguments).env(TARGET_VARIABLE, &workspace.target))?;
    if arguments.is_empty() {
        run(workspace.cargo(&["test", "--release", "--workspace", "--doc"]).env(TARGET_VARIABLE, &workspace.target))?;
    }
    Ok(())
}
