//! The log in segment files.
//!
//! One thread writes; appends queue for it, and whatever queued while the disk was busy shares the
//! next write and sync. Readers take recent records from memory and older ones from the files.
//! Dropping the last handle finishes the queue and frees the directory.

mod read;
mod recover;
mod reserve;
mod segments;
mod writer;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};
use vong_model::{EventTime, Offset};
use vong_runtime::Clock;
use vong_runtime::channel::{Capacity, Receiver, Sender, WhenFull, bounded};
use vong_telemetry::Metrics;

use crate::codec::{self, Encoded};
use crate::damage::{Damage, Quarantine};
use crate::disk::{Disk, Lock, RealDisk};
use crate::format::{self, Frame, VERSION};
use crate::metrics::LogMetrics;
use crate::{BoxFuture, Entry, Error, Log, LogConfig, Record, SealedRange, cursor};

pub(crate) use recover::hex;
pub use recover::{Cut, Recovery};
use reserve::Urgency;
use segments::{Active, Sealed, State};
use writer::Writer;

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
    /// Held as long as any handle lives.
    _lock: Lock,
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
    disk: Arc<dyn Disk>,
    epoch: String,
    /// What records are checked with where a header cannot be read.
    frame: Frame,
    state: RwLock<State>,
    /// Taken by whoever trims, so that files go in order.
    trimming: Mutex<()>,
    quarantine: Mutex<Quarantine>,
    health: watch::Sender<Health>,
    head: watch::Sender<Offset>,
    metrics: LogMetrics,
}

/// A disk that takes longer to make a commit durable is worth an operator's look.
pub const SLOW_SYNC: Duration = Duration::from_secs(2);

/// How a log is, for those who watch over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Bulk data is refused; what may not wait is written from the reserve.
    pub disk_full: bool,
    /// Commits that the disk could not make durable, since the log was opened.
    pub sync_failures: u64,
    /// Commits for which the disk took longer than [`SLOW_SYNC`], since the log was opened,
    pub slow_syncs: u64,
    /// and how long the last of them took.
    pub slow_sync_took: Duration,
    /// Damage known so far: met at the start or by a reader.
    pub quarantined: Vec<Damage>,
}

/// One append on its way to the writer.
#[derive(Debug)]
struct Append {
    entries: Vec<Encoded>,
    urgency: Urgency,
    done: oneshot::Sender<Result<Range<Offset>, Error>>,
}

impl FileLog {
    /// Opens the log in `config.dir`, creating it if there is none. `seed` makes the epoch of a new
    /// log. What a crash left unfinished is cut, what is damaged is quarantined; see
    /// [`Self::recovery`].
    ///
    /// # Errors
    /// [`Error::Locked`] when another process holds the directory; [`Error::Version`] for files of
    /// a later program; [`Error::Corrupt`] when the files do not say which log they are.
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
        Self::open_on(Arc::new(RealDisk), config, clock, seed, metrics)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        clock: Arc<dyn Clock>,
        seed: u64,
        metrics: LogMetrics,
    ) -> Result<Self, Error> {
        let (mut log, writer, requests) = Self::assemble(disk, &config, clock, seed, metrics)?;
        let LogConfig { dir, .. } = config;
        let thread = vong_runtime::thread::spawn("vong-log", move || writer.run(requests));
        log.writer = Some(thread.map_err(|e| Error::io("start the log writer", &dir, e))?);
        Ok(Self { inner: Arc::new(log) })
    }

    /// The parts of an open log, before its writer runs anywhere.
    fn assemble(
        disk: Arc<dyn Disk>,
        config: &LogConfig,
        clock: Arc<dyn Clock>,
        seed: u64,
        metrics: LogMetrics,
    ) -> Result<(Inner, Writer, Receiver<Append>), Error> {
        config.check()?;
        let lock = recover::lock(&*disk, &config.dir)?;
        let opened = recover::open(&*disk, config, clock.now(), seed)?;
        let recover::Opened { epoch, state, recovery, quarantine, appended_at, resume } = opened;
        if let Some(cut) = &recovery.cut {
            metrics.recovery_cut_bytes.inc_by(cut.bytes);
        }
        let (head, _) = watch::channel(state.head);
        let shared = Arc::new(Shared {
            dir: config.dir.clone(),
            disk,
            epoch: hex(&epoch),
            frame: Frame { version: VERSION, epoch },
            state: RwLock::new(state),
            trimming: Mutex::new(()),
            quarantine: Mutex::new(quarantine),
            health: watch::Sender::default(),
            head,
            metrics,
        });
        shared.show_quarantine();
        // Full: the appender waits, so that pressure reaches the edge it came from.
        let (queue, requests) = bounded("log/append", Capacity::items(256), WhenFull::Wait);
        let start = writer::Start { appended_at, resume };
        let writer = Writer::new(Arc::clone(&shared), config, clock, start)?;
        let inner = Inner { shared, queue: Some(queue), writer: None, recovery, _lock: lock };
        Ok((inner, writer, requests))
    }

    /// What opening found and did.
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    /// How the log is, and how it changes: whoever raises alerts about the product itself asks here.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.shared.health.subscribe()
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
}

