//! What every kind of rule has: its definition, its state machine, its open keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use vong_alert::{Act, Machine, Observation, Policy, Snapshot, State, Timing, Transition};
use vong_model::view::Layout;
use vong_model::{AlertId, EventTime, RuleId};
use vong_sql::rule::{INHIBITED_ON, RuleDefinition};

use super::bits::Bits;
use super::codes::Codes;
use super::keys::{Key, KeySpace};
use super::meter::Part;
use super::saved::Unusable;
use crate::plan::ViewPlan;

/// Bytes of an open episode: its track, its timers, its id.
const OPEN_BYTES: usize = 256;

/// A rule as it is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleMeta {
    pub version: u32,
    pub definition: RuleDefinition,
}

impl RuleMeta {
    pub fn rule_id(&self) -> &RuleId {
        &self.definition.rule_id
    }
}

/// What a rule or a view decided.
#[derive(Clone, Debug)]
pub enum Decided {
    Transition {
        transition: Transition<Key>,
        /// Administrative unit the key was last seen in.
        unit_code: Option<Arc<str>>,
    },
    Rows(FoundRows),
}

/// Rows that a view found together.
#[derive(Clone, Debug)]
pub struct FoundRows {
    pub layout: Arc<Layout>,
    /// Event time at which each became known, microseconds.
    pub times: Vec<i64>,
    pub rows: RecordBatch,
    /// The key they are about, when it is one.
    key: Option<Key>,
}

/// A decision, with the rule that made it.
#[derive(Clone, Debug)]
pub struct Step {
    pub rule: Arc<RuleMeta>,
    pub decided: Decided,
    /// Row of the batch behind it; 0 when time or a person caused it.
    pub(super) row: u32,
}

impl Step {
    /// The transition, unless it is about the rows of a view.
    pub fn transition(&self) -> Option<&Transition<Key>> {
        match &self.decided {
            Decided::Transition { transition, .. } => Some(transition),
            Decided::Rows(_) => None,
        }
    }

    /// Time, rule and key: the order of what one instant decides.
    pub(super) fn order(&self) -> (EventTime, &RuleId, Option<&Key>) {
        let (at, key) = match &self.decided {
            Decided::Transition { transition, .. } => (transition.at, Some(&transition.key)),
            Decided::Rows(found) => {
                (EventTime(found.times.first().copied().unwrap_or_default()), found.key.as_ref())
            }
        };
        (at, self.rule.rule_id(), key)
    }
}

/// The part of a rule that does not depend on its kind.
#[derive(Debug)]
pub(super) struct RuleCore {
    pub(super) meta: Arc<RuleMeta>,
    machine: Machine<Key>,
    /// Keys with an open episode, by number: mirrors the machine.
    pub(super) open: Bits,
    pub(super) transitions: u64,
    /// Rows or windows of which the condition held.
    pub(super) matches: u64,
    /// What those it shares work with had done before it joined.
    pub(super) joined_at: Part,
    pub(super) last_fired: Option<EventTime>,
    scratch: Vec<Transition<Key>>,
    /// Values of the rule's `INHIBITED BY … ON` column that are kept back, and by which rule.
    kept_back: BTreeMap<String, RuleId>,
}

/// The state of a rule's alerts written down, keys by number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedCore {
    machine: Snapshot<u32>,
    transitions: u64,
    matches: u64,
    last_fired: Option<EventTime>,
    kept_back: BTreeMap<String, RuleId>,
}

/// Where steps go, and what turns key numbers into words.
pub(super) struct Sink<'a> {
    pub(super) steps: &'a mut Vec<Step>,
    pub(super) space: &'a KeySpace,
    pub(super) codes: &'a Codes,
}

impl RuleCore {
    pub(super) fn new(meta: Arc<RuleMeta>) -> Self {
        let machine = Machine::new(meta.rule_id().clone(), meta.version, policy(&meta.definition));
        Self {
            meta,
            machine,
            open: Bits::default(),
            transitions: 0,
            matches: 0,
            joined_at: Part::default(),
            last_fired: None,
            scratch: Vec::new(),
            kept_back: BTreeMap::new(),
        }
    }

    pub(super) fn save(&self) -> SavedCore {
        let by_number = |key: Key| Ok::<_, std::convert::Infallible>(key.id());
        let Ok(machine) = self.machine.snapshot().map_keys(by_number);
        SavedCore {
            machine,
            transitions: self.transitions,
            matches: self.matches,
            last_fired: self.last_fired,
            kept_back: self.kept_back.clone(),
        }
    }

    /// Goes on as the rule that was written down, whose keys are those of `space`.
    pub(super) fn load(&mut self, saved: SavedCore, space: &KeySpace) -> Result<(), Unusable> {
        let SavedCore { machine, transitions, matches, last_fired, kept_back } = saved;
        let key = |id| space.get(id).cloned().ok_or(Unusable("an alert of an unknown key"));
        let definition = &self.meta.definition;
        let (rule_id, version) = (definition.rule_id.clone(), self.meta.version);
        let machine = machine.map_keys(key)?;
        self.machine = Machine::restore(rule_id, version, policy(definition), machine);
        (self.transitions, self.matches) = (transitions, matches);
        self.last_fired = last_fired;
        self.kept_back = kept_back;
        self.mirror_open();
        Ok(())
    }

    /// Whether it matters which of two keys is judged first: for rules with a limit it does.
    pub(super) fn is_limited(&self) -> bool {
        self.meta.definition.limit.is_some()
    }

    /// The rule comes into force: what keeps its alerts back, and what those it shares work with
    /// have done before.
    pub(super) fn begin(&mut self, kept_back: BTreeMap<String, RuleId>, joined_at: Part) {
        self.kept_back = kept_back;
        self.joined_at = joined_at;
    }

