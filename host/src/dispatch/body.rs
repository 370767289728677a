//! The body of an answer: bytes that are there, or a stream of them.
//!
//! Owns turning segments into bytes on the wire. Blob pieces are pinned when they are found, so a drop
//! in the middle does not cut the answer short. A body that is not as long as its head says is broken
//! off. Chunks are at most [`CHUNK`] bytes, because one is
//! held for each client that reads slowly.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http_body::{Frame, SizeHint};

use crate::blob::{PieceRange, Pinned};
use crate::capability::blobs::locate;
use crate::plugin::bindings::types::{BlobRange, Segment};
use crate::plugin::{Call, Plugin};
use crate::private::{self, Stretch};

/// Most bytes of one chunk.
const CHUNK: usize = 64 * 1024;
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// A stream of bytes that may break off.
pub type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The body of an answer.
pub struct AnswerBody(Kind);

enum Kind {
    Full(Option<Bytes>),
    /// The number is what is left, if known.
    Stream(Chunks, Option<u64>),
}

impl AnswerBody {
    /// No bytes.
    pub fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A stream of bytes, so many in all if known; see [`counted`].
    pub fn stream(chunks: Chunks, length: Option<u64>) -> Self {
        Self(Kind::Stream(chunks, length))
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(chunks, left) => chunks.poll_next_unpin(context).map(|chunk| {
                if let (Some(Ok(chunk)), Some(left)) = (&chunk, left) {
                    *left = left.saturating_sub(chunk.len() as u64);
                }
                chunk.map(|chunk| chunk.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Stream(_, Some(left)) => SizeHint::with_exact(*left),
            Kind::Stream(_, None) => SizeHint::default(),
        }
    }
}

/// Segments whose bytes have been found.
pub struct Located {
    parts: VecDeque<Part>,
    /// Of the pieces among them.
    pinned: Option<Pinned>,
}

enum Part {
    Bytes(Bytes),
    Piece(PieceRange),
    File(Stretch),
    Zeros(u64),
}

impl Part {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Piece(range) => range.length,
            Self::File(stretch) => stretch.length,
            Self::Zeros(length) => *length,
        }
    }

    /// Without its first `skip` bytes.
    fn after(self, skip: u64) -> Self {
        match self {
            Self::Bytes(bytes) => {
                Self::Bytes(bytes.slice(usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len())..))
            }
            Self::Piece(range) => Self::Piece(PieceRange {
                offset: range.offset + skip,
                length: range.length.saturating_sub(skip),
                ..range
            }),
            Self::File(stretch) => Self::File(Stretch {
                offset: stretch.offset + skip,
                length: stretch.length.saturating_sub(skip),
                ..stretch
            }),
            Self::Zeros(length) => Self::Zeros(length.saturating_sub(skip)),
        }
    }

    /// Its first `keep` bytes.
    fn first(self, keep: u64) -> Self {
        match self {
            Self::Bytes(bytes) => {
                Self::Bytes(bytes.slice(..usize::try_from(keep).unwrap_or(usize::MAX).min(bytes.len())))
            }
            Self::Piece(range) => Self::Piece(PieceRange { length: range.length.min(keep), ..range }),
            Self::File(stretch) => Self::File(Stretch { length: stretch.length.min(keep), ..stretch }),
            Self::Zeros(length) => Self::Zeros(length.min(keep)),
        }
    }
}

