//! What sealing and exporting report.

use vong_telemetry::{Counter, CounterVec, Metrics};

/// Built once per process.
#[derive(Clone, Debug)]
pub struct EvidenceMetrics {
    pub(crate) checkpoints: Counter,
    pub(crate) groups_sealed: CounterVec,
    pub(crate) packages: CounterVec,
    pub(crate) package_bytes: Counter,
}

impl EvidenceMetrics {
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
        }
    }
}
