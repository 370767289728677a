//! x
use crate::{entity::Entity, fault::Fault, service::Service};
/// x
pub fn may_attach(_s: &Service, _l: &Entity, _so: &Entity, _t: Option<&Entity>) -> Result<(), Fault> { Ok(()) }
/// x
pub fn may_remove(_s: &Service, _e: &Entity) -> Result<(), Fault> { Ok(()) }
