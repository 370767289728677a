//! Posting, showing, listing and deleting tasks.

use std::time::Duration;

use serde_json::{Value, json};

use super::{REF, Service, named};

#[test]
fn a_posted_task_is_queued_and_has_all_its_keys() {
    let service = Service::new();
    let body = json!({"action": "verify_site", "design_ref": "http://x/".to_owned() + &"y".repeat(300)});
    let answer = service.post("/tasks", &body).send().expect(201);
    let task: Value = answer.json();
    let id = task["task_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(format!("/api/v1.0/tasks/{id}").as_str()));
    let keys: Vec<&str> = task.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "action apiVersion created created_by design_ref kind node_filter parent_task_id result retry status \
                    subtask_id_list task_id terminate terminated terminated_by updated";
    assert_eq!(keys.join(" "), expected);
    assert_eq!((&task["status"], &task["kind"], &task["apiVersion"]), (&json!("queued"), &json!("Task"), &json!("v1")));
    assert_eq!((&task["created_by"], &task["result"]["status"]), (&json!("adm"), &json!("incomplete")));
    assert!(task["created"].as_str().unwrap().ends_with("+00:00"));
    let shown = service.task(id);
    assert!(!shown["created"].as_str().unwrap().contains('+') && shown["created"].as_str().unwrap().contains(' '));
    assert_eq!(service.get(&format!("/tasks/{}", id.to_uppercase())).send().status, 200);
}

#[test]
fn what_is_wrong_with_a_post_is_told() {
    let service = Service::new();
    for (body, part) in [
        (json!({"action": "deploy_node", "design_ref": REF}), "deploy_node"),
        (json!({"action": "noop", "design_ref": REF}), "noop"),
        (json!({"action": "bootaction_report", "design_ref": REF}), "bootaction_report"),
        (json!({"design_ref": REF}), "null"),
        (json!({"action": "verify_site"}), "design_ref"),
        (json!([]), "object"),
        (json!({"action": "verify_nodes", "design_ref": REF, "node_filter": []}), "node_filter"),
        (json!({"action": "verify_nodes", "design_ref": REF, "node_filter": {"node_names": []}}), "node_filter"),
    ] {
        let answer = service.post("/tasks", &body).send().expect(400);
        let error: Value = answer.json();
        assert!(error["type"] == "error" && error["message"].as_str().unwrap().contains(part), "{body}: {error}");
    }
    let post = || service.app.post("/api/v1.0/tasks").user("a", &["admin"]);
    post().send().expect(400);
    post().header("content-type", "application/json").body("{").send().expect(400);
    post()
        .header("content-type", "text/plain")
        .body(r#"{"action": "verify_site", "design_ref": "x"}"#)
        .send()
        .expect(400);
    let charset = post().header("content-type", "Application/JSON; charset=utf-8");
    charset.body(r#"{"action": "verify_site", "design_ref": "x"}"#).send().expect(201);
    service.get("/tasks/x").send().expect(404);
    service.get("/tasks/00000000-0000-4000-8000-000000000000").send().expect(404);
    service.get("/tasks/x/builddata").send().expect(404);
}

#[test]
fn layers_and_errors_of_subtasks_are_sent_with_the_tree() {
    let service = Service::with(&[], json!({"oob": {"pretend": []}}));
    let task = service.run("verify_nodes", REF, named(&["ctl-01", "sto-02"]));
    let id = task["task_id"].as_str().unwrap();
    let of = |query: &str| service.get(&format!("/tasks/{id}?{query}")).send().expect(200).json::<Value>();
    let count = |query: &str| of(query).as_object().unwrap().len();
    assert_eq!(of("layers=0"), task);
    assert_eq!(of("layers=x")["task_id"], task["task_id"]);
    assert_eq!((count("layers=1"), count("layers=2"), count("layers=-1"), count("layers=99")), (2, 4, 6, 6));
    let all = of("layers=-1&subtaskerrors=true&builddata");
    assert_eq!(all["init_task_id"], task["task_id"]);
    assert_eq!(all[id]["build_data"], json!([]));
    let errors = all["subtask_errors"].as_object().unwrap();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let (failed, result) = errors.iter().next().unwrap();
    assert_eq!((&result["task_id"], &result["details"]["errorCount"]), (&json!(failed), &json!(1)));
    let alone = of("subtaskerrors=true");
    assert_eq!((&alone["task_id"], &alone["subtask_errors"]), (&task["task_id"], &all["subtask_errors"]));
    service.get(&format!("/tasks/{id}?builddata=perhaps")).send().expect(400);
}

#[test]
fn a_list_has_subtasks_too_and_pages_cost_what_is_on_them() {
    let service = Service::new();
    service.run("verify_nodes", REF, Value::Null);
    let all: Vec<Value> = service.get("/tasks").send().expect(200).json();
    assert_eq!(all.len(), 1 + 2 + 6);
    assert!(all.iter().all(|task| task["result"]["details"]["messageList"].is_array()));
    let mut paged: Vec<Value> = Vec::new();
    loop {
        let marker =
            paged.last().map_or_else(String::new, |last| format!("&marker={}", last["task_id"].as_str().unwrap()));
        let page: Vec<Value> = service.get(&format!("/tasks?limit=4{marker}")).send().expect(200).json();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    service.get("/tasks?marker=x").send().expect(400);
    service.get("/tasks?limit=x").send().expect(400);
}

#[test]
fn old_tasks_are_deleted_with_all_that_is_theirs() {
    let service = Service::new();
    let old = service.run("verify_nodes", REF, Value::Null);
    service.clock.skip(Duration::from_secs(100 * 86_400));
    let young = service.run("verify_site", REF, Value::Null);
    service.delete("/tasks?days=-1").send().expect(400);
    assert!(service.delete("/tasks?days=101").send().expect(200).text().starts_with('0'));
    let answer = service.delete("/tasks?days=None").send().expect(200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    service.get(&format!("/tasks/{}", old["task_id"].as_str().unwrap())).send().expect(404);
    service.task(young["task_id"].as_str().unwrap());
    service.delete("/tasks?days=0").send().expect(200);
    service.app.run_jobs();
    let left = service.app.host().keys();
    assert!(left.iter().all(|key| key == "slots" || key.starts_with("d/")), "{left:?}");
}

#[test]
fn deleting_what_is_at_work_leaves_nothing_running() {
    let service = Service::new();
    let id = service.start("deploy_nodes", REF, Value::Null);
    service.app.run_jobs();
    service.delete("/tasks?days=0").send().expect(200);
    for _ in 0..5 {
        service.app.run_jobs();
    }
    assert!(service.app.host().jobs().is_empty(), "{:?}", service.app.host().jobs());
    service.get(&format!("/tasks/{id}")).send().expect(404);
    service.run("verify_site", REF, Value::Null);
}
