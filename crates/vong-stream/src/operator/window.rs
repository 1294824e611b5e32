//! Windows over aggregates that cannot be merged: rules of one scope, key and window share one set
//! of DataFusion's accumulators, fed for every window a row is in.
//!
//! Invariant: rows enter an accumulator in log order, whatever the batches, so a sum is the same
//! number live, after a restart and in a backtest.

mod saved;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::error::Result;
use datafusion::logical_expr::GroupsAccumulator;
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use vong_alert::{Inputs, Observation};
use vong_model::{EventTime, Offset, RuleId};

use super::closed::{Closed, key_columns};
use super::frame::{Expressions, Frame, number_at, without_nulls};
use super::rule::{RuleCore, RuleMeta, Sink};
use super::spans::{Span, spans};
use crate::plan::{AggregatePlan, WindowPlan};

pub(super) use saved::SavedGroup;

/// One aggregate that some rule of the group needs.
#[derive(Debug)]
struct Slot {
    text: String,
    function: Arc<AggregateFunctionExpr>,
    /// Numbers of its arguments and its filter in the scope's expressions.
    arguments: Vec<usize>,
    filter: Option<usize>,
    users: usize,
}

pub(super) struct Pane {
    /// By slot; `None` for slots that came later or have no user.
    pub(super) accumulators: Vec<Option<Box<dyn GroupsAccumulator>>>,
    /// By local key: whether any row of the window is of it.
    pub(super) present: Vec<bool>,
    pub(super) inputs: Inputs,
    /// What the accumulators were fed, because they cannot be written down themselves.
    fed: Vec<Fed>,
}

/// Rows that accumulators are fed.
struct Fed {
    /// Group of each row, and how many groups there are in all.
    groups: Vec<usize>,
    total: usize,
    /// Slot, arguments, which rows count.
    slots: Vec<(usize, Vec<ArrayRef>, Option<BooleanArray>)>,
}

impl std::fmt::Debug for Pane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pane").field("keys", &self.present.len()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct WindowRule {
    core: RuleCore,
    pub(super) plan: WindowPlan,
    /// Slot of each of the plan's aggregates.
    pub(super) slots: Vec<usize>,
    /// First window the rule speaks about.
    active_from: i64,
    /// The condition or the value reads a key column.
    reads_keys: bool,
}

/// The windows of one width and slide.
#[derive(Debug)]
pub(super) struct WindowGroup {
    width_us: i64,
    slide_us: i64,
    slots: Vec<Slot>,
    panes: BTreeMap<i64, Pane>,
    rules: Vec<WindowRule>,
    /// Start of the first window that is not closed.
    closed_to: Option<i64>,
}

/// Local keys of a frame's rows and how many there are in all.
pub(super) struct Groups<'a> {
    pub(super) of_row: &'a [usize],
    pub(super) total: usize,
}

impl WindowGroup {
    /// Memory of its accumulators, as they tell it.
    pub(super) fn bytes(&self) -> usize {
        let accumulators = self.panes.values().flat_map(|pane| &pane.accumulators).flatten();
        accumulators.map(|accumulator| accumulator.size()).sum()
    }

    pub(super) fn new(width_us: i64, slide_us: i64) -> Self {
        Self {
            width_us,
            slide_us,
            slots: Vec::new(),
            panes: BTreeMap::new(),
            rules: Vec::new(),
            closed_to: None,
        }
    }

