//! Glance's rules over headers, queries and bodies made here.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    View, changes,
    fields::{self, Given},
    members,
    query::{Filters, Page},
};
use crate::{
    headers::{Headers, Query},
    image::{Image, Metadata, Reserved, query::SortKey},
    object::{Content, Object},
    sharing::Permissions,
    time::Moment,
};

fn object(metadata: Metadata, size: u64) -> Object {
    Object {
        account: "acc".into(),
        container: "glance".into(),
        container_id: "c".into(),
        name: "n".into(),
        uuid: "9a2e10a2-3d2c-4fd4-8bd9-0d9a4b1f7a01".into(),
        version: 7,
        modified: Moment(1_362_141_001_000_000),
        modified_by: "acc".into(),
        content: Content { size, ..Content::empty() },
        content_type: "application/octet-stream".into(),
        presentation: BTreeMap::new(),
        meta: BTreeMap::new(),
        image: Some(metadata),
        public: None,
        permissions: Permissions::default(),
        deleted: false,
    }
}

fn metadata(name: &str) -> Metadata {
    Metadata {
        name: name.into(),
        disk_format: "raw".into(),
        container_format: "bare".into(),
        created: Moment(1_362_141_000_000_001),
        ..Metadata::default()
    }
}

fn given(fields: &[(&str, &str)]) -> Result<Given, (u16, String)> {
    Given::read(&Headers::fold(fields.iter().map(|(n, v)| (*n, v.as_bytes()))))
        .map_err(|fault| (fault.status(), fault.message))
}

#[test]
fn both_spellings_are_read_and_values_decoded() {
    for name in ["x-image-meta-disk_format", "X-Image-Meta-Disk-Format"] {
        assert_eq!(given(&[(name, "qcow2")]).unwrap().disk_format.as_deref(), Some("qcow2"));
    }
    let read = given(&[
        ("x-image-meta-name", "Deb%20%E2%98%82"),
        ("x-image-meta-is_public", "None"),
        ("x-image-meta-protected", "True"),
        ("x-image-meta-min_ram", "256"),
        ("x-image-meta-property-Kernel-Version", "a%3Ab"),
        ("x-image-meta-property-empty", ""),
        ("x-image-meta-owner", "someone"),
        ("x-image-meta-deleted", "False"),
        ("x-image-meta-checksum", "D41D8CD98F00B204E9800998ECF8427E"),
    ])
    .unwrap();
    assert_eq!(read.name.as_deref(), Some("Deb ☂"));
    assert_eq!((read.is_public, read.protected, read.min_ram), (Some(false), Some(true), Some(256)));
    assert_eq!(read.properties["kernel_version"], "a:b");
    assert_eq!(read.properties["empty"], "");
    assert_eq!(read.checksum.as_deref(), Some("d41d8cd98f00b204e9800998ecf8427e"));
    assert_eq!(given(&[("x-image-meta-name", "raw ☂ 100%")]).unwrap().name.as_deref(), Some("raw ☂ 100%"));
}

