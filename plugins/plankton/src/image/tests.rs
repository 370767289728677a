//! The registry's rules over objects made here.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::{
    Image, Metadata,
    fields::{Call, Given},
    members,
    query::{Filters, Sort},
};
use crate::{
    headers::{Headers, Query},
    object::{Blocks, Content, Object},
    sharing::Permissions,
    time::Moment,
};

fn object(name: &str, size: u64) -> Object {
    Object {
        account: "acc".into(),
        container: "my images".into(),
        container_id: "c".into(),
        name: "a/b.diskdump".into(),
        uuid: "9a2e10a2-3d2c-4fd4-8bd9-0d9a4b1f7a01".into(),
        version: 7,
        modified: Moment(1_362_141_001_000_000),
        modified_by: "acc".into(),
        content: Content {
            size,
            root: crate::merkle::hex(&crate::merkle::EMPTY),
            md5: None,
            map: String::new(),
            blocks: Blocks::Inline(Vec::new()),
        },
        content_type: "application/octet-stream".into(),
        presentation: BTreeMap::new(),
        meta: BTreeMap::new(),
        image: Some(Metadata {
            name: name.into(),
            disk_format: "diskdump".into(),
            container_format: "bare".into(),
            status: None,
            created: Moment(1_362_141_000_000_000),
            properties: BTreeMap::from([("root_partition".into(), "a b:~".into())]),
            ..Metadata::default()
        }),
        permissions: Permissions::parse("read=*").unwrap(),
        public: None,
        deleted: false,
    }
}

fn given(fields: &[(&str, &str)], call: Call) -> Result<Given, (u16, String)> {
    Given::read(&Headers::fold(fields.iter().map(|(n, v)| (*n, v.as_bytes()))), call)
        .map_err(|fault| (fault.status(), fault.message))
}

#[test]
fn the_header_table_refuses_what_it_says_by_call() {
    let refused = |fields: &[(&str, &str)], call| given(fields, call).is_err();
    let both = ["id", "created_at", "updated-at", "deleted-at", "is-snapshot", "description"];
    let register_only = ["location", "store", "size", "checksum"];
    for name in both {
        let fields = [("x-image-meta-name", "n"), (&*format!("X-Image-Meta-{name}"), "1")];
        assert!(refused(&fields, Call::Register), "{name}");
        assert!(refused(&fields, Call::Update), "{name}");
    }
    for name in register_only {
        let fields = [("x-image-meta-name", "n"), (&*format!("x-image-meta-{name}"), "pithos")];
        assert!(!refused(&fields, Call::Register), "{name}");
        assert!(refused(&fields, Call::Update), "{name}");
    }
    let status = [("x-image-meta-name", "n"), ("x-image-meta-status", "ERROR")];
    assert!(refused(&status, Call::Register));
    assert!(!refused(&status, Call::Update));
    assert!(!refused(
        &[("x-image-meta-name", "n"), ("x-image-meta-min-ram", "x"), ("x-image-meta-owner", "o")],
        Call::Register
    ));
}

#[test]
fn a_registration_needs_a_name() {
    assert_eq!(given(&[], Call::Register).unwrap_err().1, "Image 'name' parameter is required");
    assert_eq!(given(&[("x-image-meta-name", "")], Call::Register).unwrap_err().1, "Invalid image name");
    assert_eq!(given(&[], Call::Update).unwrap(), Given::default());
}

#[test]
fn formats_and_store_are_from_the_table() {
    for (name, value) in
        [("disk-format", "qcow2"), ("container-format", "docker"), ("store", "swift"), ("disk-format", "")]
    {
        let fields = [("x-image-meta-name", "n"), (&*format!("x-image-meta-{name}"), value)];
        assert_eq!(given(&fields, Call::Register).unwrap_err().0, 400, "{name}");
    }
}

#[test]
fn only_the_word_true_is_true() {
    for (word, truth) in [("True", true), ("TRUE", true), ("1", false), ("yes", false), ("", false)] {
        let read = given(&[("x-image-meta-is-public", word)], Call::Update).unwrap();
        assert_eq!(read.is_public, Some(truth), "{word}");
    }
}

#[test]
fn size_and_checksum_must_be_the_objects() {
    let read = |name: &str, value: &str| {
        given(&[("x-image-meta-name", "n"), (&*format!("x-image-meta-{name}"), value)], Call::Register).unwrap()
    };
    assert!(read("size", "12").agrees_with(12, "abc").is_ok());
    assert!(read("size", "13").agrees_with(12, "abc").is_err());
    assert!(read("size", "twelve").agrees_with(12, "abc").is_err());
    assert!(read("checksum", "abc").agrees_with(12, "abc").is_ok());
    assert!(read("checksum", "ABC").agrees_with(12, "abc").is_err());
}

