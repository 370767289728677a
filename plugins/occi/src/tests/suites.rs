//! What the published suites and clients rely on beyond the standard: each point of the sheet's section 10 by name. pOCCI
//! itself runs end to end (`tests/e2e/occi_suites.rs`).

use super::*;

const EXAMPLE: &str = "my_stuff; scheme=\"http://example.com/occi/my_stuff#\"; class=\"mixin\"; rel=\"http:/example.com/occi/something_else#mixin\"; location=\"/my_stuff/\"";

impl Cloud {
    /// A request whose message is in header fields, and so is its answer.
    fn occi(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> TestAnswer {
        let request = self.request(method, target).header("content-type", "text/occi").header("accept", "text/occi");
        fields.iter().fold(request, |request, (name, value)| request.header(name, *value)).send()
    }
}

fn category(kind: &str) -> String {
    // Without a class, and with the semicolon that clients leave at the end.
    format!("{kind}; scheme=\"{I}\";")
}

#[test]
fn compute_network_and_interface_are_created_at_the_root_in_header_fields_without_class() {
    let cloud = Cloud::new();
    let mut made = Vec::new();
    for kind in ["compute", "network"] {
        let answer = cloud.occi("POST", "/", &[("category", &category(kind))]).expect(201);
        assert_eq!(answer.text(), "OK\n");
        made.push(answer.header("location").unwrap().to_owned());
    }
    let ends = format!("occi.core.source=\"{}\", occi.core.target=\"{}\"", path(&made[0]), path(&made[1]));
    // One suite sends an id along.
    let attributes = format!("occi.core.id=\"urn:uuid:0c7f6f1e-5b1d-4b39-9f5a-2a5f0b7d3c11\", {ends}");
    let fields = [("category", category("networkinterface")), ("x-occi-attribute", attributes)];
    cloud.occi("POST", "/", &fields.each_ref().map(|(name, value)| (*name, value.as_str()))).expect(201);
    assert_eq!(cloud.list("/").len(), 3);
}

#[test]
fn the_location_of_a_creation_is_the_one_that_lists_show() {
    let cloud = Cloud::new();
    let made = cloud.occi("POST", "/compute/", &[("category", &category("compute"))]).expect(201);
    let location = made.header("location").unwrap();
    assert_eq!(made.header("x-occi-location"), Some(location));
    assert_eq!(cloud.occi("GET", "/compute/", &[]).expect(200).header("x-occi-location"), Some(location));
    assert_eq!(cloud.get("/compute/").expect(200).text(), format!("X-OCCI-Location: {location}\n"));
}

#[test]
fn categories_have_one_space_after_each_semicolon_quoted_classes_and_plain_schemes_where_suites_look() {
    let cloud = Cloud::new();
    let shown = cloud.get("/-/").expect(200);
    let lines: Vec<&str> = shown.text().lines().collect();
    for line in &lines {
        let parts: Vec<&str> = line.split(';').collect();
        assert!(parts[1..].iter().all(|part| part.starts_with(' ') && !part.starts_with("  ")), "{line}");
        assert!(parts[2].starts_with(" class=\"") && parts[2].ends_with('"'), "{line}");
    }
    let plain = |category: &str| {
        let (_, rest) = category.split_once("scheme=\"").unwrap();
        let (scheme, _) = rest.split_once('"').unwrap();
        scheme.bytes().all(|byte| byte.is_ascii_lowercase() || b":./#".contains(&byte))
    };
    assert!(plain(lines[1]), "{}", lines[1]);
    let headers = cloud.occi("GET", "/-/", &[]).expect(200);
    assert!(plain(headers.header("category").unwrap()));
}

#[test]
fn values_of_one_name_are_joined_by_a_comma_and_a_space() {
    let cloud = Cloud::new();
    let (one, two) = (cloud.compute(), cloud.compute());
    let listed = cloud.occi("GET", "/compute/", &[]).expect(200);
    let joined = format!("http://localhost{one}, http://localhost{two}");
    assert_eq!(listed.header("x-occi-location"), Some(joined.as_str()));
    assert!(cloud.occi("GET", "/-/", &[]).expect(200).header("category").unwrap().contains("\", resource; scheme="));
    assert!(cloud.occi("GET", &one, &[]).expect(200).header("link").unwrap().contains("\", </compute/"));
}

#[test]
fn action_links_and_locations_of_categories_are_paths_and_listed_locations_are_urls() {
    let cloud = Cloud::new();
    let made = cloud.compute();
    assert!(cloud.get(&made).expect(200).text().contains(&format!("Link: <{made}?action=start>; rel=")));
    let shown = cloud.get("/-/").expect(200);
    let locations = || shown.text().split("location=\"").skip(1);
    assert!(locations().count() > 10 && locations().all(|rest| rest.starts_with('/')));
    assert!(
        cloud.get("/").expect(200).text().lines().all(|line| line.starts_with("X-OCCI-Location: http://localhost/"))
    );
}

#[test]
fn all_machines_are_started_at_once_and_again() {
    let cloud = Cloud::new();
    let machines = [cloud.compute(), cloud.compute()];
    let start = "start; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"; class=\"action\"";
    for _ in 0..2 {
        cloud.occi("POST", "/compute/?action=start", &[("category", start)]).expect(200);
    }
    for machine in machines {
        assert_eq!(cloud.get_json(&machine)["attributes"]["occi.compute.state"], "active");
    }
}

#[test]
fn a_mixin_of_a_client_goes_through_its_whole_life_and_each_step_is_a_200() {
    let cloud = Cloud::new();
    let (one, two) = (cloud.compute(), cloud.compute());
    let send = |method: &str, target: &str, fields: &[(&str, &str)]| cloud.occi(method, target, fields).expect(200);
    let location = |path: &str| format!("http://localhost{path}");
    send("POST", "/-/", &[("category", EXAMPLE)]);
    send("POST", "/my_stuff/", &[("x-occi-location", &location(&one))]);
    send("PUT", "/my_stuff/", &[("x-occi-location", &location(&one)), ("x-occi-location", &location(&two))]);
    let listed = send("GET", "/my_stuff/", &[]);
    assert_eq!(listed.header("x-occi-location").unwrap().split(", ").count(), 2);
    assert!(send("GET", "/", &[("category", EXAMPLE)]).header("x-occi-location").is_some());
    send("DELETE", "/my_stuff/", &[("x-occi-location", &location(&one))]);
    send("DELETE", "/-/", &[("category", EXAMPLE)]);
    assert!(!cloud.get("/-/").expect(200).text().contains("my_stuff"));
}

#[test]
fn a_filter_by_host_name_finds_exactly_one() {
    let cloud = Cloud::new();
    let mut found = Vec::new();
    for name in ["foo", "bar"] {
        let attribute = format!("X-OCCI-Attribute: occi.compute.hostname=\"{name}\"");
        found.push(cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &attribute]));
    }
    let listed = cloud.occi("GET", "/compute/", &[("x-occi-attribute", "occi.compute.hostname=\"foo\"")]).expect(200);
    assert_eq!(listed.header("x-occi-location"), Some(format!("http://localhost{}", found[0]).as_str()));
}

