//! A whole store as JSON lines, out and in.
//!
//! The first line names format and revision, the last one the number of lines between, so that a
//! file cut off anywhere is noticed. Keys and values are base64. Memory is bounded by one part of
//! the engine's snapshot on the way out, by one batch on the way in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::engine::{Engine, Entry, MAX_KEY, MAX_VALUE, Record, Restore, StoreError};

/// Format of the lines.
const FORMAT: u32 = 1;
/// Longest line: the longest key and value in base64, and the rest of the line.
const MAX_LINE: usize = (MAX_KEY + MAX_VALUE) / 3 * 4 + 1024;
/// Far above what any store reaches, and far enough below what its layout can hold.
const MAX_REVISION: u64 = 1 << 53;
/// Records and about bytes of one batch of an import.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1024 * 1024;

/// Why an export or import ended.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file, or the other end of the pipe.
    #[error("reading or writing the export failed: {0}")]
    Io(#[from] std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not what an export looks like.
    #[error("line {line} of the export is wrong: {reason}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The last line is missing.
    #[error("the export is cut off after line {line}")]
    CutOff {
        /// Lines read.
        line: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Header {
    plugbay_store: u32,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Line {
    Counter { counter: Base64, value: u64 },
    Prefix(Base64),
    Entry { key: Base64, value: Base64, version: u64 },
    End { lines: u64 },
}

struct Base64(Bytes);

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(|bytes| Base64(bytes.into())).map_err(serde::de::Error::custom)
    }
}

pub(super) async fn export<W: AsyncWrite + Unpin>(engine: &dyn Engine, out: &mut W) -> Result<u64, TransferError> {
    let mut snapshot = engine.snapshot().await?;
    let header = Header { plugbay_store: FORMAT, revision: snapshot.revision() };
    let mut text = Vec::new();
    push(&mut text, &header)?;
    let mut lines = 0;
    while let Some(records) = snapshot.next()? {
        for record in records {
            let line = match record {
                Record::Counter { counter, value } => Line::Counter { counter: Base64(counter), value },
                Record::Prefix(prefix) => Line::Prefix(Base64(prefix)),
                Record::Entry(entry) => {
                    Line::Entry { key: Base64(entry.key), value: Base64(entry.value), version: entry.version }
                }
            };
            push(&mut text, &line)?;
            lines += 1;
        }
        out.write_all(&text).await?;
        text.clear();
    }
    push(&mut text, &Line::End { lines })?;
    out.write_all(&text).await?;
    out.flush().await?;
    Ok(lines)
}

fn push(text: &mut Vec<u8>, line: &impl Serialize) -> Result<(), TransferError> {
    serde_json::to_writer(&mut *text, line).map_err(std::io::Error::from)?;
    text.push(b'\n');
    Ok(())
}

pub(super) async fn import<R: AsyncBufRead + Unpin>(engine: &dyn Engine, from: &mut R) -> Result<u64, TransferError> {
    let mut lines = Lines { from, text: Vec::new(), line: 0 };
    let header: Header = lines.next().await?;
    if header.plugbay_store != FORMAT {
        return Err(lines
            .malformed(format!("format {} is not format {FORMAT}, which this program reads", header.plugbay_store)));
    }
    if header.revision > MAX_REVISION {
        return Err(lines.malformed(format!("revision {} is not one of a store", header.revision)));
    }
    engine.restore(Restore::Begin(header.revision)).await?;
    let mut order = Order { revision: header.revision, last: None };
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut count = 0;
    loop {
        let record = match lines.next().await? {
            Line::Counter { counter, value } => Record::Counter { counter: counter.0, value },
            Line::Prefix(prefix) => Record::Prefix(prefix.0),
            Line::Entry { key, value, version } => Record::Entry(Entry { key: key.0, value: value.0, version }),
            Line::End { lines: wanted } if wanted != count => {
                return Err(lines.malformed(format!("the export has {count} lines, its end speaks of {wanted}")));
            }
            Line::End { .. } => break,
        };
        bytes += order.check(&record).map_err(|reason| lines.malformed(reason.into()))?;
        count += 1;
        batch.push(record);
        if batch.len() >= BATCH || bytes >= BATCH_BYTES {
            engine.restore(Restore::Records(std::mem::take(&mut batch))).await?;
            bytes = 0;
        }
    }
    lines.ended().await?;
    engine.restore(Restore::Records(batch)).await?;
    engine.restore(Restore::End).await?;
    Ok(count)
}

/// What an import may rely on: counters and prefixes before entries, each in order, within limits.
struct Order {
    revision: u64,
    last: Option<(u8, Bytes)>,
}

impl Order {
    /// The record's size, if it may come here.
    fn check(&mut self, record: &Record) -> Result<usize, &'static str> {
        let (place, value) = match record {
            Record::Counter { counter, .. } => ((0, counter.clone()), 0),
            Record::Prefix(prefix) => ((1, prefix.clone()), 0),
            Record::Entry(entry) if entry.value.len() > MAX_VALUE => {
                return Err("a value is too long");
            }
            Record::Entry(entry) if entry.version == 0 || entry.version > self.revision => {
                return Err("a version is not between 1 and the revision of the store");
            }
            Record::Entry(entry) => ((2, entry.key.clone()), entry.value.len()),
        };
        let size = place.1.len() + value;
        if place.1.is_empty() || place.1.len() > MAX_KEY || place.1.starts_with(&[0]) {
            return Err("a key, counter or prefix is empty, too long or begins with a zero byte");
        }
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return Err("it is out of order");
        }
        self.last = Some(place);
        Ok(size)
    }
}

struct Lines<'a, R> {
    from: &'a mut R,
    text: Vec<u8>,
    line: u64,
}

impl<R: AsyncBufRead + Unpin> Lines<'_, R> {
    async fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, TransferError> {
        self.text.clear();
        let mut bounded = (&mut *self.from).take(MAX_LINE as u64 + 1);
        bounded.read_until(b'\n', &mut self.text).await?;
        if self.text.len() > MAX_LINE {
            self.line += 1;
            return Err(self.malformed(format!("it is longer than {MAX_LINE} bytes")));
        }
        if self.text.pop() != Some(b'\n') {
            return Err(TransferError::CutOff { line: self.line });
        }
        self.line += 1;
        serde_json::from_slice(&self.text).map_err(|error| self.malformed(error.to_string()))
    }

    /// Nothing may follow the last line.
    async fn ended(&mut self) -> Result<(), TransferError> {
        if self.from.fill_buf().await?.is_empty() {
            return Ok(());
        }
        self.line += 1;
        Err(self.malformed("it follows the last line".into()))
    }

    fn malformed(&self, reason: String) -> TransferError {
        TransferError::Malformed { line: self.line, reason }
    }
}
