//! Moments, and the four ways the services write them.
//!
//! A moment is a count of microseconds since 1970 in UTC: fine enough to order versions, small
//! enough to stay exact as a JSON number.

use jiff::{Timestamp, Unit, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// Now, by the wall clock.
    pub fn now() -> Moment {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Moment(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0 / 1_000_000).unwrap_or(i64::MAX)
    }

    fn timestamp(self) -> Timestamp {
        i64::try_from(self.0)
            .ok()
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// `2013-03-01 12:30:00`, the image registry's form.
    pub fn sql(self) -> String {
        self.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `2013-03-01T12:30:00.000001+00:00`, the form of listings.
    pub fn iso(self) -> String {
        self.timestamp()
            .strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00")
            .to_string()
    }

    /// `Fri, 01 Mar 2013 12:30:00 GMT`, the form of headers.
    pub fn http(self) -> String {
        self.timestamp()
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
    }

    /// `1362141000.000001`, the form of version timestamps in listings.
    pub fn decimal(self) -> String {
        format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Seconds since 1970 of an HTTP date in any of its three forms; none if it is not one.
pub fn parse_http(text: &str) -> Option<i64> {
    const FORMS: [&str; 3] = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    FORMS.iter().find_map(|form| {
        let civil = jiff::civil::DateTime::strptime(form, text.trim()).ok()?;
        let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
        Some(zoned.round(Unit::Second).ok()?.timestamp().as_second())
    })
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
        for text in [
            "Fri, 01 Mar 2013 12:30:00 GMT",
            "Friday, 01-Mar-13 12:30:00 GMT",
            "Fri Mar  1 12:30:00 2013",
        ] {
            assert_eq!(parse_http(text), Some(1_362_141_000), "{text}");
        }
        assert_eq!(parse_http("yesterday"), None);
    }

    proptest! {
        #[test]
        fn an_http_date_reads_back(seconds in 0u64..4_000_000_000) {
            prop_assert_eq!(parse_http(&Moment(seconds * 1_000_000).http()), i64::try_from(seconds).ok());
        }

        #[test]
        fn any_text_is_a_date_or_not(text in any::<String>()) {
            let _ = parse_http(&text);
        }

        #[test]
        fn any_number_prints(micros in any::<u64>()) {
            let _ = (Moment(micros).sql(), Moment(micros).http());
        }
    }
}
