//! What sealing and exporting report.

use vong_telemetry::{Counter, CounterVec, Gauge, Metrics};

/// Built once per process.
#[derive(Clone, Debug)]
pub struct EvidenceMetrics {
    pub(crate) checkpoints: Counter,
    pub(crate) groups_sealed: CounterVec,
    pub(crate) packages: CounterVec,
    pub(crate) package_bytes: Counter,
    pub(crate) unsealed_hours: Gauge,
    pub(crate) hours_ahead: Gauge,
    pub(crate) off: Gauge,
}

impl EvidenceMetrics {
    /// Evidence is switched off, or works.
    pub fn switched_off(&self, off: bool) {
        self.off.set(i64::from(off));
    }

    pub fn new(metrics: &Metrics) -> Self {
        Self {
            checkpoints: metrics
                .counter("vong_evidence_checkpoints_total", "Hours of footage sealed."),
            groups_sealed: metrics.counter_vec(
                "vong_evidence_groups_sealed_total",
                "Groups of pictures under checkpoints: in their own hour's, or late in the next.",
                &["in"],
            ),
            packages: metrics.counter_vec(
                "vong_evidence_packages_total",
                "Packages asked for, by outcome.",
                &["outcome"],
            ),
            package_bytes: metrics
                .counter("vong_evidence_package_bytes_total", "Bytes of packages made."),
            unsealed_hours: metrics.gauge(
                "vong_evidence_unsealed_hours",
                "Hours that are over and not sealed yet; more than 1 means that sealing fails.",
            ),
            hours_ahead: metrics.gauge(
                "vong_evidence_sealed_hours_ahead",
                "Sealed hours that are yet to come: the clock was ahead.",
            ),
            off: metrics.gauge(
                "vong_evidence_off",
                "1 while nothing can be sealed or exported, because key or checkpoints are damaged.",
            ),
        }
    }
}
