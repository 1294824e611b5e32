//! What the RTSP intake counts.

use vong_telemetry::{Counter, CounterVec, Gauge, Metrics};

#[derive(Clone, Debug)]
pub struct RtspMetrics {
    pub frames: Counter,
    pub bytes: Counter,
    pub lost_packets: Counter,
    pub attempts: Counter,
    pub failures: Counter,
    pub connected: Gauge,
    pub jumps: Counter,
    pub onvif_events: Counter,
    pub onvif_dropped: CounterVec,
    pub facts_dropped: CounterVec,
}

impl RtspMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            frames: metrics.counter("vong_rtsp_frames_total", "Coded pictures received."),
            bytes: metrics.counter("vong_rtsp_bytes_total", "Bytes of coded pictures received."),
            lost_packets: metrics
                .counter("vong_rtsp_lost_packets_total", "RTP packets lost on the way."),
            attempts: metrics
                .counter("vong_rtsp_attempts_total", "Attempts to connect to a camera."),
            failures: metrics.counter("vong_rtsp_failures_total", "Sessions that failed or broke."),
            connected: metrics
                .gauge("vong_rtsp_connected_streams", "Camera streams that deliver now."),
            jumps: metrics
                .counter("vong_rtsp_timestamp_jumps_total", "Jumps of cameras' frame times."),
            onvif_events: metrics
                .counter("vong_rtsp_onvif_events_total", "Events cameras told in their metadata."),
            onvif_dropped: metrics.counter_vec(
                "vong_rtsp_onvif_dropped_total",
                "Events and documents of cameras' metadata that were left out.",
                &["reason"],
            ),
            facts_dropped: metrics.counter_vec(
                "vong_rtsp_facts_dropped_total",
                "Facts about cameras that the log did not take in time.",
                &["reason"],
            ),
        }
    }
}
