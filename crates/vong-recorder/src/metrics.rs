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
