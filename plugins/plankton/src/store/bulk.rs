//! Whole subtrees: removed, copied or moved, many objects to a commit.
//!
//! A subtree may be of any size, a commit holds 96 checks and ops, a step ends at a deadline. So a
//! call on a subtree is a sequence of commits over the names in order, which can stop after any of
//! them: each object is changed in one commit or not at all, and doing it all again comes to the same
//! end. Names that are added behind the call's back are not waited for.

use std::collections::BTreeMap;

use super::{
    blocks, containers,
    db::{self, Batch, COMMIT, Kept, Stop},
    keys,
    names::Stream,
    objects::{Counted, Draft, Head, commit, count, following, next_version, publicity, retire, retire_removed},
    places::{self, Place, denied},
    viewers::Viewer,
};
use crate::{
    faults::Fault,
    listing::Names as _,
    object::{Blocks, Object, check_object_name},
    sharing::Access,
};

/// Names taken from the stream for one commit; more do not fit.
const GROUP: usize = 24;

/// How far a call came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// Whether there was anything.
    pub found: bool,
    /// Where to go on; none: it is done.
    pub from: Option<String>,
}

/// The names of a container below a prefix, in groups, until it is `enough`. `group` does something
/// with the first of the names it is given and says with how many.
fn sweep(
    container: &Place,
    (prefix, from): (&str, &str),
    enough: impl Fn() -> bool,
    mut group: impl FnMut(&[String]) -> Result<usize, Fault>,
) -> Result<Swept, Fault> {
    let mut names = Stream::new('o', &container.record.value.id);
    names.seek(from.max(prefix))?;
    let mut ahead: Vec<String> = Vec::new();
    let mut found = false;
    loop {
        while ahead.len() < GROUP
            && let Some((name, _)) = names.next()?
        {
            if !name.starts_with(prefix) {
                break;
            }
            ahead.push(name);
        }
        if ahead.is_empty() {
            return Ok(Swept { found, from: None });
        }
        found = true;
        let done = group(&ahead)?.clamp(1, ahead.len());
        ahead.drain(..done);
        if enough() {
            let next = match ahead.into_iter().next() {
                Some(name) => Some(name),
                None => names.next()?.map(|(name, _)| name).filter(|name| name.starts_with(prefix)),
            };
            return Ok(Swept { found, from: next });
        }
    }
}

/// Checks and ops for the usage shards of one container.
const SHARDS: usize = 2 * keys::SHARDS as usize;

/// Remove the objects below a prefix, from a name on.
pub fn remove(
    container: &Place,
    (prefix, from): (&str, &str),
    by: &str,
    enough: impl Fn() -> bool,
) -> Result<Swept, Fault> {
    sweep(container, (prefix, from), enough, |names| {
        db::attempt(|| {
            let mut room = COMMIT - SHARDS;
            let mut done = 0;
            let mut gone: Vec<(Place, Kept<Object>)> = Vec::new();
            for name in names {
                let place = container.sibling(name);
                if let Some(head) = place.head()? {
                    // Check and deletion of the head, two versions, the name, and what follows.
                    let cost = 5 + place.slot.markers.len() + following(&head.value).len();
                    if cost > room && !gone.is_empty() {
                        break;
                    }
                    room = room.saturating_sub(cost);
                    gone.push((place, head));
                }
                done += 1;
            }
            if gone.is_empty() {
                return Ok(done);
            }
            let mut batch = Batch::default();
            let counted: Vec<Counted<'_>> =
                gone.iter().map(|(place, old)| Counted { place, old: Some(&old.value), new: None }).collect();
            count(&counted, &mut batch)?;
            for (place, old) in &gone {
                retire_removed(place, &old.value, by, &mut batch)?;
            }
            let heads: Vec<Head<'_>> =
                gone.iter().map(|(place, old)| Head { slot: &place.slot, old: Some(old), new: None }).collect();
            commit(&heads, batch)?;
            Ok(done)
        })
    })
}

/// A subtree on its way to another place.
#[derive(Debug)]
pub struct Transfer<'a> {
    /// Any place in the container it comes from.
    pub source: &'a Place,
    /// What its names start with there.
    pub prefix: &'a str,
    /// Any place in the container it goes to.
    pub target: &'a Place,
    /// What its names will start with.
    pub onto: &'a str,
    /// Whether it is gone afterwards where it was.
    pub moves: bool,
    /// Who does it.
    pub user: &'a str,
}

/// One object on its way.
struct Change {
    from: Place,
    to: Place,
    old: Kept<Object>,
    there: Option<Kept<Object>>,
    new: Object,
}

