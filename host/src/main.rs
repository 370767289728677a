//! The program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    plugbay::cli::run(plugbay::cli::Arguments::parse())
}
