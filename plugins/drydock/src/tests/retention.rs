//! What stays when tasks are deleted, and what goes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{REF, Service, named};

const DAY: Duration = Duration::from_secs(86_400);

fn keys(service: &Service, prefix: &str) -> Vec<String> {
    service.app.host().keys().into_iter().filter(|key| key.starts_with(prefix)).collect()
}

/// Deploy a node and report for all of its boot actions.
fn deploy(service: &Service, node: &str, reports: usize) {
    let id = service.start("deploy_nodes", REF, named(&[node]));
    for action in service.until_reports(reports) {
        service.report(&action, &json!({"status": "success"})).expect(200);
    }
    assert_eq!(service.drive(&id)["result"]["status"], "success");
}

/// Delete all tasks, and let the sweep go through.
fn delete_all(service: &Service) {
    service.run("verify_site", REF, Value::Null);
    service.delete("/tasks?days=0").send().expect(200);
    for _ in 0..10 {
        service.app.run_jobs();
    }
    assert!(service.app.host().jobs().is_empty(), "{:?}", service.app.host().jobs());
}

#[test]
fn build_data_and_boot_actions_go_with_their_task_unless_they_are_the_present_ones() {
    let service = Service::new();
    for _ in 0..3 {
        service.run("prepare_nodes", REF, named(&["ctl-01"]));
        deploy(&service, "ctl-01", 1);
    }
    // Two boot actions for each deployment, one record for each preparation.
    assert_eq!((keys(&service, "b/ctl-01/").len(), keys(&service, "a/").len()), (3, 6));
    let before = keys(&service, "b/ctl-01/");
    delete_all(&service);
    assert_eq!(keys(&service, "b/ctl-01/"), before[2..], "the newest record stays");
    assert_eq!(keys(&service, "a/").len(), 2);
    let shown: Value = service.get("/nodes/ctl-01/builddata").send().expect(200).json();
    assert_eq!(shown.as_array().unwrap().len(), 1);
    // The deployed node still gets what it was deployed with.
    let context = service.app.get("/bootactions/ctl-01").surface("operator").send().expect(200).json::<Value>();
    let files = service.app.get("/api/v1.0/bootactions/nodes/ctl-01/files");
    files.header("x-bootaction-key", context["key"].as_str().unwrap()).send().expect(200);
    // A task that is there keeps all that is its own.
    service.run("prepare_nodes", REF, named(&["sto-02"]));
    deploy(&service, "sto-02", 1);
    service.clock.skip(100 * DAY);
    service.run("prepare_nodes", REF, named(&["sto-02"]));
    service.delete("/tasks").send().expect(200);
    service.app.run_jobs();
    service.app.run_jobs();
    assert_eq!(keys(&service, "b/sto-02/").len(), 1);
}

#[test]
fn a_node_that_is_destroyed_leaves_nothing_in_the_end() {
    let service = Service::new();
    service.run("prepare_nodes", REF, named(&["ctl-01"]));
    deploy(&service, "ctl-01", 1);
    service.run("destroy_nodes", REF, named(&["ctl-01"]));
    assert_eq!(keys(&service, "n/"), [""; 0]);
    service.app.get("/bootactions/ctl-01").surface("operator").send().expect(404);
    delete_all(&service);
    assert_eq!(keys(&service, "a/"), [""; 0]);
    // What boot actions are made of is spared for a day, and the newest build data for a year.
    assert!(!keys(&service, "d/").is_empty() && !keys(&service, "b/").is_empty());
    service.clock.skip(2 * DAY);
    delete_all(&service);
    assert_eq!(keys(&service, "d/"), [""; 0]);
    assert_eq!(keys(&service, "b/").len(), 1);
    service.clock.skip(365 * DAY);
    delete_all(&service);
    let left = service.app.host().keys();
    assert!(left.iter().all(|key| key == "slots"), "{left:?}");
}

#[test]
fn the_design_of_a_task_at_work_is_not_swept_away_under_it() {
    let service = Service::new();
    service.run("prepare_nodes", REF, named(&["cmp-02"]));
    let id = service.start("deploy_nodes", REF, named(&["cmp-02"]));
    let actions = service.until_reports(2);
    service.clock.skip(Duration::from_secs(60));
    service.app.run_periodic("sweep-daily");
    for _ in 0..5 {
        service.app.run_jobs();
    }
    for action in &actions {
        service.report(action, &json!({"status": "success"})).expect(200);
    }
    assert_eq!(service.drive(&id)["result"]["status"], "success");
}
