//! What vision counts.

use vong_telemetry::{Counter, CounterVec, Gauge, Histogram, Metrics};

#[derive(Clone, Debug)]
pub struct VisionMetrics {
    pub pictures: Counter,
    /// Frames that were not looked at, by `reason`.
    pub dropped: CounterVec,
    pub events: CounterVec,
    pub worker_starts: Counter,
    pub worker_failures: CounterVec,
    pub set_aside: Gauge,
    pub stills: Counter,
    pub decode_seconds: Histogram,
}

impl VisionMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            pictures: metrics
                .counter("vong_vision_pictures_total", "Pictures that were decoded and judged."),
            dropped: metrics.counter_vec(
                "vong_vision_dropped_frames_total",
                "Frames that were offered and not looked at: newer (a newer one came before its turn), queue_full, undecodable, worker_failed, waiting (the worker is being restarted), set_aside.",
                &["reason"],
            ),
            events: metrics.counter_vec(
                "vong_vision_events_total",
                "Findings written as rows of video_events, by kind.",
                &["kind"],
            ),
            worker_starts: metrics
                .counter("vong_vision_worker_starts_total", "Starts of the worker process."),
            worker_failures: metrics.counter_vec(
                "vong_vision_worker_failures_total",
                "Failures of the worker process: died, hung, nonsense, not_started.",
                &["reason"],
            ),
            set_aside: metrics.gauge(
                "vong_vision_cameras_set_aside",
                "Cameras whose frames brought the worker down and are not decoded for a while.",
            ),
            stills: metrics.counter(
                "vong_vision_stills_total",
                "Pictures made for screens: stills, and pictures of motion JPEG.",
            ),
            decode_seconds: metrics.histogram(
                "vong_vision_decode_seconds",
                "From asking the worker to its answer.",
                &[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0],
            ),
        }
    }

    pub(crate) fn drop_frames(&self, reason: &'static str, count: usize) {
        self.dropped.with_label_values(&[reason]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}
