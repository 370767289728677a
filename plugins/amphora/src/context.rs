//! What every operation works on.

use crate::files::Files;
use crate::machine::Machine;
use crate::settings::Settings;

/// The private directory, the machine and the operator's decisions.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The private directory.
    pub files: &'a dyn Files,
    /// Programs and numbers.
    pub machine: &'a dyn Machine,
    /// The `config` table.
    pub settings: &'a Settings,
}
