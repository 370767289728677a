//! CDMI, and containers as storage of OCCI.

use serde_json::{Value, json};

use super::*;

const VERSION: (&str, &str) = ("x-cdmi-specification-version", "1.0.1");

impl Cloud {
    fn cdmi(&self, method: &str, target: &str, kind: &str, body: Option<Value>) -> TestAnswer {
        let kind = format!("application/cdmi-{kind}");
        let request =
            self.request(method, target).surface("cdmi").header(VERSION.0, VERSION.1).header("accept", kind.as_str());
        match body {
            Some(body) => request.header("content-type", kind.as_str()).body(body.to_string()).send(),
            None => request.send(),
        }
    }

    fn raw(&self, method: &str, target: &str) -> TestRequest<'_> {
        self.request(method, target).surface("cdmi")
    }
}

#[test]
fn containers_and_objects_come_and_go() {
    let cloud = Cloud::new();
    let made = cloud.cdmi("PUT", "/shelf/", "container", Some(json!({"metadata": {"colour": "blue"}}))).expect(201);
    assert_eq!(made.header("x-cdmi-specification-version"), Some("1.0.1"));
    let shelf: Value = made.json();
    assert_eq!(
        (&shelf["objectName"], &shelf["parentURI"], &shelf["childrenrange"]),
        (&json!("shelf/"), &json!("/"), &json!(""))
    );
    assert_eq!(shelf["metadata"]["cdmi_acl"].as_array().unwrap().len(), 3);
    let note: Value =
        cloud.cdmi("PUT", "/shelf/note.txt", "object", Some(json!({"value": "hello"}))).expect(201).json();
    assert_eq!(note.get("value"), None);
    assert_eq!(note["parentURI"], json!("/shelf/"));
    assert_eq!(note["parentID"], shelf["objectID"]);
    let read: Value = cloud.cdmi("GET", "/shelf/note.txt", "object", None).expect(200).json();
    assert_eq!(
        (&read["value"], &read["valuerange"], &read["metadata"]["cdmi_size"]),
        (&json!("hello"), &json!("0-4"), &json!("5"))
    );
    assert_eq!(read["mimetype"], json!("text/plain"));
    cloud.cdmi("PUT", "/shelf/box/", "container", Some(json!({}))).expect(201);
    let shelf: Value = cloud.cdmi("GET", "/shelf/", "container", None).expect(200).json();
    assert_eq!(shelf["children"], json!(["box/", "note.txt"]));
    let by_id = format!("/cdmi_objectid/{}", read["objectID"].as_str().unwrap());
    assert_eq!(cloud.cdmi("GET", &by_id, "object", None).expect(200).json::<Value>()["value"], json!("hello"));
    cloud.cdmi("DELETE", "/shelf/", "container", None).expect(204);
    cloud.cdmi("GET", &by_id, "object", None).expect(404);
    assert_eq!(cloud.app.host().blobs().len(), 0);
    cloud.cdmi("DELETE", "/", "container", None).expect(400);
}

#[test]
fn fields_ranges_and_metadata_are_selected() {
    let cloud = Cloud::new();
    cloud
        .cdmi("PUT", "/a.txt", "object", Some(json!({"value": "0123456789", "metadata": {"x": 1, "y": 2}})))
        .expect(201);
    let some: Value = cloud.cdmi("GET", "/a.txt?value:2-4;mimetype", "object", None).expect(200).json();
    assert_eq!(some, json!({"value": "234", "mimetype": "text/plain"}));
    cloud.cdmi("PUT", "/a.txt?value:8-11", "object", Some(json!({"value": "QUJDRA=="}))).expect(204);
    cloud.cdmi("PUT", "/a.txt?metadata:x", "object", Some(json!({"metadata": {"z": 3}}))).expect(204);
    let read: Value = cloud.cdmi("GET", "/a.txt?value;metadata:y;", "object", None).expect(200).json();
    assert_eq!(read, json!({"value": "01234567ABCD", "metadata": {"y": 2}}));
    let all: Value = cloud.cdmi("GET", "/a.txt?metadata", "object", None).expect(200).json();
    assert!(all["metadata"].get("x").is_none() && all["metadata"].get("z").is_none());
    for (name, n) in [("b", 1), ("c", 2), ("d", 3)] {
        cloud.cdmi("PUT", &format!("/{name}"), "object", Some(json!({"value": n.to_string()}))).expect(201);
    }
    let slice: Value = cloud.cdmi("GET", "/?children:1-2;childrenrange", "container", None).expect(200).json();
    assert_eq!(slice, json!({"children": ["b", "c"], "childrenrange": "1-2"}));
    cloud.cdmi("GET", "/a.txt?value:x", "object", None).expect(400);
}

