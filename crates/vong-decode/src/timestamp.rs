//! A device's time, in the ways devices write it.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use vong_model::EventTime;

use crate::config::TimestampConfig;
use crate::json::Found;

/// How a timestamp is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TimestampFormat {
    Rfc3339,
    /// A count since 1970 whose unit is this many microseconds.
    Unix {
        unit_us: i64,
    },
    /// strftime without a zone; local time is this many microseconds ahead of UTC.
    Local {
        pattern: String,
        offset_us: i64,
    },
    /// strftime with a zone (`%z`).
    Zoned {
        pattern: String,
    },
}

const HOUR_US: f64 = 3_600e6;

impl TimestampFormat {
    pub(crate) fn compile(config: &TimestampConfig) -> Result<Self, String> {
        let unix = |unit_us| Ok(Self::Unix { unit_us });
        if config.offset_hours.is_some() && !config.format.contains('%') {
            return Err("takes no offset_hours".to_owned());
        }
        match config.format.as_str() {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix_s" => unix(1_000_000),
            "unix_ms" => unix(1_000),
            "unix_us" => unix(1),
            pattern if pattern.contains('%') => Self::compile_pattern(pattern, config.offset_hours),
            other => {
                let known = ["rfc3339", "unix_s", "unix_ms", "unix_us"];
                let near = known.iter().find(|k| strsim::damerau_levenshtein(k, other) <= 2);
                let hint = near.map_or(String::new(), |k| format!("; did you mean '{k}'"));
                Err(format!(
                    "is none of rfc3339, unix_s, unix_ms, unix_us and no strftime pattern{hint}"
                ))
            }
        }
    }

    fn compile_pattern(pattern: &str, offset_hours: Option<f64>) -> Result<Self, String> {
        use chrono::format::{Item, StrftimeItems};
        if StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error)) {
            return Err("is not a strftime pattern".to_owned());
        }
        let pattern = pattern.to_owned();
        let zoned = ["%z", "%:z", "%#z", "%+"].iter().any(|z| pattern.contains(z));
        match (zoned, offset_hours) {
            (true, Some(_)) => Err("has a zone of its own, so it takes no offset_hours".to_owned()),
            (true, None) => Ok(Self::Zoned { pattern }),
            (false, hours) => {
                let hours = hours.unwrap_or(0.0);
                if !(-24.0..=24.0).contains(&hours) {
                    return Err("has offset_hours outside -24 to 24".to_owned());
                }
                let offset_us = micros_of(hours, HOUR_US).unwrap_or(0);
                Ok(Self::Local { pattern, offset_us })
            }
        }
    }

    /// What the format expects, for a sentence.
    fn expectation(&self) -> &'static str {
        match self {
            Self::Rfc3339 => "an RFC 3339 time with offset",
            Self::Unix { .. } => "a number since 1970",
            Self::Local { .. } | Self::Zoned { .. } => "a time in the configured pattern",
        }
    }

    /// The instant, or what was expected instead.
    pub(crate) fn read(&self, found: &Found, text: &str) -> Result<EventTime, &'static str> {
        let instant = match (self, found) {
            (Self::Unix { unit_us }, Found::Integer(count)) => count.checked_mul(*unit_us),
            (Self::Unix { unit_us }, Found::Number(count)) => micros_of(*count, unit(*unit_us)),
            (Self::Unix { unit_us }, Found::Text(_)) => unix_text(text, *unit_us),
            (Self::Rfc3339, Found::Text(_)) => rfc3339(text),
            (Self::Local { pattern, offset_us }, Found::Text(_)) => {
                let local = NaiveDateTime::parse_from_str(text, pattern).ok();
                local.and_then(|l| l.and_utc().timestamp_micros().checked_sub(*offset_us))
            }
            (Self::Zoned { pattern }, Found::Text(_)) => {
                DateTime::parse_from_str(text, pattern).ok().map(|t| t.timestamp_micros())
            }
            _ => None,
        };
        instant.map(EventTime).ok_or_else(|| self.expectation())
    }
}

fn unit(unit_us: i64) -> f64 {
    unit_us as f64 // one of 1, 1,000, 1,000,000: exact
}

fn unix_text(text: &str, unit_us: i64) -> Option<i64> {
    if let Ok(count) = text.parse::<i64>() {
        return count.checked_mul(unit_us);
    }
    micros_of(text.parse::<f64>().ok()?, unit(unit_us))
}

/// `count` units of `unit_us` microseconds, rounded; none when that is no instant.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the check before it")]
fn micros_of(count: f64, unit_us: f64) -> Option<i64> {
    let micros = (count * unit_us).round();
    (micros.abs() < 9.0e18).then_some(micros as i64)
}

/// RFC 3339 `date-time`; a space is taken for `T`, a leap second for the second after it.
fn rfc3339(text: &str) -> Option<i64> {
    let mut scan = Scan { rest: text.as_bytes() };
    let year = i32::try_from(scan.number::<4>()?).ok()?;
    scan.one_of(b"-")?;
    let month = scan.number::<2>()?;
    scan.one_of(b"-")?;
    let day = scan.number::<2>()?;
    scan.one_of(b"Tt ")?;
    let hour = scan.number::<2>()?;
    scan.one_of(b":")?;
    let minute = scan.number::<2>()?;
    scan.one_of(b":")?;
    let second = scan.number::<2>()?;
    let micros = scan.fraction()?;
    let offset_s = scan.offset()?;
    if !scan.rest.is_empty() || second > 60 {
        return None;
    }
    let leap = i64::from(second == 60);
    let time = NaiveTime::from_hms_opt(hour, minute, second.min(59))?;
    let whole = NaiveDate::from_ymd_opt(year, month, day)?.and_time(time).and_utc().timestamp();
    let seconds = whole.checked_add(leap)?.checked_sub(offset_s)?;
    seconds.checked_mul(1_000_000)?.checked_add(i64::from(micros))
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    /// Exactly `N` digits.
    fn number<const N: usize>(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_first_chunk::<N>()?;
        let mut value = 0u32;
        for digit in digits {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            if digit > 9 {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(digit); // N is at most 4
        }
        self.rest = rest;
        Some(value)
    }

    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        allowed.contains(first).then_some(*first)
    }

    /// An optional fraction of a second, in microseconds; further digits are cut off.
    fn fraction(&mut self) -> Option<u32> {
        let Some((b'.', mut rest)) = self.rest.split_first() else { return Some(0) };
        let (mut micros, mut place) = (0u32, 100_000u32);
        let mut digits = 0usize;
        while let Some((digit @ b'0'..=b'9', tail)) = rest.split_first() {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            micros = micros.saturating_add(digit.saturating_mul(place));
            place = place.checked_div(10).unwrap_or(0);
            digits = digits.saturating_add(1);
            rest = tail;
        }
        self.rest = rest;
        (digits > 0).then_some(micros)
    }

    /// `Z` or an offset, as seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = self.one_of(b"Zz+-")?;
        if sign == b'Z' || sign == b'z' {
            return Some(0);
        }
        let hours = self.number::<2>()?;
        if self.rest.first() == Some(&b':') {
            self.one_of(b":")?;
        }
        let minutes = self.number::<2>()?;
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = i64::from(hours.wrapping_mul(3_600).wrapping_add(minutes.wrapping_mul(60)));
        Some(if sign == b'-' { seconds.wrapping_neg() } else { seconds })
    }
}

#[cfg(test)]
mod tests;
