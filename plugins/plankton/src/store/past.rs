//! The objects of a container as listings see them: now, or as of an earlier moment.
//!
//! The past is put together from two streams of names: of objects that are there, and of objects that
//! were removed. Each name costs one look into its history. What was purged is not found again.

use super::{
    db,
    keys::{self, Slot},
    names::Stream,
};
use crate::{faults::Fault, listing::Names, object::Object, time::Moment};

/// Names of a container in order, each with the record of its object; none where there was no
/// object at that moment.
#[derive(Debug)]
pub struct Objects {
    container: String,
    heads: Ahead,
    past: Option<(Ahead, Moment)>,
}

/// A stream and what was read ahead of its merging.
#[derive(Debug)]
struct Ahead {
    stream: Stream,
    next: Option<(String, Vec<u8>)>,
}

impl Ahead {
    fn new(class: char, container: &str) -> Ahead {
        Ahead { stream: Stream::new(class, container), next: None }
    }

    fn peek(&mut self) -> Result<Option<&str>, Fault> {
        if self.next.is_none() {
            self.next = self.stream.next()?;
        }
        Ok(self.next.as_ref().map(|(name, _)| name.as_str()))
    }
}

impl Objects {
    /// The objects of a container of this id; with `before`, as they were just before that moment.
    pub fn new(container: &str, before: Option<Moment>) -> Objects {
        Objects {
            container: container.to_owned(),
            heads: Ahead::new('o', container),
            past: before.map(|before| (Ahead::new('n', container), before)),
        }
    }

    /// What was at a name just before a moment.
    fn version(&self, name: &str, before: Moment) -> Result<Option<Vec<u8>>, Fault> {
        let history = Slot::of(&self.container, name).history(&self.container);
        let page = db::scan(&history, &keys::version(&history, before.0), 1, true)?;
        let Some(entry) = page.entries.into_iter().next() else {
            return Ok(None);
        };
        let object: Object = db::read_json(&entry.value)?;
        Ok((!object.deleted).then_some(entry.value))
    }
}

impl Names for Objects {
    type Item = Option<Vec<u8>>;
    type Error = Fault;

    fn next(&mut self) -> Result<Option<(String, Option<Vec<u8>>)>, Fault> {
        let Some((departed, before)) = &mut self.past else {
            let next = self.heads.stream.next()?;
            return Ok(next.map(|(name, value)| (name, Some(value))));
        };
        let before = *before;
        let name = match (self.heads.peek()?, departed.peek()?) {
            (None, None) => return Ok(None),
            (Some(name), None) | (None, Some(name)) => name.to_owned(),
            (Some(head), Some(departed)) => head.min(departed).to_owned(),
        };
        departed.next.take_if(|(departed, _)| *departed == name);
        if let Some((_, value)) = self.heads.next.take_if(|(head, _)| *head == name) {
            let object: Object = db::read_json(&value)?;
            if object.version < before.0 {
                return Ok(Some((name, Some(value))));
            }
        }
        let version = self.version(&name, before)?;
        Ok(Some((name, version)))
    }

    fn seek(&mut self, from: &str) -> Result<(), Fault> {
        for ahead in std::iter::once(&mut self.heads).chain(self.past.as_mut().map(|(departed, _)| departed)) {
            ahead.next = None;
            ahead.stream.seek(from)?;
        }
        Ok(())
    }
}
