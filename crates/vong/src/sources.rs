//! The table `sources`: what is configured, for questions in SQL.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use vong_decode::SourceConfig;

/// One row per source: `source_id`, `broker`, `topic`, `metrics` (joined by commas).
pub(crate) fn table(sources: &[SourceConfig]) -> RecordBatch {
    let text = |of: &dyn Fn(&SourceConfig) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(sources.iter().map(of)))
    };
    let metrics = |source: &SourceConfig| {
        source.fields.iter().map(|field| field.metric.as_str()).collect::<Vec<_>>().join(",")
    };
    let columns = [
        ("source_id", text(&|source| source.id.clone())),
        ("broker", text(&|source| source.broker.clone())),
        ("topic", text(&|source| source.topic.clone())),
        ("metrics", text(&metrics)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns have one length")
}
