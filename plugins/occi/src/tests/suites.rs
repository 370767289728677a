//! What the published suites rely on beyond the standard (the sheet's section 10).

use super::*;

#[test]
fn creation_at_the_root_in_header_fields_without_class() {
    let cloud = Cloud::new();
    for kind in ["compute", "network"] {
        let made = cloud
            .request("POST", "/")
            .header("content-type", "text/occi")
            .header("accept", "text/occi")
            .header("category", format!("{kind}; scheme=\"{I}\";"))
            .send()
            .expect(201);
        let location = made.header("location").unwrap();
        assert_eq!(made.header("x-occi-location"), Some(location));
        assert_eq!(made.text(), "OK\n");
    }
    assert_eq!(cloud.list("/").len(), 2);
}

#[test]
fn an_escaped_quote_keeps_what_follows_out() {
    let cloud = Cloud::new();
    let attributes = "X-OCCI-Attribute: occi.compute.memory=3.6, occi.core.title=\"... \\\", occi.compute.memory=1.0\"";
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), attributes]);
    assert!(cloud.get(&path).text().contains("occi.compute.memory=3.6\n"));
}

#[test]
fn a_mixin_of_a_client_through_its_whole_life() {
    let cloud = Cloud::new();
    let (one, two) = (cloud.compute(), cloud.compute());
    let category = "my_stuff; scheme=\"http://example.com/occi/my_stuff#\"; class=\"mixin\"; rel=\"http:/example.com/occi/something_else#mixin\"; location=\"/my_stuff/\"";
    let send = |method: &str, target: &str, fields: &[(&str, String)]| {
        let request = cloud.request(method, target).header("content-type", "text/occi").header("accept", "text/occi");
        fields.iter().fold(request, |request, (name, value)| request.header(name, value.as_str())).send().expect(200)
    };
    let location = |path: &str| ("x-occi-location", format!("http://localhost{path}"));
    send("POST", "/-/", &[("category", category.to_owned())]);
    send("POST", "/my_stuff/", &[location(&one)]);
    send("PUT", "/my_stuff/", &[location(&one), location(&two)]);
    let listed = send("GET", "/my_stuff/", &[]);
    assert_eq!(listed.header("x-occi-location").unwrap().split(", ").count(), 2);
    assert!(send("GET", "/", &[("category", category.to_owned())]).header("x-occi-location").is_some());
    send("DELETE", "/my_stuff/", &[location(&one)]);
    send("DELETE", "/-/", &[("category", category.to_owned())]);
}

#[test]
fn a_template_of_each_family_is_offered_and_its_sizes_win() {
    let cloud = Cloud::new();
    let query = cloud.get("/-/").expect(200);
    for family in ["os_tpl", "resource_tpl"] {
        assert!(query.text().contains(&format!("rel=\"{I}{family}\"")));
    }
}
