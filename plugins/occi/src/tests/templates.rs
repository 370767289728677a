//! Templates, key pairs and user data.

use serde_json::json;

use super::*;

const SMALL: &str =
    "Category: small; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#\"; class=\"mixin\"";
const LARGE: &str =
    "Category: large; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#\"; class=\"mixin\"";

#[test]
fn sizes_of_a_template_go_before_those_of_the_client() {
    let cloud = Cloud::new();
    let path =
        cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), LARGE, "X-OCCI-Attribute: occi.compute.cores=1"]);
    let shown = cloud.get_json(&path);
    assert_eq!(shown["attributes"]["occi.compute.cores"], json!(4));
    assert_eq!(shown["attributes"]["occi.compute.memory"], json!(4.0));
    assert_eq!(shown["attributes"]["occi.compute.ephemeral_storage.size"], json!(40.0));
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}"), LARGE, SMALL]).expect(409);
    cloud.plain("POST", "/network/", &[&format!("Category: {NETWORK}"), LARGE]).expect(403);
}

#[test]
fn a_second_template_replaces_the_first() {
    let cloud = Cloud::new();
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), SMALL]);
    cloud.plain("POST", &path, &[LARGE]).expect(200);
    let shown = cloud.get_json(&path);
    assert_eq!(shown["mixins"].as_array().unwrap().len(), 1);
    assert_eq!(shown["attributes"]["occi.compute.cores"], json!(4));
    cloud.plain("POST", "/mixin/resource_tpl/small/", &[&format!("X-OCCI-Location: {path}")]).expect(200);
    assert_eq!(cloud.get_json(&path)["attributes"]["occi.compute.cores"], json!(1));
}

#[test]
fn images_and_flavors_are_the_operators() {
    let cloud = Cloud::new();
    cloud.app.host().set_config(&json!({
        "images": [{"id": "9F.a", "name": "plum"}],
        "flavors": [{"name": "m1.big", "cores": 8, "memory": 16.0, "disk": 80.0}],
    }));
    let query = cloud.get("/-/").expect(200);
    assert!(query.text().contains("Category: 9f-a; scheme=\"http://schemas.openstack.org/template/os#\"; class=\"mixin\"; title=\"Image: plum\"; rel=\"http://schemas.ogf.org/occi/infrastructure#os_tpl\"; location=\"/mixin/os_tpl/9f-a/\""));
    let flavor = "Category: m1-big; scheme=\"http://schemas.openstack.org/template/resource#\"; class=\"mixin\"";
    let image = "Category: 9f-a; scheme=\"http://schemas.openstack.org/template/os#\"; class=\"mixin\"";
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), flavor, image]);
    let shown = cloud.get_json(&path)["attributes"].clone();
    let of_flavor = |name: &str| shown[format!("org.openstack.flavor.{name}")].clone();
    assert_eq!((of_flavor("name"), of_flavor("disk"), of_flavor("swap")), (json!("m1.big"), json!(80.0), json!(0)));
    assert_eq!(cloud.list("/mixin/os_tpl/9f-a/"), [path]);
}

#[test]
fn user_data_is_given_once_and_pairs_exclude_each_other() {
    let cloud = Cloud::new();
    let user_data =
        "Category: user_data; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute#\"; class=\"mixin\"";
    let old = "Category: user_data; scheme=\"http://schemas.openstack.org/compute/instance#\"; class=\"mixin\"";
    let data = "X-OCCI-Attribute: occi.compute.userdata=\"I2Nsb3VkLWNvbmZpZwo=\"";
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), user_data, data]);
    cloud.plain("POST", &path, &["X-OCCI-Attribute: occi.compute.userdata=\"x\""]).expect(403);
    cloud.plain("PUT", &path, &[&format!("Category: {COMPUTE}"), user_data]).expect(200);
    assert_eq!(cloud.get_json(&path)["attributes"]["occi.compute.userdata"], json!("I2Nsb3VkLWNvbmZpZwo="));
    let both = "X-OCCI-Attribute: occi.compute.userdata=\"x\", org.openstack.compute.user_data=\"x\"";
    cloud.plain("POST", "/compute/", &[&format!("Category: {COMPUTE}"), user_data, old, both]).expect(409);
}

#[test]
fn keys_and_user_data_as_early_drafts_spelt_them_are_those_of_the_standard() {
    let cloud = Cloud::new();
    let key = "Category: ssh_key; scheme=\"http://schemas.ogf.org/occi/credentials#\"; class=\"mixin\"";
    let data = "Category: user_data; scheme=\"http://schemas.ogf.org/occi/compute#\"; class=\"mixin\"";
    let values = "X-OCCI-Attribute: occi.credentials.ssh_key=\"ssh-ed25519 AAAA\", occi.compute.user_data=\"Iw==\"";
    let path = cloud.create("/compute/", &[&format!("Category: {COMPUTE}"), key, data, values]);
    let shown = cloud.get_json(&path);
    let standard = "http://schemas.ogf.org/occi/infrastructure/";
    assert_eq!(
        shown["mixins"],
        json!([format!("{standard}credentials#ssh_key"), format!("{standard}compute#user_data")])
    );
    assert_eq!(shown["attributes"]["occi.credentials.ssh.publickey"], json!("ssh-ed25519 AAAA"));
    assert_eq!(shown["attributes"]["occi.compute.userdata"], json!("Iw=="));
    assert_eq!(
        cloud
            .filter("/", &[("category", "ssh_key; scheme=\"http://schemas.ogf.org/occi/credentials#\"")])
            .text()
            .lines()
            .count(),
        1
    );
}
