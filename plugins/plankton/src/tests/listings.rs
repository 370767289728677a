//! What listings select, and how they are written.

use plugbay_sdk::testing::TestAnswer;
use serde_json::{Value, json};

use super::{ANN, BEN, CID, Service, fault};

impl Service {
    fn list(&self, user: &str, target: &str) -> TestAnswer {
        self.objects(user, "GET", &format!("/{ANN}{target}")).send()
    }

    /// Lines of a text listing; none for 204.
    fn names(&self, user: &str, target: &str) -> Vec<String> {
        let answer = self.list(user, target);
        assert!(matches!(answer.status, 200 | 204), "{target}: {} {}", answer.status, answer.text());
        answer.text().lines().map(str::to_owned).collect()
    }

    fn change(&self, target: &str, fields: &[(&str, &str)]) {
        let mut request = self.objects(ANN, "POST", &format!("/{ANN}{target}?update"));
        for (name, value) in fields {
            request = request.header(name, *value);
        }
        request.send().expect(202);
    }

    /// An empty object in `c` of this type.
    pub(super) fn put_type(&self, name: &str, kind: &str) {
        self.objects(ANN, "PUT", &format!("/{ANN}/c/{name}"))
            .header("content-type", kind)
            .header("content-length", "0")
            .send()
            .expect(201);
    }
}

#[test]
fn an_owner_lists_what_is_shared_and_what_is_published_or_either() {
    let service = Service::with_container();
    service.objects(ANN, "PUT", &format!("/{ANN}/plain")).send().expect(201);
    for name in ["a", "b", "c", "d/x"] {
        service.put(name, "x");
    }
    service.put_type("d", "application/directory");
    service.change("/c/a", &[("x-object-sharing", "read=*")]);
    service.change("/c/b", &[("x-object-public", "true")]);
    service.change("/c/d", &[("x-object-sharing", &format!("read={BEN}"))]);
    // What inherits permissions is shared too.
    assert_eq!(service.names(ANN, "/c?shared"), ["a", "d", "d/x"]);
    assert_eq!(service.names(ANN, "/c?public"), ["b"]);
    assert_eq!(service.names(ANN, "/c?shared&public"), ["a", "b", "d", "d/x"]);
    assert_eq!(service.names(ANN, "?shared"), ["c"]);
    assert_eq!(service.names(ANN, "?public"), ["c"]);
    assert_eq!(service.names(ANN, ""), ["c", "plain"]);
    // Others see what they may read; what is published is in no listing of theirs.
    assert_eq!(service.names(BEN, "/c"), ["a", "d", "d/x"]);
    assert_eq!(service.names(CID, "/c?shared"), ["a"]);
    fault(&service.list(BEN, "/c?public"), 403, "forbidden");
    fault(&service.list(BEN, "?public"), 403, "forbidden");
    service.change("/c/b", &[("x-object-public", "")]);
    assert!(service.names(ANN, "?public").is_empty());
}

#[test]
fn metadata_selects_objects_before_they_fold_into_directories() {
    let service = Service::with_container();
    for (name, color) in [("a", "blue"), ("b", "red"), ("d/1", "blue"), ("d/2", "red"), ("e/1", "red")] {
        service.put(name, "x");
        service.change(&format!("/c/{name}"), &[("x-object-meta-color", color)]);
    }
    service.put("z", "x");
    assert_eq!(service.names(ANN, "/c?meta=color"), ["a", "b", "d/1", "d/2", "e/1"]);
    assert_eq!(service.names(ANN, "/c?meta=!color"), ["z"]);
    assert_eq!(service.names(ANN, "/c?meta=COLOR%3Dblue"), ["a", "d/1"]);
    assert_eq!(service.names(ANN, "/c?meta=color%3Dblue&delimiter=/"), ["a", "d/"]);
    assert_eq!(service.names(ANN, "/c?meta=color%3Dred&limit=1&marker=b"), ["d/2"]);
}

