//! Counts of the engine.

use vong_model::Offset;
use vong_telemetry::{Counter, CounterVec, Gauge, GaugeVec, Metrics};

use crate::engine::Counts;
use crate::operator::RuleStatus;
use crate::outputs::Outputs;

/// Built once and passed in.
#[derive(Clone, Debug)]
pub struct StreamMetrics {
    records: Counter,
    rows: Counter,
    dropped: CounterVec,
    failed: Counter,
    lost: Counter,
    late: CounterVec,
    transitions: CounterVec,
    view_rows: Counter,
    lag_records: Gauge,
    rules: Gauge,
    snapshot_offset: Gauge,
    snapshot_bytes: Gauge,
    /// Of single rules: rows, matches, processor time, memory, open alerts.
    of_rule: [GaugeVec; 5],
}

/// Rules that have series of their own; of more those that take the most time.
const RULES_SHOWN: usize = 200;

impl StreamMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            records: metrics.counter("vong_engine_records_total", "Log records applied."),
            rows: metrics.counter("vong_engine_rows_total", "Rows that took part in rules."),
            dropped: metrics.counter_vec(
                "vong_engine_dropped_rows_total",
                "Rows that took no part in rules, by reason: late, clock_ahead.",
                &["reason"],
            ),
            failed: metrics
                .counter("vong_engine_failed_records_total", "Records on which a rule failed."),
            late: metrics.counter_vec(
                "vong_engine_late_rows_total",
                "Rows that came after their window was decided, by source; they stand in late_events.",
                &["source"],
            ),
            lost: metrics.counter(
                "vong_engine_lost_records_total",
                "Log records the engine could not read because they are damaged.",
            ),
            transitions: metrics.counter_vec(
                "vong_engine_transitions_total",
                "Alert transitions decided and not yet in the log, by state.",
                &["state"],
            ),
            view_rows: metrics.counter(
                "vong_engine_view_rows_total",
                "Rows of continuous views decided and not yet in the log.",
            ),
            lag_records: metrics
                .gauge("vong_engine_lag_records", "Records of the log not yet applied."),
            rules: metrics.gauge("vong_engine_rules_count", "Rules in force."),
            snapshot_offset: metrics.gauge(
                "vong_engine_snapshot_offset",
                "Log offset from which a restart would read.",
            ),
            snapshot_bytes: metrics
                .gauge("vong_engine_snapshot_bytes", "Size of the last snapshot of the engine."),
            of_rule: [
                ("vong_rule_rows", "Rows a rule looked at since it is in force."),
                ("vong_rule_matches", "Rows or windows of which its condition held."),
                (
                    "vong_rule_processor_microseconds",
                    "Processor time since it is in force, from a sample: an equal part of what it \
                     shares with others.",
                ),
                ("vong_rule_memory_bytes", "Memory, estimated: an equal part of what it shares."),
                ("vong_rule_open_alerts", "Its open alerts."),
            ]
            .map(|(name, help)| metrics.gauge_vec(name, help, &["rule"])),
        }
    }

    pub(crate) fn snapshot(&self, next: Offset, bytes: u64) {
        self.snapshot_offset.set(i64::try_from(next.0).unwrap_or(i64::MAX));
        self.snapshot_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn applied(&self, before: Counts, after: Counts) {
        self.records.inc_by(after.records - before.records);
        self.rows.inc_by(after.rows - before.rows);
        let late = self.dropped.with_label_values(&["late"]);
        late.inc_by(after.late - before.late);
        let ahead = self.dropped.with_label_values(&["clock_ahead"]);
        ahead.inc_by(after.clock_ahead - before.clock_ahead);
        self.failed.inc_by(after.failed - before.failed);
    }

    pub(crate) fn late(&self, source: &str, rows: u64) {
        self.late.with_label_values(&[source]).inc_by(rows);
    }

    pub(crate) fn lost(&self, records: u64) {
        self.lost.inc_by(records);
    }

    pub(crate) fn decided(&self, outputs: &Outputs) {
        for row in &outputs.transitions {
            self.transitions.with_label_values(&[row.state]).inc();
        }
        self.view_rows.inc_by(outputs.views.iter().map(|rows| rows.times().len() as u64).sum());
    }

    pub(crate) fn lag(&self, records: u64) {
        self.lag_records.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// The rules in force now; of very many only the costliest are told one by one.
    pub(crate) fn in_force(&self, rules: &[RuleStatus]) {
        self.rules.set(i64::try_from(rules.len()).unwrap_or(i64::MAX));
        let mut shown: Vec<&RuleStatus> = rules.iter().filter(|rule| rule.enabled).collect();
        if shown.len() > RULES_SHOWN {
            shown.sort_by_key(|rule| std::cmp::Reverse(rule.busy_us));
            shown.truncate(RULES_SHOWN);
        }
        // A rule that went takes its series with it.
        self.of_rule.iter().for_each(GaugeVec::reset);
        for rule in shown {
            let RuleStatus { rows, matches, busy_us, memory_bytes, open, .. } = rule;
            let values = [*rows, *matches, *busy_us, *memory_bytes, *open as u64];
            for (series, value) in self.of_rule.iter().zip(values) {
                let series = series.with_label_values(&[rule.rule.rule_id().as_str()]);
                series.set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
    }
}
