//! Values kept under byte prefixes, found by a key that begins with them.
//!
//! Finding costs at most one ordered lookup for each match and each byte of the key, however many
//! prefixes there are. Used by the watches and by the usage that quotas measure.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

/// An ordered map whose keys are prefixes.
#[derive(Debug)]
pub(super) struct PrefixMap<T>(BTreeMap<Bytes, T>);

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        PrefixMap(BTreeMap::new())
    }
}

impl<T> PrefixMap<T> {
    pub(super) fn get(&self, prefix: &[u8]) -> Option<&T> {
        self.0.get(prefix)
    }

    pub(super) fn get_mut(&mut self, prefix: &[u8]) -> Option<&mut T> {
        self.0.get_mut(prefix)
    }

    pub(super) fn insert(&mut self, prefix: Bytes, value: T) {
        self.0.insert(prefix, value);
    }

    pub(super) fn remove(&mut self, prefix: &[u8]) {
        self.0.remove(prefix);
    }

    pub(super) fn entry(&mut self, prefix: Bytes) -> &mut T
    where
        T: Default,
    {
        self.0.entry(prefix).or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &T)> {
        self.0.iter()
    }

    /// Visit every prefix that `key` begins with, longest first.
    ///
    /// Between a prefix of the key and the key itself in byte order, everything begins with that
    /// prefix. So when the nearest lower neighbour is no prefix, the next candidate is what the two
    /// have in common, and nothing in between is missed.
    pub(super) fn matches(&self, key: &[u8], mut visit: impl FnMut(&Bytes, &T)) {
        let mut bound = Bound::Included(key);
        while let Some((prefix, value)) = self.0.range::<[u8], _>((Bound::Unbounded, bound)).next_back() {
            let common = prefix.iter().zip(key).take_while(|(a, b)| a == b).count();
            let (rest, _) = key.split_at(common);
            if common == prefix.len() {
                visit(prefix, value);
                bound = Bound::Excluded(rest);
            } else {
                bound = Bound::Included(rest);
            }
        }
    }
}

/// The first key after all keys that begin with `prefix`; none if there is no such key.
pub(super) fn end(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=kept)?.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn matches_are_exactly_the_prefixes_longest_first(
            prefixes in prop::collection::btree_set(prop::collection::vec(0u8..3, 0..6), 0..40),
            key in prop::collection::vec(0u8..3, 0..8),
        ) {
            let mut map = PrefixMap::default();
            for prefix in &prefixes {
                map.insert(Bytes::from(prefix.clone()), ());
            }
            let mut found = Vec::new();
            map.matches(&key, |prefix, ()| found.push(prefix.to_vec()));
            let mut wanted: Vec<_> = prefixes.into_iter().filter(|p| key.starts_with(p)).collect();
            wanted.reverse();
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn end_parts_what_has_the_prefix_from_what_has_not(
            prefix in prop::collection::vec(253u8.., 0..4),
            key in prop::collection::vec(253u8.., 0..6),
        ) {
            let inside = key >= prefix && end(&prefix).is_none_or(|end| key.as_slice() < &end[..]);
            prop_assert_eq!(inside, key.starts_with(&prefix));
        }
    }
}
