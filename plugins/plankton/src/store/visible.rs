//! The images that a user can see, in the order of their registration.
//!
//! Several key lists (own, shared with each of the user's names, public) are merged as they are read.
//! Reading starts right after a position, so a page costs what it shows, however many images there are
//! before and after it.

use std::collections::{BTreeSet, VecDeque};

use super::{accounts, db, keys, places};
use crate::{faults::Fault, image::Image, object::Object, sharing::EVERYONE};

/// Most keys of one list that are read at once.
const AHEAD: u32 = 256;

/// A place in the order of registration: time, then id.
pub type Position = String;

/// Where an image stands in the order of registration.
pub fn position(image: &Image<'_>) -> Position {
    keys::image_place(image.metadata.created, &image.object.uuid)
}

/// A list of keys `PREFIX TIME/UUID`, read from one of its ends.
struct Source {
    prefix: String,
    start: String,
    end: String,
    more: bool,
    ahead: VecDeque<(Position, String)>,
}

impl Source {
    fn new(prefix: String) -> Source {
        Source { start: prefix.clone(), end: keys::end_of(&prefix), prefix, more: true, ahead: VecDeque::new() }
    }

    /// The next position not taken yet.
    fn peek(&mut self, at_once: u32, newest_first: bool) -> Result<Option<&Position>, Fault> {
        if self.ahead.is_empty() && self.more {
            let page = db::scan(&self.start, &self.end, at_once, newest_first)?;
            self.more = page.more;
            for entry in page.entries {
                if let Some(place) = entry.key.strip_prefix(&self.prefix) {
                    let head = db::read_text(entry.value)?;
                    self.ahead.push_back((place.to_owned(), head));
                }
                if newest_first {
                    self.end = entry.key;
                } else {
                    self.start = format!("{}\0", entry.key);
                }
            }
        }
        Ok(self.ahead.front().map(|(place, _)| place))
    }
}

/// A walk over the images that a user can see, the newest registration first unless said otherwise.
pub struct Visible {
    user: String,
    sources: Vec<Source>,
    at_once: u32,
    newest_first: bool,
}

impl Visible {
    /// Everything that this user can see: own, shared and public images. `expected` is how many will be
    /// taken, for reading ahead.
    pub fn to(user: &str, expected: u32) -> Result<Visible, Fault> {
        let mut prefixes = vec![keys::owned_images(user)];
        for principal in accounts::principals(user)? {
            prefixes.push(match principal.as_str() {
                EVERYONE => keys::public_images(),
                principal => keys::shared_images(principal),
            });
        }
        Ok(Visible::over(user, prefixes, expected))
    }

    /// Only what the user registered.
    pub fn owned_by(user: &str) -> Visible {
        Visible::over(user, vec![keys::owned_images(user)], AHEAD)
    }

    /// Only what is shared with a member by name, as far as the user can see it.
    pub fn shared_with(member: &str, user: &str) -> Visible {
        Visible::over(user, vec![keys::shared_images(member)], AHEAD)
    }

    fn over(user: &str, prefixes: Vec<String>, expected: u32) -> Visible {
        Visible {
            user: user.to_owned(),
            sources: prefixes.into_iter().map(Source::new).collect(),
            at_once: expected.clamp(1, AHEAD),
            newest_first: true,
        }
    }

    /// With the oldest registration first, or last. To be said before [`Visible::after`].
    #[must_use]
    pub fn in_direction(mut self, oldest_first: bool) -> Visible {
        self.newest_first = !oldest_first;
        self
    }

    /// Only what comes after a position in the walk's direction.
    #[must_use]
    pub fn after(mut self, position: &str) -> Visible {
        for source in &mut self.sources {
            if self.newest_first {
                source.end = format!("{}{position}", source.prefix);
            } else {
                source.start = format!("{}{position}\0", source.prefix);
            }
        }
        self
    }

    /// The next image. Keys that lead to something else by now are passed over.
    pub fn next_image(&mut self) -> Result<Option<Object>, Fault> {
        loop {
            let mut next: Option<Position> = None;
            for source in &mut self.sources {
                if let Some(place) = source.peek(self.at_once, self.newest_first)?
                    && next.as_ref().is_none_or(|next| if self.newest_first { place > next } else { place < next })
                {
                    next = Some(place.clone());
                }
            }
            let Some(next) = next else {
                return Ok(None);
            };
            let mut leads = BTreeSet::new();
            for source in &mut self.sources {
                while source.ahead.front().is_some_and(|(place, _)| *place == next) {
                    leads.extend(source.ahead.pop_front().map(|(_, head)| head));
                }
            }
            for lead in leads {
                if let Some(kept) = db::get_json::<Object>(&lead)?
                    && self.shows(&kept.value, &next)?
                {
                    return Ok(Some(kept.value));
                }
            }
        }
    }

    fn shows(&self, object: &Object, place: &str) -> Result<bool, Fault> {
        Ok(Image::of(object).is_some_and(|image| position(&image) == place) && is_visible(object, &self.user)?)
    }
}

/// Whether lists show an object to a user.
fn is_visible(object: &Object, user: &str) -> Result<bool, Fault> {
    Ok(object.account == user || places::stated(object, user)?)
}

/// The image of this id, if lists show it to the user.
pub fn visible(uuid: &str, user: &str) -> Result<Option<Object>, Fault> {
    let Some(lead) = db::get(&keys::uuid(uuid))? else {
        return Ok(None);
    };
    let head = db::get_json::<Object>(&db::read_text(lead.value)?)?.map(|kept| kept.value);
    match head {
        Some(object) if object.uuid == uuid && object.image.is_some() && is_visible(&object, user)? => Ok(Some(object)),
        _ => Ok(None),
    }
}

impl std::fmt::Debug for Visible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visible").field("user", &self.user).finish_non_exhaustive()
    }
}
