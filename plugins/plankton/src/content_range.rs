//! `Content-Range` of a change to an object's data.
//!
//! Owns its grammar, and what it says together with the size of the object and the length of the data.
//! `bytes a-b/*` and `bytes a-/*` lay data over what is there from `a` on, `bytes a-b/total` does if
//! the object has that size and keeps it, `bytes */*` puts data at the end.

use crate::faults::{Fault, Kind};

/// Where data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentRange {
    /// After everything there is.
    Append,
    /// Over what is there.
    Over {
        /// The first byte.
        first: u64,
        /// The last byte, if said.
        last: Option<u64>,
        /// What the size has to be and to stay, if said.
        total: Option<u64>,
    },
}

impl ContentRange {
    /// Read the field; none if it is malformed.
    pub fn parse(text: &str) -> Option<ContentRange> {
        let number = |digits: &str| {
            (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
        };
        let (range, total) = text.trim().strip_prefix("bytes")?.trim_start_matches([' ', '=']).split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            digits => Some(number(digits)?),
        };
        let range = range.trim();
        if range == "*" {
            return total.is_none().then_some(ContentRange::Append);
        }
        let (first, last) = range.split_once('-')?;
        let first = number(first)?;
        let last = if last.is_empty() { None } else { Some(number(last)?) };
        // A length has to fit as well.
        let whole = last.is_none_or(|last| last >= first && last - first < u64::MAX);
        whole.then_some(ContentRange::Over { first, last, total })
    }

    /// The number of bytes it speaks of, if it says.
    pub fn length(self) -> Option<u64> {
        match self {
            ContentRange::Over { first, last: Some(last), .. } => Some(last - first + 1),
            _ => None,
        }
    }

    /// Where data of this length goes in an object of this size; none: at the end. 416 if that is
    /// beyond the end, or would change a size that is to stay.
    pub fn place(self, size: u64, length: u64) -> Result<Option<u64>, Fault> {
        let beyond = |message| Fault::new(Kind::RangeNotSatisfiable, message);
        match self {
            ContentRange::Append => Ok(None),
            ContentRange::Over { first, .. } if first > size => Err(beyond("Supplied offset is beyond object limits")),
            ContentRange::Over { first, total: Some(total), .. }
                if total != size || first.checked_add(length).is_none_or(|end| end > size) =>
            {
                Err(beyond("Supplied range will change provided object limits"))
            }
            ContentRange::Over { first, .. } => Ok(Some(first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn over(first: u64, last: Option<u64>, total: Option<u64>) -> Option<ContentRange> {
        Some(ContentRange::Over { first, last, total })
    }

    #[test]
    fn the_forms_that_clients_send() {
        for (text, expected) in [
            ("bytes */*", Some(ContentRange::Append)),
            ("bytes 0-2/*", over(0, Some(2), None)),
            ("bytes 5-/*", over(5, None, None)),
            ("bytes 5-9/10", over(5, Some(9), Some(10))),
            ("bytes=0-2/*", over(0, Some(2), None)),
        ] {
            assert_eq!(ContentRange::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn malformed_ones_are_told() {
        for text in [
            "",
            "bytes",
            "bytes 0-2",
            "bytes */5",
            "bytes 2-1/*",
            "bytes -2/*",
            "bytes a-b/*",
            "bytes 0-2/x",
            "0-2/*",
            "bytes 0-18446744073709551615/*",
            "bytes 0-99999999999999999999/*",
            "bytes +1-2/*",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_place_is_within_the_object_and_a_total_holds() {
        let place = |text: &str, size, length| {
            ContentRange::parse(text).unwrap().place(size, length).map_err(|fault| fault.status())
        };
        assert_eq!(place("bytes */*", 10, 3), Ok(None));
        assert_eq!(place("bytes 10-/*", 10, 3), Ok(Some(10)));
        assert_eq!(place("bytes 11-/*", 10, 3), Err(416));
        assert_eq!(place("bytes 4-6/10", 10, 3), Ok(Some(4)));
        assert_eq!(place("bytes 4-6/11", 10, 3), Err(416));
        assert_eq!(place("bytes 9-11/10", 10, 3), Err(416));
    }

    proptest! {
        #[test]
        fn any_text_reads_or_does_not(text in "(bytes)?[ =]?[0-9*\\-/ a]{0,40}", size in any::<u64>(), length in any::<u64>()) {
            if let Some(range) = ContentRange::parse(&text) {
                let _ = range.length();
                if let Ok(Some(at)) = range.place(size, length) {
                    prop_assert!(at <= size);
                }
            }
        }

        #[test]
        fn what_is_written_reads_back(first in 0u64..1 << 62, more in 0u64..1 << 62, total in prop::option::of(any::<u64>())) {
            let last = first + more;
            let size = total.map_or("*".to_owned(), |total| total.to_string());
            let range = ContentRange::parse(&format!("bytes {first}-{last}/{size}"));
            prop_assert_eq!(range, over(first, Some(last), total));
            prop_assert_eq!(range.unwrap().length(), Some(more + 1));
        }
    }
}
