//! The whole store as an answer that is written while it is read.

use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderValue, header};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::task::JoinHandle;

use crate::store::{Store, TransferError};

/// Bytes between the store and the client, and of one chunk.
const BUFFER: usize = 64 * 1024;

/// The export. A client that reads slowly slows it down, one that goes away ends it, and a failure
/// breaks the answer off, so that no short export looks whole.
pub(super) fn answer(store: Store) -> Response {
    let mut answer = Response::new(Body::from_stream(chunks(store)));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    answer
}

enum Export {
    Asked(Store),
    UnderWay(DuplexStream, Writing),
}

type Writing = JoinHandle<Result<u64, TransferError>>;

/// The bytes of the export. It begins with the first poll: HEAD never polls.
pub(super) fn chunks(store: Store) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(Export::Asked(store), |export| async move {
        let (mut reader, writing) = match export {
            Export::Asked(store) => begin(store),
            Export::UnderWay(reader, writing) => (reader, writing),
        };
        let mut chunk = BytesMut::with_capacity(BUFFER);
        if reader.read_buf(&mut chunk).await? > 0 {
            return Ok(Some((chunk.freeze(), Export::UnderWay(reader, writing))));
        }
        match writing.await.map_err(io::Error::other)? {
            Ok(lines) => {
                tracing::debug!(lines, "the store was exported");
                Ok(None)
            }
            Err(error) => {
                tracing::error!(%error, "the export of the store broke off");
                Err(io::Error::other(error))
            }
        }
    })
}

fn begin(store: Store) -> (DuplexStream, Writing) {
    let (reader, mut writer) = tokio::io::duplex(BUFFER);
    let writing = tokio::spawn(async move { store.export(&mut writer).await });
    (reader, writing)
}
