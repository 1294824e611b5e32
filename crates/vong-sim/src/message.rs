//! What a sensor sends: topic and payload, in a different style for each kind, as in real cities.

use chrono::{DateTime, FixedOffset};
use vong_runtime::UnixMicros;

use crate::noise::rounded;
use crate::world::{Reading, SensorKind, World};

/// One MQTT message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    /// JSON text.
    pub payload: String,
}

impl World {
    /// What sensor number `index` sends at `at_ms` since the start, or `None` while it is dead.
    ///
    /// `start` is the wall-clock time of second 0. The timestamp inside is the device's own.
    pub fn message(&self, index: usize, at_ms: u64, start: UnixMicros) -> Option<Message> {
        let reading = self.reading(index, at_ms)?;
        let sensor = self.sensors().get(index)?;
        let since_start_ms = i64::try_from(at_ms).ok()?;
        let device_ms =
            start.div_euclid(1_000) + since_start_ms + self.clock_ahead_ms(index, at_ms);
        let id = sensor.sensor.sensor_id.as_str();
        Some(Message { topic: topic(sensor.kind, id), payload: payload(reading, id, device_ms) })
    }
}

/// Where sensors of a kind publish.
pub fn topic(kind: SensorKind, sensor_id: &str) -> String {
    match kind {
        SensorKind::Traffic => format!("city/traffic/{sensor_id}/state"),
        SensorKind::WaterLevel => format!("city/water/{sensor_id}"),
        SensorKind::Rain => format!("city/rain/{sensor_id}"),
        SensorKind::AirQuality => format!("city/air/{sensor_id}"),
        SensorKind::Noise => format!("city/noise/{sensor_id}"),
        SensorKind::Door => format!("city/door/{sensor_id}"),
        SensorKind::Power => format!("city/power/{sensor_id}"),
    }
}

fn payload(reading: Reading, id: &str, unix_ms: i64) -> String {
    // numbers are rounded, so `{}` prints the shortest decimal that reads back the same
    let (one, two) = (|v| rounded(v, 1), |v| rounded(v, 2));
    match reading {
        Reading::Traffic { speed, flow, occupancy } => format!(
            r#"{{"ts":"{}","speed":{},"flow":{},"occupancy":{}}}"#,
            rfc3339(unix_ms),
            one(speed),
            one(flow),
            rounded(occupancy, 3)
        ),
        Reading::WaterLevel { level_m } => {
            format!(r#"{{"t":{unix_ms},"level_m":{}}}"#, rounded(level_m, 3))
        }
        Reading::Rain { mm } => {
            format!(r#"{{"t":{},"mm":{}}}"#, unix_ms.div_euclid(1_000), one(mm))
        }
        Reading::AirQuality { pm25, pm10 } => format!(
            concat!(
                r#"{{"id":"urn:ngsi-ld:AirQualityObserved:{}","type":"AirQualityObserved","#,
                r#""observedAt":"{}","pm25":{{"value":{}}},"pm10":{{"value":{}}}}}"#
            ),
            id,
            rfc3339(unix_ms),
            two(pm25),
            two(pm10)
        ),
        Reading::Noise { db } => format!(r#"{{"t":{unix_ms},"db":{}}}"#, one(db)),
        Reading::Door { open } => format!(r#"{{"t":{unix_ms},"open":{}}}"#, u8::from(open)),
        Reading::Power { kw } => format!(r#"{{"t":{unix_ms},"kw":{}}}"#, one(kw)),
    }
}

/// Local time of Vietnam (UTC+7 all year) with milliseconds.
fn rfc3339(unix_ms: i64) -> String {
    const VIETNAM_S: i32 = 7 * 3_600;
    let at = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    let zone = FixedOffset::east_opt(VIETNAM_S).expect("seven hours are less than a day");
    at.with_timezone(&zone).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_speaks_its_own_dialect() {
        let check = |reading, id, expected: &str| {
            assert_eq!(payload(reading, id, 1_795_305_600_250), expected);
        };
        check(
            Reading::Traffic { speed: 31.26, flow: 17.0, occupancy: 0.123_46 },
            "TR-001",
            r#"{"ts":"2026-11-22T07:00:00.250+07:00","speed":31.3,"flow":17,"occupancy":0.123}"#,
        );
        check(Reading::WaterLevel { level_m: 2.0 }, "", r#"{"t":1795305600250,"level_m":2}"#);
        check(Reading::Rain { mm: -0.01 }, "", r#"{"t":1795305600,"mm":0}"#);
        check(
            Reading::AirQuality { pm25: 20.04, pm10: 33.0 },
            "AQ-001",
            r#"{"id":"urn:ngsi-ld:AirQualityObserved:AQ-001","type":"AirQualityObserved","observedAt":"2026-11-22T07:00:00.250+07:00","pm25":{"value":20.04},"pm10":{"value":33}}"#,
        );
        check(Reading::Noise { db: 55.55 }, "", r#"{"t":1795305600250,"db":55.6}"#);
        check(Reading::Door { open: true }, "", r#"{"t":1795305600250,"open":1}"#);
        check(Reading::Power { kw: 12.0 }, "", r#"{"t":1795305600250,"kw":12}"#);
    }
}
