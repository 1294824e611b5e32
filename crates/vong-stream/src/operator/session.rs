//! Rules about runs of rows of one key without a pause.
//!
//! A run that has ended is judged once. Its alert lasts until a later run of the key does not meet
//! the condition, or until the key has been quiet for another pause.

mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::Float64Type;
use datafusion::error::Result;
use serde::{Deserialize, Serialize};
use vong_alert::{Inputs, Observation};
use vong_model::{EventTime, Offset};

use super::closed::key_columns;
use super::exact::Exact;
use super::frame::{number_at, without_nulls};
use super::rule::{RuleCore, RuleMeta, Sink};
use super::sealed::Sealed;
use crate::plan::{Function, GroupColumn, SessionPlan, SharedAggregate};

pub(super) use saved::SavedSession;

/// One aggregate of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Tally {
    count: u64,
    sum: Exact,
    least: Option<f64>,
    greatest: Option<f64>,
}

impl Tally {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum.add(value);
        self.least = Some(self.least.map_or(value, |least| least.min(value)));
        self.greatest = Some(self.greatest.map_or(value, |greatest| greatest.max(value)));
    }

    fn array(&self, function: Function) -> ArrayRef {
        let count = self.count as f64;
        let value = match function {
            Function::Count => {
                let count = i64::try_from(self.count).unwrap_or(i64::MAX);
                return Arc::new(Int64Array::from(vec![count]));
            }
            Function::Sum => (self.count > 0).then(|| self.sum.total()),
            Function::Avg => (self.count > 0).then(|| self.sum.total() / count),
            Function::Min => self.least,
            Function::Max => self.greatest,
        };
        Arc::new(Float64Array::from(vec![value]))
    }
}

/// A run that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    start: i64,
    last: i64,
    inputs: Inputs,
    tallies: Vec<Tally>,
    /// The instant under which it stands in `ends`.
    armed: i64,
}

/// One rule with `session(event_time, …)`.
#[derive(Debug)]
pub(super) struct SessionRule {
    pub(super) core: RuleCore,
    plan: SessionPlan,
    /// Number of the first row that the rule may see.
    born: u64,
    runs: BTreeMap<u32, Run>,
    /// When a run ends by itself; an instant that is too early is put right when it comes.
    ends: BTreeSet<(i64, u32)>,
    /// When the alert of a key that stays quiet ends, and the rows behind it.
    quiet: BTreeMap<u32, (i64, Inputs)>,
}

/// Argument and mask of one aggregate for the rows at hand.
struct Input {
    values: Option<ArrayRef>,
    masks: Vec<arrow::array::BooleanArray>,
}

impl Input {
    fn of(aggregate: &SharedAggregate, sealed: &Sealed) -> Result<Self> {
        let count = sealed.times.len();
        let on_rows = |named: &crate::plan::Named| {
            named.expr.evaluate(&sealed.batch).and_then(|value| value.into_array(count))
        };
        let masks = aggregate.masks.iter().map(|mask| on_rows(mask).map(|m| without_nulls(&m)));
        let masks = masks.collect::<Result<_>>()?;
        Ok(Self { values: aggregate.argument.as_ref().map(on_rows).transpose()?, masks })
    }

    /// What the row adds; `None`: nothing.
    fn at(&self, row: usize) -> Option<f64> {
        if !self.masks.iter().all(|mask| mask.value(row)) {
            return None;
        }
        let Some(values) = &self.values else { return Some(1.0) };
        if values.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(values.as_primitive_opt::<Float64Type>().map_or(1.0, |floats| floats.value(row)))
    }
}

impl SessionRule {
    /// Memory of its runs, estimated.
    pub(super) fn bytes(&self) -> usize {
        let run = size_of::<Run>() + self.plan.aggregates.len() * size_of::<Tally>() + 64;
        self.runs.len() * run + self.quiet.len() * 64
    }

    pub(super) fn new(meta: Arc<RuleMeta>, plan: &SessionPlan, born: u64) -> Self {
        Self {
            core: RuleCore::new(meta),
            plan: plan.clone(),
            born,
            runs: BTreeMap::new(),
            ends: BTreeSet::new(),
            quiet: BTreeMap::new(),
        }
    }

    /// Takes rows in that are in their final order.
    pub(super) fn push(&mut self, sealed: &Sealed, out: &mut Sink<'_>) -> Result<()> {
        let inputs = self.plan.aggregates.iter().map(|a| Input::of(a, sealed));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        for (row, key) in sealed.keys.iter().enumerate() {
            if sealed.numbers[row] < self.born {
                continue;
            }
            let (time, offset) = (sealed.times[row], sealed.offsets[row]);
            self.end_before(*key, time, out)?;
            self.rest(*key, time, out);
            self.extend(*key, (time, offset), &inputs, row);
        }
        Ok(())
    }

