//! Sizes of partitions and volumes, as designs write them.
//!
//! Optional `>` (at least that, take the rest), an integer, a unit: decimal (`m`, `mb`, `mbytes`, …), binary (`mi`, `mib`, …)
//! or `%` of what it is on.

/// A size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// At least that much.
    pub at_least: bool,
    /// How much.
    pub amount: Amount,
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// That part of the device or group.
    Percent(i64),
}

const UNITS: &[(&str, u64)] = &[
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("mbytes", 1_000_000),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("gbytes", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("tb", 1_000_000_000_000),
    ("tbytes", 1_000_000_000_000),
    ("mi", 1 << 20),
    ("mib", 1 << 20),
    ("gi", 1 << 30),
    ("gib", 1 << 30),
    ("ti", 1 << 40),
    ("tib", 1 << 40),
];

/// Read a size; none if it is not one.
pub fn parse(text: &str) -> Option<Size> {
    let text = text.trim();
    let (at_least, rest) = match text.strip_prefix('>') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let end = rest.find(|at: char| !at.is_ascii_digit() && at != '-').unwrap_or(rest.len());
    let (digits, unit) = rest.split_at_checked(end)?;
    let unit = unit.trim().to_ascii_lowercase();
    let amount = if unit == "%" {
        Amount::Percent(digits.parse().ok()?)
    } else {
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        Amount::Bytes(digits.parse::<u64>().ok()?.checked_mul(*factor)?)
    };
    Some(Size { at_least, amount })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_decimal_or_binary() {
        let bytes = |text: &str| parse(text).map(|size| size.amount);
        assert_eq!(bytes("40g"), Some(Amount::Bytes(40_000_000_000)));
        assert_eq!(bytes("2GiB"), Some(Amount::Bytes(2 << 30)));
        assert_eq!(bytes("80%"), Some(Amount::Percent(80)));
        assert_eq!(bytes("-5%"), Some(Amount::Percent(-5)));
        assert_eq!(parse(">20g"), Some(Size { at_least: true, amount: Amount::Bytes(20_000_000_000) }));
        for wrong in ["", "g", "1", "1x", "-1g", "1 2g", "99999999999999t"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_size_or_not(text in "\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
