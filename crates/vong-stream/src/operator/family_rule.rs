//! One window rule of a family: what a closed window means for its alerts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use datafusion::error::Result;
use vong_alert::{Inputs, Observation};
use vong_model::{EventTime, Offset};

use super::classes::{Class, Classes};
use super::closed::{blank, key_columns};
use super::frame::{number_at, without_nulls};
use super::panes::Pane;
use super::rule::{RuleCore, RuleMeta, Sink};
use crate::plan::{Bound, Function, GroupColumn, Test, WindowPlan};

/// One aggregate over the groups of a class; rules that need the same one share it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) class: usize,
    /// `None`: the rows themselves are counted.
    pub(super) slot: Option<usize>,
    pub(super) function: Function,
}

/// An output's values by place within its class, and the range they lie in.
#[derive(Clone, Debug)]
pub(super) struct Column {
    values: Vec<Option<f64>>,
    range: Option<(f64, f64)>,
}

/// A closed window; columns are computed when the first rule asks for them.
pub(super) struct Find<'a> {
    /// Start and end.
    pub(super) span: (i64, i64),
    /// `None`: no row was in the window.
    pub(super) pane: Option<&'a Pane>,
    /// The record that closed it.
    pub(super) cause: Offset,
    pub(super) classes: &'a Classes,
    pub(super) outputs: &'a [Output],
    pub(super) columns: Vec<Option<Column>>,
}

#[derive(Debug)]
pub(super) struct FamilyRule {
    pub(super) core: RuleCore,
    pub(super) space: usize,
    class: usize,
    plan: WindowPlan,
    /// Output of each of the plan's aggregates.
    outputs: Vec<usize>,
    /// First window the rule speaks about.
    pub(super) active_from: i64,
    /// The condition or the value reads a key column.
    reads_keys: bool,
    /// What a single row can decide for its whole window: aggregate and bound.
    deciding: Option<(usize, Bound)>,
    /// Start of the window and key, where a row has decided.
    pub(super) decided: BTreeSet<(i64, u32)>,
}

impl Find<'_> {
    fn column(&mut self, number: usize) -> Cow<'_, Column> {
        let Some(output) = self.outputs.get(number) else { return Cow::Owned(Column::empty()) };
        let Some(pane) = self.pane else { return Cow::Owned(Column::empty()) };
        let class = self.classes.get(output.class);
        let place = &mut self.columns[number];
        Cow::Borrowed(place.get_or_insert_with(|| Column::of(*output, class, pane)))
    }
}

impl Column {
    fn empty() -> Self {
        Self { values: Vec::new(), range: None }
    }

    fn of(output: Output, class: &Class, pane: &Pane) -> Self {
        let value = |groups: &Vec<u32>| match output.slot {
            None => Some(pane.rows(groups) as f64),
            Some(slot) => {
                let cells = pane.slot(slot);
                cells.and_then(|cells| cells.value(output.function, groups, pane.rows(groups)))
            }
        };
        let values: Vec<Option<f64>> = class.groups.iter().map(value).collect();
        let order = |range: Option<(f64, f64)>, v: &f64| {
            let (min, max) = range.unwrap_or((*v, *v));
            // total_cmp, because the comparison kernels order NaN so.
            let min = if v.total_cmp(&min).is_lt() { *v } else { min };
            let max = if v.total_cmp(&max).is_gt() { *v } else { max };
            Some((min, max))
        };
        let range = values.iter().flatten().fold(None, order);
        Self { values, range }
    }

    fn at(&self, place: Option<usize>) -> Option<f64> {
        place.and_then(|place| self.values.get(place)).copied().flatten()
    }
}

impl FamilyRule {
    pub(super) fn new(
        meta: Arc<RuleMeta>,
        plan: &WindowPlan,
        (class, space): (usize, usize),
        outputs: Vec<usize>,
        active_from: i64,
    ) -> Self {
        let reads_keys = plan.reads_keys();
        let (core, plan) = (RuleCore::new(meta), plan.clone());
        // Places under a limit are given in the order of time, which rows need not come in.
        let deciding = super::family::deciding(&plan).filter(|_| !core.is_limited());
        let decided = BTreeSet::new();
        Self { core, space, class, plan, outputs, active_from, reads_keys, deciding, decided }
    }

    /// Which of the family's outputs it reads, which class it is about, and whether its condition
    /// is made of plain tests.
    pub(super) fn reads(&self) -> (&[usize], usize, bool) {
        (&self.outputs, self.class, self.plan.tests.is_some())
    }

