//! Redfish: the one system of a controller, its power and what it boots from next.
//!
//! A call logs in with a session, or with Basic authentication where the controller has no session service, takes any 2xx
//! for yes, and logs out. Waiting for power is by polling, one call a poll, so a machine that takes minutes holds nothing.
//! A controller that refuses the password or is not there makes a verdict that says so.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OutOfBand;
use crate::design::Node;
use crate::drivers::{Call, Note, Progress, Verdict, text_at};
use crate::http::{self, Http, Reply};
use crate::task::Action;

const ROOT: &str = "/redfish/v1";
/// Attempts at setting what is booted next.
const BOOT_ATTEMPTS: u32 = 3;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Redfish;

/// What is to be reached before the call is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Goal {
    Off,
    On,
    /// Off, and then on.
    Cycle,
}

/// What waits between two polls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Left {
    goal: Goal,
    polls: u32,
    asked: bool,
}

/// Why a call is over.
enum Fault {
    Http(http::Error),
    Refused,
    Answer(String),
}

impl From<http::Error> for Fault {
    fn from(error: http::Error) -> Fault {
        Fault::Http(error)
    }
}

impl OutOfBand for Redfish {
    fn act(&self, action: Action, node: &Node, left: Option<Value>, call: &Call<'_>) -> Progress {
        let base = match base(node, call) {
            Ok(base) => base,
            Err(text) => return Verdict::bad(text).into(),
        };
        let done = Controller::login(&base, node, &*call.world.http).and_then(|controller| {
            let done = controller.system().and_then(|system| match action {
                Action::InterrogateOob => controller.interrogate(&system, node).map(Progress::Done),
                Action::SetNodeBoot => controller.set_boot(&system, node).map(Progress::Done),
                Action::PowerCycleNode => controller.power(&system, node, left, call),
                other => Ok(Verdict::bad(format!("{} is not supported by Redfish", other.name())).into()),
            });
            controller.logout();
            done
        });
        done.unwrap_or_else(|fault| {
            Verdict::bad(match fault {
                Fault::Http(error) => format!("controller of {} at {base}: {error}", node.name),
                Fault::Refused => format!("controller of {} refuses account and credential", node.name),
                Fault::Answer(text) => format!("controller of {}: {text}", node.name),
            })
            .into()
        })
    }
}

/// Scheme and authority of a node's controller: its address on the network that its parameters name.
fn base(node: &Node, call: &Call<'_>) -> Result<String, String> {
    let network = node.oob.get("network").ok_or_else(|| format!("node {} has no oob parameter network", node.name))?;
    let address = node
        .address_on(network)
        .ok_or_else(|| format!("node {} has no address on its oob network {network}", node.name))?;
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let settings = &call.settings.oob;
    Ok(match settings.redfish_port {
        Some(port) => format!("{}://{host}:{port}", settings.redfish_scheme),
        None => format!("{}://{host}", settings.redfish_scheme),
    })
}

/// A controller that we are logged in to.
struct Controller<'a> {
    http: &'a dyn Http,
    base: &'a str,
    auth: (String, String),
    session: Option<String>,
}

