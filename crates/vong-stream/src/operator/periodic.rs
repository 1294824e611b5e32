//! Runs the rules with `EVERY … OVER LAST …`.
//!
//! A rule is asked about the stretch before an instant once every stream it reads has come that
//! far. Rows stand in the stretch by event time, ties as in the log, so that the answer depends
//! neither on how rows were cut into records nor on when the watermark moved.

mod saved;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::error::Result;
use vong_alert::{Inputs, Observation};
use vong_model::{EventTime, Offset, RuleId, Stream, Table};

use super::RuleStatus;
use super::codes::{Codes, NULL};
use super::frame::number_at;
use super::keys::KeySpace;
use super::meter::{Meter, Part, Stopwatch};
use super::rule::{RuleCore, RuleMeta, Sink, Step};
use super::stream::status;
use crate::plan::PeriodicPlan;

pub(super) use saved::SavedPeriodic;

/// Key texts and value of one row of an answer.
type Found = (Vec<Option<String>>, Option<f64>);

/// Rows of one stream that some rule may still ask about.
#[derive(Debug, Default)]
struct Slice {
    held: VecDeque<(RecordBatch, Offset)>,
    watermark: Option<EventTime>,
}

#[derive(Debug)]
struct PeriodicRule {
    core: RuleCore,
    plan: PeriodicPlan,
    codes: Codes,
    space: KeySpace,
    /// The next instant at which it is asked.
    next: Option<i64>,
    /// The first stretch it may be asked about begins here: everything in it was seen.
    whole_from: i64,
    part: Part,
}

/// All such rules, over all streams.
#[derive(Debug, Default)]
pub(super) struct Periodic {
    meter: Meter,
    rules: Vec<PeriodicRule>,
    slices: BTreeMap<Stream, Slice>,
}

impl Periodic {
    /// `seen_to`: latest event time of the streams so far; only what comes after it is whole.
    pub(super) fn add(
        &mut self,
        meta: Arc<RuleMeta>,
        plan: &PeriodicPlan,
        seen_to: Option<EventTime>,
        watermark: impl Fn(Stream) -> Option<EventTime>,
    ) {
        for stream in &plan.streams {
            let slice = self.slices.entry(*stream).or_default();
            slice.watermark = slice.watermark.max(watermark(*stream));
        }
        let codes = Codes::new(0);
        let space = KeySpace::named(plan.keys.clone(), &codes.interner);
        let whole_from = seen_to.map_or(i64::MIN, |t| t.micros().saturating_add(1));
        let (core, plan) = (RuleCore::new(meta), plan.clone());
        let part = Part::default();
        self.rules.push(PeriodicRule { core, plan, codes, space, next: None, whole_from, part });
    }

    pub(super) fn measure(&mut self, stopwatch: Stopwatch) {
        self.meter.set(stopwatch);
    }

    /// Rows kept for several rules are parts of each.
    pub(super) fn status(&mut self, out: &mut Vec<RuleStatus>) {
        let kept: BTreeMap<Stream, usize> = self
            .slices
            .iter()
            .map(|(stream, slice)| {
                let readers = self.rules.iter().filter(|rule| rule.plan.streams.contains(stream));
                let rows: usize = slice.held.iter().map(|(batch, _)| batch.num_rows()).sum();
                (*stream, rows * stream.columns().len() * 8 / readers.count().max(1))
            })
            .collect();
        for rule in &mut self.rules {
            let shared = rule.plan.streams.iter().filter_map(|stream| kept.get(stream)).sum();
            out.push(status(&mut rule.core, rule.part, shared));
        }
    }

    pub(super) fn remove(
        &mut self,
        rule_id: &RuleId,
        at: EventTime,
        why: &'static str,
        steps: &mut Vec<Step>,
    ) -> bool {
        let mut rules = self.rules.iter();
        let Some(found) = rules.position(|rule| rule.core.meta.rule_id() == rule_id) else {
            return false;
        };
        let mut rule = self.rules.remove(found);
        let mut out = Sink { steps, space: &rule.space, codes: &rule.codes };
        rule.core.cancel_all(at, why, &mut out);
        let read: BTreeSet<Stream> =
            self.rules.iter().flat_map(|rule| rule.plan.streams.iter().copied()).collect();
        self.slices.retain(|stream, _| read.contains(stream));
        true
    }

    pub(super) fn has(&self, rule_id: &RuleId) -> bool {
        self.rules.iter().any(|rule| rule.core.meta.rule_id() == rule_id)
    }

