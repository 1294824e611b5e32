//! A session rule written down: its alerts, the runs that have not ended, the keys that are quiet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vong_alert::Inputs;

use super::{Run, SessionRule};
use crate::operator::keys::KeySpace;
use crate::operator::rule::SavedCore;
use crate::operator::saved::Unusable;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator) struct SavedSession {
    core: SavedCore,
    pub(in crate::operator) born: u64,
    runs: BTreeMap<u32, Run>,
    quiet: BTreeMap<u32, (i64, Inputs)>,
}

impl SessionRule {
    pub(in crate::operator) fn save(&self) -> SavedSession {
        SavedSession {
            core: self.core.save(),
            born: self.born,
            runs: self.runs.clone(),
            quiet: self.quiet.clone(),
        }
    }

    pub(in crate::operator) fn load(
        &mut self,
        saved: SavedSession,
        space: &KeySpace,
    ) -> Result<(), Unusable> {
        let SavedSession { core, born, runs, quiet } = saved;
        let known = |key: &u32| space.get(*key).is_some();
        if !runs.keys().chain(quiet.keys()).all(known) {
            return Err(Unusable("a session of an unknown key"));
        }
        self.core.load(core, space)?;
        self.ends = runs.iter().map(|(key, run)| (run.armed, *key)).collect();
        (self.born, self.runs, self.quiet) = (born, runs, quiet);
        Ok(())
    }
}
