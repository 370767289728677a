//! Work that takes longer than a request: hibernation, copies, guests that were asked to leave, images that are on their way.
//!
//! Each step looks at what is, does the next thing and says when to look again. It may be taken twice, by two jobs at once
//! or by a host that comes after one that was killed: what was begun is found by its name in QEMU's jobs or among the
//! programs, and only the record says what is over.
//!
//! A guest sleeps in its disks: `snapshot-save` writes its memory and the state of all disks into the qcow2 files that are open
//! already, and `snapshot-load` wakes it. No other process, descriptor or file is needed for that, as a
//! migration would need it. The disk of a CDMI container has no room for a state of its own: it is as the guest left it,
//! and nobody else writes it meanwhile.

use serde_json::{Value, json};

use super::{
    HIBERNATION, Qemu, Status, disk,
    life::END_MS,
    process,
    qmp::Command,
    record::{BEING_STARTED, Copy, Hibernation, Leaving, Record},
    refused,
};
use crate::{
    entity::Entity,
    provider::{Failure, Left},
};

/// Name of QEMU's job that takes a sleeping guest out of its disks.
const FORGET: &str = "forget";

/// Name of QEMU's job that puts a guest back into memory.
const WAKE: &str = "wake";

/// How long that may take.
const WAKING_MS: u64 = 20_000;

/// How long a request waits for a guest to be written to its disk.
const SAVING_MS: u64 = 5_000;

/// How long a machine may take to be started again before somebody else tries.
const START_MS: u64 = 15_000;

/// What became of one of QEMU's jobs.
enum Job {
    Absent,
    Working,
    Over(Result<(), String>),
}

fn over(command: &'static str, id: &str) -> Command {
    Command::new(command, json!({"id": id}))
}

/// Name of the node, and of the job, of a copy.
fn copy_name(image: &str) -> String {
    format!("c{image}")
}

/// Name of the process that copies a machine that does not run.
fn copier(image: &str) -> String {
    format!("c-{image}")
}

fn soonest(a: Left, b: Left) -> Left {
    match (a, b) {
        (Left::LookIn(a), Left::LookIn(b)) => Left::LookIn(a.min(b)),
        (Left::Nothing, other) | (other, Left::Nothing) => other,
    }
}

impl Qemu {
    /// One step of all that is under way for a machine.
    pub(super) fn go_on(&self, machine: &Entity) -> Result<Left, Failure> {
        let record = self.record(machine)?;
        let mut left = match record.hibernation {
            Hibernation::Saving => self.go_on_saving(machine)?,
            Hibernation::Stale => self.go_on_forgetting(machine)?,
            Hibernation::None | Hibernation::Saved => Left::Nothing,
        };
        if record.waits {
            left = soonest(left, self.go_on_waiting(machine)?);
        }
        left = soonest(left, self.go_on_leaving(machine, &record)?);
        for copy in &record.copies {
            left = soonest(left, self.go_on_copying(machine, copy)?);
        }
        Ok(left)
    }

    fn job(&self, machine: &Entity, id: &str) -> Result<Job, Failure> {
        let jobs = self.tell(machine, &[Command::plain("query-jobs")])?;
        let named = |job: &&Value| job.get("id").and_then(Value::as_str) == Some(id);
        let Some(job) = jobs.as_array().and_then(|jobs| jobs.iter().find(named)) else { return Ok(Job::Absent) };
        if job.get("status").and_then(Value::as_str) != Some("concluded") {
            return Ok(Job::Working);
        }
        let why = job.get("error").and_then(Value::as_str);
        Ok(Job::Over(why.map_or(Ok(()), |why| Err(why.to_owned()))))
    }

    /// Disks that a machine has open and that can hold states, its own first.
    fn nodes(&self, machine: &Entity) -> Result<Vec<String>, Failure> {
        let nodes = self.tell(machine, &[Command::new("query-named-block-nodes", json!({"flat": true}))])?;
        let is_qcow2 = |node: &&Value| node.get("drv").and_then(Value::as_str) == Some("qcow2");
        let name = |node: &Value| node.get("node-name").and_then(Value::as_str).map(str::to_owned);
        let names = nodes.as_array().into_iter().flatten().filter(is_qcow2).filter_map(name);
        let mut names: Vec<String> = names.filter(|name| name == "root" || name.starts_with('b')).collect();
        names.sort_by_key(|name| name != "root");
        Ok(names)
    }

    /// Stop a guest and begin to write it into its disks.
    pub(super) fn hibernate(&self, machine: &Entity) -> Result<(), Failure> {
        self.change(machine, true, |record| {
            if !record.copies.is_empty() {
                return refused("A copy of the machine is being made; try again.");
            }
            if record.hibernation == Hibernation::Stale {
                return refused("The machine has just woken up; try again.");
            }
            record.leaving = None;
            record.hibernation = Hibernation::Saving;
            Ok(())
        })?;
        self.begin_saving(machine)
    }

