//! What the HTTP edge counts.

use vong_telemetry::{Counter, Gauge, Metrics};

#[derive(Clone, Debug)]
pub struct HttpMetrics {
    pub live_clients: Gauge,
    pub live_messages: Counter,
    pub live_bytes: Counter,
    pub live_closed_slow: Counter,
    pub video_clients: Gauge,
    pub video_pictures: Counter,
    pub video_bytes: Counter,
    pub video_sheds: Counter,
    pub video_stills_missing: Counter,
    pub video_closed_slow: Counter,
    pub sql_queries: Counter,
    pub sql_failures: Counter,
    pub commands: Counter,
    pub clip_bytes: Counter,
}

impl HttpMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            live_clients: metrics
                .gauge("vong_http_live_clients", "Screens connected to the live protocol now."),
            live_messages: metrics
                .counter("vong_http_live_messages_total", "Live messages sent to screens."),
            live_bytes: metrics
                .counter("vong_http_live_bytes_total", "Bytes of live messages sent to screens."),
            live_closed_slow: metrics.counter(
                "vong_http_live_closed_slow_total",
                "Screens closed because they did not read.",
            ),
            video_clients: metrics
                .gauge("vong_http_video_clients", "Pages connected to live pictures now."),
            video_pictures: metrics
                .counter("vong_http_video_pictures_total", "Live pictures sent to pages."),
            video_bytes: metrics
                .counter("vong_http_video_bytes_total", "Bytes of live pictures sent to pages."),
            video_sheds: metrics.counter(
                "vong_http_video_sheds_total",
                "Times a page that could not keep up was given key frames only for idle tiles.",
            ),
            video_stills_missing: metrics.counter(
                "vong_http_video_stills_missing_total",
                "Requests for a still or a picture of motion JPEG that came to nothing.",
            ),
            video_closed_slow: metrics.counter(
                "vong_http_video_closed_slow_total",
                "Pages closed because they took no picture for too long.",
            ),
            sql_queries: metrics.counter("vong_http_sql_queries_total", "SQL statements received."),
            sql_failures: metrics
                .counter("vong_http_sql_failures_total", "SQL statements answered with an error."),
            commands: metrics
                .counter("vong_http_commands_total", "Operators' commands made durable."),
            clip_bytes: metrics.counter("vong_http_clip_bytes_total", "Bytes of clips sent."),
        }
    }
}
