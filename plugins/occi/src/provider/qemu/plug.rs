//! Disks and interfaces of machines: at their start, and while they run.
//!
//! A disk is in a machine while its storage is online, an interface is there always and has its cable plugged in while its
//! network is up. Taking a device out needs the guest: QEMU asks it, and says when it has let go.

use serde_json::{Value, json};

use super::{
    Qemu,
    command::{self, Device, backend_name, device_name},
    disk, failure,
    qmp::Command,
    record::Hibernation,
    refused,
};
use crate::{
    cdmi::image,
    entity::Entity,
    model::{
        cdmi,
        infrastructure::{bytes, id},
        templates::Format,
    },
    provider::Failure,
    store::entities,
};

/// How long a guest may take to let go of a device within a request.
const RELEASE_MS: u64 = 5_000;

/// Most snapshots of a storage.
const SNAPSHOTS: usize = 8;

/// What to tell a machine so that an interface's cable is out.
pub fn unplugged(device: &Device) -> Command {
    cable(device.frontend.get("id").unwrap_or(&Value::Null), false)
}

fn cable(name: &Value, up: bool) -> Command {
    Command::new("set_link", json!({"name": name, "up": up}))
}

/// Words of an answer that say that it was so already.
fn is_there(why: &str) -> bool {
    why.contains("Duplicate") || why.contains("already")
}

fn is_gone(why: &str) -> bool {
    why.contains("not found") || why.contains("Failed to find") || why.contains("Cannot find")
}

impl Qemu {
    /// All devices that a machine is started with.
    pub(super) fn devices(&self, machine: &Entity) -> Result<Vec<Device>, Failure> {
        let mut devices = Vec::new();
        for path in &machine.links {
            let Some(link) = self.entity(path)? else { continue };
            let Some(target) = link.ends.as_ref().map(|ends| self.entity(&ends.target)).transpose()?.flatten() else {
                continue;
            };
            devices.extend(self.device(machine, &link, &target)?);
        }
        Ok(devices)
    }

    /// The device of a link; none if nothing is plugged in for it now.
    fn device(&self, machine: &Entity, link: &Entity, target: &Entity) -> Result<Option<Device>, Failure> {
        let is_disk = link.kind == id("storagelink");
        if !self.has_device(link, target) {
            return Ok(None);
        }
        let place = self.amend(machine, false, |record| record.place(machine, &link.path))?;
        if is_disk {
            let container = target.text(cdmi::OBJECT_ID);
            let (path, format) = self.disk_of(target)?;
            return Ok(Some(command::disk_device(link, container.unwrap_or(&target.seq), &path, format, place)));
        }
        command::interface(link, &self.settings, target, place).map(Some)
    }

    /// A container may be a disk if it has one, and that is not larger than disks are.
    pub(super) fn container_fits(&self, container: &str) -> Result<(), Failure> {
        let size = image::size_of_disk(&self.keys, container).map_err(failure)?;
        match size > bytes(self.settings.most_disk) {
            true => refused(format!("A disk has at most {} GiB here.", self.settings.most_disk)),
            false => Ok(()),
        }
    }

    /// File and format of a storage's disk, which is made if it is not there.
    fn disk_of(&self, storage: &Entity) -> Result<(String, Format), Failure> {
        match storage.text(cdmi::OBJECT_ID) {
            Some(container) => {
                self.container_fits(container)?;
                self.disks().folder(image::FOLDER)?;
                Ok((image::ensure(&self.keys, container).map_err(failure)?, Format::Raw))
            }
            None => Ok((self.disks().ensure_storage(storage)?, Format::Qcow2)),
        }
    }

    /// Whether something is plugged in for a link now.
    pub(super) fn has_device(&self, link: &Entity, target: &Entity) -> bool {
        link.kind == id("networkinterface") || link.kind == id("storagelink") && target.state() == Some("online")
    }

    /// Whether devices can be changed while the process is there; an error if they cannot be changed at all.
    fn is_open(&self, machine: &Entity) -> Result<bool, Failure> {
        let runs = self.runs(machine)?;
        match self.record(machine)?.hibernation {
            Hibernation::Saving | Hibernation::Saved => {
                refused("The machine is hibernated, and needs all its devices to wake up; start it first.")
            }
            Hibernation::None | Hibernation::Stale => Ok(runs),
        }
    }