    fn begin_saving(&self, machine: &Entity) -> Result<(), Failure> {
        self.tell(machine, &[Command::plain("stop")])?;
        let devices = self.nodes(machine)?;
        let arguments = json!({"job-id": HIBERNATION, "tag": HIBERNATION, "vmstate": "root", "devices": devices});
        let replies = self.talk(machine, &[Command::new("snapshot-save", arguments)])?;
        match replies.into_iter().find_map(Result::err) {
            // Somebody else who looked was faster.
            Some(why) if !why.contains("already in use") => refused(format!("The machine refuses: {why}.")),
            _ => Ok(()),
        }
    }

    /// Have the new process of a guest that sleeps be where the guest was.
    pub(super) fn wake(&self, machine: &Entity) -> Result<(), Failure> {
        let devices = self.nodes(machine)?;
        let arguments = json!({"job-id": WAKE, "tag": HIBERNATION, "vmstate": "root", "devices": devices});
        self.tell(machine, &[Command::new("snapshot-load", arguments)])?;
        let begun = self.programs.now();
        let why = loop {
            match self.job(machine, WAKE)? {
                Job::Over(Ok(())) => return self.tell(machine, &[over("job-dismiss", WAKE)]).map(drop),
                Job::Over(Err(why)) => break why,
                Job::Absent => break "it has forgotten about it".to_owned(),
                Job::Working if self.programs.now().saturating_sub(begun) > WAKING_MS => {
                    break "it takes too long".to_owned();
                }
                Job::Working => self.programs.pause(5),
            }
        };
        self.programs.stop(&process(machine), END_MS)?;
        Err(Failure::Failed(format!("The machine does not wake up: {why}.")))
    }

    pub(super) fn wait_until_saved(&self, machine: &Entity) -> Result<(), Failure> {
        let begun = self.programs.now();
        while self.go_on_saving(machine)? != Left::Nothing {
            if self.programs.now().saturating_sub(begun) > SAVING_MS {
                return refused("The machine is still being written to its disk; try again.");
            }
            self.programs.pause(20);
        }
        Ok(())
    }

    fn go_on_saving(&self, machine: &Entity) -> Result<Left, Failure> {
        if self.record(machine)?.hibernation != Hibernation::Saving {
            return Ok(Left::Nothing);
        }
        let becomes = |wanted: Hibernation| {
            self.amend(machine, false, |record| {
                let turned = record.hibernation == Hibernation::Saving;
                if turned {
                    record.hibernation = wanted;
                }
                Ok(turned)
            })
        };
        if !self.runs(machine)? {
            // It ended before it was written.
            becomes(Hibernation::None)?;
            return Ok(Left::Nothing);
        }
        match self.job(machine, HIBERNATION)? {
            Job::Absent => {
                self.begin_saving(machine)?;
                Ok(Left::LookIn(20))
            }
            Job::Working => Ok(Left::LookIn(20)),
            Job::Over(result) => {
                self.tell(machine, &[over("job-dismiss", HIBERNATION)])?;
                match result {
                    // From here on the process is not needed, whoever ends it.
                    Ok(()) if becomes(Hibernation::Saved)? => self.programs.stop(&process(machine), END_MS)?,
                    Ok(()) => {}
                    Err(why) => {
                        plugbay_sdk::error!("{} cannot be hibernated and is suspended in memory: {why}", machine.path);
                        becomes(Hibernation::None)?;
                    }
                }
                Ok(Left::Nothing)
            }
        }
    }

    /// A guest runs again: what its disks have of it is taken out.
    fn go_on_forgetting(&self, machine: &Entity) -> Result<Left, Failure> {
        if self.runs(machine)? {
            match self.job(machine, FORGET)? {
                Job::Working => return Ok(Left::LookIn(20)),
                Job::Absent => {
                    let arguments = json!({"job-id": FORGET, "tag": HIBERNATION, "devices": self.nodes(machine)?});
                    self.tell(machine, &[Command::new("snapshot-delete", arguments)])?;
                    return Ok(Left::LookIn(20));
                }
                Job::Over(result) => {
                    self.tell(machine, &[over("job-dismiss", FORGET)])?;
                    if let Err(why) = result {
                        plugbay_sdk::warn!("{}: its hibernation stays in its disk: {why}", machine.path);
                    }
                }
            }
        } else {
            self.disks().forget(&disk::root(&machine.seq), HIBERNATION);
        }
        self.amend(machine, false, |record| {
            if record.hibernation == Hibernation::Stale {
                record.hibernation = Hibernation::None;
            }
            Ok(Left::Nothing)
        })
    }