    /// Runs `act` on the part of a rule that does not depend on its kind.
    pub(super) fn with_core(
        &mut self,
        rule_id: &RuleId,
        act: impl FnOnce(&mut RuleCore, &KeySpace, &Codes),
    ) {
        if let Some(rule) = self.rules.iter_mut().find(|r| r.core.meta.rule_id() == rule_id) {
            act(&mut rule.core, &rule.space, &rule.codes);
        }
    }

    /// Every rule with its keys and codes.
    pub(super) fn each(&mut self, mut act: impl FnMut(&mut RuleCore, &KeySpace, &Codes)) {
        for rule in &mut self.rules {
            act(&mut rule.core, &rule.space, &rule.codes);
        }
    }

    /// From now on questions are answered with this version of a table.
    pub(super) fn set_table(&self, table: &Table) -> Result<()> {
        self.rules.iter().try_for_each(|rule| rule.plan.set_table(table))
    }

    pub(super) fn explain(&self, rule_id: &RuleId) -> Option<Vec<String>> {
        let rule = self.rules.iter().find(|rule| rule.core.meta.rule_id() == rule_id)?;
        let streams: Vec<&str> = rule.plan.streams.iter().map(|stream| stream.name()).collect();
        let held = rule.plan.streams.iter().filter_map(|stream| self.slices.get(stream));
        let held: usize =
            held.flat_map(|slice| &slice.held).map(|(batch, _)| batch.num_rows()).sum();
        let seconds = |us: i64| us as f64 / 1e6;
        Some(vec![
            format!(
                "asked every {} s about the last {} s of {}",
                seconds(rule.plan.every_us),
                seconds(rule.plan.last_us),
                streams.join(", ")
            ),
            format!("{held} rows are kept for it and others like it"),
            "marginal cost: one query each time it is asked; nothing is shared".to_owned(),
        ])
    }

    /// Keeps the rows that take part.
    pub(super) fn push(&mut self, stream: Stream, batch: &RecordBatch, offset: Offset) {
        if let Some(slice) = self.slices.get_mut(&stream)
            && batch.num_rows() > 0
        {
            slice.held.push_back((batch.clone(), offset));
        }
    }

    /// Event time of `stream` has reached `watermark`.
    pub(super) fn advance(
        &mut self,
        stream: Stream,
        watermark: EventTime,
        cause: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        match self.slices.get_mut(&stream) {
            Some(slice) if slice.watermark < Some(watermark) => slice.watermark = Some(watermark),
            _ => return Ok(()),
        }
        let (mut done, mut laps) = (Ok(()), self.meter.always());
        for rule in self.rules.iter_mut().filter(|rule| rule.plan.streams.contains(&stream)) {
            // A rule that fails must not take the others with it.
            let advanced = rule.advance(&self.slices, cause, steps);
            done = done.and(advanced);
            rule.part.add(laps.lap(), 1);
        }
        self.forget();
        done
    }

    fn forget(&mut self) {
        for (stream, slice) in &mut self.slices {
            let readers = self.rules.iter().filter(|rule| rule.plan.streams.contains(stream));
            let needed = readers.filter_map(|rule| Some(rule.next? - rule.plan.last_us)).min();
            let Some(needed) = needed else { continue };
            while slice.held.front().is_some_and(|(batch, _)| latest(*stream, batch) < needed) {
                slice.held.pop_front();
            }
        }
    }
}

fn times(stream: Stream, batch: &RecordBatch) -> &[i64] {
    let column = batch.column(stream.column_index("event_time"));
    column.as_primitive::<TimestampMicrosecondType>().values()
}

fn latest(stream: Stream, batch: &RecordBatch) -> i64 {
    times(stream, batch).iter().copied().max().unwrap_or(i64::MIN)
}

impl PeriodicRule {
    fn advance(
        &mut self,
        slices: &BTreeMap<Stream, Slice>,
        cause: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let reached = |stream: &Stream| slices.get(stream).and_then(|slice| slice.watermark);
        let reached: Option<Vec<EventTime>> = self.plan.streams.iter().map(reached).collect();
        let Some(reached) = reached.and_then(|all| all.into_iter().min()) else { return Ok(()) };
        let every = self.plan.every_us;
        let whole = self.whole_from.saturating_add(self.plan.last_us);
        let first = vong_sql::functions::window_start(reached.micros(), every);
        let mut next = self.next.unwrap_or(first);
        let mut done = Ok(());
        while next <= reached.micros() {
            if next >= whole {
                let asked = self.ask(next, slices, cause, steps);
                done = done.and(asked);
            }
            next = next.saturating_add(every);
        }
        self.next = Some(next);
        done
    }

