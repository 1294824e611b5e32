//! What the history reports about itself.

use vong_telemetry::{Counter, Gauge, Metrics};

/// Counters and gauges of one store.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    pub(crate) commits: Counter,
    pub(crate) rows: Counter,
    pub(crate) compactions: Counter,
    pub(crate) removed_rows: Counter,
    pub(crate) files: Gauge,
    pub(crate) bytes: Gauge,
    pub(crate) covered: Gauge,
}

impl StoreMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            commits: metrics.counter("vong_store_commits_total", "Commits to the history."),
            rows: metrics.counter("vong_store_rows_total", "Rows copied into the history."),
            compactions: metrics
                .counter("vong_store_compactions_total", "Merges of small history files."),
            removed_rows: metrics
                .counter("vong_store_removed_rows_total", "Rows removed because of their age."),
            files: metrics.gauge("vong_store_files", "Files of the history."),
            bytes: metrics.gauge("vong_store_bytes", "Size of the history on disk."),
            covered: metrics
                .gauge("vong_store_covered_offset", "First log offset not in the history."),
        }
    }
}
