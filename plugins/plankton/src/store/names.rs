//! A stream of names in byte order out of a space of keys, long names included.

use std::collections::VecDeque;

use super::{db, keys};
use crate::{faults::Fault, listing::Names};

/// Keys read at once. Listings seek past virtual directories, so reading far ahead is waste.
const AHEAD: u32 = 64;

/// Reads `CLASS/SPACE/…` and goes down where a marker says so. Names come whole, with their values.
#[derive(Debug)]
pub struct Stream {
    class: char,
    space: String,
    /// The space being read is last.
    levels: Vec<Level>,
}

/// One space on the way down.
#[derive(Debug)]
struct Level {
    space: String,
    /// What all names in the space start with.
    lead: String,
    /// Where the next read starts, below the space; none: all was read.
    from: Option<String>,
    read: VecDeque<(String, Vec<u8>)>,
}

impl Level {
    fn new(space: String, lead: String, from: String) -> Level {
        Level { space, lead, from: Some(from), read: VecDeque::new() }
    }

    fn next(&mut self, class: char) -> Result<Option<(String, Vec<u8>)>, Fault> {
        if self.read.is_empty()
            && let Some(from) = self.from.take()
        {
            let prefix = format!("{class}/{}/", self.space);
            let page = db::scan(&format!("{prefix}{from}"), &keys::end_of(&prefix), AHEAD, false)?;
            for entry in page.entries {
                if let Some(rest) = entry.key.strip_prefix(&prefix) {
                    self.read.push_back((rest.to_owned(), entry.value));
                }
            }
            if page.more {
                self.from = self.read.back().map(|(last, _)| format!("{last}\0"));
            }
        }
        Ok(self.read.pop_front())
    }
}

impl Stream {
    /// All names of a space of this class (`c` containers, `o` objects).
    pub fn new(class: char, space: &str) -> Stream {
        Stream {
            class,
            space: space.to_owned(),
            levels: vec![Level::new(space.to_owned(), String::new(), String::new())],
        }
    }
}

impl Names for Stream {
    type Item = Vec<u8>;
    type Error = Fault;

    fn next(&mut self) -> Result<Option<(String, Vec<u8>)>, Fault> {
        while let Some(level) = self.levels.last_mut() {
            match level.next(self.class)? {
                None => {
                    self.levels.pop();
                }
                Some((rest, value)) => match rest.strip_suffix('\0') {
                    None => return Ok(Some((format!("{}{rest}", level.lead), value))),
                    Some(head) => {
                        let below =
                            Level::new(keys::below(&level.space, head), format!("{}{head}", level.lead), String::new());
                        self.levels.push(below);
                    }
                },
            }
        }
        Ok(None)
    }

    fn seek(&mut self, from: &str) -> Result<(), Fault> {
        self.levels.clear();
        let (mut space, mut lead, mut rest) = (self.space.clone(), String::new(), from);
        while let Some((head, tail)) = keys::split_segment(rest) {
            // The level itself goes on after the marker that leads down.
            self.levels.push(Level::new(space.clone(), lead.clone(), format!("{head}\0\0")));
            space = keys::below(&space, head);
            lead.push_str(head);
            rest = tail;
        }
        self.levels.push(Level::new(space, lead, rest.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use plugbay_sdk::testing::Host;
    use proptest::prelude::*;

    use super::*;
    use crate::listing::{Next, Row, Rows, Selection};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_stream_gives_all_names_in_byte_order_from_any_point(
            names in prop::collection::btree_set("[ab]{0,2}(a{238}|)(b{240}|)[ab\u{10ffff}]{1,3}", 1..20),
            from in "[ab]{0,2}(a{238}|)(b{240}|)[ab]{0,3}",
        ) {
            let host = Host::new();
            host.install();
            for name in &names {
                let slot = keys::Slot::of("s", name);
                host.put(&slot.head(), name.as_bytes());
                for marker in slot.markers {
                    host.put(&format!("o/{marker}"), "");
                }
            }
            let selection = Selection {
                prefix: String::new(),
                delimiter: None,
                virtual_rows: true,
                marker: Some(from.clone()),
                limit: 100,
            };
            let mut rows = Rows::new(Stream::new('o', "s"), &selection);
            let mut found = Vec::new();
            while let Next::Row(Row::Name(name, _)) = rows
                .next(|name, value| Ok(name.as_bytes() == value.as_slice()))
                .map_err(|fault| TestCaseError::fail(fault.to_string()))?
            {
                found.push(name);
                // Taken up again at every name.
                let Some(position) = rows.position().map(str::to_owned) else { break };
                rows = Rows::resume(Stream::new('o', "s"), &selection, position, found.len());
            }
            let expected: Vec<String> = names.into_iter().filter(|name| *name > from).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
