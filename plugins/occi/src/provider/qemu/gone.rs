//! The end of a machine: nothing is left of it, whoever starts it at the same time.

use super::{Qemu, Status, disk, failure, life::END_MS, process_of, record};
use crate::{entity::Entity, provider::Failure};

/// How long a process may take to end whose machine goes.
const GRACE_MS: u32 = 500;

impl Qemu {
    /// Whether a machine has no record: it was never started, or it is being deleted.
    pub(super) fn is_forgotten(&self, machine: &Entity) -> Result<bool, Failure> {
        Ok(record::find(&machine.seq).map_err(failure)?.is_none())
    }

    /// Remove all that there is of a machine, by its `seq`.
    ///
    /// The record goes first. Who was about to start the machine finds it gone, before or after the process is there, and
    /// takes back what it did; so nothing is left, whoever comes last.
    ///
    /// # Errors
    /// `Refused` while a copy of it is being made; nothing has changed then.
    pub fn remove(&self, seq: &str) -> Result<(), Failure> {
        record::forget(seq).map_err(failure)?;
        self.clear(seq)
    }

    /// The same for a machine that is no more. Copies of it that were asked for were not begun, and are not made.
    ///
    /// # Errors
    /// Those of the store, and if the machine does not end.
    pub fn abandon(&self, seq: &str) -> Result<(), Failure> {
        record::forget_copies(seq)?;
        self.remove(seq)
    }

    /// Remove what a host that was killed while it deleted a machine has left of it. Whoever starts a machine makes its
    /// record before its folder.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn sweep(&self) -> Result<(), Failure> {
        for seq in self.disks().names(disk::MACHINES) {
            if record::find(&seq).map_err(failure)?.is_none() {
                self.clear(&seq)?;
            }
        }
        Ok(())
    }

    /// End the process of a machine without a record, and remove its folder. What somebody else is about to start may
    /// come in between: another process takes the name, or puts a socket into the folder.
    ///
    /// # Errors
    /// If it does not end.
    pub(super) fn clear(&self, seq: &str) -> Result<(), Failure> {
        let (name, folder, begun) = (process_of(seq), disk::machine(seq), self.programs.now());
        loop {
            if self.programs.status(&name)? != Status::Absent {
                self.programs.stop(&name, GRACE_MS)?;
            }
            let removed = self.disks().remove(&folder);
            let there = self.programs.status(&name)? != Status::Absent;
            if !there && removed.is_ok() {
                return Ok(());
            }
            if self.programs.now().saturating_sub(begun) > u64::from(END_MS) {
                return removed.and_then(|()| Err(Failure::Unavailable("The machine does not end.".to_owned())));
            }
            self.programs.pause(10);
        }
    }
}
