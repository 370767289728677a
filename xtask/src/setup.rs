//! What has to be on the machine before anything can be built.

use std::path::Path;
use std::process::Command;

use crate::command::{Failure, Outcome, output, run, which};
use crate::workspace::COMPONENT_TARGET;

/// Add the WebAssembly target if it is missing, and look for a C compiler.
pub fn set_up() -> Outcome {
    if which("cc").is_none() && std::env::var_os("CC").is_none() {
        return Err("no C compiler on the path, and the cryptography library needs one; install gcc or clang".into());
    }
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(COMPONENT_TARGET).join("lib");
    if library.is_dir() {
        return Ok(());
    }
    if which("rustup").is_none() {
        return Err(Failure(format!(
            "this Rust has no target {COMPONENT_TARGET}, and there is no rustup to add it; install Rust by rustup \
             (https://rustup.rs), or your distribution's package with that target's standard library"
        )));
    }
    run(Command::new("rustup").args(["target", "add", COMPONENT_TARGET]))
}
