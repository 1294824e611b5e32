//! The columns of a continuous view, and how its rows stand in the stream `view_rows`.
//!
//! Streams have one schema for ever, views have any: a view's texts, floats and integers go into
//! one list column each, in the order of its columns, and every row names that order. Whoever reads
//! the log years later needs nothing else.
//!
//! Invariant: [`Layout::unpack`] gives back what [`Layout::pack`] took, value by value.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use crate::streams::{Stream, time_type};
use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, UInt32Array, UInt64Array,
    new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options, interleave, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;

/// Most columns of a view, a limit of ours: a row is a small fact, not a document.
pub const MAX_COLUMNS: usize = 64;

/// What a column of a view holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    Text,
    Float,
    Int,
    UInt,
    Bool,
    /// Microseconds since 1970, UTC.
    Time,
}

/// The list column of `view_rows` that holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    Texts,
    Floats,
    Ints,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Texts, Self::Floats, Self::Ints];

    /// Its name in `view_rows`.
    pub fn column(self) -> &'static str {
        match self {
            Self::Texts => "texts",
            Self::Floats => "floats",
            Self::Ints => "ints",
        }
    }

    /// The type of the whole list.
    pub fn data_type(self) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(self.item(), true)))
    }

    fn item(self) -> DataType {
        match self {
            Self::Texts => DataType::Utf8,
            Self::Floats => DataType::Float64,
            Self::Ints => DataType::Int64,
        }
    }
}

impl ValueType {
    const ALL: [Self; 6] = [Self::Text, Self::Float, Self::Int, Self::UInt, Self::Bool, Self::Time];

    /// What a value of this Arrow type becomes; `None` for what a view cannot keep.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Dictionary(_, value) => Self::of(value),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Text),
            DataType::Boolean => Some(Self::Bool),
            DataType::Timestamp(_, _) => Some(Self::Time),
            floating if floating.is_floating() => Some(Self::Float),
            signed if signed.is_signed_integer() => Some(Self::Int),
            unsigned if unsigned.is_unsigned_integer() => Some(Self::UInt),
            _ => None,
        }
    }

    /// The type of the column in SQL.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Float => DataType::Float64,
            Self::Int => DataType::Int64,
            Self::UInt => DataType::UInt64,
            Self::Bool => DataType::Boolean,
            Self::Time => time_type(),
        }
    }

    fn lane(self) -> Lane {
        match self {
            Self::Text => Lane::Texts,
            Self::Float => Lane::Floats,
            Self::Int | Self::UInt | Self::Bool | Self::Time => Lane::Ints,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Float => "float",
            Self::Int => "int",
            Self::UInt => "uint",
            Self::Bool => "bool",
            Self::Time => "time",
        }
    }

    /// A column of this type as its lane keeps it.
    fn to_lane(self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::UInt => Ok(Arc::new(
                column.as_primitive::<UInt64Type>().unary::<_, Int64Type>(u64::cast_signed),
            )),
            // A number that does not fit would become null in silence.
            _ => cast_with_options(
                column,
                &self.lane().item(),
                &CastOptions { safe: false, ..CastOptions::default() },
            ),
        }
    }

    /// The value at `place` of each of these lists of the value's lane; null where a list is shorter.
    ///
    /// # Errors
    /// When they are no such lists.
    pub fn item(self, lists: &ArrayRef, place: usize) -> Result<ArrayRef, ArrowError> {
        self.typed(&nth(lists, place)?)
    }

    fn typed(self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::UInt => {
                let bits: &Int64Array = column.as_primitive();
                let whole: UInt64Array = bits.unary(i64::cast_unsigned);
                Ok(Arc::new(whole))
            }
            _ => cast(column, &self.data_type()),
        }
    }
}

/// The columns of a view, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    columns: Vec<(String, ValueType)>,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value_type)) in self.columns.iter().enumerate() {
            if place > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{name}:{}", value_type.word())?;
        }
        Ok(())
    }
}

/// A text that is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no list of columns as in 'sensor_id:text n:int'")]
pub struct NoLayout(String);

impl FromStr for Layout {
    type Err = NoLayout;

    fn from_str(text: &str) -> Result<Self, NoLayout> {
        let columns = text.split(' ').map(|column| {
            let (name, word) = column.split_once(':')?;
            let found = ValueType::ALL.into_iter().find(|known| known.word() == word)?;
            is_name(name).then(|| (name.to_owned(), found))
        });
        let columns: Option<Vec<_>> = columns.collect();
        columns
            .filter(|columns| columns.len() <= MAX_COLUMNS)
            .map(|columns| Self { columns })
            .ok_or_else(|| NoLayout(text.to_owned()))
    }
}

