//! Configurations and the processes of load balancers.

use super::*;
use crate::digest::{md5_hex, peer_name};
use crate::machine::{Network, Output, State};

fn upload_path() -> String {
    format!("/1.0/loadbalancer/amp/{LB}/haproxy")
}

fn download_path() -> String {
    format!("/1.0/loadbalancer/{LB}/haproxy")
}

fn unknown() -> Value {
    json!({"message": "Loadbalancer Not Found", "details": format!("No loadbalancer with UUID: {LB}")})
}

fn process() -> String {
    format!("haproxy-{LB}")
}

#[test]
fn a_configuration_is_checked_kept_and_given_back_without_its_group() {
    let amphora = amphora();
    let sent = CONFIG.replace("user nobody\n", "user nobody\n    group nogroup\n");
    let answer = amphora.put(&upload_path(), &*sent);
    is(&answer, 202, json!({"message": "OK"}));
    assert_eq!(answer.header("etag"), Some(&*md5_hex(sent.as_bytes())));
    let done = amphora.machine.take_done();
    let check = format!("run haproxy -c -L {} -f /private/run/tmp/", peer_name("amp"));
    assert!(done.len() == 1 && done[0].starts_with(&check), "{done:?}");
    assert!(amphora.files.names("run/tmp").unwrap().is_empty());
    let answer = amphora.get(&download_path()).expect(200);
    assert_eq!(answer.text(), CONFIG);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(answer.header("etag"), Some(&*md5_hex(CONFIG.as_bytes())));
}

#[test]
fn what_haproxy_does_not_take_is_a_400_with_its_words_and_the_old_one_stays() {
    let amphora = amphora().configured();
    let words = Output { status: Some(1), text: "[ALERT] unknown keyword".into() };
    amphora.machine.outputs.borrow_mut().insert("haproxy".into(), words);
    let refused = json!({"message": "Invalid request", "details": "[ALERT] unknown keyword"});
    is(&amphora.put(&upload_path(), "bad"), 400, refused);
    assert_eq!(amphora.files.text(&format!("{LB}/haproxy.cfg.new-failed")).unwrap().unwrap(), "bad");
    assert_eq!(amphora.get(&download_path()).text(), CONFIG);
}

#[test]
fn a_configuration_that_runs_programs_is_refused_before_haproxy_sees_it() {
    let amphora = amphora();
    let document: Value = amphora.put(&upload_path(), "global\n  lua-load /x\n").expect(400).json();
    assert_eq!(document["message"], "Invalid request");
    assert!(document["details"].as_str().unwrap().contains("lua-load"));
    assert!(amphora.machine.take_done().is_empty() && amphora.files.names("").unwrap().is_empty());
}

#[test]
fn a_check_that_was_killed_says_nothing_of_the_configuration() {
    let amphora = amphora();
    amphora.machine.outputs.borrow_mut().insert("haproxy".into(), Output { status: None, text: String::new() });
    amphora.put(&upload_path(), CONFIG).expect(500);
    amphora.get(&download_path()).expect(404);
}

#[test]
fn a_configuration_that_is_no_text_is_a_500_and_one_of_megabytes_is_taken() {
    let amphora = amphora();
    amphora.put(&upload_path(), b"\xff".to_vec()).expect(500);
    let long = format!("{CONFIG}backend b\n{}", "    server m 10.0.0.9:80\n".repeat(120_000));
    amphora.put(&upload_path(), &*long).expect(202);
    assert_eq!(amphora.get(&download_path()).text().len(), long.len());
}

#[test]
fn an_unknown_load_balancer_and_an_unknown_action() {
    let amphora = amphora();
    is(&amphora.get(&download_path()), 404, unknown());
    is(&amphora.act("start"), 404, unknown());
    let action = json!({"message": "Invalid Request", "details": "Unknown action: haproxy"});
    is(&amphora.act("HAProxy"), 400, action);
    is(&amphora.delete(&format!("/1.0/listeners/{LB}")), 200, json!({"message": "OK"}));
}

