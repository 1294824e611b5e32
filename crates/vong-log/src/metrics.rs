//! What the log tells about itself.

use vong_telemetry::{Counter, CounterVec, Gauge, Histogram, Metrics};

use crate::Error;

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
    pub(crate) sync_failures: Counter,
    pub(crate) slow_syncs: Counter,
    pub(crate) disk_full: Gauge,
    pub(crate) reserve_bytes: Gauge,
    pub(crate) quarantined_segments: Gauge,
    pub(crate) lost_offsets: Gauge,
    failed: CounterVec,
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
            sync_failures: metrics.counter(
                "vong_log_sync_failures_total",
                "Segments given up because the disk failed to make a commit durable.",
            ),
            slow_syncs: metrics.counter(
                "vong_log_slow_syncs_total",
                "Commits that took the disk more than two seconds.",
            ),
            disk_full: metrics.gauge(
                "vong_log_disk_full",
                "1 while the log takes no bulk data for want of space.",
            ),
            reserve_bytes: metrics.gauge(
                "vong_log_reserve_bytes",
                "Space set aside for commands and alerts while the disk is full.",
            ),
            quarantined_segments: metrics
                .gauge("vong_log_quarantined_segments", "Segments known to be damaged."),
            lost_offsets: metrics
                .gauge("vong_log_lost_offsets", "Offsets that cannot be read because of damage."),
            failed: metrics.counter_vec(
                "vong_log_failed_appends_total",
                "Appends that were not acknowledged, by reason.",
                &["reason"],
            ),
        }
    }

    /// Counts appends that were refused because of `error`.
    pub(crate) fn failed(&self, error: &Error, appends: usize) {
        let reason = match error {
            Error::DiskFull { .. } => "disk_full",
            Error::Sync { .. } => "sync",
            _ => "write",
        };
        self.failed.with_label_values(&[reason]).inc_by(appends as u64);
    }
}
