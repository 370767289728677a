//! The API through its routes, on a private directory of the test and a machine that does as it is told.

mod certificates;
mod general;
mod haproxy;
mod jobs;
mod keepalived;
mod networks;

use std::rc::Rc;

use plugbay_sdk::testing::{Host, TestAnswer, TestApp};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::files::{Directory, Files};
use crate::machine::fake::Fake;
use crate::machine::{self, Machine};

const LB: &str = "d459b1c8-54b0-4030-9bec-4f449e73b1ef";

const CONFIG: &str = "global
    daemon
    user nobody
    stats socket /var/lib/octavia/d459b1c8-54b0-4030-9bec-4f449e73b1ef.sock mode 0666 level user
    maxconn 50000
frontend l1
    bind 10.0.0.5:80
    mode http
";

struct Amphora {
    app: TestApp,
    machine: Rc<Fake>,
    files: Rc<dyn Files>,
    _directory: TempDir,
}

fn on(machine: Rc<dyn Machine>, fake: Rc<Fake>, config: &Value) -> Amphora {
    let directory = tempfile::tempdir().unwrap();
    let files: Rc<dyn Files> = Rc::new(Directory::at(directory.path()));
    let host = Host::new();
    host.set_config(config);
    let given = Rc::clone(&files);
    Amphora { app: TestApp::on(host, || crate::on(given, machine)), machine: fake, files, _directory: directory }
}

fn amphora() -> Amphora {
    let fake = Rc::new(Fake::default());
    on(fake.clone(), fake, &json!({"require_client_certificate": false}))
}

/// On a host without programs.
fn without_machine() -> Amphora {
    on(Rc::new(machine::Host), Rc::default(), &json!({"require_client_certificate": false}))
}

impl Amphora {
    fn get(&self, target: &str) -> TestAnswer {
        self.app.get(target).send()
    }

    fn put(&self, target: &str, body: impl Into<Vec<u8>>) -> TestAnswer {
        self.app.put(target).body(body).send()
    }

    fn delete(&self, target: &str) -> TestAnswer {
        self.app.delete(target).send()
    }

    /// With a configuration uploaded.
    fn configured(self) -> Amphora {
        self.put(&format!("/1.0/loadbalancer/amp/{LB}/haproxy"), CONFIG).expect(202);
        self.machine.take_done();
        self
    }

    fn act(&self, action: &str) -> TestAnswer {
        self.put(&format!("/1.0/loadbalancer/{LB}/{action}"), "")
    }
}

#[track_caller]
fn is(answer: &TestAnswer, status: u16, document: Value) {
    assert_eq!((answer.status, answer.json::<Value>()), (status, document));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}
