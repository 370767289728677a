//! What clients send to Plankton: queries, header fields, locations, sharing, ranges, times.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plankton::conditions::{self, Current};
use plankton::headers::{Headers, Query, decode, encode_object};
use plankton::image::query::{Filters, Sort};
use plankton::listing::Selection;
use plankton::location::Location;
use plankton::merkle::root;
use plankton::sharing::Permissions;
use plankton::time::{Moment, parse_http};

fuzz_target!(|input: (&str, Vec<(String, Vec<u8>)>, u32)| {
    let (text, fields, size) = input;
    let query = Query::parse(Some(text));
    let _ = (Selection::from_query(&query), Filters::parse(&query), Sort::parse(&query));
    let _ = (Location::parse(Some(text)), parse_http(text));
    assert_eq!(decode(encode_object(text).as_bytes()).expect("what was encoded decodes"), text);
    if let Ok(permissions) = Permissions::parse(text) {
        let _ = permissions.principals();
    }
    let headers = Headers::fold(fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
    let _ = headers.prefixed("x-object-meta-");
    let current = Current::new(None, &root(&[]), Moment(1));
    let _ = conditions::before_read(&headers, &current);
    if let Ok(Some(ranges)) = conditions::ranges(&headers, size.into(), &current) {
        assert!(ranges.iter().all(|range| range.offset + range.length <= u64::from(size)));
    }
});
