//! A log that lives as long as the process: for tests, and for commands that need no disk.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;
use vong_model::{EventTime, Offset};
use vong_runtime::Clock;

use crate::{BoxFuture, Entry, Error, Log, Record, SealedRange, codec, format};

/// Records in memory; cheap to clone, all clones are one log.
#[derive(Clone)]
pub struct MemLog {
    inner: Arc<Inner>,
}

struct Inner {
    epoch: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    head: watch::Sender<Offset>,
}

#[derive(Default)]
struct State {
    floor: Offset,
    last_appended_at: i64,
    records: VecDeque<(usize, Record)>,
    sealed: VecDeque<SealedRange>,
    cursors: BTreeMap<String, Offset>,
}

impl State {
    fn head(&self) -> Offset {
        Offset(self.floor.0 + self.records.len() as u64)
    }
}

impl fmt::Debug for MemLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemLog").field("epoch", &self.inner.epoch).finish_non_exhaustive()
    }
}

impl MemLog {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let epoch = format!("memory-{}", CREATED.fetch_add(1, Ordering::Relaxed));
        let (head, _) = watch::channel(Offset::ZERO);
        Self { inner: Arc::new(Inner { epoch, clock, state: Mutex::default(), head }) }
    }

    /// Closes what was appended since the last seal, as a file log does by size and age.
    pub fn seal(&self) {
        let mut state = self.inner.state.lock();
        let first = state.sealed.back().map_or(state.floor, |last| last.next);
        let next = state.head();
        if first == next {
            return;
        }
        let skip = usize::try_from(first.0 - state.floor.0).unwrap_or(usize::MAX);
        let bytes = state.records.iter().skip(skip).map(|(bytes, _)| *bytes as u64).sum();
        let closed_at = EventTime::from_micros(state.last_appended_at);
        state.sealed.push_back(SealedRange { first, next, bytes, closed_at });
    }

    fn append_now(&self, entries: Vec<Entry>) -> Result<Range<Offset>, Error> {
        format::check_group(entries.len())?;
        let entries =
            entries.into_iter().map(codec::validate).collect::<Result<Vec<_>, Error>>()?;
        let mut state = self.inner.state.lock();
        let now = self.inner.clock.now().max(state.last_appended_at);
        state.last_appended_at = now;
        let first = state.head();
        for Entry { stream, batch } in entries {
            let offset = state.head();
            let bytes = batch.get_array_memory_size();
            let appended_at = EventTime::from_micros(now);
            state.records.push_back((bytes, Record { offset, appended_at, stream, batch }));
        }
        let next = state.head();
        if next != first {
            self.inner.head.send_replace(next); // under the lock: heads are seen in order
        }
        Ok(first..next)
    }
}

impl Log for MemLog {
    fn append(&self, entries: Vec<Entry>) -> BoxFuture<'_, Result<Range<Offset>, Error>> {
        Box::pin(async move { self.append_now(entries) })
    }

    fn append_blocking(&self, entries: Vec<Entry>) -> Result<Range<Offset>, Error> {
        self.append_now(entries)
    }

    fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>, Error> {
        let state = self.inner.state.lock();
        if from < state.floor {
            return Err(Error::Trimmed { from, floor: state.floor });
        }
        let skip = usize::try_from(from.0 - state.floor.0).unwrap_or(usize::MAX);
        let mut taken = 0_usize;
        let mut found = Vec::new();
        for (bytes, record) in state.records.iter().skip(skip) {
            if !found.is_empty() && taken.saturating_add(*bytes) > max_bytes {
                break;
            }
            taken = taken.saturating_add(*bytes);
            found.push(record.clone());
        }
        Ok(found)
    }

    fn floor(&self) -> Offset {
        self.inner.state.lock().floor
    }

    fn head(&self) -> Offset {
        self.inner.state.lock().head()
    }

    fn watch(&self) -> watch::Receiver<Offset> {
        self.inner.head.subscribe()
    }

    fn epoch(&self) -> &str {
        &self.inner.epoch
    }

    fn sealed(&self) -> Vec<SealedRange> {
        self.inner.state.lock().sealed.iter().copied().collect()
    }

    fn trim(&self, below: Offset) -> Result<(), Error> {
        let mut state = self.inner.state.lock();
        while let Some(range) = state.sealed.front().copied()
            && range.next <= below
        {
            state.sealed.pop_front();
            let dropped = usize::try_from(range.next.0 - state.floor.0).unwrap_or(usize::MAX);
            let dropped = dropped.min(state.records.len());
            state.records.drain(..dropped);
            state.floor = range.next;
        }
        Ok(())
    }

    fn cursor_get(&self, name: &str) -> Result<Option<Offset>, Error> {
        format::check_cursor_name(name)?;
        Ok(self.inner.state.lock().cursors.get(name).copied())
    }

    fn cursor_set(&self, name: &str, offset: Offset) -> Result<(), Error> {
        format::check_cursor_name(name)?;
        self.inner.state.lock().cursors.insert(name.to_owned(), offset);
        Ok(())
    }
}
