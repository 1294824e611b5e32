//! The shared multi-rule operator: batches and watermarks in, alert transitions out.
//!
//! Invariant: what comes out is a function of the rows, their order and the watermarks between
//! them. It does not depend on how rows are cut into batches, on other rules, or on time.

mod bits;
mod cells;
mod classes;
mod closed;
mod codes;
mod enrich;
mod exact;
mod family;
mod family_rule;
mod frame;
mod index;
mod inhibitions;
mod keys;
mod lane;
mod meter;
mod panes;
mod part;
mod periodic;
mod row_view;
mod rule;
mod saved;
mod sealed;
mod selection;
mod session;
mod silence;
mod sliding;
mod spans;
mod stream;
mod tuples;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use vong_alert::Act;
use vong_model::{AlertId, EventTime, Offset, RuleId, Stream, Table};

use crate::Error;
use crate::plan::{Kind, RulePlan};
use codes::Codes;
use inhibitions::{Change, Inhibitions};
use keys::KeySpace;
use meter::Part;
use periodic::Periodic;
use rule::{RuleCore, Sink};
use stream::StreamOperator;

pub use keys::Key;
pub use meter::Stopwatch;
pub use rule::{Decided, FoundRows, RuleMeta, Step};
pub use saved::Unusable;
pub(crate) use saved::{Plans, SavedOperator};

/// What became of the rows of one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Rows that took part.
    pub rows: usize,
    /// Rows of the batch that came after the watermark had passed them.
    pub late: Vec<u32>,
    /// Rows of devices whose clock runs ahead of ours.
    pub ahead: Vec<u32>,
}

/// A rule in force and what it did so far.
#[derive(Clone, Debug)]
pub struct RuleStatus {
    pub rule: Arc<RuleMeta>,
    /// Switched off, it keeps its name and its text and does nothing.
    pub enabled: bool,
    /// Who made or last changed it.
    pub by: String,
    /// As [`RulePlan::kind_name`].
    pub kind: &'static str,
    /// Open episodes now.
    pub open: usize,
    /// Transitions since the start; of a view, rows.
    pub transitions: u64,
    /// Event time at which an alert of it last fired since the start.
    pub last_fired: Option<EventTime>,
    /// Rows looked at since it is in force: those of its scope; for windows that share panes those
    /// that were added up for it and the others; for rules with `EVERY` those of each asking.
    pub rows: u64,
    /// Rows, windows or asked keys of which the condition held.
    pub matches: u64,
    /// Processor time, an equal part of what it shares with others; from a sample.
    pub busy_us: u64,
    /// Memory, estimated, an equal part of what it shares with others.
    pub memory_bytes: u64,
}

/// All rules, over all streams.
#[derive(Debug, Default)]
pub struct Operator {
    streams: BTreeMap<Stream, StreamOperator>,
    /// Stream and kind of each rule in force.
    rules: BTreeMap<RuleId, (Stream, &'static str)>,
    inhibitions: Inhibitions,
    periodic: Periodic,
    stopwatch: Option<Stopwatch>,
}

impl Operator {
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the time rules take is measured.
    pub fn measure(&mut self, stopwatch: Stopwatch) {
        self.stopwatch = Some(stopwatch);
        self.streams.values_mut().for_each(|stream| stream.measure(stopwatch));
        self.periodic.measure(stopwatch);
    }

    /// Puts a rule in force. A window rule speaks from the first window that begins after
    /// everything seen so far. A rule of that name must not be in force.
    ///
    /// # Errors
    /// [`Error::Compute`] when the rule's keys cannot be grouped.
    pub fn add(&mut self, rule: Arc<RuleMeta>, plan: &RulePlan) -> Result<(), Error> {
        let stream = plan.stream();
        let rule_id = rule.rule_id().clone();
        let inhibited_by = rule.definition.inhibited_by.clone();
        if let Kind::Periodic(plan) = &plan.kind {
            let of = |stream: &Stream| self.streams.get(stream);
            let seen =
                plan.streams.iter().filter_map(of).filter_map(|o| o.seen_to.max(o.watermark));
            let seen_to = seen.max();
            let watermark = |stream| self.streams.get(&stream).and_then(|o| o.watermark);
            self.periodic.add(rule, plan, seen_to, watermark);
        } else {
            self.of(stream).add(rule, plan).map_err(|e| Error::compute(stream, e))?;
        }
        let kept_back = self.inhibitions.add(&rule_id, inhibited_by.as_ref());
        if self.periodic.has(&rule_id) {
            self.periodic.with_core(&rule_id, |core, _, _| core.begin(kept_back, Part::default()));
        } else {
            self.of(stream).begin(&rule_id, kept_back);
        }
        self.rules.insert(rule_id, (stream, plan.kind_name()));
        Ok(())
    }

    /// Takes a rule out of force and cancels its open alerts; false when it was not in force.
    pub fn remove(
        &mut self,
        rule_id: &RuleId,
        at: EventTime,
        why: &'static str,
        steps: &mut Vec<Step>,
    ) -> bool {
        let Some((stream, _)) = self.rules.remove(rule_id) else { return false };
        let first = steps.len();
        let removed = self.of(stream).remove(rule_id, at, why, steps)
            || self.periodic.remove(rule_id, at, why, steps);
        self.inhibit(first, steps);
        self.inhibitions.remove(rule_id);
        removed
    }

