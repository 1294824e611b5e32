//! The one thread that writes: takes what queued, writes it once, syncs once, tells everybody.
//!
//! Order of effects in a commit: write, sync, publish to readers, answer. Nothing is published or
//! answered that is not durable. A failed write is taken back and may be tried again; a failed
//! sync is final, because nobody knows any more what the disk holds.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::Instant;
use vong_model::{EventTime, Offset};
use vong_runtime::Clock;
use vong_runtime::channel::Receiver;

use super::{Active, Append, Sealed, Shared};
use crate::codec::Encoded;
use crate::disk::{Disk, DiskFile};
use crate::error::is_full;
use crate::format::{self, HEADER_BYTES, Kind, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader};
use crate::metrics::Failure;
use crate::{Error, Record, durable, segment};

/// One write takes what is queued up to about this much.
const MAX_WRITE_BYTES: usize = 8 * 1024 * 1024;

/// Where the writer goes on.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) epoch: [u8; 16],
    pub(super) sha256: Sha256,
    pub(super) appended_at: i64,
    pub(super) created_at: i64,
}

/// When a segment is closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) segment_bytes: u64,
    pub(super) segment_age: Duration,
}

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    disk: Box<dyn Disk>,
    clock: Arc<dyn Clock>,
    rotation: Rotation,
    epoch: [u8; 16],
    appended_at: i64,
    next: Offset,
    open: Open,
    /// Set once, by a failed sync.
    stopped: Option<Error>,
    buffer: Vec<u8>,
}

/// The segment being written.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    first: Offset,
    position: u64,
    created_at: i64,
    sha256: Sha256,
    /// The seal is durable, and this is what the next segment starts from.
    sealed: Option<[u8; 32]>,
}

type Answer = oneshot::Sender<Result<Range<Offset>, Error>>;

