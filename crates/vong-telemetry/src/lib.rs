//! How the process is seen from outside: structured logs, one metric registry, and the class of
//! every error.
//!
//! Knows no word of the domain. Every other crate may use it; it uses none of them.

mod classify;
mod logging;
mod metrics;

pub use classify::{Classify, Kind, Retry};
pub use logging::{LogFormat, init_logging};
pub use metrics::{Counter, CounterVec, Gauge, GaugeVec, Histogram, Metrics};