    /// A guest was asked to power itself off.
    fn go_on_leaving(&self, machine: &Entity, record: &Record) -> Result<Left, Failure> {
        let Some(leaving) = record.leaving else { return Ok(Left::Nothing) };
        let now = self.programs.now();
        let (left, in_time) = (leaving.until.saturating_sub(now), now < leaving.until);
        let mut next = leaving.restart.then(|| Leaving { pid: BEING_STARTED, until: now + START_MS, restart: true });
        match self.status(machine)? {
            Status::Running(pid) if pid == leaving.pid => {
                if in_time {
                    return Ok(Left::LookIn(left));
                }
                plugbay_sdk::warn!("{} did not power itself off and is ended", machine.path);
                self.programs.stop(&process(machine), END_MS)?;
            }
            // Somebody is about to; if nobody ends it, the machine was started all the same, or is now.
            _ if leaving.pid == BEING_STARTED && in_time => return Ok(Left::LookIn(left.min(200))),
            Status::Running(_) => next = None,
            Status::Absent | Status::Ended { .. } => {}
        }
        // Only one of several who look may start it again.
        let mine = self.amend(machine, false, |record| {
            let mine = record.leaving == Some(leaving);
            if mine {
                record.leaving = next;
            }
            Ok(mine)
        })?;
        if !mine || next.is_none() {
            return Ok(Left::Nothing);
        }
        let started = self.spawn(machine);
        self.amend(machine, false, |record| {
            if record.leaving == next {
                record.leaving = None;
            }
            Ok(())
        })?;
        started.map(|()| Left::Nothing)
    }

    /// Begin a copy of a machine's disk.
    pub(super) fn begin_copy(&self, machine: &Entity, image: &str, deferred: bool) -> Result<(), Failure> {
        self.change(machine, true, |record| {
            if matches!(record.hibernation, Hibernation::Saving | Hibernation::Stale) {
                return refused("The machine is on its way into or out of its disk; try again.");
            }
            record.copies.push(Copy { image: image.to_owned(), deferred });
            Ok(())
        })
    }

    pub(super) fn is_being_copied(&self, image: &str) -> bool {
        matches!(self.programs.status(&copier(image)), Ok(Status::Running(_)))
    }

    fn go_on_copying(&self, machine: &Entity, copy: &Copy) -> Result<Left, Failure> {
        let name = copier(&copy.image);
        let (part, whole) = (format!("{}.part", disk::saved(&copy.image)), disk::saved(&copy.image));
        if self.disks().exists(&whole) {
            return self.copied(machine, copy, Ok(()));
        }
        match self.programs.status(&name)? {
            Status::Running(_) => return Ok(Left::LookIn(100)),
            Status::Ended { status: Some(0), .. } => {
                self.programs.stop(&name, 0)?;
                return self.copied(machine, copy, self.disks().rename(&part, &whole));
            }
            // It ended while no host was there, and nobody knows how: once more from the beginning.
            Status::Ended { status: None, signal: None } => {
                self.programs.stop(&name, 0)?;
                self.disks().remove(&part)?;
            }
            Status::Ended { .. } => {
                let said = self.programs.printed(&name);
                self.programs.stop(&name, 0)?;
                return self.copied(machine, copy, Err(Failure::Failed(said)));
            }
            Status::Absent => {}
        }
        if self.runs(machine)? {
            return if copy.deferred {
                Ok(Left::Nothing)
            } else {
                self.go_on_copying_live(machine, copy, &part, &whole)
            };
        }
        self.ensure_root(machine)?;
        self.disks().folder("saved")?;
        let line = ["convert", "-f", "qcow2", "-O", "qcow2", &disk::root(&machine.seq), &part];
        self.programs.start(&name, "qemu-img", &line.map(str::to_owned))?;
        Ok(Left::LookIn(50))
    }

    /// The disk as it is at one moment, while the machine goes on.
    fn go_on_copying_live(&self, machine: &Entity, copy: &Copy, part: &str, whole: &str) -> Result<Left, Failure> {
        let name = copy_name(&copy.image);
        match self.job(machine, &name)? {
            Job::Working => Ok(Left::LookIn(100)),
            Job::Absent => {
                self.disks().blank_like(&machine.seq, part)?;
                let node = json!({"driver": "qcow2", "node-name": name, "file": {"driver": "file", "filename": part}});
                let backup =
                    json!({"job-id": name, "device": "root", "target": name, "sync": "full", "auto-dismiss": false});
                let begun =
                    self.tell(machine, &[Command::new("blockdev-add", node), Command::new("blockdev-backup", backup)]);
                match begun {
                    Ok(_) => Ok(Left::LookIn(20)),
                    Err(failure) => self.copied(machine, copy, Err(failure)),
                }
            }
            Job::Over(result) => {
                let remove = Command::new("blockdev-del", json!({"node-name": name}));
                self.tell(machine, &[over("job-dismiss", &name), remove])?;
                let result = result.map_err(Failure::Failed).and_then(|()| self.disks().rename(part, whole));
                self.copied(machine, copy, result)
            }
        }
    }

    /// A copy is over.
    fn copied(&self, machine: &Entity, copy: &Copy, result: Result<(), Failure>) -> Result<Left, Failure> {
        if let Err(why) = result {
            plugbay_sdk::error!("{} could not be copied: {why}", machine.path);
            self.disks().remove(&format!("{}.part", disk::saved(&copy.image)))?;
        }
        self.amend(machine, false, |record| {
            record.copies.retain(|known| known.image != copy.image);
            Ok(Left::Nothing)
        })
    }
}
