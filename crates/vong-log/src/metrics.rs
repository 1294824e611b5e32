//! What the log tells about itself.

use vong_telemetry::{Counter, CounterVec, Gauge, Histogram, Metrics};

/// Built once per process and handed to [`crate::FileLog::open_with`].
#[derive(Clone, Debug)]
pub struct LogMetrics {
    pub(crate) records: Counter,
    pub(crate) rows: Counter,
    pub(crate) bytes: Counter,
    pub(crate) commits: Counter,
    pub(crate) sync_seconds: Histogram,
    pub(crate) head: Gauge,
    pub(crate) floor: Gauge,
    pub(crate) segments: Gauge,
    pub(crate) recovery_cut_bytes: Counter,
    failed: CounterVec,
}

/// Why appends were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    DiskFull,
    Write,
    Sync,
}

impl LogMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        // Doubling from 62 µs: a good NVMe syncs in 0.1 ms, a tired SD card in 1 s.
        let buckets: Vec<f64> = (0..16).map(|i| 62.5e-6 * f64::from(1 << i)).collect();
        Self {
            records: metrics.counter("vong_log_records_total", "Records made durable."),
            rows: metrics.counter("vong_log_rows_total", "Rows made durable."),
            bytes: metrics.counter("vong_log_bytes_total", "Bytes written to segments."),
            commits: metrics
                .counter("vong_log_commits_total", "Group commits: one write, one sync."),
            sync_seconds: metrics.histogram(
                "vong_log_sync_seconds",
                "Time of one fdatasync.",
                &buckets,
            ),
            head: metrics.gauge("vong_log_head_offset", "First offset not yet durable."),
            floor: metrics.gauge("vong_log_floor_offset", "First offset still kept."),
            segments: metrics.gauge("vong_log_segments", "Segment files, the open one included."),
            recovery_cut_bytes: metrics.counter(
                "vong_log_recovery_cut_bytes_total",
                "Bytes of an unfinished write that were cut at the start.",
            ),
            failed: metrics.counter_vec(
                "vong_log_failed_appends_total",
                "Appends that were not acknowledged, by reason.",
                &["reason"],
            ),
        }
    }

    pub(crate) fn failed(&self, reason: Failure, appends: usize) {
        let reason = match reason {
            Failure::DiskFull => "disk_full",
            Failure::Write => "write",
            Failure::Sync => "sync",
        };
        self.failed.with_label_values(&[reason]).inc_by(appends as u64);
    }
}
