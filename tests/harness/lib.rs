//! What the end-to-end tests share: a host in this process or in one of its own, with a directory, a
//! folder of plugins and listeners on ports of the system's choosing, and a small HTTP client.
//!
//! The components come from `target/plugins` and `target/guests`, where the build leaves them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it goes wrong"
)]
#![allow(missing_docs, reason = "names say it all here")]

mod bed;
mod client;
mod keystone;
mod random;
mod recorder;
mod wasm;

pub use bed::{Bed, Process, binary, plugbay, target};
pub use client::{Answer, Client, Sent};
pub use keystone::Keystone;
pub use random::Random;
pub use recorder::{Recorder, Seen};
pub use wasm::{component, marked, with_section};

use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Ask again and again until `check` gives something; a deadline instead of a sleep.
pub async fn wait_until<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A port of 127.0.0.1 that nobody had a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// The interpreter of an environment below the target directory. None, with a reason printed, where it is not installed;
/// under CI it is.
pub fn python(environment: &str) -> Option<PathBuf> {
    let python = target().join(environment).join("bin/python");
    let found = std::path::absolute(python).ok().filter(|python| python.exists());
    if found.is_none() {
        missing(&format!("no target/{environment}; .ci/run makes it"));
    }
    found
}

/// Say why a test is skipped. Under CI that is a failure.
pub fn missing(why: &str) {
    assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "has to be there under CI: {why}");
    println!("skipped: {why}");
}

/// A number of the environment, for tests of which more or less can be asked.
pub fn number(variable: &str, default: u32) -> u32 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")),
        Err(_) => default,
    }
}

/// Let this process have so many descriptors, where the system allows it.
pub fn raise_descriptor_limit(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|maximum| maximum >= wanted);
    assert!(enough, "the test needs {wanted} descriptors, and the system allows {:?}", limit.maximum);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("up to the maximum");
}
