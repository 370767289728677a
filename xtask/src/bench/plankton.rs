//! A host that serves one surface of Plankton to anyone.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::build::place;
use crate::command::{Context, Outcome};
use crate::server::{self, Server, free_address};
use crate::workspace::Workspace;

/// Start it with its data in this directory; returns when it is ready.
pub fn start(workspace: &Workspace, directory: &Path, surface: &str) -> Outcome<(Server, SocketAddr)> {
    let folder = directory.join("plugins.d");
    fs::create_dir_all(&folder).context(folder.display())?;
    place(&workspace.plugins().join("plankton.wasm"), &folder.join("plankton.wasm"))?;
    let (address, admin) = (free_address()?, free_address()?);
    let config = directory.join("plugbay.toml");
    let text = format!(
        "admin.bind = \"{admin}\"\nlog.filter = \"error\"\nauth.anyone = {{ provider = \"none\" }}\n\
         listener = [{{ name = \"default\", bind = \"{address}\" }}]\n[plugin.plankton]\n\
         mounts = [{{ surface = \"{surface}\", auth = \"anyone\" }}]\n[plugin.plankton.limits]\n\
         upload = \"5GiB\"\nstaged_bytes = \"16GiB\"\nblob_bytes = \"100GiB\"\n\
         store_bytes = \"4GiB\"\nstore_keys = 4000000\n"
    );
    fs::write(&config, text).context(config.display())?;
    let mut host = Server::start("plugbay", &mut server::host(workspace, &config))?;
    host.answers(admin, "/readyz")?;
    Ok((host, address))
}
