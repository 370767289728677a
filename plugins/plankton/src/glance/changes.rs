//! From what a request gives to the metadata that is kept.

use super::{
    PAIRED,
    fields::{Given, check_properties},
};
use crate::{
    faults::Fault,
    image::{Metadata, Reserved},
    time::Moment,
};

/// What a new image starts with.
pub fn made(given: &Given, created: Moment) -> Result<Metadata, Fault> {
    laid_over(Metadata { created, ..Metadata::default() }, given)
}

/// What an update leaves: what is not given stays, properties only if `keep` says so.
pub fn changed(before: &Metadata, given: &Given, keep: bool) -> Result<Metadata, Fault> {
    let mut after = before.clone();
    if !keep {
        after.properties.clear();
    }
    laid_over(after, given)
}

fn laid_over(mut there: Metadata, given: &Given) -> Result<Metadata, Fault> {
    let texts = [
        (&mut there.name, &given.name),
        (&mut there.disk_format, &given.disk_format),
        (&mut there.container_format, &given.container_format),
    ];
    for (there, given) in texts {
        if let Some(given) = given {
            there.clone_from(given);
        }
    }
    there.min_ram = given.min_ram.unwrap_or(there.min_ram);
    there.min_disk = given.min_disk.unwrap_or(there.min_disk);
    there.protected = given.protected.unwrap_or(there.protected);
    there.properties.extend(given.properties.clone());
    if !given.properties.is_empty() {
        check_properties(there.properties.len())?;
    }
    if given.disk_format.is_some() || given.container_format.is_some() {
        pair(&mut there)?;
    }
    Ok(there)
}

/// Amazon's formats come in pairs: one stands for the other, and two different ones are a 400.
fn pair(there: &mut Metadata) -> Result<(), Fault> {
    let Metadata { disk_format, container_format, .. } = there;
    let paired = |format: &String| PAIRED.contains(&format.as_str());
    if !paired(disk_format) && !paired(container_format) {
        return Ok(());
    }
    if disk_format.is_empty() {
        disk_format.clone_from(container_format);
    } else if container_format.is_empty() {
        container_format.clone_from(disk_format);
    } else if disk_format != container_format {
        return Err(Fault::bad_request(format!(
            "Invalid mix of disk and container formats: '{disk_format}' and '{container_format}' have to be the same"
        )));
    }
    Ok(())
}

/// Refuse to have an image become active without formats.
pub fn activable(metadata: &Metadata) -> Result<(), Fault> {
    for (what, format) in [("Disk", &metadata.disk_format), ("Container", &metadata.container_format)] {
        if format.is_empty() {
            return Err(Fault::bad_request(format!("{what} format is not specified.")));
        }
    }
    Ok(())
}

/// What a reservation says of the data: what is given now, else what was said before.
pub fn announced(before: Option<&Reserved>, given: &Given) -> Reserved {
    let before = before.cloned().unwrap_or_default();
    Reserved { size: given.size.or(before.size), checksum: given.checksum.clone().or(before.checksum) }
}