impl Transfer<'_> {
    /// Copy or move the objects below the prefix, from a name on. What the user may not read is passed
    /// over; where the user may not write, it ends with a 403.
    pub fn run(&self, from: &str, enough: impl Fn() -> bool) -> Result<Swept, Fault> {
        let mut viewer = Viewer::new(self.user)?;
        sweep(self.source, (self.prefix, from), enough, |names| {
            db::attempt(|| {
                let (done, changes) = self.changes(names, &mut viewer)?;
                if !changes.is_empty() {
                    self.commit(changes)?;
                }
                Ok(done)
            })
        })
    }

    /// As many changes as fit into a commit, and for how many of the names.
    fn changes(&self, names: &[String], viewer: &mut Viewer) -> Result<(usize, Vec<Change>), Fault> {
        let apart = self.source.record.value.id != self.target.record.value.id;
        let shards = if self.moves && apart { 2 * SHARDS } else { SHARDS };
        // One for the check that the target's container is still there.
        let mut room = COMMIT - shards - 1;
        let mut changes: Vec<Change> = Vec::new();
        for (done, name) in names.iter().enumerate() {
            let Some(change) = self.change(name, viewer)? else {
                continue;
            };
            let cost = change.cost(self.moves);
            if cost > room && !changes.is_empty() {
                return Ok((done, changes));
            }
            room = room.saturating_sub(cost);
            changes.push(change);
        }
        Ok((names.len(), changes))
    }

    fn change(&self, name: &str, viewer: &mut Viewer) -> Result<Option<Change>, Fault> {
        let from = self.source.sibling(name);
        let Some(old) = from.head()? else {
            return Ok(None);
        };
        let readable = from.account == self.user || old.value.public.is_some() || viewer.reads(&from, &old.value)?;
        let Some(rest) = name.strip_prefix(self.prefix).filter(|_| readable) else {
            return Ok(None);
        };
        let to = self.target.sibling(&format!("{}{rest}", self.onto));
        check_object_name(&to.name)?;
        let there = to.head()?;
        let current = there.as_ref().map(|kept| &kept.value);
        if places::access(&to, current, self.user)? < Access::Write {
            return Err(denied());
        }
        let mut draft = Draft::of(&old.value, self.user);
        draft.permissions = current.map(|object| object.permissions.clone()).unwrap_or_default();
        let uuid = if self.moves { old.value.uuid.clone() } else { db::random_uuid()? };
        let public = publicity(None, current)?;
        let number = next_version(&to, current)?;
        let new = Object { public, ..draft.object(&to, uuid, number, old.value.content.clone()) };
        Ok(Some(Change { from, to, old, there, new }))
    }

    fn commit(&self, mut changes: Vec<Change>) -> Result<(), Stop> {
        let mut batch = Batch::default();
        if changes.iter().any(|change| change.there.is_none()) {
            let key = containers::key(&self.target.account, &self.target.container);
            batch.unchanged(&key, Some(self.target.record.version));
        }
        for change in &mut changes {
            change.new.content = blocks::share(&change.old.value.content, &mut batch)?;
            if let Some(there) = &change.there {
                retire(&change.to, &there.value, Some(&change.new), &mut batch)?;
            }
            if self.moves {
                retire_removed(&change.from, &change.old.value, self.user, &mut batch)?;
            }
        }
        let mut counted = Vec::new();
        let mut heads = Vec::new();
        for Change { from, to, old, there, new } in &changes {
            let there = there.as_ref();
            counted.push(Counted { place: to, old: there.map(|kept| &kept.value), new: Some(new) });
            heads.push(Head { slot: &to.slot, old: there, new: Some(new) });
            if self.moves {
                counted.push(Counted { place: from, old: Some(&old.value), new: None });
                heads.push(Head { slot: &from.slot, old: Some(old), new: None });
            }
        }
        count(&counted, &mut batch)?;
        commit(&heads, batch)
    }
}

impl Change {
    /// Checks and ops it takes, or a few more.
    fn cost(&self, moves: bool) -> usize {
        let blocks = match &self.old.value.content.blocks {
            Blocks::Inline(blocks) => blocks.iter().map(|block| (block.hash, ())).collect::<BTreeMap<_, _>>().len(),
            Blocks::Mapped(_) => 1,
        };
        let there = self.there.as_ref().map_or(0, |there| 1 + following(&there.value).len());
        // Of each block a check, a reference and perhaps its record; of a long list the key that led there.
        let arrival = 4 + self.to.slot.markers.len() + 3 * blocks + following(&self.new).len() + there;
        if !moves {
            return arrival;
        }
        arrival + 5 + self.from.slot.markers.len() + following(&self.old.value).len()
    }
}
