//! The whole store out and in.

use std::path::{Path, PathBuf};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::BufReader;

use super::client::{self, Client};
use super::error::CliError;
use super::output::{self, Sink};
use crate::config::{BlobUrl, Config, Engine};
use crate::store::{self, EngineKind, Scan, Store, StoreConfig, StoreError};

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
            let path = path(config);
            if !path.exists() {
                return Err(CliError::Words(format!(
                    "there is no store in {}, and no host answers on {}",
                    path.display(),
                    config.admin.socket.display()
                )));
            }
            let store = open(config, path).await?;
            let written = store.export(&mut sink.writer()?).await;
            store.close().await?;
            written?;
        }
        Err(error) => return Err(error),
    }
    sink.finish()?;
    let BlobUrl::File(blobs) = &config.blobs.url;
    let key = config.data_dir.join("host.key");
    output::say(&format!(
        "blobs and the host's key are not part of an export: copy {} and {} as well, after it",
        blobs.display(),
        key.display()
    ));
    Ok(())
}

/// Read an export into an empty store. Aside first: one that breaks off leaves everything as it was.
pub(super) async fn import(config: &Config, from: &Path) -> Result<(), CliError> {
    let file = match from {
        from if from == Path::new("-") => output::stdin()?,
        from => std::fs::File::open(from).map_err(|error| CliError::file(from.display().to_string(), error))?,
    };
    let place = path(config);
    let aside = place.with_extension("importing");
    let failed = |error| CliError::file(place.display().to_string(), error);
    let there = open(config, place.clone()).await?;
    let page = there.scan(Scan { limit: 1, ..Scan::prefix(Bytes::new()) }).await;
    there.close().await?;
    if !page?.entries.is_empty() {
        return Err(StoreError::NotEmpty.into());
    }
    remove(&aside).map_err(failed)?;
    let store = open(config, aside.clone()).await?;
    let mut lines = BufReader::with_capacity(256 * 1024, tokio::fs::File::from_std(file));
    let read = store.import(&mut lines).await;
    store.close().await?;
    if read.is_err() {
        remove(&aside).map_err(failed)?;
    }
    let read = read?;
    remove(&place).map_err(failed)?;
    std::fs::rename(&aside, &place).map_err(failed)?;
    output::say(&format!("{read} keys, counters and prefixes were imported into {}", place.display()));
    Ok(())
}

fn remove(directory: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn path(config: &Config) -> PathBuf {
    config.data_dir.join("store")
}

async fn open(config: &Config, path: PathBuf) -> Result<Store, CliError> {
    if config.store.engine == Engine::Memory {
        return Err(CliError::Words(
            "this configuration keeps the store in memory: there is none without a running host".into(),
        ));
    }
    let store = StoreConfig { engine: EngineKind::Sled, path, cache: config.store.cache.get() };
    let opened = tokio::task::spawn_blocking(move || store::open(&store)).await;
    Ok(opened.map_err(|error| CliError::file("the store", std::io::Error::other(error)))??)
}
