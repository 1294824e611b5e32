//! What every kind of rule has: its definition, its state machine, its open keys.

use std::sync::Arc;

use vong_alert::{Act, Machine, Observation, Policy, Timing, Transition};
use vong_model::{AlertId, EventTime, RuleId};
use vong_sql::rule::RuleDefinition;

use super::bits::Bits;
use super::codes::Codes;
use super::keys::{Key, KeySpace};

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

/// A transition, with the rule that caused it.
#[derive(Clone, Debug)]
pub struct Step {
    pub rule: Arc<RuleMeta>,
    pub transition: Transition<Key>,
    /// Administrative unit the key was last seen in.
    pub unit_code: Option<Arc<str>>,
    /// Row of the batch behind it; 0 when time or a person caused it.
    pub(super) row: u32,
}

/// The part of a rule that does not depend on its kind.
#[derive(Debug)]
pub(super) struct RuleCore {
    pub(super) meta: Arc<RuleMeta>,
    machine: Machine<Key>,
    /// Keys with an open episode, by number: mirrors the machine.
    pub(super) open: Bits,
    pub(super) transitions: u64,
    scratch: Vec<Transition<Key>>,
}

/// Where steps go, and what turns key numbers into words.
pub(super) struct Sink<'a> {
    pub(super) steps: &'a mut Vec<Step>,
    pub(super) space: &'a KeySpace,
    pub(super) codes: &'a Codes,
}

impl RuleCore {
    pub(super) fn new(meta: Arc<RuleMeta>) -> Self {
        let definition = &meta.definition;
        let timing = Timing { for_: definition.for_, keep_firing_for: definition.keep_firing_for };
        let policy = Policy {
            severity: definition.severity,
            timing,
            ladder: definition.ladder.clone(),
            cooldown: definition.cooldown,
            limit: definition.limit,
        };
        let machine = Machine::new(definition.rule_id.clone(), meta.version, policy);
        Self { meta, machine, open: Bits::default(), transitions: 0, scratch: Vec::new() }
    }

    pub(super) fn open_keys(&self) -> Vec<Key> {
        self.machine.open_keys().cloned().collect()
    }

    pub(super) fn open_count(&self) -> usize {
        self.machine.open_count()
    }

    pub(super) fn observe(&mut self, key: u32, seen: &Observation, row: u32, out: &mut Sink<'_>) {
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
        if self.scratch.is_empty() {
            return;
        }
        self.open.clear();
        for key in self.machine.open_keys() {
            self.open.set(key.id(), true);
        }
    }

    fn flush(&mut self, row: u32, out: &mut Sink<'_>) {
        for transition in self.scratch.drain(..) {
            self.transitions += 1;
            let unit = out.space.unit(transition.key.id());
            let by_key = transition.key.value_of("unit_code").map(Arc::from);
            let unit_code = by_key.or_else(|| out.codes.interner.text(unit).map(Arc::clone));
            let rule = Arc::clone(&self.meta);
            out.steps.push(Step { rule, transition, unit_code, row });
        }
    }
}
