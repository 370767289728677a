//! Creation, rendering, update, replacement and deletion of entities.

use serde_json::json;

use super::*;

#[test]
fn a_created_resource_is_where_the_location_says() {
    let cloud = Cloud::new();
    let made = cloud
        .plain(
            "POST",
            "/compute/",
            &[&format!("Category: {COMPUTE}"), "X-OCCI-Attribute: occi.core.title=\"blue \\\"one\\\", spare\""],
        )
        .expect(201);
    let location = made.header("location").unwrap();
    assert_eq!(made.text(), format!("X-OCCI-Location: {location}\n"));
    assert_eq!(cloud.list("/compute/"), [path(location)]);
    let shown = cloud.get(&path(location)).expect(200);
    let text = shown.text();
    assert!(text.starts_with(&format!("Category: {COMPUTE}")), "{text}");
    assert!(text.contains("X-OCCI-Attribute: occi.core.title=\"blue \\\"one\\\", spare\"\n"), "{text}");
    assert!(text.contains("X-OCCI-Attribute: occi.compute.state=\"inactive\"\n"), "{text}");
    assert!(text.contains(&format!(
        "Link: <{}?action=start>; rel=\"http://schemas.ogf.org/occi/infrastructure/compute/action#start\"\n",
        path(location)
    )));
    assert!(!text.contains("action=stop"));
}

#[test]
fn values_types_and_immutability_are_checked_and_nothing_is_created() {
    let cloud = Cloud::new();
    let rows = [
        ("occi.compute.cores=\"2\"", 400),
        ("occi.compute.cores=1.5", 400),
        ("occi.compute.cores=0", 400),
        ("occi.compute.memory=-1", 400),
        ("occi.compute.architecture=\"arm\"", 400),
        ("occi.compute.hostname=unquoted", 400),
        ("occi.compute.state=\"active\"", 403),
        ("occi.compute.colour=\"red\"", 404),
        ("com.example.colour=\"red\"", 400),
        ("occi.storage.size=1", 404),
        ("occi.core.id=\"mine\"", 201),
        ("occi.compute.cores=2, occi.compute.cores=3", 409),
    ];
    let mut count = 0;
    for (attribute, status) in rows {
        let lines = [format!("Category: {COMPUTE}"), format!("X-OCCI-Attribute: {attribute}")];
        let answer = cloud.plain("POST", "/compute/", &[&lines[0], &lines[1]]);
        assert_eq!(answer.status, status, "{attribute}: {}", answer.text());
        count += usize::from(status == 201);
    }
    assert_eq!(cloud.list("/compute/").len(), count);
}

#[test]
fn what_is_required_has_to_be_there() {
    let cloud = Cloud::new();
    cloud.plain("POST", "/storage/", &[&format!("Category: {STORAGE}")]).expect(400);
    cloud.plain("POST", "/compute/", &["X-OCCI-Attribute: occi.compute.cores=1"]).expect(400);
    cloud.plain("POST", "/compute/", &["Category: entity; scheme=\"http://schemas.ogf.org/occi/core#\""]).expect(400);
    cloud.plain("POST", "/compute/", &["Category: nothing; scheme=\"http://x.example/#\""]).expect(404);
    cloud.plain("POST", "/compute/", &[&format!("Category: {NETWORK}")]).expect(400);
    let ssh = "Category: ssh_key; scheme=\"http://schemas.ogf.org/occi/infrastructure/credentials#\"; class=\"mixin\"";
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}"), ssh]).expect(400);
    let key = "X-OCCI-Attribute: occi.credentials.ssh.publickey=\"ssh-rsa AAAA\"";
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}"), ssh, key]).expect(201);
    cloud.plain("POST", "/network/", &[&format!("Category: {NETWORK}"), ssh, key]).expect(403);
}

#[test]
fn a_post_changes_some_and_a_put_all() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    cloud.plain("POST", &path, &["X-OCCI-Attribute: occi.compute.memory=1.5"]).expect(200);
    let shown = cloud.get_json(&path);
    assert_eq!(shown["attributes"]["occi.compute.memory"], json!(1.5));
    assert_eq!(shown["attributes"]["occi.compute.cores"], json!(2));
    cloud.plain("PUT", &path, &[&format!("Category: {COMPUTE}"), "X-OCCI-Attribute: occi.compute.cores=3"]).expect(200);
    let shown = cloud.get_json(&path);
    assert_eq!(shown["attributes"].get("occi.compute.memory"), None);
    assert_eq!(shown["attributes"]["occi.compute.cores"], json!(3));
    assert_eq!(shown["attributes"]["occi.compute.state"], json!("inactive"));
    cloud.plain("PUT", &path, &[&format!("Category: {NETWORK}")]).expect(400);
    cloud.plain("POST", &path, &["X-OCCI-Attribute: occi.compute.state=\"active\""]).expect(403);
}

#[test]
fn what_a_get_showed_can_be_put_back() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let link = format!("Link: <{network}>; rel=\"{I}network\"");
    let path =
        cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), "X-OCCI-Attribute: occi.compute.cores=2", &link]);
    let shown = cloud.get(&path).expect(200);
    let again = cloud.plain("PUT", &path, &[shown.text()]).expect(200);
    assert_eq!(again.text(), shown.text());
    let document = cloud.get_json(&path);
    assert_eq!(cloud.json("PUT", &path, &document).expect(200).json::<serde_json::Value>(), document);
    let fields = cloud.request("GET", &path).header("accept", "text/occi").send().expect(200);
    let back = cloud.request("PUT", &path).header("content-type", "text/occi");
    fields.headers.iter().fold(back, |back, (name, value)| back.header(name, value.clone())).send().expect(200);
    cloud.plain("PUT", &path, &[&format!("Category: {COMPUTE}"), &link]).expect(400);
}

#[test]
fn a_put_creates_where_the_client_says() {
    let cloud = Cloud::new();
    let made = cloud.plain("PUT", "/123", &[&format!("Category: {COMPUTE}")]).expect(201);
    assert_eq!(made.header("location"), Some("http://localhost/123"));
    assert_eq!(cloud.list("/compute/"), ["/123"]);
    cloud.delete("/123").expect(200);
    cloud.delete("/123").expect(404);
    cloud.get("/123").expect(404);
    for bad in ["/a/../b", "/a%20b,c", "/-"] {
        assert!(cloud.plain("PUT", bad, &[&format!("Category: {COMPUTE}")]).status >= 400, "{bad}");
    }
}

#[test]
fn each_user_has_a_name_space() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    cloud.app.get(&path).user("ben", &[]).send().expect(404);
    assert_eq!(cloud.app.get("/").user("ben", &[]).send().expect(200).text(), "");
    cloud.app.host().set_config(&json!({ "space": "shared" }));
    cloud
        .app
        .put("/9")
        .user("ben", &[])
        .header("content-type", "text/plain")
        .body(format!("Category: {COMPUTE}"))
        .send()
        .expect(201);
    cloud.get("/9").expect(200);
}

#[test]
fn json_batches_are_created_together_or_not_at_all() {
    let cloud = Cloud::new();
    let compute = json!({"kind": format!("{I}compute")});
    let wrong = json!({"kind": format!("{I}compute"), "attributes": {"occi.compute.cores": "x"}});
    cloud.json("POST", "/compute/", &json!({"resources": [compute, wrong]})).expect(400);
    assert!(cloud.list("/compute/").is_empty());
    cloud.json("POST", "/compute/", &json!({"resources": [compute, compute, compute]})).expect(201);
    assert_eq!(cloud.list("/compute/").len(), 3);
}
