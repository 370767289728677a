//! An object of 1 GiB up and down: Plankton beside a native server that does the same with one file.

use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::plankton;
use crate::command::{Context, Failure, Outcome, output};
use crate::http;
use crate::server::{Server, free_address};
use crate::workspace::Workspace;

/// Bytes of the object.
const SIZE: u64 = 1 << 30;

/// Seconds of each round, and what the host took for it.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// Up to the native server.
    pub native_up: Vec<f64>,
    /// Up to the plugin.
    pub plugin_up: Vec<f64>,
    /// Down from the native server.
    pub native_down: Vec<f64>,
    /// Down from the plugin.
    pub plugin_down: Vec<f64>,
    /// KiB by which the host's memory was at most larger than before the first round.
    pub growth: u64,
}

/// Measure so many rounds, each with bytes that nobody has seen before.
pub fn measure(workspace: &Workspace, directory: &Path, rounds: usize) -> Outcome<Objects> {
    let native = directory.join("native");
    fs::create_dir_all(&native).context(native.display())?;
    let native_address = free_address()?;
    let mut command = Command::new(workspace.program("baseline"));
    let mut baseline = Server::start("baseline", command.args(["objects", &native_address.to_string()]).arg(&native))?;
    baseline.answers(native_address, "/hello")?;
    let (host, address) = plankton::start(workspace, directory, "objects")?;
    for _ in 0..2 {
        // The second is answered from a warm instance.
        let made = http::request(address, "PUT", "/local/bench", b"").context("PUT /local/bench")?;
        if !matches!(made.status, 201 | 202) {
            return Err(Failure(format!("the container was answered {}: {}", made.status, made.body)));
        }
    }
    let before = host.resident()?;
    let file = directory.join("object");
    let mut measured = Objects::default();
    let url = |address: SocketAddr, path: &str| format!("http://{address}{path}");
    for round in 1..=rounds {
        eprintln!("object, round {round} of {rounds}");
        random(&file)?;
        let (ours, theirs) = (url(address, &format!("/local/bench/{round}")), url(native_address, "/object"));
        measured.native_up.push(up(&file, &theirs)?);
        measured.plugin_up.push(up(&file, &ours)?);
        measured.native_down.push(down(&theirs)?);
        measured.plugin_down.push(down(&ours)?);
    }
    measured.growth = host.most_resident()?.saturating_sub(before);
    drop(fs::remove_file(&file));
    host.stop()?;
    fs::remove_dir_all(directory).context(directory.display())?;
    Ok(measured)
}

fn random(file: &PathBuf) -> Outcome {
    let source = File::open("/dev/urandom").context("/dev/urandom")?;
    let mut to = File::create(file).context(file.display())?;
    std::io::copy(&mut source.take(SIZE), &mut to).context(file.display())?;
    // Not to be written back while a server is measured.
    to.sync_all().context(file.display())
}

fn up(file: &Path, url: &str) -> Outcome<f64> {
    curl(url, &["-H", "Expect:", "-H", "Content-Type: application/octet-stream", "-T", &file.display().to_string()])
}

fn down(url: &str) -> Outcome<f64> {
    curl(url, &[])
}

fn curl(url: &str, arguments: &[&str]) -> Outcome<f64> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail", "-o", "/dev/null", "-w", "%{size_upload} %{size_download}"]);
    let start = Instant::now();
    let sizes = output(command.args(arguments).arg(url))?;
    let seconds = start.elapsed().as_secs_f64();
    if !sizes.split_whitespace().any(|size| size.parse() == Ok(SIZE)) {
        return Err(Failure(format!("{url}: {sizes} bytes went over")));
    }
    Ok(seconds)
}
