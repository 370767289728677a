//! The sections about the host as a whole.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::key::KeySource;
use super::units::{Period, Size};

/// `[store]`: where keys and jobs are kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Which engine. Default `sled`.
    pub engine: Engine,
    /// Memory for the engine's page cache. sled may use several times this. Default 32 MiB.
    pub cache: Size,
}

impl Default for Store {
    fn default() -> Self {
        Self { engine: Engine::Sled, cache: Size::mib(32) }
    }
}

/// A store engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Durable, below `data_dir`, one process at a time.
    Sled,
    /// Forgotten when the host stops; for tests and trials.
    Memory,
}

/// `[blobs]`: where large values are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// Default `file:` with `blobs` below `data_dir`.
    pub url: BlobUrl,
}

/// A place for blobs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum BlobUrl {
    /// `file:PATH`, a directory. An empty path in a file that was just read stands for the default.
    File(PathBuf),
}

impl Default for BlobUrl {
    fn default() -> Self {
        Self::File(PathBuf::new())
    }
}

impl TryFrom<String> for BlobUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        let path = match url.split_once(':') {
            Some(("file", path)) => path,
            Some((scheme, _)) => {
                return Err(format!("blobs in `{scheme}:` are not served yet; write file:PATH"));
            }
            None => return Err("not a URL; write file:PATH".to_owned()),
        };
        // `file:///srv/blobs` names the same place as `file:/srv/blobs`.
        let path = match path.strip_prefix("//") {
            Some(rooted) if rooted.starts_with('/') => rooted,
            Some(_) => return Err("a file URL with a host; write file:PATH".to_owned()),
            None => path,
        };
        match path {
            "" => Err("the path is missing; write file:PATH".to_owned()),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// `[plugins]`: the plugin folder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// Ed25519 public keys, any of which may have signed a plugin. With none, nothing is verified.
    pub keys: Vec<KeySource>,
    /// Follow changes of the folder while serving. Default true.
    pub watch: bool,
    /// How long a file has to be unchanged before it is read. Default 300 ms.
    pub quiet: Period,
}

impl Default for Plugins {
    fn default() -> Self {
        Self { keys: Vec::new(), watch: true, quiet: Period::millis(300) }
    }
}

/// `[admin]`: how the operator's own calls come in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Read-only HTTP on a loopback address, or `off`. Default 127.0.0.1:9080.
    pub bind: AdminBind,
    /// Unix socket of mode 0600 for everything. Default `admin.sock` below `data_dir`.
    pub socket: PathBuf,
}

/// Where read-only admin calls are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum AdminBind {
    /// On the unix socket only.
    Off,
    /// On this address too.
    Tcp(SocketAddr),
}

impl Default for AdminBind {
    fn default() -> Self {
        Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080))
    }
}

impl TryFrom<String> for AdminBind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = SocketAddr::from_str(&text)
            .map_err(|_| "not an address; write one such as 127.0.0.1:9080, or \"off\"".to_owned())?;
        if !address.ip().to_canonical().is_loopback() {
            return Err("not a loopback address; the admin listener serves this machine only".to_owned());
        }
        Ok(Self::Tcp(address))
    }
}

/// `[log]`: what the host writes to standard error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Default `pretty`.
    pub format: LogFormat,
    /// Level, or levels by target as in `info,plugbay::store=debug`. Default `info`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, filter: "info".to_owned() }
    }
}

/// Shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// `[server]`: the process.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// How long requests in flight may take to end when the host stops, and when a plugin is
    /// replaced or removed. Default 10 s.
    pub drain: Period,
    /// Threads that serve requests; 0: one for each core. Default 0.
    pub worker_threads: u32,
    /// Header field the request id is taken from and answered in. Default `x-request-id`.
    pub request_id: String,
}

impl Default for Server {
    fn default() -> Self {
        Self { drain: Period::secs(10), worker_threads: 0, request_id: "x-request-id".to_owned() }
    }
}

/// `[instances]`: the pool all plugins draw their instances from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instances {
    /// Instances that can exist at once. Costs address space, not memory. Default 512.
    pub slots: u32,
    /// The most that any plugin's `limits.memory` may ask for. Default 1 GiB.
    pub max_memory: Size,
    /// Stack of one call. Default 512 KiB.
    pub stack: Size,
    /// Of a slot that falls free, how much memory is zeroed and kept rather than given back to
    /// the system. Used where the kernel makes it cheap (Linux 6.7). Default 2 MiB.
    pub keep_resident: Size,
}

impl Default for Instances {
    fn default() -> Self {
        Self { slots: 512, max_memory: Size::gib(1), stack: Size::kib(512), keep_resident: Size::mib(2) }
    }
}