    /// The aggregate and the bound that a single row can meet for its whole window.
    pub(super) fn deciding(&self) -> Option<(usize, Bound)> {
        self.deciding
    }

    pub(super) fn has_value(&self) -> bool {
        self.plan.value.is_some()
    }

    /// Windows before this one are closed.
    pub(super) fn forget_before(&mut self, start: i64) {
        if !self.decided.is_empty() {
            self.decided = self.decided.split_off(&(start, 0));
        }
    }

    /// Whether the key's alert is of a later window than the one that ends at `at`.
    fn is_of_later(&self, key: u32, at: EventTime, out: &Sink<'_>) -> bool {
        self.deciding.is_some() && self.core.opened_at(key, out).is_some_and(|opened| opened >= at)
    }

    /// Looks at a closed window, then lets the rule's timers run to its end.
    pub(super) fn close(&mut self, find: &mut Find<'_>, out: &mut Sink<'_>) -> Result<()> {
        let closed = if self.active_from <= find.span.0 && !self.is_out_of_reach(find) {
            self.look(find, out)
        } else {
            Ok(())
        };
        self.core.advance(EventTime(find.span.1), out);
        closed
    }

    /// Whether nothing is open and no key can pass some test: then no key is looked at.
    fn is_out_of_reach(&self, find: &mut Find<'_>) -> bool {
        if !self.core.open.is_empty() {
            return false;
        }
        if find.pane.is_none() {
            return true;
        }
        let Some(tests) = &self.plan.tests else { return false };
        tests.iter().any(|(aggregate, test)| {
            let Some(number) = self.outputs.get(*aggregate) else { return false };
            match (find.column(*number).range, test) {
                (None, _) => true,
                (Some((min, max)), Test::Bound(bound)) => !bound.possible(min, max),
                (Some(_), Test::Known) => false,
            }
        })
    }

    fn look(&mut self, find: &mut Find<'_>, out: &mut Sink<'_>) -> Result<()> {
        let (since, at) = (EventTime(find.span.0), EventTime(find.span.1));
        let class = find.classes.get(self.class);
        let mut present: Vec<usize> = match find.pane {
            None => Vec::new(),
            Some(pane) => {
                let places = class.groups.iter().enumerate();
                places.filter(|(_, groups)| pane.has(groups)).map(|(place, _)| place).collect()
            }
        };
        if self.plan.view.is_some() {
            return self.show(find, present, out);
        }
        let nothing = Inputs { from: find.cause, to: find.cause };
        let unseen = self.unseen(class, &present);
        if !present.is_empty() {
            if self.core.is_limited() {
                present.sort_by_key(|place| out.space.key(class.keys[*place]));
            }
            let (holds, values) = match self.plan.tests.is_some() && self.has_plain_value() {
                true => self.tested(find, &present),
                false => self.evaluated(find, &present, out)?,
            };
            for ((place, holds), value) in present.iter().zip(holds).zip(values) {
                let key = class.keys[*place];
                let is_open = self.core.open.contains(key);
                if (!holds && !is_open) || (is_open && self.is_of_later(key, at, out)) {
                    continue;
                }
                let seen = find.pane.and_then(|pane| pane.inputs(&class.groups[*place]));
                if let Some((_, unit)) = seen {
                    out.space.saw_unit(key, unit);
                }
                let inputs = seen.map_or(nothing, |(inputs, _)| inputs);
                let seen = Observation { condition: holds, value, since, at, inputs };
                self.core.observe(key, &seen, 0, out);
            }
        }
        for key in unseen {
            if self.is_of_later(key, at, out) {
                continue;
            }
            let seen = Observation { condition: false, value: None, since, at, inputs: nothing };
            self.core.observe(key, &seen, 0, out);
        }
        Ok(())
    }

    /// Gives out the view's rows of a closed window, in the order of their keys.
    fn show(&mut self, find: &mut Find<'_>, present: Vec<usize>, out: &mut Sink<'_>) -> Result<()> {
        let class = find.classes.get(self.class);
        let mut present = present;
        present.sort_by_key(|place| out.space.key(class.keys[*place]));
        let mut batch = self.batch(find, &present, out)?;
        if let Some(having) = &self.plan.having {
            let holds = having.evaluate(&batch)?.into_array(batch.num_rows())?;
            batch = filter_record_batch(&batch, &without_nulls(&holds))?;
        }
        let Some(view) = &self.plan.view else { return Ok(()) };
        let found = (vec![find.span.1; batch.num_rows()], view.rows(&batch)?);
        self.core.found(view, found, None, out);
        Ok(())
    }

