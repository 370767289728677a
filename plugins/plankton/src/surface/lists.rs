//! Lists of images, sent piece by piece.
//!
//! A list may be as long as there are images, so it is never whole in memory: each step of an answer reads a
//! bounded number of images, sends their rows and goes on from where it stopped when the client has taken
//! them. In the kept order that is a position; in any other the ids are put in order first (see
//! [`Selection`]) and kept as a piece of the request.
//!
//! A list is not one moment of the store: what changes while it is sent may be in it or not. A failure
//! after the first step breaks the answer off.

use plugbay_sdk::{Answer, BlobRange, More, Request, Segment, Step, blobs};
use serde::{Deserialize, Serialize};

use super::{Call, JSON, bare, sending::Sending};
use crate::{
    faults::{Fault, Kind},
    image::{Image, query::Sort},
    store::{
        selection::{Selection, UUID},
        visible::{Position, Visible, position, visible},
    },
};

/// Most images that one step reads.
const READS: usize = 2_000;

/// Bytes of rows after which a step ends.
const BYTES: usize = 256 * 1024;

/// Most ids that travel in the continuation; more are a piece.
const CARRIED: usize = 256;

/// A list: what stands around its rows, which images it has, and what a row is.
pub(super) struct Listing<'a> {
    /// Before the first row.
    pub open: &'static str,
    /// After the last row.
    pub close: &'static str,
    /// Whether an image is in the list.
    pub keep: &'a dyn Fn(&Image<'_>) -> bool,
    /// One row, as JSON.
    pub row: &'a dyn Fn(&Image<'_>) -> Result<Vec<u8>, serde_json::Error>,
}

/// Where a request of an image API goes on. The user travels along, so that a token in the query is looked
/// up once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Continuation {
    /// Who is calling.
    pub user: String,
    /// With what.
    pub rest: Going,
}

/// What an image API goes on with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Going {
    /// With the body that was taken.
    Data,
    /// With the rest of a list.
    List(Cursor),
    /// With the rest of an image's data.
    Send(Sending),
}

/// Where a list goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cursor {
    rest: Rest,
    /// Rows that may still be sent; none: all.
    left: Option<u64>,
    /// Whether a row was sent.
    begun: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Rest {
    /// The walk, after a position.
    Walk(Option<Position>),
    /// These ids.
    Ids(Vec<String>),
    /// The ids of a piece, from this one on.
    Piece { id: String, at: usize, count: usize },
}

impl Cursor {
    /// A list in the kept order, after a position, of at most so many rows.
    pub fn walk(after: Option<Position>, limit: Option<u64>) -> Cursor {
        Cursor { rest: Rest::Walk(after), left: limit, begun: false }
    }

    /// A list in another order: of all that the walk gives and the list keeps, the first so many after the
    /// image of this rank.
    pub fn sorted(
        listing: &Listing<'_>,
        mut walk: Visible,
        sort: Sort,
        after: Option<Vec<u8>>,
        limit: Option<u64>,
    ) -> Result<Cursor, Fault> {
        let keep = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut selection = Selection::new(sort.descending, after, keep);
        while let Some(object) = walk.next_image()? {
            if let Some(image) = Image::of(&object).filter(|image| (listing.keep)(image)) {
                selection.offer(sort.rank(&image))?;
            }
        }
        let ids = selection.ids();
        let count = ids.len() / UUID;
        let rest = if count <= CARRIED {
            Rest::Ids(texts(&ids))
        } else {
            let piece = blobs::write(&ids, &[]).map_err(|error| broken(&error))?;
            Rest::Piece { id: piece.id, at: 0, count }
        };
        Ok(Cursor { rest, left: limit, begun: false })
    }

    /// How many images the next step may read.
    fn reads(&self) -> usize {
        let left = self.left.map_or(READS, |left| usize::try_from(left).unwrap_or(READS));
        left.clamp(1, READS)
    }
}

/// Ids that stand one right after the other.
fn texts(ids: &[u8]) -> Vec<String> {
    ids.chunks(UUID).map(|id| String::from_utf8_lossy(id).into_owned()).collect()
}

fn broken(cause: &dyn std::fmt::Debug) -> Fault {
    plugbay_sdk::error!("a list cannot go on: {cause:?}");
    Fault::new(Kind::Internal, "The store failed")
}

