//! The log in segment files.
//!
//! One thread writes; appends queue for it, and whatever queued while the disk was busy shares the
//! next write and sync. Readers take recent records from memory and older ones from the files.
//! Dropping the last handle finishes the queue and frees the directory.

mod recover;
mod writer;

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::buffer::Buffer;
use parking_lot::RwLock;
use tokio::sync::{oneshot, watch};
use vong_model::{EventTime, Offset};
use vong_runtime::Clock;
use vong_runtime::channel::{Capacity, Sender, WhenFull, bounded};
use vong_telemetry::Metrics;

use crate::codec::{self, Encoded};
use crate::disk::{Disk, RealDisk};
use crate::format::{self, Bad, HEADER_BYTES, IndexEntry, Kind};
use crate::metrics::LogMetrics;
use crate::segment::{self, Scanner, Step};
use crate::tail::Tail;
use crate::{BoxFuture, Entry, Error, Log, LogConfig, Record, SealedRange, cursor};

pub(crate) use recover::hex;
pub use recover::{Cut, Recovery};

/// A handle on a log in files; cheap to clone.
#[derive(Clone, Debug)]
pub struct FileLog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// `None` only while dropping: closing the queue is what ends the writer.
    queue: Option<Sender<Append>>,
    writer: Option<JoinHandle<()>>,
    recovery: Recovery,
    /// Held as long as any handle lives; the operating system frees it with the process.
    _lock: File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(dir = %self.shared.dir.display(), "log writer panicked (a bug)");
        }
    }
}

/// What the writer changes and readers read.
#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    epoch: String,
    state: RwLock<State>,
    head: watch::Sender<Offset>,
    metrics: LogMetrics,
}

#[derive(Debug)]
struct State {
    sealed: VecDeque<Sealed>,
    active: Active,
    head: Offset,
    tail: Tail,
}

/// A closed segment.
#[derive(Debug)]
struct Sealed {
    first: Offset,
    next: Offset,
    bytes: u64,
    index: Arc<[IndexEntry]>,
}

/// The segment that grows.
#[derive(Debug)]
struct Active {
    first: Offset,
    durable_bytes: u64,
    index: Vec<IndexEntry>,
}

impl State {
    fn floor(&self) -> Offset {
        self.sealed.front().map_or(self.active.first, |oldest| oldest.first)
    }
}

/// One append on its way to the writer.
#[derive(Debug)]
struct Append {
    entries: Vec<Encoded>,
    done: oneshot::Sender<Result<Range<Offset>, Error>>,
}

impl FileLog {
    /// Opens the log in `config.dir`, creating it if there is none. `seed` makes the epoch of a new
    /// log. What a crash left unfinished is cut; see [`Self::recovery`].
    ///
    /// # Errors
    /// [`Error::Locked`] when another process holds the directory; [`Error::Corrupt`] when the
    /// files contradict themselves in a way no crash explains.
    pub fn open(config: LogConfig, clock: Arc<dyn Clock>, seed: u64) -> Result<Self, Error> {
        Self::open_with(config, clock, seed, LogMetrics::new(&Metrics::new()))
    }

    /// As [`Self::open`], counting in `metrics`.
    pub fn open_with(
        config: LogConfig,
        clock: Arc<dyn Clock>,
        seed: u64,
        metrics: LogMetrics,
    ) -> Result<Self, Error> {
        Self::open_on(Box::new(RealDisk), config, clock, seed, metrics)
    }

