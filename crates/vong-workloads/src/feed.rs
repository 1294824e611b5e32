//! Rows of some streams in the order of a log, with watermarks that make none of them late.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use vong_log::Record;
use vong_model::columns::key_column;
use vong_model::columns::time_column;
use vong_model::{EventTime, Offset, Stream};

use crate::rows::{self, Column};

/// How far time runs on after the last row: closes windows of five minutes.
const AFTER_ALL_US: i64 = 330_000_000;

/// Batches in log order.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    batches: Vec<(Stream, RecordBatch)>,
}

impl Feed {
    /// # Errors
    /// When the columns do not fit the stream.
    pub fn push(&mut self, stream: Stream, columns: &[(&str, Column<'_>)]) -> Result<()> {
        self.batches.push((stream, rows::batch(stream, columns)?));
        Ok(())
    }

    /// Rows of all streams.
    pub fn len(&self) -> usize {
        self.batches.iter().map(|(_, batch)| batch.num_rows()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The streams that have rows.
    pub fn streams(&self) -> Vec<Stream> {
        let mut streams: Vec<Stream> = self.batches.iter().map(|(stream, _)| *stream).collect();
        streams.sort_unstable();
        streams.dedup();
        streams
    }

    /// All rows of a stream, in their order.
    ///
    /// # Errors
    /// Never for batches of the stream's schema.
    pub fn whole(&self, stream: Stream) -> Result<RecordBatch> {
        let own = self.batches.iter().filter(|(of, _)| *of == stream).map(|(_, batch)| batch);
        Ok(concat_batches(&stream.schema(), own)?)
    }

    /// The batches of a stream, in their order.
    pub fn batches(&self, stream: Stream) -> Vec<RecordBatch> {
        let own = self.batches.iter().filter(|(of, _)| *of == stream);
        own.map(|(_, batch)| batch.clone()).collect()
    }

    /// The same rows, cut anew: `cut` says how long each batch is.
    #[must_use]
    pub fn recut(&self, mut cut: impl FnMut() -> usize) -> Self {
        let mut batches = Vec::new();
        for (stream, batch) in &self.batches {
            let mut from = 0;
            while from < batch.num_rows() {
                let count = cut().clamp(1, batch.num_rows() - from);
                batches.push((*stream, batch.slice(from, count)));
                from += count;
            }
        }
        Self { batches }
    }

    /// The records of a log that holds these rows: watermarks stand at the first row, after each
    /// batch they move as far as the rows that are still to come allow, and at the end past all.
    ///
    /// # Errors
    /// When a batch has no `event_time`.
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut reached = BTreeMap::new();
        let mut allowed = Vec::with_capacity(self.batches.len());
        let mut last = EventTime::MIN;
        for (stream, batch) in self.batches.iter().rev() {
            let times = times(*stream, batch)?;
            allowed.push(reached.get(stream).copied());
            let earliest = times.iter().copied().min();
            let known = reached.entry(*stream).or_insert(i64::MAX);
            *known = (*known).min(earliest.unwrap_or(i64::MAX));
            last = last.max(EventTime(times.iter().copied().max().unwrap_or(i64::MIN)));
        }
        allowed.reverse();
        let mut log = Log::default();
        // Queries that are asked again and again begin where time begins.
        let begins = reached.values().copied().min().unwrap_or_default();
        for stream in self.streams() {
            log.append(Stream::Watermarks, watermark_of(stream, begins)?);
        }
        for ((stream, batch), allowed) in self.batches.iter().zip(allowed) {
            log.append(*stream, batch.clone());
            if let Some(watermark) = allowed {
                log.append(Stream::Watermarks, watermark_of(*stream, watermark)?);
            }
        }
        for stream in self.streams() {
            let end = last.micros().saturating_add(AFTER_ALL_US);
            log.append(Stream::Watermarks, watermark_of(stream, end)?);
        }
        Ok(log.records)
    }
}

#[derive(Default)]
struct Log {
    records: Vec<Record>,
}

impl Log {
    fn append(&mut self, stream: Stream, batch: RecordBatch) {
        let offset = Offset(self.records.len() as u64);
        self.records.push(Record { offset, appended_at: EventTime(0), stream, batch });
    }
}

fn times(stream: Stream, batch: &RecordBatch) -> Result<&[i64]> {
    let column = batch.column(stream.column_index("event_time"));
    let times = column.as_primitive_opt::<TimestampMicrosecondType>();
    times.map(|times| times.values().as_ref()).context("event_time is no instant")
}

fn watermark_of(stream: Stream, at: i64) -> Result<RecordBatch> {
    let at = || time_column([Some(EventTime(at))]);
    let columns = vec![at(), key_column([Some(stream.name())]), at(), key_column([Some("data")])];
    Ok(RecordBatch::try_new(Stream::Watermarks.schema(), columns)?)
}
