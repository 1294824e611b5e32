//! Rows of `source_events`: many parts tell of the state of what they watch, or of their own.

use arrow::array::RecordBatch;

use crate::columns::{key_column, text_column, time_column};
use crate::{EventTime, Stream};

/// One row; the columns are described with [`Stream::SourceEvents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceEvent<'a> {
    pub event_time: EventTime,
    pub arrival_time: EventTime,
    pub source_id: &'a str,
    pub sensor_id: Option<&'a str>,
    pub state: &'a str,
    pub detail: Option<&'a str>,
    pub unit_code: Option<&'a str>,
}

impl<'a> SourceEvent<'a> {
    /// About a whole source, or a part of ourselves under the name of one, noticed as it happened.
    pub fn now(at: EventTime, source_id: &'a str, state: &'a str, detail: Option<&'a str>) -> Self {
        Self {
            event_time: at,
            arrival_time: at,
            source_id,
            sensor_id: None,
            state,
            detail,
            unit_code: None,
        }
    }
}

/// The rows as a batch of [`Stream::SourceEvents`].
pub fn source_events(rows: &[SourceEvent<'_>]) -> RecordBatch {
    let columns = vec![
        time_column(rows.iter().map(|row| Some(row.event_time))),
        time_column(rows.iter().map(|row| Some(row.arrival_time))),
        key_column(rows.iter().map(|row| Some(row.source_id))),
        key_column(rows.iter().map(|row| row.sensor_id)),
        key_column(rows.iter().map(|row| Some(row.state))),
        text_column(rows.iter().map(|row| row.detail)),
        key_column(rows.iter().map(|row| row.unit_code)),
    ];
    RecordBatch::try_new(Stream::SourceEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_their_stream() {
        let row = SourceEvent::now(EventTime(1), "a", "lost", Some("silent for 45 s"));
        assert_eq!(source_events(&[row, row]).num_rows(), 2);
        assert_eq!(source_events(&[]).num_rows(), 0);
    }
}
