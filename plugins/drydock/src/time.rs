//! Moments, and the one way Drydock writes them.
//!
//! The clock is behind a trait so that waiting can be tested without waiting.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
        let seconds = self.0 / 1_000_000;
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        let micros = self.0 % 1_000_000;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
    }
}

/// Year, month and day of a day since 1970.
///
/// Years are counted from 1 March of the year 0, so that leap days come last: an era of 400 years has 146,097
/// days, and five months from March have 153.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
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
