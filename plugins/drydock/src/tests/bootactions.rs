//! Archives and reports, while and after a node is deployed.

use std::io::Read as _;

use serde_json::{Value, json};

use super::{REF, Service, named, texts};

fn deploying(nodes: &[&str], reports: usize) -> (Service, String, Vec<String>) {
    let service = Service::new();
    service.run("prepare_nodes", REF, named(nodes));
    let id = service.start("deploy_nodes", REF, named(nodes));
    let actions = service.until_reports(reports);
    (service, id, actions)
}

#[test]
fn archives_need_the_nodes_own_key() {
    let (service, _, actions) = deploying(&["ctl-01", "cmp-02"], 3);
    let key_of = |node: &str| -> String {
        let answer = service.app.get(&format!("/bootactions/{node}")).surface("operator").send().expect(200);
        answer.json::<Value>()["key"].as_str().unwrap().to_owned()
    };
    let (own, other) = (key_of("ctl-01"), key_of("cmp-02"));
    assert!(own.len() == 64 && own != other);
    let files = |node: &str| service.app.get(&format!("/api/v1.0/bootactions/nodes/{node}/files"));
    files("nobody").send().expect(404);
    let answer = files("ctl-01").user("adm", &["admin"]).send().expect(401);
    assert_eq!(answer.header("www-authenticate"), Some("Bootaction-Key"));
    files("ctl-01").header("x-bootaction-key", "").send().expect(401);
    files("ctl-01").header("x-bootaction-key", "not hex").send().expect(403);
    files("ctl-01").header("x-bootaction-key", other).send().expect(403);
    let answer = files("ctl-01").header("X-Bootaction-Key", own.to_uppercase()).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("application/gzip"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"ctl-01-file.tar.gz\""));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let id = actions.iter().find(|id| service.action(id)["node_name"] == "ctl-01").unwrap();
    assert!(text.contains(&format!("URL=\"http://localhost:9000/api/v1.0/bootactions/{id}\"")), "{text}");
    assert!(text.contains(&own));
    let units = service.app.get("/api/v1.0/bootdata/ctl-01/units/").header("x-bootaction-key", own).send().expect(200);
    assert!(units.header("content-disposition").unwrap().contains("ctl-01-unit.tar.gz"));
}

#[test]
fn keys_are_in_no_answer_of_the_api() {
    let (service, id, actions) = deploying(&["ctl-01"], 1);
    let key = service.action(&actions[0])["key"].as_str().unwrap().to_owned();
    let body = json!({"details": [{"message": "half-way", "error": false, "step": 1}]});
    let report = service.report(&actions[0], &body).expect(200);
    for text in [
        report.text().to_owned(),
        service.get("/tasks").send().text().to_owned(),
        service.get(&format!("/tasks/{id}?layers=-1&subtaskerrors=true&builddata")).send().text().to_owned(),
        service.get("/nodes").send().text().to_owned(),
        service.get("/nodes/ctl-01/builddata").send().text().to_owned(),
    ] {
        assert!(!text.contains(&key), "{text}");
    }
}

