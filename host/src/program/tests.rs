//! Real programs, really confined. Where a test needs a file that is not reachable, it is in a directory
//! that no rule names.

mod life;
mod running;
mod talking;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

/// Where a host that is a process of its own finds its place.
const PLACE: &str = "PLUGBAY_TEST_PLACE";

struct Place {
    root: TempDir,
    entries: BTreeMap<String, Program>,
}

impl Place {
    /// A shell that may run a few programs, and those programs.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("private")).unwrap();
        let mut entries: BTreeMap<String, Program> = [
            ("sh", "/bin/sh"),
            ("sleep", "/bin/sleep"),
            ("env", "/usr/bin/env"),
            ("cat", "/bin/cat"),
            ("ls", "/bin/ls"),
        ]
        .map(|(name, path)| (name.to_owned(), entry(path)))
        .into();
        entries.get_mut("sh").unwrap().execute = ["sleep", "cat", "ls", "/usr/bin/setsid"].map(str::to_owned).to_vec();
        Self { root, entries }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("private")
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn open(&self) -> Programs {
        Programs::open("test", &self.directory(), &self.folder(), &self.entries).unwrap()
    }

    fn with(mut self, name: &str, change: impl FnOnce(&mut Program)) -> Self {
        change(self.entries.get_mut(name).unwrap());
        self
    }
}

fn entry(path: &str) -> Program {
    Program {
        path: path.into(),
        arguments: Vec::new(),
        user: None,
        network_namespace: None,
        confine: Confine::Landlock,
        read: Vec::new(),
        write: Vec::new(),
        execute: Vec::new(),
        limits: ProgramLimits::default(),
    }
}

fn args(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Run a line of shell.
async fn shell(programs: &Programs, line: &str) -> Output {
    programs.run("sh", &args(&["-c", line]), Vec::new(), soon()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// Whether it is a process, zombie or not.
fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

async fn wait_until(mut true_at_last: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !true_at_last() {
        assert!(Instant::now() < end, "it did not become true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
