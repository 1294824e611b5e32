//! What the hub tells about itself.

use vong_telemetry::{Counter, CounterVec, Gauge, GaugeVec, Metrics};

use crate::{GapReason, View};

/// Built once per process and handed to the hub and the video hub.
#[derive(Clone, Debug)]
pub struct HubMetrics {
    rows: GaugeVec,
    changes: CounterVec,
    subscribers: GaugeVec,
    deltas: CounterVec,
    snapshots: CounterVec,
    gaps: CounterVec,
    pub(crate) lag_records: Gauge,
    pub(crate) video_viewers: Gauge,
    pub(crate) video_skipped_frames: Counter,
}

impl HubMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        let by_view = &["view"];
        Self {
            rows: metrics.gauge_vec("vong_hub_view_rows", "Rows of a live view.", by_view),
            changes: metrics.counter_vec(
                "vong_hub_changes_total",
                "Source changes applied to a live view.",
                by_view,
            ),
            subscribers: metrics.gauge_vec(
                "vong_hub_subscribers",
                "Open subscriptions on a live view.",
                by_view,
            ),
            deltas: metrics.counter_vec(
                "vong_hub_deltas_total",
                "Deltas handed to subscribers.",
                by_view,
            ),
            snapshots: metrics.counter_vec(
                "vong_hub_snapshots_total",
                "Snapshots handed to subscribers.",
                by_view,
            ),
            gaps: metrics.counter_vec(
                "vong_hub_gaps_total",
                "Subscribers that could not go on where they left off, by reason.",
                &["reason"],
            ),
            lag_records: metrics
                .gauge("vong_hub_lag_records", "Durable records not yet in the state views."),
            video_viewers: metrics.gauge("vong_hub_video_viewers", "Live video viewers."),
            video_skipped_frames: metrics.counter(
                "vong_hub_video_skipped_frames_total",
                "Frames that slow viewers skipped to reach a newer key frame.",
            ),
        }
    }

    pub(crate) fn applied(&self, view: View, changes: u64, rows: usize) {
        self.changes.with_label_values(&[view.name()]).inc_by(changes);
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.rows.with_label_values(&[view.name()]).set(rows);
    }

    pub(crate) fn subscribers(&self, view: View) -> Gauge {
        self.subscribers.with_label_values(&[view.name()])
    }

    pub(crate) fn delta(&self, view: View) {
        self.deltas.with_label_values(&[view.name()]).inc();
    }

    pub(crate) fn snapshot(&self, view: View) {
        self.snapshots.with_label_values(&[view.name()]).inc();
    }

    pub(crate) fn gap(&self, why: GapReason) {
        let reason = match why {
            GapReason::Epoch => "epoch",
            GapReason::Retention => "retention",
        };
        self.gaps.with_label_values(&[reason]).inc();
    }
}
