//! What a host costs that does nothing: resident memory with one plugin, and the time it takes to start.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::build::place;
use crate::command::{Context, Outcome};
use crate::server::{self, Server, free_address};
use crate::workspace::Workspace;

/// A host with one plugin, from its start to its first answer.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// From start to ready, the plugin compiled.
    pub cold: Duration,
    /// From start to ready, the plugin taken from the cache.
    pub warm: Duration,
    /// KiB after a cold start.
    pub cold_resident: u64,
    /// KiB after a warm start and one request.
    pub warm_resident: u64,
}

/// Start a host twice on the same data, the second time with a warm cache.
pub fn measure(workspace: &Workspace, directory: &Path) -> Outcome<Idle> {
    let folder = directory.join("plugins.d");
    fs::create_dir_all(&folder).context(folder.display())?;
    place(&workspace.plugins().join("hello.wasm"), &folder.join("hello.wasm"))?;
    let (cold, cold_resident) = once(workspace, directory)?;
    let (warm, warm_resident) = once(workspace, directory)?;
    Ok(Idle { cold, warm, cold_resident, warm_resident })
}

fn once(workspace: &Workspace, directory: &Path) -> Outcome<(Duration, u64)> {
    let (listener, admin) = (free_address()?, free_address()?);
    let config = directory.join("plugbay.toml");
    let text = format!(
        "admin.bind = \"{admin}\"\nlog.filter = \"warn\"\nlistener = [{{ name = \"default\", bind = \"{listener}\" }}]\n"
    );
    fs::write(&config, text).context(config.display())?;
    let mut host = Server::start("plugbay", &mut server::host(workspace, &config))?;
    let ready = host.answers(admin, "/readyz")?;
    host.answers(listener, "/hello/hello")?;
    let resident = host.resident()?;
    host.stop()?;
    Ok((ready, resident))
}
