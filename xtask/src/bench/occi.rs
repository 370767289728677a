//! OCCI: pages of a small and of a large cloud, and pages beside the example service of pyssf.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::load;
use crate::build::place;
use crate::command::{Context, Failure, Outcome, output, which};
use crate::http;
use crate::server::{self, Server, free_address};
use crate::workspace::Workspace;

/// Machines of the small and of the large cloud.
pub const COUNTS: [u32; 2] = [1_000, 10_000];

/// Machines of a page, and those that the filter finds.
const PAGE: u32 = 100;

/// Machines that are created by one request, and clients that do that.
const TOGETHER: u32 = 10;
const CLIENTS: u32 = 8;

/// How long lists have to be at rest until places in them are remembered.
const REST: Duration = Duration::from_secs(21);

/// Clients when pyssf is beside it.
const BESIDE: u32 = 4;

/// The renderings of lists.
pub const RENDERINGS: [&str; 4] = ["text/plain", "text/occi", "text/uri-list", "application/occi+json"];

const COMPUTE: &str = "http://schemas.ogf.org/occi/infrastructure#";

/// Requests a second.
#[derive(Debug, Clone, Default)]
pub struct Clouds {
    /// Of each page by name, in the clouds of [`COUNTS`], one number a round.
    pub pages: Vec<(String, [Vec<f64>; 2])>,
    /// Of each of [`RENDERINGS`]: the plugin's and pyssf's; none if there is no pyssf.
    pub beside: Option<Vec<[Vec<f64>; 2]>>,
}

/// Fill the clouds, then measure all in turn.
pub fn measure(workspace: &Workspace, directory: &Path, rounds: usize, length: Duration) -> Outcome<Clouds> {
    let mut clouds = Clouds::default();
    let mut running = Vec::new();
    for count in COUNTS {
        eprintln!("creating {count} machines");
        running.push(cloud(workspace, &directory.join(count.to_string()), count)?);
    }
    std::thread::sleep(REST);
    for (name, path, fields) in pages() {
        let mut rates = [Vec::new(), Vec::new()];
        // The first round warms up.
        for round in 0..=rounds {
            for ((count, (_, address)), rates) in COUNTS.iter().zip(&running).zip(&mut rates) {
                let path = path.replace("LAST", &(count / PAGE).to_string());
                let rate = load::load_with(&format!("http://{address}{path}"), 1, length, &fields)?;
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        clouds.pages.push((name, rates));
    }
    drop(running);
    clouds.beside = beside(workspace, directory, rounds, length)?;
    Ok(clouds)
}

/// Name, path and header fields of what is asked for.
fn pages() -> Vec<(String, &'static str, Vec<String>)> {
    let filter = ["Content-Type: text/occi".to_owned(), "X-OCCI-Attribute: occi.compute.hostname=\"few\"".to_owned()];
    let mut pages = Vec::new();
    for rendering in ["text/plain", "application/occi+json"] {
        let accept = format!("Accept: {rendering}");
        let mut add = |name: &str, path, fields: &[String]| {
            let fields = fields.iter().cloned().chain([accept.clone()]).collect();
            pages.push((format!("{name}, {rendering}"), path, fields));
        };
        add("page 2", "/compute/?page=2&number=100", &[]);
        add("the last page", "/compute/?page=LAST&number=100", &[]);
        add("page of a filter", "/compute/?page=1&number=100", &filter);
    }
    pages
}

/// A host with so many machines, open to everybody.
fn cloud(workspace: &Workspace, directory: &Path, count: u32) -> Outcome<(Server, SocketAddr)> {
    let folder = directory.join("plugins.d");
    fs::create_dir_all(&folder).context(folder.display())?;
    place(&workspace.plugins().join("occi.wasm"), &folder.join("occi.wasm"))?;
    let (address, admin) = (free_address()?, free_address()?);
    let config = directory.join("plugbay.toml");
    let text = format!(
        "admin.bind = \"{admin}\"\nlog.filter = \"error\"\nauth.anyone = {{ provider = \"none\" }}\n\
         [[listener]]\nname = \"default\"\nbind = \"{address}\"\nlimits = {{ max_headers = 512, max_header_bytes = \"256KiB\" }}\n\
         [plugin.occi]\nmounts = [{{ auth = \"anyone\" }}]\ndeny = [\"process\", \"http-client\"]\n\
         limits = {{ store_bytes = \"4GiB\", store_keys = 4000000 }}\n"
    );
    fs::write(&config, text).context(config.display())?;
    let mut host = Server::start("plugbay", &mut server::host(workspace, &config))?;
    host.answers(admin, "/readyz")?;
    fill(address, count)?;
    Ok((host, address))
}

/// Create so many machines, by many clients at once; one page of them, evenly spread, has the host name `few`.
fn fill(address: SocketAddr, count: u32) -> Outcome {
    let next = AtomicU32::new(0);
    let client = || -> Outcome {
        loop {
            let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
            if first >= count {
                return Ok(());
            }
            let mut body = String::new();
            for number in first..count.min(first + TOGETHER) {
                let name = if number % (count / PAGE) == 0 { "few" } else { "many" };
                let comma = if body.is_empty() { "" } else { "," };
                write!(body, "{comma}{{\"kind\": \"{COMPUTE}compute\", \"attributes\": {{\"occi.compute.hostname\": \"{name}\", \"occi.compute.memory\": 2}}}}")
                    .context("a text")?;
            }
            let body = format!("{{\"resources\": [{body}]}}");
            let json = [("content-type", "application/occi+json"), ("accept", "text/uri-list")];
            let made =
                http::request_with(address, "POST", "/compute/", &json, body.as_bytes()).context("POST /compute/")?;
            if made.status != 201 {
                return Err(Failure(format!("machines were answered {}: {}", made.status, made.body)));
            }
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| Err("a client panicked".into())))
    })
}

