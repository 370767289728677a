//! The program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;

/// Requests allocate little but from every thread: measured against the C library's, 4 % more reused and 11 % more fresh
/// instances a second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    plugbay::cli::run(plugbay::cli::Arguments::parse())
}
