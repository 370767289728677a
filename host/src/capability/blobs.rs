//! `blobs`: names of large values, and the pieces behind them.
//!
//! A name is a key of the store whose value says which piece holds the bytes. Publishing and dropping
//! is done by `kv`'s commit; here are the ways to look, read, and make pieces.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::TryStreamExt;

use crate::blob::{PieceId, PieceRange, Pinned, ReadError, StageError};
use crate::plugin::bindings::blobs::{BlobRange, DigestAlgorithm, Error, FileRange, Host, Piece, Segment};
use crate::plugin::bindings::{kv, types};
use crate::plugin::{Call, GuestState, Plugin};
use crate::private::{self, FileError, NewFile};

/// Most ranges, or segments, of one call.
const MAX_RANGES: usize = 4096;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// The piece.
    pub piece: PieceId,
    /// Its bytes.
    pub size: u64,
}

impl Attached {
    /// As the value of the name's key.
    pub fn encode(&self) -> Bytes {
        let mut value = BytesMut::with_capacity(40);
        value.put_u64(self.size);
        value.put_slice(self.piece.to_string().as_bytes());
        value.freeze()
    }

    /// From the value of the name's key.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let (size, piece) = value.split_first_chunk()?;
        let piece = std::str::from_utf8(piece).ok()?.parse().ok()?;
        Some(Self { piece, size: u64::from_be_bytes(*size) })
    }
}

/// Find the bytes of these ranges: pieces of this call by id, else blobs by name. They stay as long as the pins are
/// held, also if the blobs are dropped meanwhile.
pub async fn locate(plugin: &Plugin, call: &Call, ranges: &[BlobRange]) -> Result<(Vec<PieceRange>, Pinned), Error> {
    if ranges.len() > MAX_RANGES {
        return Err(Error::Invalid(format!("at most {MAX_RANGES} ranges at once")));
    }
    let mut found = look_up(plugin, call, ranges).await?;
    loop {
        let pinned = plugin.blobs.pin(&found);
        // A blob may have been replaced before its piece was pinned.
        let again = look_up(plugin, call, ranges).await?;
        if again == found {
            return Ok((found, pinned));
        }
        found = again;
    }
}

/// The piece of this call that a name is the id of, and its bytes.
fn staged(call: &Call, name: &str) -> Option<(PieceId, u64)> {
    let staging = call.staged()?;
    let id = name.parse().ok()?;
    Some((id, staging.size(id)?))
}

async fn look_up(plugin: &Plugin, call: &Call, ranges: &[BlobRange]) -> Result<Vec<PieceRange>, Error> {
    let mut found = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (id, size) = match staged(call, &range.name) {
            Some(staged) => staged,
            None => match plugin.keys.blob(&range.name).await.map_err(of_kv)? {
                Some((_, blob)) => (blob.piece, blob.size),
                None => return Err(Error::NotFound),
            },
        };
        let rest = size.checked_sub(range.offset);
        let length = rest.and_then(|rest| match range.length {
            Some(length) => (length <= rest).then_some(length),
            None => Some(rest),
        });
        let Some(length) = length else {
            return Err(Error::Invalid(format!("the range goes beyond the {size} bytes of {:?}", range.name)));
        };
        found.push(PieceRange { id, offset: range.offset, length });
    }
    Ok(found)
}

fn of_kv(error: kv::Error) -> Error {
    match error {
        kv::Error::Invalid(why) => Error::Invalid(why),
        other => Error::Storage(other.to_string()),
    }
}

fn of_read(error: ReadError) -> Error {
    match error {
        ReadError::NotFound(_) => Error::NotFound,
        ReadError::InvalidRange(why) => Error::Invalid(why.into()),
        ReadError::Storage(error) => storage(&error),
    }
}

fn of_stage<E: std::fmt::Display>(error: StageError<E>) -> Error {
    match error {
        StageError::TooLarge { .. } | StageError::QuotaExceeded => Error::QuotaExceeded,
        StageError::InvalidPlan(why) => Error::Invalid(why.into()),
        StageError::CutOff(error) => Error::Storage(error.to_string()),
        StageError::Storage(error) => storage(&error),
    }
}

fn storage(error: &crate::blob::StorageError) -> Error {
    tracing::error!(error = error as &dyn std::error::Error, "the blob store failed");
    if error.is_full() { Error::NoSpace } else { Error::Storage(error.to_string()) }
}

fn of_file(error: FileError) -> Error {
    match error {
        FileError::NotFound(_) => Error::NotFound,
        FileError::Full => Error::NoSpace,
        FileError::Io(_) => Error::Storage(error.to_string()),
        FileError::Outside(_) | FileError::NotAFile(_) | FileError::Range { .. } | FileError::Mode(_) => {
            Error::Invalid(error.to_string())
        }
    }
}

impl From<crate::blob::Piece> for types::PieceResult {
    fn from(piece: crate::blob::Piece) -> Self {
        Self { id: piece.id.to_string(), size: piece.size, digests: piece.digests }
    }
}

fn algorithms(digests: Vec<DigestAlgorithm>) -> Vec<crate::blob::Algorithm> {
    digests.into_iter().map(Into::into).collect()
}

