//! Answers whose body is object data, in steps if it is long.
//!
//! Owns how much is handed to the host at once. A body is a list of texts and stretches of one object
//! or of a manifest's parts; each step turns some of it into segments and carries the rest in its
//! continuation. Invariant: a step hands over the segments of at most [`AT_ONCE`] blocks, so that
//! neither memory nor the step grows with the object.

use std::collections::VecDeque;

use plugbay_sdk::{Answer, Segment};
use serde::{Deserialize, Serialize};

use super::objects::{Going, Outcome};
use crate::{
    conditions::Stretch,
    faults::{Fault, Kind},
    object::Content,
    store::{blocks::reading::some_segments, manifests::Parts},
};

/// Most blocks of one step: 4 GiB.
const AT_ONCE: usize = 1_024;

/// A body, or what is left of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sending {
    source: Source,
    left: VecDeque<Part>,
}

/// What stretches are of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Source {
    /// One object's content.
    Content(Content),
    /// The parts of a manifest, as long as their tag is this one.
    Parts(Parts, String),
}

#[derive(Debug, Serialize, Deserialize)]
enum Part {
    Text(String),
    Stretch { offset: u64, length: u64 },
}

impl Sending {
    /// Nothing yet, of this source.
    pub fn of(source: Source) -> Sending {
        Sending { source, left: VecDeque::new() }
    }

    /// Go on with this text.
    pub fn text(&mut self, text: String) {
        self.left.push_back(Part::Text(text));
    }

    /// Go on with this stretch of the source.
    pub fn stretch(&mut self, stretch: Stretch) {
        self.left.push_back(Part::Stretch { offset: stretch.offset, length: stretch.length });
    }

    fn length(&self) -> u64 {
        let length = |part: &Part| match part {
            Part::Text(text) => text.len() as u64,
            Part::Stretch { length, .. } => *length,
        };
        self.left.iter().map(length).sum()
    }

    /// Send it as the body of this answer.
    pub fn answer(mut self, answer: Answer) -> Result<Outcome, Fault> {
        let length = self.length();
        let mut answer = answer;
        answer.body = self.step()?;
        if self.left.is_empty() {
            return Ok(Outcome::Answer(answer));
        }
        Ok(Outcome::More(answer.header("content-length", length.to_string()), Going::Send(self)))
    }

    /// The next step of an answer that was begun. One that cannot go on breaks off.
    pub fn resume(mut self) -> Outcome {
        match self.step() {
            Ok(body) => {
                let mut answer = Answer::new(200);
                answer.body = body;
                if self.left.is_empty() { Outcome::Answer(answer) } else { Outcome::More(answer, Going::Send(self)) }
            }
            Err(fault) => Outcome::BreakOff(fault.to_string()),
        }
    }

    /// The next segments; what is left stays.
    fn step(&mut self) -> Result<Vec<Segment>, Fault> {
        let manifest = match &self.source {
            Source::Content(_) => None,
            Source::Parts(parts, etag) => {
                let manifest = parts.find()?;
                if manifest.etag != *etag {
                    return Err(Fault::new(Kind::Conflict, "The parts of the manifest have changed"));
                }
                Some(manifest)
            }
        };
        let mut room = AT_ONCE;
        let mut segments = Vec::new();
        while room > 0
            && let Some(part) = self.left.pop_front()
        {
            let (offset, length) = match part {
                Part::Text(text) => {
                    segments.push(Segment::Bytes(text.into_bytes()));
                    continue;
                }
                Part::Stretch { offset, length } => (offset, length),
            };
            let stretch = Stretch { offset, length };
            let stretches = match (&self.source, &manifest) {
                (Source::Content(content), _) => vec![(content, stretch)],
                (_, Some(manifest)) => manifest.stretches(stretch),
                (Source::Parts(..), None) => Vec::new(),
            };
            let mut sent = 0;
            for (content, stretch) in stretches {
                if room == 0 || stretch.length == 0 {
                    break;
                }
                let (some, rest) = some_segments(content, stretch, room)?;
                room = room.saturating_sub(some.len().max(1));
                segments.extend(some);
                sent += stretch.length - rest.map_or(0, |rest| rest.length);
                if rest.is_some() {
                    break;
                }
            }
            if sent < length {
                self.left.push_front(Part::Stretch { offset: offset + sent, length: length - sent });
                if sent == 0 {
                    return Err(Fault::new(Kind::Internal, "The store failed"));
                }
                break;
            }
        }
        Ok(segments)
    }
}
