//! Each dependency is compiled once for building and testing.
//!
//! What only tests depend on can turn on a feature of a dependency that the build does not, and then
//! that dependency and everything above it is compiled twice. The remedy is to name the feature where
//! the build sees it too: among the ordinary dependencies of the test harness in `tests/Cargo.toml`.

use std::collections::BTreeMap;

use crate::command::{Failure, Outcome, output};
use crate::workspace::Workspace;

/// Check that no dependency of the build has other features once the tests are built as well.
pub fn check(workspace: &Workspace) -> Outcome {
    let (build, tests) = (tree(workspace, "normal,build")?, tree(workspace, "normal,build,dev")?);
    let differing = build.iter().filter_map(|(package, features)| {
        let in_tests = tests.get(package).filter(|in_tests| *in_tests != features)?;
        Some(format!("{package} is built twice: with {features} for the build, with {in_tests} for the tests"))
    });
    let differing: Vec<String> = differing.collect();
    if differing.is_empty() { Ok(()) } else { Err(Failure(differing.join("\n"))) }
}

/// Every package of the graph with its features.
fn tree(workspace: &Workspace, edges: &str) -> Outcome<BTreeMap<String, String>> {
    let arguments = ["tree", "--workspace", "--edges", edges, "--prefix", "none", "--format", "{p}\t[{f}]"];
    let text = output(&mut workspace.cargo(&arguments))?;
    // A package that came before is marked with `(*)` behind its features.
    let packages = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(packages.map(|(package, features)| (package.to_owned(), features.trim_end_matches(" (*)").to_owned())).collect())
}
