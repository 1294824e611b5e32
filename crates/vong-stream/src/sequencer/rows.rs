//! Decisions as rows of `source_events` and `watermarks`.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::Int32Type;
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
    let watermarks = rows.iter().map(|row| row.watermark.micros());
    let watermarks = TimestampMicrosecondArray::from_iter_values(watermarks);
    let columns: Vec<ArrayRef> = vec![
        instant(now, rows.len()),
        ids(rows.iter().map(|row| Some(row.stream.name()))),
        Arc::new(watermarks.with_timezone("UTC")),
        ids(rows.iter().map(|row| Some(row.reason))),
    ];
    batch(Stream::Watermarks, columns)
}

fn instant(at: UnixMicros, count: usize) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(at, count).with_timezone("UTC"))
}

fn ids<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
}