#[test]
fn the_same_paths_work_without_cdmi() {
    let cloud = Cloud::new();
    cloud.raw("PUT", "/box/").send().expect(201);
    cloud.raw("PUT", "/box/p").header("content-type", "image/png").body(vec![0xff, 0, 1]).send().expect(201);
    cloud.raw("PUT", "/box/p").header("content-type", "image/png").body(vec![0xff, 0, 2]).send().expect(204);
    let read = cloud.raw("GET", "/box/p").send().expect(200);
    assert_eq!((read.body.as_slice(), read.header("content-type")), (&[0xff, 0, 2][..], Some("image/png")));
    let document: Value = cloud.cdmi("GET", "/box/p", "object", None).expect(200).json();
    assert_eq!((&document["value"], &document["valuetransferencoding"]), (&json!("/wAC"), &json!("base64")));
    assert_eq!(cloud.raw("GET", "/box").send().expect(301).header("location"), Some("http://localhost/box/"));
    let posted =
        cloud.raw("POST", "/box/").header("content-type", "text/plain; charset=utf-8").body("hi").send().expect(201);
    let location = path(posted.header("location").unwrap());
    assert_eq!(cloud.raw("GET", &location).send().expect(200).text(), "hi");
    cloud.raw("DELETE", "/box/p").send().expect(204);
    cloud.raw("DELETE", "/box/p").send().expect(404);
}

#[test]
fn refusals_of_cdmi() {
    let cloud = Cloud::new();
    cloud.cdmi("PUT", "/c/", "container", Some(json!({}))).expect(201);
    cloud.cdmi("PUT", "/o", "object", Some(json!({"value": ""}))).expect(201);
    cloud.cdmi("PUT", "/c", "object", Some(json!({}))).expect(409);
    cloud.cdmi("PUT", "/o/", "container", Some(json!({}))).expect(409);
    cloud.cdmi("PUT", "/x", "container", Some(json!({}))).expect(400);
    cloud.cdmi("PUT", "/none/x", "object", Some(json!({}))).expect(404);
    cloud.cdmi("PUT", "/x", "object", Some(json!({"colour": 1}))).expect(400);
    cloud.cdmi("PUT", "/x", "object", Some(json!({"reference": "/o"}))).expect(400);
    cloud.cdmi("PUT", "/q", "queue", Some(json!({}))).expect(400);
    cloud.cdmi("GET", "/o", "container", None).expect(406);
    cloud.raw("GET", "/o").header(VERSION.0, "0.9").send().expect(400);
    let version = cloud.raw("GET", "/o").header(VERSION.0, "1.0, 1.0.2, 2.0").send().expect(200);
    assert_eq!(version.header(VERSION.0), Some("1.0.2"));
    let capabilities: Value = cloud.cdmi("GET", "/cdmi_capabilities/", "capability", None).expect(200).json();
    assert_eq!(capabilities["capabilities"]["cdmi_dataobjects"], json!("true"));
    cloud.cdmi("GET", "/cdmi_capabilities/dataobject/", "capability", None).expect(200);
    cloud.cdmi("GET", "/cdmi_capabilities/x/", "capability", None).expect(404);
    cloud.cdmi("GET", "/cdmi_domains/", "domain", None).expect(404);
    let copy: Value = cloud.cdmi("PUT", "/copy", "object", Some(json!({"copy": "/o"}))).expect(201).json();
    assert_eq!(copy["completionStatus"], json!("Complete"));
    let partial = cloud.raw("PUT", "/part").header("x-cdmi-partial", "true").body("a").send().expect(201);
    assert!(partial.body.is_empty());
    assert_eq!(cloud.cdmi("GET", "/part", "object", None).json::<Value>()["completionStatus"], json!("Processing"));
}

