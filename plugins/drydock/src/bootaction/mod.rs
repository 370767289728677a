//! Boot actions as nodes get them: assets rendered through their pipelines, archives, reports.
//!
//! Pure but for assets with a location, which are fetched through [`crate::world::World`].

pub mod archive;
pub mod asset;
pub mod pipeline;
pub mod report;
pub mod template;
#[cfg(test)]
mod tests;
