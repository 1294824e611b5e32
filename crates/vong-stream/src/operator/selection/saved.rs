//! A selection written down: what each of its rules knows, and the rows that wait.

use serde::{Deserialize, Serialize};
use vong_alert::Absence;
use vong_model::RuleId;

use super::Selection;
use crate::operator::keys::KeySpace;
use crate::operator::rule::SavedCore;
use crate::operator::saved::Unusable;
use crate::operator::sealed::SavedSealer;
use crate::operator::session::SavedSession;
use crate::operator::sliding::SavedSliding;
use crate::operator::window::SavedGroup;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator) struct SavedSelection {
    /// Its place among the selections.
    pub(in crate::operator) number: usize,
    lane: Vec<(RuleId, SavedCore)>,
    views: Vec<(RuleId, SavedCore)>,
    silences: Vec<(RuleId, SavedCore, Absence)>,
    windows: Vec<SavedGroup>,
    sealer: SavedSealer,
    sliding: SavedSliding,
    sessions: Vec<(RuleId, SavedSession)>,
    local_keys: Vec<u32>,
}

impl SavedSelection {
    /// Its rules with the number of the first row each may see, in the order in which they must be
    /// put in force again.
    pub(in crate::operator) fn rules(&self) -> Vec<(RuleId, u64)> {
        let lane = self.lane.iter().chain(&self.views).map(|(rule_id, _)| (rule_id.clone(), 0));
        let silences = self.silences.iter().map(|(rule_id, ..)| (rule_id.clone(), 0));
        let windows = self.windows.iter().flat_map(SavedGroup::rules).map(|id| (id.clone(), 0));
        let sessions = self.sessions.iter().map(|(id, session)| (id.clone(), session.born));
        let rules = lane.chain(silences).chain(windows);
        rules.chain(self.sliding.rules()).chain(sessions).collect()
    }
}

impl Selection {
    pub(in crate::operator) fn save(&self, number: usize) -> Result<SavedSelection, Unusable> {
        let silences = self.silences.iter().map(|silence| {
            let (rule_id, core) = (silence.core.meta.rule_id().clone(), silence.core.save());
            (rule_id, core, silence.absence.clone())
        });
        let views = self.views.iter();
        let views = views.map(|view| (view.core.meta.rule_id().clone(), view.core.save()));
        let sessions = self.sessions.iter();
        Ok(SavedSelection {
            number,
            lane: self.lane.save(),
            views: views.collect(),
            silences: silences.collect(),
            windows: self.windows.iter().map(|group| group.save()).collect::<Result<_, _>>()?,
            sealer: self.sealer.save()?,
            sliding: self.sliding.save(),
            sessions: sessions.map(|s| (s.core.meta.rule_id().clone(), s.save())).collect(),
            local_keys: self.local_keys.clone(),
        })
    }

    /// Gives the rules, which are in force again in the order of [`SavedSelection::rules`], what
    /// they knew.
    pub(in crate::operator) fn load(
        &mut self,
        saved: SavedSelection,
        space: &KeySpace,
    ) -> Result<(), Unusable> {
        let cores = saved.lane.into_iter().map(|(_, core)| core);
        for (rule, core) in self.lane.cores().zip(cores) {
            rule.load(core, space)?;
        }
        for (view, (_, core)) in self.views.iter_mut().zip(saved.views) {
            view.core.load(core, space)?;
        }
        for (silence, (_, core, absence)) in self.silences.iter_mut().zip(saved.silences) {
            silence.core.load(core, space)?;
            silence.absence = absence;
        }
        for (session, (_, saved)) in self.sessions.iter_mut().zip(saved.sessions) {
            session.load(saved, space)?;
        }
        for (group, saved) in self.windows.iter_mut().zip(saved.windows) {
            group.load(saved, space)?;
        }
        self.sealer.load(saved.sealer)?;
        self.sliding.load(saved.sliding, space)?;
        for (local, key) in (0..).zip(&saved.local_keys) {
            let place = *key as usize;
            space.get(*key).ok_or(Unusable("a row of an unknown key"))?;
            if place >= self.local_of.len() {
                self.local_of.resize(place + 1, super::NONE);
            }
            self.local_of[place] = local;
        }
        self.local_keys = saved.local_keys;
        Ok(())
    }
}