/// What one commit makes durable, until it has.
#[derive(Debug, Default)]
struct Commit {
    answers: Vec<(Answer, Range<Offset>)>,
    /// Position in the file, weight in memory, record.
    records: Vec<(u64, usize, Record)>,
    rows: u64,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        disk: Box<dyn Disk>,
        clock: Arc<dyn Clock>,
        rotation: Rotation,
        start: Start,
    ) -> Result<Self, Error> {
        let Start { epoch, sha256, appended_at, created_at } = start;
        let (first, position, next) = {
            let state = shared.state.read();
            let segments = i64::try_from(state.sealed.len() + 1).unwrap_or(i64::MAX);
            shared.metrics.segments.set(segments);
            shared.metrics.floor.set(i64::try_from(state.floor().0).unwrap_or(i64::MAX));
            shared.metrics.head.set(i64::try_from(state.head.0).unwrap_or(i64::MAX));
            (state.active.first, state.active.durable_bytes, state.head)
        };
        let path = segment::path_of(&shared.dir, first);
        let file = disk.open(&path).map_err(|e| Error::io("open segment", &path, e))?;
        let open = Open { path, file, first, position, created_at, sha256, sealed: None };
        Ok(Self {
            shared,
            disk,
            clock,
            rotation,
            epoch,
            appended_at,
            next,
            open,
            stopped: None,
            buffer: Vec::new(),
        })
    }

    /// Works until every handle is gone and the queue is empty.
    pub(super) fn run(mut self, mut requests: Receiver<Append>) {
        while let Some(request) = requests.blocking_recv() {
            let mut bytes = weight(&request);
            let mut batch = vec![request];
            while bytes < MAX_WRITE_BYTES
                && let Some(request) = requests.try_recv()
            {
                bytes += weight(&request);
                batch.push(request);
            }
            self.commit(batch);
        }
        if self.stopped.is_none()
            && let Err(error) =
                durable::write(&self.shared.dir, self.open.first, self.open.position)
        {
            tracing::warn!(%error, "log closed without its note");
        }
    }

    fn commit(&mut self, batch: Vec<Append>) {
        if let Err(error) = self.ready() {
            let reason = match &error {
                Error::DiskFull { .. } => Failure::DiskFull,
                Error::Stopped { .. } => Failure::Sync,
                _ => Failure::Write,
            };
            self.refuse(batch.into_iter().map(|request| request.done), &error, reason);
            return;
        }
        self.appended_at = self.clock.now().max(self.appended_at);
        let commit = self.lay_out(batch);
        if let Err((error, reason)) = self.write_durably() {
            self.refuse(commit.answers.into_iter().map(|(done, _)| done), &error, reason);
            return;
        }
        self.publish(commit);
    }

    /// A segment with room, or why there is none.
    fn ready(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.stopped {
            return Err(error.clone());
        }
        if self.open.sealed.is_none() {
            let age = EventTime::from_micros(self.clock.now())
                .since(EventTime::from_micros(self.open.created_at));
            let Rotation { segment_bytes, segment_age } = self.rotation;
            let empty = self.open.position <= HEADER_BYTES as u64;
            let due = self.open.position >= segment_bytes || age >= segment_age;
            if empty || !due {
                return Ok(());
            }
            self.seal()?;
        }
        self.begin_segment()
    }

    /// Lays the records of `batch` into the buffer, giving out offsets.
    fn lay_out(&mut self, batch: Vec<Append>) -> Commit {
        self.buffer.clear();
        let durable = format::small(usize::try_from(self.open.position).unwrap_or(usize::MAX));
        let mut commit = Commit::default();
        let mut next = self.next;
        for Append { entries, done } in batch {
            let first = next;
            let mut left = u16::try_from(entries.len()).expect("checked against MAX_GROUP");
            for Encoded { stream, batch, body, held_bytes } in entries {
                left -= 1;
                let header = RecordHeader {
                    kind: Kind::Batch(stream),
                    group_left: left,
                    body_bytes: format::small(body.len()),
                    body_crc: crc32c::crc32c(&body),
                    offset: next,
                    appended_at: self.appended_at,
                    durable,
                    rows: format::small(batch.num_rows()),
                };
                let position = self.open.position + self.buffer.len() as u64;
                header.write_to(&mut self.buffer);
                self.buffer.extend_from_slice(&body);
                commit.rows += u64::from(header.rows);
                let appended_at = EventTime::from_micros(self.appended_at);
                let record = Record { offset: next, appended_at, stream, batch };
                commit.records.push((position, held_bytes, record));
                next = next.next();
            }
            commit.answers.push((done, first..next));
        }
        commit
    }

    /// Puts the buffer at the end of the segment; durable once this returns.
    fn write_durably(&mut self) -> Result<(), (Error, Failure)> {
        let Open { path, file, position, .. } = &mut self.open;
        if let Err(source) = file.write_at(&self.buffer, *position) {
            let reason = if is_full(&source) { Failure::DiskFull } else { Failure::Write };
            let error = Error::io("write segment", path, source);
            // Take the part that got there back, so that the next append starts clean.
            if let Err(source) = file.cut(*position) {
                return Err((self.stop(source), Failure::Sync));
            }
            return Err((error, reason));
        }
        let started = Instant::now();
        if let Err(source) = file.sync() {
            return Err((self.stop(source), Failure::Sync));
        }
        self.shared.metrics.sync_seconds.observe(started.elapsed().as_secs_f64());
        self.open.position += self.buffer.len() as u64;
        Ok(())
    }

    /// Shows a durable commit to readers, then to those who wait for it.
    fn publish(&mut self, commit: Commit) {
        let Commit { answers, records, rows } = commit;
        let metrics = &self.shared.metrics;
        metrics.commits.inc();
        metrics.records.inc_by(records.len() as u64);
        metrics.rows.inc_by(rows);
        metrics.bytes.inc_by(self.buffer.len() as u64);
        {
            let mut state = self.shared.state.write();
            for (position, bytes, record) in records {
                segment::push_index(&mut state.active.index, record.offset, position);
                self.next = record.offset.next();
                state.tail.push(bytes, record);
            }
            state.active.durable_bytes = self.open.position;
            state.head = self.next;
        }
        metrics.head.set(i64::try_from(self.next.0).unwrap_or(i64::MAX));
        self.shared.head.send_replace(self.next);
        for (done, range) in answers {
            drop(done.send(Ok(range))); // the appender may have gone away: its rows stay
        }
        self.open.sha256.update(&self.buffer); // after the answers: nobody waits for the chain
        if self.buffer.capacity() > MAX_WRITE_BYTES {
            self.buffer = Vec::new();
        }
    }

    fn seal(&mut self) -> Result<(), Error> {
        let position = format::small(usize::try_from(self.open.position).unwrap_or(usize::MAX));
        let index = {
            let state = self.shared.state.read();
            Arc::<[format::IndexEntry]>::from(&state.active.index[..])
        };
        let body = format::encode_seal(&index, position);
        let header = RecordHeader {
            kind: Kind::Seal,
            group_left: 0,
            body_bytes: format::small(body.len()),
            body_crc: crc32c::crc32c(&body),
            offset: self.next,
            appended_at: self.appended_at,
            durable: position,
            rows: 0,
        };
        self.buffer.clear();
        header.write_to(&mut self.buffer);
        self.buffer.extend_from_slice(&body);
        self.write_durably().map_err(|(error, _)| error)?;
        self.open.sha256.update(&self.buffer);
        self.open.sealed = Some(self.open.sha256.clone().finalize().into());
        let Open { first, position: bytes, .. } = self.open;
        let next = self.next;
        let mut state = self.shared.state.write();
        state.sealed.push_back(Sealed { first, next, bytes, index });
        state.active =
            Active { first: next, durable_bytes: HEADER_BYTES as u64, index: Vec::new() };
        self.shared.metrics.segments.inc();
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), Error> {
        let Some(previous_sha256) = self.open.sealed else { return Ok(()) };
        let created_at = self.clock.now().max(self.appended_at);
        let (epoch, first) = (self.epoch, self.next);
        let header = SegmentHeader { epoch, first, created_at, previous_sha256 }.encode();
        let path = segment::path_of(&self.shared.dir, first);
        let create = || {
            self.disk.create(&path, &header)?;
            self.disk.open(&path)
        };
        let file = create().map_err(|e| Error::io("create segment", &path, e))?;
        let sha256 = Sha256::new_with_prefix(header);
        let position = HEADER_BYTES as u64;
        self.open = Open { path, file, first, position, created_at, sha256, sealed: None };
        Ok(())
    }

    fn stop(&mut self, source: std::io::Error) -> Error {
        let path = self.open.path.clone();
        let error = Error::Stopped { path, source: Arc::new(source) };
        tracing::error!(
            %error,
            "the disk failed to sync: nothing is acknowledged until the process is restarted"
        );
        self.stopped = Some(error.clone());
        error
    }

    fn refuse(&self, answers: impl Iterator<Item = Answer>, error: &Error, reason: Failure) {
        let mut refused = 0;
        for done in answers {
            refused += 1;
            drop(done.send(Err(error.clone()))); // an appender that went away needs no answer
        }
        self.shared.metrics.failed(reason, refused);
        tracing::warn!(%error, appends = refused, "appends refused");
    }
}

fn weight(request: &Append) -> usize {
    request.entries.iter().map(|entry| entry.body.len() + RECORD_HEADER_BYTES).sum()
}
