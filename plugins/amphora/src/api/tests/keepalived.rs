//! keepalived for VIPs and for LVS listeners, and heartbeats over all of it.

use super::*;
use crate::context::Context;
use crate::digest::md5_hex;
use crate::heartbeat::pulse::{self, Silence};
use crate::machine::State;
use crate::settings::{Agent, Settings};

const VRRP: &str = "vrrp_instance a {\n  state MASTER\n  interface eth1\n}\n";
const LVS: &str = "# Configuration for Listener x\nvirtual_server 10.0.0.5 53 {\n}\n";

#[test]
fn a_vrrp_configuration_is_kept_unless_it_runs_scripts() {
    let amphora = amphora();
    let answer = amphora.put("/1.0/vrrp/upload", VRRP);
    is(&answer, 200, json!({"message": "OK"}));
    assert_eq!(answer.header("etag"), Some(&*md5_hex(VRRP.as_bytes())));
    let bad = VRRP.replace("interface eth1", "notify /bin/sh");
    let refused = json!({"message": "Invalid request", "details": "line 3: notify may not run /bin/sh"});
    is(&amphora.put("/1.0/vrrp/upload", bad), 400, refused);
    assert_eq!(amphora.files.text("vrrp/octavia-keepalived.conf").unwrap().unwrap(), VRRP);
}

#[test]
fn a_start_of_a_running_keepalived_is_a_reload() {
    let amphora = amphora();
    let said = |details: &str| json!({"message": "OK", "details": details});
    let failed = json!({"message": "Failed to start octavia-keepalived service",
        "details": "there is no configuration"});
    is(&amphora.put("/1.0/vrrp/start", ""), 500, failed);
    amphora.put("/1.0/vrrp/upload", VRRP).expect(200);
    is(&amphora.put("/1.0/vrrp/start", ""), 202, said("keepalived started"));
    is(&amphora.put("/1.0/vrrp/start", ""), 202, said("keepalived reloaded"));
    is(&amphora.put("/1.0/vrrp/stop", ""), 202, said("keepalived stoped"));
    let unknown = json!({"message": "Invalid Request", "details": "Unknown action: pause"});
    is(&amphora.put("/1.0/vrrp/Pause", ""), 400, unknown);
}

#[test]
fn an_lvs_listener_is_kept_given_back_listed_and_deleted() {
    let amphora = without_machine();
    let missing = json!({"message": "UDP Listener Not Found", "details": "No UDP listener with UUID: l9"});
    is(&amphora.get("/1.0/listeners/l9/udp_listener"), 404, missing.clone());
    let answer = amphora.put("/1.0/listeners/amp/l9/udp_listener", LVS);
    is(&answer, 200, json!({"message": "OK"}));
    assert_eq!(answer.header("etag"), Some(&*md5_hex(LVS.as_bytes())));
    let answer = amphora.get("/1.0/listeners/l9/udp_listener").expect(200);
    assert_eq!((answer.text(), answer.header("etag")), (LVS, None));
    is(&amphora.get("/1.0/listeners"), 200, json!([{"status": "OFFLINE", "uuid": "l9", "type": "UDP"}]));
    is(&amphora.delete("/1.0/listeners/l9"), 200, json!({"message": "OK"}));
    is(&amphora.get("/1.0/listeners/l9/udp_listener"), 404, missing);
}

#[test]
fn a_reload_of_an_lvs_listener_is_a_restart() {
    let amphora = amphora();
    amphora.put("/1.0/listeners/amp/l9/udp_listener", LVS).expect(200);
    let said = |done: &str| json!({"message": "OK", "details": format!("keepalivedlvs listener l9 {done}")});
    for (action, done) in [("start", "started"), ("reload", "restarted"), ("stop", "stoped")] {
        is(&amphora.put(&format!("/1.0/loadbalancer/l9/{action}"), ""), 202, said(done));
    }
    let done = amphora.machine.take_done();
    let verbs: Vec<_> = done.iter().filter_map(|done| done.split(' ').next()).collect();
    assert_eq!(verbs, ["start", "stop", "start", "stop"]);
    *amphora.machine.stillborn.borrow_mut() = true;
    let failed = json!({"message": "Failed to restart keepalivedlvs listener l9", "details": "cannot bind socket"});
    is(&amphora.put("/1.0/loadbalancer/l9/reload", ""), 500, failed);
}

#[test]
fn heartbeats_go_out_unless_keepalived_ought_to_run_and_does_not() {
    let amphora = amphora().configured();
    amphora.act("start").expect(202);
    let stat = "# pxname,svname,status,bin\nl1,FRONTEND,OPEN,5\n";
    amphora.machine.lines.borrow_mut().insert("show stat -1 1 -1".into(), stat.into());
    let agent = Agent {
        amphora_id: "amp".into(),
        heartbeat_key: "k".into(),
        controller_ip_port_list: vec!["192.0.2.1:5555".into()],
        ..Agent::default()
    };
    let settings = Settings { agent, ..Settings::default() };
    let context = Context { files: &*amphora.files, machine: &*amphora.machine, settings: &settings };
    let told = |message: crate::heartbeat::message::Message| (message.seq, message.listeners["l1"].stats.rx);
    let after = |seconds: u64| {
        amphora.machine.clock.set(amphora.machine.clock.get() + seconds * 1000);
        pulse::beat(context).unwrap()
    };
    assert_eq!(after(0).map(told), Ok((0, 5)));
    assert_eq!(after(1).map(told), Err(Silence::TooSoon));
    assert_eq!(after(9).map(told), Ok((1, 0)));
    pulse::restarted().unwrap();
    assert_eq!(after(1).map(told), Err(Silence::TooSoon), "a version that follows another waits its turn");
    assert_eq!(after(9).map(told), Ok((0, 0)));
    amphora.put("/1.0/vrrp/upload", VRRP).expect(200);
    assert_eq!(after(10).map(told), Err(Silence::KeepalivedDead));
    amphora.machine.programs.borrow_mut().insert("keepalived-vrrp".into(), State::Running(1));
    amphora.machine.lines.borrow_mut().clear();
    let silent = after(0).unwrap();
    assert!(silent.listeners.is_empty(), "a socket that does not answer is left out");
    assert_eq!(amphora.machine.sent.borrow().len(), 4);
}
