//! The whole store out and in.

use std::path::Path;

use axum::body::Body;
use http::{HeaderMap, Method};
use tokio::io::BufReader;

use super::client::{self, Client};
use super::error::CliError;
use super::output::{self, Sink};
use crate::config::{BlobUrl, Config, Engine};
use crate::store::{self, EngineKind, Store, StoreConfig};

/// Write all keys. A running host is asked for them; without one the store is opened here.
pub(super) async fn export(config: &Config, to: Option<&Path>) -> Result<(), CliError> {
    let sink = Sink::open(to)?;
    match Client::connect(&config.admin.socket).await {
        Ok(mut host) => {
            let answer = host.send(Method::GET, "/export", HeaderMap::new(), Body::empty()).await?;
            if !answer.status().is_success() {
                return Err(CliError::Words(client::complaint(answer.status(), b"")));
            }
            client::copy(answer.into_body(), &mut sink.writer()?).await?;
        }
        Err(CliError::Unreachable { .. }) => {
            let store = open(config, false).await?;
            let written = store.export(&mut sink.writer()?).await;
            store.close().await?;
            written?;
        }
        Err(error) => return Err(error),
    }
    sink.finish()?;
    let BlobUrl::File(blobs) = &config.blobs.url;
    output::say(&format!("blobs are not part of an export: copy {} as well, after it", blobs.display()));
    Ok(())
}

/// Read an export into an empty store.
pub(super) async fn import(config: &Config, from: &Path) -> Result<(), CliError> {
    let file = match from {
        from if from == Path::new("-") => output::stdin()?,
        from => std::fs::File::open(from).map_err(|error| CliError::file(from.display().to_string(), error))?,
    };
    let store = open(config, true).await?;
    let mut lines = BufReader::with_capacity(256 * 1024, tokio::fs::File::from_std(file));
    let read = store.import(&mut lines).await;
    store.close().await?;
    output::say(&format!("{} keys, counters and prefixes were imported into {}", read?, path(config).display()));
    Ok(())
}

fn path(config: &Config) -> std::path::PathBuf {
    config.data_dir.join("store")
}

async fn open(config: &Config, make: bool) -> Result<Store, CliError> {
    if config.store.engine == Engine::Memory {
        return Err(CliError::Words(
            "this configuration keeps the store in memory: there is none without a running host".into(),
        ));
    }
    let path = path(config);
    if !make && !path.exists() {
        return Err(CliError::Words(format!(
            "there is no store in {}, and no host answers on {}",
            path.display(),
            config.admin.socket.display()
        )));
    }
    let store = StoreConfig { engine: EngineKind::Sled, path, cache: config.store.cache.get() };
    let opened = tokio::task::spawn_blocking(move || store::open(&store)).await;
    Ok(opened.map_err(|error| CliError::file("the store", std::io::Error::other(error)))??)
}
