//! The Redfish driver against a controller that behaves like one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::json;

use super::*;
use crate::drivers::Verdict;
use crate::http::{Call as HttpCall, Error, Http, Reply};
use crate::settings::Settings;
use crate::task::Task;
use crate::time::Moment;
use crate::world::World;

/// A controller: power changes show a few reads later.
struct Bmc {
    sessions: bool,
    systems: usize,
    password: &'static str,
    ignores_boot: bool,
    power: RefCell<(&'static str, Option<(&'static str, u32)>)>,
    boot: RefCell<String>,
    open_sessions: Cell<i32>,
    log: RefCell<Vec<String>>,
}

impl Bmc {
    fn new() -> Bmc {
        Bmc {
            sessions: true,
            systems: 1,
            password: "secret",
            ignores_boot: false,
            power: RefCell::new(("On", None)),
            boot: RefCell::new("Hdd".to_owned()),
            open_sessions: Cell::new(0),
            log: RefCell::new(Vec::new()),
        }
    }

    fn read_power(&self) -> &'static str {
        let mut power = self.power.borrow_mut();
        if let Some((next, reads)) = power.1 {
            *power = if reads == 0 { (next, None) } else { (power.0, Some((next, reads - 1))) };
        }
        power.0
    }

    fn knows(&self, call: &HttpCall) -> bool {
        let basic = format!(
            "Basic {}",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("admin:{}", self.password))
        );
        call.headers.iter().any(|(name, value)| {
            (name == "x-auth-token" && value == "token" && self.sessions)
                || (name == "authorization" && *value == basic)
        })
    }
}

