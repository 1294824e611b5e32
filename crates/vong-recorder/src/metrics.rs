//! What the recorder counts.

use vong_telemetry::{Counter, CounterVec, Gauge, Metrics};

#[derive(Clone, Debug)]
pub struct RecorderMetrics {
    pub(crate) gops: Counter,
    pub(crate) gops_dropped: CounterVec,
    pub(crate) frames_dropped: CounterVec,
    pub(crate) unannounced: Counter,
    pub(crate) queue_bytes: Gauge,
    pub(crate) disk_full: Gauge,
    pub(crate) ring_let_go: Counter,
    pub(crate) facts_failed: Counter,
}

impl RecorderMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            gops: metrics.counter("vong_recorder_gops_total", "Groups of pictures recorded."),
            gops_dropped: metrics.counter_vec(
                "vong_recorder_gops_dropped_total",
                "Groups of pictures not recorded, by reason.",
                &["reason"],
            ),
            frames_dropped: metrics.counter_vec(
                "vong_recorder_frames_dropped_total",
                "Frames that became part of no group of pictures, by reason.",
                &["reason"],
            ),
            unannounced: metrics.counter(
                "vong_recorder_segments_unannounced_total",
                "Footage files that are on disk but could not be put on the log.",
            ),
            queue_bytes: metrics
                .gauge("vong_recorder_queue_bytes", "Bytes of frames that wait for the disk."),
            disk_full: metrics.gauge(
                "vong_recorder_disk_full",
                "1 while footage is not recorded because the disk is full.",
            ),
            ring_let_go: metrics.counter(
                "vong_recorder_ring_let_go_total",
                "Groups of cameras recorded around alerts let go early for want of memory.",
            ),
            facts_failed: metrics.counter(
                "vong_recorder_facts_failed_total",
                "Attempts to tell of lost footage that the log did not take.",
            ),
        }
    }
}

/// What the filing of clips counts.
#[derive(Clone, Debug)]
pub struct ClipMetrics {
    lost: Counter,
    pub(crate) filed: Counter,
    pub(crate) failed: Counter,
    pub(crate) waiting: Gauge,
}

impl ClipMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        let help = "Records the log lost before they were looked at for alerts.";
        Self {
            lost: metrics.counter("vong_clips_lost_records_total", help),
            filed: metrics.counter("vong_clips_filed_total", "Clips filed for alerts."),
            failed: metrics.counter(
                "vong_clips_filing_failures_total",
                "Attempts to file clips that the log did not take.",
            ),
            waiting: metrics
                .gauge("vong_clips_waiting", "Clips that wait for the log to take them."),
        }
    }

    pub(crate) fn lost(&self, records: u64) {
        self.lost.inc_by(records);
    }
}