impl Shared {
    /// Notes damage; the first time it is met it is also said aloud.
    fn quarantine(&self, first: Offset, damage: &Damage) {
        if self.quarantine.lock().add(first, damage.clone()) {
            tracing::error!(%damage, advice = damage.advice(), "a log segment is quarantined");
            self.show_quarantine();
        }
    }

    fn show_quarantine(&self) {
        let quarantine = self.quarantine.lock();
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.quarantined_segments.set(gauge(quarantine.segments() as u64));
        self.metrics.lost_offsets.set(gauge(quarantine.lost_offsets()));
        let quarantined = quarantine.all();
        self.health.send_if_modified(|health| {
            let changed = health.quarantined != quarantined;
            health.quarantined = quarantined;
            changed
        });
    }
}

impl Append {
    fn new(entries: Vec<Encoded>) -> (Self, oneshot::Receiver<Result<Range<Offset>, Error>>) {
        let (done, answer) = oneshot::channel();
        let urgency = Urgency::of(entries.iter().map(|entry| entry.stream));
        (Self { entries, urgency, done }, answer)
    }
}

impl Log for FileLog {
    fn append(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Range<Offset>, Error>> {
        Box::pin(async move {
            let entries = self.prepare(entries)?;
            if entries.is_empty() {
                return Ok(self.head()..self.head());
            }
            let (request, answer) = Append::new(entries);
            self.queue()?.send(request).await.map_err(|_closed| Error::Closed)?;
            answer.await.map_err(|_closed| Error::Closed)?
        })
    }

    fn append_blocking(&self, entries: Vec<Entry>) -> Result<Range<Offset>, Error> {
        let entries = self.prepare(entries)?;
        if entries.is_empty() {
            return Ok(self.head()..self.head());
        }
        let (request, answer) = Append::new(entries);
        self.queue()?.blocking_send(request).map_err(|_closed| Error::Closed)?;
        answer.blocking_recv().map_err(|_closed| Error::Closed)?
    }

    fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>, Error> {
        self.inner.shared.read(from, max_bytes)
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
            let Sealed { first, next, bytes, closed_at, index: _ } = segment;
            let closed_at = EventTime::from_micros(*closed_at);
            SealedRange { first: *first, next: *next, bytes: *bytes, closed_at }
        };
        self.inner.shared.state.read().sealed.iter().map(range).collect()
    }

    fn trim(&self, below: Offset) -> Result<(), Error> {
        self.inner.shared.trim(below)
    }

    fn cursor_get(&self, name: &str) -> Result<Option<Offset>, Error> {
        let Shared { disk, dir, epoch, .. } = &*self.inner.shared;
        cursor::get(&**disk, dir, epoch, name)
    }

    fn cursor_set(&self, name: &str, offset: Offset) -> Result<(), Error> {
        let Shared { disk, dir, epoch, .. } = &*self.inner.shared;
        cursor::set(&**disk, dir, epoch, (name, offset))
    }
}

#[cfg(test)]
mod tests;
