//! Moments as text: seconds since 1970 to RFC 3339 in UTC.

/// `2026-11-21T15:24:39Z`.
pub fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years are counted from March, so that the day of a leap year comes last; 400 of them have 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The same from milliseconds.
pub fn rfc3339_ms(milliseconds: i64) -> String {
    rfc3339(milliseconds.div_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn known_moments_have_known_texts() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_795_274_679), "2026-11-21T15:24:39Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }
}
