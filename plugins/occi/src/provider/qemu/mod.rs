//! The QEMU backend: a process for each machine, spoken to over QMP.
//!
//! Owns what an action means for a process. A machine's disk, folder and record are made when it is first started, so that
//! a request that is refused leaves nothing behind. The state of a machine is what QMP says; the record (`record.rs`)
//! has only what QMP cannot know: that a guest was asked to leave, that a machine sleeps in its disk, that a copy is
//! to be made. Those are brought to their ends by jobs (`settle.rs`), which go on where a killed host left off.
//!
//! QMP is spoken by this module alone, on a socket in the plugin's directory: no client names a command, a file or an option.

mod boot;
mod command;
pub mod disk;
mod gone;
mod life;
mod network;
mod plug;
mod programs;
mod qmp;
pub mod record;
mod seed;
mod settle;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Value, json};

use super::{Effects, Failure, Left, Named, Provider, Seen, embedded::name_interface};
use crate::{
    entity::{Attributes, Entity},
    fault::Fault,
    model::{
        cdmi,
        infrastructure::{CORES, DEVICE, INTERFACE, MAC, MEMORY, SIZE, bytes, id},
        states::{self, Transition},
        templates::{EPHEMERAL, Image},
    },
    settings::{self, Settings},
    store::{entities, keys::Keys},
};
use disk::Disks;
pub use programs::{Host, Programs, Silence, Status};
use qmp::{Command, Reply};
use record::{Hibernation, Leaving, Record};

/// Name of the copy of a sleeping guest in its disks.
const HIBERNATION: &str = "hibernation";

/// How long QEMU may take to answer.
const ANSWER_MS: u32 = 5_000;

/// Start of the names of machines' processes.
const PROCESS: &str = "m-";

/// The QEMU backend, for one name space.
pub struct Qemu {
    settings: settings::Qemu,
    images: Vec<Image>,
    has_service: bool,
    keys: Keys,
    programs: Rc<dyn Programs>,
    root: PathBuf,
}

/// The machine that a process is; none if it is none.
pub fn machine_of(process: &str) -> Option<&str> {
    process.strip_prefix(PROCESS)
}

fn process(machine: &Entity) -> String {
    process_of(&machine.seq)
}

fn process_of(seq: &str) -> String {
    format!("{PROCESS}{seq}")
}

fn is_machine(entity: &Entity) -> bool {
    entity.kind == id("compute")
}

fn number(entity: &Entity, name: &str) -> f64 {
    entity.attributes.get(name).and_then(Value::as_f64).unwrap_or_default()
}

fn method(parameters: &Attributes) -> &str {
    parameters.get("method").and_then(Value::as_str).unwrap_or_default()
}

fn refused<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refused(why.into()))
}

/// What another part of the plugin refuses.
fn failure(fault: Fault) -> Failure {
    match fault.status {
        409 | 507 => Failure::Refused(fault.message),
        _ => Failure::Unavailable(fault.message),
    }
}

/// What a storage that is a container is refused.
fn not_of_containers<T>(storage: &Entity, what: &str) -> Result<T, Failure> {
    refused(format!("{} is a CDMI container; {what}", storage.path))
}

impl Qemu {
    /// As the operator set it up.
    pub fn new(settings: &Settings, keys: &Keys, programs: Rc<dyn Programs>) -> Qemu {
        Qemu::at("/", settings, keys, programs)
    }

    /// With the private directory elsewhere.
    pub fn at(root: impl Into<PathBuf>, settings: &Settings, keys: &Keys, programs: Rc<dyn Programs>) -> Qemu {
        let (images, root) = (settings.images.clone(), root.into());
        let has_service = settings.glance.is_some();
        Qemu { settings: settings.qemu.clone(), images, has_service, keys: keys.clone(), programs, root }
    }

