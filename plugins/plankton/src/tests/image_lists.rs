//! Lists of images: what a page costs, and lists that are sent piece by piece.

use serde_json::Value;

use super::{ANN, BEN, CID, Service};
use crate::store::db::reads;

/// Images of one owner, written as a store would hold them.
fn seed(service: &Service, owner: &str, count: usize, public: bool, shared: Option<&str>) {
    let first = service.create(owner, "first", "x");
    let host = service.app.host();
    let keys = host.keys();
    let head = keys.iter().find(|key| key.starts_with("o/") && key.ends_with(&first)).unwrap();
    let model: Value = host.get_json(head).unwrap();
    let start = model["image"]["created"].as_u64().unwrap() + 1;
    for n in 0..count {
        let mut object = model.clone();
        let uuid = format!("{}-0000-4000-8000-{n:012}", owner.split('-').next().unwrap());
        let created = start + n as u64;
        object["uuid"] = uuid.as_str().into();
        object["name"] = uuid.as_str().into();
        object["image"]["name"] = format!("n{:05}", n * 7919 % count).into();
        object["image"]["created"] = created.into();
        object["content"]["size"] = (n % 10 + 1).into();
        if public {
            object["permissions"] = serde_json::json!({ "read": ["*"] });
        } else if let Some(member) = shared {
            object["permissions"] = serde_json::json!({ "read": [member] });
        }
        let head = format!("{}{uuid}", head.strip_suffix(&first).unwrap());
        host.put_json(&head, &object);
        host.put(&format!("i/{uuid}"), head.as_str());
        host.put(&format!("l/o/{owner}/{created:016}/{uuid}"), head.as_str());
        if public {
            host.put(&format!("l/p/{created:016}/{uuid}"), head.as_str());
        } else if let Some(member) = shared {
            host.put(&format!("l/s/{member}/{created:016}/{uuid}"), head.as_str());
        }
    }
}

/// Own, shared and public images, a third of `count` each.
fn seeded(count: usize) -> Service {
    let service = Service::new();
    seed(&service, ANN, count / 3, false, None);
    seed(&service, BEN, count / 3, true, None);
    seed(&service, CID, count / 3, false, Some(ANN));
    service
}

fn rows(service: &Service, query: &str) -> Vec<Value> {
    let body: Value = service.glance(ANN, "GET", &format!("/images/detail?{query}")).send().expect(200).json();
    body["images"].as_array().unwrap().clone()
}

/// What the first page and one in the middle cost.
fn costs(count: usize) -> [(usize, usize); 4] {
    let service = seeded(count);
    let whole: Value = service.images(ANN, "GET", "/images").send().expect(200).json();
    let middle = whole[count / 2]["id"].as_str().unwrap().to_owned();
    let cost = |query: &str| {
        let (rows, cost) = reads::of(|| rows(&service, query));
        assert_eq!(rows.len(), 100);
        cost
    };
    [
        cost("limit=100"),
        cost(&format!("limit=100&marker={middle}")),
        cost("limit=100&sort_dir=asc"),
        cost(&format!("limit=100&sort_key=created_at&sort_dir=asc&marker={middle}")),
    ]
}

#[test]
fn a_page_costs_the_same_however_many_images_there_are() {
    let (few, many) = (costs(999), costs(4_998));
    for ((few_gets, few_entries), (gets, entries)) in few.into_iter().zip(many) {
        assert!(gets.abs_diff(few_gets) <= 3, "{gets} keys, {few_gets} of a fifth of the images");
        assert!(entries.abs_diff(few_entries) <= 100, "{entries} entries, {few_entries} of a fifth of the images");
        assert!(gets <= 110 && entries <= 500, "{gets} keys, {entries} entries");
    }
}

#[test]
fn pages_give_every_image_once_in_every_order() {
    let service = seeded(90);
    for key in ["created_at", "updated_at", "name", "id", "size", "status", "disk_format", "container_format"] {
        for direction in ["asc", "desc"] {
            let sort = format!("sort_key={key}&sort_dir={direction}");
            let whole: Vec<Value> = rows(&service, &format!("{sort}&limit=1000"));
            assert_eq!(whole.len(), 91);
            let value = |row: &Value| {
                if key == "size" { format!("{:020}", row[key].as_u64().unwrap()) } else { row[key].to_string() }
            };
            let ordered = whole.windows(2).all(|pair| match direction {
                "asc" => value(&pair[0]) <= value(&pair[1]),
                _ => value(&pair[0]) >= value(&pair[1]),
            });
            assert!(ordered, "{sort}");
            let mut paged: Vec<Value> = Vec::new();
            loop {
                let marker =
                    paged.last().map(|row| format!("&marker={}", row["id"].as_str().unwrap())).unwrap_or_default();
                let page = rows(&service, &format!("{sort}&limit=13{marker}"));
                let full = page.len() == 13;
                paged.extend(page);
                if !full {
                    break;
                }
            }
            assert_eq!(paged, whole, "{sort}");
        }
    }
    assert_eq!(rows(&service, "").len(), 25);
    assert!(rows(&service, "limit=0").is_empty());
    assert_eq!(rows(&service, "limit=1000&size_min=4&size_max=4").len(), 9);
    let own = rows(&service, "limit=1000&is_public=false");
    assert!(own.iter().all(|row| row["is_public"] == false) && own.len() == 61);
    for marker in ["00000000-0000-4000-8000-000000000000", "x"] {
        let bad = service.glance(ANN, "GET", &format!("/images?marker={marker}")).send();
        assert_eq!(bad.status, 400, "{marker}");
    }
    // What the caller cannot see is no marker.
    let private = rows(&service, "limit=1").first().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(service.glance(BEN, "GET", &format!("/images?marker={private}")).send().status, 400);
}

#[test]
fn a_long_list_is_sent_in_steps_and_is_whole() {
    let service = seeded(2_400);
    let listed = |query: &str| -> Vec<Value> {
        let rows: Value = service.images(ANN, "GET", &format!("/images/detail?{query}")).send().expect(200).json();
        rows.as_array().unwrap().clone()
    };
    let newest_first = listed("");
    assert_eq!(newest_first.len(), 2_401);
    let mut oldest_first = listed("sort_dir=asc");
    oldest_first.reverse();
    assert_eq!(oldest_first, newest_first);
    let by_name = listed("sort_key=name&sort_dir=asc");
    assert_eq!(by_name.len(), 2_401);
    assert!(by_name.windows(2).all(|pair| pair[0]["name"].as_str() <= pair[1]["name"].as_str()));
    // A filter that nothing passes is still an answer, and so is one that little passes.
    assert!(listed("name=none").is_empty());
    assert_eq!(listed("name=n00000&sort_key=size").len(), 3);
    let shared: Value = service.images(ANN, "GET", &format!("/shared-images/{CID}")).send().expect(200).json();
    assert_eq!(shared["shared_images"].as_array().unwrap().len(), 800);
    let shared: Value = service.glance(ANN, "GET", &format!("/shared-images/{ANN}")).send().expect(200).json();
    assert_eq!(shared["shared_images"].as_array().unwrap().len(), 800);
}

#[test]
fn a_token_in_the_query_is_good_for_a_long_list() {
    let service = seeded(2_400);
    let user = plugbay_sdk::User {
        id: ANN.to_owned(),
        name: "ann".to_owned(),
        project: None,
        roles: Vec::new(),
        extra: Vec::new(),
    };
    service.app.host().add_token("secret", user);
    let answer = service.app.get("/images?X-Auth-Token=secret").surface("images").send().expect(200);
    assert_eq!(answer.json::<Vec<Value>>().len(), 1_601 + 800);
}
