//! State per camera: of its main stream, and whether it is recorded.

use vong_log::Record;
use vong_model::columns::WrongSchema;
use vong_model::{Columns, Stream};

use super::{Projection, text_at};
use crate::message::FieldValue;
use crate::table::Table;

pub(crate) const COLUMNS: &[&str] = &["camera_id", "state", "detail", "event_time_ms", "recording"];

/// Place of `recording` in [`COLUMNS`].
const RECORDING: usize = 4;

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
        let abouts = columns.keys("about")?;
        for row in 0..record.batch.num_rows() {
            let Some(camera) = cameras.get(row) else { continue };
            let state = states.get(row);
            match state {
                Some("removed") => {
                    table.remove(camera, record.offset, record.appended_at);
                    continue;
                }
                Some("recording" | "recording_lost" | "recording_good") => {
                    let lost = state == Some("recording_lost");
                    set_recording(camera, lost, record, table);
                    continue;
                }
                // A tile then shows the main stream.
                _ if abouts.get(row) == Some("live_stream") => continue,
                _ => {}
            }
            let recording = table.field(camera, RECORDING).cloned().unwrap_or(FieldValue::Null);
            let fields = vec![
                FieldValue::text(Some(camera)),
                FieldValue::text(state),
                FieldValue::text(text_at(details, row)),
                FieldValue::millis(Some(times.value(row))),
                recording,
            ];
            table.put(camera, record.offset, 1, fields);
        }
        Ok(())
    }
}

/// What is recorded is not what the camera is: the rest of its row stays. A camera that left the
/// register does not come back by what is told of its last footage.
fn set_recording(camera: &str, lost: bool, record: &Record, table: &mut Table) {
    let fields = (0..RECORDING).map(|column| table.field(camera, column).cloned());
    let Some(mut fields) = fields.collect::<Option<Vec<_>>>() else { return };
    fields.push(FieldValue::text(lost.then_some("lost")));
    table.put(camera, record.offset, 1, fields);
}
