//! What is kept: keys, records, and the index that follows from the bags.
//!
//! [`keys`] has the layout, [`records`] the values, [`relations`] and [`nodes`] read and write them, [`index`] follows
//! changed bags, [`bulk`] holds texts of any length.

pub mod bulk;
pub mod index;
pub mod keys;
pub mod nodes;
pub mod records;
pub mod relations;
