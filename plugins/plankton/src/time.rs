//! Moments, and the ways the services write them.
//!
//! A moment is a count of microseconds since 1970 in UTC: fine enough to order versions, small
//! enough to stay exact as a JSON number.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;
use plugbay_sdk::civil::Civil;
use serde::{Deserialize, Serialize};

/// The last second that has a four-digit year.
const LAST: u64 = 253_402_300_799;

/// Microseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// Now, by the wall clock.
    pub fn now() -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Whole seconds since 1970, at most the last one of the year 9999.
    pub fn seconds(self) -> u64 {
        (self.0 / 1_000_000).min(LAST)
    }

    /// `2013-03-01 12:30:00`, the image registry's form.
    pub fn sql(self) -> String {
        self.civil(' ')
    }

    /// `2013-03-01T12:30:00.000001+00:00`, the form of listings.
    pub fn iso(self) -> String {
        format!("{}.{:06}+00:00", self.civil('T'), self.0 % 1_000_000)
    }

    /// `Fri, 01 Mar 2013 12:30:00 GMT`, the form of headers.
    pub fn http(self) -> String {
        HttpDate::from(UNIX_EPOCH + Duration::from_secs(self.seconds())).to_string()
    }

    /// `2013-03-01T12:30:00.000001`, the other image API's form.
    pub fn plain_iso(self) -> String {
        format!("{}.{:06}", self.civil('T'), self.0 % 1_000_000)
    }

    fn civil(self, between: char) -> String {
        let Civil { year, month, day, hour, minute, second } = Civil::of(self.seconds());
        format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
    }

    /// `1362141000.000001`, the form of version timestamps in listings.
    pub fn decimal(self) -> String {
        format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// An ISO 8601 date and time: `2013-03-01T12:30:00`, the `T` or a blank, seconds and their fraction left
/// out or not, with an offset (`Z`, `+02:00`, `+0200`) or meant as UTC. A date alone is its first moment.
/// Moments before 1970 become the first one. None if it is none of these.
pub fn parse_iso(text: &str) -> Option<Moment> {
    let mut rest = text.trim();
    let mut number = |width: usize, lead: &str| -> Option<u64> {
        let digits = rest.strip_prefix(lead)?;
        let (digits, after) = digits.split_at_checked(width)?;
        let value = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
        rest = after;
        Some(value)
    };
    let (year, month, day) = (number(4, "")?, number(2, "-")?, number(2, "-")?);
    let (mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0);
    if let Some(found) = number(2, "T").or_else(|| number(2, " ")) {
        (hour, minute) = (found, number(2, ":")?);
        second = number(2, ":").unwrap_or(0);
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, after) = fraction.split_at_checked(length).filter(|_| length > 0)?;
            let first: String = digits.chars().chain("000000".chars()).take(6).collect();
            (micros, rest) = (first.parse().ok()?, after);
        }
    }
    let ahead = offset(rest)?;
    let civil = Civil { year, month, day, hour, minute, second };
    if !civil.is_valid() {
        return None;
    }
    let Some(seconds) = civil.seconds() else {
        return Some(Moment(0));
    };
    let seconds = i64::try_from(seconds).ok()? - ahead;
    Some(u64::try_from(seconds).map_or(Moment(0), |seconds| Moment(seconds * 1_000_000 + micros)))
}

