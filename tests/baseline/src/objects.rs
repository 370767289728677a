//! One object in a file, natively: what a store has to do at least with the bytes of an upload.
//!
//! `PUT` hashes each block of 4 MiB (SHA-256) and the whole (MD5) while it writes, syncs the file and
//! puts it in place before it answers. `GET` streams the file. Reading the body and working on it go on
//! beside one another, as in the host.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use http::{HeaderName, StatusCode, header};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

const BLOCK: usize = 4 << 20;
const CHUNK: usize = 128 << 10;

/// Serve `/object`, kept in this directory.
pub fn router(directory: &Path) -> Router {
    Router::new()
        .route("/hello", get(|| async { "Hello, world\n" }))
        .route("/object", get(download).put(upload))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(directory.to_owned()))
}

async fn upload(
    State(directory): State<Arc<PathBuf>>,
    body: Body,
) -> Result<(StatusCode, [(HeaderName, String); 1]), StatusCode> {
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let (chunks, mut queue) = mpsc::channel::<Bytes>(8);
    let kept = tokio::task::spawn_blocking(move || -> std::io::Result<(usize, String)> {
        let (part, whole) = (directory.join("object.part"), directory.join("object"));
        let mut file = std::fs::File::create(&part)?;
        let (mut md5, mut block, mut filled, mut blocks) = (Md5::new(), Sha256::new(), 0, Vec::new());
        while let Some(chunk) = queue.blocking_recv() {
            md5.update(&chunk);
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(BLOCK - filled));
                block.update(now);
                filled += now.len();
                rest = later;
                if filled == BLOCK {
                    blocks.push(std::mem::take(&mut block).finalize());
                    filled = 0;
                }
            }
            file.write_all(&chunk)?;
        }
        file.sync_all()?;
        std::fs::rename(part, whole)?;
        std::fs::File::open(&*directory)?.sync_all()?;
        let digest = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((blocks.len() + usize::from(filled > 0), digest))
    });
    let mut body = body.into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if chunks.send(chunk).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let (_, digest) = kept.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.map_err(failed)?;
    Ok((StatusCode::CREATED, [(header::ETAG, digest)]))
}

async fn download(State(directory): State<Arc<PathBuf>>) -> Result<Body, StatusCode> {
    let file = File::open(directory.join("object")).await.map_err(|_| StatusCode::NOT_FOUND)?;
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    Ok(Body::from_stream(chunks))
}
