//! Clips filed for alerts of the last day.

use std::time::Duration;

use arrow::array::Array as _;
use vong_log::Record;
use vong_model::columns::WrongSchema;
use vong_model::{Columns, Stream};

use super::{Departures, Projection};
use crate::message::FieldValue;
use crate::table::Table;

pub(crate) const COLUMNS: &[&str] = &[
    "clip_id",
    "alert_id",
    "camera_id",
    "event_time_ms",
    "from_time_ms",
    "to_time_ms",
    "distance_m",
    "url",
    "view_quality",
];

#[derive(Debug)]
pub(crate) struct Clips {
    keep: Duration,
    departures: Departures,
}

impl Clips {
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, departures: Departures::default() }
    }
}

impl Projection for Clips {
    fn apply(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        self.departures.depart(record, table);
        if record.stream != Stream::Clips {
            return Ok(());
        }
        let columns = Columns::new(record.stream, &record.batch);
        let (clips, alerts) = (columns.texts("clip_id")?, columns.texts("alert_id")?);
        let (cameras, urls) = (columns.keys("camera_id")?, columns.texts("url")?);
        let (events, distances) = (columns.times("event_time")?, columns.floats("distance_m")?);
        let (from, to) = (columns.times("from_time")?, columns.times("to_time")?);
        let qualities = columns.floats("view_quality")?;
        for row in 0..record.batch.num_rows() {
            let clip = clips.value(row);
            let fields = vec![
                FieldValue::text(Some(clip)),
                FieldValue::text(Some(alerts.value(row))),
                FieldValue::text(cameras.get(row)),
                FieldValue::millis(Some(events.value(row))),
                FieldValue::millis(Some(from.value(row))),
                FieldValue::millis(Some(to.value(row))),
                FieldValue::Float(distances.value(row)),
                FieldValue::text(Some(urls.value(row))),
                match qualities.is_valid(row) {
                    true => FieldValue::Float(qualities.value(row)),
                    false => FieldValue::Null,
                },
            ];
            table.put(clip, record.offset, 1, fields);
            self.departures.schedule(clip, record.appended_at.saturating_add(self.keep));
        }
        Ok(())
    }
    fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&self.departures)
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), postcard::Error> {
        self.departures = postcard::from_bytes(saved)?;
        Ok(())
    }
}
