//! How the alerts of a rule are treated: words that its statement and its state machine share.
//!
//! Plain data. The statement checks them (severities rise, numbers are finite, spans are longer
//! than zero); the state machine takes them as given.

use std::fmt;
use std::time::Duration;

use crate::Severity;

/// How a number is compared with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    pub const ALL: [Self; 4] = [Self::Greater, Self::GreaterOrEqual, Self::Less, Self::LessOrEqual];

    /// As SQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }

    /// Whether `value` stands so to `bound`; never for what is not a number.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Greater => value > bound,
            Self::GreaterOrEqual => value >= bound,
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One step of a severity ladder: `RAISE TO … WHEN … FOR … LOWER AFTER …`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// The alert's severity while this is the highest rung that is up.
    pub severity: Severity,
    pub comparison: Comparison,
    pub bound: f64,
    /// How long the comparison must hold before the rung goes up; zero: at once.
    pub for_: Duration,
    /// How long it must not hold before the rung goes down; zero: at once.
    pub lower_after: Duration,
}

impl Rung {
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.bound)
    }
}

/// `LIMIT n PER …`: so many alerts of a rule may start firing in one span of event time; spans
/// are counted from 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub alerts: u32,
    pub per: Duration,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.alerts, InWords(self.per))
    }
}

/// What a rule does with rows that come after their window was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// They are counted and kept in `late_events`; decided alerts stand.
    #[default]
    Ignore,
    /// The window is looked at again and a changed answer is published as a revision.
    Revise,
}

impl LatePolicy {
    pub const ALL: [Self; 2] = [Self::Ignore, Self::Revise];

    /// As the statement writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "IGNORE",
            Self::Revise => "REVISE",
        }
    }
}

/// A duration as an SQL interval writes it, to the millisecond: `1 minute 30 seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InWords(pub Duration);

const UNITS: [(&str, u128); 5] = [
    ("day", 86_400_000),
    ("hour", 3_600_000),
    ("minute", 60_000),
    ("second", 1_000),
    ("millisecond", 1),
];

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest_ms = self.0.as_millis();
        if rest_ms == 0 {
            return f.write_str("0 seconds");
        }
        let mut space = "";
        for (unit, unit_ms) in UNITS {
            let count = rest_ms / unit_ms;
            rest_ms %= unit_ms;
            if count > 0 {
                write!(f, "{space}{count} {unit}{}", if count == 1 { "" } else { "s" })?;
                space = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_say_them() {
        let check = |ms, expected: &str| {
            assert_eq!(InWords(Duration::from_millis(ms)).to_string(), expected);
        };
        check(0, "0 seconds");
        check(1, "1 millisecond");
        check(90_000, "1 minute 30 seconds");
        check(2 * 86_400_000 + 5, "2 days 5 milliseconds");
        let limit = Limit { alerts: 3, per: Duration::from_secs(600) };
        assert_eq!(limit.to_string(), "3 per 10 minutes");
    }

    #[test]
    fn what_is_not_a_number_reaches_no_rung() {
        for comparison in Comparison::ALL {
            assert!(!comparison.holds(f64::NAN, 0.0));
            assert_eq!(comparison.holds(1.0, 1.0), comparison.as_str().ends_with('='));
        }
    }
}