    /// Put a link's device into a machine that runs.
    pub(super) fn plug_in(&self, machine: &Entity, link: &Entity, target: &Entity) -> Result<(), Failure> {
        if !self.is_open(machine)? {
            return Ok(());
        }
        let Some(device) = self.device(machine, link, target)? else { return Ok(()) };
        if device.backend.get("helper").is_some() {
            return refused("A machine that runs cannot be put on a bridge; stop it first.");
        }
        let back = if device.is_disk { "blockdev-add" } else { "netdev_add" };
        let mut commands =
            vec![Command::new(back, device.backend.clone()), Command::new("device_add", device.frontend.clone())];
        if !device.connected {
            commands.push(unplugged(&device));
        }
        let replies = self.talk(machine, &commands)?;
        match replies.into_iter().find_map(Result::err).filter(|why| !is_there(why)) {
            None => Ok(()),
            Some(why) => {
                // Nothing is left of what was begun. What is not there cannot be taken away, which is as good.
                self.talk(machine, &[take_away(link)])?;
                refused(format!("The machine does not take it: {why}."))
            }
        }
    }

    /// Take a link's device out of a machine that runs, which needs the guest to let go of it.
    pub(super) fn unplug(&self, machine: &Entity, link: &Entity) -> Result<(), Failure> {
        if !self.is_open(machine)? {
            return Ok(());
        }
        let name = device_name(link);
        let remove = Command::new("device_del", json!({"id": name}));
        let replies = self.talk(machine, &[remove])?;
        let why = replies.into_iter().find_map(Result::err);
        // It was asked before, and may be about to.
        let asked = why.as_deref().is_some_and(|why| why.contains("in the process of unplug"));
        let gone = why.as_deref().is_some_and(is_gone);
        if let Some(why) = why.filter(|_| !asked && !gone) {
            return refused(format!("The machine does not let it go: {why}."));
        }
        if self.is_released(machine, link)? {
            Ok(())
        } else {
            refused("The guest has not let go of the device yet; try again.")
        }
    }

    /// Wait until a device is gone, and take away what was behind it.
    fn is_released(&self, machine: &Entity, link: &Entity) -> Result<bool, Failure> {
        let begun = self.programs.now();
        let path = format!("/machine/peripheral/{}", device_name(link));
        let look = Command::new("qom-list", json!({"path": path}));
        while self.programs.now().saturating_sub(begun) < RELEASE_MS {
            let there = self.talk(machine, std::slice::from_ref(&look))?.iter().any(Result::is_ok);
            if !there {
                let why = self.talk(machine, &[take_away(link)])?.into_iter().find_map(Result::err);
                match why.filter(|why| !is_gone(why)) {
                    None => return Ok(true),
                    // The device lets go of it a moment after it is gone itself.
                    Some(why) if why.contains("in use") => {}
                    Some(why) => return refused(format!("The machine does not let it go: {why}.")),
                }
            }
            self.programs.pause(10);
        }
        Ok(false)
    }

    fn users(&self, target: &Entity) -> Result<Vec<(Entity, Entity)>, Failure> {
        let links = entities::incoming(&self.keys, &target.path).map_err(failure)?;
        let mut users = Vec::new();
        for link in links {
            let source = link.ends.as_ref().map(|ends| self.entity(&ends.source)).transpose()?.flatten();
            users.extend(source.filter(super::is_machine).map(|machine| (machine, link)));
        }
        Ok(users)
    }

    /// The machine that has the disk of a storage now, and the link.
    fn user_of(&self, storage: &Entity) -> Result<Option<(Entity, Entity)>, Failure> {
        for (machine, link) in self.users(storage)? {
            if self.runs(&machine)? && storage.state() == Some("online") {
                return Ok(Some((machine, link)));
            }
        }
        Ok(None)
    }