impl Http for Bmc {
    fn send(&self, call: &HttpCall) -> Result<Reply, Error> {
        let path = call.url.strip_prefix("http://127.20.0.11:8000").ok_or(Error::Denied)?;
        self.log.borrow_mut().push(format!("{} {path}", call.method));
        let reply =
            |status: u16, body: Value| Reply { status, headers: Vec::new(), body: body.to_string().into_bytes() };
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if (call.method, path) == ("POST", "/redfish/v1/SessionService/Sessions") {
            if !self.sessions {
                return Ok(reply(404, json!({})));
            }
            if body["Password"] != self.password {
                return Ok(reply(401, json!({})));
            }
            self.open_sessions.set(self.open_sessions.get() + 1);
            let headers = [("X-Auth-Token", "token"), ("Location", "/redfish/v1/SessionService/Sessions/1")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            return Ok(Reply { status: 201, headers, body: Vec::new() });
        }
        if !self.knows(call) {
            return Ok(reply(401, json!({})));
        }
        match (call.method, path) {
            ("DELETE", "/redfish/v1/SessionService/Sessions/1") => {
                self.open_sessions.set(self.open_sessions.get() - 1);
                Ok(reply(204, Value::Null))
            }
            ("GET", "/redfish/v1/Systems") => {
                let members: Vec<_> =
                    (0..self.systems).map(|n| json!({"@odata.id": format!("/redfish/v1/Systems/{n}")})).collect();
                Ok(reply(200, json!({"Members": members})))
            }
            ("GET", "/redfish/v1/Systems/0") => {
                let boot = self.boot.borrow().clone();
                Ok(reply(200, json!({"PowerState": self.read_power(), "Boot": {"BootSourceOverrideTarget": boot}})))
            }
            ("PATCH", "/redfish/v1/Systems/0") => {
                if !self.ignores_boot {
                    *self.boot.borrow_mut() = body["Boot"]["BootSourceOverrideTarget"].as_str().unwrap().to_owned();
                }
                Ok(reply(204, Value::Null))
            }
            ("POST", "/redfish/v1/Systems/0/Actions/ComputerSystem.Reset") => {
                let next = if body["ResetType"] == "On" { "On" } else { "Off" };
                self.power.borrow_mut().1 = Some((next, 2));
                Ok(reply(204, Value::Null))
            }
            _ => Ok(reply(404, json!({}))),
        }
    }
}

fn node() -> Node {
    let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Node {
        name: "ctl-01".to_owned(),
        oob_type: Some("redfish".to_owned()),
        oob: [("network", "oob"), ("account", "admin"), ("credential", "secret")].map(pair).into(),
        addressing: vec![crate::design::profile::Address {
            network: "oob".to_owned(),
            address: "127.20.0.11".to_owned(),
        }],
        ..Node::default()
    }
}

/// Run an action to its end; the verdict and the number of waits.
fn run(bmc: &Rc<Bmc>, action: Action, node: &Node) -> (Verdict, u32) {
    let world = World { http: Rc::clone(bmc) as Rc<dyn Http>, ..World::real() };
    let mut settings = Settings::default();
    settings.oob.redfish_scheme = "http".to_owned();
    settings.oob.redfish_port = Some(8000);
    let task = Task::posted(String::new(), action, String::new(), None, String::new(), Moment(0));
    let call = Call { world: &world, settings: &settings, task: &task };
    let driver = driver("redfish", &settings).unwrap();
    let mut left = None;
    for waits in 0..100 {
        match driver.act(action, node, left.take(), &call) {
            Progress::Done(verdict) => {
                assert_eq!(bmc.open_sessions.get(), 0, "sessions are closed");
                return (verdict, waits);
            }
            Progress::Wait(_, state) => left = Some(state),
        }
    }
    panic!("it does not end");
}

#[test]
fn a_controller_is_asked_through_a_session_or_with_basic_authentication() {
    for sessions in [true, false] {
        let bmc = Rc::new(Bmc { sessions, ..Bmc::new() });
        let (verdict, _) = run(&bmc, Action::InterrogateOob, &node());
        assert!(verdict.success && verdict.notes[0].text.contains("On"), "{verdict:?}");
    }
}

#[test]
fn network_boot_is_set_once_and_read_back() {
    let bmc = Rc::new(Bmc::new());
    assert!(run(&bmc, Action::SetNodeBoot, &node()).0.success);
    assert_eq!(*bmc.boot.borrow(), "Pxe");
    let patches = || bmc.log.borrow().iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(patches(), 1);
    assert!(run(&bmc, Action::SetNodeBoot, &node()).0.success);
    assert_eq!(patches(), 1, "what is so already is left alone");
    let stubborn = Rc::new(Bmc { ignores_boot: true, ..Bmc::new() });
    assert!(!run(&stubborn, Action::SetNodeBoot, &node()).0.success);
    assert_eq!(stubborn.log.borrow().iter().filter(|line| line.starts_with("PATCH")).count(), 3);
}

#[test]
fn a_power_cycle_waits_for_off_and_then_for_on() {
    let bmc = Rc::new(Bmc::new());
    let (verdict, waits) = run(&bmc, Action::PowerCycleNode, &node());
    assert!(verdict.success, "{verdict:?}");
    assert!(waits >= 4);
    assert_eq!(bmc.power.borrow().0, "On");
    assert_eq!(bmc.log.borrow().iter().filter(|line| line.ends_with("Reset")).count(), 2);
    let off = Rc::new(Bmc { power: RefCell::new(("Off", None)), ..Bmc::new() });
    assert!(run(&off, Action::PowerCycleNode, &node()).0.success);
    assert_eq!(off.log.borrow().iter().filter(|line| line.ends_with("Reset")).count(), 1);
}

#[test]
fn a_wrong_password_and_an_absent_controller_are_results() {
    for sessions in [true, false] {
        let bmc = Rc::new(Bmc { sessions, password: "other", ..Bmc::new() });
        let (verdict, _) = run(&bmc, Action::InterrogateOob, &node());
        assert!(!verdict.success && verdict.notes[0].text.contains("refuses"), "{verdict:?}");
    }
    let mut away = node();
    away.addressing[0].address = "127.20.0.99".to_owned();
    let (verdict, _) = run(&Rc::new(Bmc::new()), Action::InterrogateOob, &away);
    assert!(!verdict.success && verdict.notes[0].text.contains("does not allow"), "{verdict:?}");
    away.addressing.clear();
    assert!(!run(&Rc::new(Bmc::new()), Action::InterrogateOob, &away).0.success);
    let two = Rc::new(Bmc { systems: 2, ..Bmc::new() });
    assert!(run(&two, Action::InterrogateOob, &node()).0.notes[0].text.contains("2 systems"));
}

#[test]
fn types_without_a_driver_have_none() {
    let mut settings = Settings::default();
    assert!(driver("manual", &settings).is_some() && driver("noop", &settings).is_some());
    assert!(driver("ipmi", &settings).is_none() && driver("", &settings).is_none());
    settings.oob.pretend.push("ipmi".to_owned());
    assert!(driver("ipmi", &settings).is_some());
}
