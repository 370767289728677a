//! Listing names: prefix, delimiter, path, marker and limit over an ordered stream.
//!
//! Owns the selection, not the rows. It asks its [`Names`] source for the next name at or after a
//! point and never for one it does not need: whole virtual directories are stepped over with one
//! seek, so a listing costs what it returns.

use percent_encoding::percent_decode_str;

use crate::headers::Query;

/// Most rows of one answer.
pub const ROWS: usize = 10_000;

/// Names looked at in one go, rows or not.
const LOOKS: usize = 4_000;

/// Names in byte order, each with something of the caller's.
pub trait Names {
    /// What comes with a name.
    type Item;
    /// Why reading failed.
    type Error;

    /// The next name, in order.
    fn next(&mut self) -> Result<Option<(String, Self::Item)>, Self::Error>;

    /// Go on from this name: the next one returned is the first that is not before it.
    fn seek(&mut self, from: &str) -> Result<(), Self::Error>;
}

/// What a listing asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Only names that start so.
    pub prefix: String,
    /// Fold names that go on after this text into one virtual directory each.
    pub delimiter: Option<String>,
    /// Whether virtual directories are rows.
    pub virtual_rows: bool,
    /// Only names after this one.
    pub marker: Option<String>,
    /// Most rows, 1 to [`ROWS`].
    pub limit: usize,
}

impl Selection {
    /// From `prefix`, `delimiter`, `path`, `marker` and `limit`. `path` is `prefix` with the
    /// delimiter `/` and without virtual rows; with a delimiter a prefix gets one at its end;
    /// leading slashes of the prefix are dropped; a limit that is no positive number is none.
    pub fn from_query(query: &Query) -> Selection {
        let given = |name| query.get(name).filter(|value| !value.is_empty());
        let (prefix, delimiter, virtual_rows) = match given("path") {
            Some(path) => (path, Some("/"), false),
            None => (given("prefix").unwrap_or_default(), given("delimiter"), true),
        };
        let mut prefix = prefix.to_owned();
        if let Some(delimiter) = delimiter
            && !prefix.is_empty()
            && !prefix.ends_with(delimiter)
        {
            prefix.push_str(delimiter);
        }
        Selection {
            prefix: prefix.trim_start_matches('/').to_owned(),
            delimiter: delimiter.map(str::to_owned),
            virtual_rows,
            marker: given("marker").map(str::to_owned),
            limit: query
                .get("limit")
                .and_then(|text| text.trim().parse().ok())
                .filter(|limit| *limit > 0)
                .map_or(ROWS, |limit: usize| limit.min(ROWS)),
        }
    }

    /// The same with what was asked for percent-decoded once more; none if that changes nothing.
    pub fn decoded(&self) -> Option<Selection> {
        let again = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let decoded = Selection {
            prefix: again(&self.prefix),
            delimiter: self.delimiter.as_deref().map(again),
            marker: self.marker.as_deref().map(again),
            ..self.clone()
        };
        (decoded != *self).then_some(decoded)
    }
}

/// One row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<T> {
    /// A name that exists.
    Name(String, T),
    /// A virtual directory, with its delimiter.
    Directory(String),
}

/// What the next look at a source came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// A row.
    Row(Row<T>),
    /// No row yet, and enough names looked at for now: go on from [`Rows::position`] later.
    Later,
    /// There are no more rows.
    End,
}

/// A selection on its way through a source.
///
/// It can be left at any row and taken up again by its position and the number of rows so far.
#[derive(Debug)]
pub struct Rows<'a, N> {
    names: N,
    selection: &'a Selection,
    /// Where the next name is looked for; none: nowhere.
    from: Option<String>,
    sought: bool,
    left: usize,
    looks: usize,
}