#[test]
fn the_past_is_listed_as_it_was() {
    let service = Service::with_container();
    let container = service.app.host().keys().into_iter().find(|key| key.starts_with("c/")).unwrap();
    let mut record: Value = service.app.host().get_json(&container).unwrap();
    record["created"] = 1.into();
    service.app.host().put_json(&container, &record);
    let long = "n".repeat(300);
    for name in ["changed", "gone", &long, "new", "stays"] {
        service.put(name, "x");
    }
    service.put("changed", "xyz");
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/gone")).send().expect(204);
    service.objects(ANN, "DELETE", &format!("/{ANN}/c/{long}")).send().expect(204);
    // Everything but the last change of each was a day and more ago.
    let ago = |days: u64| crate::time::Moment::now().0 - days * 86_400_000_000;
    for key in service.app.host().keys() {
        if (!key.starts_with("h/") && !key.starts_with("o/")) || key.ends_with('\0') {
            continue;
        }
        let Some(mut object) = service.app.host().get_json::<Value>(&key) else { continue };
        let then =
            match (object["name"].as_str().unwrap(), object["deleted"].as_bool(), object["content"]["size"].as_u64()) {
                ("stays", ..) | ("changed", _, Some(1)) | ("gone", None, _) => ago(2),
                (name, None, _) if name.starts_with("nn") => ago(2),
                _ => continue,
            };
        object["version"] = then.into();
        object["modified"] = then.into();
        if let Some((history, _)) = key.strip_prefix("h/").and_then(|_| key.rsplit_once('/')) {
            service.app.host().delete(&key);
            service.app.host().put_json(&format!("{history}/{then:020}"), &object);
        } else {
            service.app.host().put_json(&key, &object);
        }
    }
    let yesterday = ago(1) / 1_000_000;
    let then = format!("/c?until={yesterday}");
    assert_eq!(service.names(ANN, &then), ["changed", "gone", &long, "stays"]);
    assert_eq!(service.names(ANN, &format!("{then}&limit=2&marker=changed")), ["gone", &long]);
    let rows: Vec<Value> = service.list(ANN, &format!("{then}&format=json")).json();
    assert_eq!(rows[0]["bytes"], 1);
    for now in ["/c", "/c?until=1795223008.83", "/c?until=", "/c?until=99999999999"] {
        assert_eq!(service.names(ANN, now), ["changed", "new", "stays"], "{now}");
    }
    assert!(service.names(ANN, &format!("/c?until={}", ago(3) / 1_000_000)).is_empty());
    fault(&service.list(ANN, "/c?until=0"), 404, "itemNotFound");
    assert_eq!(service.names(ANN, &format!("?until={yesterday}")), ["c"]);
    assert!(service.names(ANN, "?until=0").is_empty());
    service.change("/c/stays", &[("x-object-sharing", "read=*")]);
    fault(&service.list(BEN, &then), 403, "forbidden");
}

#[test]
fn the_three_listings_as_xml() {
    let service = Service::with_container();
    service.put("d/%3Ca%26%22", "x");
    service.put("e", "12");
    service.change("/c/e", &[("x-object-sharing", "read=*")]);
    let xml = |user: &str, target: &str| {
        let answer = service.objects(user, "GET", target).send().expect(200);
        assert_eq!(answer.header("content-type"), Some("application/xml; charset=UTF-8"));
        answer.text().to_owned()
    };
    let container = xml(ANN, &format!("/{ANN}/c?format=xml&delimiter=/"));
    assert!(container.starts_with(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<container name=\"c\"><subdir name=\"d/\"><name>d/</name></subdir>\
         <object><name>e</name>"
    ));
    assert!(container.contains("<bytes>2</bytes>") && container.ends_with("</object></container>"));
    assert!(xml(ANN, &format!("/{ANN}/c?format=xml")).contains("<name>d/&lt;a&amp;&quot;</name>"));
    let account = xml(ANN, &format!("/{ANN}?format=xml"));
    assert!(account.contains(&format!("<account name=\"{ANN}\"><container><name>c</name>")));
    assert!(account.contains("<x_container_policy><key>project</key>"));
    let top = xml(BEN, "/?format=xml");
    assert!(top.contains(&format!("<accounts><account><name>{ANN}</name><last_modified>")));
    assert!(xml(CID, &format!("/{CID}?format=xml")).ends_with(&format!("<account name=\"{CID}\"></account>")));
    let accept = service.objects(ANN, "GET", &format!("/{ANN}/c")).header("accept", "text/xml").send();
    assert!(accept.text().contains("<container name=\"c\">"));
}

#[test]
fn an_empty_listing_is_204_as_text_and_empty_as_json() {
    let service = Service::with_container();
    assert_eq!(service.list(ANN, "/c?meta=none").status, 204);
    assert_eq!(service.list(ANN, "/c?meta=none&format=json").expect(200).json::<Value>(), json!([]));
    assert_eq!(service.objects(CID, "GET", "/").send().status, 204);
    assert_eq!(service.objects(CID, "GET", "/?format=json").send().expect(200).json::<Value>(), json!([]));
    fault(&service.list(ANN, "/none?format=json"), 404, "itemNotFound");
}

