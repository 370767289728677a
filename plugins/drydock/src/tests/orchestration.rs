//! Tasks at work: trees, results, retries, restarts, termination, many at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{REF, SITE, Service, named, texts};

/// The tree as lines, two blanks a layer, nodes' parts counted.
fn tree(service: &Service, id: &str) -> Vec<String> {
    let all: Value = service.get(&format!("/tasks/{id}?layers=-1")).send().expect(200).json();
    let mut lines = Vec::new();
    walk(&all, id, 0, &mut lines);
    lines
}

fn walk(all: &Value, id: &str, depth: usize, lines: &mut Vec<String>) {
    let task = &all[id];
    assert_eq!(task["status"], "complete", "{task:#}");
    lines.push(format!("{}{}", "  ".repeat(depth), task["action"].as_str().unwrap()));
    for part in task["subtask_id_list"].as_array().unwrap() {
        assert_eq!(all[part.as_str().unwrap()]["parent_task_id"], id);
        walk(all, part.as_str().unwrap(), depth + 1, lines);
    }
}

#[test]
fn trees_are_those_of_the_original() {
    let service = Service::new();
    let of = |action: &str, filter: Value| {
        let task = service.run(action, REF, filter);
        (tree(&service, task["task_id"].as_str().unwrap()).join("\n"), task)
    };
    assert_eq!(of("validate_design", Value::Null).0, "validate_design");
    assert_eq!(of("verify_site", Value::Null).0, "verify_site\n  validate_node_services");
    let expected =
        "prepare_site\n  create_network_template\n  configure_user_credentials\n  configure_node_provisioner";
    assert_eq!(of("prepare_site", Value::Null).0, expected);
    let expected = "verify_nodes\n  interrogate_oob\n    interrogate_oob\n  interrogate_oob\n    interrogate_oob";
    let (lines, task) = of("verify_nodes", named(&["ctl-01", "sto-02"]));
    assert_eq!((lines.as_str(), &task["result"]["successes"]), (expected, &json!([])));
    let one = "prepare_nodes\n  set_node_boot\n    set_node_boot\n  power_cycle_node\n    power_cycle_node\n  identify_node\n    \
               identify_node\n  configure_hardware\n    configure_hardware";
    assert_eq!(of("prepare_nodes", named(&["ctl-01"])).0, one);
    let (lines, task) = of("prepare_nodes", named(&["ctl-01", "ctl-02"]));
    let known =
        "  prepare_nodes\n    identify_node\n      identify_node\n    configure_hardware\n      configure_hardware\n";
    let fresh = one.lines().map(|line| format!("  {line}\n")).collect::<String>();
    assert_eq!(format!("{lines}\n"), format!("prepare_nodes\n{known}{fresh}"));
    assert_eq!(task["result"]["successes"], json!(["ctl-01", "ctl-02"]));
    let expected = "destroy_nodes\n  destroy_node\n    destroy_node\n    destroy_node";
    let (lines, task) = of("destroy_nodes", named(&["ctl-01", "ctl-02"]));
    assert_eq!((lines.as_str(), &task["result"]["status"]), (expected, &json!("success")));
    let (_, task) = of("relabel_nodes", named(&["ctl-01"]));
    assert_eq!((&task["result"]["status"], &task["result"]["failures"]), (&json!("failure"), &json!(["ctl-01"])));
}