#[test]
fn ids_that_cannot_be_are_unknown_and_not_uploaded_to() {
    let amphora = amphora();
    let details = "No loadbalancer with UUID: certs";
    let missing = json!({"message": "Loadbalancer Not Found", "details": details});
    is(&amphora.get("/1.0/loadbalancer/certs/haproxy"), 404, missing);
    let refused = json!({"message": "Invalid request", "details": "Not an id: a.sock"});
    is(&amphora.put("/1.0/loadbalancer/amp/a.sock/haproxy", CONFIG), 400, refused);
    amphora.put("/1.0/loadbalancer/amp/%2e%2e/haproxy", CONFIG).expect(404);
    assert!(amphora.files.names("").unwrap().is_empty());
}

#[test]
fn the_first_reload_starts_and_the_next_one_reloads() {
    let amphora = amphora().configured();
    amphora.machine.lines.borrow_mut().insert("show servers state".into(), "1\n# be_id\n".into());
    let started = format!("Configuration file is valid\nhaproxy daemon for {LB} started");
    is(&amphora.act("reload"), 202, json!({"message": "OK", "details": started}));
    let peer = peer_name("amp");
    let start = format!(
        "start {}: haproxy -Ws -f /private/{LB}/haproxy.run.cfg -p /private/{LB}/{LB}.pid -L {peer}",
        process()
    );
    assert_eq!(amphora.machine.take_done().last(), Some(&start));
    is(&amphora.act("RELOAD"), 202, json!({"message": "OK", "details": format!("Listener {LB} reloaded")}));
    assert_eq!(amphora.machine.take_done().last(), Some(&format!("signal {} 12", process())));
    assert!(amphora.files.text(&format!("{LB}/servers-state")).unwrap().is_some());
    let answer = amphora.act("start").expect(202);
    assert!(answer.text().contains("started") && amphora.machine.take_done().is_empty());
}

#[test]
fn a_stop_has_one_p_and_is_fine_twice() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    for _ in 0..2 {
        is(&amphora.act("stop"), 202, json!({"message": "OK", "details": format!("Listener {LB} stoped")}));
    }
    assert_eq!(amphora.machine.programs.borrow().get(&process()), None);
}

#[test]
fn passing_the_check_is_not_starting() {
    let amphora = amphora().configured();
    *amphora.machine.stillborn.borrow_mut() = true;
    let failed = json!({"message": "Error starting haproxy", "details": "cannot bind socket"});
    is(&amphora.act("reload"), 500, failed);
}

#[test]
fn a_reload_after_which_the_old_worker_still_answers_has_failed() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    let run = format!("{LB}/haproxy.run.cfg");
    let before = amphora.files.read(&run).unwrap();
    amphora.put(&upload_path(), CONFIG.replace("l1", "l2")).expect(202);
    *amphora.machine.deaf.borrow_mut() = true;
    let failed = json!({"message": "Error reloading haproxy", "details": " Loading failure!"});
    is(&amphora.act("reload"), 500, failed);
    assert_eq!(amphora.machine.clock.get(), 0, "what haproxy says is not waited for");
    assert!(matches!(amphora.machine.programs.borrow()[&process()], State::Running(_)));
    assert_eq!(amphora.files.read(&run).unwrap(), before);
}

#[test]
fn a_start_that_failed_is_over() {
    let amphora = amphora().configured();
    *amphora.machine.stillborn.borrow_mut() = true;
    amphora.act("start").expect(500);
    assert_eq!(amphora.machine.programs.borrow().get(&process()), None);
}

#[test]
fn a_start_that_another_call_was_faster_with_is_a_reload_if_that_was_asked_for() {
    let amphora = amphora().configured();
    amphora.machine.raced.set(true);
    amphora.act("reload").expect(202);
    assert_eq!(amphora.machine.take_done().last(), Some(&format!("signal {} 12", process())));
    amphora.act("stop").expect(202);
    amphora.act("start").expect(202);
    assert!(amphora.machine.take_done().last().unwrap().starts_with("start "));
}

#[test]
fn a_stop_leaves_no_signs_of_life() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    amphora.files.write(&format!("{LB}/{LB}.pid"), b"100\n").unwrap();
    amphora.files.write(&format!("{LB}.sock"), b"").unwrap();
    amphora.act("stop").expect(202);
    assert_eq!(amphora.files.read(&format!("{LB}/{LB}.pid")).unwrap(), None);
    assert_eq!(amphora.files.read(&format!("{LB}.sock")).unwrap(), None);
}

