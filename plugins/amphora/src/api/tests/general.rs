//! Versions, routing faults, facts, and what is denied.

use super::*;

#[test]
fn the_version_is_told_at_the_root_and_at_two_slashes() {
    let amphora = amphora();
    for target in ["/", "//"] {
        is(&amphora.get(target), 200, json!({"api_version": "1.0"}));
    }
}

#[test]
fn routing_faults_are_the_hosts_in_json() {
    let amphora = amphora();
    for target in ["/1.0/nothing", "/0.5/info", "/info", "/1.0/info/", "/1.0/loadbalancer/a%2fb/haproxy"] {
        assert!(amphora.get(target).expect(404).by_host, "{target}");
    }
    assert!(amphora.get("/1.0/listeners/x").expect(405).by_host);
    let errors = amphora.app.descriptor().surfaces[0].errors.as_ref().unwrap();
    assert_eq!(errors.content_type, "application/json");
    let filled = [("{status}", "404"), ("{reason}", "Not Found"), ("{detail}", "No such path.")]
        .iter()
        .fold(errors.body.clone(), |text, (name, value)| text.replace(name, value));
    let document: Value = serde_json::from_str(&filled).unwrap();
    assert_eq!(document, json!({"error": "404 Not Found: No such path.", "http_code": 404}));
}

#[test]
fn a_caller_without_certificate_is_refused_unless_the_operator_says_so() {
    let fake = Rc::new(Fake::default());
    let amphora = on(fake.clone(), fake, &json!({}));
    for target in ["/", "/1.0/info"] {
        amphora.get(target).expect(401);
    }
    amphora.put("/1.0/config", "[DEFAULT]\n").expect(401);
}

#[test]
fn what_needs_programs_is_a_500_where_they_are_denied() {
    let amphora = without_machine();
    let config = format!("/1.0/loadbalancer/amp/{LB}/haproxy");
    for answer in [
        amphora.get("/1.0/info"),
        amphora.get("/1.0/details"),
        amphora.put(&config, CONFIG),
        amphora.put("/1.0/vrrp/start", ""),
        amphora.get("/1.0/interface/10.0.0.1"),
    ] {
        let answer = answer.expect(500);
        let text = answer.text();
        assert!(text.contains("the operator denies `"), "{text}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    amphora.get(&format!("/1.0/loadbalancer/{LB}/haproxy")).expect(404);
    is(&amphora.get("/1.0/listeners"), 200, json!([]));
    amphora.delete(&format!("/1.0/listeners/{LB}")).expect(200);
}

#[test]
fn versions_are_asked_for_once_for_each_revision_of_a_program() {
    let amphora = amphora();
    let said = |text: &str| crate::machine::Output { status: Some(0), text: text.to_owned() };
    let set = |text: &str| amphora.machine.outputs.borrow_mut().insert("haproxy".into(), said(text));
    set("HAProxy version 2.6.12 2025/01/01\n");
    amphora.get("/1.0/details").expect(200);
    amphora.machine.take_done();
    amphora.get("/1.0/details").expect(200);
    assert!(!amphora.machine.take_done().iter().any(|done| done.starts_with("run haproxy")));
    set("HAProxy version 3.0.1 2026/01/01\n");
    amphora.machine.revision.set(2);
    assert_eq!(amphora.get("/1.0/info").json::<Value>()["haproxy_version"], "3.0.1");
}

#[test]
fn info_and_details_come_from_the_machine() {
    let amphora = amphora().configured();
    let said = |text: &str| crate::machine::Output { status: Some(0), text: text.to_owned() };
    let outputs = [
        ("haproxy", "HAProxy version 2.6.12-1+deb12u4 2025/01/01\n"),
        ("keepalived", "Keepalived v2.2.7 (01/16,2022)\n"),
        ("ipvsadm", "ipvsadm v1.31 2019/12/24\n"),
    ];
    amphora.machine.outputs.borrow_mut().extend(outputs.map(|(program, text)| (program.to_owned(), said(text))));
    let info = json!({"hostname": "amphora-1", "haproxy_version": "2.6.12-1+deb12u4", "api_version": "1.0",
        "keepalived_version": "2.2.7", "ipvsadm_version": "1.31"});
    is(&amphora.get("/1.0/info"), 200, info);
    let details: Value = amphora.get("/1.0/details").expect(200).json();
    assert_eq!((&details["haproxy_count"], &details["listeners"]), (&json!(0), &json!(["l1"])));
}

#[test]
fn the_agents_own_certificate_is_kept_if_it_could_serve() {
    let amphora = amphora();
    let block = |label: &str| format!("-----BEGIN {label}-----\nQUJD\n-----END {label}-----\n");
    let (certificate, key) = (block("CERTIFICATE"), block("RSA PRIVATE KEY"));
    is(&amphora.put("/1.0/certificate", &*key), 400, json!({"message": "No certificate found"}));
    is(&amphora.put("/1.0/certificate", &*certificate), 400, json!({"message": "No RSA key found"}));
    assert_eq!(amphora.files.read("server.pem").unwrap(), None);
    let both = certificate + &key;
    is(&amphora.put("/1.0/certificate", &*both), 202, json!({"message": "OK"}));
    assert_eq!(amphora.files.read("server.pem").unwrap().unwrap(), both.as_bytes());
}

#[test]
fn an_agent_configuration_that_does_not_read_changes_nothing() {
    let amphora = amphora();
    is(&amphora.put("/1.0/config", "[health_manager]\nheartbeat_key = k\n"), 202, json!({"message": "OK"}));
    let refused: Value = amphora.put("/1.0/config", "nonsense").expect(500).json();
    assert_eq!(refused["message"], "Unable to update amphora-agent configuration.");
    assert!(amphora.files.text("amphora-agent.conf").unwrap().unwrap().contains("heartbeat_key = k"));
}

#[test]
fn a_body_that_is_too_long_is_a_413_in_json() {
    let answer = amphora().put("/1.0/config", vec![b' '; 17 * 1024 * 1024]);
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json::<Value>()["http_code"], 413);
}
