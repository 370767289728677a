//! Drydock.
pub mod design;
pub mod time;
pub mod validation;
pub mod yaml;