#[test]
fn a_deployment_goes_from_design_to_report() {
    let service = Service::new();
    assert_eq!(service.run("prepare_nodes", REF, Value::Null)["result"]["status"], "success");
    let nodes: Vec<Value> = service.get("/nodes").send().expect(200).json();
    assert!(nodes.len() == 6 && nodes.iter().all(|node| node["status_name"] == "Ready"));
    let id = service.start("deploy_nodes", REF, Value::Null);
    // first-boot on six nodes, disk-tuning on two.
    for action in service.until_reports(8) {
        service
            .report(&action, &json!({"status": "Success", "details": [{"message": "m", "error": false}]}))
            .expect(200);
    }
    let task = service.drive(&id);
    assert_eq!((&task["status"], &task["result"]["status"]), (&json!("complete"), &json!("success")), "{task:#}");
    assert_eq!(task["result"]["successes"].as_array().unwrap().len(), 6);
    let lines = tree(&service, &id);
    let steps: Vec<&str> = lines
        .iter()
        .filter(|line| line.starts_with("  ") && !line.starts_with("    "))
        .map(|line| line.trim())
        .collect();
    assert_eq!(steps, ["apply_node_networking", "apply_node_platform", "deploy_node", "bootaction_report"]);
    assert_eq!(lines.len(), 1 + 4 + 3 * 6);
    let all: Vec<Value> = service.get("/tasks").send().json();
    assert_eq!(
        all.iter().filter(|task| task["action"] == "apply_node_storage").count(),
        7,
        "run, but not shown as a part"
    );
    let nodes: Vec<Value> = service.get("/nodes").send().json();
    assert!(nodes.iter().all(|node| node["status_name"] == "Deployed"));
    let said = texts(&task);
    assert!(said.iter().filter(|text| text.starts_with("Starting subtask")).count() == 4, "{said:?}");
    let data: Vec<Value> = service.get("/nodes/ctl-01/builddata?latest=True").send().expect(200).json();
    assert_eq!((data.len(), &data[0]["generator"]), (1, &json!("inventory")));
    let by_task: Vec<Value> =
        service.get(&format!("/tasks/{}/builddata", data[0]["task_id"].as_str().unwrap())).send().expect(200).json();
    assert_eq!(by_task, data);
    let left: Vec<String> =
        service.app.host().keys().into_iter().filter(|key| key.starts_with(['p', 'w', 'c', 'i', 'x', 'q'])).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(service.app.host().jobs().is_empty());
}

#[test]
fn nodes_that_fail_drop_out_and_the_rest_goes_on() {
    let service = Service::with(&[], json!({"oob": {"pretend": []}}));
    // Redfish is denied here; the one manual node comes through.
    let task = service.run("prepare_nodes", REF, named(&["ctl-01", "sto-02"]));
    assert_eq!(task["result"]["status"], "partial_success");
    assert_eq!((&task["result"]["successes"], &task["result"]["failures"]), (&json!(["sto-02"]), &json!(["ctl-01"])));
    let task = service.run("deploy_nodes", REF, named(&["ctl-01"]));
    assert_eq!((&task["result"]["status"], &task["result"]["failures"]), (&json!("failure"), &json!(["ctl-01"])));
    let ipmi = SITE.replace("type: redfish", "type: ipmi");
    let service = Service::with(&[("ipmi.yaml", &ipmi)], json!({}));
    let task = service.run("verify_nodes", "file:ipmi.yaml", named(&["ctl-01", "ctl-02", "sto-02"]));
    assert_eq!(task["result"]["status"], "partial_success");
    assert_eq!(texts(&task).iter().filter(|text| text.contains("no driver")).count(), 2);
    assert_eq!(task["subtask_id_list"].as_array().unwrap().len(), 1);
}

#[test]
fn nodes_that_cannot_be_deployed_are_tried_three_times() {
    let service = Service::with(&[], json!({"provisioner": {"type": "builtin", "wait_for_nodes": true}}));
    let operator = |method: &str, path: &str| service.app.request(method, path).surface("operator");
    for node in ["ctl-01", "ctl-02"] {
        operator("PUT", &format!("/inventory/{node}"))
            .json(&json!({"memory": 4096, "cpu_count": 8}))
            .send()
            .expect(200);
    }
    service.run("prepare_nodes", REF, named(&["ctl-01", "ctl-02"]));
    let id = service.start("deploy_nodes", REF, named(&["ctl-01", "ctl-02"]));
    let mut failed = 0;
    for _ in 0..60 {
        service.app.run_jobs();
        for (node, status) in [("ctl-01", "Failed deployment"), ("ctl-02", "Deployed")] {
            let machine: Value = operator("GET", &format!("/inventory/{node}")).send().json();
            if machine["status"] == "Deploying" {
                failed += usize::from(node == "ctl-01");
                operator("PUT", &format!("/inventory/{node}")).json(&json!({"status": status})).send().expect(200);
            }
        }
        if failed == 3 {
            break;
        }
    }
    let waiting = service.until_reports(1);
    service.report(&waiting[0], &json!({"status": "Success"})).expect(200);
    let task = service.drive(&id);
    assert_eq!(task["result"]["status"], "partial_success", "{task:#}");
    assert_eq!((&task["result"]["successes"], &task["result"]["failures"]), (&json!(["ctl-02"]), &json!(["ctl-01"])));
    let all: Vec<Value> = service.get("/tasks").send().json();
    let mut tries: Vec<i64> = all
        .iter()
        .filter(|task| task["action"] == "deploy_node" && task["subtask_id_list"] == json!([]))
        .filter(|task| task["node_filter"].to_string().contains("ctl-01"))
        .map(|task| task["retry"].as_i64().unwrap())
        .collect();
    tries.sort_unstable();
    assert_eq!(tries, [0, 1, 2]);
}