#[test]
fn a_path_of_the_clients_choice_is_created_by_put_and_deleted() {
    let cloud = Cloud::new();
    let attributes = "occi.compute.hostname=\"foo\"";
    let fields = [("category", COMPUTE), ("x-occi-attribute", attributes)];
    cloud.occi("PUT", "/123", &fields).expect(201);
    // One suite sends an attribute of nobody's along, and takes a 400 for it.
    let unknown = [("category", COMPUTE), ("x-occi-attribute", "foo=\"bar\"")];
    cloud.occi("PUT", "/124", &unknown).expect(400);
    cloud.occi("DELETE", "/123", &[]).expect(200);
}

#[test]
fn an_escaped_quote_keeps_what_follows_out() {
    let cloud = Cloud::new();
    let attributes = "X-OCCI-Attribute: occi.compute.memory=3.6, occi.core.title=\"... \\\", occi.compute.memory=1.0\"";
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), attributes]);
    assert!(cloud.get(&path).text().contains("occi.compute.memory=3.6\n"));
}

#[test]
fn a_link_is_created_with_201_and_what_is_gone_is_a_404_twice() {
    let cloud = Cloud::new();
    let (machine, network) = (cloud.compute(), cloud.network());
    let ends = format!("X-OCCI-Attribute: occi.core.source=\"{machine}\", occi.core.target=\"{network}\"");
    let lines = [&format!("Category: networkinterface; scheme=\"{I}\"; class=\"kind\""), ends.as_str()];
    let link = path(cloud.plain("POST", "/networkinterface/", &lines).expect(201).header("location").unwrap());
    cloud.delete(&link).expect(200);
    for _ in 0..2 {
        cloud.get(&link).expect(404);
        cloud.delete(&link).expect(404);
    }
}

#[test]
fn a_template_of_each_family_is_offered_and_its_sizes_win() {
    let cloud = Cloud::new();
    let query = cloud.get("/-/").expect(200);
    for family in ["os_tpl", "resource_tpl"] {
        assert!(query.text().contains(&format!("rel=\"{I}{family}\"")));
    }
    let template = "Category: small; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#\"";
    let sizes = "X-OCCI-Attribute: occi.compute.cores=7";
    let made = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), template, sizes]);
    assert_eq!(cloud.get_json(&made)["attributes"]["occi.compute.cores"], 1);
}

#[test]
fn what_a_get_showed_can_be_put_back_whole() {
    let cloud = Cloud::new();
    let network = cloud.network();
    let link = format!("Link: <{network}>; rel=\"{I}network\"; category=\"{I}networkinterface\"");
    let machine = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), &link]);
    let shown = cloud.get(&machine).expect(200);
    cloud.plain("PUT", &machine, &[shown.text()]).expect(200);
    assert_eq!(cloud.get(&machine).text(), shown.text());
}
