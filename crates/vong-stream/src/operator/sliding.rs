//! Rules that judge each row together with those before it.
//!
//! Rules with the same frame over the same expression share its state. A rule looks back to its own
//! creation at most, so that what it finds does not depend on which rules were there before.

mod saved;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Float64Type;
use datafusion::error::Result;
use vong_alert::{Inputs, Observation};
use vong_model::{EventTime, RuleId};

use super::exact::Exact;
use super::frame::{number_at, without_nulls};
use super::rule::{RuleCore, RuleMeta, Sink};
use super::sealed::Sealed;
use crate::plan::{Frame, Named, SlidingFunction, SlidingPlan};

pub(super) use saved::SavedSliding;

/// One row of a frame; `None`: null.
type Entry = (i64, Option<f64>);

/// What one frame holds for one key.
#[derive(Debug, Default)]
struct Held {
    rows: VecDeque<Entry>,
    /// Number of the first of `rows` since the key was first seen.
    first: u64,
    count: u64,
    sum: Exact,
    squares: Exact,
    /// Candidates for the least and the greatest value, with their number; best first.
    least: VecDeque<(u64, f64)>,
    greatest: VecDeque<(u64, f64)>,
}

impl Held {
    fn push(&mut self, entry: Entry) {
        let number = self.first + self.rows.len() as u64;
        self.rows.push_back(entry);
        let Some(value) = entry.1 else { return };
        self.count += 1;
        self.sum.add(value);
        self.squares.add(value * value);
        while self.least.back().is_some_and(|(_, known)| known.total_cmp(&value).is_ge()) {
            self.least.pop_back();
        }
        self.least.push_back((number, value));
        while self.greatest.back().is_some_and(|(_, known)| known.total_cmp(&value).is_le()) {
            self.greatest.pop_back();
        }
        self.greatest.push_back((number, value));
    }

    fn pop(&mut self) {
        let Some((_, value)) = self.rows.pop_front() else { return };
        self.first += 1;
        if let Some(value) = value {
            self.count -= 1;
            self.sum.remove(value);
            self.squares.remove(value * value);
        }
        for candidates in [&mut self.least, &mut self.greatest] {
            if candidates.front().is_some_and(|(number, _)| *number < self.first) {
                candidates.pop_front();
            }
        }
    }

    /// Lets go of what the frame of a row at `time` does not reach.
    fn shorten(&mut self, frame: Frame, time: i64) {
        match frame {
            Frame::Range(back) => {
                let from = time.saturating_sub(back);
                while self.rows.front().is_some_and(|(time, _)| *time < from) {
                    self.pop();
                }
            }
            Frame::Rows(before) => {
                while self.rows.len() > before.saturating_add(1) {
                    self.pop();
                }
            }
        }
    }

    fn value(&self, function: SlidingFunction) -> Option<f64> {
        let count = self.count as f64;
        match function {
            SlidingFunction::Count => Some(count),
            SlidingFunction::First => self.rows.front().and_then(|(_, value)| *value),
            _ if self.count == 0 => None,
            SlidingFunction::Sum => Some(self.sum.total()),
            SlidingFunction::Avg => Some(self.sum.total() / count),
            SlidingFunction::Min => self.least.front().map(|(_, value)| *value),
            SlidingFunction::Max => self.greatest.front().map(|(_, value)| *value),
            SlidingFunction::Stddev if self.count < 2 => None,
            SlidingFunction::Stddev => {
                let mean = self.sum.total() / count;
                let spread = self.squares.total() - mean * self.sum.total();
                Some((spread / (count - 1.0)).max(0.0).sqrt())
            }
        }
    }
}

/// A frame over one expression, for all keys.
#[derive(Debug)]
struct Frames {
    frame: Frame,
    argument: Option<Named>,
    /// Number of the first row it has seen, or will see.
    born: u64,
    users: usize,
    held: Vec<Held>,
    /// Functions somebody asks for, and their values for the rows at hand.
    wanted: Vec<(SlidingFunction, Option<ArrayRef>)>,
}

