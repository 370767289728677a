//! What a change has to be beside correct: formatted, free of lints, documented, licensed, and within
//! the rules of the repository. The rules on files run as a test too.

pub mod deny;
mod features;
mod files;

use crate::command::{Failure, Outcome, run};
use crate::workspace::{COMPONENT_TARGET, Workspace};

/// Check everything; what is quick comes first.
pub fn tidy(workspace: &Workspace) -> Outcome {
    let complaints = files::check(workspace)?;
    if !complaints.is_empty() {
        return Err(Failure(complaints.join("\n")));
    }
    run(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    features::check(workspace)?;
    deny::check(workspace)?;
    run(&mut workspace.cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    lint_components(workspace)?;
    let mut doc = workspace.cargo(&["doc", "--release", "--workspace", "--no-deps", "--document-private-items"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
}

/// The code that exists only in components.
fn lint_components(workspace: &Workspace) -> Outcome {
    let mut cargo = workspace.cargo(&["clippy", "--release", "--target", COMPONENT_TARGET]);
    for component in workspace.components()? {
        cargo.args(["-p", &component.package]);
    }
    run(cargo.args(["--", "-D", "warnings"]))
}
