//! Typed access to the columns of a stream's batch, checked once per batch instead of per value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, PrimitiveArray, RecordBatch,
    StringArray, StringDictionaryBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType, UInt32Type, UInt64Type};

use crate::streams::Stream;
use crate::time::EventTime;

/// The batch is not one of the stream it is said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch does not have the columns of stream '{stream}': '{column}' is not of its type")]
pub struct WrongSchema {
    pub stream: &'static str,
    pub column: &'static str,
}

/// A batch together with the stream it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    stream: Stream,
    batch: &'a RecordBatch,
}

/// An id-like text column.
#[derive(Clone, Copy, Debug)]
pub struct KeyColumn<'a> {
    codes: &'a DictionaryArray<Int32Type>,
    words: &'a StringArray,
}

impl<'a> Columns<'a> {
    pub fn new(stream: Stream, batch: &'a RecordBatch) -> Self {
        Self { stream, batch }
    }

    pub fn keys(&self, name: &'static str) -> Result<KeyColumn<'a>, WrongSchema> {
        let codes = self.column(name)?.as_dictionary_opt::<Int32Type>();
        let words = codes.and_then(|codes| codes.values().as_string_opt::<i32>());
        codes
            .zip(words)
            .map(|(codes, words)| KeyColumn { codes, words })
            .ok_or_else(|| self.wrong(name))
    }

    pub fn texts(&self, name: &'static str) -> Result<&'a StringArray, WrongSchema> {
        self.column(name)?.as_string_opt().ok_or_else(|| self.wrong(name))
    }

    pub fn times(&self, name: &'static str) -> Result<&'a TimestampMicrosecondArray, WrongSchema> {
        let column = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        column.ok_or_else(|| self.wrong(name))
    }

    pub fn floats(&self, name: &'static str) -> Result<&'a Float64Array, WrongSchema> {
        self.column(name)?.as_primitive_opt().ok_or_else(|| self.wrong(name))
    }

    pub fn longs(&self, name: &'static str) -> Result<&'a PrimitiveArray<UInt64Type>, WrongSchema> {
        self.column(name)?.as_primitive_opt().ok_or_else(|| self.wrong(name))
    }

    pub fn ints(&self, name: &'static str) -> Result<&'a PrimitiveArray<UInt32Type>, WrongSchema> {
        self.column(name)?.as_primitive_opt().ok_or_else(|| self.wrong(name))
    }

    fn column(&self, name: &'static str) -> Result<&'a ArrayRef, WrongSchema> {
        self.batch.columns().get(self.stream.column_index(name)).ok_or_else(|| self.wrong(name))
    }

    fn wrong(&self, column: &'static str) -> WrongSchema {
        WrongSchema { stream: self.stream.name(), column }
    }
}

impl<'a> KeyColumn<'a> {
    /// The text at `row`; `None` when it is null.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        let code = self.codes.key(row)?;
        (!self.words.is_null(code)).then(|| self.words.value(code))
    }
}

/// A column of instants.
pub fn time_column(times: impl IntoIterator<Item = Option<EventTime>>) -> ArrayRef {
    let micros: TimestampMicrosecondArray =
        times.into_iter().map(|time| time.map(EventTime::micros)).collect();
    Arc::new(micros.with_timezone("UTC"))
}

/// A column of id-like texts.
pub fn key_column<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> ArrayRef {
    let texts = texts.into_iter();
    // Most batches have few rows and fewer words: the builder's own 2 KiB would outweigh them.
    let mut builder =
        StringDictionaryBuilder::<Int32Type>::with_capacity(texts.size_hint().0, 4, 64);
    builder.extend(texts);
    Arc::new(builder.finish())
}

/// A column of free texts.
pub fn text_column<T: AsRef<str>>(texts: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    let mut texts: StringArray = texts.into_iter().collect();
    // Collecting sets a kilobyte aside; the log's tail keeps batches of one row by the thousand.
    texts.shrink_to_fit();
    Arc::new(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_another_stream_is_told_not_misread() {
        let batch = RecordBatch::new_empty(Stream::Commands.schema());
        assert!(Columns::new(Stream::Commands, &batch).keys("action").is_ok());
        assert!(Columns::new(Stream::Readings, &batch).floats("value").is_err());
    }
}