#[test]
fn property_keys_are_folded_and_values_decoded() {
    let read = given(
        &[
            ("X-Image-Meta-Property-OS", "Debian%20Linux"),
            ("x-image-meta-property-Root_Partition", "1"),
            ("x-image-meta-property-kernel.version%3A", "3"),
        ],
        Call::Update,
    )
    .unwrap();
    let keys: Vec<&str> = read.properties.iter().map(|(k, _)| k.as_str()).collect();
    assert_eq!(keys, ["kernel_version_", "os", "root_partition"]);
    assert_eq!(read.properties[1].1, "Debian Linux");
}

#[test]
fn limits_count_characters_after_decoding() {
    let property = |key: usize, value: usize| {
        given(&[(&*format!("x-image-meta-property-{}", "k".repeat(key)), &*"%C3%A9".repeat(value))], Call::Update)
    };
    assert!(property(93, 256).is_ok());
    assert_eq!(property(94, 1).unwrap_err().1, "Metadata keys should be less than 111 characters");
    assert!(property(1, 257).is_err());
    let name = |n: usize| given(&[("x-image-meta-name", &*"n".repeat(n))], Call::Register);
    assert!(name(256).is_ok());
    assert!(name(257).is_err());
}

#[test]
fn a_domain_holds_28_properties_and_one_less_with_a_status() {
    let with = |count: usize, status: Option<&str>| {
        let mut read = Given { name: Some("n".into()), ..Given::default() };
        read.properties = (0..count).map(|n| (format!("k{n}"), "v".into())).collect();
        let metadata = Metadata::registered(&read, Moment(1))?;
        metadata.updated(&Given { status: status.map(str::to_owned), ..Given::default() })
    };
    assert!(with(28, None).is_ok());
    let fault = with(29, None).unwrap_err();
    assert!(fault.message.contains("cannot have more than 32 metadata items per domain"));
    assert!(with(28, Some("ERROR")).is_err());
    assert!(with(27, Some("ERROR")).is_ok());
}

#[test]
fn an_update_keeps_what_is_not_given_and_drops_empty_properties() {
    let object = object("n", 1);
    let before = object.image.as_ref().unwrap();
    assert_eq!(&before.updated(&Given::default()).unwrap(), before);
    let after = before
        .updated(&Given {
            disk_format: Some("extdump".into()),
            properties: vec![("root_partition".into(), String::new()), ("os".into(), "x".into())],
            ..Given::default()
        })
        .unwrap();
    assert_eq!(after.name, "n");
    assert_eq!(after.disk_format, "extdump");
    assert_eq!(after.properties, BTreeMap::from([("os".into(), "x".into())]));
}

#[test]
fn json_has_underscores_and_headers_have_dashes() {
    let object = object("Debian ☂", 761);
    let image = Image::of(&object).unwrap();
    assert_eq!(
        serde_json::to_value(image.detail()).unwrap(),
        json!({
            "id": "9a2e10a2-3d2c-4fd4-8bd9-0d9a4b1f7a01", "name": "Debian ☂",
            "status": "AVAILABLE", "disk_format": "diskdump", "container_format": "bare",
            "size": 761,
            "checksum": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "location": "pithos://acc/my%20images/a/b.diskdump",
            "created_at": "2013-03-01 12:30:00", "updated_at": "2013-03-01 12:30:01",
            "deleted_at": "", "is_public": true, "is_snapshot": false, "owner": "acc",
            "properties": {"root_partition": "a b:~"},
        })
    );
    assert_eq!(serde_json::to_value(image.brief()).unwrap().as_object().unwrap().len(), 6);
    let headers: BTreeMap<String, String> = image.headers().into_iter().collect();
    assert_eq!(headers["x-image-meta-name"], "Debian%20%E2%98%82");
    assert_eq!(headers["x-image-meta-is-public"], "True");
    assert_eq!(headers["x-image-meta-deleted-at"], "");
    assert_eq!(headers["x-image-meta-property-root-partition"], "a%20b%3A%7E");
}

#[test]
fn a_stored_status_is_verbatim_in_lists_and_mapped_in_headers() {
    for (stored, shown) in [
        ("foo", "UNKNOWN"),
        ("UNAVAILABLE", "SAVING"),
        ("available", "AVAILABLE"),
        ("ERROR", "ERROR"),
        ("DELETED", "UNKNOWN"),
    ] {
        let mut object = object("n", 1);
        object.image.as_mut().unwrap().status = Some(stored.into());
        let image = Image::of(&object).unwrap();
        assert_eq!(image.status(), stored);
        assert_eq!(image.shown_status(), shown);
    }
}

fn passes(object: &Object, query: &str) -> bool {
    Filters::parse(&Query::parse(Some(query))).unwrap().pass(&Image::of(object).unwrap())
}

#[test]
fn filters_compare_and_bounds_are_inclusive() {
    let object = object("Test img", 10);
    for (query, expected) in [
        ("", true),
        ("name=Test+img", true),
        ("name=Test%20img", true),
        ("name=Test%2520img", true),
        ("name=test+img", false),
        ("status=available", true),
        ("status=error", false),
        ("disk_format=diskdump&container_format=bare", true),
        ("container_format=ovf", false),
        ("size_min=10&size_max=10", true),
        ("size_min=11", false),
        ("size_max=9", false),
        ("size_min=-5", true),
        ("size_min=1000000000000000000000000000000000000000000000000", false),
        ("size_max=1000000000000000000000000000000000000000000000000", true),
        ("size_max=-1000000000000000000000000000000000000000000000000", false),
        ("colour=blue", true),
    ] {
        assert_eq!(passes(&object, query), expected, "{query}");
    }
}

