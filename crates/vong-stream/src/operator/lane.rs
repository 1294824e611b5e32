//! The fast lane: rules that look at one row at a time, straight off the log.
//!
//! A rule costs one comparison of numbers a batch while its threshold is out of reach of every
//! row and none of its alerts is open.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Float64Type;
use datafusion::error::Result;
use vong_alert::Observation;
use vong_model::{EventTime, RuleId};

use super::frame::{Expressions, Frame, number_at};
use super::index::Rows;
use super::rule::{RuleCore, RuleMeta, SavedCore, Sink};
use crate::plan::{Bound, Conjunct, Form, Named};

#[derive(Debug)]
struct LaneRule {
    core: RuleCore,
    /// Numbers of its conditions in the lane's expressions.
    conditions: Vec<usize>,
    value: Option<usize>,
    /// A condition that can be ruled out for a whole batch.
    threshold: Option<(usize, Bound)>,
}

/// The stateless rules of one scope and key.
#[derive(Debug, Default)]
pub(super) struct Lane {
    rules: Vec<LaneRule>,
    expressions: Expressions,
    /// Float columns some threshold looks at, with their least and greatest value in the batch.
    ranges: Vec<(usize, Option<(f64, f64)>)>,
}

impl Lane {
    pub(super) fn add(
        &mut self,
        meta: Arc<RuleMeta>,
        condition: &[Conjunct],
        value: Option<&Named>,
    ) {
        let named = |c: &Conjunct| Named { text: c.text.clone(), expr: Arc::clone(&c.expr) };
        let conditions = condition.iter().map(|c| self.expressions.add(&named(c))).collect();
        let threshold = condition.iter().find_map(|c| match c.form {
            Form::Threshold { column, bound } => Some((column, bound)),
            Form::OneOf { .. } | Form::Other => None,
        });
        if let Some((column, _)) = threshold
            && !self.ranges.iter().any(|(known, _)| *known == column)
        {
            self.ranges.push((column, None));
        }
        let value = value.map(|value| self.expressions.add(value));
        self.rules.push(LaneRule { core: RuleCore::new(meta), conditions, value, threshold });
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) -> Option<RuleCore> {
        let found = self.rules.iter().position(|rule| rule.core.meta.rule_id() == rule_id)?;
        Some(self.rules.remove(found).core)
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn explain(&self, rule_id: &RuleId) -> Option<String> {
        let rule = self.rules.iter().find(|rule| rule.core.meta.rule_id() == rule_id)?;
        Some(match rule.threshold {
            Some(_) => "straight off the log; skipped while the batch's least and greatest value \
                        cannot pass its threshold and none of its alerts is open"
                .to_owned(),
            None => format!("straight off the log; {} condition(s) a row", rule.conditions.len()),
        })
    }

    pub(super) fn cores(&mut self) -> impl Iterator<Item = &mut RuleCore> {
        self.rules.iter_mut().map(|rule| &mut rule.core)
    }

    /// Its rules and what is known of their alerts, in order.
    pub(super) fn save(&self) -> Vec<(RuleId, SavedCore)> {
        let rules = self.rules.iter();
        rules.map(|rule| (rule.core.meta.rule_id().clone(), rule.core.save())).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether no row can matter: nothing is open, and every rule has a threshold that no value
    /// reaches. Looked at before anything is copied, so that silence costs next to nothing.
    pub(super) fn is_out_of_reach(&self, batch: &RecordBatch, rows: &Rows) -> bool {
        let quiet = |rule: &LaneRule| rule.threshold.is_some() && rule.core.open.is_empty();
        if !self.rules.iter().all(quiet) {
            return false;
        }
        let ranges = self.ranges.iter().map(|(column, _)| {
            let values = batch.column(*column).as_primitive_opt::<Float64Type>()?;
            let range = match rows {
                None => range_of(values.values().iter().copied()),
                Some(rows) => range_of(rows.iter().map(|row| values.value(*row as usize))),
            };
            Some((*column, range?))
        });
        let Some(ranges) = ranges.collect::<Option<Vec<_>>>() else { return false };
        !self.rules.iter().filter_map(|rule| rule.threshold).any(|(column, bound)| {
            let of_column = ranges.iter().find(|(known, _)| *known == column);
            of_column.is_none_or(|(_, (min, max))| bound.possible(*min, *max))
        })
    }

    /// Runs every rule the rows can concern.
    pub(super) fn push(&mut self, frame: &Frame, keys: &[u32], out: &mut Sink<'_>) -> Result<()> {
        let Self { rules, expressions, ranges } = self;
        expressions.forget();
        for (column, range) in ranges.iter_mut() {
            let values = frame.batch.column(*column).as_primitive_opt::<Float64Type>();
            *range = values.and_then(|values| range_of(values.values().iter().copied()));
        }
        let mut failed = Ok(());
        for rule in rules {
            let possible = rule.threshold.is_none_or(|(column, bound)| {
                let range = ranges.iter().find(|(known, _)| *known == column);
                let range = range.and_then(|(_, range)| *range);
                range.is_some_and(|(min, max)| bound.possible(min, max))
            });
            if !possible && rule.core.open.is_empty() {
                continue;
            }
            if let Err(e) = rule.push(frame, keys, expressions, out) {
                failed = Err(e);
            }
        }
        failed
    }

    pub(super) fn advance(&mut self, watermark: EventTime, out: &mut Sink<'_>) {
        for rule in &mut self.rules {
            rule.core.advance(watermark, out);
        }
    }
}

impl LaneRule {
    fn push(
        &mut self,
        frame: &Frame,
        keys: &[u32],
        expressions: &mut Expressions,
        out: &mut Sink<'_>,
    ) -> Result<()> {
        let mut holds: Option<BooleanArray> = None;
        for condition in &self.conditions {
            let mask = expressions.mask(*condition, frame)?;
            holds = Some(match holds {
                None => mask,
                Some(so_far) => BooleanArray::new(so_far.values() & mask.values(), None),
            });
        }
        let Some(holds) = holds else { return Ok(()) };
        let any = holds.values().count_set_bits() > 0;
        if !any && self.core.open.is_empty() {
            return Ok(());
        }
        let value = match self.value {
            Some(value) => Some(Arc::clone(expressions.get(value, frame)?)),
            None => None,
        };
        // Nothing before the first true row can matter while nothing is open.
        let first = holds.values().set_indices().next().unwrap_or(frame.len());
        let from = if self.core.open.is_empty() { first } else { 0 };
        self.rows(from..frame.len(), (frame, keys), (&holds, value.as_ref()), out);
        Ok(())
    }

    fn rows(
        &mut self,
        range: std::ops::Range<usize>,
        (frame, keys): (&Frame, &[u32]),
        (holds, value): (&BooleanArray, Option<&ArrayRef>),
        out: &mut Sink<'_>,
    ) {
        for index in range {
            let (condition, key) = (holds.value(index), keys[index]);
            if !condition && !self.core.open.contains(key) {
                continue;
            }
            let at = EventTime(frame.times[index]);
            if let Some(units) = frame.units.as_ref() {
                out.space.saw_unit(key, units.code(index));
            }
            let value = value.and_then(|value| number_at(value, index));
            let seen = Observation { condition, value, since: at, at, inputs: frame.inputs };
            self.core.observe(key, &seen, frame.row(index), out);
        }
    }
}

/// Least and greatest value, in the order the comparison kernels use; `None` without values.
fn range_of(mut values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(min, max), v| {
        let min = if v.total_cmp(&min).is_lt() { v } else { min };
        let max = if v.total_cmp(&max).is_gt() { v } else { max };
        (min, max)
    }))
}
