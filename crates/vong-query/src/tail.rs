//! The live tail: rows of the log that the history does not have yet, as Arrow batches.
//!
//! Kept between queries and extended by what is new, so that a query over the tail costs what was
//! appended since the last one, not the whole tail. Small batches are joined: an MQTT burst of one
//! row each must not become ten thousand batches in a plan.
//!
//! Damage of the log costs a query the rows it hit and no others; the moment names their offsets.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use parking_lot::Mutex;
use vong_log::{Log, Record};
use vong_model::{Offset, Stream};
use vong_store::{LOG_OFFSET, Store, StoreSnapshot};

use crate::Error;

/// Rows at which small batches are joined for good.
const CHUNK_ROWS: usize = 8 * 1024;
/// More small batches than this are joined before a query sees them.
const LOOSE_BATCHES: usize = 8;
/// How much of the log is read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// One moment of everything: files below `covered`, log rows from there to `head`.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) store: StoreSnapshot,
    /// First offset that is not seen.
    pub(crate) head: Offset,
    /// Offsets between the files and `head` whose records the log lost, in order.
    pub(crate) lost: Vec<Range<Offset>>,
    tail: BTreeMap<Stream, Vec<RecordBatch>>,
}

impl Moment {
    /// Log rows of one stream, in log order, with [`table_schema`].
    pub(crate) fn tail(&self, stream: Stream) -> &[RecordBatch] {
        self.tail.get(&stream).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn tail_rows(&self, stream: Stream) -> usize {
        self.tail(stream).iter().map(RecordBatch::num_rows).sum()
    }
}

/// The columns of a stream as an SQL table: its own, then `log_offset`.
pub(crate) fn table_schema(stream: Stream) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = stream.schema().fields().iter().map(Arc::clone).collect();
    fields.push(Arc::new(Field::new(LOG_OFFSET, DataType::UInt64, false)));
    Arc::new(Schema::new(fields))
}

/// The tail between queries.
#[derive(Debug)]
pub(crate) struct TailCache {
    log: Arc<dyn Log>,
    store: Store,
    max_rows: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// First offset that was not read yet.
    next: Offset,
    rows: usize,
    /// What was passed over on the way to `next`.
    lost: Vec<Range<Offset>>,
    streams: BTreeMap<Stream, StreamTail>,
}

/// Rows of one stream in log order: `chunks`, then `loose`.
#[derive(Debug, Default)]
struct StreamTail {
    chunks: Vec<RecordBatch>,
    loose: Vec<RecordBatch>,
    loose_rows: usize,
}

impl TailCache {
    pub(crate) fn new(log: Arc<dyn Log>, store: Store, max_rows: usize) -> Self {
        Self { log, store, max_rows, state: Mutex::default() }
    }

    /// Fixes the moment a query sees. Blocks on disk when the log has rows not read before.
    pub(crate) fn moment(&self) -> Result<Moment, Error> {
        let mut state = self.state.lock();
        loop {
            // In this order: what is covered now stays in the files, so head is never below it,
            let store = self.store.snapshot();
            // and whatever is appended from here on is not part of the moment.
            let head = self.log.head();
            match state.advance(&*self.log, store.covered(), head, self.max_rows) {
                Ok(()) => return state.view(store, head),
                // The log may have been trimmed below what was archived meanwhile: look again.
                Err(Error::Log(vong_log::Error::Trimmed { .. }))
                    if self.store.covered() > store.covered() => {}
                Err(e) => {
                    *state = State::default(); // perhaps half advanced
                    return Err(e);
                }
            }
        }
    }
}

