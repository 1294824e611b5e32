//! Decisions as rows of `source_events` and `watermarks`.

use arrow::array::RecordBatch;
use vong_model::columns::{key_column, time_column};
use vong_model::{EventTime, SourceEvent, Stream, source_events};
use vong_runtime::UnixMicros;

use crate::Error;
use crate::outputs::batch;

/// A source or a device changed its state.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) source_id: String,
    pub(super) sensor_id: Option<String>,
    pub(super) state: &'static str,
    pub(super) detail: Option<String>,
    pub(super) unit_code: Option<String>,
}

/// A stream's event time has come this far.
#[derive(Debug)]
pub(super) struct WatermarkRow {
    pub(super) stream: Stream,
    pub(super) watermark: EventTime,
    pub(super) reason: &'static str,
}

pub(super) fn of_sources(changes: &[Change], now: UnixMicros) -> RecordBatch {
    let rows: Vec<SourceEvent<'_>> = changes
        .iter()
        .map(|change| SourceEvent {
            event_time: EventTime(now),
            arrival_time: EventTime(now),
            source_id: &change.source_id,
            sensor_id: change.sensor_id.as_deref(),
            state: change.state,
            detail: change.detail.as_deref(),
            unit_code: change.unit_code.as_deref(),
        })
        .collect();
    source_events(&rows)
}

pub(super) fn watermarks(rows: &[WatermarkRow], now: UnixMicros) -> Result<RecordBatch, Error> {
    let columns = vec![
        time_column(rows.iter().map(|_| Some(EventTime(now)))),
        key_column(rows.iter().map(|row| Some(row.stream.name()))),
        time_column(rows.iter().map(|row| Some(row.watermark))),
        key_column(rows.iter().map(|row| Some(row.reason))),
    ];
    batch(Stream::Watermarks, columns)
}
