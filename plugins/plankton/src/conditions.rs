//! Conditional requests and byte ranges, by the object store's own reading of them.
//!
//! The host could apply `Range` and conditions itself; the object store's rules differ from the
//! general ones (any range that reaches past the end is a 416, several ranges give a multipart
//! answer, tags may be bare), so they are kept here. Nothing here touches bytes.

use crate::{
    faults::{Fault, Kind},
    headers::Headers,
    merkle::Hash,
    time::{Moment, parse_http},
};

/// Most ranges of one request that are honoured; a longer list is ignored like a malformed one.
const RANGES: usize = 64;

/// What conditions are compared with: the tags and the date of the object as it is.
#[derive(Debug, Clone)]
pub struct Current {
    /// Every text that counts as the object's tag: its MD5, its hash.
    pub tags: Vec<String>,
    /// When it was last changed.
    pub modified: Moment,
}

impl Current {
    /// From an object's MD5 (if known) and root.
    pub fn new(md5: Option<&str>, root: &Hash, modified: Moment) -> Current {
        let mut tags = vec![crate::merkle::hex(root)];
        tags.extend(md5.map(str::to_owned));
        Current { tags, modified }
    }

    /// Whether one of a comma list of tags, quoted or bare, weak or not, or `*`, is this one.
    fn matches(&self, list: &str) -> bool {
        list.trim() == "*"
            || list.split(',').any(|tag| {
                let tag = tag.trim();
                let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
                self.tags.iter().any(|known| known.eq_ignore_ascii_case(tag))
            })
    }
}

/// `If-Match` and `If-None-Match` before a write: 412 if they do not hold. `current` is none when
/// there is no such object.
pub fn before_write(headers: &Headers, current: Option<&Current>) -> Result<(), Fault> {
    if let Some(list) = headers.plain("if-match")? {
        match current {
            None => return Err(precondition("Resource does not exist")),
            Some(current) if !current.matches(list) => {
                return Err(precondition("Resource ETag does not match"));
            }
            Some(_) => {}
        }
    }
    if let (Some(list), Some(current)) = (headers.plain("if-none-match")?, current)
        && current.matches(list)
    {
        return Err(precondition("Resource exists or ETag matches"));
    }
    Ok(())
}

/// All four conditions before a read: 412 or 304 if they do not hold. Dates that are no dates are
/// ignored.
pub fn before_read(headers: &Headers, current: &Current) -> Result<(), Fault> {
    let modified = current.modified.seconds();
    let date = |name| headers.plain(name).map(|text| text.and_then(crate::time::parse_http));
    if let Some(list) = headers.plain("if-match")?
        && !current.matches(list)
    {
        return Err(precondition("Resource ETag does not match"));
    }
    if date("if-unmodified-since")?.is_some_and(|since| modified > since) {
        return Err(precondition("Resource has been modified"));
    }
    if headers.plain("if-none-match")?.is_some_and(|list| current.matches(list))
        || date("if-modified-since")?.is_some_and(|since| modified <= since)
    {
        return Err(Fault::new(Kind::NotModified, "Resource has not been modified"));
    }
    Ok(())
}

fn precondition(message: &str) -> Fault {
    Fault::new(Kind::PreconditionFailed, message)
}

/// One stretch of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// First byte.
    pub offset: u64,
    /// Number of bytes, at least one.
    pub length: u64,
}

/// The ranges asked for, as far as they count: none if there is no `Range`, it is malformed, or
/// `If-Range` names another state. A range outside the object is a 416.
pub fn ranges(headers: &Headers, size: u64, current: &Current) -> Result<Option<Vec<Stretch>>, Fault> {
    let Some(parsed) = headers.plain("range")?.and_then(parse_ranges) else {
        return Ok(None);
    };
    let mut stretches = Vec::with_capacity(parsed.len());
    for (first, last) in parsed {
        stretches.push(
            stretch(first, last, size)
                .ok_or_else(|| Fault::new(Kind::RangeNotSatisfiable, "Requested range exceeds object limits"))?,
        );
    }
    let unchanged = match headers.plain("if-range")? {
        None => true,
        Some(text) => match parse_http(text) {
            Some(date) => current.modified.seconds() == date,
            None => current.matches(text),
        },
    };
    Ok(unchanged.then_some(stretches))
}

/// `bytes=a-b`, `a-` and `-n`, several with commas; none if malformed.
fn parse_ranges(text: &str) -> Option<Vec<(Option<u64>, Option<u64>)>> {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    let list = text.strip_prefix("bytes=")?;
    let number = |digits: &str| {
        if digits.is_empty() {
            Some(None)
        } else if digits.bytes().all(|b| b.is_ascii_digit()) {
            // A number too long to hold is past every end.
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        } else {
            None
        }
    };
    let mut found = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        match (first, last) {
            (None, None) => return None,
            (Some(first), Some(last)) if first > last => return None,
            _ if found.len() == RANGES => return None,
            range => found.push(range),
        }
    }
    Some(found)
}

