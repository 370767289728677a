//! Glance's rules over headers and queries made here.