    /// Memory of what is its own, estimated.
    pub(super) fn bytes(&self) -> usize {
        let definition = &self.meta.definition;
        let texts = definition.sql.len() + definition.select.text.len();
        size_of::<Self>() + texts + self.machine.open_count() * OPEN_BYTES
    }

    /// From `at` on, alerts of `value` are kept back by `by`, or by none.
    pub(super) fn keep_back(
        &mut self,
        value: &str,
        by: Option<&RuleId>,
        at: EventTime,
        out: &mut Sink<'_>,
    ) {
        let before = match by {
            Some(by) => self.kept_back.insert(value.to_owned(), by.clone()),
            None => self.kept_back.remove(value),
        };
        if before.as_ref() == by {
            return;
        }
        for key in self.open_keys() {
            if self.inhibited_value(key.id(), out).as_deref() == Some(value) {
                self.machine.inhibit(&key, by, at, &mut self.scratch);
            }
        }
        self.resync();
        self.flush(0, out);
    }

    /// The value of the key in the column that inhibitions compare.
    fn inhibited_value(&self, key: u32, out: &Sink<'_>) -> Option<Arc<str>> {
        let column = self.meta.definition.inhibited_by.as_ref()?.on;
        let by_key = out.space.key(key).value_of(column).map(Arc::from);
        let unit = || out.codes.interner.text(out.space.unit(key)).map(Arc::clone);
        by_key.or_else(|| if column == INHIBITED_ON { unit() } else { None })
    }

    /// A key without an alert may stand where alerts are kept back, or no longer.
    fn mark(&mut self, key: u32, at: EventTime, out: &Sink<'_>) {
        let text = out.space.key(key);
        let value = self.inhibited_value(key, out);
        let by = value.and_then(|value| self.kept_back.get(&*value).cloned());
        if self.machine.inhibited_by(text) != by.as_ref() {
            self.machine.inhibit(text, by.as_ref(), at, &mut self.scratch);
        }
    }

    /// When the key's open alert began.
    pub(super) fn opened_at(&self, key: u32, out: &Sink<'_>) -> Option<EventTime> {
        self.machine.status(out.space.key(key)).map(|status| status.started)
    }

    pub(super) fn open_keys(&self) -> Vec<Key> {
        self.machine.open_keys().cloned().collect()
    }

    pub(super) fn open_count(&self) -> usize {
        self.machine.open_count()
    }

    pub(super) fn observe(&mut self, key: u32, seen: &Observation, row: u32, out: &mut Sink<'_>) {
        if seen.condition && self.meta.definition.inhibited_by.is_some() && !self.open.contains(key)
        {
            self.mark(key, seen.since, out);
        }
        self.matches += u64::from(seen.condition);
        let text = out.space.key(key);
        self.machine.observe(text, seen, &mut self.scratch);
        self.open.set(key, self.machine.is_open(text));
        self.flush(row, out);
    }

    pub(super) fn advance(&mut self, watermark: EventTime, out: &mut Sink<'_>) {
        if self.machine.is_idle() {
            return;
        }
        self.machine.advance(watermark, &mut self.scratch);
        self.resync();
        self.flush(0, out);
    }

    /// False when the alert is not one of this rule.
    pub(super) fn command(
        &mut self,
        alert: &AlertId,
        act: &Act,
        by: (&str, Option<&str>),
        at: EventTime,
        out: &mut Sink<'_>,
    ) -> bool {
        let found = self.machine.command(alert, act, by, at, &mut self.scratch);
        if found {
            self.resync();
            self.flush(0, out);
        }
        found
    }

    pub(super) fn cancel_all(&mut self, at: EventTime, why: &'static str, out: &mut Sink<'_>) {
        self.machine.cancel_all(at, why, &mut self.scratch);
        self.resync();
        self.flush(0, out);
    }

    fn resync(&mut self) {
        if !self.scratch.is_empty() {
            self.mirror_open();
        }
    }

    fn mirror_open(&mut self) {
        self.open.clear();
        for key in self.machine.open_keys() {
            self.open.set(key.id(), true);
        }
    }

    fn flush(&mut self, row: u32, out: &mut Sink<'_>) {
        for transition in self.scratch.drain(..) {
            self.transitions += 1;
            if transition.state == State::Firing {
                self.last_fired = self.last_fired.max(Some(transition.at));
            }
            let unit = out.space.unit(transition.key.id());
            let by_key = transition.key.value_of("unit_code").map(Arc::from);
            let unit_code = by_key.or_else(|| out.codes.interner.text(unit).map(Arc::clone));
            let rule = Arc::clone(&self.meta);
            let decided = Decided::Transition { transition, unit_code };
            out.steps.push(Step { rule, decided, row });
        }
    }

    /// Gives out rows of the view this is, each with the time at which it became known.
    pub(super) fn found(
        &mut self,
        view: &ViewPlan,
        (times, rows): (Vec<i64>, RecordBatch),
        key: Option<Key>,
        out: &mut Sink<'_>,
    ) {
        if rows.num_rows() == 0 {
            return;
        }
        self.transitions += rows.num_rows() as u64;
        let rule = Arc::clone(&self.meta);
        let layout = Arc::clone(&view.layout);
        let decided = Decided::Rows(FoundRows { layout, times, rows, key });
        out.steps.push(Step { rule, decided, row: 0 });
    }
}

fn policy(definition: &RuleDefinition) -> Policy {
    Policy {
        severity: definition.severity,
        timing: Timing { for_: definition.for_, keep_firing_for: definition.keep_firing_for },
        ladder: definition.ladder.clone(),
        cooldown: definition.cooldown,
        limit: definition.limit,
    }
}