    /// Its disks, and what makes them.
    pub fn disks(&self) -> Disks<'_> {
        Disks { root: &self.root, programs: &*self.programs, images: &self.images, folder: &self.settings.images }
    }

    fn status(&self, machine: &Entity) -> Result<Status, Failure> {
        self.programs.status(&process(machine))
    }

    fn runs(&self, machine: &Entity) -> Result<bool, Failure> {
        Ok(matches!(self.status(machine)?, Status::Running(_)))
    }

    fn record(&self, machine: &Entity) -> Result<Record, Failure> {
        let found = record::find(&machine.seq).map_err(failure)?;
        Ok(found.unwrap_or_default())
    }

    fn entity(&self, path: &str) -> Result<Option<Entity>, Failure> {
        let kept = entities::get(&self.keys, path).map_err(failure)?;
        Ok(kept.map(|kept| kept.entity))
    }

    fn socket(machine: &Entity) -> String {
        format!("{}/qmp", disk::machine(&machine.seq))
    }

    /// Say these to a machine.
    fn talk(&self, machine: &Entity, commands: &[Command]) -> Result<Vec<Reply>, Silence> {
        let sent = qmp::conversation(commands);
        let answer = self.programs.ask(&Self::socket(machine), &sent, qmp::END, ANSWER_MS)?;
        Ok(qmp::replies(&answer, commands.len()))
    }

    /// Say these, all of which it has to accept. The last answer.
    fn tell(&self, machine: &Entity, commands: &[Command]) -> Result<Value, Failure> {
        let replies = self.talk(machine, commands).map_err(Failure::from)?;
        let mut last = Value::Null;
        for reply in replies {
            last = reply.map_err(|why| Failure::Refused(format!("The machine refuses: {why}.")))?;
        }
        Ok(last)
    }

    fn word(&self, machine: &Entity) -> Option<String> {
        let replies = self.talk(machine, &[Command::plain("query-status")]).ok()?;
        let status = replies.into_iter().next()?.ok()?;
        status.get("status").and_then(Value::as_str).map(str::to_owned)
    }

    fn change<T>(
        &self,
        machine: &Entity,
        soon: bool,
        with: impl FnMut(&mut Record) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        record::change(&self.keys, machine, soon, with)
    }

    /// The same for a machine that was started before; one that is being deleted refuses.
    fn amend<T>(
        &self,
        machine: &Entity,
        soon: bool,
        with: impl FnMut(&mut Record) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        record::amend(machine, soon, with)
    }

    /// What a machine or a storage may have at most.
    fn within_bounds(&self, entity: &Entity) -> Result<(), Failure> {
        let bounds = [
            (CORES, self.settings.most_cores as f64),
            (MEMORY, self.settings.most_memory),
            (EPHEMERAL, self.settings.most_disk),
            (SIZE, self.settings.most_disk),
        ];
        match bounds.into_iter().find(|(name, most)| number(entity, name) > *most) {
            Some((name, most)) => refused(format!("{name} is at most {most} here.")),
            None => Ok(()),
        }
    }

    fn image_of(entity: &Entity) -> Option<&str> {
        let scheme = crate::model::templates::IMAGES;
        entity.mixins.iter().find(|id| id.scheme() == scheme).map(|id| id.as_str())
    }

    fn update_machine(&self, before: &Entity, after: &Entity) -> Result<(), Failure> {
        let sizes = [CORES, MEMORY, EPHEMERAL];
        let image = Self::image_of(before) != Self::image_of(after);
        let narrow = before.text(command::ARCHITECTURE) != after.text(command::ARCHITECTURE);
        let sized = sizes.iter().any(|name| before.attributes.get(*name) != after.attributes.get(*name));
        if !(image || narrow || sized) {
            return Ok(());
        }
        if self.runs(before)? || self.record(before)?.hibernation != Hibernation::None {
            return refused("The machine has to be stopped for that.");
        }
        let disks = self.disks();
        let root = disk::root(&before.seq);
        if image {
            self.origin(after)?;
            return disks.remove(&root);
        }
        let (old, new) = (number(before, EPHEMERAL), number(after, EPHEMERAL));
        match (disks.exists(&root), new > old) {
            (true, true) => disks.resize(&root, bytes(new)),
            (true, false) if new < old => refused("The machine's disk does not shrink."),
            _ => Ok(()),
        }
    }
}

impl Provider for Qemu {
    fn backend(&self) -> Named {
        match self.settings.accelerator {
            settings::Accelerator::Tcg => Named { term: "qemu", title: "QEMU, in software" },
            settings::Accelerator::Kvm => Named { term: "qemu", title: "QEMU with KVM" },
        }
    }

    fn images(&self) -> Vec<Image> {
        self.disks().found()
    }

    fn observe(&self, machine: &Entity) -> Result<Option<Seen>, Failure> {
        if !is_machine(machine) {
            return Ok(None);
        }
        self.look(machine)
    }

    fn settle(&self, machine: &Entity) -> Result<Left, Failure> {
        self.go_on(machine)
    }

    fn create(&self, resource: &Entity) -> Result<Effects, Failure> {
        self.within_bounds(resource)?;
        if !is_machine(resource) {
            return Ok(Vec::new());
        }
        self.origin(resource)?;
        let defaults = [(CORES, json!(1)), (MEMORY, json!(0.5)), (command::ARCHITECTURE, json!("x64"))];
        let missing = |(name, _): &(&str, Value)| !resource.attributes.contains_key(*name);
        Ok(defaults.into_iter().filter(missing).collect())
    }

    fn update(&self, before: &Entity, after: &Entity) -> Result<Effects, Failure> {
        self.within_bounds(after)?;
        if is_machine(after) {
            self.update_machine(before, after)?;
        } else if after.kind == id("storage") && number(before, SIZE) != number(after, SIZE) {
            if before.text(cdmi::OBJECT_ID).is_some() {
                return not_of_containers(before, "it is as large as the object in it.");
            }
            self.resize(before, number(before, SIZE), number(after, SIZE))?;
        }
        Ok(Vec::new())
    }

