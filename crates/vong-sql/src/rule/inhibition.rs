//! Which rules keep the alerts of which others back, and in what order they are to be asked.
//!
//! Invariant: a set of rules has an order in which each comes after those that inhibit it, or a ring
//! of rules that inhibit each other, which no engine can obey.

use std::collections::{BTreeMap, BTreeSet};

use vong_model::RuleId;

use super::RuleDefinition;

/// The column on which alerts inhibit each other when `INHIBITED BY` names none.
pub const INHIBITED_ON: &str = "unit_code";

/// Whose alerts keep those of a rule back: those of `rules` with the same value of the column `on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inhibition {
    /// At least one, none twice, none the rule itself.
    pub rules: Vec<RuleId>,
    /// A key column of the streams that rules read.
    pub on: &'static str,
}

/// The rules, each after those that inhibit it, else by name. Rules that are named but not among
/// them are passed over.
///
/// # Errors
/// The rules of a ring: each is inhibited by the next, the last by the first.
pub fn inhibition_order<'a>(
    rules: impl IntoIterator<Item = &'a RuleDefinition>,
) -> Result<Vec<&'a RuleId>, Vec<&'a RuleId>> {
    let rules: BTreeMap<&RuleId, &RuleDefinition> =
        rules.into_iter().map(|rule| (&rule.rule_id, rule)).collect();
    let mut waits_for: BTreeMap<&RuleId, BTreeSet<&RuleId>> = BTreeMap::new();
    let mut frees: BTreeMap<&RuleId, Vec<&RuleId>> = BTreeMap::new();
    for (rule_id, rule) in &rules {
        let named = rule.inhibited_by.iter().flat_map(|by| &by.rules);
        let known: BTreeSet<&RuleId> = named.filter(|by| rules.contains_key(by)).collect();
        for by in &known {
            frees.entry(by).or_default().push(rule_id);
        }
        waits_for.insert(rule_id, known);
    }
    let free = waits_for.iter().filter(|(_, by)| by.is_empty()).map(|(rule_id, _)| *rule_id);
    let mut ready: BTreeSet<&RuleId> = free.collect();
    let mut order = Vec::with_capacity(rules.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        waits_for.remove(next);
        for freed in frees.remove(next).unwrap_or_default() {
            if let Some(by) = waits_for.get_mut(freed) {
                by.remove(next);
                if by.is_empty() {
                    ready.insert(freed);
                }
            }
        }
    }
    match ring(&waits_for) {
        Some(ring) => Err(ring),
        None => Ok(order),
    }
}

/// A ring among rules that each wait for one that waits itself; `None` when nobody waits.
fn ring<'a>(waits_for: &BTreeMap<&'a RuleId, BTreeSet<&'a RuleId>>) -> Option<Vec<&'a RuleId>> {
    let mut path: Vec<&RuleId> = vec![waits_for.keys().next()?];
    loop {
        let next = waits_for.get(path.last()?)?.first()?;
        if let Some(from) = path.iter().position(|known| known == next) {
            return Some(path.split_off(from));
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{RuleStatement, parse};

    /// Rules as `name<inhibitor,inhibitor`.
    fn order(rules: &str) -> Result<String, String> {
        let texts = rules.split(' ').map(|rule| {
            let (name, by) = rule.split_once('<').unwrap();
            let by = if by.is_empty() { String::new() } else { format!("INHIBITED BY {by}") };
            format!(
                "CREATE ALERT RULE {name} SEVERITY low {by} TITLE vi 'a' en 'a' \
                 ACTION vi 'a' en 'a' AS SELECT sensor_id FROM readings;"
            )
        });
        let statements = parse(&texts.collect::<String>()).unwrap();
        let definitions: Vec<&RuleDefinition> = statements
            .iter()
            .filter_map(|statement| match statement {
                RuleStatement::Create(definition) => Some(&**definition),
                _ => None,
            })
            .collect();
        let words =
            |ids: Vec<&RuleId>| ids.into_iter().map(RuleId::as_str).collect::<Vec<_>>().join(" ");
        inhibition_order(definitions).map(words).map_err(words)
    }

    #[test]
    fn who_inhibits_comes_first() {
        let ok = |rules, expected: &str| assert_eq!(order(rules), Ok(expected.to_owned()));
        ok("a< b< c<", "a b c");
        ok("a<b b<c c<", "c b a");
        ok("a<c,d b<d c< d<c", "c d a b");
        ok("a<gone b<a", "a b");
    }

    #[test]
    fn a_ring_is_named() {
        let ring = |rules, expected: &str| assert_eq!(order(rules), Err(expected.to_owned()));
        ring("a<b b<a", "a b");
        ring("x<b a<b b<c c<a", "a b c");
        ring("a<b b<c c<b", "b c");
    }
}