#[test]
fn whoever_installs_a_node_is_handed_all_of_its_design() {
    let service = Service::with(&[], json!({"provisioner": {"type": "builtin", "wait_for_nodes": true}}));
    let operator = |method: &str, path: &str| service.app.request(method, path).surface("operator");
    let shown = |path: &str| operator("GET", path).send().expect(200).json::<Value>();
    let status = |status: &str| {
        let body = json!({"status": status});
        operator("PUT", "/inventory/ctl-01").json(&body).send().expect(200);
    };
    // What all nodes share.
    assert_eq!(service.run("prepare_site", REF, Value::Null)["result"]["status"], "success");
    let site = shown("/site");
    assert_eq!(site["networks"]["networks"]["mgmt"]["cidr"], "10.20.1.0/24");
    assert!(site["keys"].is_array() && site["repositories"].is_object(), "{site:#}");
    // It is commissioned by somebody else, who fails once and tells what is in the machine.
    let lshw = "<list><node><businfo>pci@0000:00:03.0</businfo><logicalname>ens3</logicalname></node></list>";
    let data = json!({"generator": "lshw", "data_format": "text/xml", "data_element": lshw});
    operator("POST", "/inventory/ctl-01/builddata").json(&data).send().expect(204);
    status("Failed commissioning");
    let failed = service.run("prepare_nodes", REF, named(&["ctl-01"]));
    assert_eq!(failed["result"]["failures"], json!(["ctl-01"]), "{failed:#}");
    status("Testing");
    let id = service.start("prepare_nodes", REF, named(&["ctl-01"]));
    for _ in 0..8 {
        service.app.run_jobs();
    }
    assert_eq!(service.task(&id)["status"], "running");
    status("New");
    assert_eq!(service.drive(&id)["result"]["status"], "success");
    // And then it is handed the rest.
    service.start("deploy_nodes", REF, named(&["ctl-01"]));
    for _ in 0..20 {
        service.app.run_jobs();
    }
    let machine = shown("/inventory/ctl-01");
    assert_eq!(machine["status"], "Deploying", "{machine:#}");
    let of = |part: &str| machine["configuration"][part].clone();
    assert_eq!(of("network")["devices"]["nic_left"]["name"], "ens3");
    assert_eq!(
        (&of("network")["primary_network"], &of("network")["devices"]["nic_right"]["name"]),
        (&json!("mgmt"), &Value::Null)
    );
    assert_eq!(of("storage")["physical_devices"]["bootdisk"]["partitions"][0]["filesystem"]["fstype"], "ext4");
    assert_eq!(of("platform")["packages"], json!({"chrony": "4.2-2", "curl": null}));
    assert_eq!(of("platform")["tags"], json!(["control", "managed"]));
}

