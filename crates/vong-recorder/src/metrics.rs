//! What the recorder counts.

use vong_telemetry::{Counter, Metrics};

#[derive(Clone, Debug)]
pub struct RecorderMetrics {
    pub gops: Counter,
    pub gops_dropped: Counter,
    pub unannounced: Counter,
}

impl RecorderMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            gops: metrics
                .counter("vong_recorder_gops_total", "Groups of pictures handed to the disk."),
            gops_dropped: metrics.counter(
                "vong_recorder_gops_dropped_total",
                "Groups of pictures dropped because the disk did not keep up.",
            ),
            unannounced: metrics.counter(
                "vong_recorder_segments_unannounced_total",
                "Footage files that are on disk but could not be put on the log.",
            ),
        }
    }
}

/// What the filing of clips counts.
#[derive(Clone, Debug)]
pub struct ClipMetrics {
    lost: Counter,
}

impl ClipMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        let help = "Records the log lost before they were looked at for alerts.";
        Self { lost: metrics.counter("vong_clips_lost_records_total", help) }
    }

    pub(crate) fn lost(&self, records: u64) {
        self.lost.inc_by(records);
    }
}
