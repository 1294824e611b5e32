//! A family written down: groups and panes, and what each rule knows of its own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vong_model::RuleId;

use super::{Codes, Family, KeySpace, NewRule, WindowClass};
use crate::operator::panes::{Levels, SavedLevel};
use crate::operator::rule::SavedCore;
use crate::operator::saved::{Plans, Unusable};
use crate::plan::{Kind, RulePlan, WindowPlan};

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator) struct SavedFamily {
    /// Columns whose ids are told apart.
    columns: Vec<usize>,
    /// Codes of tuple after tuple.
    tuples: Vec<u32>,
    windows: Vec<SavedWindow>,
    /// Texts of what is added up: cells of panes stand in this order.
    slots: Vec<String>,
    levels: Vec<SavedLevel>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedWindow {
    width_us: i64,
    slide_us: i64,
    level: usize,
    closed_to: Option<i64>,
    rules: Vec<SavedRule>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedRule {
    rule_id: RuleId,
    /// First window it speaks about.
    active_from: i64,
    /// Start of the window and key, where a row has decided.
    decided: BTreeSet<(i64, u32)>,
    core: SavedCore,
}

impl Family {
    pub(in crate::operator) fn save(&self) -> SavedFamily {
        let window = |window: &WindowClass| SavedWindow {
            width_us: window.width_us,
            slide_us: window.slide_us,
            level: window.level,
            closed_to: window.closed_to,
            rules: window
                .rules
                .iter()
                .map(|rule| SavedRule {
                    rule_id: rule.core.meta.rule_id().clone(),
                    active_from: rule.active_from,
                    decided: rule.decided.clone(),
                    core: rule.core.save(),
                })
                .collect(),
        };
        let kept = self.slots_in_use();
        SavedFamily {
            columns: self.tuples.columns().to_vec(),
            tuples: self.tuples.codes().to_vec(),
            windows: self.windows.iter().map(window).collect(),
            slots: kept.iter().map(|(text, _)| text.clone()).collect(),
            levels: self.levels.save(&kept.iter().map(|(_, slot)| *slot).collect::<Vec<_>>()),
        }
    }

    /// A family that goes on as the one that was written down.
    pub(in crate::operator) fn load(
        saved: SavedFamily,
        plans: &Plans,
        mut space_of: impl FnMut(&RulePlan) -> Result<usize, Unusable>,
        (spaces, codes): (&mut [KeySpace], &mut Codes),
    ) -> Result<Self, Unusable> {
        let columns = saved.columns.iter().copied().collect();
        let first = saved.windows.iter().find_map(|window| window.rules.first());
        let (_, first) = first
            .and_then(|rule| plans.get(&rule.rule_id))
            .ok_or(Unusable("windows without a rule"))?;
        let mut family = Self::new(&first.scope, &columns);
        family.tuples.load(&saved.tuples);
        let window = |window: &SavedWindow| WindowClass {
            width_us: window.width_us,
            slide_us: window.slide_us,
            level: window.level,
            closed_to: window.closed_to,
            rules: Vec::new(),
        };
        family.windows = saved.windows.iter().map(window).collect();
        if saved.windows.iter().any(|window| window.level >= saved.levels.len()) {
            return Err(Unusable("windows without panes"));
        }
        for (number, window) in saved.windows.into_iter().enumerate() {
            for SavedRule { rule_id, active_from, decided, core } in window.rules {
                let (meta, plan) = plans.get(&rule_id).ok_or(Unusable("an unknown rule"))?;
                let Kind::Window(shape @ WindowPlan { shared: Some(aggregates), .. }) = &plan.kind
                else {
                    return Err(Unusable("a rule of another kind"));
                };
                let space = space_of(plan)?;
                let meta = std::sync::Arc::clone(meta);
                let (scope, keys) = (&plan.scope, &plan.keys);
                let rule = NewRule { meta, scope, keys, space, window: shape, aggregates };
                family.add(rule, None, spaces, codes);
                let added = family.windows.get_mut(number).and_then(|w| w.rules.last_mut());
                let added = added.filter(|rule| *rule.core.meta.rule_id() == rule_id);
                let added = added.ok_or(Unusable("a rule with another window"))?;
                (added.active_from, added.decided) = (active_from, decided);
                added.core.load(core, &spaces[space])?;
            }
        }
        // Groups are numbered as before, and every class has been given its own of them.
        family.classes.admit_new(&family.tuples, spaces, codes);
        let known = family.slots_in_use();
        let place = |text: &String| known.iter().find(|(k, _)| k == text).map(|(_, slot)| *slot);
        let place_of: Vec<Option<usize>> = saved.slots.iter().map(place).collect();
        family.levels = Levels::load(saved.levels, &family.wants, &place_of);
        Ok(family)
    }

    /// What some rule still reads, by its text, in order.
    fn slots_in_use(&self) -> Vec<(String, usize)> {
        let rules = self.windows.iter().flat_map(|window| &window.rules);
        let outputs = rules.flat_map(|rule| rule.reads().0);
        let slots = outputs.filter_map(|output| self.outputs.get(*output)?.slot);
        let text = |slot: usize| {
            let of = |number: &usize| self.expressions.text(*number);
            let argument = self.slots[slot].argument.as_ref().map_or("*", of);
            let mut masks: Vec<&str> = self.slots[slot].masks.iter().map(of).collect();
            masks.sort_unstable();
            (format!("{argument} WHERE {}", masks.join(" AND ")), slot)
        };
        let mut known: Vec<(String, usize)> = slots.map(text).collect();
        known.sort();
        known.dedup();
        known
    }
}
