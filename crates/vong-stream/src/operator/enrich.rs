//! Looks up dimension tables for the rows of a stream, once for all rules that join them.
//!
//! Rules with the same look-up share it. A row costs one number per look-up, and one per column that
//! some rule reads; texts are compared only when a key is seen for the first time.
//!
//! Invariant: a row sees the version of a table that was in force when its record was applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::error::Result;
use serde::{Deserialize, Serialize};
use vong_model::tables::FieldType;
use vong_model::{RuleId, Stream, Table};

use super::codes::Codes;
use super::saved::Unusable;
use super::tuples::Tuples;
use crate::plan::{Derived, Lookup, Numbers, Of, On, RulePlan};

/// Not looked up yet.
const UNKNOWN: u32 = u32::MAX;
/// Looked up: there is none.
const NO_ROW: u32 = u32::MAX - 1;

/// One look-up: which row of the table each row of the stream has.
#[derive(Debug)]
struct Joined {
    lookup: Lookup,
    table: Option<Arc<Table>>,
    /// Distinct keys seen.
    tuples: Tuples,
    /// Row of the table for each of them.
    row_of: Vec<u32>,
}

/// A column that some rule reads, or that some rule read once.
#[derive(Debug)]
struct Column {
    derived: Derived,
    join: usize,
    users: usize,
}

/// A column written down, whether a rule still reads it or not: rows that wait have all of them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedColumn {
    lookup: Lookup,
    of: SavedOf,
}

#[derive(Debug, Serialize, Deserialize)]
enum SavedOf {
    Matched,
    /// Name, and the type by the word that stands for it.
    Column(String, String),
}

/// Every look-up of one stream.
#[derive(Debug)]
pub(super) struct Enrichment {
    own: usize,
    schema: SchemaRef,
    joins: Vec<Joined>,
    columns: Vec<Column>,
    users: BTreeMap<RuleId, Vec<usize>>,
}

impl Enrichment {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            own: stream.columns().len(),
            schema: stream.schema(),
            joins: Vec::new(),
            columns: Vec::new(),
            users: BTreeMap::new(),
        }
    }

    pub(super) fn save(&self) -> std::result::Result<Vec<SavedColumn>, Unusable> {
        let column = |column: &Column| {
            let of = match &column.derived.of {
                Of::Matched => SavedOf::Matched,
                Of::Column { name, data_type } => {
                    let known = FieldType::ALL.into_iter().find(|t| t.data_type() == *data_type);
                    let known = known.ok_or(Unusable("a joined column of an unknown type"))?;
                    SavedOf::Column(name.to_string(), known.as_str().to_owned())
                }
            };
            Ok(SavedColumn { lookup: column.derived.lookup.clone(), of })
        };
        self.columns.iter().map(column).collect()
    }

    /// Takes in columns in the order in which they stood, before the rules that read them.
    pub(super) fn load(
        &mut self,
        saved: Vec<SavedColumn>,
        tables: &BTreeMap<String, Arc<Table>>,
    ) -> std::result::Result<(), Unusable> {
        for SavedColumn { lookup, of } in saved {
            let of = match of {
                SavedOf::Matched => Of::Matched,
                SavedOf::Column(name, word) => {
                    let known = FieldType::from_word(&word);
                    let known = known.ok_or(Unusable("a joined column of an unknown type"))?;
                    Of::Column { name: Arc::from(name), data_type: known.data_type() }
                }
            };
            let table = tables.get(&*lookup.table);
            self.column(Derived { lookup, of }, table);
        }
        Ok(())
    }

    /// Columns of an enriched batch.
    pub(super) fn width(&self) -> usize {
        self.own + self.columns.len()
    }

    /// Name of a column that stands behind those of the stream.
    pub(super) fn name(&self, place: usize) -> Option<&str> {
        let column = self.columns.get(place.checked_sub(self.own)?)?;
        Some(column.derived.name())
    }

    /// Takes a rule's look-ups in; its plan then reads the columns of enriched batches.
    pub(super) fn add(&mut self, rule_id: &RuleId, plan: &mut RulePlan) -> Result<()> {
        let mut numbers = Numbers::new();
        for (place, derived) in plan.derived.iter().enumerate() {
            let mut derived = derived.clone();
            derived.renumber(&numbers);
            let table = plan.tables.get(&*derived.lookup.table);
            numbers.insert(self.own + place, self.column(derived, table));
        }
        let used: Vec<usize> = numbers.values().map(|number| number - self.own).collect();
        for column in &used {
            self.columns[*column].users += 1;
        }
        if !used.is_empty() {
            self.users.insert(rule_id.clone(), used);
        }
        plan.renumber(&numbers)
    }

    /// What is looked up for a rule, in words; `None` for nothing.
    pub(super) fn explain(&self, rule_id: &RuleId) -> Option<String> {
        let used = self.users.get(rule_id)?.iter().filter_map(|column| self.columns.get(*column));
        let words = used.map(|column| {
            let others = column.users - 1;
            let Derived { lookup, .. } = &column.derived;
            format!("{}.{} (also for {others} rules)", lookup.table, column.derived.name())
        });
        Some(format!("looked up once a record: {}", words.collect::<Vec<_>>().join(", ")))
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) {
        for column in self.users.remove(rule_id).into_iter().flatten() {
            self.columns[column].users -= 1;
        }
    }

    /// From the next record on the table is this one; `None`: there is none.
    pub(super) fn set_table(&mut self, name: &str, table: Option<&Arc<Table>>) {
        for join in self.joins.iter_mut().filter(|join| &*join.lookup.table == name) {
            join.table = table.cloned();
            join.row_of.clear();
        }
    }

    /// The batch with every column some rule reads; a column nobody reads any more is null.
    pub(super) fn run(&mut self, batch: &RecordBatch, codes: &mut Codes) -> Result<RecordBatch> {
        if self.users.is_empty() && self.columns.is_empty() {
            return Ok(batch.clone());
        }
        let Self { joins, columns, schema, own, .. } = self;
        let count = batch.num_rows();
        let mut arrays = batch.columns().to_vec();
        let mut rows: Vec<Option<UInt32Array>> = vec![None; joins.len()];
        for column in columns.iter() {
            let data_type = column.derived.data_type();
            if column.users == 0 {
                arrays.push(new_null_array(&data_type, count));
                continue;
            }
            let join = &mut joins[column.join];
            let place = &mut rows[column.join];
            if place.is_none() {
                let fields = &schema.fields()[..arrays.len()];
                let so_far = Schema::new(fields.to_vec());
                let so_far = RecordBatch::try_new(Arc::new(so_far), arrays.clone())?;
                *place = Some(join.rows(&so_far, codes));
            }
            let found =
                place.as_ref().map(|rows| join.take(&column.derived.of, rows)).transpose()?;
            let found = found.flatten().filter(|found| *found.data_type() == data_type);
            arrays.push(found.unwrap_or_else(|| new_null_array(&data_type, count)));
        }
        debug_assert_eq!(arrays.len(), *own + columns.len());
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
    }

    /// Number of the column in enriched batches.
    fn column(&mut self, derived: Derived, table: Option<&Arc<Table>>) -> usize {
        if let Some(known) = self.columns.iter().position(|c| c.derived == derived) {
            return self.own + known;
        }
        let same = self.joins.iter().position(|join| join.lookup == derived.lookup);
        let join = same.unwrap_or_else(|| {
            let tuples = Tuples::new(&derived.columns().collect::<Vec<_>>());
            let (lookup, table) = (derived.lookup.clone(), table.cloned());
            self.joins.push(Joined { lookup, table, tuples, row_of: Vec::new() });
            self.joins.len() - 1
        });
        let field = Field::new(derived.name(), derived.data_type(), true);
        let fields = self.schema.fields().iter().cloned().chain([Arc::new(field)]);
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        self.columns.push(Column { derived, join, users: 0 });
        self.own + self.columns.len() - 1
    }
}