impl<'a> Controller<'a> {
    fn login(base: &'a str, node: &Node, http: &'a dyn Http) -> Result<Controller<'a>, Fault> {
        let of = |name: &str| node.oob.get(name).cloned().unwrap_or_default();
        let (account, credential) = (of("account"), of("credential"));
        let wanted = json!({"UserName": account, "Password": credential});
        let reply = http.send(&request("POST", format!("{base}{ROOT}/SessionService/Sessions")).json(&wanted))?;
        if reply.is_success()
            && let Some(token) = reply.header("x-auth-token")
        {
            let auth = ("x-auth-token".to_owned(), token.to_owned());
            let session = reply.header("location").map(|place| path_of(place).to_owned());
            return Ok(Controller { http, base, auth, session });
        }
        // No session service, or one that wants to know us first: each request says who we are.
        let basic = STANDARD.encode(format!("{account}:{credential}"));
        Ok(Controller { http, base, auth: ("authorization".to_owned(), format!("Basic {basic}")), session: None })
    }

    fn logout(&self) {
        if let Some(session) = &self.session {
            // A session that stays ends by itself.
            let _ = self.send("DELETE", session, None);
        }
    }

    fn send(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Reply, Fault> {
        let mut call = request(method, format!("{}{path}", self.base)).header(&self.auth.0, self.auth.1.clone());
        if let Some(body) = body {
            call = call.json(body);
        }
        let reply = self.http.send(&call)?;
        match reply.status {
            401 | 403 => Err(Fault::Refused),
            _ if reply.is_success() => Ok(reply),
            status => Err(Fault::Answer(format!("{method} {path} answers {status}"))),
        }
    }

    fn get(&self, path: &str) -> Result<Value, Fault> {
        Ok(self.send("GET", path, None)?.json()?)
    }

    /// The path of the one system there is.
    fn system(&self) -> Result<String, Fault> {
        let systems = self.get(&format!("{ROOT}/Systems"))?;
        let members = systems.get("Members").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        match members {
            [one] => {
                let id = text_at(one, "/@odata.id").map(path_of).filter(|path| path.starts_with('/'));
                id.map(str::to_owned).ok_or_else(|| Fault::Answer("its system has no id".to_owned()))
            }
            others => Err(Fault::Answer(format!("it has {} systems where one is expected", others.len()))),
        }
    }

    fn power_state(&self, system: &str) -> Result<String, Fault> {
        let state = self.get(system)?;
        let state = text_at(&state, "/PowerState")
            .ok_or_else(|| Fault::Answer("it does not say its power state".to_owned()))?;
        Ok(state.to_owned())
    }

    fn interrogate(&self, system: &str, node: &Node) -> Result<Verdict, Fault> {
        let state = self.power_state(system)?;
        Ok(Verdict::good(format!("power state of {}: {state}", node.name)))
    }

    fn set_boot(&self, system: &str, node: &Node) -> Result<Verdict, Fault> {
        let target = || -> Result<bool, Fault> {
            Ok(text_at(&self.get(system)?, "/Boot/BootSourceOverrideTarget") == Some("Pxe"))
        };
        let wanted = json!({"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}});
        for attempt in 0..=BOOT_ATTEMPTS {
            if target()? {
                let done = if attempt == 0 { "boots from the network already" } else { "boots from the network next" };
                return Ok(Verdict::good(format!("{} {done}", node.name)));
            }
            if attempt < BOOT_ATTEMPTS {
                self.send("PATCH", system, Some(&wanted))?;
            }
        }
        Ok(Verdict::bad(format!("the controller of {} does not take network boot", node.name)))
    }

    fn power(&self, system: &str, node: &Node, left: Option<Value>, call: &Call<'_>) -> Result<Progress, Fault> {
        let first = Left { goal: Goal::Cycle, polls: 0, asked: false };
        let mut left = left.and_then(|left| serde_json::from_value::<Left>(left).ok()).unwrap_or(first);
        loop {
            let (state, reset) = match left.goal {
                Goal::Off | Goal::Cycle => ("Off", "ForceOff"),
                Goal::On => ("On", "On"),
            };
            if self.power_state(system)? == state {
                match left.goal {
                    Goal::Cycle => left = Left { goal: Goal::On, polls: 0, asked: false },
                    Goal::Off | Goal::On => {
                        return Ok(Verdict::good(format!("{} was turned off and on", node.name)).into());
                    }
                }
                continue;
            }
            if !left.asked {
                let path = format!("{system}/Actions/ComputerSystem.Reset");
                self.send("POST", &path, Some(&json!({"ResetType": reset})))?;
                left.asked = true;
            } else if left.polls >= call.settings.oob.power_polls {
                let text = format!("{} is not {} after {} polls", node.name, state.to_lowercase(), left.polls);
                return Ok(Progress::Done(Verdict { notes: vec![Note::error(text)], ..Verdict::default() }));
            }
            left.polls += 1;
            let wait = Duration::from_secs(u64::from(call.settings.oob.power_interval));
            return Ok(Progress::Wait(wait, serde_json::to_value(&left).unwrap_or_default()));
        }
    }
}

fn request(method: &'static str, url: String) -> http::Call {
    http::Call::new(method, url).header("accept", "application/json")
}

/// The path of what may be a whole URL: nothing goes to another host.
fn path_of(place: &str) -> &str {
    match place.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => place,
    }
}
