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

const CHECKED: &str = "vrrp_script check_script {\n  script /var/lib/octavia/vrrp/check_script.sh\n}\n";

fn with_shell() -> Amphora {
    let fake = Rc::new(Fake::default());
    on(fake.clone(), fake, &json!({"require_client_certificate": false, "keepalived_shell": "/bin/sh"}))
}

#[test]
fn a_check_that_cannot_be_run_is_said_so_at_upload() {
    let why = "vrrp/check_script.sh cannot be run: the operator has configured no keepalived_shell for the plugin";
    let failed = json!({"message": "Error enabling octavia-keepalived service", "details": why});
    is(&amphora().put("/1.0/vrrp/upload", CHECKED), 500, failed);
    let udp = "real_server 10.0.0.9 53 {\n  misc_path \"/var/lib/octavia/lvs/check/udp_check.sh 10.0.0.9 53\"\n}\n";
    let conflict: Value = amphora().put("/1.0/listeners/amp/l9/udp_listener", udp).expect(409).json();
    assert_eq!(conflict["http_code"], 409);
    with_shell().put("/1.0/listeners/amp/l9/udp_listener", udp).expect(200);
}

#[test]
fn keepalived_is_given_a_copy_in_which_the_shell_runs_the_check() {
    let amphora = with_shell();
    amphora.put("/1.0/vrrp/upload", CHECKED).expect(200);
    amphora.put("/1.0/vrrp/start", "").expect(202);
    let copy = amphora.files.text("vrrp/octavia-keepalived.run.conf").unwrap().unwrap();
    assert!(copy.contains("script \"/bin/sh /private/vrrp/check_script.sh\""), "{copy}");
    assert!(amphora.files.text("vrrp/check_script.sh").unwrap().unwrap().contains("/private/vrrp/check_failed"));
    let start = "start keepalived-vrrp: keepalived --dont-fork --log-console -f \
                 /private/vrrp/octavia-keepalived.run.conf -p /private/vrrp/octavia-keepalived.pid \
                 -r /private/vrrp/octavia-keepalived.vrrp.pid -c /private/vrrp/octavia-keepalived.check.pid";
    assert_eq!(amphora.machine.take_done().last().unwrap(), start);
}

#[test]
fn an_amphora_is_fit_for_the_vips_while_all_that_was_started_answers() {
    let amphora = amphora();
    let settings = Settings::default();
    let context = Context { files: &*amphora.files, machine: &*amphora.machine, settings: &settings };
    let failed = || {
        crate::keepalived::check::look(context).unwrap();
        amphora.files.text("vrrp/check_failed").unwrap()
    };
    assert_eq!(failed(), None, "without a configuration of keepalived nobody asks");
    amphora.put("/1.0/vrrp/upload", VRRP).expect(200);
    assert_eq!(failed().as_deref(), Some("there is no load balancer"));
    let amphora = amphora.configured();
    let context = Context { files: &*amphora.files, machine: &*amphora.machine, settings: &settings };
    let failed = || {
        crate::keepalived::check::look(context).unwrap();
        amphora.files.text("vrrp/check_failed").unwrap()
    };
    assert_eq!(failed(), None);
    amphora.act("start").expect(202);
    assert_eq!(failed(), None);
    amphora.machine.silent.set(true);
    assert!(failed().unwrap().contains("does not answer"));
    amphora.machine.silent.set(false);
    assert_eq!(failed(), None);
    amphora.machine.programs.borrow_mut().insert(format!("haproxy-{LB}"), State::Exited(None));
    assert!(failed().unwrap().contains("has ended"));
    amphora.act("stop").expect(202);
    amphora.machine.programs.borrow_mut().clear();
    assert_eq!(failed(), None);
}

#[test]
fn lvs_listeners_are_in_heartbeats_if_ipvsadm_tells_of_them() {
    let amphora = amphora();
    amphora.put("/1.0/listeners/amp/l9/udp_listener", LVS).expect(200);
    let context_settings = Settings::default();
    let context = Context { files: &*amphora.files, machine: &*amphora.machine, settings: &context_settings };
    assert!(crate::keepalived::lvs::rows(context).unwrap().is_empty(), "it does not run");
    amphora.put("/1.0/loadbalancer/l9/start", "").expect(202);
    let table = "UDP  10.0.0.5:53   7 1 1 30 40\n";
    let said = crate::machine::Output { status: Some(0), text: table.into() };
    amphora.machine.outputs.borrow_mut().insert("ipvsadm".into(), said);
    let rows = crate::keepalived::lvs::rows(context).unwrap();
    assert_eq!((rows[0].proxy.as_str(), rows[0].stot, rows[0].bin, rows[0].bout), ("l9", 7, 30, 40));
    let failed = crate::machine::Output { status: Some(1), text: "Can't initialize ipvs".into() };
    amphora.machine.outputs.borrow_mut().insert("ipvsadm".into(), failed);
    assert!(crate::keepalived::lvs::rows(context).is_err());
}

#[test]
fn a_keepalived_whose_children_die_has_not_started() {
    let amphora = amphora();
    amphora.put("/1.0/vrrp/upload", VRRP).expect(200);
    amphora.machine.printed.borrow_mut().push_str("; VRRP child process(7) died: Respawning");
    let answer = amphora.put("/1.0/vrrp/start", "").expect(500);
    assert!(answer.text().contains("Respawning"));
    assert!(amphora.machine.programs.borrow().is_empty());
}
