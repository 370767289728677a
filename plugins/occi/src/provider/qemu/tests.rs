//! The backend against a QEMU that only pretends: what cannot be brought about from outside at will.

use std::cell::{Cell, RefCell};

use plugbay_sdk::testing;

use super::*;
use crate::model::states;

/// One machine's process, and the words that QMP says.
#[derive(Default)]
struct Fake {
    status: Cell<Option<Status>>,
    /// The state; none: it does not answer.
    word: RefCell<Option<&'static str>>,
    /// QEMU's jobs, as JSON.
    jobs: RefCell<Value>,
    /// Names of the commands given.
    asked: RefCell<Vec<String>>,
    started: Cell<u32>,
    now: Cell<u64>,
    /// What somebody else does at the last moment before a process is there.
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
    /// The process that somebody else starts while the one before is ended.
    next: Cell<Option<Status>>,
}

impl Programs for Fake {
    fn directory(&self) -> Result<String, Failure> {
        Ok("/private".to_owned())
    }

    fn run(&self, _: &str, arguments: &[String], _: u32) -> Result<String, Failure> {
        self.asked.borrow_mut().push(arguments[0].clone());
        Ok("{}".to_owned())
    }

    fn start(&self, _: &str, _: &str, _: &[String]) -> Result<(), Failure> {
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        self.started.set(self.started.get() + 1);
        self.status.set(Some(Status::Running(100 + self.started.get())));
        *self.word.borrow_mut() = Some("prelaunch");
        Ok(())
    }

    fn stop(&self, _: &str, _: u32) -> Result<(), Failure> {
        self.asked.borrow_mut().push("end".to_owned());
        self.status.set(self.next.take());
        Ok(())
    }

    fn status(&self, _: &str) -> Result<Status, Failure> {
        Ok(self.status.get().unwrap_or(Status::Absent))
    }

    fn printed(&self, _: &str) -> String {
        "it said no".to_owned()
    }

    fn ask(&self, _: &str, send: &str, _: &str, _: u32) -> Result<String, Silence> {
        let Some(word) = *self.word.borrow() else { return Err(Silence::Late) };
        let commands = send.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let answers = commands.map(|command| {
            let name = command["execute"].as_str().unwrap();
            self.asked.borrow_mut().push(name.to_owned());
            let value = match name {
                "query-status" => json!({"status": word}),
                "query-jobs" => self.jobs.borrow().clone(),
                "query-named-block-nodes" => {
                    json!([{"node-name": "b1", "drv": "qcow2"}, {"node-name": "root", "drv": "qcow2"},
                    {"node-name": "b2", "drv": "raw"}, {"node-name": "c2", "drv": "qcow2"}])
                }
                _ => json!({}),
            };
            format!("{}\n", json!({"return": value, "id": command["id"]}))
        });
        Ok(answers.collect())
    }

    fn pause(&self, milliseconds: u64) {
        self.now.set(self.now.get() + milliseconds);
    }

    fn now(&self) -> u64 {
        self.now.get()
    }
}

/// A machine in this state whose process is like that.
fn machine(state: &str, status: Option<Status>, word: Option<&'static str>) -> (Rc<Fake>, Qemu, Entity) {
    testing::Host::new().install();
    let fake = Rc::new(Fake::default());
    fake.status.set(status);
    *fake.word.borrow_mut() = word;
    *fake.jobs.borrow_mut() = json!([]);
    // A directory that is not there: nothing is in it.
    let qemu = Qemu::at("/nonexistent", &Settings::default(), &Keys::of("ann"), Rc::clone(&fake) as Rc<dyn Programs>);
    let kind = id("compute");
    let attributes = Attributes::from([(states::of(&kind).unwrap().0.to_owned(), state.into())]);
    let (seq, path) = ("0123456789abcdef0123456789abcdef".to_owned(), "/compute/x".to_owned());
    (fake, qemu, Entity { seq, path, kind, mixins: Vec::new(), attributes, links: Vec::new(), ends: None })
}

const RUNS: Option<Status> = Some(Status::Running(7));

fn concluded(error: Option<&str>) -> Value {
    match error {
        Some(error) => json!([{"id": "hibernation", "status": "concluded", "error": error}]),
        None => json!([{"id": "hibernation", "status": "concluded"}]),
    }
}

#[test]
fn a_machine_that_does_not_answer_is_what_it_was() {
    let (_, qemu, machine) = machine("active", RUNS, None);
    assert_eq!(qemu.observe(&machine), Ok(None));
}

#[test]
fn a_machine_at_rest_stays_at_rest_when_its_process_is_forgotten() {
    for state in ["inactive", "error"] {
        let (_, qemu, machine) = machine(state, None, None);
        assert_eq!(qemu.observe(&machine), Ok(None), "{state}");
    }
}

