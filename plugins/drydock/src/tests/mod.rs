//! The plugin from request to answer and from job to result, on a host in memory.

mod access;
mod bootactions;
mod designs;
mod orchestration;
mod retention;
mod tasks;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use plugbay_sdk::testing::{Host, TestAnswer, TestApp, TestRequest};
use serde_json::{Value, json};

use crate::http::{self, Http, Reply};
use crate::reference;
use crate::time::{Clock, Moment};
use crate::world::{Files, World};

/// The site that tests deploy.
pub const SITE: &str = include_str!("site.yaml");
/// A reference to it.
pub const REF: &str = "file:///site.yaml";

/// A clock that goes on by a microsecond at every look, and further when it is told.
pub struct Ticking(Cell<u64>);

impl Ticking {
    pub fn skip(&self, wait: Duration) {
        self.0.set(self.0.get() + u64::try_from(wait.as_micros()).unwrap());
    }
}

impl Clock for Ticking {
    fn now(&self) -> Moment {
        self.0.set(self.0.get() + 1);
        Moment(self.0.get())
    }
}

/// Files in memory.
struct Shelf(BTreeMap<PathBuf, Vec<u8>>);

impl Files for Shelf {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, reference::Error> {
        let bytes = self.0.get(path).ok_or_else(|| reference::Error::Unavailable("no such file".to_owned()))?;
        if bytes.len() as u64 > limit { Err(reference::Error::TooLarge(limit)) } else { Ok(bytes.clone()) }
    }
}

/// A server of designs.
struct Web;

impl Http for Web {
    fn send(&self, call: &http::Call) -> Result<Reply, http::Error> {
        let own = call.credential.is_some();
        let basic = call.headers.iter().any(|(name, value)| name == "authorization" && value == "Basic dTpw");
        let ok = Ok(Reply { status: 200, headers: Vec::new(), body: SITE.as_bytes().to_vec() });
        match call.url.as_str() {
            "http://deckhand/designs" if own => ok,
            "http://web/designs" if basic => ok,
            "http://web/empty" => Ok(Reply { status: 404, ..Reply::default() }),
            "http://away/designs" => Err(http::Error::Unreachable("no route".to_owned())),
            _ => Err(http::Error::Denied),
        }
    }
}

/// The plugin, and what it lives in.
pub struct Service {
    pub app: TestApp,
    pub clock: Rc<Ticking>,
    world: World,
}

impl Service {
    /// With pretended Redfish controllers and these files beside the site.
    pub fn with(files: &[(&str, &str)], config: Value) -> Service {
        let mut shelf = Shelf(BTreeMap::from([("site.yaml".into(), SITE.as_bytes().to_vec())]));
        for (name, text) in files {
            shelf.0.insert((*name).into(), text.as_bytes().to_vec());
        }
        let clock = Rc::new(Ticking(Cell::new(1_790_000_000_000_000)));
        let world = World { http: Rc::new(Web), files: Rc::new(shelf), clock: Rc::clone(&clock) as Rc<dyn Clock> };
        let host = Host::new();
        let mut all = json!({"oob": {"pretend": ["redfish"]}, "design_credential": "own"});
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        host.set_config(&all);
        let built = world.clone();
        Service { app: TestApp::on(host, move || crate::on(&built)), clock, world }
    }

    pub fn new() -> Service {
        Service::with(&[], json!({}))
    }

    /// Another version on what this one left: what a restart of the host comes to.
    pub fn restarted(self) -> Service {
        let world = self.world.clone();
        let app = TestApp::on(self.app.host().clone(), move || crate::on(&world));
        Service { app, clock: self.clock, world: self.world }
    }

    pub fn get(&self, path: &str) -> TestRequest<'_> {
        self.app.get(&format!("/api/v1.0{path}")).user("adm", &["admin"])
    }

    pub fn post(&self, path: &str, body: &Value) -> TestRequest<'_> {
        self.app.post(&format!("/api/v1.0{path}")).user("adm", &["admin"]).json(body)
    }

    pub fn delete(&self, path: &str) -> TestRequest<'_> {
        self.app.delete(&format!("/api/v1.0{path}")).user("adm", &["admin"])
    }

    /// Post a task; its id.
    pub fn start(&self, action: &str, reference: &str, filter: Value) -> String {
        let body = json!({"action": action, "design_ref": reference, "node_filter": filter});
        let answer: Value = self.post("/tasks", &body).send().expect(201).json();
        answer["task_id"].as_str().unwrap().to_owned()
    }

    pub fn task(&self, id: &str) -> Value {
        self.get(&format!("/tasks/{id}")).send().expect(200).json()
    }

    /// Run jobs until the task has ended, or nothing changes any more.
    pub fn drive(&self, id: &str) -> Value {
        for _ in 0..200 {
            let task = self.task(id);
            if task["status"] == "complete" || task["status"] == "terminated" {
                return task;
            }
            self.app.run_jobs();
        }
        self.task(id)
    }

    /// Post a task and run it to its end.
    pub fn run(&self, action: &str, reference: &str, filter: Value) -> Value {
        let id = self.start(action, reference, filter);
        let task = self.drive(&id);
        assert_eq!(task["status"], "complete", "{task:#}");
        task
    }

    /// Run jobs until this many boot actions wait to be reported; their keys in the store.
    pub fn until_reports(&self, count: usize) -> Vec<String> {
        for _ in 0..100 {
            let waiting: Vec<String> = self.app.host().keys().into_iter().filter(|key| key.starts_with("i/")).collect();
            if waiting.len() == count {
                return waiting.iter().map(|key| key.rsplit('/').next().unwrap().to_owned()).collect();
            }
            self.app.run_jobs();
        }
        panic!("{} boot actions never wait: {:?}", count, self.app.host().jobs());
    }

    /// A boot action as it is kept.
    pub fn action(&self, id: &str) -> Value {
        self.app.host().get_json(&format!("a/{id}")).unwrap()
    }

    /// Report with the right key.
    pub fn report(&self, id: &str, body: &Value) -> TestAnswer {
        let key = self.action(id)["key"].as_str().unwrap().to_owned();
        self.app.post(&format!("/api/v1.0/bootactions/{id}")).header("x-bootaction-key", key).json(body).send()
    }
}

/// A filter for these nodes.
pub fn named(names: &[&str]) -> Value {
    json!({"filter_set_type": "union", "filter_set": [{"filter_type": "union", "node_names": names}]})
}

/// Texts of a task's messages.
pub fn texts(task: &Value) -> Vec<String> {
    let list = task["result"]["details"]["messageList"].as_array().unwrap();
    list.iter().map(|message| message["message"].as_str().unwrap().to_owned()).collect()
}