impl<'a, N: Names> Rows<'a, N> {
    /// From the selection's start.
    pub fn new(names: N, selection: &'a Selection) -> Rows<'a, N> {
        let prefix = selection.prefix.as_str();
        let from = selection.marker.as_deref().filter(|marker| *marker > prefix).unwrap_or(prefix);
        Rows::resume(names, selection, from.to_owned(), 0)
    }

    /// From a position, after that many rows.
    pub fn resume(names: N, selection: &'a Selection, from: String, taken: usize) -> Rows<'a, N> {
        let left = selection.limit.saturating_sub(taken);
        Rows { names, selection, from: Some(from), sought: false, left, looks: 0 }
    }

    /// Where the rows after those returned so far start; none: there are none.
    pub fn position(&self) -> Option<&str> {
        self.from.as_deref().filter(|_| self.left > 0)
    }

    /// The next row. `keep` is asked about each name before it makes a row, so that what a caller
    /// may not see makes no virtual directory either.
    pub fn next(
        &mut self,
        mut keep: impl FnMut(&str, &N::Item) -> Result<bool, N::Error>,
    ) -> Result<Next<N::Item>, N::Error> {
        let prefix = self.selection.prefix.as_str();
        let marker = self.selection.marker.as_deref();
        let after_marker = |name: &str| marker.is_none_or(|marker| name > marker);
        while self.left > 0
            && let Some(from) = &self.from
        {
            if self.looks >= LOOKS {
                return Ok(Next::Later);
            }
            if !self.sought {
                self.names.seek(from)?;
                self.sought = true;
            }
            let Some((name, item)) = self.names.next()? else {
                break;
            };
            let Some(rest) = name.strip_prefix(prefix) else {
                break;
            };
            self.looks += 1;
            self.from = Some(format!("{name}\0"));
            if !after_marker(&name) || !keep(&name, &item)? {
                continue;
            }
            let folded = self.selection.delimiter.as_deref().and_then(|delimiter| {
                let end = rest.find(delimiter)? + delimiter.len();
                // A name that ends in the delimiter is a row of its own.
                (end < rest.len()).then(|| rest.get(..end)).flatten()
            });
            let Some(folded) = folded else {
                self.left -= 1;
                return Ok(Next::Row(Row::Name(name, item)));
            };
            let directory = format!("{prefix}{folded}");
            self.from = past(&directory);
            self.sought = false;
            // A client that pages with the directory as its marker must not get it again.
            if self.selection.virtual_rows && after_marker(&directory) {
                self.left -= 1;
                return Ok(Next::Row(Row::Directory(directory)));
            }
        }
        self.from = None;
        Ok(Next::End)
    }
}

/// The first text after every text that starts with this one; none if there is none.
pub fn past(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, convert::Infallible};

    /// A source that counts what it hands out.
    struct Fixed {
        names: BTreeSet<String>,
        from: String,
        read: usize,
    }

    impl Names for Fixed {
        type Item = ();
        type Error = Infallible;

        fn next(&mut self) -> Result<Option<(String, ())>, Infallible> {
            let found = self.names.range(self.from.clone()..).next().cloned();
            if let Some(name) = &found {
                self.from = format!("{name}\0");
                self.read += 1;
            }
            Ok(found.map(|name| (name, ())))
        }

        fn seek(&mut self, from: &str) -> Result<(), Infallible> {
            self.from = from.to_owned();
            Ok(())
        }
    }

    impl Names for &mut Fixed {
        type Item = ();
        type Error = Infallible;

        fn next(&mut self) -> Result<Option<(String, ())>, Infallible> {
            (**self).next()
        }

        fn seek(&mut self, from: &str) -> Result<(), Infallible> {
            (**self).seek(from)
        }
    }

    /// All rows, taken up again after every `step` of them.
    fn select(source: &mut Fixed, selection: &Selection, step: usize) -> Vec<Row<()>> {
        let mut found = Vec::new();
        let mut rows = Rows::new(&mut *source, selection);
        loop {
            match rows.next(|_, ()| Ok(true)).unwrap() {
                Next::Row(row) => found.push(row),
                Next::Later => {}
                Next::End => return found,
            }
            if found.len() % step == 0 {
                let Some(position) = rows.position().map(str::to_owned) else {
                    return found;
                };
                rows = Rows::resume(&mut *source, selection, position, found.len());
            }
        }
    }

    fn source<S: AsRef<str>>(names: &[S]) -> Fixed {
        Fixed { names: names.iter().map(|n| n.as_ref().to_owned()).collect(), from: String::new(), read: 0 }
    }

    fn listed<S: AsRef<str>>(names: &[S], query: &str) -> (Vec<String>, usize) {
        let mut source = source(names);
        let selection = Selection::from_query(&Query::parse(Some(query)));
        let rows = select(&mut source, &selection, 1_000);
        let text = rows.into_iter().map(|row| match row {
            Row::Name(name, ()) => name,
            Row::Directory(name) => format!("<{name}>"),
        });
        (text.collect(), source.read)
    }

    const TREE: [&str; 8] = ["a", "b/", "b/1", "b/2", "b/c/3", "b0", "d/1", "é"];

    #[test]
    fn a_delimiter_folds_names_into_directories() {
        assert_eq!(listed(&TREE, "delimiter=/").0, ["a", "b/", "<b/>", "b0", "<d/>", "é"]);
    }

    #[test]
    fn a_prefix_gets_the_delimiter_at_its_end_and_loses_leading_slashes() {
        let expected = ["b/", "b/1", "b/2", "<b/c/>"];
        assert_eq!(listed(&TREE, "prefix=b&delimiter=/").0, expected);
        assert_eq!(listed(&TREE, "prefix=//b/&delimiter=/").0, expected);
        assert_eq!(listed(&TREE, "prefix=b").0.len(), 5);
    }

    #[test]
    fn path_has_no_virtual_rows() {
        assert_eq!(listed(&TREE, "path=b").0, ["b/", "b/1", "b/2"]);
        assert_eq!(listed(&TREE, "path=b/&prefix=x&delimiter=y").0, ["b/", "b/1", "b/2"]);
    }

    #[test]
    fn the_marker_is_left_out_even_when_it_is_a_directory() {
        assert_eq!(listed(&TREE, "marker=b0").0, ["d/1", "é"]);
        assert_eq!(listed(&TREE, "delimiter=/&marker=b/").0, ["b0", "<d/>", "é"]);
    }

    #[test]
    fn a_limit_that_is_no_positive_number_is_none() {
        for limit in ["0", "-1", "x", "", "99999"] {
            assert_eq!(listed(&TREE, &format!("limit={limit}")).0.len(), 8);
        }
        assert_eq!(listed(&TREE, "limit=2").0, ["a", "b/"]);
    }

    #[test]
    fn a_directory_costs_one_read_however_full() {
        let names: Vec<String> = (0..1_000).map(|n| format!("d/{n}")).chain(["e".to_owned()]).collect();
        assert_eq!(listed(&names, "delimiter=/"), (vec!["<d/>".to_owned(), "e".to_owned()], 2));
    }

    proptest! {
        #[test]
        fn paging_gives_every_row_once(
            names in prop::collection::btree_set("[ab/]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            limit in 1usize..5,
            delimiter in prop::option::of("[/b]"),
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let mut selection = Selection {
                prefix, delimiter, virtual_rows: true, marker: None, limit: ROWS,
            };
            let name = |row: &Row<()>| match row {
                Row::Name(name, ()) | Row::Directory(name) => name.clone(),
            };
            let whole = select(&mut source(&names), &selection, 1_000);
            // Taking it up in the middle changes nothing.
            prop_assert_eq!(&select(&mut source(&names), &selection, limit), &whole);
            selection.limit = limit;
            let mut paged = Vec::new();
            loop {
                let page = select(&mut source(&names), &selection, 1_000);
                let Some(last) = page.last() else { break };
                selection.marker = Some(name(last));
                paged.extend(page);
            }
            // An object that has a directory's name stands for the directory once it was the
            // marker, so names are compared.
            let names_of = |rows: &[Row<()>]| rows.iter().map(&name).collect::<BTreeSet<_>>();
            prop_assert_eq!(names_of(&paged), names_of(&whole));
        }

        #[test]
        fn past_is_after_all_that_starts_so_and_not_after_the_next(prefix in ".{0,4}", tail in ".{0,4}") {
            if let Some(next) = past(&prefix) {
                let longer = format!("{prefix}{tail}");
                prop_assert!(next > longer);
            }
        }
    }
}
