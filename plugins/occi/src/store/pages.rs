//! Pages that were shown, so that the next who asks for the same costs one look at the store.
//!
//! They are in the memory of this instance only. A page is the same as long as nothing came or went before its end, which
//! the list's key of changes tells, as in [`super::places`]: it is full, and its last entity is not of the moment.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use plugbay_sdk::kv;

use super::{
    entities::{SOON, moment_of, now},
    keys::Keys,
};
use crate::fault::Fault;

/// Most pages, and most entities of one, that are remembered.
const PAGES: usize = 64;
const ENTITIES: usize = 1_000;

/// Which page of which list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Prefix of its postings.
    pub list: String,
    /// Entities before it.
    pub skip: usize,
    /// Entities on it.
    pub take: usize,
}

/// Paths, and as of which change of the list.
type Page = (Option<u64>, Rc<[String]>);

thread_local! {
    static REMEMBERED: RefCell<BTreeMap<Place, Page>> = const { RefCell::new(BTreeMap::new()) };
}

/// When something of the list last came or went elsewhere than at its end. To be asked before the page is read.
///
/// # Errors
/// Those of the store.
pub fn changes(keys: &Keys, place: &Place) -> Result<Option<u64>, Fault> {
    match keys.changes(&place.list) {
        Some(key) => Ok(kv::get(&key)?.map(|entry| entry.version)),
        None => Ok(None),
    }
}

/// The paths of a page; none if it is not known.
pub fn known(place: &Place, changes: Option<u64>) -> Option<Rc<[String]>> {
    REMEMBERED.with_borrow(|pages| pages.get(place).filter(|page| page.0 == changes).map(|page| Rc::clone(&page.1)))
}

/// Remember a page whose last entity this is.
pub fn remember(place: Place, changes: Option<u64>, paths: &Rc<[String]>, last: &str) {
    let settled = paths.len() == place.take && now().saturating_sub(moment_of(last)) >= 2 * SOON;
    if !settled || paths.len() > ENTITIES {
        return;
    }
    REMEMBERED.with_borrow_mut(|pages| {
        if !pages.contains_key(&place) && pages.len() >= PAGES {
            pages.pop_first();
        }
        pages.insert(place, (changes, Rc::clone(paths)));
    });
}