    /// Keys with an open alert that are not in the window.
    fn unseen(&self, class: &Class, present: &[usize]) -> Vec<u32> {
        let open = self.core.open_keys();
        let is_there =
            |key: u32| class.place(key).is_some_and(|p| present.binary_search(&p).is_ok());
        open.iter().map(super::keys::Key::id).filter(|key| !is_there(*key)).collect()
    }

    fn has_plain_value(&self) -> bool {
        self.plan.value.is_none() || self.plan.value_of.is_some()
    }

    /// Condition and value of each key, straight from the columns.
    fn tested(&self, find: &mut Find<'_>, present: &[usize]) -> (Vec<bool>, Vec<Option<f64>>) {
        let mut holds = vec![true; present.len()];
        for (aggregate, test) in self.plan.tests.iter().flatten() {
            let values = self.values(find, *aggregate, present);
            for (holds, value) in holds.iter_mut().zip(values) {
                *holds &= match test {
                    Test::Bound(bound) => value.is_some_and(|value| bound.holds(value)),
                    Test::Known => value.is_some(),
                };
            }
        }
        let values = match self.plan.value_of {
            Some(aggregate) => self.values(find, aggregate, present),
            None => vec![None; present.len()],
        };
        (holds, values)
    }

    /// Condition and value of each key, by the rule's own expressions.
    fn evaluated(
        &self,
        find: &mut Find<'_>,
        present: &[usize],
        out: &Sink<'_>,
    ) -> Result<(Vec<bool>, Vec<Option<f64>>)> {
        let batch = self.batch(find, present, out)?;
        let count = batch.num_rows();
        let holds = match &self.plan.having {
            Some(having) => without_nulls(&having.evaluate(&batch)?.into_array(count)?),
            None => BooleanArray::from(vec![true; count]),
        };
        let value = self.plan.value.as_ref();
        let value = value.map(|v| v.evaluate(&batch)?.into_array(count)).transpose()?;
        let value_at = |row| value.as_ref().and_then(|value| number_at(value, row));
        Ok((holds.values().iter().collect(), (0..count).map(value_at).collect()))
    }

    /// The rows the rule's expressions see: one a key.
    fn batch(&self, find: &mut Find<'_>, present: &[usize], out: &Sink<'_>) -> Result<RecordBatch> {
        let count = present.len();
        let class = find.classes.get(self.class);
        let keys: Vec<u32> = present.iter().map(|place| class.keys[*place]).collect();
        let named = if self.reads_keys { key_columns(&keys, out) } else { Vec::new() };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.schema.fields().len());
        for group in &self.plan.groups {
            columns.push(match group {
                GroupColumn::WindowStart => {
                    let start = TimestampMicrosecondArray::from_value(find.span.0, count);
                    Arc::new(start.with_timezone("UTC"))
                }
                GroupColumn::Key(place) => {
                    named.get(*place).map_or_else(|| blank(count), Arc::clone)
                }
            });
        }
        for (aggregate, number) in self.outputs.iter().enumerate() {
            let values = self.values(find, aggregate, present);
            let counts = find.outputs.get(*number).is_some_and(|o| o.function == Function::Count);
            columns.push(if counts {
                let counts = values.iter().map(|v| v.unwrap_or_default() as i64);
                Arc::new(Int64Array::from_iter_values(counts))
            } else {
                Arc::new(Float64Array::from(values))
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.plan.schema), columns)?)
    }

    /// Values of one aggregate for the keys at these places of the rule's class.
    fn values(&self, find: &mut Find<'_>, aggregate: usize, present: &[usize]) -> Vec<Option<f64>> {
        let Some(number) = self.outputs.get(aggregate).copied() else {
            return vec![None; present.len()];
        };
        let (classes, output) = (find.classes, find.outputs[number]);
        let own = classes.get(self.class);
        let column = find.column(number);
        if output.class == self.class {
            return present.iter().map(|place| column.at(Some(*place))).collect();
        }
        // An aggregate with a filter on ids counts fewer groups, by the same keys.
        let filtered = classes.get(output.class);
        let missing = (output.function == Function::Count).then_some(0.0);
        let of = |place: &usize| column.at(filtered.place(own.keys[*place])).or(missing);
        present.iter().map(of).collect()
    }
}
