//! What alerts are about: the distinct keys of one set of columns.
//!
//! Invariant: key numbers are dense and stable; the text of a key depends on its values alone,
//! never on when it was first seen.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use vong_model::Stream;

use super::codes::{Codes, Interner, KeyColumn, NULL};

const NONE: u32 = u32::MAX;

/// What one alert is about; ordered and compared by its text.
#[derive(Clone)]
pub struct Key(Arc<Parts>);

struct Parts {
    id: u32,
    text: String,
    values: Vec<(&'static str, Option<Arc<str>>)>,
}

impl Key {
    /// As in `sensor_id=TL-012`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The value of a key column.
    pub fn value_of(&self, column: &str) -> Option<&str> {
        let found = self.0.values.iter().find(|(name, _)| *name == column);
        found.and_then(|(_, value)| value.as_deref())
    }

    pub(super) fn value_at(&self, place: usize) -> Option<&str> {
        self.0.values.get(place).and_then(|(_, value)| value.as_deref())
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

/// The keys of one list of columns.
pub(super) struct KeySpace {
    pub(super) columns: Vec<usize>,
    names: Vec<&'static str>,
    keys: Vec<Key>,
    /// Code of the administrative unit each key was last seen in.
    units: Vec<Cell<u32>>,
    /// One column: key number of each code.
    by_code: Vec<u32>,
    /// Several columns: key numbers of tuples of codes.
    tuples: Option<Box<dyn GroupValues>>,
}

impl fmt::Debug for KeySpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySpace").field("columns", &self.names).finish_non_exhaustive()
    }
}

impl KeySpace {
    pub(super) fn new(stream: Stream, columns: &[usize]) -> Result<Self> {
        let names = columns.iter().filter_map(|c| stream.columns().get(*c)).map(|c| c.name);
        let tuples = if columns.len() > 1 {
            let fields = columns.iter().map(|c| Field::new(c.to_string(), DataType::UInt32, false));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            Some(new_group_values(schema, &GroupOrdering::None)?)
        } else {
            None
        };
        let mut space = Self {
            columns: columns.to_vec(),
            names: names.collect(),
            keys: Vec::new(),
            units: Vec::new(),
            by_code: Vec::new(),
            tuples,
        };
        if columns.is_empty() {
            space.add(&[], &Codes::new(0).interner);
        }
        Ok(space)
    }

    pub(super) fn key(&self, id: u32) -> &Key {
        &self.keys[id as usize]
    }

    pub(super) fn unit(&self, id: u32) -> u32 {
        self.units.get(id as usize).map_or(NULL, Cell::get)
    }

    /// The key's last row stands in this unit; rows that name none change nothing.
    pub(super) fn saw_unit(&self, id: u32, unit: u32) {
        if let Some(place) = self.units.get(id as usize).filter(|_| unit != NULL) {
            place.set(unit);
        }
    }

    /// Key number of each row of `batch`.
    pub(super) fn ids(
        &mut self,
        codes: &mut Codes,
        batch: &RecordBatch,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        out.clear();
        match self.columns.as_slice() {
            [] => out.resize(batch.num_rows(), 0),
            [column] => {
                let column = codes.column(batch, *column);
                self.single(&column, &codes.interner, out);
            }
            _ => self.several(codes, batch, out)?,
        }
        Ok(())
    }

    fn single(&mut self, column: &KeyColumn, interner: &Interner, out: &mut Vec<u32>) {
        let of_entry: Vec<u32> =
            column.dictionary().iter().map(|code| self.of_code(*code, interner)).collect();
        if column.has_nulls() {
            let rows = 0..column.entries().len();
            out.extend(rows.map(|row| self.of_code(column.code(row), interner)));
        } else {
            let entry = |e: &i32| of_entry.get(*e as usize).copied().unwrap_or_default();
            out.extend(column.entries().iter().map(entry));
        }
    }

    fn of_code(&mut self, code: u32, interner: &Interner) -> u32 {
        let index = code as usize;
        if index >= self.by_code.len() {
            self.by_code.resize(index + 1, NONE);
        }
        if self.by_code[index] == NONE {
            self.by_code[index] = self.add(&[code], interner);
        }
        self.by_code[index]
    }

    fn several(
        &mut self,
        codes: &mut Codes,
        batch: &RecordBatch,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let columns: Vec<KeyColumn> =
            self.columns.iter().map(|column| codes.column(batch, *column)).collect();
        let arrays: Vec<ArrayRef> = columns
            .iter()
            .map(|c| {
                Arc::new(UInt32Array::from_iter_values((0..batch.num_rows()).map(|r| c.code(r))))
                    as ArrayRef
            })
            .collect();
        let mut groups = Vec::with_capacity(batch.num_rows());
        if let Some(tuples) = self.tuples.as_mut() {
            tuples.intern(&arrays, &mut groups)?;
        }
        for (row, group) in groups.into_iter().enumerate() {
            if group >= self.keys.len() {
                let tuple: Vec<u32> = columns.iter().map(|c| c.code(row)).collect();
                self.add(&tuple, &codes.interner);
            }
            out.push(u32::try_from(group).expect("keys are far fewer than 2^32"));
        }
        Ok(())
    }

    fn add(&mut self, tuple: &[u32], interner: &Interner) -> u32 {
        let id = u32::try_from(self.keys.len()).expect("keys are far fewer than 2^32");
        let values: Vec<_> = self
            .names
            .iter()
            .zip(tuple)
            .map(|(name, code)| (*name, interner.text(*code).map(Arc::clone)))
            .collect();
        let shown = values
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("null")));
        let text = shown.collect::<Vec<_>>().join(",");
        let text = if text.is_empty() { "all".to_owned() } else { text };
        self.keys.push(Key(Arc::new(Parts { id, text, values })));
        self.units.push(Cell::new(NULL));
        id
    }
}
