//! The embedded backend: states change as those of machines do, and nothing runs.
//!
//! For trying the API where no machines can be had. It is named in the query interface, so that nobody takes it for
//! more.

use serde_json::json;

use super::{Effects, Failure, Named, Provider};
use crate::{
    entity::{Attributes, Entity},
    model::{
        infrastructure::{DEVICE, INTERFACE, MAC, SIZE, id},
        states::Transition,
        templates::Image,
    },
};

/// The embedded backend.
#[derive(Debug, Clone, Copy)]
pub struct Embedded;

impl Provider for Embedded {
    fn backend(&self) -> Named {
        Named { term: "embedded", title: "Embedded backend: states without machines" }
    }

    fn create(&self, _resource: &Entity) -> Result<Effects, Failure> {
        Ok(Vec::new())
    }

    fn update(&self, before: &Entity, after: &Entity) -> Result<Effects, Failure> {
        let size = |entity: &Entity| entity.attributes.get(SIZE).and_then(serde_json::Value::as_f64);
        match (size(before), size(after)) {
            (Some(old), Some(new)) if new < old => {
                Err(Failure::Refused(format!("A storage of {old} GiB cannot shrink to {new} GiB.")))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn act(&self, resource: &Entity, transition: &Transition, parameters: &Attributes) -> Result<Effects, Failure> {
        if transition.action != "resize" {
            return Ok(Vec::new());
        }
        let Some(size) = parameters.get("size") else { return Ok(Vec::new()) };
        let mut after = resource.clone();
        after.attributes.insert(SIZE.to_owned(), size.clone());
        self.update(resource, &after)?;
        Ok(vec![(SIZE, size.clone())])
    }

    fn save(&self, machine: &Entity, parameters: &Attributes) -> Result<Image, Failure> {
        Ok(Image::saved(machine, parameters, String::new()))
    }

    fn attach(
        &self,
        link: &mut Entity,
        _source: &Entity,
        _target: Option<&Entity>,
        place: usize,
    ) -> Result<(), Failure> {
        if link.kind == id("networkinterface") {
            link.attributes.insert(INTERFACE.to_owned(), json!(format!("eth{place}")));
            name_interface(link);
        }
        if link.kind == id("storagelink") && !link.attributes.contains_key(DEVICE) {
            // `vda` is what the machine boots from.
            let letter = u8::try_from(place + 1).ok().filter(|n| *n < 26).map_or('z', |n| char::from(b'a' + n));
            link.attributes.insert(DEVICE.to_owned(), json!(format!("/dev/vd{letter}")));
        }
        Ok(())
    }

    fn detach(&self, _link: &Entity) -> Result<(), Failure> {
        Ok(())
    }

    fn delete(&self, _resource: &Entity) -> Result<(), Failure> {
        Ok(())
    }

    fn console(&self, _machine: &str) -> Option<String> {
        None
    }
}

/// Give an interface a hardware address, if it has none.
pub(super) fn name_interface(link: &mut Entity) {
    // Locally administered, with QEMU's prefix; the rest from the random end of the id.
    let tail = link.seq.get(26..).unwrap_or("000000");
    let part = |range| tail.get(range).unwrap_or("00");
    let mac = format!("52:54:00:{}:{}:{}", part(0..2), part(2..4), part(4..6));
    link.attributes.entry(MAC.to_owned()).or_insert(mac.into());
}