#[test]
fn addresses_are_announced_by_an_amphora_that_is_alone() {
    let amphora = amphora().configured();
    let port = Network { name: "eth1".into(), addresses: vec!["10.0.0.5".into()], ..Network::default() };
    amphora.machine.networks.borrow_mut().push(port);
    let announced = || {
        amphora.machine.take_done();
        amphora.app.run_jobs();
        amphora.machine.take_done()
    };
    amphora.act("reload").expect(202);
    assert_eq!(announced(), ["run arping -U -c 1 -w 1 -I eth1 10.0.0.5"]);
    amphora.put("/1.0/config", "[controller_worker]\nloadbalancer_topology = ACTIVE_STANDBY\n").expect(202);
    amphora.act("reload").expect(202);
    assert!(announced().is_empty());
}

#[test]
fn a_bad_file_is_found_before_what_runs_is_touched() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    amphora.machine.take_done();
    let words = Output { status: Some(1), text: "no such certificate".into() };
    amphora.machine.outputs.borrow_mut().insert("haproxy".into(), words);
    is(&amphora.act("reload"), 500, json!({"message": "Error reloading haproxy", "details": "no such certificate"}));
    assert!(!amphora.machine.take_done().iter().any(|done| done.starts_with("signal")));
}

#[test]
fn deletion_ends_the_process_and_forgets_everything() {
    let amphora = amphora().configured();
    amphora.put(&format!("/1.0/loadbalancer/{LB}/certificates/a.pem"), "x").expect(200);
    amphora.act("start").expect(202);
    is(&amphora.delete(&format!("/1.0/listeners/{LB}")), 200, json!({"message": "OK"}));
    assert!(amphora.machine.programs.borrow().is_empty());
    is(&amphora.get(&download_path()), 404, unknown());
    amphora.get(&format!("/1.0/loadbalancer/{LB}/certificates/a.pem")).expect(404);
    is(&amphora.get("/1.0/listeners"), 200, json!([]));
}

#[test]
fn listeners_are_active_whether_they_run_or_not_and_an_unreadable_file_is_a_500() {
    let amphora = amphora().configured();
    is(&amphora.get("/1.0/listeners"), 200, json!([{"status": "ACTIVE", "uuid": "l1", "type": "HTTP"}]));
    amphora.put("/1.0/loadbalancer/amp/other/haproxy", "frontend x\n    bind :80\n").expect(202);
    amphora.get("/1.0/listeners").expect(500);
}

#[test]
fn listeners_are_those_of_the_newest_configuration() {
    let amphora = amphora().configured();
    let version = Output { status: Some(0), text: "HAProxy version 2.6.12".into() };
    amphora.machine.outputs.borrow_mut().insert("haproxy".into(), version);
    let ids = || amphora.get("/1.0/details").expect(200).json::<Value>()["listeners"].clone();
    assert_eq!((ids(), ids()), (json!(["l1"]), json!(["l1"])));
    amphora.put(&upload_path(), CONFIG.replace("frontend l1", "frontend l2")).expect(202);
    assert_eq!(ids(), json!(["l2"]));
    amphora.delete(&format!("/1.0/listeners/{LB}")).expect(200);
    assert_eq!(ids(), json!([]));
}

#[test]
fn crt_lists_are_read_as_copies_with_the_paths_of_the_private_directory() {
    let amphora = amphora();
    let file = format!("/var/lib/octavia/certs/{LB}/l1.pem");
    let list = format!("/var/lib/octavia/certs/{LB}/c.pem\n");
    amphora.put(&format!("/1.0/loadbalancer/{LB}/certificates/l1.pem"), &*list).expect(200);
    let config = CONFIG.replace("bind 10.0.0.5:80", &format!("bind 10.0.0.5:443 ssl crt-list {file}"));
    amphora.put(&upload_path(), &*config).expect(202);
    let copy = amphora.files.text(&format!("{LB}/crt-list/l1.pem")).unwrap().unwrap();
    assert_eq!(copy, format!("/private/certs/{LB}/c.pem\n"));
    amphora.act("start").expect(202);
    let run = amphora.files.text(&format!("{LB}/haproxy.run.cfg")).unwrap().unwrap();
    assert!(run.contains(&format!("crt-list /private/{LB}/crt-list/l1.pem")));
    assert_eq!(amphora.get(&download_path()).text(), config);
}
