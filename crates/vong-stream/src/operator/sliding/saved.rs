//! Rules that look back, written down: their alerts, and the rows their frames hold.
//!
//! Sums and candidates for the least and the greatest value follow from the rows and are made again.

use serde::{Deserialize, Serialize};
use vong_model::RuleId;

use super::{Entry, Frames, Held, Sliding};
use crate::operator::keys::KeySpace;
use crate::operator::rule::SavedCore;
use crate::operator::saved::Unusable;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator) struct SavedSliding {
    /// Rule, number of the first row it may see, alerts.
    rules: Vec<(RuleId, u64, SavedCore)>,
    /// By what the frames are told apart: [`Frames::name`].
    frames: Vec<(String, Vec<SavedHeld>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedHeld {
    first: u64,
    rows: Vec<Entry>,
}

impl SavedSliding {
    pub(in crate::operator) fn rules(&self) -> impl Iterator<Item = (RuleId, u64)> {
        self.rules.iter().map(|(rule_id, born, _)| (rule_id.clone(), *born))
    }
}

impl Sliding {
    pub(in crate::operator) fn save(&self) -> SavedSliding {
        let rules = self.rules.iter();
        let held = |held: &Held| SavedHeld {
            first: held.first,
            rows: held.rows.iter().copied().collect(),
        };
        let in_use = self.frames.iter().filter(|frames| frames.users > 0);
        SavedSliding {
            rules: rules
                .map(|rule| (rule.core.meta.rule_id().clone(), rule.born, rule.core.save()))
                .collect(),
            frames: in_use
                .map(|frames| (frames.name(), frames.held.iter().map(held).collect()))
                .collect(),
        }
    }

    pub(in crate::operator) fn load(
        &mut self,
        saved: SavedSliding,
        space: &KeySpace,
    ) -> Result<(), Unusable> {
        for (rule, (_, _, core)) in self.rules.iter_mut().zip(saved.rules) {
            rule.core.load(core, space)?;
        }
        for (name, held) in saved.frames {
            let frames = self.frames.iter_mut().find(|frames| frames.name() == name);
            let frames = frames.ok_or(Unusable("a frame no rule looks at"))?;
            frames.held = held.into_iter().map(Held::of).collect();
        }
        Ok(())
    }
}

impl Held {
    fn of(saved: SavedHeld) -> Self {
        let mut held = Self { first: saved.first, ..Self::default() };
        saved.rows.into_iter().for_each(|entry| held.push(entry));
        held
    }
}

impl Frames {
    /// What tells these frames from others of the selection.
    fn name(&self) -> String {
        let argument = self.argument.as_ref().map_or("*", |named| &named.text);
        format!("{:?} over {argument} from row {}", self.frame, self.born)
    }
}