    /// Asks about the stretch that ends at `at`.
    fn ask(
        &mut self,
        at: i64,
        slices: &BTreeMap<Stream, Slice>,
        cause: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let from = at.saturating_sub(self.plan.last_us);
        let mut inputs = Inputs { from: cause, to: cause };
        let mut rows = Vec::with_capacity(self.plan.streams.len());
        for stream in &self.plan.streams {
            let Some(slice) = slices.get(stream) else { continue };
            let (batch, read) = stretch(*stream, slice, (from, at))?;
            if let Some(read) = read {
                inputs.from = inputs.from.min(read);
            }
            self.part.rows += batch.num_rows() as u64;
            rows.push((*stream, batch));
        }
        let answer = self.plan.run(&rows)?;
        if self.plan.view.is_some() {
            return self.show(at, &answer, steps);
        }
        let found = self.found(&answer)?;
        let Self { core, space, codes, .. } = self;
        let mut held = BTreeMap::new();
        for (tuple, value) in found {
            let tuple: Vec<u32> = tuple
                .iter()
                .map(|text| text.as_deref().map_or(NULL, |text| codes.interner.code(text)))
                .collect();
            let key = space.id(&tuple, &codes.interner);
            held.entry(space.key(key).clone()).or_insert(value);
        }
        let gone = core.open_keys().into_iter().filter(|key| !held.contains_key(key));
        let gone: Vec<_> = gone.collect();
        let mut out = Sink { steps, space, codes };
        let at = EventTime(at);
        for (key, value) in held {
            let seen = Observation { condition: true, value, since: at, at, inputs };
            core.observe(key.id(), &seen, 0, &mut out);
        }
        for key in gone {
            let seen = Observation { condition: false, value: None, since: at, at, inputs };
            core.observe(key.id(), &seen, 0, &mut out);
        }
        core.advance(at, &mut out);
        Ok(())
    }

    /// Gives out the rows of a view, in the order of their columns.
    fn show(&mut self, at: i64, answer: &[RecordBatch], steps: &mut Vec<Step>) -> Result<()> {
        let Self { core, plan, space, codes, .. } = self;
        let (Some(view), Some(first)) = (&plan.view, answer.first()) else { return Ok(()) };
        let rows = view.rows(&concat_batches(&first.schema(), answer)?)?;
        let by = rows
            .columns()
            .iter()
            .map(|column| SortColumn { values: Arc::clone(column), options: None });
        let order = lexsort_to_indices(&by.collect::<Vec<_>>(), None)?;
        let rows = take_record_batch(&rows, &order)?;
        let mut out = Sink { steps, space, codes };
        core.found(view, (vec![at; rows.num_rows()], rows), None, &mut out);
        Ok(())
    }

    /// Key texts and value of each row of the answer.
    fn found(&self, batches: &[RecordBatch]) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for batch in batches {
            let keys = self.plan.keys.iter().enumerate();
            let keys = keys.map(|(place, _)| Ok(cast(batch.column(place), &DataType::Utf8)?));
            let keys = keys.collect::<Result<Vec<_>>>()?;
            for row in 0..batch.num_rows() {
                let text = |column: &arrow::array::ArrayRef| {
                    let texts = column.as_string::<i32>();
                    (!texts.is_null(row)).then(|| texts.value(row).to_owned())
                };
                let value = self.plan.value.and_then(|place| number_at(batch.column(place), row));
                found.push((keys.iter().map(text).collect(), value));
            }
        }
        Ok(found)
    }
}

/// The rows from `from` up to but not with `to`, in order of their time, and the first record that
/// brought one.
fn stretch(
    stream: Stream,
    slice: &Slice,
    (from, to): (i64, i64),
) -> Result<(RecordBatch, Option<Offset>)> {
    let (mut parts, mut first) = (Vec::new(), None);
    for (batch, offset) in &slice.held {
        let inside = (0_u32..).zip(times(stream, batch)).filter(|(_, t)| (from..to).contains(*t));
        let inside: Vec<u32> = inside.map(|(row, _)| row).collect();
        if !inside.is_empty() {
            first.get_or_insert(*offset);
            parts.push(take_record_batch(batch, &UInt32Array::from(inside))?);
        }
    }
    let whole = concat_batches(&stream.schema(), &parts)?;
    let at = times(stream, &whole);
    let mut order: Vec<u32> = (0..u32::try_from(at.len()).unwrap_or(u32::MAX)).collect();
    order.sort_by_key(|row| at[*row as usize]);
    Ok((take_record_batch(&whole, &UInt32Array::from(order))?, first))
}
