//! How long to wait after failures: from one second to one minute, not all at the same time.

use plugbay_sdk::crypto;

/// Milliseconds between attempts at what only a person can put right.
pub const SLOW: i64 = 60_000;

/// Milliseconds to wait after so many failures in a row.
///
/// # Errors
/// Those of the host's randomness.
pub fn wait(failures: u32) -> Result<i64, crypto::Error> {
    let random = crypto::random(1)?.first().copied().unwrap_or_default();
    Ok(spread(failures, random))
}

/// Between half and all of a time that doubles.
fn spread(failures: u32, random: u8) -> i64 {
    let most = (1_000_i64 << failures.saturating_sub(1).min(6)).min(60_000);
    most / 2 + most / 2 * i64::from(random) / 255
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn waits_double_from_a_second_to_a_minute_and_are_spread() {
        assert_eq!((spread(1, 0), spread(1, 255)), (500, 1_000));
        assert_eq!((spread(4, 0), spread(4, 255)), (4_000, 8_000));
        assert_eq!((spread(50, 0), spread(u32::MAX, 255)), (30_000, 60_000));
    }
}
