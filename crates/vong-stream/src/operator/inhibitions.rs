//! Which alerts keep which others back.
//!
//! After each record the steps it caused are looked at in order: an alert that begins or ends to
//! fire changes what is in force for the rules it inhibits, and that may cause further steps, which
//! are looked at in turn. Rules that inhibit each other in a ring are refused before they get here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vong_alert::State;
use vong_model::{AlertId, EventTime, RuleId};
use vong_sql::rule::{INHIBITED_ON, Inhibition};

use super::keys::Key;
use super::rule::{Decided, Step};

/// What an alert is about, in the words inhibitions compare.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) key: Key,
    pub(super) unit_code: Option<Arc<str>>,
}

impl About {
    fn value_of(&self, column: &str) -> Option<&str> {
        let by_key = self.key.value_of(column);
        by_key.or_else(|| self.unit_code.as_deref().filter(|_| column == INHIBITED_ON))
    }
}

/// A change for one rule: from `at` on its alerts of `value` are kept back by `by`, or by none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) rule_id: RuleId,
    pub(super) value: String,
    pub(super) by: Option<RuleId>,
    pub(super) at: EventTime,
}

/// Alerts that fire now, and who listens to them.
#[derive(Debug, Default)]
pub(super) struct Inhibitions {
    firing: BTreeMap<RuleId, BTreeMap<AlertId, About>>,
    of: BTreeMap<RuleId, Inhibition>,
    listeners: BTreeMap<RuleId, BTreeSet<RuleId>>,
}

impl Inhibitions {
    /// A rule comes into force. Gives what keeps its alerts back from the start.
    pub(super) fn add(
        &mut self,
        rule_id: &RuleId,
        inhibition: Option<&Inhibition>,
    ) -> BTreeMap<String, RuleId> {
        let Some(inhibition) = inhibition else { return BTreeMap::new() };
        for by in &inhibition.rules {
            self.listeners.entry(by.clone()).or_default().insert(rule_id.clone());
        }
        self.of.insert(rule_id.clone(), inhibition.clone());
        let mut kept_back = BTreeMap::new();
        // The first rule named wins, so the others are written first.
        for by in inhibition.rules.iter().rev() {
            let firing = self.firing.get(by).into_iter().flat_map(BTreeMap::values);
            for value in firing.filter_map(|about| about.value_of(inhibition.on)) {
                kept_back.insert(value.to_owned(), by.clone());
            }
        }
        kept_back
    }

    /// Alerts that fire now, by rule.
    pub(super) fn firing(&self) -> impl Iterator<Item = (&RuleId, &BTreeMap<AlertId, About>)> {
        self.firing.iter()
    }

    /// An alert that was firing when the state was written down.
    pub(super) fn load(&mut self, rule: &RuleId, alert: AlertId, key: Key, unit: Option<String>) {
        let about = About { key, unit_code: unit.map(Arc::from) };
        self.firing.entry(rule.clone()).or_default().insert(alert, about);
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) {
        for by in self.of.remove(rule_id).into_iter().flat_map(|inhibition| inhibition.rules) {
            if let Some(listeners) = self.listeners.get_mut(&by) {
                listeners.remove(rule_id);
            }
        }
    }

    /// Takes a step in and says what it changes for the rules that listen.
    pub(super) fn saw(&mut self, step: &Step) -> Vec<Change> {
        let rule_id = step.rule.rule_id();
        let Decided::Transition { transition, unit_code } = &step.decided else { return vec![] };
        let about = About { key: transition.key.clone(), unit_code: unit_code.clone() };
        let fires = matches!(transition.state, State::Firing | State::Acknowledged);
        let of_rule = self.firing.entry(rule_id.clone()).or_default();
        let about = if fires {
            of_rule.entry(transition.alert_id.clone()).or_insert(about).clone()
        } else {
            match of_rule.remove(&transition.alert_id) {
                Some(known) => known,
                None => return Vec::new(),
            }
        };
        let listeners = self.listeners.get(rule_id).into_iter().flatten();
        let changes = listeners.filter_map(|listener| {
            let inhibition = self.of.get(listener)?;
            let value = about.value_of(inhibition.on)?;
            let by = self.in_force(inhibition, value).cloned();
            let (rule_id, value) = (listener.clone(), value.to_owned());
            Some(Change { rule_id, value, by, at: transition.at })
        });
        changes.collect()
    }

    fn in_force<'a>(&self, inhibition: &'a Inhibition, value: &str) -> Option<&'a RuleId> {
        inhibition.rules.iter().find(|by| {
            let firing = self.firing.get(*by).into_iter().flat_map(BTreeMap::values);
            firing.into_iter().any(|about| about.value_of(inhibition.on) == Some(value))
        })
    }
}
