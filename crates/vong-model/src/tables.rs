//! Dimension tables: what rules and queries look things up in, one row a key.
//!
//! A table is read from CSV and written back as CSV in one canonical form, which is also what the
//! log keeps of it. Invariant: [`Table::parse`] of [`Table::to_text`] gives the same table, and two
//! tables with the same rows have the same text, whatever the order of their lines was.
//!
//! Limits: [`MAX_BYTES`] of text, [`MAX_ROWS`], [`MAX_COLUMNS`].

mod of_assets;
mod read;

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, RecordBatch,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};

use crate::streams::key_type;

pub use of_assets::of_assets;

/// Longest text of a table: a change of it is one record of the log.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most rows of a table.
pub const MAX_ROWS: usize = 200_000;
/// Most columns of a table.
pub const MAX_COLUMNS: usize = 64;

/// What the fields of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A text that is, alone or with other such columns, what a row is found by.
    Key,
    Text,
    /// A 64-bit float.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl FieldType {
    pub const ALL: [Self; 4] = [Self::Key, Self::Text, Self::Number, Self::Boolean];

    /// The word that stands for it in a header, as in `high:number`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }

    /// Its Arrow type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Key | Self::Text => key_type(),
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
        }
    }
}

/// Name and type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    pub field_type: FieldType,
}

/// What is wrong with the text of a table, and where; line and column count from 1, columns in
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TableFault {
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub hint: Option<String>,
}

/// A dimension table. Rows are sorted by their key; no two have the same one.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    name: String,
    keys: usize,
    columns: Vec<TableColumn>,
    rows: RecordBatch,
}

/// One row as texts; `None` is null.
pub(crate) type TextRow = Vec<Option<String>>;

impl Table {
    /// Reads CSV. The header names the columns, `name` or `name:type` with the types `key`, `text`,
    /// `number`, `boolean`. Key columns come first; when none is marked the first column is the
    /// key. The type of an unmarked column is that of its first field, and all fields must be of
    /// it. An empty field is null.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(name: &str, text: &str) -> Result<Self, TableFault> {
        read::parse(name, text)
    }

    /// Rows in any order; key columns come first in `columns`, keys are there and distinct, fields
    /// are of their column's type: [`read::parse`] sees to it.
    fn from_rows(name: &str, columns: Vec<TableColumn>, mut rows: Vec<TextRow>) -> Self {
        let keys = columns.iter().take_while(|c| c.field_type == FieldType::Key).count();
        rows.sort_by(|a, b| a[..keys].cmp(&b[..keys]));
        let arrays = columns.iter().enumerate().map(|(place, column)| {
            let fields = rows.iter().map(|row| row.get(place).and_then(Option::as_deref));
            array(column.field_type, fields)
        });
        let fields = columns.iter().map(|c| {
            let nullable = c.field_type != FieldType::Key;
            Field::new(&c.name, c.field_type.data_type(), nullable)
        });
        let fields: Vec<Field> = fields.collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect())
            .expect("columns are made from one list of rows");
        Self { name: name.to_owned(), keys, columns, rows }
    }

    /// As SQL names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// Names of the columns a row is found by, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().take(self.keys).map(|column| column.name.as_str())
    }

    /// All rows; texts are dictionaries, as ids are in streams.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.rows.column_by_name(name)
    }

    /// The row with this key, its parts in the order of [`Self::keys`].
    pub fn row_of(&self, key: &[&str]) -> Option<usize> {
        if key.len() != self.keys {
            return None;
        }
        let (mut low, mut high) = (0, self.rows.num_rows());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key_of(middle).cmp(key.iter().copied()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// The text of a field; `None` when it is null.
    pub fn text_at(&self, column: &str, row: usize) -> Option<&str> {
        text_at(self.column(column)?, row)
    }

    /// CSV that gives the same table again: typed header, rows by key.
    pub fn to_text(&self) -> String {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::Any(b'\n'))
            .from_writer(Vec::new());
        let header = self.columns.iter().map(|c| format!("{}:{}", c.name, c.field_type.as_str()));
        let in_memory = "writing to memory cannot fail";
        writer.write_record(header).expect(in_memory);
        for row in 0..self.rows.num_rows() {
            let fields = self.rows.columns().iter().map(|column| shown(column, row));
            writer.write_record(fields).expect(in_memory);
        }
        let bytes = writer.into_inner().expect(in_memory);
        String::from_utf8(bytes).expect("made of texts")
    }

    fn key_of(&self, row: usize) -> impl Iterator<Item = &str> {
        let columns = self.rows.columns().iter().take(self.keys);
        columns.map(move |column| text_at(column, row).unwrap_or_default())
    }
}

fn array<'a>(of: FieldType, fields: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    match of {
        FieldType::Key | FieldType::Text => {
            Arc::new(fields.collect::<DictionaryArray<Int32Type>>())
        }
        FieldType::Number => {
            Arc::new(fields.map(|f| f.and_then(|f| f.parse().ok())).collect::<Float64Array>())
        }
        FieldType::Boolean => {
            Arc::new(fields.map(|f| f.map(|f| f == "true")).collect::<BooleanArray>())
        }
    }
}

fn text_at(column: &ArrayRef, row: usize) -> Option<&str> {
    let column = column.as_dictionary_opt::<Int32Type>()?;
    let entry = column.key(row)?;
    Some(column.values().as_string_opt::<i32>()?.value(entry))
}

fn shown(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        return numbers.value(row).to_string();
    }
    if let Some(booleans) = column.as_boolean_opt() {
        return booleans.value(row).to_string();
    }
    text_at(column, row).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
