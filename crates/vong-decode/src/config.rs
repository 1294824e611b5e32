//! The shape of `configs/sources/*.toml`: plain data, unknown keys are errors.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One file of sources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcesFile {
    #[serde(default, rename = "source")]
    pub sources: Vec<SourceConfig>,
}

/// One topic mapping: which messages, and what to read from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Unique in the installation; the `source_id` of every row.
    pub id: String,
    /// The `id` of a `[[broker]]`.
    pub broker: String,
    /// Topic template; see the reference.
    pub topic: String,
    #[serde(default = "default_qos")]
    pub qos: u8,
    /// Where the sensor's id stands when the topic has no `{sensor_id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor_id: Option<SensorIdConfig>,
    /// Absent: a row's event time is its arrival time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimestampConfig>,
    #[serde(default = "default_max_age")]
    pub max_age: Span,
    #[serde(default = "default_max_ahead")]
    pub max_ahead: Span,
    #[serde(default = "default_clock_tolerance")]
    pub clock_tolerance: Span,
    #[serde(default)]
    pub unknown_sensors: UnknownSensors,
    #[serde(default, rename = "field")]
    pub fields: Vec<FieldConfig>,
}

/// A sensor id inside the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorIdConfig {
    pub pointer: String,
    /// Cut off when the value begins with it, as in `urn:ngsi-ld:Device:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<String>,
}

/// Where the device's own time stands, and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampConfig {
    pub pointer: String,
    /// `rfc3339`, `unix_s`, `unix_ms`, `unix_us`, or a strftime pattern.
    pub format: String,
    /// Offset from UTC, hours east, of a pattern that has no zone of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_hours: Option<f64>,
}

/// What becomes of readings from sensors nobody registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownSensors {
    #[default]
    Accept,
    Reject,
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConfig {
    pub metric: String,
    /// JSON pointer (RFC 6901); empty for a payload that is the bare value.
    pub pointer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default)]
    pub kind: FieldKind,
    /// The raw value is multiplied by it, before the range is checked.
    #[serde(default = "default_scale")]
    pub scale: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(default)]
    pub optional: bool,
}

/// How a value is written in the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A JSON number.
    #[default]
    Number,
    /// `true` or `false`, read as 1 and 0.
    Boolean,
    /// A number inside a JSON string.
    NumericText,
}

fn default_qos() -> u8 {
    1
}

fn default_max_age() -> Span {
    Span(Duration::from_secs(30 * 86_400))
}

fn default_max_ahead() -> Span {
    Span(Duration::from_secs(600))
}

fn default_clock_tolerance() -> Span {
    Span(Duration::from_secs(30))
}

fn default_scale() -> f64 {
    1.0
}

/// A length of time, written as a whole number and a unit: `250ms`, `30s`, `10m`, `6h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// The text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number and one of ms, s, m, h, d (as in '30s'), found '{0}'")]
pub struct BadSpan(String);

const UNITS_MS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadSpan(text.to_owned());
        let digits_end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (digits, unit) = text.split_at_checked(digits_end).ok_or_else(bad)?;
        let count: u64 = digits.parse().map_err(|_not_a_number| bad())?;
        let (_, unit_ms) = UNITS_MS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let millis = count.checked_mul(*unit_ms).ok_or_else(bad)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let exact = UNITS_MS.iter().find_map(|(name, unit_ms)| {
            let unit_ms = u128::from(*unit_ms);
            (millis.checked_rem(unit_ms)? == 0).then_some((millis.checked_div(unit_ms)?, name))
        });
        let (count, unit) = exact.unwrap_or((millis, &"ms"));
        write!(f, "{count}{unit}")
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        let check = |text: &str, seconds| {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0.as_secs_f64(), seconds);
            assert_eq!(span.to_string(), text);
        };
        check("30d", 2_592_000.0);
        check("90s", 90.0);
        check("250ms", 0.25);
        check("7h", 25_200.0);
        for bad in [
            "",
            "30",
            "d",
            "1.5h",
            "-1s",
            "5 s",
            "99999999999999999999d",
            "10µs",
            "9999999999999999d",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        let text = "[[source]]\nid = 'a'\nbroker = 'b'\ntopic = 'c/{sensor_id}'\ntopics = 1\n";
        let error = toml::from_str::<SourcesFile>(text).unwrap_err().to_string();
        assert!(error.contains("topics"), "{error}");
    }
}
