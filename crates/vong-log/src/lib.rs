//! The durable append log: group commit, CRC, cursors, trim.
//!
//! Every fact enters the product here and nowhere else; its [`Offset`] is its identity everywhere.
//! Invariants: an offset that was handed out is durable; offsets are dense; the entries of one
//! append are all there after a crash or none is; damage is reported, never skipped. (Only damage
//! that hides how many offsets were given out makes the log go on at a higher one.)
//!
//! [`FileLog`] keeps segment files (layout and limits: `format`), [`MemLog`] keeps nothing past
//! the process. Both pass [`conformance::run`]. The log knows neither who writes nor who reads.

mod codec;
mod config;
pub mod conformance;
mod cursor;
mod damage;
mod disk;
mod durable;
mod error;
mod file;
mod format;
mod fsck;
mod inspect;
mod mem;
mod metrics;
mod retention;
mod segment;
mod snapshots;
mod tail;

use std::fmt::Debug;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use arrow::array::RecordBatch;
use tokio::sync::watch;
use vong_model::{EventTime, Offset, Stream};

pub use config::LogConfig;
pub use damage::Damage;
pub use error::Error;
pub use file::{Cut, FileLog, Health, Recovery, SLOW_SYNC};
pub use fsck::{Report, SegmentReport, SegmentState, fsck};
pub use mem::MemLog;
pub use metrics::LogMetrics;
pub use retention::{Retention, Trimmed};
pub use snapshots::{Found, Snapshots};

/// A future that may be held in a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is appended: rows of one stream. `batch` has exactly `stream.schema()`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub stream: Stream,
    pub batch: RecordBatch,
}

impl Entry {
    pub fn new(stream: Stream, batch: RecordBatch) -> Self {
        Self { stream, batch }
    }
}

/// What is read back: an entry, its place, and when it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub offset: Offset,
    /// Our clock at the commit; never goes back along the log.
    pub appended_at: EventTime,
    pub stream: Stream,
    pub batch: RecordBatch,
}

/// A closed part of the log: complete, immutable, trimmed only as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRange {
    pub first: Offset,
    /// The offset after the last one in it.
    pub next: Offset,
    /// Its size on disk.
    pub bytes: u64,
    /// When its last record was appended, by our clock.
    pub closed_at: EventTime,
}

/// A durable, totally ordered sequence of records.
pub trait Log: Send + Sync + Debug + 'static {
    /// Durable once it resolves; entries get consecutive offsets, in order, all or nothing after a
    /// crash. Dropping the future does not take the entries back. However slow the disk is, an
    /// append waits for it: nothing times out, nothing is dropped, and when the queue is full the
    /// next appender waits for a place.
    ///
    /// # Errors
    /// [`Error::Schema`] and [`Error::TooLarge`] for entries that can never be written. The others
    /// say that the append is not acknowledged and may be tried again: [`Error::DiskFull`] while
    /// there is no space (what people and the engine decide is still taken, from a reserve),
    /// [`Error::Sync`] when the disk failed to make it durable, [`Error::Io`] when it refused.
    /// After such an error and a crash the entries may be found, whole, or not; while the log stays
    /// open they are not there.
    fn append(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Range<Offset>, Error>>;

    /// As [`Self::append`], from a plain thread; panics inside an async runtime.
    fn append_blocking(&self, entries: Vec<Entry>) -> Result<Range<Offset>, Error>;

    /// Durable records from `from`, about `max_bytes` of them at most, but at least one if there is
    /// one; empty at or past [`Self::head`]. Blocks on disk; recent records come from memory
    /// without copying.
    ///
    /// # Errors
    /// [`Error::Trimmed`] below [`Self::floor`], [`Error::Damaged`] where bytes contradict their
    /// checksum; [`Error::resume_at`] says where to go on.
    fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>, Error>;

    /// First offset that is still kept.
    fn floor(&self) -> Offset;

    /// First offset that is not yet durable: the next to be given out.
    fn head(&self) -> Offset;

    /// The durable head; changes with each commit.
    fn watch(&self) -> watch::Receiver<Offset>;

    /// Identity of this log's lineage, drawn when it was created: offsets compare only within one.
    fn epoch(&self) -> &str;

    /// The closed parts, oldest first, without holes.
    fn sealed(&self) -> Vec<SealedRange>;

    /// Forgets whole closed parts that lie below `below`; [`Self::floor`] says how far it got.
    fn trim(&self, below: Offset) -> Result<(), Error>;

    /// Forgets closed parts that `retention` does not keep, oldest first, never past `low_water`:
    /// the least offset a reader still needs.
    fn retain(
        &self,
        retention: &Retention,
        now: EventTime,
        low_water: Offset,
    ) -> Result<Trimmed, Error> {
        let trimmed = retention.plan(&self.sealed(), now, low_water);
        if trimmed.parts > 0 {
            self.trim(trimmed.below)?;
        }
        Ok(trimmed)
    }

    /// Where the reader called `name` has said it is; `None` when it never has.
    fn cursor_get(&self, name: &str) -> Result<Option<Offset>, Error>;

    /// Remembers, durably, where the reader called `name` (`a-z 0-9 - _`, at most 64) is.
    fn cursor_set(&self, name: &str, offset: Offset) -> Result<(), Error>;
}

#[cfg(test)]
mod tests;
