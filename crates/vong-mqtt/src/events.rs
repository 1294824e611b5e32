//! Rows of `source_events` that intake itself writes: a broker's sources came, or went.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StringArray, StringDictionaryBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use vong_model::{EventTime, Stream};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceEvent {
    pub(crate) at: EventTime,
    pub(crate) source_id: String,
    /// `connected` or `lost`.
    pub(crate) state: &'static str,
    pub(crate) detail: String,
}

/// The rows as a batch of [`Stream::SourceEvents`].
pub(crate) fn batch(events: &[SourceEvent]) -> RecordBatch {
    let times: Vec<i64> = events.iter().map(|e| e.at.micros()).collect();
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
    let keys = |text: fn(&SourceEvent) -> Option<&str>| {
        let mut column = StringDictionaryBuilder::<Int32Type>::new();
        events.iter().for_each(|event| column.append_option(text(event)));
        Arc::new(column.finish()) as ArrayRef
    };
    let columns = vec![
        Arc::clone(&time),
        time,
        keys(|e| Some(&e.source_id)),
        keys(|_| None),
        keys(|e| Some(e.state)),
        Arc::new(StringArray::from_iter_values(events.iter().map(|e| &e.detail))),
        keys(|_| None),
    ];
    RecordBatch::try_new(Stream::SourceEvents.schema(), columns)
        .expect("columns are built as the schema lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_fit_their_stream() {
        let event = SourceEvent {
            at: EventTime(1),
            source_id: "a".into(),
            state: "lost",
            detail: "broker has been silent for 45 s".into(),
        };
        assert_eq!(batch(&[event.clone(), event]).num_rows(), 2);
        assert_eq!(batch(&[]).num_rows(), 0);
    }
}
