//! Lists of postings, and what they have in common.
//!
//! Each list is sorted by `seq`. The common entries are found by letting every list jump to the greatest entry seen, so
//! that the cost follows the shortest list and not the longest.

use std::collections::VecDeque;

use plugbay_sdk::kv;

use super::{keys::Keys, places};
use crate::fault::Fault;

/// Entries read at once when a list is followed without jumping.
const MOST: u32 = 256;

/// A list of postings with a place in it.
#[derive(Debug)]
struct List {
    prefix: String,
    ahead: VecDeque<(String, String)>,
    /// The last entry read.
    last: Option<String>,
    ended: bool,
    reads: u32,
    /// Entries of the last read, and how many of these were passed over.
    batch: usize,
    passed: usize,
}

impl List {
    fn new(prefix: String, first_read: u32) -> List {
        List { prefix, ahead: VecDeque::new(), last: None, ended: false, reads: first_read, batch: 0, passed: 0 }
    }

    /// The first entry that is not before `least`.
    fn seek(&mut self, least: &str) -> Result<Option<(String, String)>, Fault> {
        loop {
            let mut dropped = 0;
            while self.ahead.front().is_some_and(|(seq, _)| seq.as_str() < least) {
                self.ahead.pop_front();
                dropped += 1;
            }
            // The first of them was looked at.
            self.passed += dropped.max(1) - 1;
            if let Some(entry) = self.ahead.front() {
                return Ok(Some(entry.clone()));
            }
            if self.ended {
                return Ok(None);
            }
            self.read(least)?;
        }
    }

    fn read(&mut self, least: &str) -> Result<(), Fault> {
        // Reading on is worth more and more; where most is passed over, jumping from one to the next is cheaper.
        let sparse = self.passed * 2 > self.batch;
        self.reads = if sparse { 4 } else { (self.reads * 4).min(MOST) };
        let start = match &self.last {
            Some(last) if last.as_str() >= least => format!("{}{last}\0", self.prefix),
            _ => format!("{}{least}", self.prefix),
        };
        let range = kv::Range { start, end: kv::prefix_end(&self.prefix), limit: self.reads, reverse: false };
        let page = kv::scan(&range)?;
        #[cfg(test)]
        super::reads::count(page.entries.len());
        self.ended = !page.more;
        (self.batch, self.passed) = (page.entries.len(), 0);
        for entry in page.entries {
            let seq = entry.key.strip_prefix(&self.prefix).unwrap_or_default().to_owned();
            let path = String::from_utf8(entry.value).map_err(Fault::internal)?;
            self.last = Some(seq.clone());
            self.ahead.push_back((seq, path));
        }
        Ok(())
    }
}

/// The entries that all of some lists have, in order.
#[derive(Debug)]
pub struct Common {
    lists: Vec<List>,
    least: String,
}

impl Common {
    /// Of these lists, at least one, by the prefixes of their keys, after this entry if one is given. `expected` is how
    /// many entries will be asked for.
    pub fn of(prefixes: Vec<String>, after: Option<&str>, expected: u32) -> Common {
        let first = expected.div_ceil(4).clamp(1, MOST / 4);
        let lists = prefixes.into_iter().map(|prefix| List::new(prefix, first)).collect();
        Common { lists, least: after.map_or_else(String::new, |after| format!("{after}\0")) }
    }

    /// Pass over that many entries. Of a single list they are counted where they lie, from the nearest place that is
    /// known.
    ///
    /// # Errors
    /// Those of the store.
    pub fn skip(&mut self, keys: &Keys, count: usize) -> Result<(), Fault> {
        if let ([list], true) = (self.lists.as_slice(), count > 0) {
            if let Some(place) = places::at(keys, &list.prefix, count)? {
                self.least = format!("{place}\0");
            }
            return Ok(());
        }
        for _ in 0..count {
            if self.advance()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The next entry: `seq` and path.
    ///
    /// # Errors
    /// Those of the store.
    pub fn advance(&mut self) -> Result<Option<(String, String)>, Fault> {
        let mut agreed = 0;
        let mut found = None;
        let count = self.lists.len();
        for at in (0..count).cycle() {
            let Some(list) = self.lists.get_mut(at) else { break };
            let Some((seq, path)) = list.seek(&self.least)? else { return Ok(None) };
            if seq == self.least {
                agreed += 1;
            } else {
                self.least = seq;
                agreed = 1;
            }
            found = Some(path);
            if agreed == count {
                break;
            }
        }
        let seq = std::mem::take(&mut self.least);
        self.least = format!("{seq}\0");
        Ok(found.map(|path| (seq, path)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use plugbay_sdk::testing::Host;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_all_lists_have_is_found_in_order(lists in proptest::collection::vec(proptest::collection::btree_set(0u32..400, 0..300), 1..4), after in proptest::option::of(0u32..400)) {
            let host = Host::new();
            host.install();
            for (number, list) in lists.iter().enumerate() {
                for entry in list {
                    host.put(&format!("{number}/{entry:04}"), "p");
                }
            }
            let prefixes = (0..lists.len()).map(|number| format!("{number}/")).collect();
            let after = after.map(|after| format!("{after:04}"));
            let mut common = Common::of(prefixes, after.as_deref(), 10);
            let mut found = Vec::new();
            while let Some((seq, _)) = common.advance().unwrap() {
                found.push(seq);
            }
            let first: BTreeSet<u32> = lists[0].clone();
            let wanted: Vec<String> = first
                .into_iter()
                .filter(|entry| lists.iter().all(|list| list.contains(entry)))
                .map(|entry| format!("{entry:04}"))
                .filter(|entry| after.as_ref().is_none_or(|after| entry > after))
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