    pub(crate) fn open_on(
        disk: Box<dyn Disk>,
        config: LogConfig,
        clock: Arc<dyn Clock>,
        seed: u64,
        metrics: LogMetrics,
    ) -> Result<Self, Error> {
        config.check()?;
        let lock = recover::lock(&config.dir)?;
        let opened = recover::open(&*disk, &config, clock.now(), seed)?;
        let recover::Opened { epoch, state, recovery, sha256, appended_at, created_at } = opened;
        let LogConfig { dir, segment_bytes, segment_age, tail_bytes: _ } = config;
        if let Some(cut) = &recovery.cut {
            metrics.recovery_cut_bytes.inc_by(cut.bytes);
        }
        let (head, _) = watch::channel(state.head);
        let shared =
            Arc::new(Shared { dir, epoch: hex(&epoch), state: RwLock::new(state), head, metrics });
        // Full: the appender waits, so that pressure reaches the edge it came from.
        let (queue, requests) = bounded("log/append", Capacity::items(256), WhenFull::Wait);
        let start = writer::Start { epoch, sha256, appended_at, created_at };
        let rotation = writer::Rotation { segment_bytes, segment_age };
        let writer = writer::Writer::new(Arc::clone(&shared), disk, clock, rotation, start)?;
        let writer = vong_runtime::thread::spawn("vong-log", move || writer.run(requests))
            .map_err(|e| Error::io("start the log writer", &shared.dir, e))?;
        let inner =
            Inner { shared, queue: Some(queue), writer: Some(writer), recovery, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What opening found and did.
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    fn prepare(&self, entries: Vec<Entry>) -> Result<Vec<Encoded>, Error> {
        format::check_group(entries.len())?;
        let entries =
            entries.into_iter().map(codec::validate).collect::<Result<Vec<_>, Error>>()?;
        let encoded =
            entries.into_iter().map(codec::encode).collect::<Result<Vec<Encoded>, Error>>()?;
        let mut found = 0;
        for Encoded { body, .. } in &encoded {
            found += body.len();
            if body.len() > format::MAX_BODY_BYTES {
                let (found, limit) = (body.len(), format::MAX_BODY_BYTES);
                return Err(Error::TooLarge { what: "bytes in one entry", found, limit });
            }
        }
        if found > format::MAX_GROUP_BYTES {
            let limit = format::MAX_GROUP_BYTES;
            return Err(Error::TooLarge { what: "bytes in one append", found, limit });
        }
        Ok(encoded)
    }

    fn queue(&self) -> Result<&Sender<Append>, Error> {
        self.inner.queue.as_ref().ok_or(Error::Closed)
    }

    /// Where to begin in the files to find `from`.
    fn locate(state: &State, from: Offset) -> Place {
        let before = state.sealed.partition_point(|segment| segment.next <= from);
        let (first, end, index) = match state.sealed.get(before) {
            Some(Sealed { first, bytes, index, .. }) => (*first, *bytes, &index[..]),
            None => {
                let Active { first, durable_bytes, index } = &state.active;
                (*first, *durable_bytes, &index[..])
            }
        };
        let entry = index.partition_point(|entry| entry.offset <= from).checked_sub(1);
        let start = entry
            .and_then(|entry| index.get(entry))
            .map_or(HEADER_BYTES as u64, |entry| u64::from(entry.position));
        Place { first, start, end }
    }

    fn read_files(
        &self,
        place: Place,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Record>, Error> {
        let path = segment::path_of(&self.inner.shared.dir, place.first);
        let mut scanner = Scanner::open(&path, place.start, Some(place.end))?;
        let mut taken = 0_usize;
        let mut found = Vec::new();
        loop {
            let (position, header, body) = match scanner.step()? {
                Step::Record { position, header, body } => (position, header, body),
                Step::End => break,
                Step::Bad { position, bad } => {
                    return Err(segment::corrupt(&path, position, &bad));
                }
            };
            let Kind::Batch(stream) = header.kind else { break };
            if header.offset < from {
                continue;
            }
            if !found.is_empty() && taken.saturating_add(body.len()) > max_bytes {
                break;
            }
            taken = taken.saturating_add(body.len());
            let batch = codec::from_ipc(stream, Buffer::from(body)).map_err(|e| {
                segment::corrupt(&path, position, &Bad::What(format!("record body: {e}")))
            })?;
            let appended_at = EventTime::from_micros(header.appended_at);
            found.push(Record { offset: header.offset, appended_at, stream, batch });
        }
        Ok(found)
    }
}

/// Bytes of one segment.
#[derive(Clone, Copy, Debug)]
struct Place {
    first: Offset,
    start: u64,
    end: u64,
}

impl Log for FileLog {
    fn append(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Range<Offset>, Error>> {
        Box::pin(async move {
            let entries = self.prepare(entries)?;
            if entries.is_empty() {
                return Ok(self.head()..self.head());
            }
            let (done, answer) = oneshot::channel();
            let request = Append { entries, done };
            self.queue()?.send(request).await.map_err(|_closed| Error::Closed)?;
            answer.await.map_err(|_closed| Error::Closed)?
        })
    }

    fn append_blocking(&self, entries: Vec<Entry>) -> Result<Range<Offset>, Error> {
        let entries = self.prepare(entries)?;
        if entries.is_empty() {
            return Ok(self.head()..self.head());
        }
        let (done, answer) = oneshot::channel();
        let request = Append { entries, done };
        self.queue()?.blocking_send(request).map_err(|_closed| Error::Closed)?;
        answer.blocking_recv().map_err(|_closed| Error::Closed)?
    }

    fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>, Error> {
        let place = {
            let state = self.inner.shared.state.read();
            let floor = state.floor();
            if from < floor {
                return Err(Error::Trimmed { from, floor });
            }
            if from >= state.head {
                return Ok(Vec::new());
            }
            if state.tail.first().is_some_and(|first| first <= from) {
                return Ok(state.tail.read(from, max_bytes));
            }
            Self::locate(&state, from)
        };
        // Without the lock: appends and other readers go on while this one waits for the disk.
        self.read_files(place, from, max_bytes).map_err(|error| {
            let floor = self.floor();
            if from < floor { Error::Trimmed { from, floor } } else { error } // trimmed meanwhile
        })
    }

    fn floor(&self) -> Offset {
        self.inner.shared.state.read().floor()
    }

    fn head(&self) -> Offset {
        self.inner.shared.state.read().head
    }

    fn watch(&self) -> watch::Receiver<Offset> {
        self.inner.shared.head.subscribe()
    }

    fn epoch(&self) -> &str {
        &self.inner.shared.epoch
    }

    fn sealed(&self) -> Vec<SealedRange> {
        let range = |segment: &Sealed| {
            let Sealed { first, next, bytes, .. } = segment;
            SealedRange { first: *first, next: *next, bytes: *bytes }
        };
        self.inner.shared.state.read().sealed.iter().map(range).collect()
    }

    fn trim(&self, below: Offset) -> Result<(), Error> {
        let Shared { dir, state, metrics, .. } = &*self.inner.shared;
        loop {
            let first = {
                let mut state = state.write();
                let Some(oldest) = state.sealed.front().filter(|s| s.next <= below) else { break };
                let first = oldest.first;
                state.sealed.pop_front();
                let floor = state.floor();
                state.tail.drop_below(floor);
                metrics.floor.set(i64::try_from(floor.0).unwrap_or(i64::MAX));
                metrics.segments.dec();
                first
            };
            // Oldest first, so that a crash in between leaves no hole.
            let path = segment::path_of(dir, first);
            std::fs::remove_file(&path).map_err(|e| Error::io("delete segment", &path, e))?;
        }
        vong_runtime::fs::sync_directory(dir)
            .map_err(|e| Error::io("sync the log directory", dir, e))
    }

    fn cursor_get(&self, name: &str) -> Result<Option<Offset>, Error> {
        cursor::get(&self.inner.shared.dir, &self.inner.shared.epoch, name)
    }

    fn cursor_set(&self, name: &str, offset: Offset) -> Result<(), Error> {
        cursor::set(&self.inner.shared.dir, &self.inner.shared.epoch, name, offset)
    }
}

#[cfg(test)]
mod tests;
