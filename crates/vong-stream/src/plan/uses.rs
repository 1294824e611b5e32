//! What a rule in force takes from dimension tables, so that a change of one says which rules must
//! begin anew and which simply go on with the new rows.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Schema};
use vong_model::Table;
use vong_sql::functions::AREAS;

use super::{Form, Kind, Of, RulePlan, columns_of};

/// What a rule reads of one table.
#[derive(Clone, Debug, Default, PartialEq)]
struct Use {
    keys: Vec<String>,
    columns: BTreeMap<String, DataType>,
    /// Columns that choose the rows the rule looks at, with the texts they must be; `None`: chosen in
    /// another way, so that any change counts.
    chooses: BTreeMap<String, Option<BTreeSet<String>>>,
    /// The rule only looks at rows that have a row in the table.
    only_matched: bool,
    /// The query sees the table whole.
    whole: Option<Schema>,
}

/// What a rule reads of all tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Uses {
    tables: BTreeMap<String, Use>,
    /// Areas whose polygons stand in its expressions.
    areas: BTreeSet<String>,
}

impl Uses {
    pub(crate) fn of(plan: &RulePlan) -> Self {
        let mut tables: BTreeMap<String, Use> = plan
            .tables
            .iter()
            .map(|(name, table)| {
                let keys = table.keys().map(str::to_owned).collect();
                (name.clone(), Use { keys, ..Use::default() })
            })
            .collect();
        if let Kind::Periodic(_) = plan.kind {
            for (name, table) in &plan.tables {
                if let Some(of) = tables.get_mut(name) {
                    of.whole = Some(table.rows().schema().as_ref().clone());
                }
            }
            return Self { tables, areas: plan.areas.clone() };
        }
        // What does not choose rows is looked at anew with each row.
        let waits = matches!(plan.kind, Kind::Stateless { .. } | Kind::Absence { .. });
        let scope = plan.scope.iter().flat_map(|conjunct| columns_of(&conjunct.expr));
        let scope: BTreeSet<usize> = scope.filter(|_| waits).collect();
        let first = plan.stream.columns().len();
        for (place, derived) in (first..).zip(&plan.derived) {
            let Some(of) = tables.get_mut(&*derived.lookup.table) else { continue };
            match &derived.of {
                Of::Matched => of.only_matched |= scope.contains(&place),
                Of::Column { name, data_type } => {
                    of.columns.insert(name.to_string(), data_type.clone());
                    if scope.contains(&place) {
                        of.chooses.insert(name.to_string(), texts_of(plan, place));
                    }
                }
            }
        }
        Self { tables, areas: plan.areas.clone() }
    }

    /// Whether the rule must begin anew when `old` becomes `new`: it reads columns that are no
    /// longer as they were, or it does not look at rows any more that it may have an alert about.
    pub(crate) fn begins_anew(&self, name: &str, old: Option<&Table>, new: Option<&Table>) -> bool {
        if name == AREAS && self.areas.iter().any(|area| wkt(old, area) != wkt(new, area)) {
            return true;
        }
        let Some(of) = self.tables.get(name) else { return false };
        let (Some(old), Some(new)) = (old, new) else { return true };
        if let Some(whole) = &of.whole {
            return new.rows().schema().as_ref() != whole;
        }
        let same_type = |(name, data_type): (&String, &DataType)| {
            new.column(name).is_some_and(|column| column.data_type() == data_type)
        };
        let same_columns = new.keys().eq(of.keys.iter()) && of.columns.iter().all(same_type);
        !same_columns || of.loses_rows(old, new)
    }
}

fn wkt<'t>(areas: Option<&'t Table>, area: &str) -> Option<&'t str> {
    let areas = areas?;
    areas.text_at("wkt", areas.row_of(&[area])?)
}

impl Use {
    fn loses_rows(&self, old: &Table, new: &Table) -> bool {
        if self.chooses.is_empty() && !self.only_matched {
            return false;
        }
        (0..old.rows().num_rows()).any(|row| {
            let is_chosen = |(column, texts): (&String, &Option<BTreeSet<String>>)| {
                texts.as_ref().is_none_or(|texts| is_one_of(old, column, row, texts))
            };
            if !self.chooses.iter().all(is_chosen) {
                return false;
            }
            let key = self.keys.iter().map(|key| old.text_at(key, row).unwrap_or_default());
            let Some(now) = new.row_of(&key.collect::<Vec<_>>()) else { return true };
            self.chooses.iter().any(|(column, texts)| match texts {
                Some(texts) => !is_one_of(new, column, now, texts),
                None => match (old.column(column), new.column(column)) {
                    (Some(before), Some(after)) => before.slice(row, 1) != after.slice(now, 1),
                    _ => true,
                },
            })
        })
    }
}

fn is_one_of(table: &Table, column: &str, row: usize, texts: &BTreeSet<String>) -> bool {
    table.text_at(column, row).is_some_and(|text| texts.contains(text))
}

/// The texts that the scope lets a column be; `None` when it asks for something else of it.
fn texts_of(plan: &RulePlan, place: usize) -> Option<BTreeSet<String>> {
    let mut found: Option<BTreeSet<String>> = None;
    for conjunct in plan.scope.iter().filter(|c| columns_of(&c.expr).contains(&place)) {
        let Form::OneOf { texts, .. } = &conjunct.form else { return None };
        found = Some(match found {
            None => texts.clone(),
            Some(known) => known.intersection(texts).cloned().collect(),
        });
    }
    found
}