impl Frames {
    /// Takes the rows in and computes every wanted function of each.
    fn run(&mut self, sealed: &Sealed) -> Result<()> {
        let count = sealed.times.len();
        let argument = match &self.argument {
            Some(named) => Some(named.expr.evaluate(&sealed.batch)?.into_array(count)?),
            None => None,
        };
        let floats = argument.as_ref().and_then(|a| a.as_primitive_opt::<Float64Type>());
        let nulls = argument.as_ref().and_then(|a| a.logical_nulls());
        let entry = |row: usize| {
            let known = nulls.as_ref().is_none_or(|n| n.is_valid(row));
            (sealed.times[row], known.then(|| floats.map_or(1.0, |f| f.value(row))))
        };
        let mut out: Vec<Vec<Option<f64>>> = vec![vec![None; count]; self.wanted.len()];
        let (mut row, born) = (0, self.born);
        while row < count {
            // Rows of one instant belong to each other's frames by time, not to those by rows.
            let same = match self.frame {
                Frame::Range(_) => {
                    sealed.times[row..].iter().take_while(|t| **t == sealed.times[row]).count()
                }
                Frame::Rows(_) => 1,
            };
            let run = (row..row + same).filter(|row| sealed.numbers[*row] >= born);
            for row in run.clone() {
                self.held_of(sealed.keys[row]).push(entry(row));
            }
            for row in run {
                let frame = self.frame;
                let held = &mut self.held[sealed.keys[row] as usize];
                held.shorten(frame, sealed.times[row]);
                for ((function, _), out) in self.wanted.iter().zip(&mut out) {
                    out[row] = held.value(*function);
                }
            }
            row += same;
        }
        for ((function, values), found) in self.wanted.iter_mut().zip(out) {
            *values = Some(match function {
                SlidingFunction::Count => {
                    let counts = found.into_iter().map(|v| v.unwrap_or_default() as i64);
                    Arc::new(Int64Array::from_iter_values(counts)) as ArrayRef
                }
                _ => Arc::new(Float64Array::from(found)),
            });
        }
        Ok(())
    }

    fn held_of(&mut self, key: u32) -> &mut Held {
        let place = key as usize;
        if place >= self.held.len() {
            self.held.resize_with(place + 1, Held::default);
        }
        &mut self.held[place]
    }
}

#[derive(Debug)]
struct SlidingRule {
    core: RuleCore,
    plan: SlidingPlan,
    /// Frames and function of each of the plan's calls.
    calls: Vec<(usize, usize)>,
    born: u64,
}

/// The rules of one selection that look back.
#[derive(Debug, Default)]
pub(super) struct Sliding {
    frames: Vec<Frames>,
    rules: Vec<SlidingRule>,
}