#[test]
fn reports_are_checked_in_order_and_taken_until_the_final_one() {
    let (service, id, actions) = deploying(&["ctl-01", "ctl-02"], 2);
    let (own, other) = (&actions[0], &actions[1]);
    let key = service.action(own)["key"].as_str().unwrap().to_owned();
    let wrong = service.action(other)["key"].as_str().unwrap().to_owned();
    let post = |id: &str| service.app.post(&format!("/api/v1.0/bootactions/{id}"));
    let ok = json!({"status": "Success"});
    post("x").json(&ok).send().expect(404);
    post(&own.to_lowercase()).header("x-bootaction-key", &*key).json(&ok).send().expect(404);
    post(own).json(&ok).user("adm", &["admin"]).send().expect(401);
    post(own).header("x-bootaction-key", wrong).json(&ok).send().expect(403);
    post(own).header("x-bootaction-key", "zz").json(&ok).send().expect(403);
    post(own).header("x-bootaction-key", &*key).send().expect(400);
    post(own).header("x-bootaction-key", &*key).json(&json!({"state": 1})).send().expect(400);
    service.report(own, &json!({})).expect(200);
    let details = json!({"status": "Success", "details": [{"message": "done", "error": false, "took": 3}]});
    // With the slash that the node-side reporter sends, and by the documented path.
    let path = format!("/api/v1.0/bootaction/{own}/");
    let answer = service.app.post(&path).header("x-bootaction-key", &*key).json(&details).send().expect(200);
    let body: Value = answer.json();
    assert_eq!(body["action_status"], "success");
    assert_eq!(body.as_object().unwrap().len(), 5);
    let answer = service.report(own, &json!({"status": "Failure"})).expect(409);
    assert!(answer.json::<Value>()["title"].is_string());
    service.report(own, &json!({"status": "nonsense"})).expect(400);
    let deploy = service.task(body["task_id"].as_str().unwrap());
    assert_eq!(deploy["action"], "deploy_node");
    let said = deploy["result"]["details"]["messageList"].as_array().unwrap();
    let message = said.iter().find(|message| message["message"] == "done").unwrap();
    assert_eq!((&message["context_type"], &message["context"]), (&json!("bootaction"), &json!(own)));
    assert_eq!(message["extra"], json!({"took": 3}));
    service.report(other, &json!({"status": "failure"})).expect(200);
    let task = service.drive(&id);
    assert_eq!(task["result"]["status"], "partial_success");
    let node = |id: &String| json!([service.action(id)["node_name"]]);
    assert_eq!((&task["result"]["successes"], &task["result"]["failures"]), (&node(own), &node(other)));
}

#[test]
fn details_of_a_long_report_stay_in_their_order() {
    let (service, _, actions) = deploying(&["ctl-01"], 1);
    let details: Vec<Value> = (0..200).map(|n| json!({"message": format!("step {n}"), "error": false})).collect();
    let answer: Value = service.report(&actions[0], &json!({"details": details})).expect(200).json();
    let said = texts(&service.task(answer["task_id"].as_str().unwrap()));
    let steps: Vec<&str> = said.iter().filter_map(|text| text.strip_prefix("step ")).collect();
    assert_eq!(steps, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
    let more = vec![json!({"message": "m", "error": false}); 201];
    service.report(&actions[0], &json!({"details": more})).expect(400);
}

#[test]
fn actions_without_a_signal_are_never_reported() {
    let (service, _, _) = deploying(&["ctl-01"], 1);
    let keys = service.app.host().keys();
    let quiet =
        keys.iter().filter_map(|key| key.strip_prefix("a/")).find(|id| service.action(id)["action_name"] == "motd");
    service.report(quiet.unwrap(), &json!({"status": "Success"})).expect(409);
}

#[test]
fn a_new_deployment_replaces_the_key_and_old_actions_keep_theirs() {
    let (service, id, actions) = deploying(&["ctl-01"], 1);
    service.report(&actions[0], &json!({"status": "Success"})).expect(200);
    assert_eq!(service.drive(&id)["result"]["status"], "success");
    service.start("deploy_nodes", REF, named(&["ctl-01"]));
    let again = service.until_reports(1);
    let (old, new) = (service.action(&actions[0]), service.action(&again[0]));
    assert_ne!(old["key"], new["key"]);
    service.report(&actions[0], &json!({"status": "Success"})).expect(409);
    let files = |key: &Value| {
        let key = key.as_str().unwrap().to_owned();
        service.app.get("/api/v1.0/bootactions/nodes/ctl-01/files").header("x-bootaction-key", key).send().status
    };
    assert_eq!((files(&old["key"]), files(&new["key"])), (403, 200));
}

#[test]
fn reports_that_never_come_time_out() {
    let (service, id, _) = deploying(&["ctl-01"], 1);
    for _ in 0..6 {
        service.app.run_jobs();
    }
    service.clock.skip(std::time::Duration::from_secs(16 * 60));
    let task = service.drive(&id);
    assert_eq!(
        (&task["result"]["status"], &task["result"]["failures"]),
        (&json!("partial_success"), &json!(["ctl-01"]))
    );
    let last = task["subtask_id_list"].as_array().unwrap().last().unwrap().as_str().unwrap();
    let report = service.task(last);
    assert_eq!(report["action"], "bootaction_report");
    assert!(texts(&report).iter().any(|text| text.ends_with("timed out")), "{report:#}");
}
