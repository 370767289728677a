//! `cargo xtask`: everything done with this repository beyond compiling one crate.
//!
//! Standard library only, so that it is there in seconds. One profile (`release`), one target
//! directory and one selection of packages (`--workspace`) in every task, so that features unify the
//! same way each time and each dependency is compiled once.

mod bench;
mod build;
mod command;
mod http;
mod package;
mod run;
mod server;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use command::{Failure, Outcome};
use workspace::Workspace;

const USAGE: &str = "\
cargo xtask TASK

  setup                 add the WebAssembly target, look for a C compiler
  build                 set-up, then target/release/plugbay and target/plugins/NAME.wasm
  run [--new-token]     build, then serve on 127.0.0.1:8080 with everything in ./data
  test [ARGUMENTS]      build, then every test; arguments go to `cargo nextest run`
  bench [OPTIONS]       measure beside native axum and `wasmtime serve`; --help lists the options
  tidy                  formatting, lints, documentation, licences and the rules of the repository
  package [PROFILE]     a tarball below target/package, by default with the profile `dist`
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    match perform(task, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(reason)) => {
            eprintln!("xtask {task}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &str, rest: &[String]) -> Outcome {
    let workspace = Workspace::find()?;
    match task {
        "setup" => setup::set_up(),
        "build" => build::build(&workspace),
        "run" => run::run(&workspace, rest),
        "test" => test::test(&workspace, rest),
        "bench" => bench::bench(&workspace, rest),
        "tidy" => tidy::tidy(&workspace),
        "package" => package::package(&workspace, rest),
        // Not for people: started by other tasks.
        "announce" => run::announce(&workspace),
        "metadata" => tidy::deny::metadata(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure(format!("no such task\n\n{USAGE}"))),
    }
}