#[test]
fn bad_sizes_and_sort_words_are_refused() {
    for query in ["size_min=", "size_max=x", "size_min=1.5", "size_min=-", "size_max=1_0"] {
        let fault = Filters::parse(&Query::parse(Some(query))).unwrap_err();
        assert_eq!(fault.message, "Malformed request.");
    }
    let sort = |query| Sort::parse(&Query::parse(Some(query))).map_err(|f| f.message);
    assert_eq!(sort("sort_key=owner").unwrap_err(), "Invalid 'sort_key'");
    assert_eq!(sort("sort_dir=up").unwrap_err(), "Invalid 'sort_dir'");
    assert_eq!(sort("").unwrap(), Sort::DEFAULT);
}

#[test]
fn sizes_sort_as_numbers_and_names_as_text() {
    let (small, large) = (object("b", 9), object("a", 10));
    let (small, large) = (Image::of(&small).unwrap(), Image::of(&large).unwrap());
    let compare = |query| {
        let sort = Sort::parse(&Query::parse(Some(query))).unwrap();
        sort.rank(&small).cmp(&sort.rank(&large))
    };
    assert!(compare("sort_key=size").is_lt());
    assert!(compare("sort_key=name").is_gt());
    assert!(compare("sort_key=id").is_eq());
}

#[test]
fn member_lists_are_refused_with_their_reasons() {
    let read = |kind: Option<&str>, body: &str| {
        let fields = kind.map(|kind| ("content-type", kind.as_bytes()));
        members::parse(&Headers::fold(fields), body.as_bytes()).map_err(|f| f.message)
    };
    let json = Some("application/json; charset=utf-8");
    for (kind, body, reason) in [
        (None, "{}", "Missing Content-Type header field"),
        (Some("text/plain"), "{}", "Unsupported Content-type: 'text/plain'"),
        (json, "{", "Could not decode request body as JSON"),
        (json, "{}", "Malformed request. Missing attribute 'memberships'."),
        (json, "[]", "Malformed request. Missing attribute 'memberships'."),
        (json, r#"{"memberships": 1}"#, "Malformed request. Invalid 'memberships' field"),
        (json, r#"{"memberships": [1]}"#, "Invalid 'memberships' field"),
        (json, r#"{"memberships": [{}]}"#, "Malformed request. Missing attribute 'member_id'."),
        (json, r#"{"memberships": [{"member_id": "a,b"}]}"#, "Invalid 'member_id' field"),
    ] {
        assert_eq!(read(kind, body).unwrap_err(), reason, "{body}");
    }
    assert_eq!(
        read(
            json,
            r#"{"memberships": [{"member_id": "u1", "can_share": true}, {"member_id": "*"}, {"member_id": "o:g"}]}"#
        )
        .unwrap(),
        ["u1", "o:g"]
    );
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(name in "[a-zA-Z_%0-9-]{0,20}", value in prop::collection::vec(any::<u8>(), 0..40)) {
        for prefix in ["x-image-meta-", "x-image-meta-property-"] {
            let field = format!("{prefix}{name}");
            let headers = Headers::fold([(field.as_str(), value.as_slice())]);
            for call in [Call::Register, Call::Update] {
                let _ = Given::read(&headers, call);
            }
        }
    }

    #[test]
    fn headers_can_always_be_sent(name in any::<String>(), key in any::<String>(), value in any::<String>()) {
        let mut object = object(&name, 1);
        object.image.as_mut().unwrap().properties.insert(key, value);
        for (name, value) in Image::of(&object).unwrap().headers() {
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.%".contains(&b)), "{}", name);
            prop_assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{}", value);
        }
    }

    #[test]
    fn any_body_is_a_member_list_or_refused(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let headers = Headers::fold([("content-type", b"application/json".as_slice())]);
        let _ = members::parse(&headers, &body);
    }

    #[test]
    fn printed_headers_read_back_as_the_same_update(name in ".{1,20}", value in ".{1,20}") {
        let mut object = object(&name, 1);
        object.image.as_mut().unwrap().properties = BTreeMap::from([("os".into(), value)]);
        let image = Image::of(&object).unwrap();
        let sent = image.headers();
        let wanted = ["name", "property-os", "disk-format", "container-format", "is-public"];
        let headers = Headers::fold(sent.iter().filter(|(n, _)| {
            n.strip_prefix("x-image-meta-").is_some_and(|n| wanted.contains(&n))
        }).map(|(n, v)| (n.as_str(), v.as_bytes())));
        let read = Given::read(&headers, Call::Update).unwrap();
        prop_assert_eq!(&image.metadata.updated(&read).unwrap(), image.metadata);
    }
}