impl Sliding {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// `born`: number of the first row that the rule may see.
    pub(super) fn add(&mut self, meta: Arc<RuleMeta>, plan: &SlidingPlan, born: u64) {
        let calls = plan.calls.iter().map(|call| {
            let text = |named: &Option<Named>| named.as_ref().map(|n| n.text.clone());
            let same = |f: &Frames| {
                f.frame == call.frame && f.born == born && text(&f.argument) == text(&call.argument)
            };
            let known = self.frames.iter().position(same);
            let number = known.unwrap_or_else(|| {
                let (held, wanted) = (Vec::new(), Vec::new());
                let (frame, argument) = (call.frame, call.argument.clone());
                self.frames.push(Frames { frame, argument, born, users: 0, held, wanted });
                self.frames.len() - 1
            });
            let frames = &mut self.frames[number];
            frames.users += 1;
            let known = frames.wanted.iter().position(|(f, _)| *f == call.function);
            let function = known.unwrap_or_else(|| {
                frames.wanted.push((call.function, None));
                frames.wanted.len() - 1
            });
            (number, function)
        });
        let (calls, core) = (calls.collect(), RuleCore::new(meta));
        self.rules.push(SlidingRule { core, plan: plan.clone(), calls, born });
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) -> Option<RuleCore> {
        let found = self.rules.iter().position(|rule| rule.core.meta.rule_id() == rule_id)?;
        let rule = self.rules.remove(found);
        for (frames, _) in rule.calls {
            let frames = &mut self.frames[frames];
            frames.users -= 1;
            if frames.users == 0 {
                // Its place stays, so that the numbers of the others hold.
                frames.held = Vec::new();
            }
        }
        Some(rule.core)
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Memory of its frames, estimated.
    pub(super) fn bytes(&self) -> usize {
        let held = self.frames.iter().flat_map(|frames| &frames.held);
        held.map(|held| {
            let candidates = held.least.capacity() + held.greatest.capacity();
            size_of::<Held>() + held.rows.capacity() * size_of::<Entry>() + candidates * 16
        })
        .sum()
    }

    pub(super) fn has(&self, rule_id: &RuleId) -> bool {
        self.rules.iter().any(|rule| rule.core.meta.rule_id() == rule_id)
    }

    pub(super) fn cores(&mut self) -> impl Iterator<Item = &mut RuleCore> {
        self.rules.iter_mut().map(|rule| &mut rule.core)
    }

    /// Judges rows that are in their final order.
    pub(super) fn push(&mut self, sealed: &Sealed, out: &mut Sink<'_>) -> Result<()> {
        for frames in self.frames.iter_mut().filter(|frames| frames.users > 0) {
            frames.run(sealed)?;
        }
        let mut done = Ok(());
        for rule in &mut self.rules {
            // A rule that fails on these rows must not take the others with it.
            let pushed = rule.push(sealed, &self.frames, out);
            done = done.and(pushed);
        }
        done
    }

    pub(super) fn advance(&mut self, watermark: EventTime, out: &mut Sink<'_>) {
        self.rules.iter_mut().for_each(|rule| rule.core.advance(watermark, out));
    }
}

impl SlidingRule {
    fn push(&mut self, sealed: &Sealed, frames: &[Frames], out: &mut Sink<'_>) -> Result<()> {
        let computed = self.calls.iter().filter_map(|(number, function)| {
            frames.get(*number)?.wanted.get(*function)?.1.as_ref().map(Arc::clone)
        });
        let inputs = self.plan.inputs.iter().map(|input| Arc::clone(sealed.batch.column(*input)));
        let columns = inputs.chain(computed).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.plan.schema), columns)?;
        let count = batch.num_rows();
        let holds = without_nulls(&self.plan.condition.evaluate(&batch)?.into_array(count)?);
        if holds.values().count_set_bits() == 0 && self.core.open.is_empty() {
            return Ok(());
        }
        if let Some(view) = &self.plan.view {
            let mut kept: Vec<u32> = (0..).take(count).collect();
            let is_kept = |row: usize| holds.value(row) && sealed.numbers[row] >= self.born;
            kept.retain(|row| is_kept(*row as usize));
            let times = kept.iter().map(|row| sealed.times[*row as usize]).collect();
            let rows = take_record_batch(&batch, &UInt32Array::from(kept))?;
            self.core.found(view, (times, view.rows(&rows)?), None, out);
            return Ok(());
        }
        let value = self.plan.value.as_ref();
        let value = value.map(|v| v.evaluate(&batch)?.into_array(count)).transpose()?;
        for (row, key) in sealed.keys.iter().enumerate() {
            let condition = holds.value(row);
            if sealed.numbers[row] < self.born || (!condition && !self.core.open.contains(*key)) {
                continue;
            }
            let at = EventTime(sealed.times[row]);
            let value = value.as_ref().and_then(|value| number_at(value, row));
            let inputs = Inputs { from: sealed.offsets[row], to: sealed.offsets[row] };
            let seen = Observation { condition, value, since: at, at, inputs };
            self.core.observe(*key, &seen, 0, out);
        }
        Ok(())
    }
}
