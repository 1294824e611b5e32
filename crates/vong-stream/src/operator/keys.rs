//! What alerts are about: the distinct keys of one set of columns.
//!
//! Invariant: key numbers are dense and stable; the text of a key depends on its values alone,
//! never on when it was first seen.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use super::codes::{Codes, Interner, NULL};
use super::tuples::Tuples;

/// What one alert is about; ordered and compared by its text.
#[derive(Clone)]
pub struct Key(Arc<Parts>);

struct Parts {
    id: u32,
    text: String,
    values: Vec<(Arc<str>, Option<Arc<str>>)>,
}

impl Key {
    /// As in `sensor_id=TL-012`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The value of a key column.
    pub fn value_of(&self, column: &str) -> Option<&str> {
        let found = self.0.values.iter().find(|(name, _)| **name == *column);
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
#[derive(Debug)]
pub(super) struct KeySpace {
    names: Vec<Arc<str>>,
    tuples: Tuples,
    keys: Vec<Key>,
    /// Code of the administrative unit each key was last seen in.
    units: Vec<Cell<u32>>,
}

/// A key space written down, in the codes of its interner.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedSpace {
    pub(super) columns: Vec<usize>,
    tuples: Vec<u32>,
    units: Vec<u32>,
}

impl KeySpace {
    pub(super) fn save(&self) -> SavedSpace {
        SavedSpace {
            columns: self.tuples.columns().to_vec(),
            tuples: self.tuples.codes().to_vec(),
            units: self.units.iter().map(Cell::get).collect(),
        }
    }

    /// Takes in the keys of a space over the same columns; `interner` must know their codes.
    pub(super) fn load(&mut self, saved: &SavedSpace, interner: &Interner) {
        self.tuples.load(&saved.tuples);
        self.name_new(interner);
        for (place, unit) in self.units.iter().zip(&saved.units) {
            place.set(*unit);
        }
    }

    /// The key of this number; `None` when there is none, as in a snapshot that is not of us.
    pub(super) fn get(&self, id: u32) -> Option<&Key> {
        self.keys.get(id as usize)
    }

    /// Keys of these columns, with their names.
    pub(super) fn new(columns: &[usize], names: Vec<Arc<str>>, interner: &Interner) -> Self {
        let mut space =
            Self { names, tuples: Tuples::new(columns), keys: Vec::new(), units: Vec::new() };
        space.name_new(interner);
        space
    }

    /// Keys made of texts with these names, of no stream's columns.
    pub(super) fn named(names: Vec<Arc<str>>, interner: &Interner) -> Self {
        let places: Vec<usize> = (0..names.len()).collect();
        Self::new(&places, names, interner)
    }

    pub(super) fn columns(&self) -> &[usize] {
        self.tuples.columns()
    }

    /// Keys seen so far.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
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
    pub(super) fn ids(&mut self, codes: &mut Codes, batch: &RecordBatch, out: &mut Vec<u32>) {
        self.tuples.ids(codes, batch, out);
        self.name_new(&codes.interner);
    }

    /// Key number of these codes, in the order of the columns.
    pub(super) fn id(&mut self, tuple: &[u32], interner: &Interner) -> u32 {
        let id = self.tuples.intern(tuple);
        self.name_new(interner);
        id
    }

    fn name_new(&mut self, interner: &Interner) {
        for id in self.keys.len()..self.tuples.len() {
            let id = u32::try_from(id).expect("keys are far fewer than 2^32");
            let named = self.names.iter().zip(self.tuples.tuple(id));
            let values: Vec<_> = named
                .map(|(name, code)| (Arc::clone(name), interner.text(*code).map(Arc::clone)))
                .collect();
            let shown = values
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("null")));
            let text = shown.collect::<Vec<_>>().join(",");
            let text = if text.is_empty() { "all".to_owned() } else { text };
            self.keys.push(Key(Arc::new(Parts { id, text, values })));
            self.units.push(Cell::new(NULL));
        }
    }
}