#[test]
fn a_listing_of_more_than_a_part_is_whole_and_in_order() {
    let service = Service::with_container();
    service.put("o", "x");
    // As many heads as if they had been written one by one.
    let key = service.app.host().keys().into_iter().find(|key| key.starts_with("o/")).unwrap();
    let mut object: Value = service.app.host().get_json(&key).unwrap();
    service.app.host().delete(&key);
    let space = key.strip_suffix("/o").unwrap();
    let names: Vec<String> = (0..10_050).map(|n| format!("{n:05}")).collect();
    for name in &names {
        object["name"] = name.as_str().into();
        object["meta"] = if name == "10049" { json!({ "Last": "1" }) } else { json!({}) };
        service.app.host().put_json(&format!("{space}/{name}"), &object);
    }
    let rows: Vec<Value> = service.list(ANN, "/c?format=json").expect(200).json();
    let listed: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(listed, &names[..10_000]);
    assert_eq!(service.names(ANN, "/c?marker=09998"), &names[9_999..]);
    assert_eq!(service.names(ANN, "/c"), &names[..10_000]);
    let xml = service.list(ANN, "/c?format=xml").expect(200);
    assert_eq!(xml.text().matches("<object>").count(), 10_000);
    assert!(xml.text().ends_with("</container>"));
    // The only row is far behind what one step looks at, and the status is still right.
    assert_eq!(service.names(ANN, "/c?meta=last"), ["10049"]);
    assert_eq!(service.list(ANN, "/c?meta=none").status, 204);
}

#[test]
fn a_prefix_encoded_twice_is_understood_unless_something_starts_so() {
    let service = Service::with_container();
    service.put("a%20b/1", "x");
    assert_eq!(service.names(ANN, "/c?prefix=a%2520b"), ["a b/1"]);
    assert_eq!(service.names(ANN, "/c?prefix=a%2520b%252F"), ["a b/1"]);
    service.put("a%2520b", "x");
    assert_eq!(service.names(ANN, "/c?prefix=a%2520b"), ["a%20b"]);
    assert_eq!(service.names(ANN, "/c?prefix=a%20b"), ["a b/1"]);
}

#[test]
fn accounts_are_paged_in_one_order() {
    let service = Service::new();
    let owners = ["acct", "acct-1", "acct-2", "b b"];
    for owner in owners {
        service.objects(owner, "PUT", &format!("/{}/c", owner.replace(' ', "%20"))).send().expect(201);
        let sharing = if owner == "acct" { format!("read={BEN}") } else { "read=*".to_owned() };
        service
            .objects(owner, "PUT", &format!("/{}/c/o", owner.replace(' ', "%20")))
            .header("content-type", "text/plain")
            .header("content-length", "0")
            .header("x-object-sharing", sharing)
            .send()
            .expect(201);
    }
    let list = |query: &str| {
        let answer = service.objects(BEN, "GET", &format!("/{query}")).send();
        answer.text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let whole = list("");
    assert_eq!(whole.len(), owners.len());
    let mut paged: Vec<String> = Vec::new();
    while paged.len() < owners.len() {
        let marker = paged.last().map(|last| last.replace(' ', "%20")).unwrap_or_default();
        let page = list(&format!("?limit=1&marker={marker}"));
        assert_eq!(page.len(), 1);
        paged.extend(page);
    }
    assert_eq!(paged, whole);
}

#[test]
fn containers_are_paged_and_text_lists_their_names() {
    let service = Service::new();
    for name in ["a", "b", "c"] {
        service.objects(ANN, "PUT", &format!("/{ANN}/{name}")).send().expect(201);
    }
    assert_eq!(service.names(ANN, "?limit=2"), ["a", "b"]);
    assert_eq!(service.names(ANN, "?marker=b"), ["c"]);
    assert!(service.names(ANN, "?marker=c").is_empty());
    let rows: Vec<Value> = service.list(ANN, "?format=json&limit=1").json();
    assert_eq!(
        (rows.len(), &rows[0]["x_container_policy"]),
        (1, &json!({ "quota": "0", "versioning": "auto", "project": ANN }))
    );
}
