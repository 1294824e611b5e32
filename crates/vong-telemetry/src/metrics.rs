//! One registry of metrics, passed as an argument; there is no global.
//!
//! Names follow `vong_<area>_<noun>_<unit>[_total]`; labels come from closed enums.
//! Each crate keeps its metrics in one struct whose fields are built here once.

use prometheus::{
    Encoder, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub type Counter = IntCounter;
pub type CounterVec = IntCounterVec;
pub type Gauge = IntGauge;
pub type GaugeVec = IntGaugeVec;
pub type Histogram = prometheus::Histogram;

/// Builds and registers metrics; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    pub fn new() -> Self {
        Self::default()
    }

    /// A monotonic count. Panics only if `name` is not a valid metric name, which is a bug.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(IntCounter::new(name, help).expect("metric names are literals"))
    }

    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.register(
            IntCounterVec::new(Opts::new(name, help), labels).expect("metric names are literals"),
        )
    }

    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(IntGauge::new(name, help).expect("metric names are literals"))
    }

    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(
            IntGaugeVec::new(Opts::new(name, help), labels).expect("metric names are literals"),
        )
    }

    /// A distribution with upper bounds `buckets`, in the unit the name ends with.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(options).expect("metric names are literals"))
    }

    /// All metrics in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        debug_assert!(encoded.is_ok(), "writing to memory cannot fail");
        String::from_utf8_lossy(&out).into_owned()
    }

    /// `(name, type, help)` of every metric that has been touched, sorted by name.
    pub fn describe(&self) -> Vec<(String, String, String)> {
        let families = self.registry.gather();
        families
            .iter()
            .map(|f| {
                (
                    f.name().to_owned(),
                    format!("{:?}", f.get_field_type()).to_lowercase(),
                    f.help().to_owned(),
                )
            })
            .collect()
    }

    fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: M) -> M {
        // The same metric may be asked for twice (two brokers, two cameras): the first registration
        // wins and later handles would be detached, so a duplicate is a bug worth seeing in tests.
        let registered = self.registry.register(Box::new(metric.clone()));
        debug_assert!(registered.is_ok(), "metric registered twice");
        metric
    }
}