#[test]
fn more_nodes_than_a_record_holds_are_refused() {
    let mut site = SITE.split("---\nschema: 'drydock/BaremetalNode/v1'").next().unwrap().to_owned();
    site = site.replace("cidr: 10.20.1.0/24", "cidr: 10.20.0.0/16").replace("cidr: 10.20.0.0/24", "cidr: 10.99.0.0/24");
    for n in 0..900 {
        let (high, low) = (n / 250, n % 250 + 3);
        let long = "long".repeat(14);
        site.push_str(&format!(
            "---\nschema: drydock/BaremetalNode/v1\nmetadata: {{name: {long}-{n:03}}}\ndata:\n  host_profile: base\n  \
             oob: {{type: noop}}\n  addressing: [{{network: mgmt, address: 10.20.{high}.{low}}}]\n"
        ));
    }
    let service = Service::with(&[("long.yaml", &site)], json!({}));
    let task = service.run("deploy_nodes", "file:long.yaml", Value::Null);
    assert_eq!(task["result"]["status"], "failure");
    assert!(texts(&task)[0].starts_with("900 nodes are too many"), "{task:#}");
    // Without rounds of retries it is a smaller record.
    assert_eq!(service.run("verify_nodes", "file:long.yaml", Value::Null)["result"]["status"], "success");
}

#[test]
fn designs_that_do_not_load_or_are_not_valid_end_in_failure() {
    let wrong = SITE.replace("10.20.1.12", "10.20.1.11");
    let service = Service::with(&[("wrong", &wrong), ("none", "---\n")], json!({}));
    for action in ["validate_design", "verify_nodes", "prepare_nodes", "deploy_nodes", "destroy_nodes", "verify_site"] {
        for (reference, part) in [
            ("file:wrong", "10.20.1.11"),
            ("file:away", "no such file"),
            ("http://away/designs", "no route"),
            ("x", "scheme"),
        ] {
            let task = service.run(action, reference, Value::Null);
            assert_eq!(task["result"]["status"], "failure", "{action} {reference}");
            assert!(texts(&task).iter().any(|text| text.contains(part)), "{action} {reference}: {task:#}");
        }
    }
    let task = service.run("deploy_nodes", REF, named(&["nobody"]));
    assert_eq!((&task["result"]["status"], &task["subtask_id_list"]), (&json!("success"), &json!([])));
    assert_eq!(texts(&task).len(), 1);
}

#[test]
fn a_restart_in_the_middle_goes_on_where_it_was() {
    let mut service = Service::new();
    service.run("prepare_nodes", REF, Value::Null);
    let id = service.start("deploy_nodes", REF, Value::Null);
    let mut rounds = 0;
    while service.task(&id)["status"] != "complete" {
        rounds += 1;
        assert!(rounds < 200, "{:?}", service.app.host().jobs());
        // The store fails now and then, and the host restarts after every round.
        if rounds % 2 == 0 {
            service.app.host().fail_next_commit(plugbay_sdk::kv::Error::Storage("cut off".to_owned()));
        }
        service.app.run_jobs();
        service = service.restarted();
        let waiting: Vec<String> = service.app.host().keys().into_iter().filter(|key| key.starts_with("i/")).collect();
        if waiting.len() == 8 || rounds > 50 {
            for key in waiting {
                let action = key.rsplit('/').next().unwrap().to_owned();
                // A report is refused while the store fails, and comes again.
                while service.report(&action, &json!({"status": "Success"})).status == 503 {}
            }
        }
    }
    let task = service.drive(&id);
    assert_eq!((&task["status"], &task["result"]["status"]), (&json!("complete"), &json!("success")), "{task:#}");
    assert_eq!(tree(&service, &id).len(), 1 + 4 + 3 * 6);
}

