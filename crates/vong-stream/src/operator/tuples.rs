//! Distinct tuples of codes, numbered.
//!
//! Invariant: numbers are dense and stable. While batches share their dictionaries, a row costs one
//! look-up in a table of all combinations of dictionary entries; else one in a hash map.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::codes::{Codes, KeyColumn};

const NONE: u32 = u32::MAX;
/// Largest table: 4 MiB, within a small processor's cache.
const MAX_TABLE: usize = 1 << 20;

/// The tuples seen in some columns of one stream.
#[derive(Debug)]
pub(super) struct Tuples {
    columns: Vec<usize>,
    numbers: HashMap<Box<[u32]>, u32>,
    /// The codes of tuple after tuple.
    codes: Vec<u32>,
    /// Number of each combination of dictionary entries, null being one more entry.
    table: Vec<u32>,
    table_of: Vec<Arc<[u32]>>,
}

impl Tuples {
    pub(super) fn new(columns: &[usize]) -> Self {
        let mut tuples = Self {
            columns: columns.to_vec(),
            numbers: HashMap::new(),
            codes: Vec::new(),
            table: Vec::new(),
            table_of: Vec::new(),
        };
        if columns.is_empty() {
            tuples.intern(&[]);
        }
        tuples
    }

    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The codes of a tuple, in the order of the columns.
    pub(super) fn tuple(&self, number: u32) -> &[u32] {
        let width = self.columns.len();
        let start = number as usize * width;
        self.codes.get(start..start + width).unwrap_or_default()
    }

    /// Estimated: a hash map's entry is its key, its value and room to spare.
    pub(super) fn bytes(&self) -> usize {
        let entry = size_of::<(Box<[u32]>, u32)>() * 2 + 4 * self.columns.len();
        self.numbers.len() * entry + 4 * (self.codes.capacity() + self.table.capacity())
    }

    pub(super) fn intern(&mut self, tuple: &[u32]) -> u32 {
        if let Some(number) = self.numbers.get(tuple) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).expect("keys are far fewer than 2^32");
        self.numbers.insert(tuple.into(), number);
        self.codes.extend_from_slice(tuple);
        number
    }

    /// The codes of tuple after tuple, in the order of their numbers.
    pub(super) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Takes in tuples that were written down, in the order of their numbers.
    pub(super) fn load(&mut self, codes: &[u32]) {
        if !self.columns.is_empty() {
            for tuple in codes.chunks_exact(self.columns.len()) {
                self.intern(tuple);
            }
        }
    }

    /// Number of each row's tuple.
    pub(super) fn ids(&mut self, codes: &mut Codes, batch: &RecordBatch, out: &mut Vec<u32>) {
        out.clear();
        let rows = batch.num_rows();
        let columns: Vec<KeyColumn> =
            self.columns.iter().map(|column| codes.column(batch, *column)).collect();
        if columns.is_empty() {
            out.resize(rows, 0);
            return;
        }
        if !self.prepare(&columns, rows) {
            let mut tuple = vec![0; columns.len()];
            for row in 0..rows {
                tuple.iter_mut().zip(&columns).for_each(|(code, c)| *code = c.code(row));
                out.push(self.intern(&tuple));
            }
            return;
        }
        match columns.as_slice() {
            [one] if !one.has_nulls() => {
                let entries = one.entries();
                self.look_up(rows, |row| entries[row] as usize, &columns, out);
            }
            [one, two] if !one.has_nulls() && !two.has_nulls() => {
                let (left, right) = (one.entries(), two.entries());
                let wide = two.dictionary().len() + 1;
                let place = |row: usize| left[row] as usize * wide + right[row] as usize;
                self.look_up(rows, place, &columns, out);
            }
            _ => {
                let place = |row: usize| {
                    let wide = |c: &KeyColumn| c.dictionary().len() + 1;
                    columns.iter().fold(0, |place, c| place * wide(c) + c.entry(row))
                };
                self.look_up(rows, place, &columns, out);
            }
        }
    }

    /// Makes the table fit the dictionaries; false when it would be too large to be worth it.
    fn prepare(&mut self, columns: &[KeyColumn], rows: usize) -> bool {
        let same = self.table_of.len() == columns.len()
            && self.table_of.iter().zip(columns).all(|(known, c)| Arc::ptr_eq(known, c.codes()));
        if same {
            return true;
        }
        let sizes = columns.iter().map(|c| c.dictionary().len() + 1);
        let size = sizes.fold(1_usize, usize::saturating_mul);
        if size > MAX_TABLE || size > rows.saturating_mul(4) {
            return false;
        }
        self.table.clear();
        self.table.resize(size, NONE);
        self.table_of = columns.iter().map(|c| Arc::clone(c.codes())).collect();
        true
    }

    #[inline]
    fn look_up(
        &mut self,
        rows: usize,
        place: impl Fn(usize) -> usize,
        columns: &[KeyColumn],
        out: &mut Vec<u32>,
    ) {
        let table = self.table.as_slice();
        let mut all_known = true;
        out.extend((0..rows).map(|row| {
            let number = table[place(row)];
            all_known &= number != NONE;
            number
        }));
        if all_known {
            return;
        }
        for (row, number) in out.iter_mut().enumerate().filter(|(_, number)| **number == NONE) {
            let place = place(row);
            let known = self.table[place];
            *number = if known == NONE { self.first_time(place, row, columns) } else { known };
        }
    }

    #[cold]
    fn first_time(&mut self, place: usize, row: usize, columns: &[KeyColumn]) -> u32 {
        let tuple: Vec<u32> = columns.iter().map(|c| c.code(row)).collect();
        let number = self.intern(&tuple);
        self.table[place] = number;
        number
    }
}
