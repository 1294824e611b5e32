//! Windows over aggregates that cannot be merged, written down.
//!
//! DataFusion's accumulators can be emptied but not read, so what they were fed is kept while their
//! window is open, and fed again: the same calls in the same order give the same state, to the bit.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use serde::{Deserialize, Serialize};
use vong_alert::Inputs;
use vong_model::RuleId;

use super::{Fed, Pane, Slot, WindowGroup, accumulator};
use crate::operator::keys::KeySpace;
use crate::operator::rule::SavedCore;
use crate::operator::saved::{Unusable, decode, encode};

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator) struct SavedGroup {
    closed_to: Option<i64>,
    /// Rule, first window it speaks about, alerts.
    rules: Vec<(RuleId, i64, SavedCore)>,
    /// Texts of the aggregates.
    slots: Vec<String>,
    panes: Vec<SavedPane>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedPane {
    start: i64,
    present: Vec<bool>,
    inputs: Inputs,
    /// Which of the aggregates it has.
    has: Vec<usize>,
    fed: Vec<SavedCall>,
}

/// Rows that accumulators were fed: number of the group of each, and the columns of all slots.
#[derive(Debug, Serialize, Deserialize)]
struct SavedCall {
    groups: Vec<u32>,
    total: usize,
    /// Slot, how many arguments, whether a mask follows them.
    layout: Vec<(usize, usize, bool)>,
    columns: Vec<u8>,
}

impl SavedGroup {
    pub(in crate::operator) fn rules(&self) -> impl Iterator<Item = &RuleId> {
        self.rules.iter().map(|(rule_id, ..)| rule_id)
    }
}

impl WindowGroup {
    pub(in crate::operator) fn save(&self) -> Result<SavedGroup, Unusable> {
        let rules = self.rules.iter();
        let panes = self.panes.iter().map(|(start, pane)| pane.save(*start, &self.slots));
        Ok(SavedGroup {
            closed_to: self.closed_to,
            rules: rules
                .map(|rule| (rule.core.meta.rule_id().clone(), rule.active_from, rule.core.save()))
                .collect(),
            slots: self.slots.iter().map(|slot| slot.text.clone()).collect(),
            panes: panes.collect::<Result<_, _>>()?,
        })
    }

    pub(in crate::operator) fn load(
        &mut self,
        saved: SavedGroup,
        space: &KeySpace,
    ) -> Result<(), Unusable> {
        for (rule, (_, active_from, core)) in self.rules.iter_mut().zip(saved.rules) {
            rule.active_from = active_from;
            rule.core.load(core, space)?;
        }
        let place = |text: &String| self.slots.iter().position(|slot| slot.text == *text);
        let place_of: Vec<Option<usize>> = saved.slots.iter().map(place).collect();
        for pane in saved.panes {
            self.panes.insert(pane.start, Pane::load(pane, &self.slots, &place_of)?);
        }
        self.closed_to = saved.closed_to;
        Ok(())
    }
}

impl Pane {
    fn save(&self, start: i64, slots: &[Slot]) -> Result<SavedPane, Unusable> {
        let has = |slot: &usize| self.accumulators.get(*slot).is_some_and(Option::is_some);
        Ok(SavedPane {
            start,
            present: self.present.clone(),
            inputs: self.inputs,
            has: (0..slots.len()).filter(has).collect(),
            fed: self.fed.iter().map(Fed::save).collect::<Result<_, _>>()?,
        })
    }

    fn load(
        saved: SavedPane,
        slots: &[Slot],
        place_of: &[Option<usize>],
    ) -> Result<Self, Unusable> {
        let SavedPane { present, inputs, has, fed, .. } = saved;
        let place = |slot: usize| place_of.get(slot).copied().flatten();
        let has: Vec<usize> = has.into_iter().filter_map(place).collect();
        let failed = Unusable("rows that an aggregate does not take");
        let made = slots.iter().enumerate().map(|(number, slot)| {
            let wanted = has.contains(&number);
            wanted.then(|| accumulator(&slot.function)).transpose()
        });
        let accumulators = made.collect::<Result<Vec<_>, _>>().or(Err(failed))?;
        let mut pane = Self { accumulators, present, inputs, fed: Vec::new() };
        for call in fed {
            let mut fed = Fed::load(call)?;
            fed.slots =
                fed.slots.into_iter().filter_map(|(s, a, m)| Some((place(s)?, a, m))).collect();
            pane.feed(fed).or(Err(failed))?;
        }
        Ok(pane)
    }
}

impl Fed {
    fn save(&self) -> Result<SavedCall, Unusable> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        let mut layout = Vec::with_capacity(self.slots.len());
        for (slot, arguments, mask) in &self.slots {
            layout.push((*slot, arguments.len(), mask.is_some()));
            columns.extend(arguments.iter().cloned());
            columns.extend(mask.as_ref().map(|mask| Arc::new(mask.clone()) as ArrayRef));
        }
        let fields = columns.iter().enumerate();
        let fields = fields.map(|(n, c)| Field::new(n.to_string(), c.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(self.groups.len()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options);
        let batch = batch.or(Err(Unusable("rows that cannot be written")))?;
        let group = |group: &usize| u32::try_from(*group).unwrap_or(u32::MAX);
        Ok(SavedCall {
            groups: self.groups.iter().map(group).collect(),
            total: self.total,
            layout,
            columns: encode(&batch)?,
        })
    }

    fn load(saved: SavedCall) -> Result<Self, Unusable> {
        let SavedCall { groups, total, layout, columns } = saved;
        let unusable = Unusable("rows of other aggregates");
        let batch = decode(&columns)?;
        if groups.iter().any(|group| *group as usize >= total) {
            return Err(unusable);
        }
        let mut columns = batch.columns().iter().cloned();
        let mut slots = Vec::with_capacity(layout.len());
        for (slot, count, masked) in layout {
            let arguments: Vec<ArrayRef> = columns.by_ref().take(count).collect();
            let mask = if masked { columns.next() } else { None };
            let mask: Option<BooleanArray> = mask.and_then(|m| m.as_boolean_opt().cloned());
            let whole = arguments.len() == count && mask.is_some() == masked;
            if !whole || batch.num_rows() != groups.len() {
                return Err(unusable);
            }
            slots.push((slot, arguments, mask));
        }
        let groups = groups.into_iter().map(|group| group as usize).collect();
        Ok(Self { groups, total, slots })
    }
}
