//! Rules with one scope and one key: their rows are selected once, their expressions evaluated once.

mod saved;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::error::Result;
use vong_alert::Inputs;
use vong_model::{EventTime, Offset, RuleId};

use super::frame::{Expressions, Frame};
use super::index::Scope;
use super::lane::Lane;
use super::meter::Part;
use super::row_view::RowView;
use super::rule::{RuleCore, Sink};
use super::sealed::Sealer;
use super::session::SessionRule;
use super::silence::SilenceRule;
use super::sliding::Sliding;
use super::window::{Groups, WindowGroup};

pub(super) use saved::SavedSelection;

const NONE: u32 = u32::MAX;

/// Rules that select the same rows and alert on the same keys.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) scope: Scope,
    pub(super) space: usize,
    pub(super) lane: Lane,
    pub(super) views: Vec<RowView>,
    pub(super) silences: Vec<SilenceRule>,
    pub(super) windows: Vec<WindowGroup>,
    pub(super) sealer: Sealer,
    pub(super) sliding: Sliding,
    pub(super) sessions: Vec<SessionRule>,
    pub(super) expressions: Expressions,
    /// Columns that each rule reads.
    reads: BTreeMap<RuleId, BTreeSet<usize>>,
    pub(super) needed: BTreeSet<usize>,
    pub(super) part: Part,
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
            views: Vec::new(),
            silences: Vec::new(),
            windows: Vec::new(),
            sealer: Sealer::default(),
            sliding: Sliding::default(),
            sessions: Vec::new(),
            expressions: Expressions::default(),
            reads: BTreeMap::new(),
            needed: BTreeSet::new(),
            part: Part::default(),
            local_of: Vec::new(),
            local_keys: Vec::new(),
        }
    }

    /// Rules of the selection.
    pub(super) fn len(&self) -> usize {
        let windows: usize = self.windows.iter().map(WindowGroup::len).sum();
        self.lane.len() + self.silences.len() + self.sliding.len() + self.sessions.len() + windows
    }

    /// Memory that its rules share, estimated.
    pub(super) fn bytes(&self) -> usize {
        let windows: usize = self.windows.iter().map(WindowGroup::bytes).sum();
        let sessions: usize = self.sessions.iter().map(SessionRule::bytes).sum();
        windows + sessions + self.sliding.bytes() + self.sealer.bytes()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lane.is_empty()
            && self.views.is_empty()
            && self.silences.is_empty()
            && !self.has_windows()
    }

    /// Whether a rule here needs rows whose windows are still open.
    pub(super) fn has_windows(&self) -> bool {
        !self.windows.is_empty() || self.is_sealing()
    }

    fn is_sealing(&self) -> bool {
        !self.sliding.is_empty() || !self.sessions.is_empty()
    }

    pub(super) fn cores(&mut self) -> impl Iterator<Item = &mut RuleCore> {
        let Self { lane, views, silences, windows, sliding, sessions, .. } = self;
        let views = views.iter_mut().map(|view| &mut view.core);
        let windows = windows.iter_mut().flat_map(WindowGroup::cores);
        let silences = silences.iter_mut().map(|silence| &mut silence.core);
        let sessions = sessions.iter_mut().map(|session| &mut session.core);
        lane.cores()
            .chain(views)
            .chain(silences)
            .chain(windows)
            .chain(sliding.cores())
            .chain(sessions)
    }

    /// Rows are gathered with the columns that a rule reads.
    pub(super) fn read(&mut self, rule_id: &RuleId, columns: BTreeSet<usize>) {
        self.needed.extend(&columns);
        self.reads.insert(rule_id.clone(), columns);
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) -> Option<RuleCore> {
        let core = self.take(rule_id)?;
        self.reads.remove(rule_id);
        self.needed = self.reads.values().flatten().copied().collect();
        if !self.is_sealing() {
            self.sealer.forget();
        }
        Some(core)
    }

    fn take(&mut self, rule_id: &RuleId) -> Option<RuleCore> {
        if let Some(core) = self.lane.remove(rule_id) {
            return Some(core);
        }
        if let Some(found) = self.views.iter().position(|v| v.core.meta.rule_id() == rule_id) {
            return Some(self.views.remove(found).core);
        }
        if let Some(found) = self.silences.iter().position(|silence| silence.is(rule_id)) {
            return Some(self.silences.remove(found).core);
        }
        if let Some(found) =
            self.sessions.iter().position(|session| session.core.meta.rule_id() == rule_id)
        {
            return Some(self.sessions.remove(found).core);
        }
        if let Some(core) = self.sliding.remove(rule_id) {
            return Some(core);
        }
        let core = self.windows.iter_mut().find_map(|group| group.remove(rule_id));
        self.windows.retain(|group| !group.is_empty());
        core
    }

    /// Gives rows to the rules that judge them later.
    pub(super) fn push_windows(
        &mut self,
        frame: &Frame,
        keys: &[u32],
        scratch: &mut Vec<usize>,
    ) -> Result<()> {
        if self.is_sealing() {
            self.sealer.push(frame, keys);
        }
        if self.windows.is_empty() {
            return Ok(());
        }
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

    /// Event time has reached `watermark`.
    pub(super) fn advance(
        &mut self,
        watermark: EventTime,
        cause: Offset,
        out: &mut Sink<'_>,
    ) -> Result<()> {
        let inputs = Inputs { from: cause, to: cause };
        self.lane.advance(watermark, out);
        for silence in &mut self.silences {
            silence.advance(watermark, inputs, out);
        }
        let mut done = Ok(());
        if self.is_sealing() {
            done = self.advance_sealed(watermark, out);
        }
        for group in &mut self.windows {
            let advanced = group.advance(watermark, cause, &self.local_keys, out);
            done = done.and(advanced);
        }
        done
    }

    fn advance_sealed(&mut self, watermark: EventTime, out: &mut Sink<'_>) -> Result<()> {
        let mut done = Ok(());
        if let Some(sealed) = self.sealer.seal(watermark)? {
            done = self.sliding.push(&sealed, out);
            for session in &mut self.sessions {
                let pushed = session.push(&sealed, out);
                done = done.and(pushed);
            }
        }
        self.sliding.advance(watermark, out);
        for session in &mut self.sessions {
            let advanced = session.advance(watermark, out);
            done = done.and(advanced);
        }
        done
    }

    /// How a rule of this selection is run; `None` when it is not here.
    pub(super) fn explain(&self, rule_id: &RuleId) -> Option<Vec<String>> {
        let scope = if self.scope.text.is_empty() { "every row" } else { &self.scope.text };
        let how = if let Some(how) = self.lane.explain(rule_id) {
            how
        } else if self.views.iter().any(|view| view.core.meta.rule_id() == rule_id) {
            "each selected row is a row of the view, straight off the log".into()
        } else if self.silences.iter().any(|silence| silence.is(rule_id)) {
            "each row resets the clock of its key; time passing costs one look at the next clock"
                .into()
        } else if self.windows.iter().any(|group| group.has(rule_id)) {
            "an aggregate that cannot be merged: accumulators of its own for each window, shared by \
             rules of this scope, key and window"
                .into()
        } else if self.sliding.has(rule_id) {
            "rows wait until nothing older can come, then each is judged with the rows of its frame; \
             equal frames are shared"
                .into()
        } else if self.sessions.iter().any(|s| s.core.meta.rule_id() == rule_id) {
            "rows wait until nothing older can come, then each extends or ends the run of its key"
                .to_owned()
        } else {
            return None;
        };
        let rules = self.lane.len() + self.silences.len() + self.sessions.len() + self.views.len();
        let rules = rules + self.windows.iter().map(WindowGroup::len).sum::<usize>();
        let rules = rules + self.sliding.len();
        Some(vec![
            format!("rows: {scope}; found by the predicate index, gathered once for {rules} rules"),
            how,
        ])
    }
}
