//! What is kept, and every change to it.
//!
//! [`keys`] is the layout, [`db`] the way to the key-value capability, [`names`] the ordered
//! streams, [`past`] the same streams as they were, [`places`] the way to objects and who may do
//! what, [`viewers`] what they see in listings, [`quotas`] how much; [`accounts`], [`containers`],
//! [`objects`], [`bulk`], [`publishing`], [`versions`], [`manifests`], [`blocks`], [`images`] and
//! [`glance`] are the operations; [`visible`] and [`selection`] are lists of images; [`collector`] takes
//! back what all leave behind.
//!
//! Nothing here knows HTTP beyond the faults that operations end with. Invariant: every write is a
//! commit with checks on what it was decided by, tried again when another writer was faster.

pub mod accounts;
pub mod blocks;
pub mod bulk;
pub mod collector;
pub mod containers;
pub mod db;
pub mod glance;
pub mod images;
pub mod keys;
pub mod manifests;
pub mod names;
pub mod objects;
pub mod past;
pub mod places;
pub mod publishing;
pub mod quotas;
pub mod selection;
pub mod versions;
pub mod viewers;
pub mod visible;
