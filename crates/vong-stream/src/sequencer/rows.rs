//! Decisions as rows of `source_events` and `watermarks`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use vong_model::{EventTime, Stream};
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

pub(super) fn source_events(changes: &[Change], now: UnixMicros) -> Result<RecordBatch, Error> {
    let detail = changes.iter().map(|c| c.detail.as_deref());
    let columns: Vec<ArrayRef> = vec![
        instant(now, changes.len()),
        instant(now, changes.len()),
        ids(changes.iter().map(|c| Some(c.source_id.as_str()))),
        ids(changes.iter().map(|c| c.sensor_id.as_deref())),
        ids(changes.iter().map(|c| Some(c.state))),
        Arc::new(detail.collect::<StringArray>()),
        ids(changes.iter().map(|c| c.unit_code.as_deref())),
    ];
    batch(Stream::SourceEvents, columns)
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
