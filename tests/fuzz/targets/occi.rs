//! What clients send to OCCI and CDMI: categories, links, attributes, whole messages, media types, documents, queries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use occi::cdmi::{fields::Fields, id, wish::Wish};
use occi::draft::Content;
use occi::media::{Rendering, choose};
use occi::images::listing;
use occi::text::{CategoryField, InText, LinkField, Message, attribute, scan};
use occi::{json, view::Names};

fuzz_target!(|input: (&str, Vec<(String, Vec<u8>)>, bool)| {
    let (text, fields, is_list) = input;
    assert!(scan::unquote(&scan::quote(text)).is_some());
    if let Ok(categories) = CategoryField::parse_list(text) {
        for category in categories {
            let again = CategoryField::parse_list(&category.to_string()).expect("what was rendered reads");
            assert_eq!(again.len(), 1);
        }
    }
    if let Ok(pairs) = attribute::parse_list(text) {
        for (name, value) in pairs {
            assert!(attribute::parse(&attribute::render(&name, &value)).is_ok());
        }
    }
    let _ = LinkField::parse_list(text);
    if let Ok(message) = Message::of_body(text.as_bytes()) {
        let _ = (message.to_headers(), Content::of_message(message));
    }
    let _ = Message::of_headers(fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
    let _ = (Rendering::of_content_type(text), choose(Some(text), is_list));
    let _ = (json::read::content(text.as_bytes()), json::read::update(text.as_bytes()));
    let _ = Names::at("http://host/cloud".to_owned()).resolve(text);
    let _ = json::row::Row::parse(text.as_bytes());
    if let Ok(page) = listing::Page::parse(text.as_bytes()) {
        let _ = page.images.into_iter().filter_map(|image| image.image(1 << 30)).count();
    }
    let _ = (Fields::parse(Some(text)), Wish::parse(text.as_bytes()), id::is_valid(text));
});
