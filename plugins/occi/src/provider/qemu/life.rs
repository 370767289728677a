//! What actions mean for a machine's process, and what its process means for the machine.

use super::{
    Command, Failure, Hibernation, Leaving, Qemu, Seen, Status, command, command::Device, plug, process,
    record::DELETED, refused, seed,
};
use crate::entity::Entity;

/// How long it may take to listen.
const LISTEN_MS: u64 = 10_000;

/// How long it may take to end when it is told to.
pub(super) const END_MS: u32 = 5_000;

/// What QEMU's word for a machine's state means; none for what passes by itself.
fn seen(word: &str) -> Option<Seen> {
    Some(match word {
        "running" => Seen::State("active"),
        "paused" | "suspended" => Seen::State("suspended"),
        // Not `shutdown`: until the process has ended, another cannot take its place.
        "prelaunch" | "preconfig" | "inmigrate" => Seen::State("inactive"),
        "guest-panicked" => Seen::Error("The guest panicked.".to_owned()),
        "io-error" => Seen::Error("A disk of the machine cannot be written.".to_owned()),
        "internal-error" | "watchdog" => Seen::Error(format!("The machine was stopped: {word}.")),
        _ => return None,
    })
}

/// What a process that was not asked to end, and did, makes of its machine.
fn ended(status: Status, socket_left: bool) -> Seen {
    match status {
        Status::Ended { status: Some(0), .. } | Status::Absent => Seen::State("inactive"),
        Status::Ended { signal: Some(signal), .. } => {
            Seen::Error(format!("The machine's process was ended by signal {signal}."))
        }
        Status::Ended { status: Some(status), .. } => {
            Seen::Error(format!("The machine's process ended with status {status}."))
        }
        // Nobody watched. QEMU takes its socket away when it ends in order.
        Status::Ended { .. } if !socket_left => Seen::State("inactive"),
        Status::Ended { .. } | Status::Running(_) => Seen::Error("The machine's process was ended.".to_owned()),
    }
}

impl Qemu {
    pub(super) fn start(&self, machine: &Entity) -> Result<(), Failure> {
        if self.record(machine)?.hibernation == Hibernation::Saving {
            self.wait_until_saved(machine)?;
        }
        let leaving = self.runs(machine)? && self.word(machine).is_none() && self.ends_soon(machine)?;
        if self.runs(machine)? && !leaving { self.run_on(machine) } else { self.spawn_anew(machine) }
    }

    /// Whether a process whose monitor is gone ends now: it is on its way out, and another takes its place.
    fn ends_soon(&self, machine: &Entity) -> Result<bool, Failure> {
        let begun = self.programs.now();
        while self.runs(machine)? {
            if self.word(machine).is_some() || self.programs.now().saturating_sub(begun) > u64::from(END_MS) {
                return Ok(false);
            }
            self.programs.pause(3);
        }
        Ok(true)
    }

    /// Have a machine run whose process is there.
    fn run_on(&self, machine: &Entity) -> Result<(), Failure> {
        // Before the guest writes to its disks, what sleeps in them is over.
        if self.record(machine)?.hibernation == Hibernation::Saved {
            self.amend(machine, true, |record| {
                record.hibernation = Hibernation::Stale;
                Ok(())
            })?;
        }
        self.tell(machine, &[Command::plain("cont")]).map(drop)
    }

    /// Start a process that a client asked for, maybe the first of the machine.
    fn spawn_anew(&self, machine: &Entity) -> Result<(), Failure> {
        // By the record the end of the process leads back to the machine.
        self.change(machine, false, |_| Ok(()))?;
        self.spawn(machine)
    }

    /// Start a process for a machine that has a record.
    pub(super) fn spawn(&self, machine: &Entity) -> Result<(), Failure> {
        let launched = self.launch(machine);
        if self.is_forgotten(machine)? {
            // It was deleted meanwhile, and whoever did that may have been too early to see the process.
            self.clear(&machine.seq)?;
            return refused(DELETED);
        }
        let devices = launched?;
        self.wait_until_it_listens(machine)?;
        if self.record(machine)?.hibernation == Hibernation::Saved {
            self.wake(machine)?;
        }
        let unplugged = devices.iter().filter(|device| !device.connected).map(plug::unplugged);
        let unplugged: Vec<Command> = unplugged.collect();
        self.tell(machine, &unplugged)?;
        self.run_on(machine)
    }

    /// Have a process be there. Its devices.
    fn launch(&self, machine: &Entity) -> Result<Vec<Device>, Failure> {
        let record = self.amend(machine, false, |record| Ok(record.clone()))?;
        if record.copies.iter().any(|copy| self.is_being_copied(&copy.image)) {
            return refused("The machine is being copied; try again.");
        }
        self.ensure_root(machine)?;
        let seed = seed::write(&self.disks(), machine)?;
        let devices = self.devices(machine)?;
        let line = command::line(machine, &self.settings, &devices, seed);
        self.programs.start(&process(machine), "qemu", &line)?;
        Ok(devices)
    }

