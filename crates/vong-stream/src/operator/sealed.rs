//! Rows held back until nothing older can come, then given on in order of their time.
//!
//! Invariant: what comes out is ordered by event time, rows of one instant as in the log, and does
//! not depend on how rows were cut into records or how often the watermark moved.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use datafusion::error::Result;
use serde::{Deserialize, Serialize};
use vong_model::{EventTime, Offset};

use super::enrich::equally_wide;
use super::frame::Frame;
use super::saved::{Unusable, decode, encode};

/// Rows and what the batch does not say of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Rows {
    times: Vec<i64>,
    keys: Vec<u32>,
    offsets: Vec<Offset>,
    /// Running number of the row in this selection.
    numbers: Vec<u64>,
}

/// Rows in their final order.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) batch: RecordBatch,
    pub(super) times: Vec<i64>,
    pub(super) keys: Vec<u32>,
    pub(super) offsets: Vec<Offset>,
    pub(super) numbers: Vec<u64>,
}

/// The rows of one selection that wait.
#[derive(Debug, Default)]
pub(super) struct Sealer {
    batches: Vec<RecordBatch>,
    rows: Rows,
    /// Rows ever pushed: the number of the next.
    pub(super) pushed: u64,
}

/// Rows that wait, written down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedSealer {
    batch: Option<Vec<u8>>,
    rows: Rows,
    pushed: u64,
}

impl Rows {
    fn take(&self, places: &[u32]) -> Self {
        let of = |place: &u32| *place as usize;
        Self {
            times: places.iter().map(|p| self.times[of(p)]).collect(),
            keys: places.iter().map(|p| self.keys[of(p)]).collect(),
            offsets: places.iter().map(|p| self.offsets[of(p)]).collect(),
            numbers: places.iter().map(|p| self.numbers[of(p)]).collect(),
        }
    }
}

impl Sealer {
    pub(super) fn save(&self) -> std::result::Result<SavedSealer, Unusable> {
        let first = self.batches.first();
        let whole = first.map(|first| concat_batches(&first.schema(), &self.batches)).transpose();
        let whole = whole.or(Err(Unusable("rows that cannot be written")))?;
        let batch = whole.as_ref().map(encode).transpose()?;
        Ok(SavedSealer { batch, rows: self.rows.clone(), pushed: self.pushed })
    }

    pub(super) fn load(&mut self, saved: SavedSealer) -> std::result::Result<(), Unusable> {
        let SavedSealer { batch, rows, pushed } = saved;
        let batch = batch.as_deref().map(decode).transpose()?;
        let count = batch.as_ref().map_or(0, RecordBatch::num_rows);
        let lengths = [rows.times.len(), rows.keys.len(), rows.offsets.len(), rows.numbers.len()];
        if lengths.iter().any(|length| *length != count) {
            return Err(Unusable("rows without a time, a key or a number"));
        }
        (self.batches, self.rows, self.pushed) = (batch.into_iter().collect(), rows, pushed);
        Ok(())
    }

    /// Nobody waits for the rows any more.
    pub(super) fn forget(&mut self) {
        self.batches.clear();
        self.rows = Rows::default();
    }

    pub(super) fn push(&mut self, frame: &Frame, keys: &[u32]) {
        let count = frame.len();
        self.batches.push(frame.batch.clone());
        self.rows.times.extend_from_slice(&frame.times);
        self.rows.keys.extend_from_slice(keys);
        self.rows.offsets.extend(std::iter::repeat_n(frame.inputs.to, count));
        let first = self.pushed;
        self.pushed += count as u64;
        self.rows.numbers.extend(first..self.pushed);
    }

    /// Memory of the rows that wait, estimated: their columns share texts with the log's records.
    pub(super) fn bytes(&self) -> usize {
        let columns = self.batches.first().map_or(0, RecordBatch::num_columns);
        self.rows.times.len() * (columns * 8 + size_of::<(i64, u32, Offset, u64)>())
    }

    /// Rows older than the watermark.
    pub(super) fn seal(&mut self, watermark: EventTime) -> Result<Option<Sealed>> {
        let is_done = |time: i64| time < watermark.micros();
        let Some(schema) = self.batches.first().map(RecordBatch::schema) else { return Ok(None) };
        if !self.rows.times.iter().any(|time| is_done(*time)) {
            return Ok(None);
        }
        equally_wide(&mut self.batches)?;
        let schema = self.batches.first().map_or(schema, RecordBatch::schema);
        let whole = concat_batches(&schema, &self.batches)?;
        let count = u32::try_from(self.rows.times.len()).expect("a buffer is bounded");
        let time_of = |place: &u32| self.rows.times[*place as usize];
        let (mut done, waiting): (Vec<u32>, Vec<u32>) =
            (0..count).partition(|place| is_done(time_of(place)));
        done.sort_by_key(time_of);
        let batch = take_record_batch(&whole, &UInt32Array::from(done.clone()))?;
        let Rows { times, keys, offsets, numbers } = self.rows.take(&done);
        self.batches.clear();
        if !waiting.is_empty() {
            self.batches.push(take_record_batch(&whole, &UInt32Array::from(waiting.clone()))?);
        }
        self.rows = self.rows.take(&waiting);
        Ok(Some(Sealed { batch, times, keys, offsets, numbers }))
    }
}