/// Work on files that blocks, where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, FileError> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::Storage("the host is stopping".into()))?.map_err(of_file)
}

/// Write a file of these segments. Where the caller goes away, it comes to be whole or not at all.
async fn to_file(plugin: &Plugin, call: &Call, segments: Vec<Segment>, path: String, mode: u32) -> Result<u64, Error> {
    let directory = plugin.files().ok_or(Error::Denied)?.to_owned();
    if segments.len() > MAX_RANGES {
        return Err(Error::Invalid(format!("at most {MAX_RANGES} segments at once")));
    }
    let blobs = segments.iter().filter_map(|segment| match segment {
        Segment::Blob(range) => Some(range.clone()),
        _ => None,
    });
    let (ranges, _pinned) = locate(plugin, call, &blobs.collect::<Vec<_>>()).await?;
    let mut ranges = ranges.into_iter();
    let at = directory.clone();
    let mut new = blocking(move || NewFile::create(&at, &path, mode)).await?;
    for segment in segments {
        new = match segment {
            Segment::Zeros(zeros) => blocking(move || new.skip(zeros).map(|()| new)).await?,
            Segment::Bytes(bytes) => blocking(move || new.write(&bytes).map(|()| new)).await?,
            Segment::Blob(_) => {
                let range = ranges.next().ok_or(Error::NotFound)?;
                let mut chunks = plugin.blobs.reader(vec![range]).map_err(of_read)?;
                while let Some(chunk) = chunks.try_next().await.map_err(of_read)? {
                    new = blocking(move || new.write(&chunk).map(|()| new)).await?;
                }
                new
            }
            Segment::File(range) => {
                let at = directory.clone();
                let stretch = blocking(move || private::open(&at, &range.path, range.offset, range.length)).await?;
                let mut chunks = std::pin::pin!(stretch.chunks());
                while let Some(chunk) = chunks.try_next().await.map_err(|error| of_file(error.into()))? {
                    new = blocking(move || new.write(&chunk).map(|()| new)).await?;
                }
                new
            }
        };
    }
    blocking(move || new.finish()).await
}

impl Host for GuestState {
    async fn size(&mut self, name: String) -> wasmtime::Result<Result<Option<u64>, Error>> {
        if let Some((_, size)) = staged(&self.call, &name) {
            return Ok(Ok(Some(size)));
        }
        let found = self.cpu.waiting(self.plugin.keys.blob(&name)).await;
        Ok(found.map(|found| found.map(|(_, blob)| blob.size)).map_err(of_kv))
    }

    async fn read(&mut self, range: BlobRange) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let (plugin, call) = (&self.plugin, &self.call);
        let read = async {
            let (ranges, _pinned) = locate(plugin, call, &[range]).await?;
            let bytes = plugin.blobs.read(&ranges).await.map_err(of_read)?;
            Ok(bytes.to_vec())
        };
        Ok(self.cpu.waiting(read).await)
    }

    async fn write(&mut self, bytes: Vec<u8>, digests: Vec<DigestAlgorithm>) -> wasmtime::Result<Result<Piece, Error>> {
        let staging = self.call.staging(&self.plugin);
        let digests = algorithms(digests);
        let write = staging.write(bytes.into(), &digests);
        Ok(self.cpu.waiting(write).await.map(Piece::from).map_err(of_stage))
    }

    async fn concat(
        &mut self,
        ranges: Vec<BlobRange>,
        digests: Vec<DigestAlgorithm>,
    ) -> wasmtime::Result<Result<Piece, Error>> {
        let (plugin, call) = (&self.plugin, &self.call);
        let concat = async {
            let (ranges, _pinned) = locate(plugin, call, &ranges).await?;
            let piece = call.staging(plugin).concat(ranges, &algorithms(digests)).await;
            piece.map(Piece::from).map_err(of_stage)
        };
        Ok(self.cpu.waiting(concat).await)
    }

    async fn from_file(
        &mut self,
        file: FileRange,
        digests: Vec<DigestAlgorithm>,
    ) -> wasmtime::Result<Result<Piece, Error>> {
        let (plugin, call) = (&self.plugin, &self.call);
        let read = async {
            let directory = plugin.files().ok_or(Error::Denied)?.to_owned();
            let stretch = blocking(move || private::open(&directory, &file.path, file.offset, file.length)).await?;
            let piece = call.staging(plugin).one(&algorithms(digests), stretch.chunks()).await;
            piece.map(Piece::from).map_err(of_stage)
        };
        Ok(self.cpu.waiting(read).await)
    }

    async fn to_file(
        &mut self,
        segments: Vec<Segment>,
        path: String,
        mode: u32,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let write = to_file(&self.plugin, &self.call, segments, path, mode);
        Ok(self.cpu.waiting(write).await)
    }

    async fn digest(
        &mut self,
        ranges: Vec<BlobRange>,
        algorithm: DigestAlgorithm,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let (plugin, call) = (&self.plugin, &self.call);
        let digest = async {
            let (ranges, _pinned) = locate(plugin, call, &ranges).await?;
            plugin.blobs.digest(ranges, algorithm.into()).await.map_err(of_read)
        };
        Ok(self.cpu.waiting(digest).await)
    }
}