/// Seconds that a clock of this offset is ahead of UTC.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1) {
        None => return Some(0),
        Some(("Z" | "z", "")) => return Some(0),
        Some(("+", digits)) => (1, digits),
        // A plus sign in a query may arrive as a blank.
        Some((" ", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        Some(_) => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let digits = if digits.len() == 2 { format!("{digits}00") } else { digits };
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i64 = digits.parse().ok()?;
    let (hours, minutes) = (value / 100, value % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Seconds since 1970 of an HTTP date in any of its three forms; none if it is not one.
pub fn parse_http(text: &str) -> Option<u64> {
    let date: HttpDate = text.trim().parse().ok()?;
    let since = SystemTime::from(date).duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOMENT: Moment = Moment(1_362_141_000_000_001);

    #[test]
    fn the_four_forms() {
        assert_eq!(MOMENT.sql(), "2013-03-01 12:30:00");
        assert_eq!(MOMENT.iso(), "2013-03-01T12:30:00.000001+00:00");
        assert_eq!(MOMENT.http(), "Fri, 01 Mar 2013 12:30:00 GMT");
        assert_eq!(MOMENT.decimal(), "1362141000.000001");
    }

    #[test]
    fn http_dates_in_all_three_forms() {
        for text in ["Fri, 01 Mar 2013 12:30:00 GMT", "Friday, 01-Mar-13 12:30:00 GMT", "Fri Mar  1 12:30:00 2013"] {
            assert_eq!(parse_http(text), Some(1_362_141_000), "{text}");
        }
        assert_eq!(parse_http("yesterday"), None);
    }

    #[test]
    fn iso_dates_in_many_forms() {
        let at = |text| parse_iso(text).map(|moment| moment.0);
        for text in [
            "2013-03-01T12:30:00",
            "2013-03-01 12:30:00Z",
            "2013-03-01T12:30",
            "2013-03-01T14:30:00+02:00",
            "2013-03-01T14:30:00 02:00",
            "2013-03-01T11:00:00.000-0130",
            "2013-03-01T13:30:00.0000001+01",
        ] {
            assert_eq!(at(text), Some(1_362_141_000_000_000), "{text}");
        }
        assert_eq!(at("2013-03-01T12:30:00.5"), Some(1_362_141_000_500_000));
        assert_eq!(at("2000-02-29"), Some(11_016 * 86_400_000_000));
        assert_eq!(at("1969-12-31T23:00:00Z"), Some(0));
        assert_eq!(at("0000-01-01"), Some(0));
        for bad in [
            "",
            "soon",
            "2013-02-29",
            "2013-13-01",
            "2013-00-01",
            "2013-03-00",
            "2013-03-01T24:00",
            "2013-03-01T12:60",
            "2013-03-01T12:30:00.",
            "2013-03-01T12:30:00X",
            "2013-03-01T12",
            "2013-03-01T12:30:00+2",
            "2013-03-01T12:30:00+25:00",
            "+013-03-01",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_last_moment_is_in_the_year_9999() {
        assert_eq!(Moment(u64::MAX).sql(), "9999-12-31 23:59:59");
    }

    proptest! {
        #[test]
        fn an_http_date_reads_back(seconds in 0u64..LAST) {
            prop_assert_eq!(parse_http(&Moment(seconds * 1_000_000).http()), Some(seconds));
        }

        #[test]
        fn both_calendars_agree(seconds in 0u64..LAST) {
            let moment = Moment(seconds * 1_000_000);
            let (sql, http) = (moment.sql(), moment.http());
            prop_assert_eq!(&sql[..4], &http[12..16]);
            prop_assert_eq!(&sql[8..10], &http[5..7]);
            prop_assert_eq!(&sql[11..], &http[17..25]);
        }

        #[test]
        fn an_iso_date_reads_back(micros in 0u64..LAST * 1_000_000) {
            let moment = Moment(micros);
            prop_assert_eq!(parse_iso(&moment.plain_iso()), Some(moment));
            prop_assert_eq!(parse_iso(&moment.iso()), Some(moment));
            prop_assert_eq!(parse_iso(&moment.sql()), Some(Moment(moment.seconds() * 1_000_000)));
        }

        #[test]
        fn an_offset_shifts_by_itself(micros in 100_000_000_000u64..LAST * 1_000_000, hours in 0u64..24, minutes in 0u64..60) {
            let moment = Moment(micros);
            let shifted = parse_iso(&format!("{}+{hours:02}:{minutes:02}", moment.plain_iso()));
            prop_assert_eq!(shifted, Some(Moment(micros - (hours * 60 + minutes) * 60_000_000)));
        }

        #[test]
        fn any_text_is_a_date_or_not(text in any::<String>(), like in "[0-9T: Z+.-]{0,30}") {
            let _ = (parse_http(&text), parse_iso(&text), parse_iso(&like));
        }

        #[test]
        fn any_number_prints(micros in any::<u64>()) {
            let _ = (Moment(micros).sql(), Moment(micros).http());
        }
    }
}
