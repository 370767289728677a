//! Validation and filters over references of every kind.

use serde_json::{Value, json};

use super::{REF, SITE, Service};

#[test]
fn a_valid_design_has_eighteen_messages() {
    let service = Service::new();
    for href in [REF, "deckhand+http://deckhand/designs", "http://u:p@web/designs"] {
        let status: Value =
            service.post("/validatedesign", &json!({"href": href, "rel": "design"})).send().expect(200).json();
        assert_eq!(
            (&status["status"], &status["code"], &status["reason"]),
            (&json!("Success"), &json!(200), &Value::Null)
        );
        assert_eq!(status["details"]["messageList"].as_array().unwrap().len(), 18);
        assert_eq!(status["details"]["messageList"][0]["kind"], "ValidationMessage");
    }
}

#[test]
fn invalid_designs_have_their_shapes() {
    let wrong = SITE.replace("10.20.1.12", "10.20.1.11");
    let schema = SITE.replace("  mtu: 1500\n  cidr: 10.20.1.0/24", "  mtu: tall\n  cidr: 10.20.1.0/24");
    let missing = SITE.replace("host_profile: worker\n", "host_profile: nobody\n");
    let long = "x: ".to_owned() + &"y".repeat(70_000);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &('b'..='z')
            .zip('a'..)
            .map(|(to, from)| format!("{to}: &{to} [{}]\n", format!("*{from},").repeat(9)))
            .collect::<String>();
    let files = [
        ("wrong", &*wrong),
        ("schema", &schema),
        ("missing", &missing),
        ("long", &long),
        ("bomb", &bomb),
        ("broken", "a: ["),
    ];
    let service = Service::with(&files, json!({"design_limit": 60_000}));
    let validate =
        |href: &str| service.post("/validatedesign", &json!({"href": href})).send().expect(400).json::<Value>();
    let found = validate("file:///wrong");
    assert_eq!(
        (&found["status"], &found["code"], &found["details"]["errorCount"]),
        (&json!("Failure"), &json!(400), &json!(1))
    );
    let found = validate("file:///schema");
    assert_eq!((&found["status"], &found["details"]["messageList"][0]["name"]), (&json!("failure"), &json!("DD001")));
    let found = validate("file:///missing");
    assert_eq!(found["status"], "failure");
    assert_eq!(found["details"]["messageList"][0]["context_type"], "node");
    for href in [
        "file:///long",
        "file:///bomb",
        "file:///broken",
        "file:///none",
        "ftp://x/",
        "http://web/empty",
        "http://other/",
    ] {
        let found = validate(href);
        assert_eq!(found["type"], "error", "{href}: {found}");
    }
    service.post("/validatedesign", &json!({"rel": "x"})).send().expect(400);
    service.app.post("/api/v1.0/validatedesign").user("a", &["admin"]).send().expect(400);
}

#[test]
fn node_filters_give_names_in_the_designs_order() {
    let service = Service::new();
    let post = |body: Value| service.post("/nodefilter", &body).send();
    let names: Vec<String> = post(json!({"design_ref": REF, "node_filter": null})).expect(200).json();
    assert_eq!(names, ["ctl-01", "ctl-02", "cmp-01", "cmp-02", "sto-01", "sto-02"]);
    let filter = json!({"filter_set_type": "union", "filter_set": [
        {"filter_type": "intersection", "node_labels": {"color": "yellow"}, "rack_labels": {"row": "south"}}]});
    let names: Vec<String> = post(json!({"design_ref": REF, "node_filter": filter})).expect(200).json();
    assert_eq!(names, ["ctl-02", "cmp-02", "sto-02"]);
    for wrong in [
        json!({"node_filter": null}),
        json!({"design_ref": "file:///none"}),
        json!({"design_ref": REF, "node_filter": {"filter_set_type": "x", "filter_set": []}}),
        json!({"design_ref": REF, "node_filter": {"filter_set_type": "union", "filter_set": [{"filter_type": "intersection"}]}}),
    ] {
        post(wrong).expect(400);
    }
    let empty = Service::with(&[("none.yaml", "---\n")], json!({}));
    let names: Vec<String> =
        empty.post("/nodefilter", &json!({"design_ref": "file:none.yaml"})).send().expect(200).json();
    assert!(names.is_empty());
}