/// A page of 100 in each rendering, of the plugin and of pyssf in turn; none without pyssf, which is no dependency of the
/// workspace.
fn beside(
    workspace: &Workspace,
    directory: &Path,
    rounds: usize,
    length: Duration,
) -> Outcome<Option<Vec<[Vec<f64>; 2]>>> {
    let source = workspace.target.join("pyssf");
    let Some(python) = python().filter(|_| source.join("misc/run_iaas_wsgi_service.py").exists()) else {
        eprintln!("no Python 2.7, or no pyssf in {}: it is not measured", source.display());
        return Ok(None);
    };
    let (_host, ours) = cloud(workspace, &directory.join("beside"), PAGE)?;
    let theirs = free_address()?;
    let mut service = Command::new(python);
    service.arg(workspace.root.join("tests/clients/occi_pyssf.py")).arg(&source).arg(theirs.port().to_string());
    let mut service = Server::start("pyssf", service.stderr(Stdio::null()))?;
    service.answers(theirs, "/-/")?;
    for _ in 0..PAGE {
        let category = format!("compute; scheme=\"{COMPUTE}\"; class=\"kind\"");
        let fields = [("content-type", "text/occi"), ("category", category.as_str())];
        let made = http::request_with(theirs, "POST", "/compute/", &fields, b"").context("pyssf")?;
        if !matches!(made.status, 200 | 201) {
            return Err(Failure(format!("pyssf answered {}: {}", made.status, made.body)));
        }
    }
    std::thread::sleep(REST);
    let urls = [format!("http://{ours}/compute/?page=1&number={PAGE}"), format!("http://{theirs}/compute/")];
    let mut measured = vec![[Vec::new(), Vec::new()]; RENDERINGS.len()];
    for round in 0..=rounds {
        eprintln!("beside pyssf, round {round} of {rounds}");
        for (rendering, measured) in RENDERINGS.iter().zip(&mut measured) {
            for (url, rates) in urls.iter().zip(measured) {
                let rate = load::load_with(url, BESIDE, length, &[format!("Accept: {rendering}")])?;
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
    }
    Ok(Some(measured))
}

/// A Python that pyssf runs with. One on the path may be a shim that leads nowhere.
fn python() -> Option<PathBuf> {
    let of_pyenv =
        output(Command::new("pyenv").args(["which", "python"]).env("PYENV_VERSION", "2.7.18").stderr(Stdio::null()));
    let candidates = [of_pyenv.ok().map(|path| PathBuf::from(path.trim())), which("python2.7")];
    let runs = |python: &PathBuf| output(Command::new(python).args(["-c", "print 1"]).stderr(Stdio::null())).is_ok();
    candidates.into_iter().flatten().find(runs)
}
