//! Batches of a stream out of the columns that matter; the others hold what says nothing.

use std::sync::Arc;

use anyhow::{Result, ensure};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt32Array, UInt64Array, new_null_array};
use vong_model::columns::{key_column, text_column, time_column};
use vong_model::streams::ColumnType;
use vong_model::{EventTime, Stream};

/// Values of one column.
#[derive(Clone, Debug)]
pub enum Column<'a> {
    /// Microseconds since 1970.
    Times(Vec<i64>),
    Texts(Vec<Option<&'a str>>),
    Floats(Vec<f64>),
}

impl Column<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Times(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }

    fn array(&self, of: ColumnType) -> ArrayRef {
        match self {
            Self::Times(times) => time_column(times.iter().map(|t| Some(EventTime(*t)))),
            Self::Texts(texts) if of == ColumnType::Text => text_column(texts.iter().copied()),
            Self::Texts(texts) => key_column(texts.iter().copied()),
            Self::Floats(values) => Arc::new(Float64Array::from(values.clone())),
        }
    }
}

/// A batch of `stream`; one of the columns is `event_time`.
pub(crate) fn batch(stream: Stream, columns: &[(&str, Column<'_>)]) -> Result<RecordBatch> {
    let find = |name: &str| columns.iter().find(|(known, _)| *known == name).map(|(_, c)| c);
    let Some(Column::Times(times)) = find("event_time") else {
        anyhow::bail!("rows of {} need their event_time", stream.name());
    };
    for (name, column) in columns {
        ensure!(column.len() == times.len(), "{name} has {} values", column.len());
    }
    let arrays = stream.columns().iter().map(|column| match find(column.name) {
        Some(values) => values.array(column.column_type),
        None if column.nullable => new_null_array(&column.column_type.data_type(), times.len()),
        None => blank(column.column_type, times),
    });
    Ok(RecordBatch::try_new(stream.schema(), arrays.collect())?)
}

/// What stands in a column that a workload says nothing about.
fn blank(of: ColumnType, times: &[i64]) -> ArrayRef {
    let count = times.len();
    match of {
        ColumnType::Time => time_column(times.iter().map(|t| Some(EventTime(*t)))),
        ColumnType::Key => key_column((0..count).map(|_| Some("good"))),
        ColumnType::Text => text_column((0..count).map(|_| Some(""))),
        ColumnType::Float64 => Arc::new(Float64Array::from_value(0.0, count)),
        ColumnType::UInt32 => Arc::new(UInt32Array::from_value(0, count)),
        ColumnType::UInt64 => Arc::new(UInt64Array::from_value(0, count)),
        other => new_null_array(&other.data_type(), count),
    }
}