#[test]
fn a_hibernation_goes_on_where_a_killed_host_left_off() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("paused"));
    qemu.hibernate(&machine).unwrap();
    assert_eq!(qemu.observe(&machine), Ok(Some(Seen::State("suspended"))));
    // Nothing is known of it in QEMU: it is begun again.
    fake.asked.borrow_mut().clear();
    assert!(matches!(qemu.settle(&machine), Ok(Left::LookIn(_))));
    assert!(fake.asked.borrow().iter().any(|name| name == "snapshot-save"));
    *fake.jobs.borrow_mut() = concluded(None);
    assert_eq!(qemu.settle(&machine), Ok(Left::Nothing));
    assert_eq!((fake.status.get(), qemu.record(&machine).unwrap().hibernation), (None, Hibernation::Saved));
    let mut machine = machine;
    machine.attributes.insert("occi.compute.state".to_owned(), "suspended".into());
    assert_eq!(qemu.observe(&machine), Ok(Some(Seen::State("suspended"))));
}

#[test]
fn a_hibernation_that_fails_leaves_the_guest_in_memory() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("paused"));
    qemu.hibernate(&machine).unwrap();
    *fake.jobs.borrow_mut() = concluded(Some("no space left"));
    assert_eq!(qemu.settle(&machine), Ok(Left::Nothing));
    assert_eq!((fake.status.get(), qemu.record(&machine).unwrap().hibernation), (RUNS, Hibernation::None));
}

#[test]
fn a_process_that_is_killed_while_its_guest_is_written_is_not_asleep() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("paused"));
    qemu.hibernate(&machine).unwrap();
    fake.status.set(Some(Status::Ended { status: None, signal: Some(9) }));
    assert_eq!(qemu.settle(&machine), Ok(Left::Nothing));
    assert_eq!(qemu.record(&machine).unwrap().hibernation, Hibernation::None);
    assert!(matches!(qemu.observe(&machine), Ok(Some(Seen::Error(_)))));
}

#[test]
fn what_sleeps_in_a_disk_is_over_before_the_guest_runs() {
    let (fake, qemu, machine) = machine("suspended", RUNS, Some("paused"));
    qemu.change(&machine, false, |record| {
        record.hibernation = Hibernation::Saved;
        Ok(())
    })
    .unwrap();
    qemu.start(&machine).unwrap();
    assert_eq!(qemu.record(&machine).unwrap().hibernation, Hibernation::Stale);
    assert_eq!(fake.started.get(), 0);
}

#[test]
fn devices_of_a_machine_that_sleeps_do_not_change() {
    let (_, qemu, machine) = machine("suspended", None, None);
    qemu.change(&machine, false, |record| {
        record.hibernation = Hibernation::Saved;
        Ok(())
    })
    .unwrap();
    let mut link = machine.clone();
    (link.kind, link.path) = (id("networkinterface"), "/networkinterface/x".to_owned());
    let mut network = machine.clone();
    network.kind = id("network");
    assert!(matches!(qemu.attach(&mut link, &machine, Some(&network), 0), Err(Failure::Refused(_))));
    assert!(matches!(qemu.unplug(&machine, &link), Err(Failure::Refused(_))));
}

#[test]
fn a_guest_that_was_asked_to_leave_is_ended_when_its_time_is_up_and_not_before() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("running"));
    qemu.act_on_machine(&machine, "stop", "graceful").unwrap();
    assert_eq!(qemu.settle(&machine), Ok(Left::LookIn(60_000)));
    fake.pause(60_000);
    assert_eq!(qemu.settle(&machine), Ok(Left::Nothing));
    assert_eq!((fake.status.get(), fake.started.get()), (None, 0));
}

#[test]
fn another_process_than_the_one_that_was_asked_is_left_alone() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("running"));
    qemu.act_on_machine(&machine, "restart", "graceful").unwrap();
    fake.status.set(Some(Status::Running(8)));
    fake.pause(60_000);
    assert_eq!(qemu.settle(&machine), Ok(Left::Nothing));
    assert_eq!((fake.status.get(), fake.started.get()), (Some(Status::Running(8)), 0));
    assert_eq!(qemu.record(&machine).unwrap().leaving, None);
}

#[test]
fn a_machine_is_not_seen_to_end_while_it_is_restarted() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("running"));
    qemu.act_on_machine(&machine, "restart", "graceful").unwrap();
    fake.status.set(Some(Status::Ended { status: Some(0), signal: None }));
    assert_eq!(qemu.observe(&machine), Ok(None));
    // The one who was to start it was killed: another takes over when its time is up.
    let taken = Leaving { pid: record::BEING_STARTED, until: 1_000, restart: true };
    qemu.change(&machine, false, |record| {
        record.leaving = Some(taken);
        Ok(())
    })
    .unwrap();
    assert!(matches!(qemu.settle(&machine), Ok(Left::LookIn(_))));
    fake.status.set(RUNS);
    assert_eq!(qemu.observe(&machine), Ok(Some(Seen::State("active"))));
    *fake.word.borrow_mut() = Some("prelaunch");
    assert_eq!(qemu.observe(&machine), Ok(None));
    fake.pause(1_000);
    assert_eq!(qemu.settle(&machine), Ok(Left::Nothing));
    assert_eq!(qemu.record(&machine).unwrap().leaving, None);
}

