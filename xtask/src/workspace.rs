//! Where things are: the repository, the target directory, the crates that become components.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Context, Outcome};

/// The target that components are built for.
pub const COMPONENT_TARGET: &str = "wasm32-wasip2";

/// The repository and its target directory.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The directory of the workspace's manifest.
    pub root: PathBuf,
    /// `target`, or what `CARGO_TARGET_DIR` says.
    pub target: PathBuf,
    /// The profile whose programs are meant.
    pub profile: String,
}

/// What everything is built with, save what is given to others.
pub const PROFILE: &str = "release";

/// A crate that becomes a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Name of the package and, with `.wasm`, of the file.
    pub package: String,
    /// Only for tests and measurements: it does not go into the plugin folder.
    pub guest: bool,
}

impl Workspace {
    /// The one whose `cargo xtask` this is.
    pub fn find() -> Outcome<Self> {
        let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&own).parent().ok_or("xtask is not in a workspace")?.to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => std::path::absolute(target).context("CARGO_TARGET_DIR")?,
            None => root.join("target"),
        };
        Ok(Self { root, target, profile: PROFILE.to_owned() })
    }

    /// `cargo`, the one that started this program, in the repository.
    ///
    /// It does not get what cargo told this program of its own package: build scripts that look at such
    /// variables would run again, and all that depends on them be compiled again, each time that cargo
    /// is called once from here and once from a terminal.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        for (name, _) in std::env::vars_os() {
            let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
            if own.iter().any(|start| name.as_encoded_bytes().starts_with(start.as_bytes())) {
                cargo.env_remove(name);
            }
        }
        cargo.current_dir(&self.root).args(arguments);
        cargo
    }

    /// A program of the workspace, as `build` leaves it with the profile.
    pub fn program(&self, name: &str) -> PathBuf {
        self.target.join(&self.profile).join(name)
    }

    /// The server.
    pub fn host(&self) -> PathBuf {
        self.program("plugbay")
    }

    /// Where `build` puts plugins.
    pub fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// Where `build` puts the components of tests and measurements.
    pub fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The version that all crates of the workspace share.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The crates that become components: what is a `cdylib` below `plugins`, `examples` and
    /// `tests/guests`, save crates that are workspaces of their own.
    pub fn components(&self) -> Outcome<Vec<Component>> {
        let mut components = Vec::new();
        for (parent, guest) in [("plugins", false), ("examples", false), ("tests/guests", true)] {
            for directory in directories(&self.root.join(parent))? {
                let Ok(manifest) = fs::read_to_string(directory.join("Cargo.toml")) else { continue };
                components.extend(component(&manifest).map(|package| Component { package, guest }));
            }
        }
        Ok(components)
    }
}

/// The directories in one, by name; none if it is not there.
pub fn directories(parent: &Path) -> Outcome<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(parent) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.context(parent.display())?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The package's name, if the manifest is of a component that belongs to this workspace.
fn component(manifest: &str) -> Option<String> {
    let lines = || manifest.lines().map(str::trim);
    if !manifest.contains("\"cdylib\"") || lines().any(|line| line == "[workspace]") {
        return None;
    }
    let name = lines().find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('='))?;
    Some(name.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_its_own_workspace_is_not_ours_to_build() {
        let manifest = "[package]\nname = \"x\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
        assert_eq!(component(manifest).as_deref(), Some("x"));
        assert_eq!(component(&format!("{manifest}[workspace]\n")), None);
        assert_eq!(component("[package]\nname = \"x\"\n"), None);
    }
}
