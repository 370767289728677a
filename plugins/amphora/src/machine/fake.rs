//! A machine of the tests: what programs would do is set by the test, what they were told is kept.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Cpu, Fault, Machine, Memory, Network, Output, State};

/// The machine; everything in it may be changed by the test.
#[derive(Debug, Default)]
pub struct Fake {
    /// What programs that run to their end leave, by program; else status 0 and nothing.
    pub outputs: RefCell<BTreeMap<String, Output>>,
    /// What is started, by name.
    pub programs: RefCell<BTreeMap<String, State>>,
    /// Programs that end at once when started.
    pub stillborn: RefCell<bool>,
    /// Signals are ignored: haproxy's pid stays what it was.
    pub deaf: RefCell<bool>,
    /// What sockets answer to a line, by line; a missing one fails.
    pub lines: RefCell<BTreeMap<String, String>>,
    /// Interfaces.
    pub networks: RefCell<Vec<Network>>,
    /// What was done, in order.
    pub done: RefCell<Vec<String>>,
    /// Datagrams sent.
    pub sent: RefCell<Vec<(SocketAddr, Vec<u8>)>>,
    /// haproxy's present worker.
    pub worker: RefCell<u32>,
    /// Milliseconds since 1970; goes on with each pause.
    pub clock: Cell<u64>,
    /// Revision of every program.
    pub revision: Cell<u32>,
    /// Starts fail because another call is always first.
    pub raced: Cell<bool>,
    /// What is printed after a failed start's words.
    pub printed: RefCell<String>,
    /// No socket answers.
    pub silent: Cell<bool>,
    /// Interfaces of the host, where they are others than those of haproxy.
    pub outside: RefCell<Vec<Network>>,
}

impl Fake {
    /// What was done since the last look.
    pub fn take_done(&self) -> Vec<String> {
        self.done.take()
    }

    fn note(&self, what: String) {
        self.done.borrow_mut().push(what);
    }
}

impl Machine for Fake {
    fn directory(&self) -> Result<String, Fault> {
        Ok("/private".to_owned())
    }

    fn revision(&self, _program: &str) -> Result<String, Fault> {
        Ok(self.revision.get().to_string())
    }

    fn run(&self, program: &str, args: &[String], stdin: &str, _timeout_ms: u32) -> Result<Output, Fault> {
        self.note(format!("run {program} {}", args.join(" ")));
        for line in stdin.lines() {
            self.note(format!("  {line}"));
        }
        let ok = Output { status: Some(0), text: String::new() };
        Ok(self.outputs.borrow().get(program).cloned().unwrap_or(ok))
    }

    fn start(&self, name: &str, program: &str, args: &[String]) -> Result<u32, Fault> {
        self.note(format!("start {name}: {program} {}", args.join(" ")));
        let state = if *self.stillborn.borrow() { State::Exited(Some(1)) } else { State::Running(100) };
        self.programs.borrow_mut().insert(name.to_owned(), state);
        *self.worker.borrow_mut() += 1;
        if self.raced.get() { Err(Fault::Failed(format!("{name} is running already"))) } else { Ok(100) }
    }

    fn signal(&self, name: &str, signal: i32) -> Result<(), Fault> {
        self.note(format!("signal {name} {signal}"));
        if *self.deaf.borrow() {
            self.printed.borrow_mut().push_str(" Loading failure!");
        } else {
            *self.worker.borrow_mut() += 1;
        }
        Ok(())
    }

    fn stop(&self, name: &str, _grace_ms: u32) -> Result<(), Fault> {
        self.note(format!("stop {name}"));
        self.programs.borrow_mut().remove(name);
        Ok(())
    }

    fn status(&self, name: &str) -> Result<Option<State>, Fault> {
        Ok(self.programs.borrow().get(name).copied())
    }

    fn printed(&self, _name: &str) -> Result<String, Fault> {
        Ok(format!("cannot bind socket{}", self.printed.borrow()))
    }

    fn dialogue(&self, _socket: &str, line: &str, _timeout_ms: u32) -> Result<String, Fault> {
        if self.silent.get() {
            return Err(Fault::Failed("no answer".to_owned()));
        }
        if line == "show info" {
            return Ok(format!("Name: HAProxy\nPid: {}\n", self.worker.borrow()));
        }
        self.lines.borrow().get(line).cloned().ok_or_else(|| Fault::Failed("no answer".to_owned()))
    }

    fn pause(&self, milliseconds: u32) {
        self.clock.set(self.clock.get() + u64::from(milliseconds));
    }

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn hostname(&self) -> Result<String, Fault> {
        Ok("amphora-1".to_owned())
    }

    fn cpu(&self) -> Result<Cpu, Fault> {
        Ok(Cpu { count: 2, user: 10, system: 5, soft_irq: 1, total: 100 })
    }

    fn memory(&self) -> Result<Memory, Fault> {
        Ok(Memory { total: 1000, free: 500, buffers: 10, cached: 90, swap_used: 0, shared: 3, slab: 4 })
    }

    fn disk(&self) -> Result<(u64, u64), Fault> {
        Ok((4096, 8192))
    }

    fn load(&self) -> Result<[f64; 3], Fault> {
        Ok([0.5, 0.25, 0.0])
    }

    fn networks(&self, program: Option<&str>) -> Result<Vec<Network>, Fault> {
        let networks = if program.is_some() { &self.networks } else { &self.outside };
        Ok(networks.borrow().clone())
    }

    fn send(&self, to: SocketAddr, payload: &[u8]) -> Result<(), Fault> {
        self.sent.borrow_mut().push((to, payload.to_vec()));
        Ok(())
    }
}
