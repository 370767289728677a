//! What runs the machines: the seam between the API and its real parts.
//!
//! The service decides what is allowed, by the tables of `model`; a provider carries it out and says what became of it,
//! as values of immutable attributes. A provider is called before the commit that makes its effects visible, and again
//! if that commit lost a race: what it is asked twice it does once.
//!
//! Work that takes longer than a request goes on in jobs: [`Provider::settle`] brings it forward. What a machine does by
//! itself, or what is done to it, is found by [`Provider::observe`]; the service writes it down.

pub mod embedded;
pub mod qemu;

use std::rc::Rc;

use serde_json::Value;

use crate::{
    entity::{Attributes, Entity},
    fault::Fault,
    model::{Category, TypeId, states::Transition, templates::Image},
    settings::{Backend, Settings},
    store::keys::Keys,
};

/// Attributes with their new values.
pub type Effects = Vec<(&'static str, Value)>;

/// Why a provider did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It cannot be done to this entity now; the text is for the client. Nothing changed.
    #[error("{0}")]
    Refused(String),
    /// It was tried and failed: the entity is in the state `error` with this message.
    #[error("{0}")]
    Failed(String),
    /// The real parts cannot be reached; nothing changed.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        match failure {
            Failure::Refused(why) => Fault::conflict(why),
            Failure::Failed(why) => Fault::internal(format_args!("provider: {why}")),
            Failure::Unavailable(why) => Fault::new(503, why),
        }
    }
}

/// How a provider is named in the query interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Term of its mixin.
    pub term: &'static str,
    /// What it is, for people.
    pub title: &'static str,
}

/// What a machine is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// One of the states `active`, `inactive` and `suspended`.
    State(&'static str),
    /// The state `error`, and why.
    Error(String),
}

/// What is left of work that takes longer than a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// None.
    Nothing,
    /// Some; it is worth looking again after so many milliseconds.
    LookIn(u64),
}

/// A backend.
pub trait Provider {
    /// How it is named in the query interface.
    fn backend(&self) -> Named;

    /// Templates beside those of the settings: what is found in the backend's own places.
    fn images(&self) -> Vec<Image> {
        Vec::new()
    }

    /// What a resource is now; none if it is as it was written down.
    ///
    /// # Errors
    /// If it cannot be found out.
    fn observe(&self, _resource: &Entity) -> Result<Option<Seen>, Failure> {
        Ok(None)
    }

    /// Bring forward what was begun for a machine and could not be ended at once.
    ///
    /// # Errors
    /// If it failed; it is tried again.
    fn settle(&self, _machine: &Entity) -> Result<Left, Failure> {
        Ok(Left::Nothing)
    }

    /// A resource comes to be, at rest; what it boots from is among its mixins.
    ///
    /// # Errors
    /// If there can be none like that.
    fn create(&self, resource: &Entity) -> Result<Effects, Failure>;

    /// A resource is to be what `after` is: another size, another template, other attributes.
    ///
    /// # Errors
    /// If it cannot be.
    fn update(&self, before: &Entity, after: &Entity) -> Result<Effects, Failure>;

    /// An action whose transition is possible. The service sets the state it leads to; effects may say otherwise.
    ///
    /// # Errors
    /// If it fails; `Failed` leads to the state `error`.
    fn act(&self, resource: &Entity, transition: &Transition, parameters: &Attributes) -> Result<Effects, Failure>;

    /// An independent copy of a machine, which others can boot from.
    ///
    /// # Errors
    /// If there can be none.
    fn save(&self, machine: &Entity, parameters: &Attributes) -> Result<Image, Failure>;

    /// A link is to come to be, and gets the attributes that the backend decides. `place` is how many of its kind the source
    /// has already; `target` is none if it is elsewhere.
    ///
    /// # Errors
    /// If it cannot be.
    fn attach(&self, link: &mut Entity, source: &Entity, target: Option<&Entity>, place: usize) -> Result<(), Failure>;

    /// Whether a link is to be taken out of its source and put in again, because what it stands for is another now. Its ends
    /// are the same.
    fn rewires(&self, _before: &Entity, _after: &Entity) -> bool {
        false
    }

    /// A link has come to be: what it stands for is put into its source, if that runs. Doing it twice does no harm.
    ///
    /// # Errors
    /// If the source does not take it; the link goes again then.
    fn plug(&self, _link: &Entity) -> Result<(), Failure> {
        Ok(())
    }

    /// A link goes.
    ///
    /// # Errors
    /// If it cannot.
    fn detach(&self, link: &Entity) -> Result<(), Failure>;

    /// A resource goes, whatever its state.
    ///
    /// # Errors
    /// If it cannot.
    fn delete(&self, resource: &Entity) -> Result<(), Failure>;

    /// Address of the console of a machine that is there, by its `seq`; none if it has none.
    fn console(&self, machine: &str) -> Option<String>;
}

/// The operator's choice, for one name space. There is no falling back from one to the other.
pub fn of(settings: &Settings, keys: &Keys) -> Rc<dyn Provider> {
    match settings.backend {
        Backend::Embedded => Rc::new(embedded::Embedded),
        Backend::Qemu => Rc::new(qemu::Qemu::new(settings, keys, Rc::new(qemu::Host))),
    }
}

/// The mixin by which the query interface names a backend. It applies to nothing: it is there to be read.
pub fn category(named: &Named) -> Category {
    let id = TypeId::known("http://schemas.plugbay.org/occi/backend#", named.term);
    Category::mixin(id, named.title).at(&format!("/mixin/backend/{}/", named.term))
}