impl State {
    fn advance(
        &mut self,
        log: &dyn Log,
        covered: Offset,
        head: Offset,
        max_rows: usize,
    ) -> Result<(), Error> {
        self.drop_below(covered);
        self.next = self.next.max(covered);
        while self.next < head {
            let records = match log.read(self.next, READ_BYTES) {
                Ok(records) => records,
                Err(e) => {
                    self.pass_damage(e, head)?;
                    continue;
                }
            };
            let before = self.next;
            for record in records.into_iter().filter(|record| record.offset < head) {
                self.next = record.offset.next();
                self.push(record).map_err(Error::Tail)?;
            }
            if self.next == before {
                return Err(Error::LogEndsEarly { found: before, head });
            }
            if self.rows > max_rows {
                return Err(Error::TailTooLong { rows: self.rows, limit: max_rows });
            }
        }
        Ok(())
    }

    /// Goes on behind damaged records; what retention took meanwhile is in the files.
    fn pass_damage(&mut self, error: vong_log::Error, head: Offset) -> Result<(), Error> {
        let vong_log::Error::Damaged { until, .. } = &error else { return Err(Error::Log(error)) };
        let until = (*until).min(head);
        if until <= self.next {
            return Err(Error::Log(error));
        }
        tracing::warn!(%error, "queries go on behind lost records");
        self.lost.push(self.next..until);
        self.next = until;
        Ok(())
    }

    fn push(&mut self, record: Record) -> Result<(), ArrowError> {
        let Record { offset, appended_at: _, stream, batch } = record;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(UInt64Array::from_value(offset.0, batch.num_rows())));
        let batch = RecordBatch::try_new(table_schema(stream), columns)?;
        self.rows += batch.num_rows();
        let tail = self.streams.entry(stream).or_default();
        tail.loose_rows += batch.num_rows();
        tail.loose.push(batch);
        if tail.loose_rows >= CHUNK_ROWS {
            let chunk = concat_batches(&table_schema(stream), &tail.loose)?;
            tail.chunks.push(chunk);
            tail.loose.clear();
            tail.loose_rows = 0;
        }
        Ok(())
    }

    /// Forgets batches that lie wholly below `covered`.
    fn drop_below(&mut self, covered: Offset) {
        self.rows = 0;
        self.lost.retain(|lost| lost.end > covered);
        for tail in self.streams.values_mut() {
            tail.chunks.retain(|batch| last_offset(batch) >= Some(covered.0));
            tail.loose.retain(|batch| last_offset(batch) >= Some(covered.0));
            tail.loose_rows = tail.loose.iter().map(RecordBatch::num_rows).sum();
            self.rows += tail.chunks.iter().map(RecordBatch::num_rows).sum::<usize>();
            self.rows += tail.loose_rows;
        }
    }

    fn view(&mut self, store: StoreSnapshot, head: Offset) -> Result<Moment, Error> {
        let mut seen = BTreeMap::new();
        for (stream, tail) in &mut self.streams {
            if tail.loose.len() > LOOSE_BATCHES {
                let joined =
                    concat_batches(&table_schema(*stream), &tail.loose).map_err(Error::Tail)?;
                tail.loose = vec![joined];
            }
            let batches = tail.chunks.iter().chain(&tail.loose);
            let batches: Vec<RecordBatch> =
                batches.filter_map(|batch| from_offset(batch, store.covered())).collect();
            seen.insert(*stream, batches);
        }
        let covered = store.covered();
        let lost = self.lost.iter().map(|lost| lost.start.max(covered)..lost.end).collect();
        Ok(Moment { store, head, lost, tail: seen })
    }
}

fn offsets(batch: &RecordBatch) -> &[u64] {
    let column = batch.columns().last().and_then(|c| c.as_primitive_opt::<UInt64Type>());
    column.map(|column| column.values().as_ref()).unwrap_or_default()
}

fn last_offset(batch: &RecordBatch) -> Option<u64> {
    offsets(batch).last().copied()
}

/// The rows at or above `covered`, if there are any.
fn from_offset(batch: &RecordBatch, covered: Offset) -> Option<RecordBatch> {
    let skip = offsets(batch).partition_point(|offset| *offset < covered.0);
    (skip < batch.num_rows()).then(|| batch.slice(skip, batch.num_rows() - skip))
}
