//! Rules with one scope and one key: their rows are selected once, their expressions evaluated once.

use std::collections::BTreeSet;

use datafusion::error::Result;
use vong_model::RuleId;

use super::frame::{Expressions, Frame};
use super::index::Scope;
use super::lane::Lane;
use super::rule::RuleCore;
use super::silence::SilenceRule;
use super::window::{Groups, WindowGroup};

const NONE: u32 = u32::MAX;

/// Rules that select the same rows and alert on the same keys.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) scope: Scope,
    pub(super) space: usize,
    pub(super) lane: Lane,
    pub(super) silences: Vec<SilenceRule>,
    pub(super) windows: Vec<WindowGroup>,
    pub(super) expressions: Expressions,
    pub(super) needed: BTreeSet<usize>,
    /// Local number of each key of the space, so that panes hold only keys that occur here.
    local_of: Vec<u32>,
    pub(super) local_keys: Vec<u32>,
}

impl Selection {
    pub(super) fn new(scope: Scope, space: usize) -> Self {
        Self {
            scope,
            space,
            lane: Lane::default(),
            silences: Vec::new(),
            windows: Vec::new(),
            expressions: Expressions::default(),
            needed: BTreeSet::new(),
            local_of: Vec::new(),
            local_keys: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lane.is_empty() && self.silences.is_empty() && self.windows.is_empty()
    }

    pub(super) fn cores(&mut self) -> impl Iterator<Item = &mut RuleCore> {
        let Self { lane, silences, windows, .. } = self;
        let windows = windows.iter_mut().flat_map(WindowGroup::cores);
        let silences = silences.iter_mut().map(|silence| &mut silence.core);
        lane.cores().chain(silences).chain(windows)
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) -> Option<RuleCore> {
        if let Some(core) = self.lane.remove(rule_id) {
            return Some(core);
        }
        if let Some(found) = self.silences.iter().position(|silence| silence.is(rule_id)) {
            return Some(self.silences.remove(found).core);
        }
        let core = self.windows.iter_mut().find_map(|group| group.remove(rule_id));
        self.windows.retain(|group| !group.is_empty());
        core
    }

    pub(super) fn push_windows(
        &mut self,
        frame: &Frame,
        keys: &[u32],
        scratch: &mut Vec<usize>,
    ) -> Result<()> {
        scratch.clear();
        scratch.reserve(keys.len());
        for key in keys {
            let index = *key as usize;
            if index >= self.local_of.len() {
                self.local_of.resize(index + 1, NONE);
            }
            if self.local_of[index] == NONE {
                self.local_of[index] =
                    u32::try_from(self.local_keys.len()).expect("keys are far fewer than 2^32");
                self.local_keys.push(*key);
            }
            scratch.push(self.local_of[index] as usize);
        }
        self.expressions.forget();
        let groups = Groups { of_row: scratch, total: self.local_keys.len() };
        for group in &mut self.windows {
            group.push(frame, &groups, &mut self.expressions)?;
        }
        Ok(())
    }
}