impl Joined {
    /// Row of the table for each row of the batch; null where there is none.
    fn rows(&mut self, batch: &RecordBatch, codes: &mut Codes) -> UInt32Array {
        let mut ids = Vec::with_capacity(batch.num_rows());
        self.tuples.ids(codes, batch, &mut ids);
        self.row_of.resize(self.tuples.len(), UNKNOWN);
        let mut all = true;
        let rows: Vec<u32> = ids
            .iter()
            .map(|id| {
                let mut row = self.row_of[*id as usize];
                if row == UNKNOWN {
                    row = self.look_up(*id, codes);
                    self.row_of[*id as usize] = row;
                }
                all &= row != NO_ROW;
                row
            })
            .collect();
        if all {
            return UInt32Array::from(rows);
        }
        rows.into_iter().map(|row| (row != NO_ROW).then_some(row)).collect()
    }

    #[cold]
    fn look_up(&self, tuple: u32, codes: &Codes) -> u32 {
        let Some(table) = &self.table else { return NO_ROW };
        let on = &self.lookup.on;
        if !table.keys().eq(on.iter().map(|(key, _)| &**key)) {
            return NO_ROW;
        }
        let mut seen = self.tuples.tuple(tuple).iter();
        let key = on.iter().map(|(_, on)| match on {
            On::Column(_) => seen.next().and_then(|code| codes.interner.text(*code)).map(|t| &**t),
            On::Text(text) => Some(text.as_str()),
        });
        let row = key.collect::<Option<Vec<&str>>>().and_then(|key| table.row_of(&key));
        row.and_then(|row| u32::try_from(row).ok()).unwrap_or(NO_ROW)
    }

    /// `None`: the table has no such column any more.
    fn take(&self, of: &Of, rows: &UInt32Array) -> Result<Option<ArrayRef>> {
        let column = match of {
            Of::Matched => {
                let found = (0..rows.len()).map(|row| rows.is_valid(row));
                return Ok(Some(Arc::new(found.map(Some).collect::<BooleanArray>())));
            }
            Of::Column { name, .. } => self.table.as_ref().and_then(|table| table.column(name)),
        };
        Ok(column.map(|column| take(column, rows, None)).transpose()?)
    }
}

/// Batches of one stream made equally wide: what a batch did not have yet is null.
pub(super) fn equally_wide(batches: &mut [RecordBatch]) -> Result<()> {
    let Some(widest) = batches.iter().max_by_key(|b| b.num_columns()).map(RecordBatch::schema)
    else {
        return Ok(());
    };
    for batch in batches.iter_mut().filter(|b| b.num_columns() < widest.fields().len()) {
        let more = widest.fields().iter().skip(batch.num_columns());
        let more = more.map(|field| new_null_array(field.data_type(), batch.num_rows()));
        let columns = batch.columns().iter().cloned().chain(more).collect();
        *batch = RecordBatch::try_new(Arc::clone(&widest), columns)?;
    }
    Ok(())
}