    /// Ends runs, and alerts of keys that stayed quiet, that are due by the watermark.
    pub(super) fn advance(&mut self, watermark: EventTime, out: &mut Sink<'_>) -> Result<()> {
        let to = watermark.micros();
        while let Some((due, key)) = self.ends.first().copied().filter(|(due, _)| *due <= to) {
            self.ends.remove(&(due, key));
            let Some(end) = self.runs.get(&key).map(|run| self.end_of(run)) else { continue };
            if end <= due {
                self.end(key, out)?;
            } else if let Some(run) = self.runs.get_mut(&key) {
                run.armed = end;
                self.ends.insert((end, key));
            }
        }
        let due: Vec<u32> =
            self.quiet.iter().filter(|(_, (at, _))| *at <= to).map(|(key, _)| *key).collect();
        due.into_iter().for_each(|key| self.rest(key, to, out));
        self.core.advance(watermark, out);
        Ok(())
    }

    fn end_of(&self, run: &Run) -> i64 {
        let by_gap = run.last.saturating_add(self.plan.gap_us);
        by_gap.min(run.start.saturating_add(self.plan.longest_us))
    }

    /// Ends the key's run when a row at `time` can no longer be of it.
    fn end_before(&mut self, key: u32, time: i64, out: &mut Sink<'_>) -> Result<()> {
        match self.runs.get(&key) {
            Some(run) if self.end_of(run) <= time => self.end(key, out),
            _ => Ok(()),
        }
    }

    fn extend(&mut self, key: u32, (time, offset): (i64, Offset), inputs: &[Input], row: usize) {
        let tallies = vec![Tally::default(); inputs.len()];
        let inputs_of = Inputs { from: offset, to: offset };
        let armed = time.saturating_add(self.plan.gap_us);
        let run = self.runs.entry(key).or_insert_with(|| {
            self.ends.insert((armed, key));
            Run { start: time, last: time, inputs: inputs_of, tallies, armed }
        });
        run.last = time;
        run.inputs.from = run.inputs.from.min(offset);
        run.inputs.to = run.inputs.to.max(offset);
        for (tally, input) in run.tallies.iter_mut().zip(inputs) {
            if let Some(value) = input.at(row) {
                tally.add(value);
            }
        }
        self.quiet.remove(&key);
    }

    fn end(&mut self, key: u32, out: &mut Sink<'_>) -> Result<()> {
        let Some(run) = self.runs.remove(&key) else { return Ok(()) };
        let end = self.end_of(&run);
        self.ends.remove(&(run.armed, key));
        let batch = self.batch(key, &run, out)?;
        let condition = match &self.plan.having {
            Some(having) => without_nulls(&having.evaluate(&batch)?.into_array(1)?).value(0),
            None => true,
        };
        if let Some(view) = &self.plan.view {
            if condition {
                let found = (vec![end], view.rows(&batch)?);
                self.core.found(view, found, Some(out.space.key(key).clone()), out);
            }
            return Ok(());
        }
        let value = self.plan.value.as_ref();
        let value = value.map(|v| v.evaluate(&batch)?.into_array(1)).transpose()?;
        let value = value.and_then(|value| number_at(&value, 0));
        let (since, at) = (EventTime(run.start), EventTime(end));
        let seen = Observation { condition, value, since, at, inputs: run.inputs };
        self.core.observe(key, &seen, 0, out);
        if condition {
            self.quiet.insert(key, (end.saturating_add(self.plan.gap_us), run.inputs));
        }
        Ok(())
    }

    /// Ends the key's alert when it has been quiet up to `time` for long enough.
    fn rest(&mut self, key: u32, time: i64, out: &mut Sink<'_>) {
        let due = self.quiet.get(&key).copied().filter(|(at, _)| *at <= time);
        let Some((at, inputs)) = due else { return };
        self.quiet.remove(&key);
        let at = EventTime(at);
        let seen = Observation { condition: false, value: None, since: at, at, inputs };
        self.core.observe(key, &seen, 0, out);
    }

    fn batch(&self, key: u32, run: &Run, out: &Sink<'_>) -> Result<RecordBatch> {
        let named = key_columns(&[key], out);
        let groups = self.plan.groups.iter().map(|group| match group {
            GroupColumn::WindowStart => {
                let start = TimestampMicrosecondArray::from_value(run.start, 1);
                Arc::new(start.with_timezone("UTC")) as ArrayRef
            }
            GroupColumn::Key(place) => Arc::clone(&named[*place]),
        });
        let tallies = run.tallies.iter().zip(&self.plan.aggregates);
        let columns = groups.chain(tallies.map(|(tally, a)| tally.array(a.function))).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.plan.schema), columns)?)
    }
}
