//! State per camera.

use vong_log::Record;
use vong_model::columns::WrongSchema;
use vong_model::{Columns, Stream};

use super::{Projection, text_at};
use crate::message::FieldValue;
use crate::table::Table;

pub(crate) const COLUMNS: &[&str] = &["camera_id", "state", "detail", "event_time_ms"];

#[derive(Debug)]
pub(crate) struct Cameras;

impl Projection for Cameras {
    fn apply(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        if record.stream != Stream::CameraEvents {
            return Ok(());
        }
        let columns = Columns::new(record.stream, &record.batch);
        let (cameras, states) = (columns.keys("camera_id")?, columns.keys("state")?);
        let (details, times) = (columns.texts("detail")?, columns.times("event_time")?);
        for row in 0..record.batch.num_rows() {
            let Some(camera) = cameras.get(row) else { continue };
            // Of the disk, not of the camera: its picture goes on.
            if matches!(states.get(row), Some("recording_lost" | "recording_good")) {
                continue;
            }
            if states.get(row) == Some("removed") {
                table.remove(camera, record.offset, record.appended_at);
                continue;
            }
            let fields = vec![
                FieldValue::text(Some(camera)),
                FieldValue::text(states.get(row)),
                FieldValue::text(text_at(details, row)),
                FieldValue::millis(Some(times.value(row))),
            ];
            table.put(camera, record.offset, 1, fields);
        }
        Ok(())
    }
}
