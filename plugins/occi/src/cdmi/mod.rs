//! CDMI 1.0.1 to 1.1.
pub mod exports;