    fn wait_until_it_listens(&self, machine: &Entity) -> Result<(), Failure> {
        let begun = self.programs.now();
        loop {
            if self.word(machine).is_some() {
                return Ok(());
            }
            if !self.runs(machine)? {
                let said = self.programs.printed(&process(machine));
                return Err(Failure::Failed(format!("QEMU does not start: {}", said.trim())));
            }
            if self.programs.now().saturating_sub(begun) > LISTEN_MS {
                self.end(machine)?;
                return Err(Failure::Failed("QEMU does not listen.".to_owned()));
            }
            self.programs.pause(3);
        }
    }

    /// End a machine's process, and what waits for it.
    fn end(&self, machine: &Entity) -> Result<(), Failure> {
        if self.status(machine)? != Status::Absent {
            self.programs.stop(&process(machine), END_MS)?;
        }
        let record = self.record(machine)?;
        let waits = record.copies.iter().any(|copy| copy.deferred);
        if record.leaving.is_some() || record.hibernation == Hibernation::Saving || waits {
            self.amend(machine, waits, |record| {
                record.leaving = None;
                if record.hibernation == Hibernation::Saving {
                    record.hibernation = Hibernation::None;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Ask the guest to power itself off.
    fn ask_to_leave(&self, machine: &Entity, restart: bool) -> Result<(), Failure> {
        let Status::Running(pid) = self.status(machine)? else { return Ok(()) };
        let until = self.programs.now() + self.settings.patience.saturating_mul(1_000);
        self.change(machine, true, |record| {
            record.leaving = Some(Leaving { pid, until, restart });
            Ok(())
        })?;
        self.tell(machine, &[Command::plain("system_powerdown")]).map(drop)
    }

    pub(super) fn act_on_machine(&self, machine: &Entity, action: &str, how: &str) -> Result<(), Failure> {
        match (action, how) {
            ("stop", "poweroff") => self.end(machine),
            ("stop", _) => self.ask_to_leave(machine, false),
            ("restart", "warm") => self.tell(machine, &[Command::plain("system_reset")]).map(drop),
            ("restart", "cold") => {
                self.end(machine)?;
                self.spawn_anew(machine)
            }
            ("restart", _) => self.ask_to_leave(machine, true),
            ("suspend", "hibernate") => self.hibernate(machine),
            ("suspend", _) => self.tell(machine, &[Command::plain("stop")]).map(drop),
            _ => Ok(()),
        }
    }

    /// What a machine is; none if it is as it was written down.
    pub(super) fn look(&self, machine: &Entity) -> Result<Option<Seen>, Failure> {
        let status = self.status(machine)?;
        if matches!(status, Status::Running(_)) {
            let found = self.word(machine).and_then(|word| seen(&word));
            return match found {
                // It is being woken up.
                Some(Seen::State("inactive")) if self.record(machine)?.hibernation == Hibernation::Saved => {
                    Ok(Some(Seen::State("suspended")))
                }
                // It is being written to its disk.
                None if self.record(machine)?.hibernation == Hibernation::Saving => Ok(Some(Seen::State("suspended"))),
                // It is being started again.
                Some(Seen::State("inactive"))
                    if self.record(machine)?.leaving.is_some_and(|leaving| leaving.restart) =>
                {
                    Ok(None)
                }
                found => Ok(found),
            };
        }
        if !matches!(machine.state(), Some("active" | "suspended")) {
            return Ok(None);
        }
        let record = self.record(machine)?;
        if record.hibernation == Hibernation::Saved {
            return Ok(Some(Seen::State("suspended")));
        }
        if record.leaving.is_some_and(|leaving| leaving.restart) {
            return Ok(None);
        }
        Ok(Some(ended(status, self.disks().exists(&Self::socket(machine)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_nobody_asked_for_is_told_from_a_guest_that_left() {
        let gone = |status, signal| Status::Ended { status, signal };
        let inactive = Seen::State("inactive");
        assert_eq!(ended(gone(Some(0), None), true), inactive);
        assert_eq!(ended(gone(None, None), false), inactive);
        assert!(matches!(ended(gone(None, None), true), Seen::Error(_)));
        assert!(matches!(ended(gone(None, Some(9)), false), Seen::Error(why) if why.contains("signal 9")));
        assert!(matches!(ended(gone(Some(1), None), false), Seen::Error(why) if why.contains("status 1")));
    }

    #[test]
    fn what_passes_by_itself_is_no_state() {
        for word in ["shutdown", "save-vm", "restore-vm", "finish-migrate", "postmigrate", "debug", "colo", ""] {
            assert_eq!(seen(word), None, "{word}");
        }
        assert_eq!(seen("paused"), Some(Seen::State("suspended")));
        assert!(matches!(seen("io-error"), Some(Seen::Error(_))));
    }
}
