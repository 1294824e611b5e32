//! A dimension table changes: from the next record on rows meet the new version.
//!
//! Rules go on with their state. Only those whose columns are not there any more, or that no longer
//! look at rows they may have an alert about, begin anew: their open alerts are cancelled.

use std::sync::Arc;

use tracing::warn;
use vong_log::Record;
use vong_model::{RuleId, Table};

use super::Engine;
use crate::Error;
use crate::operator::Step;
use crate::tables::{self, TableChange};

impl Engine {
    pub(super) fn table_changes(&mut self, record: &Record, steps: &mut Vec<Step>) {
        for change in tables::changes(record) {
            match change {
                Ok(change) => self.table_change(change, record, steps),
                Err(e) => {
                    self.counts.refused_tables += 1;
                    warn!(error = &e as &dyn std::error::Error, "table of the log is not in force");
                }
            }
        }
    }

    fn table_change(&mut self, change: TableChange, record: &Record, steps: &mut Vec<Step>) {
        let (name, new) = change;
        let old = self.tables.get(&name).cloned();
        if old == new {
            return;
        }
        let (before, after) = (old.as_deref(), new.as_deref());
        let uses = self.uses.iter();
        let anew = uses.filter(|(_, uses)| uses.begins_anew(&name, before, after));
        let anew: Vec<RuleId> = anew.map(|(rule_id, _)| rule_id.clone()).collect();
        // They are out before the new version is in: their queries would not fit it.
        for rule_id in &anew {
            self.operator.remove(rule_id, record.appended_at, "table changed", steps);
        }
        if let Err(e) = self.set_table(&name, new) {
            self.counts.refused_tables += 1;
            warn!(error = &e as &dyn std::error::Error, table = name, "table is not in force");
        }
        for rule_id in anew {
            self.uses.remove(&rule_id);
            let Some(known) = self.known.remove(&rule_id).filter(|known| known.enabled) else {
                continue;
            };
            if let Err(e) = self.put(known, record.offset) {
                self.counts.refused_rules += 1;
                warn!(error = &e as &dyn std::error::Error, "rule does not fit a changed table");
            }
        }
    }

    fn set_table(&mut self, name: &str, new: Option<Arc<Table>>) -> Result<(), Error> {
        self.operator.set_table(name, new.as_ref())?;
        let planned = match &new {
            Some(table) => self.planner.set_table(table),
            None => self.planner.drop_table(name),
        };
        planned.map_err(|e| Error::Planner(Box::new(e)))?;
        match new {
            Some(table) => self.tables.insert(name.to_owned(), table),
            None => self.tables.remove(name),
        };
        Ok(())
    }
}
