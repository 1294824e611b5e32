//! The engine written down and read back: rules in words that any later version can read, the rest
//! for this version alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vong_model::view::ViewTable;
use vong_model::{Offset, RuleId, Table};

use super::{Counts, Engine, Known, RuleMeta, RulePlanner, definition};
use crate::Error;
use crate::operator::{Operator, Plans, SavedOperator, Unusable};
use crate::plan::Uses;
use crate::tables::Tables;

/// A rule as the log had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedRule {
    rule_id: RuleId,
    version: u32,
    /// The statement, whole.
    sql: String,
    by: String,
    enabled: bool,
}

/// Everything that the next records' outputs depend on, but for the rules.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedEngine {
    /// Commands that were done, oldest first.
    commands: Vec<String>,
    /// Dimension tables, each whole.
    tables: Vec<(String, String)>,
    counts: Counts,
    operator: SavedOperator,
}

impl Engine {
    /// Rules of the log, in force or not, by name.
    pub(crate) fn save_rules(&self) -> Vec<SavedRule> {
        let rules = self.known.iter().map(|(rule_id, known)| SavedRule {
            rule_id: rule_id.clone(),
            version: known.version,
            sql: known.definition.sql.clone(),
            by: known.by.clone(),
            enabled: known.enabled,
        });
        rules.collect()
    }

    /// # Errors
    /// [`Error::Snapshot`] when rows that wait cannot be written: a bug.
    pub(crate) fn save(&self) -> Result<SavedEngine, Error> {
        Ok(SavedEngine {
            commands: self.command_order.iter().cloned().collect(),
            tables: self.tables.iter().map(|(name, t)| (name.clone(), t.to_text())).collect(),
            counts: self.counts,
            operator: self.operator.save().map_err(Error::Snapshot)?,
        })
    }

    /// An engine that goes on as the one that was written down.
    ///
    /// # Errors
    /// [`Error::Rule`] for a rule that this version does not plan any more, [`Error::Snapshot`]
    /// when state and rules do not belong together.
    pub(crate) fn load(
        planner: Arc<RulePlanner>,
        rules: &[SavedRule],
        saved: SavedEngine,
    ) -> Result<Self, Error> {
        let known = rules.iter().map(|rule| Ok((rule.rule_id.clone(), rule.known()?)));
        let known = known.collect::<Result<BTreeMap<_, _>, Error>>()?;
        let mut tables = Tables::new();
        for (name, text) in &saved.tables {
            let table = Table::parse(name, text).or(Err(Unusable("a table that cannot be read")));
            let table = Arc::new(table.map_err(Error::Snapshot)?);
            planner.set_table(&table).map_err(|e| Error::Planner(Box::new(e)))?;
            tables.insert(name.clone(), table);
        }
        let (mut plans, mut views, mut uses) = (Plans::new(), BTreeMap::new(), BTreeMap::new());
        for (rule_id, known) in &known {
            let plan = planner.plan(&known.definition).map_err(|e| Error::Rule {
                rule_id: rule_id.clone(),
                offset: Offset::ZERO,
                source: Box::new(e),
            })?;
            let definition = known.definition.clone();
            if let Some(layout) = plan.layout() {
                let table = ViewTable { layout: layout.clone(), sql: definition.sql.clone() };
                views.insert(rule_id.to_string(), table);
            }
            if known.enabled {
                uses.insert(rule_id.clone(), Uses::of(&plan));
                let meta = RuleMeta { version: known.version, definition };
                plans.insert(rule_id.clone(), (Arc::new(meta), plan));
            }
        }
        let operator = Operator::load(saved.operator, &plans, &tables).map_err(Error::Snapshot)?;
        Ok(Self {
            operator,
            known,
            views,
            tables,
            uses,
            commands: saved.commands.iter().cloned().collect(),
            command_order: saved.commands.into(),
            counts: saved.counts,
            ..Self::new(planner)
        })
    }

    /// An engine with the rules that were written down and nothing else: for a state that cannot
    /// be read.
    pub(crate) fn load_rules(planner: Arc<RulePlanner>, rules: &[SavedRule]) -> Self {
        let mut engine = Self::new(planner);
        for rule in rules {
            let put = rule.known().and_then(|known| {
                let in_force = known.enabled;
                if in_force {
                    return engine.put(known, Offset::ZERO);
                }
                engine.known.insert(rule.rule_id.clone(), known);
                Ok(())
            });
            if let Err(e) = put {
                engine.counts.refused_rules += 1;
                tracing::warn!(error = &e as &dyn std::error::Error, "rule is not in force");
            }
        }
        engine
    }
}

impl SavedRule {
    fn known(&self) -> Result<Known, Error> {
        Ok(Known {
            version: self.version,
            definition: definition(&self.sql, &self.rule_id, Offset::ZERO)?,
            by: self.by.clone(),
            enabled: self.enabled,
        })
    }
}