#[test]
fn six_tasks_are_at_work_at_once_and_the_rest_waits_in_order() {
    let service = Service::with(&[], json!({"provisioner": {"type": "builtin", "wait_for_nodes": true}}));
    let ids: Vec<String> = (0..8).map(|_| service.start("prepare_nodes", REF, named(&["ctl-01"]))).collect();
    for _ in 0..10 {
        service.app.run_jobs();
    }
    let statuses = || ids.iter().map(|id| service.task(id)["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(statuses(), ["running", "running", "running", "running", "running", "running", "queued", "queued"]);
    service.app.put("/inventory/ctl-01").surface("operator").json(&json!({})).send().expect(200);
    for id in &ids {
        assert_eq!(service.drive(id)["result"]["status"], "success");
    }
}

#[test]
fn a_task_is_terminated_by_its_operator() {
    let service =
        Service::with(&[], json!({"provisioner": {"type": "builtin", "wait_for_nodes": true}, "tasks_at_once": 1}));
    let id = service.start("prepare_nodes", REF, named(&["ctl-01", "ctl-02"]));
    let next = service.start("verify_site", REF, Value::Null);
    let last = service.start("verify_site", REF, Value::Null);
    for _ in 0..6 {
        service.app.run_jobs();
    }
    let end = |id: &str| service.app.post(&format!("/tasks/{id}/terminate")).surface("operator").send();
    end(&last).expect(202);
    end(&id).expect(202);
    let part = service.task(&id)["subtask_id_list"][0].as_str().unwrap().to_owned();
    end(&part).expect(409);
    let task = service.drive(&id);
    assert_eq!(
        (&task["status"], &task["terminate"], &task["terminated_by"]),
        (&json!("terminated"), &json!(true), &json!("operator"))
    );
    assert_ne!(task["result"]["status"], "success");
    end(&id).expect(409);
    assert_eq!(service.drive(&next)["result"]["status"], "success", "its place goes to the next");
    assert_eq!(service.task(&last)["status"], "terminated");
    service.app.run_jobs();
    assert!(service.app.host().jobs().is_empty());
}

#[test]
fn a_node_that_never_shows_up_times_out() {
    let service = Service::with(&[], json!({"provisioner": {"type": "builtin", "wait_for_nodes": true}}));
    let id = service.start("prepare_nodes", REF, named(&["ctl-01"]));
    for _ in 0..8 {
        service.app.run_jobs();
    }
    service.clock.skip(std::time::Duration::from_secs(11 * 60));
    let task = service.drive(&id);
    assert_eq!(
        (&task["result"]["status"], &task["result"]["failures"]),
        (&json!("partial_success"), &json!(["ctl-01"]))
    );
}

#[test]
fn five_hundred_nodes_are_deployed_with_every_part_right() {
    let mut site = SITE.split("---\nschema: 'drydock/BaremetalNode/v1'").next().unwrap().to_owned();
    site = site.replace("cidr: 10.20.1.0/24", "cidr: 10.20.0.0/16").replace("cidr: 10.20.0.0/24", "cidr: 10.99.0.0/24");
    for n in 0..500 {
        let (high, low) = (n / 250, n % 250 + 3);
        site.push_str(&format!(
            "---\nschema: drydock/BaremetalNode/v1\nmetadata: {{name: n-{n:03}}}\ndata:\n  host_profile: base\n  \
             oob: {{type: noop}}\n  addressing: [{{network: mgmt, address: 10.20.{high}.{low}}}]\n"
        ));
    }
    site.push_str("---\nschema: drydock/BootAction/v1\nmetadata: {name: hello}\ndata: {assets: []}\n");
    let service = Service::with(&[("big.yaml", &site)], json!({}));
    for n in 0..500 {
        let machine = json!({"boot_mac": null, "boot_ip": null, "power_address": null, "memory": 1, "cpu_count": 1,
            "power_state": "on", "status": "Ready", "configuration": {}});
        service.app.host().put_json(&format!("h/n-{n:03}"), &machine);
    }
    let id = service.start("deploy_nodes", "file:big.yaml", Value::Null);
    for (index, action) in service.until_reports(500).iter().enumerate() {
        let status = if index % 100 == 0 { "Failure" } else { "Success" };
        service.report(action, &json!({"status": status})).expect(200);
    }
    let task = service.drive(&id);
    assert_eq!((&task["status"], &task["result"]["status"]), (&json!("complete"), &json!("partial_success")));
    assert_eq!(task["result"]["successes"].as_array().unwrap().len(), 495);
    assert_eq!(task["result"]["failures"].as_array().unwrap().len(), 5);
    let all: BTreeMap<String, Value> =
        service.get(&format!("/tasks/{id}?layers=-1&subtaskerrors=true")).send().expect(200).json();
    assert_eq!(all.len(), 2 + 1 + 4 + 3 * 500);
    let parts = all.values().filter(|part| part["kind"] == "Task" && part["parent_task_id"].is_string());
    assert!(parts.clone().all(|part| part["status"] == "complete"));
    assert_eq!(parts.filter(|part| part["result"]["status"] == "success").count(), 4 + 3 * 500 - 1);
}
