//! The host and the components, and where they are put.
//!
//! Components are put by renaming and only when they changed, so that a host that watches the folder
//! sees whole files and does not reload what is the same.

use std::fs;
use std::path::Path;

use crate::command::{Context, Outcome, run};
use crate::setup;
use crate::workspace::{COMPONENT_TARGET, Component, Workspace};

/// Build everything, and print the sizes.
pub fn build(workspace: &Workspace) -> Outcome {
    setup::set_up()?;
    run(&mut workspace.cargo(&["build", "--release", "--workspace"]))?;
    let components = build_components(workspace)?;
    println!("{:>10}  {}", size(&workspace.host())?, workspace.host().display());
    for component in components.iter().filter(|component| !component.guest) {
        let file = workspace.plugins().join(format!("{}.wasm", component.package));
        println!("{:>10}  {}", size(&file)?, file.display());
    }
    Ok(())
}

/// One call of cargo for all components, then a copy of each under its package's name.
fn build_components(workspace: &Workspace) -> Outcome<Vec<Component>> {
    let components = workspace.components()?;
    let mut cargo = workspace.cargo(&["build", "--release", "--target", COMPONENT_TARGET]);
    for component in &components {
        cargo.args(["-p", &component.package]);
    }
    run(&mut cargo)?;
    let built = workspace.target.join(COMPONENT_TARGET).join("release");
    for (folder, guest) in [(workspace.plugins(), false), (workspace.guests(), true)] {
        fs::create_dir_all(&folder).context(folder.display())?;
        let of_folder = components.iter().filter(|component| component.guest == guest);
        let names: Vec<&str> = of_folder.map(|component| component.package.as_str()).collect();
        for name in &names {
            place(&built.join(format!("{}.wasm", name.replace('-', "_"))), &folder.join(format!("{name}.wasm")))?;
        }
        remove_others(&folder, &names)?;
    }
    Ok(components)
}

/// Copy `from` to `to`, whole or not at all, unless they are the same already.
pub fn place(from: &Path, to: &Path) -> Outcome {
    let new = fs::read(from).context(from.display())?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let aside = to.with_extension("new");
    fs::write(&aside, new).context(aside.display())?;
    fs::rename(&aside, to).context(to.display())
}

/// Remove components whose crate is gone.
fn remove_others(folder: &Path, names: &[&str]) -> Outcome {
    for entry in fs::read_dir(folder).context(folder.display())? {
        let file = entry.context(folder.display())?.path();
        let known = file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| names.contains(&stem));
        if file.extension().is_some_and(|extension| extension == "wasm") && !known {
            fs::remove_file(&file).context(file.display())?;
        }
    }
    Ok(())
}

fn size(file: &Path) -> Outcome<String> {
    let bytes = file.metadata().context(file.display())?.len();
    Ok(if bytes < 1 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
    })
}
