//! The operator of one stream written down: codes, keys, and the parts in which rules stand.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, RuleId, Stream};

use super::StreamOperator;
use crate::operator::enrich::SavedColumn;
use crate::operator::family::{Family, SavedFamily};
use crate::operator::keys::SavedSpace;
use crate::operator::saved::{Plans, Unusable};
use crate::operator::selection::SavedSelection;
use crate::plan::{Kind, RulePlan};
use crate::tables::Tables;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator) struct SavedStream {
    watermark: Option<EventTime>,
    seen_to: Option<EventTime>,
    /// Texts of the codes from 1 on.
    texts: Vec<String>,
    joined: Vec<SavedColumn>,
    spaces: Vec<SavedSpace>,
    families: Vec<SavedFamily>,
    selections: Vec<SavedSelection>,
}

impl StreamOperator {
    pub(in crate::operator) fn save(&self) -> Result<SavedStream, Unusable> {
        let selections = self.selections.iter().enumerate();
        let selections = selections.filter_map(|(n, s)| Some(s.as_ref()?.save(n)));
        Ok(SavedStream {
            watermark: self.watermark,
            seen_to: self.seen_to,
            texts: self.codes.interner.texts(),
            joined: self.enrichment.save()?,
            spaces: self.spaces.iter().map(|space| space.save()).collect(),
            families: self.families.iter().map(|family| family.save()).collect(),
            selections: selections.collect::<Result<_, _>>()?,
        })
    }

    /// Codes and keys first, because everything else speaks in them; then families, which rules
    /// enter in the order of the list; then the other rules, each in its old place.
    pub(in crate::operator) fn load(
        stream: Stream,
        saved: SavedStream,
        plans: &Plans,
        tables: &Tables,
    ) -> Result<Self, Unusable> {
        let mut operator = Self::new(stream);
        operator.enrichment.load(saved.joined, tables)?;
        let plans = &operator.numbered(plans)?;
        for text in &saved.texts {
            operator.codes.interner.code(text);
        }
        for space in &saved.spaces {
            operator.load_space(space)?;
        }
        (operator.watermark, operator.seen_to) = (saved.watermark, saved.seen_to);
        for family in saved.families {
            let Self { spaces, codes, families, .. } = &mut operator;
            let columns: Vec<Vec<usize>> = spaces.iter().map(|s| s.columns().to_vec()).collect();
            let space_of = |plan: &RulePlan| {
                let found = columns.iter().position(|columns| *columns == plan.keys);
                found.ok_or(Unusable("a rule over unknown keys"))
            };
            families.push(Family::load(family, plans, space_of, (spaces, codes))?);
        }
        for selection in saved.selections {
            operator.load_selection(selection, plans)?;
        }
        Ok(operator)
    }

    /// The plans of this stream's rules, over the columns of its batches.
    fn numbered(&mut self, plans: &Plans) -> Result<Plans, Unusable> {
        let own = plans.iter().filter(|(_, (_, plan))| {
            plan.stream() == self.stream && !matches!(plan.kind, Kind::Periodic(_))
        });
        let mut numbered = Plans::new();
        for (rule_id, (meta, plan)) in own {
            let mut plan = plan.clone();
            let added = self.enrichment.add(rule_id, &mut plan);
            added.or(Err(Unusable("a rule that cannot be put in force")))?;
            numbered.insert(rule_id.clone(), (Arc::clone(meta), plan));
        }
        self.codes.widen(self.enrichment.width());
        Ok(numbered)
    }

    fn load_space(&mut self, saved: &SavedSpace) -> Result<(), Unusable> {
        let number = self.space(&saved.columns);
        self.spaces[number].load(saved, &self.codes.interner);
        Ok(())
    }

    fn load_selection(&mut self, saved: SavedSelection, plans: &Plans) -> Result<(), Unusable> {
        let number = saved.number;
        // Places that were free stay free; no installation has more than a few thousand.
        if number > 1 << 24 {
            return Err(Unusable("a selection out of all bounds"));
        }
        while self.selections.len() <= number {
            self.selections.push(None);
        }
        for (rule_id, born) in saved.rules() {
            self.load_rule(number, (&rule_id, born), plans)?;
        }
        let selection = self.selections[number].as_mut();
        let selection = selection.ok_or(Unusable("a selection without a rule"))?;
        let space = self.spaces.get(selection.space).ok_or(Unusable("an unknown key space"))?;
        selection.load(saved, space)
    }

    fn load_rule(
        &mut self,
        number: usize,
        (rule_id, born): (&RuleId, u64),
        plans: &Plans,
    ) -> Result<(), Unusable> {
        let (meta, plan) = plans.get(rule_id).ok_or(Unusable("an unknown rule"))?;
        let space = self.space(&plan.keys);
        let scope = self.index.scope(self.stream, &plan.scope, &mut self.codes);
        let place = (scope.text.clone(), space);
        if *self.selection_of.entry(place).or_insert(number) != number {
            return Err(Unusable("a rule in another selection"));
        }
        if self.selections[number].is_none() {
            self.place_selection(number, scope, space);
        }
        if let Some(selection) = self.selections[number].as_mut() {
            selection.sealer.pushed = born;
        }
        self.add_numbered(Arc::clone(meta), plan)
            .or(Err(Unusable("a rule that cannot be put in force")))
    }
}
