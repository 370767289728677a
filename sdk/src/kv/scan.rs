//! Ordered reads over stretches of keys.

use std::ops::Bound;
use std::ops::RangeBounds;

use super::{Entry, Error, Page, Range, scan};

/// Entries asked for at a time by [`Scan::iter`].
const PAGE: u32 = 256;

/// A stretch of keys to read. Start with [`prefix`] or [`range`].
#[derive(Debug, Clone)]
pub struct Scan {
    range: Range,
}

/// All keys with this prefix, at most 256 a page.
pub fn prefix(prefix: &str) -> Scan {
    Scan { range: Range { start: prefix.to_owned(), end: prefix_end(prefix), limit: PAGE, reverse: false } }
}

/// All keys within bounds, at most 256 a page: `kv::range("a".to_owned().."b".to_owned())`.
pub fn range(bounds: impl RangeBounds<String>) -> Scan {
    let start = match bounds.start_bound() {
        Bound::Included(start) => start.clone(),
        Bound::Excluded(start) => after(start),
        Bound::Unbounded => String::new(),
    };
    let end = match bounds.end_bound() {
        Bound::Included(end) => Some(after(end)),
        Bound::Excluded(end) => Some(end.clone()),
        Bound::Unbounded => None,
    };
    Scan { range: Range { start, end, limit: PAGE, reverse: false } }
}

impl Scan {
    /// Only keys that come after this one in the direction of the scan: the marker of a paged listing.
    #[must_use]
    pub fn after(mut self, key: &str) -> Self {
        if self.range.reverse {
            if self.range.end.as_deref().is_none_or(|end| key < end) {
                self.range.end = Some(key.to_owned());
            }
        } else if key >= self.range.start.as_str() {
            self.range.start = after(key);
        }
        self
    }

    /// At most that many entries a page; 1 MiB ends a page in any case.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.range.limit = limit;
        self
    }

    /// The last key first. Say so before [`after`](Self::after).
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.range.reverse = true;
        self
    }

    /// One page, with whether there is more and the revision to watch from.
    ///
    /// # Errors
    /// Those of the store.
    pub fn page(&self) -> Result<Page, Error> {
        scan(&self.range)
    }

    /// Every entry, page by page. Each page is one moment of the store; the pages together are not.
    pub fn iter(self) -> Iter {
        Iter { rest: Some(self), page: Vec::new().into_iter() }
    }
}

impl IntoIterator for Scan {
    type Item = Result<Entry, Error>;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

/// The entries of a [`Scan`]. Ends after the first error.
#[derive(Debug)]
pub struct Iter {
    rest: Option<Scan>,
    page: std::vec::IntoIter<Entry>,
}

impl Iterator for Iter {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let scan = self.rest.take()?;
            match scan.page() {
                Ok(page) => {
                    if let (true, Some(last)) = (page.more, page.entries.last()) {
                        self.rest = Some(scan.after(&last.key));
                    }
                    self.page = page.entries.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The first key after all keys with this prefix; none if there can be none.
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // UTF-8 orders text as its scalar values; there are none between U+D7FF and U+E000.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// The least key greater than this one.
fn after(key: &str) -> String {
    let mut after = String::with_capacity(key.len() + 1);
    after.push_str(key);
    after.push('\0');
    after
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_prefix_holds_exactly_the_keys_that_start_with_it(prefix in "\\PC{1,4}", key in "\\PC{0,6}") {
            let end = prefix_end(&prefix);
            let within = |key: &str| key >= prefix.as_str() && end.as_deref().is_none_or(|end| key < end);
            prop_assert_eq!(within(&key), key.starts_with(&prefix));
            let extended = format!("{prefix}{key}");
            prop_assert!(within(&extended));
        }
    }

    #[test]
    fn a_prefix_of_last_characters_has_no_end() {
        assert_eq!(prefix_end("\u{10ffff}"), None);
        assert_eq!(prefix_end("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(prefix_end("\u{d7ff}").as_deref(), Some("\u{e000}"));
    }
}
