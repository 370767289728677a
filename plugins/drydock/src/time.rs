//! Moments, and the one way Drydock writes them.
//!
//! The clock is behind a trait so that waiting can be tested without waiting.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plugbay_sdk::civil::Civil;
use serde::{Deserialize, Serialize};

/// Microseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

/// What time it is.
pub trait Clock {
    /// Now.
    fn now(&self) -> Moment;
}

/// The clock on the wall.
#[derive(Debug, Clone, Copy)]
pub struct Wall;

impl Clock for Wall {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Moment {
    /// That much later.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)))
    }

    /// That much earlier.
    #[must_use]
    pub fn minus(self, wait: Duration) -> Moment {
        Moment(self.0.saturating_sub(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Milliseconds since 1970, as in ULIDs.
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// `2026-03-01 12:30:00.000001`.
    pub fn text(self) -> String {
        let Civil { year, month, day, hour, minute, second } = Civil::of(self.0 / 1_000_000);
        let micros = self.0 % 1_000_000;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_a_blank_and_six_digits() {
        assert_eq!(Moment(0).text(), "1970-01-01 00:00:00.000000");
        assert_eq!(Moment(1_709_210_096_000_042).text(), "2024-02-29 12:34:56.000042");
    }
}