#[test]
fn a_storage_can_bring_its_container() {
    let cloud = Cloud::new();
    let mixin = "Category: container; scheme=\"http://schemas.snia.org/cdmi/occi#\"; class=\"mixin\"";
    let size = "X-OCCI-Attribute: occi.storage.size=1.5";
    let storage = cloud.create("/storage/", &[&format!("Category: {STORAGE}"), mixin, size]);
    let id = cloud.get_json(&storage)["attributes"]["org.snia.cdmi.objectid"].as_str().unwrap().to_owned();
    let by_id = format!("/cdmi_objectid/{id}");
    let container: Value = cloud.cdmi("GET", &by_id, "container", None).expect(200).json();
    assert_eq!(container["exports"]["OCCI/NFS"]["identifier"], json!(id));
    let shown = cloud.get(&storage).expect(200);
    cloud.plain("PUT", &storage, &[shown.text()]).expect(200);
    let plain = cloud.storage();
    cloud.plain("POST", &plain, &[mixin]).expect(403);
    cloud
        .cdmi(
            "DELETE",
            &format!("/{}/", container["objectName"].as_str().unwrap().trim_matches('/')),
            "container",
            None,
        )
        .expect(204);
    assert_eq!(cloud.list("/storage/"), [plain]);
}

#[test]
fn an_exported_container_is_a_storage_that_named_machines_can_link_to() {
    let cloud = Cloud::new();
    let (mine, other) = (cloud.compute(), cloud.compute());
    let exports = |machines: &[&str]| json!({"exports": {"OCCI/NFS": {"identifier": "x", "permissions": machines}}});
    let made: Value = cloud
        .cdmi("PUT", "/disk/", "container", Some(exports(&[&format!("http://localhost{mine}")])))
        .expect(201)
        .json();
    let id = made["objectID"].as_str().unwrap().to_owned();
    let storage = cloud.list("/storage/").remove(0);
    let shown = cloud.get_json(&storage);
    assert_eq!(shown["attributes"]["org.snia.cdmi.objectid"], json!(id));
    assert_eq!(shown["attributes"]["org.snia.cdmi.uri"], json!(format!("/cdmi/cdmi_objectid/{id}")));
    let link = |machine: &str, target: &str| {
        cloud.plain(
            "POST",
            "/storagelink/",
            &[
                &format!("Category: storagelink; scheme=\"{I}\"; class=\"kind\""),
                &format!("X-OCCI-Attribute: occi.core.source=\"{machine}\", occi.core.target=\"{target}\""),
            ],
        )
    };
    link(&other, &storage).expect(403);
    let made = link(&mine, &format!("http://localhost/cdmi/cdmi_objectid/{id}")).expect(201);
    let linked = path(made.header("location").unwrap());
    assert_eq!(cloud.get_json(&linked)["attributes"]["occi.storagelink.deviceid"], json!(id));
    cloud.cdmi("DELETE", "/disk/", "container", None).expect(409);
    cloud.delete(&storage).expect(409);
    cloud.delete(&linked).expect(200);
    cloud.cdmi("PUT", "/disk/", "container", Some(json!({"exports": {}}))).expect(204);
    assert!(cloud.list("/storage/").is_empty());
    cloud.cdmi("PUT", "/disk/", "container", Some(json!({"exports": {"CIFS": {}}}))).expect(400);
    cloud.cdmi("DELETE", "/disk/", "container", None).expect(204);
}