/// The bytes of one range; none if any of it is outside the object.
fn stretch(first: Option<u64>, last: Option<u64>, size: u64) -> Option<Stretch> {
    let (offset, length) = match (first, last) {
        (Some(first), Some(last)) => (first, last.checked_sub(first)?.checked_add(1)?),
        (Some(first), None) => (first, size.checked_sub(first)?),
        (None, Some(count)) => (size.checked_sub(count)?, count),
        (None, None) => return None,
    };
    (length > 0 && offset.checked_add(length)? <= size).then_some(Stretch { offset, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn current() -> Current {
        Current::new(Some("0cc175b9c0f1b6a831c399e269772661"), &crate::merkle::EMPTY, Moment(1_362_141_000_000_001))
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        Headers::fold(fields.iter().map(|(n, v)| (*n, v.as_bytes())))
    }

    fn asked(range: &str, size: u64) -> Result<Option<Vec<(u64, u64)>>, u16> {
        ranges(&headers(&[("Range", range)]), size, &current())
            .map(|found| found.map(|list| list.iter().map(|s| (s.offset, s.length)).collect()))
            .map_err(|fault| fault.status())
    }

    #[test]
    fn the_three_forms_and_several_at_once() {
        assert_eq!(asked("bytes=0-3", 10), Ok(Some(vec![(0, 4)])));
        assert_eq!(asked("bytes=4-", 10), Ok(Some(vec![(4, 6)])));
        assert_eq!(asked("bytes=-3", 10), Ok(Some(vec![(7, 3)])));
        assert_eq!(asked("bytes=0-0, 9-9", 10), Ok(Some(vec![(0, 1), (9, 1)])));
    }

    #[test]
    fn anything_past_the_end_is_416() {
        for range in ["bytes=0-10", "bytes=10-", "bytes=-11", "bytes=-0", "bytes=0-1,99-"] {
            assert_eq!(asked(range, 10), Err(416), "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Err(416));
        assert_eq!(asked("bytes=0-18446744073709551616", 10), Err(416));
    }

    #[test]
    fn malformed_ranges_are_ignored() {
        for range in ["0-3", "bytes=", "bytes=-", "bytes=3-1", "bytes=a-b", "bytes=1-2-3", "lines=0-1"] {
            assert_eq!(asked(range, 10), Ok(None), "{range}");
        }
    }

    #[test]
    fn if_range_takes_a_date_or_a_tag() {
        for (value, honoured) in [
            ("Fri, 01 Mar 2013 12:30:00 GMT", true),
            ("Fri, 01 Mar 2013 12:30:01 GMT", false),
            ("\"0cc175b9c0f1b6a831c399e269772661\"", true),
            ("other", false),
        ] {
            let h = headers(&[("Range", "bytes=0-3"), ("If-Range", value)]);
            let found = ranges(&h, 10, &current()).unwrap();
            assert_eq!(found.is_some(), honoured, "{value}");
        }
    }

    #[test]
    fn tags_are_taken_quoted_or_bare_and_by_either_hash() {
        let root = crate::merkle::hex(&crate::merkle::EMPTY);
        for tag in ["*", "\"0CC175b9c0f1b6a831c399e269772661\"", "x, W/\"0cc175b9c0f1b6a831c399e269772661\"", &root] {
            let none_match = headers(&[("If-None-Match", tag)]);
            assert_eq!(before_read(&none_match, &current()).unwrap_err().status(), 304, "{tag}");
            assert_eq!(before_write(&none_match, Some(&current())).unwrap_err().status(), 412);
            let matching = headers(&[("If-Match", tag)]);
            assert!(before_read(&matching, &current()).is_ok());
            assert!(before_write(&matching, Some(&current())).is_ok());
            assert_eq!(before_write(&matching, None).unwrap_err().status(), 412);
        }
        let other = headers(&[("If-Match", "x")]);
        assert_eq!(before_read(&other, &current()).unwrap_err().status(), 412);
        assert!(before_write(&headers(&[("If-None-Match", "*")]), None).is_ok());
    }

    #[test]
    fn dates_compare_by_the_second() {
        for (name, date, status) in [
            ("If-Modified-Since", "Fri, 01 Mar 2013 12:30:00 GMT", Some(304)),
            ("If-Modified-Since", "Fri, 01 Mar 2013 12:29:59 GMT", None),
            ("If-Unmodified-Since", "Fri, 01 Mar 2013 12:29:59 GMT", Some(412)),
            ("If-Unmodified-Since", "Fri, 01 Mar 2013 12:30:00 GMT", None),
            ("If-Modified-Since", "soon", None),
        ] {
            let got = before_read(&headers(&[(name, date)]), &current());
            assert_eq!(got.err().map(|f| f.status()), status, "{name}: {date}");
        }
    }

    proptest! {
        #[test]
        fn a_range_never_leaves_the_object(text in "(bytes=)?[0-9,\\- a]{0,24}", size in 0u64..50) {
            if let Ok(Some(found)) = ranges(&headers(&[("range", &text)]), size, &current()) {
                prop_assert!(!found.is_empty());
                for s in found {
                    prop_assert!(s.length > 0 && s.offset + s.length <= size);
                }
            }
        }

        #[test]
        fn any_condition_is_taken(text in any::<String>()) {
            let h = headers(&[("if-match", &text), ("if-none-match", &text), ("if-modified-since", &text), ("range", &text), ("if-range", &text)]);
            let _ = before_read(&h, &current());
            let _ = before_write(&h, Some(&current()));
            let _ = ranges(&h, 5, &current());
        }
    }
}
