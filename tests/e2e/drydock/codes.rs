//! Every code and shape of the tables that needs neither Keystone nor nodes (sheet, sections 1, 3 to 6).

use std::time::Duration;

use plugbay_tests::{Bed, Sent, wait_until};
use serde_json::{Value, json};

use super::{Api, SITE, bed, named, private, site};

async fn started() -> Option<(Bed, Api)> {
    let site = site()?;
    let mut bed = bed();
    let token = bed.token("ann", &["admin"]);
    std::fs::write(private(&bed).join("site.yaml"), site).unwrap();
    bed.start().await;
    assert_eq!(bed.status("drydock").last_error, None);
    let api = Api::of(&bed, &token);
    Some((bed, api))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_methods_are_answered_in_their_own_shape() {
    let Some((_bed, api)) = started().await else { return };
    let versions = api.send(Sent::new("GET", "/versions")).await;
    assert_eq!(versions.json(), json!({"v1.0": {"path": "/api/v1.0", "status": "stable"}}));
    for (method, path, status, allow, title) in [
        ("GET", "/nowhere", 404, "", Some("404 Not Found")),
        ("GET", "/api/v1.0", 404, "", Some("404 Not Found")),
        ("GET", "/api/v1.0/designs/x", 404, "", Some("404 Not Found")),
        ("POST", "/api/v1.0/designs/x/parts/Network", 404, "", Some("404 Not Found")),
        ("PUT", "/api/v1.0/tasks", 405, "GET, POST, DELETE, OPTIONS", Some("405 Method Not Allowed")),
        ("PATCH", "/api/v1.0/nodes", 405, "GET, OPTIONS", Some("405 Method Not Allowed")),
        ("GET", "/api/v1.0/nodefilter", 405, "POST, OPTIONS", Some("405 Method Not Allowed")),
        ("HEAD", "/api/v1.0/tasks", 405, "GET, POST, DELETE, OPTIONS", None),
        ("OPTIONS", "/api/v1.0/tasks", 200, "GET, POST, DELETE, OPTIONS", None),
        ("OPTIONS", "/nowhere", 404, "", Some("404 Not Found")),
        ("GET", "/api/v1.0/tasks/", 200, "", None),
        ("GET", "/api/v1.0/health", 204, "", None),
    ] {
        let answer = api.send(Sent::new(method, path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (status, allow), "{method} {path}");
        assert_eq!(answer.header("x-drydock-req").len(), 36, "{method} {path}");
        if let Some(title) = title {
            assert_eq!(answer.json(), json!({"title": title}), "{method} {path}");
            assert_eq!(answer.header("content-type"), "application/json", "{method} {path}");
        }
    }
    let extended = api.get("/health/extended").await.json();
    let details = json!({"errorCount": 0, "messageList": []});
    assert_eq!((&extended["kind"], &extended["code"], &extended["details"]), (&json!("Status"), &json!(200), &details));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_are_made_shown_and_deleted_as_the_sheet_says() {
    let Some((bed, api)) = started().await else { return };
    let post = async |kind: &str, body: &str| {
        api.send(Sent::new("POST", "/api/v1.0/tasks").header("content-type", kind).body(body.to_owned())).await
    };
    let json_kind = "application/json";
    let of = |action: &str| json!({"action": action, "design_ref": SITE}).to_string();
    let filter =
        |filter: Value| json!({"action": "verify_site", "design_ref": SITE, "node_filter": filter}).to_string();
    for (kind, body, status) in [
        (json_kind, of("verify_node"), 400),
        (json_kind, of("bootaction_report"), 400),
        (json_kind, of("noop"), 400),
        (json_kind, of("interrogate_oob"), 400),
        (json_kind, json!({"design_ref": SITE}).to_string(), 400),
        (json_kind, json!({"action": 1, "design_ref": SITE}).to_string(), 400),
        (json_kind, json!({"action": "verify_site"}).to_string(), 400),
        (json_kind, String::new(), 400),
        (json_kind, "{".into(), 400),
        (json_kind, "[]".into(), 400),
        ("text/plain", of("verify_site"), 400),
        (json_kind, filter(json!([])), 400),
        (json_kind, filter(json!({"node_names": ["a"]})), 400),
        (json_kind, filter(json!({"filter_set_type": "none", "filter_set": []})), 400),
        ("APPLICATION/json; charset=utf-8", of("verify_site"), 201),
        (json_kind, filter(Value::Null), 201),
        (
            json_kind,
            json!({"action": "verify_site", "design_ref": format!("file:///{}", "x".repeat(300))}).to_string(),
            201,
        ),
    ] {
        let answer = post(kind, &body).await;
        assert_eq!(answer.status, status, "{kind} {body}: {}", answer.text());
        if status == 400 {
            let shape = answer.json();
            assert_eq!((&shape["type"], &shape["retry"]), (&json!("error"), &json!(false)), "{body}");
        }
    }
    let made = api
        .send(
            Sent::new("POST", "/api/v1.0/tasks")
                .header("content-type", json_kind)
                .header("x-context-marker", "0A2C1F66-1111-4222-8333-444455556666")
                .header("x-end-user", "somebody")
                .body(
                    json!({"action": "verify_nodes", "design_ref": SITE, "node_filter": named(&["sto-02"])})
                        .to_string(),
                ),
        )
        .await;
    let task = made.json();
    let id = task["task_id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/api/v1.0/tasks/{id}"));
    let mut keys: Vec<&str> = task.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expected = [
        "kind",
        "apiVersion",
        "task_id",
        "action",
        "parent_task_id",
        "design_ref",
        "status",
        "result",
        "node_filter",
        "subtask_id_list",
        "created",
        "updated",
        "terminated",
        "created_by",
        "terminated_by",
        "terminate",
        "retry",
    ]
    .to_vec();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&task["kind"], &task["apiVersion"], &task["status"]), (&json!("Task"), &json!("v1"), &json!("queued")));
    assert_eq!((&task["created_by"], &task["retry"]), (&json!("ann"), &json!(0)));
    let created = task["created"].as_str().unwrap();
    assert!(created.len() == 32 && created.ends_with("+00:00") && &created[10..11] == " ", "{created}");
    let ended = api.ended(&id, Duration::from_secs(60)).await;
    assert_eq!(ended["created"].as_str(), created.strip_suffix("+00:00"));
    let message = &ended["result"]["details"]["messageList"][0];
    assert_eq!((&message["context_type"], &message["extra"]), (&json!("task"), &json!({})));
    assert_eq!(ended["result"]["details"]["errorCount"], 0);

    // Queries on one task, with every word for a boolean.
    let plain = ended.as_object().unwrap().len();
    for (query, status, shows) in [
        ("builddata=true", 200, "build_data"),
        ("builddata", 200, "build_data"),
        ("builddata=ON", 200, "build_data"),
        ("builddata=maybe", 400, ""),
        ("subtaskerrors=yes", 200, "subtask_errors"),
        ("subtaskerrors=2", 400, ""),
        ("layers=0", 200, ""),
        ("layers=none", 200, ""),
        ("layers=1", 200, "init_task_id"),
        ("layers=-1", 200, "init_task_id"),
        ("builddata=true&subtaskerrors=true&layers=-1", 200, "subtask_errors"),
    ] {
        let answer = api.get(&format!("/tasks/{id}?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        if status == 200 {
            let shown = answer.json();
            let shown = shown.as_object().unwrap();
            assert!(shows.is_empty() || shown.contains_key(shows), "{query}: {shown:?}");
            assert!(!shows.is_empty() || shown.len() == plain, "{query}: {shown:?}");
        }
    }
    let layers =
        async |layers: i64| api.get(&format!("/tasks/{id}?layers={layers}")).await.json().as_object().unwrap().len();
    // The task, a stage, and one part for the node; and beside them the id of the first.
    assert_eq!((layers(1).await, layers(2).await, layers(-1).await), (2, 3, 4));
    for path in ["/tasks/nonsense", "/tasks/nonsense/builddata", "/nodes/a%20b/builddata"] {
        assert_eq!(api.get(path).await.status, 404, "{path}");
    }
    let none = api.get(&format!("/tasks/{id}/builddata")).await;
    assert_eq!((none.status.as_u16(), none.body.len()), (404, 0));

    // Deleting: by days, with the word that the real client sends, and in plain text.
    for (query, status) in [("?days=None", 200), ("", 200), ("?days=-1", 400)] {
        let answer = api.send(Sent::new("DELETE", &format!("/api/v1.0/tasks{query}"))).await;
        assert_eq!(answer.status, status, "{query}");
    }
    assert_eq!(api.get(&format!("/tasks/{id}")).await.status, 200);
    wait_until("all tasks have ended", || async {
        let all = api.get("/tasks").await.json();
        all.as_array()?.iter().all(|task| task["status"] == "complete").then_some(())
    })
    .await;
    let deleted = api.send(Sent::new("DELETE", "/api/v1.0/tasks?days=0")).await;
    assert_eq!(deleted.status, 200);
    assert!(deleted.header("content-type").starts_with("text/plain") && deleted.text().ends_with("tasks deleted"));
    assert_eq!(api.get(&format!("/tasks/{id}")).await.status, 404);
    assert_eq!(api.get("/tasks").await.json(), json!([]));
    drop(bed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_select_by_the_documentation_and_in_the_designs_order() {
    let Some((_bed, api)) = started().await else { return };
    let one = |kind: &str, filter: Value| json!({"filter_set_type": kind, "filter_set": [filter]});
    let all = ["ctl-01", "ctl-02", "cmp-01", "cmp-02", "sto-01", "sto-02"];
    for (filter, expected) in [
        (Value::Null, all.to_vec()),
        (
            one("union", json!({"filter_type": "union", "node_names": ["sto-01", "ctl-01", "nobody"]})),
            vec!["ctl-01", "sto-01"],
        ),
        (one("union", json!({"filter_type": "union", "node_tags": ["worker"]})), vec!["cmp-01", "cmp-02"]),
        (
            one(
                "intersection",
                json!({"filter_type": "intersection", "node_labels": {"role": "storage", "color": "blue"}}),
            ),
            vec!["sto-01"],
        ),
        (one("union", json!({"filter_type": "union", "rack_names": ["rack-b"]})), vec!["ctl-02", "cmp-02", "sto-02"]),
        (
            one("union", json!({"filter_type": "union", "rack_labels": {"row": "north"}})),
            vec!["ctl-01", "cmp-01", "sto-01"],
        ),
        (one("union", json!({"filter_type": "union"})), vec![]),
    ] {
        let answer = api.post("/nodefilter", &json!({"design_ref": SITE, "node_filter": filter})).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!(expected)), "{filter}");
    }
    for body in [
        json!({"node_filter": null}),
        json!({"design_ref": 1}),
        json!({"design_ref": SITE, "node_filter": []}),
        json!({"design_ref": SITE, "node_filter": {"filter_set_type": "union"}}),
        json!({"design_ref": SITE, "node_filter": one("either", json!({"filter_type": "union", "node_names": []}))}),
        json!({"design_ref": SITE, "node_filter": one("union", json!({"filter_type": "intersection"}))}),
    ] {
        let answer = api.post("/nodefilter", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (400, &json!("error")), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validations_tell_what_is_wrong_in_the_shape_of_each_fault() {
    let Some((bed, api)) = started().await else { return };
    let site = std::fs::read_to_string(private(&bed).join("site.yaml")).unwrap();
    for (name, text) in [
        ("address.yaml", site.replace("10.20.1.11", "10.99.1.11")),
        ("shape.yaml", site.replace("  vendor: Slate", "  vendors: Slate")),
        ("kind.yaml", site.replace("drydock/Rack/v1", "drydock/Shelf/v1")),
        ("profile.yaml", site.replace("host_profile: worker-storage", "host_profile: nobody")),
        ("foreign.yaml", format!("{site}\n---\nschema: armada/Chart/v1\nmetadata: {{name: x}}\ndata: 1\n")),
    ] {
        std::fs::write(private(&bed).join(name), text).unwrap();
    }
    let post = async |kind: &str, body: &str| {
        let sent = Sent::new("POST", "/api/v1.0/validatedesign").header("content-type", kind);
        api.send(sent.body(body.to_owned())).await
    };
    for (kind, body) in [
        ("application/json", ""),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "{\"rel\": \"design\"}"),
        ("text/plain", "{\"href\": \"file:///site.yaml\"}"),
    ] {
        let answer = post(kind, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["type"]), (400, &json!("error")), "{kind} {body}");
    }
    for (name, status, word, messages) in [
        ("site.yaml", 200, "Success", Some(18)),
        ("foreign.yaml", 200, "Success", Some(18)),
        // A rule with an error has no line that says that it found none.
        ("address.yaml", 400, "Failure", Some(18)),
        ("shape.yaml", 400, "failure", Some(1)),
        ("kind.yaml", 400, "failure", Some(2)),
        ("profile.yaml", 400, "failure", Some(1)),
    ] {
        let answer =
            post("application/json", &json!({"href": format!("file:///{name}"), "rel": "x"}).to_string()).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        let found = answer.json();
        let list = found["details"]["messageList"].as_array().unwrap();
        assert_eq!((&found["status"], &found["code"]), (&json!(word), &json!(status)), "{name}");
        assert!(messages.is_none_or(|messages| messages == list.len()), "{name}: {list:#?}");
        let errors = list.iter().filter(|message| message["error"] == true).count();
        assert_eq!(found["details"]["errorCount"], json!(errors), "{name}");
        let shape = if name == "profile.yaml" { "context_type" } else { "diagnostic" };
        assert!(list.iter().all(|message| message.get(shape).is_some()), "{name}: {list:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_posted_action_ends_in_a_result_with_a_design_that_is_good_and_with_one_that_is_not() {
    let Some((bed, api)) = started().await else { return };
    let site = std::fs::read_to_string(private(&bed).join("site.yaml")).unwrap();
    std::fs::write(private(&bed).join("invalid.yaml"), site.replace("10.20.1.11", "10.99.1.11")).unwrap();
    std::fs::write(private(&bed).join("broken.yaml"), "a: [").unwrap();
    let one = &["sto-02"][..];
    for (action, good) in [
        ("validate_design", "success"),
        ("verify_site", "success"),
        ("prepare_site", "success"),
        ("verify_nodes", "success"),
        ("deploy_nodes", "failure"),
        ("prepare_nodes", "success"),
        ("relabel_nodes", "failure"),
        ("destroy_nodes", "success"),
    ] {
        let task = api.run(action, SITE, Some(one)).await;
        assert_eq!(task["result"]["status"], good, "{action}: {task:#}");
        for reference in ["file:///invalid.yaml", "file:///broken.yaml", "gopher://x/y"] {
            let task = api.run(action, reference, Some(one)).await;
            let errors = task["result"]["details"]["errorCount"].as_u64().unwrap();
            assert_eq!(
                (&task["result"]["status"], errors > 0),
                (&json!("failure"), true),
                "{action} {reference}: {task:#}"
            );
        }
    }
}
