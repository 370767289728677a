//! A host to try things on: every plugin of the repository, on this machine only.
//!
//! The plugin folder holds links to what `build` leaves, so building again puts the new version into
//! the running host. Files that were put there by hand are left alone. The host takes the place of this
//! process, so that a Ctrl-C is the host's; a second, short-lived process waits until the host is ready
//! and then says what there is to try.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::build;
use crate::command::{Context, Failure, Outcome, output};
use crate::http;
use crate::server;
use crate::workspace::Workspace;

const PUBLIC: u16 = 8080;
const ADMIN: u16 = 9080;
const NEW_TOKEN: &str = "--new-token";

/// How the token gets to the process that prints it: not as an argument, which everybody can see.
const TOKEN_VARIABLE: &str = "XTASK_TOKEN";

/// How long the host may take to be ready before nothing is announced.
const PATIENCE: Duration = Duration::from_secs(60);

/// Build, fill the plugin folder, make a token if there is none, and become the host.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let new_token = match arguments {
        [] => false,
        [one] if one == NEW_TOKEN => true,
        _ => return Err(Failure(format!("takes {NEW_TOKEN} and nothing else"))),
    };
    build::build(workspace)?;
    for port in [PUBLIC, ADMIN] {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context(format!("127.0.0.1:{port}"))?;
    }
    let data = workspace.root.join("data");
    link_plugins(workspace, &data.join("plugins.d"))?;
    let config = config(workspace);
    let token =
        if new_token || !data.join("tokens.toml").exists() { token(workspace, &config)? } else { String::new() };

    let own = std::env::current_exe().context("this program")?;
    Command::new(own)
        .arg("announce")
        .env(TOKEN_VARIABLE, token)
        .stdin(Stdio::null())
        .spawn()
        .context("xtask announce")?;
    let mut host = server::host(workspace, &config);
    host.env_remove("RUST_BACKTRACE");
    Err(Failure(format!("{}: {}", workspace.host().display(), host.exec())))
}

fn config(workspace: &Workspace) -> PathBuf {
    workspace.root.join("examples/dev.toml")
}

fn link_plugins(workspace: &Workspace, folder: &Path) -> Outcome {
    fs::create_dir_all(folder).context(folder.display())?;
    for component in workspace.components()?.iter().filter(|component| !component.guest) {
        let file = format!("{}.wasm", component.package);
        let (link, target) = (folder.join(&file), workspace.plugins().join(&file));
        match fs::symlink_metadata(&link) {
            Ok(facts) if !facts.is_symlink() => continue,
            Ok(_) if fs::read_link(&link).is_ok_and(|old| old == target) => continue,
            Ok(_) => fs::remove_file(&link).context(link.display())?,
            Err(_) => {}
        }
        symlink(&target, &link).context(link.display())?;
    }
    Ok(())
}

/// A new token, good on this machine only. The file keeps its hash, the terminal alone its text.
fn token(workspace: &Workspace, config: &Path) -> Outcome<String> {
    let mut command = Command::new(workspace.host());
    command.args(["token", "new", "--id", "dev", "--role", "admin", "--loopback-only", "--config"]);
    Ok(output(command.arg(config))?.trim().to_owned())
}

/// Wait until the host, which started this process, answers, and say what there is. It answers only when
/// every plugin has been tried.
pub fn announce(workspace: &Workspace) -> Outcome {
    let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
    let public = SocketAddr::from((Ipv4Addr::LOCALHOST, PUBLIC));
    let (host, start) = (parent_id(), Instant::now());
    while http::get(public, "/").is_err() {
        if parent_id() != host || start.elapsed() > PATIENCE {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let plugins = output(server::host(workspace, &config(workspace)).arg("plugins"))?;
    print!("{}", announcement(&token, &plugins));
    Ok(())
}

fn announcement(token: &str, plugins: &str) -> String {
    let base = format!("http://127.0.0.1:{PUBLIC}");
    let token = if token.is_empty() {
        format!("# The token was printed when ./data was made; `cargo xtask run {NEW_TOKEN}` makes another one.")
    } else {
        format!("TOKEN={token}")
    };
    format!(
        r#"
{plugins}
{token}
curl {base}/hello/hello/Ann
curl -X PUT {base}/notes/notes/first -H "Authorization: Bearer $TOKEN" -d '{{"title": "Milk"}}' -i
curl {base}/notes/notes -H "Authorization: Bearer $TOKEN"

"#
    )
}