/// One step of a list: the first, from where `first` says, or a later one. `walk` reads the images, and `dress`
/// makes an answer complete, as for every other answer. Once something was sent, there is no refusal any more.
pub(super) fn step(
    call: &Call<'_>,
    listing: &Listing<'_>,
    cursor: Option<Cursor>,
    walk: impl Fn(u32) -> Result<Visible, Fault>,
    first: impl Fn() -> Result<Cursor, Fault>,
    dress: impl Fn(Answer) -> Answer,
) -> Result<Step, Fault> {
    let user = call.user.as_str();
    let Some(cursor) = cursor else {
        let mut body = listing.open.as_bytes().to_vec();
        let rest = fill(listing, user, first()?, walk, &mut body)?;
        let answer = dress(bare(200, Vec::new()).header("content-type", JSON));
        return Ok(match rest {
            None => Step::Done(answer.segment(Segment::Bytes(body))),
            Some(cursor) => more(More::new().head(answer.head).bytes(body), user, cursor),
        });
    };
    let mut body = Vec::new();
    Ok(match fill(listing, user, cursor, walk, &mut body) {
        Ok(None) => Step::Done(Answer::new(200).segment(Segment::Bytes(body))),
        Ok(Some(cursor)) => more(More::new().bytes(body), user, cursor),
        Err(fault) => broken_off(call.request, &fault),
    })
}

/// The end of an answer that was begun and cannot go on: the host breaks it off.
pub(super) fn broken_off(request: &Request, fault: &Fault) -> Step {
    Step::Fail(format!("the list {} cannot go on: {fault}", request.path))
}

fn more(more: More, user: &str, cursor: Cursor) -> Step {
    let continuation = Continuation { user: user.to_owned(), rest: Going::List(cursor) };
    more.then(&continuation).unwrap_or_else(|problem| Step::Fail(problem.to_string()))
}

/// Append rows until the step is full; where the next one goes on, if there is more.
fn fill(
    listing: &Listing<'_>,
    user: &str,
    mut cursor: Cursor,
    walk: impl Fn(u32) -> Result<Visible, Fault>,
    body: &mut Vec<u8>,
) -> Result<Option<Cursor>, Fault> {
    let reads = cursor.reads();
    let mut source = Source::open(&cursor, reads, user, walk)?;
    for _ in 0..READS {
        if body.len() >= BYTES {
            return Ok(Some(cursor));
        }
        if cursor.left == Some(0) {
            break;
        }
        let Some(found) = source.next(&mut cursor.rest)? else {
            break;
        };
        let Some(object) = found else {
            continue;
        };
        let Some(image) = Image::of(&object).filter(|image| (listing.keep)(image)) else {
            continue;
        };
        if cursor.begun {
            body.push(b',');
        }
        body.extend((listing.row)(&image).map_err(|error| broken(&error))?);
        cursor.begun = true;
        cursor.left = cursor.left.map(|left| left.saturating_sub(1));
    }
    if source.ended || cursor.left == Some(0) {
        body.extend_from_slice(listing.close.as_bytes());
        return Ok(None);
    }
    Ok(Some(cursor))
}

/// Where one step reads images from.
struct Source<'a> {
    user: &'a str,
    walk: Option<Visible>,
    ids: std::vec::IntoIter<String>,
    /// Whether there is nothing after what this step can read.
    last: bool,
    ended: bool,
}

impl<'a> Source<'a> {
    fn open(
        cursor: &Cursor,
        reads: usize,
        user: &'a str,
        walk: impl Fn(u32) -> Result<Visible, Fault>,
    ) -> Result<Source<'a>, Fault> {
        let mut source = Source { user, walk: None, ids: Vec::new().into_iter(), last: true, ended: false };
        match &cursor.rest {
            Rest::Walk(after) => {
                let visible = walk(u32::try_from(reads).unwrap_or(u32::MAX))?;
                source.walk = Some(match after {
                    Some(after) => visible.after(after),
                    None => visible,
                });
            }
            Rest::Ids(ids) => source.ids = ids.clone().into_iter(),
            Rest::Piece { id, at, count } => {
                let taken = (count - at).min(READS);
                let range = BlobRange::part(id.as_str(), (at * UUID) as u64, (taken * UUID) as u64);
                let bytes = blobs::read(&range).map_err(|error| broken(&error))?;
                let ids: Vec<String> = texts(&bytes);
                source.last = at + taken == *count;
                source.ids = ids.into_iter();
            }
        }
        Ok(source)
    }

    /// The next image, none if it is gone, and nothing at the end of what this step can read.
    fn next(&mut self, rest: &mut Rest) -> Result<Option<Option<crate::object::Object>>, Fault> {
        if let (Some(walk), Rest::Walk(at)) = (&mut self.walk, &mut *rest) {
            let Some(object) = walk.next_image()? else {
                self.ended = true;
                return Ok(None);
            };
            *at = Image::of(&object).map(|image| position(&image));
            return Ok(Some(Some(object)));
        }
        let Some(id) = self.ids.next() else {
            self.ended = self.last;
            return Ok(None);
        };
        match rest {
            Rest::Piece { at, .. } => *at += 1,
            Rest::Ids(ids) => {
                if !ids.is_empty() {
                    ids.remove(0);
                }
            }
            Rest::Walk(_) => {}
        }
        visible(&id, self.user).map(Some)
    }
}
