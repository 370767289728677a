//! Validating a site of two thousand nodes: by the plugin, and by the same rules compiled natively.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::build::place;
use crate::command::{Context, Failure, Outcome, output};
use crate::http;
use crate::server::{self, Server, free_address};
use crate::workspace::Workspace;

/// Nodes of the site.
pub const NODES: &str = "2000";

/// Milliseconds, one number a round.
#[derive(Debug, Clone, Default)]
pub struct Validations {
    /// A request to the plugin, its design in a file of its private directory.
    pub plugin: Vec<f64>,
    /// The rules alone, natively.
    pub native: Vec<f64>,
}

/// Measure both in turn.
pub fn measure(workspace: &Workspace, directory: &Path, rounds: usize) -> Outcome<Validations> {
    let baseline = workspace.program("baseline");
    let site = output(Command::new(&baseline).args(["site", NODES]))?;
    let private = directory.join("data/plugins/drydock");
    fs::create_dir_all(&private).context(private.display())?;
    let file = private.join("site.yaml");
    fs::write(&file, &site).context(file.display())?;
    let (_host, address) = start(workspace, directory)?;
    let mut measured = Validations::default();
    for round in 0..=rounds {
        let said = output(Command::new(&baseline).arg("design").arg(&file).arg("1"))?;
        let native = said.split([',', ' ']).next().and_then(|number| number.parse().ok());
        let native = native.ok_or_else(|| Failure(format!("not a time: {said}")))?;
        let begin = Instant::now();
        let fields = [("content-type", "application/json")];
        let body = b"{\"href\": \"file:///site.yaml\"}";
        let answer = http::request_with(address, "POST", "/drydock/api/v1.0/validatedesign", &fields, body);
        let answer = answer.context("POST validatedesign")?;
        let plugin = begin.elapsed().as_secs_f64() * 1000.0;
        if answer.status != 200 {
            return Err(Failure(format!("the site was answered {}: {}", answer.status, answer.body)));
        }
        // The first round warms up.
        if round > 0 {
            measured.native.push(native);
            measured.plugin.push(plugin);
        }
    }
    Ok(measured)
}

fn start(workspace: &Workspace, directory: &Path) -> Outcome<(Server, SocketAddr)> {
    let folder = directory.join("plugins.d");
    fs::create_dir_all(&folder).context(folder.display())?;
    place(&workspace.plugins().join("drydock.wasm"), &folder.join("drydock.wasm"))?;
    let (address, admin) = (free_address()?, free_address()?);
    let config = directory.join("plugbay.toml");
    let text = format!(
        "admin.bind = \"{admin}\"\nlog.filter = \"error\"\nauth.anyone = {{ provider = \"none\" }}\n\
         listener = [{{ name = \"default\", bind = \"{address}\" }}]\n[plugin.drydock]\n\
         mounts = [{{ path = \"/drydock\", auth = \"anyone\" }}]\ngrants = [\"filesystem\", \"http-client\"]\n\
         limits = {{ memory = \"256MiB\", deadline = \"60s\" }}\n"
    );
    fs::write(&config, text).context(config.display())?;
    let mut host = Server::start("plugbay", &mut server::host(workspace, &config))?;
    host.answers(admin, "/readyz")?;
    Ok((host, address))
}
