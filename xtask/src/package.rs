//! One tarball with all that an operator installs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::build::{self, place};
use crate::command::{Context, Outcome, output, run};
use crate::workspace::{Workspace, directories};

/// The profile of what is given to others: slower to build, smaller and faster.
const PROFILE: &str = "dist";

/// Build with the profile, and pack `target/package/plugbay-VERSION-TARGET.tar.gz`.
pub fn package(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let profile = arguments.first().map_or(PROFILE, String::as_str);
    build::build(workspace)?;
    if profile != "release" {
        run(&mut workspace.cargo(&["build", "--profile", profile, "--package", "plugbay"]))?;
    }
    let name = format!("plugbay-{}-{}", workspace.version(), host_triple()?);
    let packages = workspace.target.join("package");
    let content = packages.join(&name);
    let _ = fs::remove_dir_all(&content);
    for folder in ["bin", "plugins", "examples"] {
        let folder = content.join(folder);
        fs::create_dir_all(&folder).context(folder.display())?;
    }
    let program = workspace.target.join(profile).join("plugbay");
    copy(&program, &content.join("bin/plugbay"))?;
    for component in workspace.components()?.iter().filter(|component| !component.guest) {
        let file = format!("{}.wasm", component.package);
        place(&workspace.plugins().join(&file), &content.join("plugins").join(&file))?;
    }
    for file in ["README.md", "LICENSE", "CHANGELOG.md"] {
        copy(&workspace.root.join(file), &content.join(file))?;
    }
    copy(&workspace.root.join("host/src/config/reference.toml"), &content.join("plugbay.reference.toml"))?;
    copy(&workspace.root.join("examples/plugbay.service"), &content.join("examples/plugbay.service"))?;
    for example in directories(&workspace.root.join("examples"))? {
        let config = example.join("plugbay.toml");
        let Some(name) = example.file_name().and_then(|name| name.to_str()).filter(|_| config.is_file()) else {
            continue;
        };
        copy(&config, &content.join("examples").join(format!("{name}.toml")))?;
    }
    let archive = packages.join(format!("{name}.tar.gz"));
    run(Command::new("tar")
        .arg("-C")
        .arg(&packages)
        .args(["--owner=0", "--group=0", "-czf"])
        .arg(&archive)
        .arg(&name))?;
    println!("{}", archive.display());
    Ok(())
}

/// Copy with permissions.
fn copy(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map(drop).context(from.display())
}

fn host_triple() -> Outcome<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.ok_or("`rustc -vV` does not name its host")?.to_owned())
}