    fn act(&self, resource: &Entity, transition: &Transition, parameters: &Attributes) -> Result<Effects, Failure> {
        match (transition.kind, transition.action) {
            // Making a copy leaves a machine as it is.
            ("compute", "save") => {
                let state = states::of(&resource.kind).map(|(name, _)| name);
                return Ok(state.zip(resource.state()).map(|(name, state)| (name, state.into())).into_iter().collect());
            }
            ("compute", "start") => {
                if let Some(waits) = self.wait_for_image(resource)? {
                    return Ok(waits);
                }
                self.start(resource)?;
            }
            ("compute", action) => self.act_on_machine(resource, action, method(parameters))?,
            ("network", action) => self.switch(resource, action == "up")?,
            ("storage", "online") => self.plug_everywhere(resource)?,
            ("storage", "offline") => self.unplug_everywhere(resource)?,
            ("storage", "snapshot" | "backup") if resource.text(cdmi::OBJECT_ID).is_some() => {
                return not_of_containers(resource, "copy the object in it, by CDMI.");
            }
            ("storage", "snapshot") => self.snapshot(resource)?,
            ("storage", "backup") => self.back_up(resource)?,
            ("storage", "resize") => {
                let Some(size) = parameters.get("size") else { return Ok(Vec::new()) };
                let mut after = resource.clone();
                after.attributes.insert(SIZE.to_owned(), size.clone());
                self.update(resource, &after)?;
                return Ok(vec![(SIZE, size.clone())]);
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    fn save(&self, machine: &Entity, parameters: &Attributes) -> Result<Image, Failure> {
        let random = plugbay_sdk::crypto::random(12);
        let random = random.map_err(|_| Failure::Unavailable("There is no randomness.".to_owned()))?;
        let image = Image::saved(machine, parameters, plugbay_sdk::crypto::hex(&random));
        let deferred = method(parameters) == "deferred" && self.runs(machine)?;
        self.begin_copy(machine, &image.id, deferred)?;
        Ok(image)
    }

    fn attach(&self, link: &mut Entity, source: &Entity, target: Option<&Entity>, place: usize) -> Result<(), Failure> {
        if !is_machine(source) {
            return Ok(());
        }
        let Some(target) = target else {
            return refused("A machine is linked to networks and storage of this service only.");
        };
        if link.kind == id("storagelink") {
            if let Some(container) = target.text(cdmi::OBJECT_ID) {
                self.container_fits(container)?;
            }
            let links = entities::incoming(&self.keys, &target.path);
            if links.map_err(failure)?.iter().any(|other| other.path != link.path) {
                return refused("The storage is linked to already; a disk has one machine at a time.");
            }
            // What the guest finds it by, however many disks it has.
            let device = format!("/dev/disk/by-id/virtio-{}", command::short(&target.seq));
            link.attributes.entry(DEVICE.to_owned()).or_insert(device.into());
        }
        if link.kind == id("networkinterface") {
            name_interface(link);
            link.attributes.insert(INTERFACE.to_owned(), json!(format!("eth{place}")));
            network::address(&self.settings, link, target)?;
        }
        if self.record(source)?.hibernation == Hibernation::None || !self.has_device(link, target) {
            return Ok(());
        }
        refused("The machine is hibernated, and needs the devices that it had to wake up; start it first.")
    }

    fn rewires(&self, before: &Entity, after: &Entity) -> bool {
        let of_device = [MAC, network::ADDRESS, network::GATEWAY, network::ALLOCATION];
        after.kind == id("networkinterface")
            && of_device.iter().any(|name| before.attributes.get(*name) != after.attributes.get(*name))
    }

    fn plug(&self, link: &Entity) -> Result<(), Failure> {
        let Some(ends) = &link.ends else { return Ok(()) };
        match (self.entity(&ends.source)?, self.entity(&ends.target)?) {
            (Some(machine), Some(target)) if is_machine(&machine) => self.plug_in(&machine, link, &target),
            _ => Ok(()),
        }
    }

    fn detach(&self, link: &Entity) -> Result<(), Failure> {
        let Some(ends) = &link.ends else { return Ok(()) };
        match self.entity(&ends.source)? {
            Some(machine) if is_machine(&machine) => self.unplug(&machine, link),
            _ => Ok(()),
        }
    }

    fn delete(&self, resource: &Entity) -> Result<(), Failure> {
        if resource.kind == id("storage") {
            self.disks().remove(&disk::backup(&resource.seq))?;
            return self.disks().remove(&disk::storage(&resource.seq));
        }
        if !is_machine(resource) {
            return Ok(());
        }
        self.remove(&resource.seq)
    }

    fn console(&self, machine: &str) -> Option<String> {
        let directory = self.programs.directory().ok()?;
        let path = format!("{}/vnc", disk::machine(machine));
        self.disks().exists(&path).then(|| format!("vnc+unix://{directory}/{path}"))
    }
}
