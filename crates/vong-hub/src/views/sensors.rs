//! Latest value per sensor and metric.

use std::collections::BTreeMap;

use vong_log::Record;
use vong_model::Stream;
use vong_model::columns::WrongSchema;

use super::Projection;
use crate::message::FieldValue;
use crate::table::Table;

pub(crate) const COLUMNS: &[&str] = &[
    "sensor_id",
    "metric",
    "value",
    "unit",
    "unit_code",
    "quality",
    "event_time_ms",
    "arrival_time_ms",
];
const QUALITY: usize = 5;
const EVENT_TIME: usize = 6;

/// Rows of one batch are folded per key before the view is touched.
#[derive(Debug, Default)]
pub(crate) struct Sensors {
    key: String,
}

impl Projection for Sensors {
    fn apply(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        if record.stream != Stream::Readings {
            return Ok(());
        }
        let columns = vong_model::Columns::new(record.stream, &record.batch);
        let (sensors, metrics) = (columns.keys("sensor_id")?, columns.keys("metric")?);
        let (units, unit_codes) = (columns.keys("unit")?, columns.keys("unit_code")?);
        let (values, qualities) = (columns.floats("value")?, columns.keys("quality")?);
        let (events, arrivals) = (columns.times("event_time")?, columns.times("arrival_time")?);
        // Latest row per key: by event time, and among equals the later one in the log.
        let mut latest: BTreeMap<(&str, &str), (usize, u64)> = BTreeMap::new();
        for row in 0..record.batch.num_rows() {
            let (Some(sensor), Some(metric)) = (sensors.get(row), metrics.get(row)) else {
                continue;
            };
            let (best, folded) = latest.entry((sensor, metric)).or_insert((row, 0));
            if events.value(row) >= events.value(*best) {
                *best = row;
            }
            *folded += 1;
        }
        for ((sensor, metric), (row, folded)) in latest {
            self.key.clear();
            self.key.push_str(sensor);
            self.key.push('/');
            self.key.push_str(metric);
            let event_time = FieldValue::millis(Some(events.value(row)));
            if is_older(table, &self.key, &event_time) {
                continue;
            }
            let fields = vec![
                FieldValue::text(Some(sensor)),
                FieldValue::text(Some(metric)),
                FieldValue::Float(values.value(row)),
                FieldValue::text(units.get(row)),
                FieldValue::text(unit_codes.get(row)),
                FieldValue::text(qualities.get(row)),
                event_time,
                FieldValue::millis(Some(arrivals.value(row))),
            ];
            table.put(&self.key, record.offset, folded, fields);
        }
        Ok(())
    }
}

/// A backlog that arrives late does not turn the screen back; but after a clock that ran ahead was
/// put right, its earlier times are believed.
fn is_older(table: &Table, key: &str, event_time: &FieldValue) -> bool {
    let ahead =
        matches!(table.field(key, QUALITY), Some(FieldValue::Text(q)) if &**q == "clock_ahead");
    match (table.field(key, EVENT_TIME), event_time) {
        (Some(FieldValue::Int(shown)), FieldValue::Int(new)) => new < shown && !ahead,
        _ => false,
    }
}
