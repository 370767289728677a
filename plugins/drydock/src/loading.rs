//! From a reference to an effective design, with everything that can be wrong on the way told apart.

use crate::design::effective::{CompileError, compile};
use crate::design::{Fault, LoadError, Site, document};
use crate::reference;
use crate::settings::Settings;
use crate::world::World;

/// What a reference came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded {
    /// An effective design, not validated.
    Site(Box<Site>),
    /// Documents that cannot be read.
    Faults(Vec<Fault>),
    /// Documents that do not come to a design.
    Uncompiled(CompileError),
}

/// Why it came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing behind it.
    #[error("{0}")]
    Reference(#[from] reference::Error),
    /// What is behind it is no stream of documents.
    #[error("{0}")]
    Load(#[from] LoadError),
}

/// Load a design.
///
/// # Errors
/// See [`Error`].
pub fn load(world: &World, settings: &Settings, reference: &str) -> Result<Loaded, Error> {
    let bytes = reference::fetch(world, settings, reference)?;
    let (design, faults) = document::read(&bytes)?;
    if !faults.is_empty() {
        return Ok(Loaded::Faults(faults));
    }
    Ok(match compile(design) {
        Ok(site) => Loaded::Site(Box::new(site)),
        Err(error) => Loaded::Uncompiled(error),
    })
}