    /// Runs the rows of one record of `stream`.
    ///
    /// # Errors
    /// [`Error::Compute`] when an expression fails on the rows (as in a division by zero).
    pub fn push(
        &mut self,
        stream: Stream,
        batch: &RecordBatch,
        offset: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<Pushed, Error> {
        let first = steps.len();
        let pushed = self.of(stream).push(batch, offset, steps);
        if let Ok(pushed) = &pushed {
            self.keep(stream, batch, pushed, offset)?;
        }
        self.inhibit(first, steps);
        pushed.map_err(|e| Error::compute(stream, e))
    }

    /// Event time of `stream` has reached `watermark`. `offset`: the record that says so.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn advance(
        &mut self,
        stream: Stream,
        watermark: EventTime,
        offset: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<(), Error> {
        let first = steps.len();
        let advanced = self.of(stream).advance(watermark, offset, steps);
        let asked = self.periodic.advance(stream, watermark, offset, steps);
        let advanced = advanced.and(asked);
        self.inhibit(first, steps);
        advanced.map_err(|e| Error::compute(stream, e))
    }

    /// An operator's act; false when no rule in force knows the alert.
    pub fn command(
        &mut self,
        alert: &AlertId,
        act: &Act,
        by: (&str, Option<&str>),
        at: EventTime,
        steps: &mut Vec<Step>,
    ) -> bool {
        let first = steps.len();
        let mut known = self.streams.values_mut().any(|op| op.command(alert, act, by, at, steps));
        self.periodic.each(|core, space, codes| {
            if !known {
                known = core.command(alert, act, by, at, &mut Sink { steps, space, codes });
            }
        });
        self.inhibit(first, steps);
        known
    }

    /// From the next record on rules that join the table see this version of it; `None`: it is gone.
    ///
    /// # Errors
    /// [`Error::Compute`] when a rule's query does not take it.
    pub fn set_table(&mut self, name: &str, table: Option<&Arc<Table>>) -> Result<(), Error> {
        self.streams.values_mut().for_each(|stream| stream.set_table(name, table));
        let Some(table) = table else { return Ok(()) };
        self.periodic.set_table(table).map_err(|e| Error::compute(Stream::ConfigChanges, e))
    }

    /// The watermark of a stream, once there was one.
    pub fn watermark(&self, stream: Stream) -> Option<EventTime> {
        self.streams.get(&stream).and_then(|operator| operator.watermark)
    }

    /// Every rule in force, by name.
    pub fn status(&mut self) -> Vec<RuleStatus> {
        let mut out = Vec::new();
        for stream in self.streams.values_mut() {
            stream.status(&mut out);
        }
        self.periodic.status(&mut out);
        for status in &mut out {
            status.kind = self.rules.get(status.rule.rule_id()).map_or("", |(_, kind)| kind);
        }
        out.sort_by(|a, b| a.rule.rule_id().cmp(b.rule.rule_id()));
        out
    }

    /// Lets the steps from `first` on keep other alerts back, or let them go.
    fn inhibit(&mut self, first: usize, steps: &mut Vec<Step>) {
        let mut next = first;
        while let Some(step) = steps.get(next) {
            next += 1;
            for change in self.inhibitions.saw(step) {
                let Change { rule_id, value, by, at } = change;
                let Some((stream, _)) = self.rules.get(&rule_id).copied() else { continue };
                self.with_core(stream, &rule_id, |core, space, codes| {
                    let mut out = Sink { steps: &mut *steps, space, codes };
                    core.keep_back(&value, by.as_ref(), at, &mut out);
                });
            }
        }
    }

    /// How a rule is run, what it shares with others and what it costs, in lines; `None` when it is
    /// not in force.
    pub fn explain(&self, rule_id: &RuleId) -> Option<Vec<String>> {
        let (stream, kind) = self.rules.get(rule_id)?;
        let mut lines = vec![format!("{kind} rule over {}", stream.name())];
        let of_stream = self.streams.get(stream).and_then(|operator| operator.explain(rule_id));
        lines.extend(of_stream.or_else(|| self.periodic.explain(rule_id))?);
        Some(lines)
    }

    /// Keeps rows that take part for the rules that ask about stretches.
    fn keep(
        &mut self,
        stream: Stream,
        batch: &RecordBatch,
        pushed: &Pushed,
        offset: Offset,
    ) -> Result<(), Error> {
        if pushed.rows == batch.num_rows() {
            self.periodic.push(stream, batch, offset);
            return Ok(());
        }
        let out = |row: &u32| pushed.late.contains(row) || pushed.ahead.contains(row);
        let rows = (0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX)).filter(|r| !out(r));
        let rows = arrow::array::UInt32Array::from_iter_values(rows);
        let kept = arrow::compute::take_record_batch(batch, &rows);
        self.periodic.push(stream, &kept.map_err(|source| Error::Rows { stream, source })?, offset);
        Ok(())
    }

    fn with_core(
        &mut self,
        stream: Stream,
        rule_id: &RuleId,
        act: impl FnOnce(&mut RuleCore, &KeySpace, &Codes),
    ) {
        if self.periodic.has(rule_id) {
            self.periodic.with_core(rule_id, act);
        } else {
            self.of(stream).with_core(rule_id, act);
        }
    }

    fn of(&mut self, stream: Stream) -> &mut StreamOperator {
        let stopwatch = self.stopwatch;
        self.streams.entry(stream).or_insert_with(|| {
            let mut operator = StreamOperator::new(stream);
            if let Some(stopwatch) = stopwatch {
                operator.measure(stopwatch);
            }
            operator
        })
    }
}

#[cfg(test)]
mod tests;