#[test]
fn what_is_not_known_or_no_value_is_refused() {
    for (name, value) in [
        ("x-image-meta-colour", "blue"),
        ("x-image-meta-disk_format", "diskdump"),
        ("x-image-meta-container_format", ""),
        ("x-image-meta-store", "swift"),
        ("x-image-meta-min_disk", "-1"),
        ("x-image-meta-min_ram", ""),
        ("x-image-meta-size", "12.5"),
        ("x-image-meta-name", "%ff"),
        ("x-image-meta-name", &*"n".repeat(256)),
        ("x-image-meta-property-", "x"),
        ("x-image-meta-location", "http://example.org/x"),
        ("x-image-meta-copy_from", "http://example.org/x"),
        ("x-glance-api-copy-from", "http://example.org/x"),
    ] {
        assert_eq!(given(&[(name, value)]).unwrap_err().0, 400, "{name}");
    }
    let many: Vec<(String, String)> =
        (0..129).map(|n| (format!("x-image-meta-property-p{n}"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(given(&many).unwrap_err().0, 413);
    assert!(given(&many[1..]).is_ok());
}

#[test]
fn properties_go_unless_said_otherwise() {
    for (word, purge) in [("false", false), ("False", false), ("0", false), ("true", true), ("", true)] {
        assert_eq!(given(&[("x-glance-registry-purge-props", word)]).unwrap().purge, purge, "{word}");
    }
    let mut before = metadata("n");
    before.properties.insert("a".into(), "1".into());
    let read = given(&[("x-image-meta-property-b", "2")]).unwrap();
    let keys = |keep| changes::changed(&before, &read, keep).unwrap().properties.into_keys().collect::<Vec<_>>();
    assert_eq!(keys(true), ["a", "b"]);
    assert_eq!(keys(false), ["b"]);
}

#[test]
fn paired_formats_stand_for_each_other_and_do_not_mix() {
    let made = |disk: Option<&str>, container: Option<&str>| {
        let given = Given {
            disk_format: disk.map(str::to_owned),
            container_format: container.map(str::to_owned),
            ..Given::default()
        };
        changes::made(&given, Moment(1)).map(|made| (made.disk_format, made.container_format)).map_err(|f| f.status())
    };
    let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
    assert_eq!(made(Some("aki"), None), pair("aki", "aki"));
    assert_eq!(made(None, Some("ami")), pair("ami", "ami"));
    assert_eq!(made(Some("ari"), Some("ari")), pair("ari", "ari"));
    assert_eq!(made(Some("raw"), Some("ami")), Err(400));
    assert_eq!(made(Some("aki"), Some("ari")), Err(400));
    assert_eq!(made(Some("raw"), None), pair("raw", ""));
    // An image that came another way may have any mix as long as nobody touches it here.
    let mixed = Metadata { disk_format: "diskdump".into(), container_format: "ami".into(), ..metadata("n") };
    assert!(changes::changed(&mixed, &Given::default(), true).is_ok());
    assert_eq!(changes::activable(&Metadata::default()).unwrap_err().status(), 400);
}

#[test]
fn lists_and_headers_show_an_image_in_this_form() {
    let mut shown = metadata("Deb ☂\n");
    shown.properties.insert("os.distro x".into(), "a b:~".into());
    let object = object(shown, 5);
    let view = View(Image::of(&object).unwrap());
    let detail = serde_json::to_value(view.detail()).unwrap();
    assert_eq!(
        detail,
        serde_json::json!({
            "id": "9a2e10a2-3d2c-4fd4-8bd9-0d9a4b1f7a01", "name": "Deb ☂\n", "size": 5, "status": "active",
            "disk_format": "raw", "container_format": "bare", "checksum": "d41d8cd98f00b204e9800998ecf8427e",
            "is_public": false, "protected": false, "min_ram": 0, "min_disk": 0, "owner": "acc",
            "created_at": "2013-03-01T12:30:00.000001", "updated_at": "2013-03-01T12:30:01.000000",
            "deleted_at": null, "deleted": false, "properties": {"os.distro x": "a b:~"},
        })
    );
    let brief = serde_json::to_value(view.brief()).unwrap();
    assert_eq!(brief.as_object().unwrap().len(), 6);
    let headers: BTreeMap<String, String> = view.headers().into_iter().collect();
    assert_eq!(headers["x-image-meta-name"], "Deb ☂%0A");
    assert_eq!(headers["x-image-meta-is_public"], "False");
    assert_eq!(headers["x-image-meta-property-os.distro%20x"], "a b:~");
    assert!(!headers.contains_key("x-image-meta-location"));
}

#[test]
fn a_reserved_image_is_queued_until_it_has_bytes() {
    let mut reserved = metadata("");
    reserved.reserved = Some(Reserved { size: Some(9), checksum: None });
    let empty = object(reserved.clone(), 0);
    let view = View(Image::of(&empty).unwrap());
    assert_eq!((view.status(), view.size(), view.checksum()), ("queued", 9, None));
    assert_eq!(view.0.status(), "UNAVAILABLE");
    let filled = object(reserved, 3);
    let view = View(Image::of(&filled).unwrap());
    assert_eq!((view.status(), view.size()), ("active", 3));
    for (stored, shown) in [("unavailable", "saving"), ("ERROR", "killed"), ("whatever", "active")] {
        let object = object(Metadata { status: Some(stored.into()), ..metadata("n") }, 1);
        assert_eq!(View(Image::of(&object).unwrap()).status(), shown);
    }
}

fn passes(query: &str) -> Result<bool, u16> {
    let mut shown = metadata("Test img");
    shown.min_ram = 64;
    shown.properties.insert("os".into(), "x y".into());
    let object = object(shown, 10);
    let filters = Filters::parse(&Query::parse(Some(query))).map_err(|fault| fault.status())?;
    Ok(filters.pass(&Image::of(&object).unwrap()))
}

#[test]
fn filters_compare_and_refuse_bad_values() {
    for (query, expected) in [
        ("", true),
        ("name=Test+img&status=active&disk_format=raw&container_format=bare", true),
        ("name=Test%2520img", false),
        ("status=queued", false),
        ("size_min=10&size_max=10", true),
        ("size_min=11", false),
        ("min_ram=64&min_disk=0", true),
        ("min_ram=65", false),
        ("is_public=False", true),
        ("is_public=True", false),
        ("is_public=None", true),
        ("protected=false", true),
        ("protected=1", false),
        ("property-os=x+y", true),
        ("property-OS=x+y&property-no=1", false),
        ("changes-since=2013-03-01T12:30:00", true),
        ("changes-since=2013-03-01T12:30:01", false),
        ("changes-since=2013-03-01T14:30:00%2B02:00", true),
        ("colour=blue", true),
    ] {
        assert_eq!(passes(query), Ok(expected), "{query}");
    }
    for query in ["size_min=x", "size_max=", "min_ram=-1", "is_public=maybe", "protected=none", "changes-since=soon"] {
        assert_eq!(passes(query), Err(400), "{query}");
    }
}

#[test]
fn pages_have_limits_markers_and_an_order() {
    let page = |query| Page::parse(&Query::parse(Some(query))).map_err(|fault| fault.status());
    let first = page("").unwrap();
    assert_eq!((first.limit, first.marker, first.sort.key), (25, None, SortKey::CreatedAt));
    assert!(first.sort.descending);
    assert_eq!(page("limit=5000").unwrap().limit, 1000);
    assert_eq!(page("limit=0").unwrap().limit, 0);
    for bad in ["limit=-1", "limit=x", "limit=", "marker=x", "marker=", "sort_key=owner", "sort_dir=up"] {
        assert_eq!(page(bad), Err(400), "{bad}");
    }
}

#[test]
fn member_bodies() {
    let list = |body: &str| members::list(body.as_bytes()).map_err(|fault| fault.status());
    assert_eq!(
        list(r#"{"memberships": [{"member_id": "u1", "can_share": true}, {"member_id": "u2"}]}"#),
        Ok(vec![("u1".to_owned(), Some(true)), ("u2".to_owned(), None)])
    );
    for bad in [
        "",
        "[]",
        r#"{"memberships": 1}"#,
        r#"{"memberships": [{}]}"#,
        r#"{"memberships": [{"member_id": "*"}]}"#,
        r#"{"memberships": [{"member_id": "u", "can_share": "yes"}]}"#,
    ] {
        assert_eq!(list(bad), Err(400), "{bad}");
    }
    let one = |body: &str| members::one(body.as_bytes()).map_err(|fault| fault.status());
    assert_eq!(one(""), Ok(None));
    assert_eq!(one(r#"{"member": {"can_share": false}}"#), Ok(Some(false)));
    assert_eq!(one(r#"{"member": {}}"#), Ok(None));
    assert_eq!(one(r#"{"can_share": true}"#), Err(400));
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(
        fields in prop::collection::vec(
            ("[a-zA-Z_%0-9-]{0,16}", prop::collection::vec(any::<u8>(), 0..24), any::<bool>()), 0..6)
    ) {
        let fields: Vec<(String, Vec<u8>)> = fields
            .into_iter()
            .map(|(name, value, property)| (format!("x-image-meta-{}{name}", if property { "property-" } else { "" }), value))
            .collect();
        let headers = Headers::fold(fields.iter().map(|(n, v)| (n.as_str(), v.as_slice())));
        if let Err(fault) = Given::read(&headers) {
            prop_assert!(matches!(fault.status(), 400 | 413));
        }
    }

    #[test]
    fn case_dash_and_underscore_do_not_matter(
        name in prop::sample::select(vec!["disk_format", "is_public", "min_ram", "container_format"]),
        upper in prop::collection::vec(any::<bool>(), 40),
        dashes: bool,
    ) {
        let value = match name { "disk_format" => "iso", "container_format" => "ovf", "min_ram" => "7", _ => "true" };
        let mixed: String = format!("x-image-meta-{name}")
            .chars()
            .zip(upper)
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c })
            .map(|c| if c == '_' && dashes { '-' } else { c })
            .collect();
        let plain = given(&[(&format!("x-image-meta-{name}"), value)]).unwrap();
        prop_assert_eq!(given(&[(&mixed, value)]).unwrap(), plain);
    }

    #[test]
    fn any_query_is_read_or_refused(raw in "[a-z_-]{0,14}=.{0,12}(&property-.{0,4}=.{0,4})?") {
        let query = Query::parse(Some(&raw));
        let _ = Filters::parse(&query);
        let _ = Page::parse(&query);
    }

    #[test]
    fn headers_can_always_be_sent(name in any::<String>(), key in any::<String>(), value in any::<String>()) {
        let mut shown = metadata(&name);
        if let Ok(key) = fields::property_key(&key) {
            shown.properties.insert(key, value);
        }
        let object = object(shown, 1);
        for (name, value) in View(Image::of(&object).unwrap()).headers() {
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)), "{}", name);
            prop_assert!(!value.bytes().any(|b| b != b'\t' && b.is_ascii_control()));
        }
    }

    #[test]
    fn any_body_is_a_member_list_or_refused(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = members::list(&body);
        let _ = members::one(&body);
    }
}