/// Whether a column of a view may be called so.
pub fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    name.len() <= 64
        && letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl Layout {
    /// `columns`: names that pass [`is_name`], each once, at most [`MAX_COLUMNS`].
    pub fn new(columns: Vec<(String, ValueType)>) -> Self {
        Self { columns }
    }

    pub fn columns(&self) -> &[(String, ValueType)] {
        &self.columns
    }

    /// The columns as Arrow has them, all nullable.
    pub fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|(name, of)| Field::new(name, of.data_type(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The columns `texts`, `floats` and `ints` of `view_rows` for these rows.
    ///
    /// # Errors
    /// When the rows are not of [`Self::schema`].
    pub fn pack(&self, rows: &RecordBatch) -> Result<[ArrayRef; 3], ArrowError> {
        let mut packed = Vec::with_capacity(Lane::ALL.len());
        for lane in Lane::ALL {
            let own = self.columns.iter().zip(rows.columns());
            let own = own.filter(|((_, of), _)| of.lane() == lane);
            let values = own.map(|((_, of), column)| of.to_lane(column));
            packed.push(list(lane, &values.collect::<Result<Vec<_>, _>>()?, rows.num_rows())?);
        }
        let packed: Result<[ArrayRef; 3], _> = packed.try_into();
        packed.map_err(|_wrong| ArrowError::InvalidArgumentError("three lanes".to_owned()))
    }

    /// The rows of a batch of `view_rows`, all of this layout, with [`Self::schema`].
    ///
    /// # Errors
    /// When it is no such batch.
    pub fn unpack(&self, packed: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        let columns = self.places().map(|(_, of, lane, place)| {
            let lists = packed.column_by_name(lane.column());
            let missing = || ArrowError::SchemaError(format!("no column {}", lane.column()));
            of.item(lists.ok_or_else(missing)?, place)
        });
        columns.collect()
    }

    /// Name and type of each column, its lane, and its place in each row's list.
    pub fn places(&self) -> impl Iterator<Item = (&str, ValueType, Lane, usize)> {
        let mut seen = [0_usize; Lane::ALL.len()];
        self.columns.iter().map(move |(name, of)| {
            let lane = of.lane();
            let next = &mut seen[lane as usize];
            *next += 1;
            (name.as_str(), *of, lane, *next - 1)
        })
    }

    /// What makes a row's key for a screen: its columns of text.
    pub fn keys(&self) -> impl Iterator<Item = usize> {
        let places = self.columns.iter().enumerate();
        places.filter(|(_, (_, of))| *of == ValueType::Text).map(|(place, _)| place)
    }
}

/// Row by row, the values of all columns of one lane.
fn list(lane: Lane, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new_list_field(lane.item(), true));
    let values = if columns.is_empty() || rows == 0 {
        new_empty_array(&lane.item())
    } else {
        let of = |row| (0..columns.len()).map(move |column| (column, row));
        let order: Vec<(usize, usize)> = (0..rows).flat_map(of).collect();
        let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        interleave(&columns, &order)?
    };
    let lengths = OffsetBuffer::from_repeated_length(columns.len(), rows);
    Ok(Arc::new(ListArray::try_new(field, lengths, values, None)?))
}

fn nth(lists: &ArrayRef, place: usize) -> Result<ArrayRef, ArrowError> {
    let none = || ArrowError::SchemaError(format!("{} is no list", lists.data_type()));
    let lists = lists.as_list_opt::<i32>().ok_or_else(none)?;
    let place = i32::try_from(place).unwrap_or(i32::MAX);
    let of = |(start, end): (&i32, &i32)| {
        let at = start.saturating_add(place);
        u32::try_from(at).ok().filter(|_| at < *end)
    };
    let (starts, ends) = (lists.value_offsets(), lists.value_offsets().get(1..));
    let wanted: UInt32Array = starts.iter().zip(ends.unwrap_or_default()).map(of).collect();
    take(lists.values(), &wanted, None)
}

/// A view as queries see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewTable {
    pub layout: Layout,
    /// The statement that made it.
    pub sql: String,
}

/// The views in force, by name.
pub type ViewTables = Arc<BTreeMap<String, ViewTable>>;

/// Names that are taken: a view of such a name would hide a table, or be hidden by it.
pub fn is_taken(name: &str) -> bool {
    Stream::from_name(name).is_some() || TAKEN.contains(&name)
}

/// Tables that are no streams.
const TAKEN: [&str; 8] =
    ["alerts", "reviews", "sources", "sensors", "cameras", "units", "video_gops", "vong"];

#[cfg(test)]
mod tests;
