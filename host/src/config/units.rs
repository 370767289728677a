//! Sizes and durations as an operator writes them.
//!
//! Owns the two newtypes and their text form; what a size or a time limits is said where it is
//! used. A value of these types is within bounds that arithmetic further on can rely on.

use std::fmt;
use std::time::Duration;

use jiff::fmt::friendly::SpanParser;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A number of bytes: `"64MiB"` (1024s), `"1GB"` (1000s) or an integer. At most `i64::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// That many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// That many times 1024 bytes.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// That many times 1024² bytes.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// That many times 1024³ bytes.
    #[must_use]
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In bytes, for lengths of what is held in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytesize::ByteSize(self.0).display().iec().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"64MiB\", \"1GB\" or a number of bytes")
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes).map(Size).map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        if bytes > i64::MAX.unsigned_abs() {
            return Err(E::custom("larger than any disk or memory"));
        }
        Ok(Size(bytes))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        // The parser saturates, so what is too large ends above the bound.
        match text.trim().parse::<bytesize::ByteSize>() {
            Ok(size) => self.visit_u64(size.as_u64()),
            Err(_) => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

/// A length of time: `"500ms"`, `"30s"`, `"5m"`, `"1h 30m"`. More than zero, at most a year, so
/// that adding one to an instant cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Period {
    /// That many milliseconds.
    #[must_use]
    pub const fn millis(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    /// That many seconds.
    #[must_use]
    pub const fn secs(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printer = jiff::fmt::friendly::SpanPrinter::new();
        f.write_str(&printer.unsigned_duration_to_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time with its unit, such as \"500ms\", \"30s\", \"5m\" or \"2h\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
        static PARSER: SpanParser = SpanParser::new();
        let duration = PARSER
            .parse_unsigned_duration(text.trim())
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
        if duration.is_zero() {
            return Err(E::custom("a time of zero; write one above it"));
        }
        if duration > YEAR {
            return Err(E::custom("longer than a year"));
        }
        Ok(Period(duration))
    }
}