impl Located {
    /// Find the bytes of these segments. The words say what is wrong with them.
    pub async fn find(plugin: &Plugin, call: &Call, segments: Vec<Segment>) -> Result<Self, String> {
        let blobs: Vec<BlobRange> = segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Blob(range) => Some(range.clone()),
                _ => None,
            })
            .collect();
        let (pieces, pinned) = match blobs.is_empty() {
            true => (Vec::new(), None),
            false => {
                let (pieces, pinned) = locate(plugin, call, &blobs).await.map_err(|error| error.to_string())?;
                (pieces, Some(pinned))
            }
        };
        let mut pieces = pieces.into_iter();
        let mut parts = VecDeque::with_capacity(segments.len());
        for segment in segments {
            parts.push_back(match segment {
                Segment::Bytes(bytes) => Part::Bytes(bytes.into()),
                Segment::Zeros(length) => Part::Zeros(length),
                Segment::Blob(_) => Part::Piece(pieces.next().ok_or("a blob is missing")?),
                Segment::File(range) => {
                    let directory = plugin.files().ok_or("a file cannot be sent without the grant `filesystem`")?;
                    let stretch = private::open(directory, &range.path, range.offset, range.length);
                    Part::File(stretch.map_err(|error| format!("a file cannot be sent: {error}"))?)
                }
            });
        }
        parts.retain(|part| part.length() > 0);
        Ok(Self { parts, pinned })
    }

    /// Bytes in all.
    pub fn length(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.length()))
    }

    /// Only `length` bytes from `offset` on.
    pub fn slice(self, offset: u64, length: u64) -> Self {
        let (mut skip, mut keep) = (offset, length);
        let mut parts = VecDeque::new();
        for part in self.parts {
            if keep == 0 {
                break;
            }
            if skip >= part.length() {
                skip -= part.length();
                continue;
            }
            let part = part.after(std::mem::take(&mut skip)).first(keep);
            keep -= part.length();
            parts.push_back(part);
        }
        Self { parts, pinned: self.pinned }
    }

    /// The bytes, if all of them are in memory already and in one stretch.
    pub fn whole(mut self) -> Result<Bytes, Self> {
        match (self.parts.pop_front(), self.parts.is_empty()) {
            (None, _) => Ok(Bytes::new()),
            (Some(Part::Bytes(bytes)), true) => Ok(bytes),
            (Some(first), _) => {
                self.parts.push_front(first);
                Err(self)
            }
        }
    }

    /// The bytes as a stream.
    pub fn chunks(self, plugin: &Plugin) -> Result<Chunks, String> {
        let mut streams: Vec<Chunks> = Vec::new();
        let mut ranges = Vec::new();
        for part in self.parts {
            match part {
                Part::Piece(range) => {
                    ranges.push(range);
                    continue;
                }
                other => {
                    flush(plugin, &mut ranges, &mut streams)?;
                    streams.push(match other {
                        Part::Bytes(bytes) => Box::pin(stream::iter(split(bytes).map(Ok))),
                        Part::Zeros(length) => Box::pin(zeros(length)),
                        Part::File(stretch) => Box::pin(stretch.chunks()),
                        Part::Piece(_) => continue,
                    });
                }
            }
        }
        flush(plugin, &mut ranges, &mut streams)?;
        Ok(Box::pin(stream::iter(streams).flatten()))
    }
}

/// The same chunks, failing where they are not `stated` bytes in all.
pub fn counted(chunks: Chunks, stated: u64) -> Chunks {
    Box::pin(stream::try_unfold((chunks, stated), |(mut chunks, left)| async move {
        let Some(chunk) = chunks.try_next().await? else {
            return match left {
                0 => Ok(None),
                _ => Err(io::Error::other(format!("the body ended {left} bytes before its stated length"))),
            };
        };
        match left.checked_sub(chunk.len() as u64) {
            Some(left) => Ok(Some((chunk, (chunks, left)))),
            None => Err(io::Error::other("the body is longer than its stated length")),
        }
    }))
}

fn flush(plugin: &Plugin, ranges: &mut Vec<PieceRange>, streams: &mut Vec<Chunks>) -> Result<(), String> {
    if !ranges.is_empty() {
        let reader = plugin.blobs.reader(std::mem::take(ranges)).map_err(|error| error.to_string())?;
        streams.push(Box::pin(reader.map_err(io::Error::other)));
    }
    Ok(())
}

fn split(bytes: Bytes) -> impl Iterator<Item = Bytes> + Send {
    let mut rest = bytes;
    std::iter::from_fn(move || (!rest.is_empty()).then(|| rest.split_to(rest.len().min(CHUNK))))
}

fn zeros(length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(length, |left| async move {
        let some = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let chunk = ZEROS.get(..some).filter(|chunk| !chunk.is_empty())?;
        Some((Ok(Bytes::from_static(chunk)), left - some as u64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(parts: &[&'static str]) -> Located {
        let parts = parts.iter().map(|part| Part::Bytes(Bytes::from_static(part.as_bytes()))).collect();
        Located { parts, pinned: None }
    }

    fn text(located: Located) -> String {
        let bytes = located.parts.into_iter().map(|part| match part {
            Part::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => unreachable!(),
        });
        bytes.collect()
    }

    #[test]
    fn a_slice_may_begin_and_end_in_any_part() {
        let whole = "abcdefgh";
        for offset in 0..whole.len() {
            for length in 0..=whole.len() - offset {
                let slice = located(&["ab", "cde", "f", "gh"]).slice(offset as u64, length as u64);
                assert_eq!(text(slice), whole[offset..offset + length]);
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_stated_or_broken_off() {
        let of = |stated| {
            let parts = ["ab", "cd"].map(|part| Ok(Bytes::from_static(part.as_bytes())));
            counted(Box::pin(stream::iter(parts)), stated).try_collect::<Vec<_>>()
        };
        assert_eq!(of(4).await.unwrap().len(), 2);
        assert!(of(3).await.unwrap_err().to_string().contains("longer"));
        assert!(of(5).await.unwrap_err().to_string().contains("1 bytes before"));
    }

    #[tokio::test]
    async fn zeros_are_sent_in_chunks() {
        let chunks: Vec<_> = zeros(CHUNK as u64 + 3).try_collect().await.unwrap();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [CHUNK, 3]);
    }
}
