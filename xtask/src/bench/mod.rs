//! Measure side by side, interleaved, and print ratios with the bars they are held to.
//!
//! Absolute numbers are the machine's; only ratios of one run mean anything. So all servers run during
//! the whole measurement, each round measures all of them in turn, and medians over the rounds count.

mod amphora;
mod cases;
mod drydock;
mod idle;
mod images;
mod load;
mod objects;
mod occi;
mod plankton;
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::build;
use crate::command::{Context, Failure, Outcome, output, run, which};
use crate::workspace::{PROFILE, Workspace};

use cases::{Case, Servers};

const USAGE: &str = "\
cargo xtask bench [OPTIONS]

  --rounds N            how often everything is measured (5)
  --seconds N           how long each measurement takes (3)
  --only PART           one of small, objects, images, details, occi, drydock
  --profile NAME        what the servers are built with (release); what is given to others has `dist`
  --wasmtime PATH       the wasmtime 48 to compare with (the one on the path)
";

/// The release of wasmtime that the host embeds and is compared with.
const WASMTIME: &str = "wasmtime 48.";

struct Options {
    rounds: usize,
    only: Option<Part>,
    length: Duration,
    profile: String,
    wasmtime: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Small requests, and an idle host.
    Small,
    /// An object of 1 GiB.
    Objects,
    /// Pages of images.
    Images,
    /// `GET details` beside octavia's agent.
    Details,
    /// Pages of machines, also beside pyssf.
    Occi,
    /// A site of two thousand nodes beside the same rules natively.
    Drydock,
}

impl Part {
    fn parse(name: &str) -> Outcome<Self> {
        match name {
            "small" => Ok(Self::Small),
            "objects" => Ok(Self::Objects),
            "images" => Ok(Self::Images),
            "details" => Ok(Self::Details),
            "occi" => Ok(Self::Occi),
            "drydock" => Ok(Self::Drydock),
            _ => Err(Failure(format!("no part {name}\n\n{USAGE}"))),
        }
    }
}

/// Build, measure, report.
pub fn bench(workspace: &Workspace, arguments: &[String]) -> Outcome {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = parse(arguments)?;
    if options.only != Some(Part::Drydock) && which("wrk").is_none() {
        return Err("the load generator `wrk` is not on the path; install the package of that name".into());
    }
    let wasmtime = wasmtime(options.wasmtime.as_ref())?;
    build::build(workspace)?;
    let workspace = &Workspace { profile: options.profile.clone(), ..workspace.clone() };
    if options.profile != PROFILE {
        let programs = ["--workspace", "--bin", "plugbay", "--bin", "baseline"];
        run(workspace.cargo(&["build", "--profile", &options.profile]).args(programs))?;
    }
    let directory = workspace.target.join("bench");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).context(directory.display())?;

    let wanted = |part| options.only.is_none_or(|only| only == part);
    if wanted(Part::Small) {
        small(workspace, &directory, &options, wasmtime.as_deref())?;
    }
    if wanted(Part::Objects) {
        report::objects(&objects::measure(workspace, &directory.join("objects"), options.rounds)?);
    }
    if wanted(Part::Images) {
        report::pages(&images::measure(workspace, &directory.join("images"), options.rounds, options.length)?);
    }
    if wanted(Part::Details) {
        let measured = amphora::measure(workspace, &directory.join("details"), options.rounds, options.length)?;
        measured.iter().for_each(report::details);
    }
    if wanted(Part::Occi) {
        report::occi(&occi::measure(workspace, &directory.join("occi"), options.rounds, options.length)?);
    }
    if wanted(Part::Drydock) {
        report::validations(&drydock::measure(workspace, &directory.join("drydock"), options.rounds)?);
    }
    Ok(())
}

/// Small requests, and what an idle host costs.
fn small(workspace: &Workspace, directory: &Path, options: &Options, wasmtime: Option<&Path>) -> Outcome {
    let idle = idle::measure(workspace, &directory.join("idle"))?;
    let servers = Servers::start(workspace, directory, wasmtime)?;
    let cases = servers.cases();
    for (_, url, connections) in &cases {
        load::load(url, *connections, Duration::from_secs(1))?;
    }
    let mut measured: BTreeMap<Case, Vec<f64>> = BTreeMap::new();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (case, url, connections) in &cases {
            measured.entry(*case).or_default().push(load::load(url, *connections, options.length)?);
        }
    }
    drop(servers);
    report::print(&measured, &idle);
    Ok(())
}

fn parse(arguments: &[String]) -> Outcome<Options> {
    let (length, profile) = (Duration::from_secs(3), PROFILE.to_owned());
    let mut options = Options { rounds: 5, only: None, length, profile, wasmtime: None };
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().ok_or_else(|| Failure(format!("{option} needs a value\n\n{USAGE}")))?;
        let number = || value.parse().ok().filter(|number| *number > 0);
        let number = || number().ok_or_else(|| Failure(format!("{option} {value}: not a number above 0")));
        match option.as_str() {
            "--rounds" => options.rounds = number()?,
            "--seconds" => options.length = Duration::from_secs(number()? as u64),
            "--only" => options.only = Some(Part::parse(value)?),
            "--profile" => options.profile.clone_from(value),
            "--wasmtime" => options.wasmtime = Some(value.into()),
            _ => return Err(Failure(format!("no option {option}\n\n{USAGE}"))),
        }
    }
    Ok(options)
}

/// The wasmtime to compare with. One that was named has to be right; the one on the path is used if it is.
fn wasmtime(named: Option<&PathBuf>) -> Outcome<Option<PathBuf>> {
    let Some(path) = named.cloned().or_else(|| which("wasmtime")) else {
        eprintln!("no wasmtime on the path: `wasmtime serve` is not measured");
        return Ok(None);
    };
    let version = output(std::process::Command::new(&path).arg("--version"))?;
    if version.starts_with(WASMTIME) {
        return Ok(Some(path));
    }
    let reason = format!("{} is {}, and only {WASMTIME}x compares", path.display(), version.trim());
    if named.is_some() {
        return Err(Failure(reason));
    }
    eprintln!("{reason}: `wasmtime serve` is not measured");
    Ok(None)
}
