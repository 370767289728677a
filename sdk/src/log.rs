//! Lines for the operator: the macros `error!`, `warn!`, `info!`, `debug!` and `trace!`.
//!
//! The host adds plugin, operation and request id, and cuts lines over 8 KiB.

use std::fmt;

pub use crate::bindings::plugbay::plugin::log::Level;
use crate::capability;

/// Write one line; what the macros call.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => capability::log::log(level, text),
        None => capability::log::log(level, &message.to_string()),
    }
}

/// Something is wrong and a person should look.
#[macro_export]
macro_rules! error {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($text)*)) };
}

/// Something is odd.
#[macro_export]
macro_rules! warn {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Warn, ::core::format_args!($($text)*)) };
}

/// Something happened.
#[macro_export]
macro_rules! info {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Info, ::core::format_args!($($text)*)) };
}

/// Something for who works on the plugin.
#[macro_export]
macro_rules! debug {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($text)*)) };
}

/// Everything.
#[macro_export]
macro_rules! trace {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Trace, ::core::format_args!($($text)*)) };
}