#[test]
fn jobs_do_not_start_a_machine_that_is_deleted() {
    let (fake, qemu, machine) = machine("active", None, None);
    assert_eq!(qemu.spawn(&machine), Err(Failure::Refused(record::DELETED.to_owned())));
    assert_eq!((fake.started.get(), qemu.is_forgotten(&machine)), (0, Ok(true)));
}

#[test]
fn whoever_was_starting_a_machine_again_ends_it_if_it_was_deleted_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, _, machine) = machine("active", RUNS, Some("running"));
    let at = || Qemu::at(folder.path(), &Settings::default(), &Keys::of("ann"), Rc::clone(&fake) as Rc<dyn Programs>);
    let (qemu, other, same) = (at(), at(), machine.clone());
    qemu.act_on_machine(&machine, "restart", "graceful").unwrap();
    fake.status.set(Some(Status::Ended { status: Some(0), signal: None }));
    // Its disk is there.
    std::fs::create_dir_all(folder.path().join(disk::machine(&machine.seq))).unwrap();
    std::fs::write(folder.path().join(disk::root(&machine.seq)), "").unwrap();
    *fake.meanwhile.borrow_mut() = Some(Box::new(move || other.delete(&same).unwrap()));
    assert_eq!(qemu.settle(&machine), Err(Failure::Refused(record::DELETED.to_owned())));
    assert_eq!((fake.status.get(), fake.started.get()), (None, 1));
    assert!(qemu.is_forgotten(&machine).unwrap());
    assert!(!folder.path().join(disk::machine(&machine.seq)).exists());
}

#[test]
fn a_process_that_somebody_starts_while_the_one_before_is_ended_goes_with_its_machine() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("running"));
    fake.next.set(Some(Status::Running(8)));
    qemu.delete(&machine).unwrap();
    assert_eq!(fake.status.get(), None);
}

#[test]
fn a_machine_is_not_deleted_while_it_is_copied() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("running"));
    qemu.begin_copy(&machine, "image", false).unwrap();
    assert!(matches!(qemu.delete(&machine), Err(Failure::Refused(why)) if why.contains("copy")));
    assert_eq!((fake.status.get(), qemu.is_forgotten(&machine)), (RUNS, Ok(false)));
}

#[test]
fn a_copy_that_ended_while_no_host_was_there_is_made_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, _, machine) = machine("inactive", None, None);
    let qemu = Qemu::at(folder.path(), &Settings::default(), &Keys::of("ann"), Rc::clone(&fake) as Rc<dyn Programs>);
    let (root, whole) = (folder.path().join(disk::root(&machine.seq)), folder.path().join(disk::saved("image")));
    let part = folder.path().join(format!("{}.part", disk::saved("image")));
    for file in [&root, &part] {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "half").unwrap();
    }
    qemu.begin_copy(&machine, "image", false).unwrap();
    fake.status.set(Some(Status::Ended { status: None, signal: None }));
    assert!(matches!(qemu.settle(&machine), Ok(Left::LookIn(_))));
    assert_eq!((fake.started.get(), part.exists(), whole.exists()), (1, false, false));
    std::fs::write(&part, "all of it").unwrap();
    fake.status.set(Some(Status::Ended { status: Some(0), signal: None }));
    qemu.settle(&machine).unwrap();
    assert_eq!(std::fs::read_to_string(whole).unwrap(), "all of it");
    assert!(qemu.record(&machine).unwrap().copies.is_empty());
}

#[test]
fn a_machine_that_is_no_more_goes_with_the_copies_that_were_asked_for_too_late() {
    let (fake, qemu, machine) = machine("active", RUNS, Some("running"));
    qemu.begin_copy(&machine, "image", false).unwrap();
    qemu.abandon(&machine.seq).unwrap();
    assert_eq!((fake.status.get(), qemu.is_forgotten(&machine)), (None, Ok(true)));
}

#[test]
fn what_a_killed_host_left_of_a_deleted_machine_goes_and_machines_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, _, machine) = machine("inactive", None, None);
    let qemu = Qemu::at(folder.path(), &Settings::default(), &Keys::of("ann"), Rc::clone(&fake) as Rc<dyn Programs>);
    qemu.change(&machine, false, |_| Ok(())).unwrap();
    for seq in [&machine.seq, "fedcba"] {
        std::fs::create_dir_all(folder.path().join(disk::machine(seq))).unwrap();
        std::fs::write(folder.path().join(disk::root(seq)), "").unwrap();
    }
    qemu.sweep().unwrap();
    assert_eq!(qemu.disks().names(disk::MACHINES), [machine.seq]);
}

#[test]
fn places_on_the_bus_are_kept_and_given_back() {
    let (.., mut machine) = machine("inactive", None, None);
    let mut record = Record::default();
    machine.links = (0..27).map(|number| format!("/l/{number}")).collect();
    let places: Vec<u8> = machine.links.clone().iter().map(|link| record.place(&machine, link).unwrap()).collect();
    assert_eq!((places[0], places[26]), (5, 31));
    assert!(record.place(&machine, "/l/more").is_err());
    machine.links.remove(3);
    assert_eq!(record.place(&machine, "/l/more"), Ok(8));
    assert_eq!(record.place(&machine, "/l/0"), Ok(5));
}
