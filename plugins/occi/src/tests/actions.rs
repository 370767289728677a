//! Actions and life cycles.

use serde_json::json;

use super::*;

fn action(kind: &str, term: &str) -> String {
    format!("Category: {term}; scheme=\"http://schemas.ogf.org/occi/infrastructure/{kind}/action#\"; class=\"action\"")
}

fn state(cloud: &Cloud, path: &str, kind: &str) -> String {
    cloud.get_json(path)["attributes"][format!("occi.{kind}.state")].as_str().unwrap().to_owned()
}

#[test]
fn a_machine_goes_through_its_life() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    let rows = [
        ("start", "", 200, "active"),
        ("start", "", 409, "active"),
        ("suspend", "method=\"hibernate\"", 200, "suspended"),
        ("stop", "", 409, "suspended"),
        ("start", "", 200, "active"),
        ("restart", "method=\"warm\"", 200, "active"),
        ("restart", "method=\"gently\"", 400, "active"),
        ("restart", "how=\"warm\"", 404, "active"),
        ("stop", "method=\"acpioff\"", 200, "inactive"),
    ];
    for (term, parameter, status, after) in rows {
        let mut lines = vec![action("compute", term)];
        if !parameter.is_empty() {
            lines.push(format!("X-OCCI-Attribute: {parameter}"));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = cloud.plain("POST", &format!("{path}?action={term}"), &lines);
        assert_eq!(answer.status, status, "{term} {parameter}: {}", answer.text());
        assert_eq!(state(&cloud, &path, "compute"), after, "{term}");
    }
}

#[test]
fn query_and_message_have_to_agree() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    cloud.plain("POST", &format!("{path}?action=stop"), &[&action("compute", "start")]).expect(400);
    cloud.plain("POST", &format!("{path}?action=up"), &[&action("network", "up")]).expect(404);
    cloud.plain("POST", &format!("{path}?action=fly"), &[]).expect(404);
    cloud.plain("POST", "/compute/none?action=start", &[&action("compute", "start")]).expect(404);
    cloud.request("POST", &format!("{path}?action=start")).send().expect(200);
    let started = json!({"action": "http://schemas.ogf.org/occi/infrastructure/compute/action#suspend", "attributes": {"method": "suspend"}});
    let answer = cloud.json("POST", &format!("{path}?action=suspend"), &started).expect(200);
    assert_eq!(answer.json::<serde_json::Value>()["attributes"]["occi.compute.state"], json!("suspended"));
}

#[test]
fn a_collection_acts_as_one_or_not_at_all() {
    let cloud = Cloud::new();
    let paths: Vec<String> = (0..60).map(|_| cloud.compute()).collect();
    cloud.plain("POST", &format!("{}?action=start", paths[3]), &[]).expect(200);
    let start = action("compute", "start");
    cloud.plain("POST", "/compute/?action=restart", &[&action("compute", "restart")]).expect(409);
    cloud.plain("POST", "/compute/?action=start", &[&start]).expect(200);
    assert!(paths.iter().all(|path| state(&cloud, path, "compute") == "active"));
    cloud.plain("POST", "/network/?action=start", &[&start]).expect(404);
    cloud.plain("POST", "/?action=start", &[&start]).expect(404);
}

#[test]
fn links_follow_the_machine() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let path = cloud
        .create("/compute/", &[&format!("Category: {COMPUTE}"), &format!("Link: <{network}>; rel=\"{I}network\"")]);
    cloud.plain("POST", &format!("{path}?action=start"), &[]).expect(200);
    assert_eq!(cloud.get_json(&path)["links"][0]["attributes"]["occi.networkinterface.state"], json!("active"));
    let active = ("x-occi-attribute", "occi.networkinterface.state=\"active\"");
    assert_eq!(cloud.filter("/networkinterface/", &[active]).expect(200).text().lines().count(), 1);
}

#[test]
fn storage_is_resized_and_does_not_shrink() {
    let cloud = Cloud::new();
    let path = cloud.storage();
    for (size, status) in [("size=3.0", 200), ("size=1.0", 409), ("size=\"x\"", 400)] {
        let answer = cloud.plain(
            "POST",
            &format!("{path}?action=resize"),
            &[&action("storage", "resize"), &format!("X-OCCI-Attribute: {size}")],
        );
        assert_eq!(answer.status, status, "{size}");
    }
    cloud.plain("POST", &format!("{path}?action=resize"), &[&action("storage", "resize")]).expect(400);
    assert_eq!(cloud.get_json(&path)["attributes"]["occi.storage.size"], json!(3.0));
    for term in ["online", "backup", "snapshot", "offline"] {
        cloud.plain("POST", &format!("{path}?action={term}"), &[&action("storage", term)]).expect(200);
    }
    cloud.plain("POST", &path, &["X-OCCI-Attribute: occi.storage.size=4"]).expect(200);
    cloud.plain("POST", &path, &["X-OCCI-Attribute: occi.storage.size=1"]).expect(409);
}

#[test]
fn save_answers_with_a_new_template_that_machines_can_be_made_of() {
    let cloud = Cloud::new();
    let path = cloud.compute();
    let save = ["X-OCCI-Attribute: method=\"hot\", name=\"mine\""];
    let answer =
        cloud.plain("POST", &format!("{path}?action=save"), &[&action("compute", "save"), save[0]]).expect(200);
    let category = answer.text().lines().next().unwrap().to_owned();
    assert!(
        category.contains("rel=\"http://schemas.ogf.org/occi/infrastructure#os_tpl\"")
            && category.contains("Image: mine"),
        "{category}"
    );
    assert!(cloud.get("/-/").text().contains(&category));
    cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &category]);
    assert_eq!(state(&cloud, &path, "compute"), "active");
}

#[test]
fn without_programs_qemu_is_unavailable_and_nothing_takes_its_place() {
    let cloud = Cloud::new();
    cloud.app.host().set_config(&json!({"backend": "qemu"}));
    let backends = cloud.get("/-/").text().lines().filter(|line| line.contains("/occi/backend#")).count();
    assert_eq!((backends, cloud.get("/-/").text().contains("Category: qemu;")), (1, true));
    let path = cloud.compute();
    cloud.plain("POST", &format!("{path}?action=start"), &[&action("compute", "start")]).expect(503);
    cloud.get(&path).expect(503);
}
