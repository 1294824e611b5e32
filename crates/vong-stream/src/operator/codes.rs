//! Texts as small numbers: strings stop here, the hot path sees integers.
//!
//! Invariant: a code means the same text for as long as the operator lives; code 0 is null.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::datatypes::Int32Type;

pub(super) const NULL: u32 = 0;

/// Every text seen in an id column of one stream.
#[derive(Debug)]
pub(super) struct Interner {
    codes: HashMap<Arc<str>, u32>,
    texts: Vec<Option<Arc<str>>>,
}

impl Interner {
    fn new() -> Self {
        Self { codes: HashMap::new(), texts: vec![None] }
    }

    pub(super) fn code(&mut self, text: &str) -> u32 {
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        let text: Arc<str> = Arc::from(text);
        let code = u32::try_from(self.texts.len()).expect("ids are far fewer than 2^32");
        self.texts.push(Some(Arc::clone(&text)));
        self.codes.insert(text, code);
        code
    }

    /// Every text, in the order of the codes from 1 on.
    pub(super) fn texts(&self) -> Vec<String> {
        self.texts.iter().flatten().map(|text| text.to_string()).collect()
    }

    pub(super) fn text(&self, code: u32) -> Option<&Arc<str>> {
        self.texts.get(code as usize).and_then(Option::as_ref)
    }
}

/// The codes of the dictionary of one column in the batch at hand.
#[derive(Debug)]
struct ColumnCodes {
    values: ArrayRef,
    codes: Arc<[u32]>,
}

/// Codes of one stream's id columns.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) interner: Interner,
    columns: Vec<Option<ColumnCodes>>,
}

/// One id column of a batch: which dictionary entry each row has, and its code.
#[derive(Clone, Debug)]
pub(super) struct KeyColumn {
    array: DictionaryArray<Int32Type>,
    codes: Arc<[u32]>,
}

impl KeyColumn {
    /// Code of each dictionary entry.
    pub(super) fn dictionary(&self) -> &[u32] {
        &self.codes
    }

    /// As [`Self::dictionary`]; the same `Arc` for as long as batches share their dictionary.
    pub(super) fn codes(&self) -> &Arc<[u32]> {
        &self.codes
    }

    /// Dictionary entry of the row; one past the last where it is null.
    pub(super) fn entry(&self, row: usize) -> usize {
        let keys = self.array.keys();
        let known = (!keys.is_null(row)).then(|| keys.value(row));
        known.and_then(|entry| usize::try_from(entry).ok()).unwrap_or(self.codes.len())
    }

    /// Dictionary entry of each row; meaningless where it is null.
    pub(super) fn entries(&self) -> &[i32] {
        self.array.keys().values()
    }

    pub(super) fn has_nulls(&self) -> bool {
        self.array.keys().null_count() > 0
    }

    #[inline]
    pub(super) fn code(&self, row: usize) -> u32 {
        if self.array.keys().is_null(row) {
            return NULL;
        }
        let entry = usize::try_from(self.array.keys().value(row)).ok();
        entry.and_then(|entry| self.codes.get(entry)).copied().unwrap_or(NULL)
    }
}

impl Codes {
    pub(super) fn new(columns: usize) -> Self {
        Self { interner: Interner::new(), columns: (0..columns).map(|_| None).collect() }
    }

    /// Makes room for as many columns.
    pub(super) fn widen(&mut self, columns: usize) {
        if columns > self.columns.len() {
            self.columns.resize_with(columns, || None);
        }
    }

    /// The column, its dictionary looked up once: again only when the dictionary is another one.
    pub(super) fn column(&mut self, batch: &RecordBatch, column: usize) -> KeyColumn {
        let array = batch.column(column).as_dictionary::<Int32Type>();
        let known = self.columns.get(column).and_then(Option::as_ref);
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.values, array.values())) {
            return KeyColumn { array: array.clone(), codes: Arc::clone(&known.codes) };
        }
        let texts = array.values().as_string::<i32>();
        let codes: Arc<[u32]> =
            texts.iter().map(|text| text.map_or(NULL, |text| self.interner.code(text))).collect();
        if let Some(place) = self.columns.get_mut(column) {
            let values = Arc::clone(array.values());
            *place = Some(ColumnCodes { values, codes: Arc::clone(&codes) });
        }
        KeyColumn { array: array.clone(), codes }
    }
}