    /// A storage has gone online.
    pub(super) fn plug_everywhere(&self, storage: &Entity) -> Result<(), Failure> {
        let mut online = storage.clone();
        online.attributes.insert("occi.storage.state".to_owned(), "online".into());
        if online.text(cdmi::OBJECT_ID).is_none() {
            self.disks().ensure_storage(&online)?;
        }
        self.users(storage)?.iter().try_for_each(|(machine, link)| self.plug_in(machine, link, &online))
    }

    /// A storage goes offline.
    pub(super) fn unplug_everywhere(&self, storage: &Entity) -> Result<(), Failure> {
        self.users(storage)?.iter().try_for_each(|(machine, link)| self.unplug(machine, link))
    }

    /// A network goes up or down.
    pub(super) fn switch(&self, network: &Entity, up: bool) -> Result<(), Failure> {
        for (machine, link) in self.users(network)? {
            if self.runs(&machine)? {
                self.tell(&machine, &[cable(&device_name(&link).into(), up)])?;
            }
        }
        Ok(())
    }

    /// Enlarge the disk of a storage.
    pub(super) fn resize(&self, storage: &Entity, old: f64, new: f64) -> Result<(), Failure> {
        if new < old {
            return refused(format!("A storage of {old} GiB cannot shrink to {new} GiB."));
        }
        let path = disk::storage(&storage.seq);
        if new <= old || !self.disks().exists(&path) {
            return Ok(());
        }
        match self.user_of(storage)? {
            Some((machine, link)) => {
                let arguments = json!({"node-name": backend_name(&link), "size": bytes(new)});
                self.tell(&machine, &[Command::new("block_resize", arguments)]).map(drop)
            }
            None => self.disks().resize(&path, bytes(new)),
        }
    }

    /// Note what a storage has now, inside its disk. The oldest of too many goes after that.
    pub(super) fn snapshot(&self, storage: &Entity) -> Result<(), Failure> {
        let path = self.disks().ensure_storage(storage)?;
        let name = format!("s{:015}", self.programs.now());
        if let Some((machine, link)) = self.user_of(storage)? {
            let device = backend_name(&link);
            let tell = |what, name: &str| {
                self.tell(&machine, &[Command::new(what, json!({"device": device, "name": name}))]).map(drop)
            };
            tell("blockdev-snapshot-internal-sync", &name)?;
            let nodes = self.tell(&machine, &[Command::new("query-named-block-nodes", json!({"flat": true}))])?;
            let is_disk = |node: &&Value| node.get("node-name").and_then(Value::as_str) == Some(device.as_str());
            let node = nodes.as_array().into_iter().flatten().find(is_disk);
            let known = node.and_then(|node| node.get("image")).map(disk::snapshots_of).unwrap_or_default();
            too_old(known).iter().try_for_each(|name| tell("blockdev-snapshot-delete-internal-sync", name))
        } else {
            self.disks().snapshot(&path, &name)?;
            too_old(self.disks().snapshots(&path)?).iter().for_each(|name| self.disks().forget(&path, name));
            Ok(())
        }
    }

    /// Copy a storage that no machine has, in place of the last copy.
    pub(super) fn back_up(&self, storage: &Entity) -> Result<(), Failure> {
        if self.user_of(storage)?.is_some() {
            return refused("A machine uses the storage; take it offline first.");
        }
        let path = self.disks().ensure_storage(storage)?;
        self.disks().copy(&path, &disk::backup(&storage.seq))
    }
}

/// Snapshots beyond the newest, of those that clients asked for.
fn too_old(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| name.strip_prefix('s').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())));
    names.sort();
    names.truncate(names.len().saturating_sub(SNAPSHOTS));
    names
}

fn take_away(link: &Entity) -> Command {
    match link.kind == id("storagelink") {
        true => Command::new("blockdev-del", json!({"node-name": backend_name(link)})),
        false => Command::new("netdev_del", json!({"id": backend_name(link)})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_snapshots_goes_and_what_is_not_a_clients_stays() {
        let name = |n: usize| format!("s{n:015}");
        let mut names: Vec<String> = (0..SNAPSHOTS + 2).rev().map(name).collect();
        names.push(super::super::HIBERNATION.to_owned());
        assert_eq!(too_old(names), [name(0), name(1)]);
        assert_eq!(too_old((0..SNAPSHOTS).map(name).collect()), Vec::<String>::new());
    }
}
