//! Dates and times of day in UTC, from seconds since 1970 and back.
//!
//! What APIs write differs in little things; the calendar is the same for all of them, and small enough to stand here in
//! place of a library with time zones. Years are those of the proleptic Gregorian calendar.

/// Seconds of a day.
const DAY: u64 = 86_400;
/// From 1 March of the year 0 to 1970, in days.
const EPOCH: u64 = 719_468;

/// A date and a time of day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// From 1970 on.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
    /// 0 to 23.
    pub hour: u64,
    /// 0 to 59.
    pub minute: u64,
    /// 0 to 59.
    pub second: u64,
}

impl Civil {
    /// Of so many seconds since 1970.
    ///
    /// Days are counted from 1 March of the year 0, so that leap days come last: an era of 400 years has 146,097
    /// days, and five months from March have 153.
    pub fn of(seconds: u64) -> Self {
        let (days, rest) = (seconds / DAY + EPOCH, seconds % DAY);
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
        Self { year: era * 400 + year + next, month, day, hour, minute, second }
    }

    /// Whether there are such a day and such a time; leap seconds are not.
    pub fn is_valid(&self) -> bool {
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let last = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=last).contains(&self.day) && self.hour < 24 && self.minute < 60 && self.second < 60
    }

    /// Seconds since 1970; none before 1970, and none if it is not [valid](Self::is_valid) or too far away.
    pub fn seconds(&self) -> Option<u64> {
        if !self.is_valid() {
            return None;
        }
        let (year, month) =
            if self.month > 2 { (self.year, self.month - 3) } else { (self.year.checked_sub(1)?, self.month + 9) };
        let (era, of_era) = (year / 400, year % 400);
        let of_year = (153 * month + 2) / 5 + self.day - 1;
        let days = era.checked_mul(146_097)?.checked_add(of_era * 365 + of_era / 4 - of_era / 100 + of_year)?;
        let days = days.checked_sub(EPOCH)?;
        days.checked_mul(DAY)?.checked_add(self.hour * 3_600 + self.minute * 60 + self.second)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(days: u64) -> (u64, u64, u64) {
        let Civil { year, month, day, .. } = Civil::of(days * DAY);
        (year, month, day)
    }

    #[test]
    fn days_around_leap_days_and_centuries() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
            (47_846, (2100, 12, 31)),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn what_is_no_date_has_no_seconds() {
        let noon = Civil { hour: 12, ..Civil::of(0) };
        assert_eq!(noon.seconds(), Some(43_200));
        for wrong in [
            Civil { month: 0, ..noon },
            Civil { month: 13, ..noon },
            Civil { month: 2, day: 29, ..noon },
            Civil { day: 0, ..noon },
            Civil { hour: 24, ..noon },
            Civil { minute: 60, ..noon },
            Civil { second: 60, ..noon },
            Civil { year: 1969, month: 12, day: 31, ..noon },
            Civil { year: 0, ..noon },
            Civil { year: u64::MAX, ..noon },
        ] {
            assert_eq!(wrong.seconds(), None, "{wrong:?}");
        }
        assert_eq!(Civil { year: 2000, month: 2, day: 29, ..Civil::of(0) }.seconds(), Some(11_016 * DAY));
    }

    proptest! {
        #[test]
        fn every_second_reads_back(seconds in 0..253_402_300_800_u64) {
            prop_assert_eq!(Civil::of(seconds).seconds(), Some(seconds));
        }

        #[test]
        fn any_number_has_a_date(seconds: u64) {
            prop_assert!(Civil::of(seconds).is_valid());
        }
    }
}
