//! What the footage directory reports.

use vong_telemetry::{Counter, CounterVec, Gauge, Metrics};

/// Built once per process.
#[derive(Clone, Debug)]
pub struct FootageMetrics {
    pub(crate) gops_written: Counter,
    pub(crate) bytes_written: Counter,
    pub(crate) gops_dropped: CounterVec,
    pub(crate) files_closed: Counter,
    pub(crate) files_deleted: CounterVec,
    pub(crate) bytes_kept: Gauge,
    pub(crate) bytes_a_day: Gauge,
    pub(crate) hours_until_full: Gauge,
    pub(crate) bytes_cut: Counter,
    pub(crate) clips_opened: Counter,
    pub(crate) age_held_back: Gauge,
    pub(crate) delete_failures: Counter,
    pub(crate) unreadable_files: Gauge,
    pub(crate) damage: CounterVec,
}

impl FootageMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            gops_written: metrics
                .counter("vong_footage_gops_written_total", "Groups of pictures written."),
            bytes_written: metrics
                .counter("vong_footage_written_bytes_total", "Bytes of frames written."),
            gops_dropped: metrics.counter_vec(
                "vong_footage_gops_dropped_total",
                "Groups of pictures not written, by reason.",
                &["reason"],
            ),
            files_closed: metrics
                .counter("vong_footage_files_closed_total", "Footage files completed."),
            files_deleted: metrics.counter_vec(
                "vong_footage_files_deleted_total",
                "Footage files deleted by retention, by reason.",
                &["reason"],
            ),
            bytes_kept: metrics
                .gauge("vong_footage_kept_bytes", "Bytes of all footage, after the last sweep."),
            bytes_a_day: metrics.gauge(
                "vong_footage_per_day_bytes",
                "Bytes of footage a day, at the rate of the last 24 hours or less.",
            ),
            hours_until_full: metrics.gauge(
                "vong_footage_until_full_hours",
                "Hours until there is no room for footage but by deleting it early; -1: never, or not known yet.",
            ),
            bytes_cut: metrics.counter(
                "vong_footage_cut_bytes_total",
                "Bytes of torn groups cut off when footage was opened.",
            ),
            clips_opened: metrics.counter("vong_footage_clips_opened_total", "Clips laid out."),
            age_held_back: metrics.gauge(
                "vong_footage_age_held_back_seconds",
                "How far the clock is ahead of what retention believes of it.",
            ),
            delete_failures: metrics.counter(
                "vong_footage_delete_failures_total",
                "Footage files that retention could not delete; each is tried again.",
            ),
            unreadable_files: metrics.gauge(
                "vong_footage_unreadable_files",
                "Files and directories of footage that could not be opened when vong started.",
            ),
            damage: metrics.counter_vec(
                "vong_footage_damage_met_total",
                "Damage met while footage was read, by what was damaged: group, index, file.",
                &["what"],
            ),
        }
    }
}
