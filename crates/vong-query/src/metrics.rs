//! What queries and archiving report about themselves.

use vong_telemetry::{Counter, CounterVec, Gauge, Histogram, Metrics};

/// Counters and gauges of the query engine.
#[derive(Clone, Debug)]
pub struct QueryMetrics {
    pub(crate) queries: CounterVec,
    pub(crate) rows: Counter,
    pub(crate) running: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) tail_rows: Gauge,
    pub(crate) tail_lost: Gauge,
    pub(crate) duration: Histogram,
}

impl QueryMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        const BOUNDS_S: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0];
        Self {
            queries: metrics.counter_vec(
                "vong_query_queries_total",
                "Queries by outcome: ok, or the class of the error.",
                &["outcome"],
            ),
            rows: metrics.counter("vong_query_rows_total", "Rows given out."),
            running: metrics.gauge("vong_query_running_queries", "Queries that run now."),
            waiting: metrics.gauge("vong_query_waiting_queries", "Queries that wait for a turn."),
            tail_rows: metrics.gauge(
                "vong_query_tail_rows",
                "Rows of the log, not yet in the history, that the last query saw.",
            ),
            tail_lost: metrics.gauge(
                "vong_query_tail_lost_records",
                "Records of the log, not yet in the history, that the last query missed: damaged.",
            ),
            duration: metrics.histogram(
                "vong_query_duration_seconds",
                "From the turn to the last row.",
                &BOUNDS_S,
            ),
        }
    }
}

/// Counters and gauges of archiving.
#[derive(Clone, Debug)]
pub struct ArchiverMetrics {
    pub(crate) behind: Gauge,
    pub(crate) failures: Counter,
    pub(crate) lost: Counter,
}

impl ArchiverMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            behind: metrics.gauge(
                "vong_archive_behind_records",
                "Records of closed log parts that are not in the history yet.",
            ),
            failures: metrics.counter("vong_archive_failures_total", "Failed steps, retried."),
            lost: metrics.counter(
                "vong_archive_lost_records_total",
                "Records that left the log before they were in the history.",
            ),
        }
    }
}