    pub(super) fn is_of(&self, plan: &WindowPlan) -> bool {
        (self.width_us, self.slide_us) == (plan.width_us, plan.slide_us)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// `seen_to`: latest event time of the stream so far; the rule speaks from the first window
    /// that begins after it, because that is the first it will have seen whole.
    pub(super) fn add(
        &mut self,
        meta: Arc<RuleMeta>,
        plan: &WindowPlan,
        expressions: &mut Expressions,
        seen_to: Option<EventTime>,
    ) {
        let slots = plan.aggregates.iter().map(|a| self.slot(a, expressions)).collect();
        let active_from =
            seen_to.map_or(i64::MIN, |t| self.start_of(t.micros()).saturating_add(self.slide_us));
        let reads_keys = plan.reads_keys();
        let core = RuleCore::new(meta);
        self.rules.push(WindowRule { core, plan: plan.clone(), slots, active_from, reads_keys });
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) -> Option<RuleCore> {
        let found = self.rules.iter().position(|rule| rule.core.meta.rule_id() == rule_id)?;
        let rule = self.rules.remove(found);
        for slot in &rule.slots {
            if let Some(slot) = self.slots.get_mut(*slot) {
                slot.users -= 1;
            }
        }
        Some(rule.core)
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    pub(super) fn has(&self, rule_id: &RuleId) -> bool {
        self.rules.iter().any(|rule| rule.core.meta.rule_id() == rule_id)
    }

    pub(super) fn cores(&mut self) -> impl Iterator<Item = &mut RuleCore> {
        self.rules.iter_mut().map(|rule| &mut rule.core)
    }

    /// Adds the rows of a frame to their panes. `first` is told each key's first row in a window.
    pub(super) fn push(
        &mut self,
        frame: &Frame,
        groups: &Groups<'_>,
        expressions: &mut Expressions,
    ) -> Result<()> {
        for (latest, span) in spans(&frame.times, self.slide_us) {
            for before in 0..self.width_us / self.slide_us {
                let start = latest.saturating_sub(before.saturating_mul(self.slide_us));
                self.push_span(start, &span, frame, groups, expressions)?;
            }
        }
        Ok(())
    }

    /// Closes every window that ends at or before the watermark.
    pub(super) fn advance(
        &mut self,
        watermark: EventTime,
        cause: Offset,
        local_keys: &[u32],
        out: &mut Sink<'_>,
    ) -> Result<()> {
        // The first window that ends after the watermark.
        let before = watermark.micros().saturating_sub(self.width_us);
        let target = self.start_of(before).saturating_add(self.slide_us);
        let mut closed_to = match (self.closed_to, self.panes.keys().next()) {
            (Some(closed_to), _) => closed_to,
            // A row far ahead must not close the windows of those that follow it.
            (None, Some(first)) => (*first).min(target),
            (None, None) => target,
        };
        while closed_to < target {
            let next_pane = self.panes.keys().next().copied().unwrap_or(target).min(target);
            let any_open = self.rules.iter().any(|rule| rule.core.open_count() > 0);
            if next_pane > closed_to && !any_open {
                // Nothing to close until the next pane: only shelves can end in between.
                self.run_timers(EventTime(next_pane), out);
                closed_to = next_pane;
                continue;
            }
            self.close(closed_to, cause, local_keys, out)?;
            closed_to = closed_to.saturating_add(self.slide_us);
        }
        self.closed_to = Some(closed_to);
        Ok(())
    }

    fn start_of(&self, instant_us: i64) -> i64 {
        vong_sql::functions::window_start(instant_us, self.slide_us)
    }

    fn slot(&mut self, aggregate: &AggregatePlan, expressions: &mut Expressions) -> usize {
        let known = self.slots.iter().position(|slot| slot.text == aggregate.text);
        if let Some(slot) = known.and_then(|number| self.slots.get_mut(number)) {
            slot.users += 1;
            return known.unwrap_or_default();
        }
        self.slots.push(Slot {
            text: aggregate.text.clone(),
            function: Arc::clone(&aggregate.function),
            arguments: aggregate.arguments.iter().map(|a| expressions.add(a)).collect(),
            filter: aggregate.filter.as_ref().map(|f| expressions.add(f)),
            users: 1,
        });
        self.slots.len() - 1
    }

    fn push_span(
        &mut self,
        start: i64,
        span: &Span,
        frame: &Frame,
        groups: &Groups<'_>,
        expressions: &mut Expressions,
    ) -> Result<()> {
        let slots = &self.slots;
        let pane = match self.panes.entry(start) {
            Entry::Occupied(pane) => pane.into_mut(),
            Entry::Vacant(place) => place.insert(Pane::new(slots, frame.inputs)?),
        };
        pane.inputs.to = pane.inputs.to.max(frame.inputs.to);
        pane.present.resize(groups.total, false);
        let taken: Vec<usize>;
        let of_row = match span {
            Span::All => groups.of_row,
            Span::Slice(from, len) => &groups.of_row[*from..*from + *len],
            Span::Rows(rows) => {
                taken = rows.values().iter().map(|row| groups.of_row[*row as usize]).collect();
                &taken
            }
        };
        for group in of_row {
            pane.present[*group] = true;
        }
        let mut fed = Fed { groups: of_row.to_vec(), total: groups.total, slots: Vec::new() };
        for (number, slot) in slots.iter().enumerate() {
            if pane.accumulators.get(number).is_none_or(Option::is_none) {
                continue;
            }
            let mut arguments = Vec::with_capacity(slot.arguments.len());
            for argument in &slot.arguments {
                arguments.push(span.cut(expressions.get(*argument, frame)?)?);
            }
            let mask = match slot.filter {
                Some(number) => {
                    let mask: ArrayRef = Arc::new(expressions.mask(number, frame)?);
                    Some(without_nulls(&span.cut(&mask)?))
                }
                None => None,
            };
            fed.slots.push((number, arguments, mask));
        }
        pane.feed(fed)
    }

    fn close(
        &mut self,
        start: i64,
        cause: Offset,
        local_keys: &[u32],
        out: &mut Sink<'_>,
    ) -> Result<()> {
        let end = start.saturating_add(self.width_us);
        let reads_keys = self.rules.iter().any(|rule| rule.reads_keys);
        let pane = self.panes.remove(&start);
        let mut closed = Closed::of(pane, (start, end), local_keys)?;
        if reads_keys {
            closed.key_columns = Some(key_columns(&closed.keys, out));
        }
        let nothing = Inputs { from: cause, to: cause };
        for rule in &mut self.rules {
            if rule.active_from <= start {
                rule.close(&closed, nothing, out)?;
            }
        }
        self.run_timers(EventTime(end), out);
        Ok(())
    }

    fn run_timers(&mut self, to: EventTime, out: &mut Sink<'_>) {
        for rule in &mut self.rules {
            rule.core.advance(to, out);
        }
    }
}

impl Pane {
    fn new(slots: &[Slot], inputs: Inputs) -> Result<Self> {
        let accumulators = slots.iter().map(|slot| {
            if slot.users == 0 { Ok(None) } else { accumulator(&slot.function).map(Some) }
        });
        let accumulators = accumulators.collect::<Result<Vec<_>>>()?;
        Ok(Self { accumulators, present: Vec::new(), inputs, fed: Vec::new() })
    }

    fn feed(&mut self, fed: Fed) -> Result<()> {
        for (slot, arguments, mask) in &fed.slots {
            if let Some(Some(accumulator)) = self.accumulators.get_mut(*slot) {
                accumulator.update_batch(arguments, &fed.groups, mask.as_ref(), fed.total)?;
            }
        }
        self.fed.push(fed);
        Ok(())
    }
}

fn accumulator(function: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator();
    }
    let function = Arc::clone(function);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
}

impl WindowRule {
    fn close(&mut self, closed: &Closed, nothing: Inputs, out: &mut Sink<'_>) -> Result<()> {
        let (since, at) = (EventTime(closed.start), EventTime(closed.end));
        let mut unseen = self.core.open_keys();
        if let Some(batch) = closed.batch(self)?.filter(|batch| batch.num_rows() > 0) {
            let inputs = closed.inputs.unwrap_or(nothing);
            let count = batch.num_rows();
            let holds = match &self.plan.having {
                Some(having) => without_nulls(&having.evaluate(&batch)?.into_array(count)?),
                None => BooleanArray::from(vec![true; count]),
            };
            if let Some(view) = &self.plan.view {
                let mut kept: Vec<u32> = (0..).take(count).collect();
                kept.retain(|row| holds.value(*row as usize));
                kept.sort_by_key(|row| out.space.key(closed.keys[*row as usize]));
                let rows = take_record_batch(&batch, &UInt32Array::from(kept))?;
                let found = (vec![closed.end; rows.num_rows()], view.rows(&rows)?);
                self.core.found(view, found, None, out);
                return Ok(());
            }
            if holds.values().count_set_bits() > 0 || !self.core.open.is_empty() {
                let value = self.plan.value.as_ref();
                let value = value.map(|v| v.evaluate(&batch)?.into_array(count)).transpose()?;
                let mut order: Vec<usize> = (0..count).collect();
                if self.core.is_limited() {
                    order.sort_by_key(|row| out.space.key(closed.keys[*row]));
                }
                for row in order {
                    let key = &closed.keys[row];
                    let condition = holds.value(row);
                    if !condition && !self.core.open.contains(*key) {
                        continue;
                    }
                    let value = value.as_ref().and_then(|value| number_at(value, row));
                    let seen = Observation { condition, value, since, at, inputs };
                    self.core.observe(*key, &seen, 0, out);
                }
            }
            let present: BTreeSet<u32> = if unseen.is_empty() {
                BTreeSet::new()
            } else {
                closed.keys.iter().copied().collect()
            };
            unseen.retain(|key| !present.contains(&key.id()));
        }
        for key in unseen {
            let seen = Observation { condition: false, value: None, since, at, inputs: nothing };
            self.core.observe(key.id(), &seen, 0, out);
        }
        Ok(())
    }
}
