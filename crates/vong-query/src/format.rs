//! Answers as bytes: a JSON array of objects, CSV, or an Arrow IPC stream.
//!
//! Instants are RFC 3339 text in UTC, dictionary columns plain text, bytes hexadecimal. 64-bit
//! integers stay JSON numbers: a reader that keeps numbers as doubles loses digits past 2^53, so
//! ask for `CAST(message_hash AS TEXT)` there.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, WriterBuilder};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use std::fmt;
use std::sync::Arc;

use crate::{Error, QueryStream};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Json,
    Csv,
    /// `application/vnd.apache.arrow.stream`.
    Arrow,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The first format named in an `Accept` header that we write; JSON when none is.
    pub fn from_accept(accept: &str) -> Self {
        let names = accept.split(',').filter_map(|part| part.split(';').next());
        let known = names.filter_map(|name| match name.trim() {
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            "text/csv" | "text/*" => Some(Self::Csv),
            "application/vnd.apache.arrow.stream" => Some(Self::Arrow),
            _ => None,
        });
        known.into_iter().next().unwrap_or_default()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Arrow => "Arrow",
        }
    }
}

/// Writes one answer, batch by batch; pure.
pub struct Formatter {
    format: Format,
    schema: SchemaRef,
    rows: u64,
    arrow: Option<StreamWriter<Vec<u8>>>,
}

impl fmt::Debug for Formatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, schema: _, rows, arrow: _ } = self;
        f.debug_struct("Formatter")
            .field("format", format)
            .field("rows", rows)
            .finish_non_exhaustive()
    }
}

impl Formatter {
    pub fn new(format: Format, schema: SchemaRef) -> Result<Self, Error> {
        let arrow = match format {
            Format::Arrow => {
                Some(StreamWriter::try_new(Vec::new(), &schema).map_err(|e| failed(format, e))?)
            }
            Format::Json | Format::Csv => None,
        };
        Ok(Self { format, schema, rows: 0, arrow })
    }

    /// The bytes of one more batch.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes, Error> {
        let bytes = match self.format {
            Format::Json => self.json(batch),
            Format::Csv => self.csv(batch),
            Format::Arrow => self.arrow(Some(batch)),
        };
        self.rows += batch.num_rows() as u64;
        bytes.map(Bytes::from).map_err(|e| failed(self.format, e))
    }

    /// The bytes after the last batch.
    pub fn finish(&mut self) -> Result<Bytes, Error> {
        let bytes = match self.format {
            Format::Json if self.rows == 0 => Ok(b"[]".to_vec()),
            Format::Json => Ok(b"]".to_vec()),
            // An answer without rows still says its columns.
            Format::Csv if self.rows == 0 => {
                self.csv(&RecordBatch::new_empty(Arc::clone(&self.schema)))
            }
            Format::Csv => Ok(Vec::new()),
            Format::Arrow => self.arrow(None),
        };
        bytes.map(Bytes::from).map_err(|e| failed(self.format, e))
    }

    fn json(&self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let mut writer =
            WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
        writer.write(batch)?;
        writer.finish()?;
        let mut bytes = writer.into_inner();
        // One array over all batches: this one's brackets become the joint.
        bytes.pop();
        if let Some(first) = bytes.first_mut() {
            *first = if self.rows == 0 { b'[' } else { b',' };
        }
        Ok(bytes)
    }

    fn csv(&self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let mut bytes = Vec::new();
        let mut writer =
            arrow::csv::WriterBuilder::new().with_header(self.rows == 0).build(&mut bytes);
        writer.write(&flat(batch)?)?;
        drop(writer);
        Ok(bytes)
    }

    fn arrow(&mut self, batch: Option<&RecordBatch>) -> Result<Vec<u8>, ArrowError> {
        let Some(writer) = &mut self.arrow else { return Ok(Vec::new()) };
        match batch {
            Some(batch) => writer.write(batch)?,
            None => writer.finish()?,
        }
        Ok(std::mem::take(writer.get_mut()))
    }
}

fn failed(format: Format, source: ArrowError) -> Error {
    Error::Format { format: format.name(), source }
}

/// Dictionary columns as plain text, which CSV knows, and lists as they are shown.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let plain = match field.data_type() {
            DataType::Dictionary(_, value) => cast(column, value)?,
            DataType::List(_) => cast(column, &DataType::Utf8)?,
            _ => Arc::clone(column),
        };
        fields.push(Field::new(field.name(), plain.data_type().clone(), true));
        columns.push(plain);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)
}

/// An answer as a stream of byte chunks; an error ends it. It may be polled after its end, as a
/// compressing layer does.
pub fn encode(
    results: QueryStream,
    format: Format,
) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send, Error> {
    let formatter = Formatter::new(format, results.schema())?;
    let state = Some((results, formatter));
    let chunks = futures::stream::unfold(state, |state| async move {
        let (mut results, mut formatter) = state?;
        match results.next().await {
            Some(Ok(batch)) => Some((formatter.batch(&batch), Some((results, formatter)))),
            Some(Err(e)) => Some((Err(e), None)),
            None => Some((formatter.finish(), None)),
        }
    });
    Ok(chunks.fuse())
}

/// One finished batch in the given form.
///
/// # Errors
/// As the formatter says.
pub fn encode_batch(batch: &RecordBatch, format: Format) -> Result<Bytes, Error> {
    let mut formatter = Formatter::new(format, batch.schema())?;
    let mut bytes = formatter.batch(batch)?.to_vec();
    bytes.extend_from_slice(&formatter.finish()?);
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests;
