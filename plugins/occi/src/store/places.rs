//! Places in long lists: how many entries are before one, so that a page far back begins near what it shows.
//!
//! They are in the memory of this instance only. A place is good as long as nothing came or went before it, which the
//! list's key of changes tells by its version: new entities come last and do not write it. One that may still be
//! followed by an entity with an earlier `seq` is not remembered.

use std::{cell::RefCell, collections::BTreeMap};

use plugbay_sdk::kv;

use super::{
    entities::{SOON, moment_of, now},
    keys::Keys,
};
use crate::fault::Fault;

/// Entries that are counted together, and the least between two places.
const STEP: u32 = 512;

/// Most lists, and most places of each, that are remembered.
const LISTS: usize = 32;
const PLACES: usize = 2_048;

/// The places of a list: by how many entries there are up to one, and with it.
#[derive(Debug, Default)]
struct Places {
    changes: Option<u64>,
    known: BTreeMap<usize, String>,
}

thread_local! {
    static REMEMBERED: RefCell<BTreeMap<String, Places>> = const { RefCell::new(BTreeMap::new()) };
}

/// The last of the first `count` entries of a list, or of all if there are fewer; none if there are none.
///
/// # Errors
/// Those of the store.
pub fn at(keys: &Keys, prefix: &str, count: usize) -> Result<Option<String>, Fault> {
    let changes_key = keys.changes(prefix);
    let changes = match &changes_key {
        Some(key) => kv::get(key)?.map(|entry| entry.version),
        None => None,
    };
    let known = changes_key.as_ref().and_then(|_| nearest(prefix, changes, count));
    let (mut passed, mut place) = known.map_or((0, None), |(passed, place)| (passed, Some(place)));
    while passed < count {
        let limit = u32::try_from(count - passed).unwrap_or(u32::MAX).min(STEP);
        let start = place.as_ref().map_or_else(|| prefix.to_owned(), |place| format!("{prefix}{place}\0"));
        let page = kv::scan(&kv::Range { start, end: kv::prefix_end(prefix), limit, reverse: false })?;
        #[cfg(test)]
        super::reads::count(page.entries.len());
        passed += page.entries.len();
        if let Some(last) = page.entries.last() {
            let last = last.key.strip_prefix(prefix).unwrap_or_default().to_owned();
            if changes_key.is_some() {
                remember(prefix, changes, passed, &last);
            }
            place = Some(last);
        }
        if !page.more {
            break;
        }
    }
    Ok(place)
}

fn nearest(prefix: &str, changes: Option<u64>, count: usize) -> Option<(usize, String)> {
    REMEMBERED.with_borrow_mut(|lists| {
        let places = lists.get_mut(prefix)?;
        if places.changes != changes {
            *places = Places { changes, known: BTreeMap::new() };
        }
        places.known.range(..=count).next_back().map(|(passed, place)| (*passed, place.clone()))
    })
}

fn remember(prefix: &str, changes: Option<u64>, passed: usize, place: &str) {
    // Twice as long as a new entity may take to be there.
    if now().saturating_sub(moment_of(place)) < 2 * SOON {
        return;
    }
    REMEMBERED.with_borrow_mut(|lists| {
        if !lists.contains_key(prefix) && lists.len() >= LISTS {
            lists.pop_first();
        }
        let places = lists.entry(prefix.to_owned()).or_default();
        if places.changes != changes {
            *places = Places { changes, known: BTreeMap::new() };
        }
        let near = passed.saturating_sub(STEP as usize / 2)..passed + STEP as usize / 2;
        if places.known.len() < PLACES && places.known.range(near).next().is_none() {
            places.known.insert(passed, place.to_owned());
        }
    });
}

#[cfg(test)]
mod tests {
    use plugbay_sdk::testing::Host;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        entity::{Attributes, Entity},
        model::infrastructure::id,
        store::{
            batch::Batch,
            entities::{self, Sequence},
            reads,
        },
    };

    fn machine(milliseconds: u64) -> Entity {
        let seq = Sequence::at(milliseconds).advance().unwrap();
        let (path, kind) = (format!("/compute/{seq}"), id("compute"));
        Entity { seq, path, kind, mixins: Vec::new(), attributes: Attributes::new(), links: Vec::new(), ends: None }
    }

    fn make(keys: &Keys, milliseconds: u64) -> Entity {
        let (mut batch, entity) = (Batch::default(), machine(milliseconds));
        entities::create(keys, &mut batch, &entity).unwrap();
        batch.commit().unwrap();
        entity
    }

    #[test]
    fn the_second_page_far_back_is_near_what_it_shows() {
        Host::new().install();
        let keys = Keys::of("ann");
        let all: Vec<Entity> = (0..3_000).map(|n| make(&keys, 1_000_000 + n)).collect();
        let list = keys.category(&id("compute"));
        let (found, cold) = reads::of(|| at(&keys, &list, 2_900).unwrap());
        assert_eq!((found.as_deref(), cold), (Some(all[2_899].seq.as_str()), 2_900));
        for count in [2_900, 2_950, 1_024] {
            let (found, read) = reads::of(|| at(&keys, &list, count).unwrap());
            assert_eq!(found.as_deref(), Some(all[count - 1].seq.as_str()));
            assert!(read <= 512, "{count}: {read}");
        }
        let last = at(&keys, &list, 5_000).unwrap();
        assert_eq!(last.as_deref(), Some(all[2_999].seq.as_str()), "the last of fewer");
    }

    #[test]
    fn a_place_that_an_entity_of_the_moment_may_come_before_is_not_remembered() {
        Host::new().install();
        let keys = Keys::of("ann");
        (0..600).for_each(|n| drop(make(&keys, now() - 600 + n)));
        let list = keys.category(&id("compute"));
        let read = || reads::of(|| at(&keys, &list, 600).unwrap()).1;
        assert_eq!((read(), read()), (600, 600));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn places_are_right_whatever_comes_and_goes(space: u64, steps in proptest::collection::vec((0u8..4, 0u64..5_000), 1..60)) {
            Host::new().install();
            // Nothing is remembered of another one's.
            let keys = Keys::of(&space.to_string());
            let list = keys.category(&id("compute"));
            let mut all: BTreeMap<String, Entity> = BTreeMap::new();
            for n in 0..1_500 {
                let entity = make(&keys, 2 * n);
                all.insert(entity.seq.clone(), entity);
            }
            for (what, where_) in steps {
                let place = usize::try_from(where_).unwrap() % all.len();
                match what {
                    0 => {
                        let entity = make(&keys, where_);
                        all.insert(entity.seq.clone(), entity);
                    }
                    1 => {
                        let seq = all.keys().nth(place).unwrap().clone();
                        let entity = all.remove(&seq).unwrap();
                        let kept = entities::existing(&keys, &entity.path).unwrap();
                        let mut batch = Batch::default();
                        entities::delete(&keys, &mut batch, &kept);
                        batch.commit().unwrap();
                    }
                    _ => prop_assert_eq!(at(&keys, &list, place + 1).unwrap(), all.keys().nth(place).cloned()),
                }
            }
        }
    }
}
