//! The one thread that writes: takes what queued, writes it once, syncs once, tells everybody.
//!
//! Order of effects in a commit: write, sync, publish to readers, answer. Nothing is published or
//! answered that is not durable. A failed write is taken back and may be tried again. After a
//! failed sync nobody knows what the disk holds, and a second sync that succeeds proves nothing: the
//! segment is ended where it was durable, its successor says so in its header, and appends go on
//! there.

mod chain;
mod open;
mod space;

use std::sync::Arc;
use std::time::Duration;

use vong_model::{EventTime, Offset};
use vong_runtime::Clock;
use vong_runtime::channel::Receiver;

use super::recover::Resume;
use super::reserve::Space;
use super::{Active, Append, SLOW_SYNC, Sealed, Shared};
use crate::codec::Encoded;
use crate::format::{
    self, Frame, Kind, Previous, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader,
};
use crate::{Error, LogConfig, Record, durable, segment};

use chain::ChainHash;
use open::{Failed, Open};

/// One write takes what is queued up to about this much.
const MAX_WRITE_BYTES: usize = 8 * 1024 * 1024;

/// Where the writer goes on.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) appended_at: i64,
    pub(super) resume: Resume,
}

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    segment_bytes: u64,
    segment_age: Duration,
    frame: Frame,
    appended_at: i64,
    next: Offset,
    /// `None`: the next append begins a segment, which follows `chain`.
    open: Option<Open>,
    chain: Previous,
    space: Space,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        config: &LogConfig,
        clock: Arc<dyn Clock>,
        start: Start,
    ) -> Result<Self, Error> {
        let LogConfig { dir: _, segment_bytes, segment_age, tail_bytes: _, reserve_bytes } =
            *config;
        let Start { appended_at, resume } = start;
        let (chain, open) = match resume {
            Resume::Begin(chain) => (chain, None),
            Resume::Open { header, position, room, sha256 } => {
                let path = segment::path_of(&shared.dir, header.first);
                let file =
                    shared.disk.open(&path).map_err(|e| Error::io("open segment", &path, e))?;
                let SegmentHeader { first, created_at, previous, .. } = header;
                let chain = ChainHash::new(sha256);
                let open = Open { path, file, first, position, created_at, previous, room, chain };
                (previous, Some(open))
            }
        };
        let next = {
            let state = shared.state.read();
            let segments = i64::try_from(state.sealed.len() + 1).unwrap_or(i64::MAX);
            shared.metrics.segments.set(segments);
            shared.metrics.floor.set(i64::try_from(state.floor().0).unwrap_or(i64::MAX));
            shared.metrics.head.set(i64::try_from(state.head.0).unwrap_or(i64::MAX));
            state.head
        };
        // The disk was full when the log was left, or the reserve would not be the open segment.
        let is_full = open.as_ref().is_some_and(|open| open.room.is_some());
        let space = Space::new(reserve_bytes, is_full);
        let frame = shared.frame;
        let buffer = Vec::new();
        let writer = Self {
            shared,
            clock,
            segment_bytes,
            segment_age,
            frame,
            appended_at,
            next,
            open,
            chain,
            space,
            buffer,
        };
        writer.show_space();
        Ok(writer)
    }

    /// Works until every handle is gone and the queue is empty.
    pub(super) fn run(mut self, mut requests: Receiver<Append>) {
        self.set_aside_reserve();
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
        self.close();
    }

    /// Notes what is durable, for the next start.
    pub(super) fn close(&self) {
        let newest = match &self.open {
            Some(open) => Some((open.first, open.position)),
            None => self.shared.state.read().sealed.back().map(|last| (last.first, last.bytes)),
        };
        let Some((first, bytes)) = newest else { return };
        let Shared { disk, dir, epoch, .. } = &*self.shared;
        if let Err(error) = durable::write(&**disk, dir, epoch, (first, bytes, self.next)) {
            tracing::warn!(%error, "log closed without its note");
        }
    }

    pub(super) fn commit(&mut self, batch: Vec<Append>) {
        let mut batch = self.admit(batch);
        let mut written = self.write_durably(&batch);
        if matches!(written, Err(Error::DiskFull { .. })) && !self.space.is_full {
            self.turn_to_reserve();
            batch = self.admit(batch);
            written = self.write_durably(&batch);
        }
        match written {
            Ok(()) => self.publish(batch),
            Err(error) => self.refuse(batch, &error),
        }
    }

    /// Makes `batch` durable, all of it or nothing.
    fn write_durably(&mut self, batch: &[Append]) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut open = self.ready()?;
        self.appended_at = self.clock.now().max(self.appended_at);
        self.lay_out(batch, open.position);
        match open.write(&self.buffer, &self.shared.metrics) {
            Ok(took) => {
                self.open = Some(open);
                self.note_slow(took);
                Ok(())
            }
            Err(Failed { error, is_final: false }) => {
                self.open = Some(open);
                Err(error)
            }
            Err(Failed { error, is_final: true }) => {
                self.give_up(open);
                // At once, so that a crash from here on finds the old segment ended.
                match self.begin() {
                    Ok(open) => self.open = Some(open),
                    Err(error) => tracing::error!(%error, "no new log segment yet"),
                }
                Err(error)
            }
        }
    }

    /// A segment with room, or why there is none.
    fn ready(&mut self) -> Result<Open, Error> {
        if let Some(open) = self.open.take() {
            let age = EventTime::from_micros(self.clock.now())
                .since(EventTime::from_micros(open.created_at));
            let due = open.position >= self.segment_bytes || age >= self.segment_age;
            if open.is_empty() || open.room.is_some() || !due {
                return Ok(open);
            }
            self.seal(open)?;
        }
        self.begin()
    }

    /// Lays the records of `batch` into the buffer, to be written at `start`.
    fn lay_out(&mut self, batch: &[Append], start: u64) {
        self.buffer.clear();
        let durable = position_of(start);
        let mut next = self.next;
        for Append { entries, .. } in batch {
            let mut left = u16::try_from(entries.len()).expect("checked against MAX_GROUP");
            for Encoded { stream, batch, body, crc, held_bytes: _ } in entries {
                left -= 1;
                let header = RecordHeader {
                    kind: Kind::Batch(*stream),
                    group_left: left,
                    body_bytes: format::small(body.len()),
                    body_crc: *crc,
                    offset: next,
                    appended_at: self.appended_at,
                    durable,
                    rows: format::small(batch.num_rows()),
                };
                let position = start + self.buffer.len() as u64;
                header.write_to(&mut self.buffer, &self.frame, position);
                self.buffer.extend_from_slice(body);
                next = next.next();
            }
        }
    }

    /// Shows a durable commit to readers, then to those who wait for it.
    fn publish(&mut self, batch: Vec<Append>) {
        let Some(open) = self.open.as_mut().filter(|_| !batch.is_empty()) else { return };
        let mut position = open.position - self.buffer.len() as u64;
        let appended_at = EventTime::from_micros(self.appended_at);
        let (mut records, mut rows) = (0, 0);
        let mut answers = Vec::with_capacity(batch.len());
        let (mut spent, mut forgotten) = (Vec::with_capacity(batch.len()), Vec::new());
        {
            let mut state = self.shared.state.write();
            for Append { entries, urgency: _, done } in batch {
                let first = self.next;
                for Encoded { stream, batch, body, crc: _, held_bytes } in entries {
                    segment::push_index(&mut state.active.index, self.next, position);
                    position += (RECORD_HEADER_BYTES + body.len()) as u64;
                    records += 1;
                    rows += batch.num_rows() as u64;
                    let record = Record { offset: self.next, appended_at, stream, batch };
                    state.tail.push(held_bytes, record, &mut forgotten);
                    spent.push(body);
                    self.next = self.next.next();
                }
                answers.push((done, first..self.next));
            }
            state.active.durable_bytes = open.position;
            state.head = self.next;
        }
        let metrics = &self.shared.metrics;
        metrics.commits.inc();
        metrics.records.inc_by(records);
        metrics.rows.inc_by(rows);
        metrics.bytes.inc_by(self.buffer.len() as u64);
        metrics.head.set(i64::try_from(self.next.0).unwrap_or(i64::MAX));
        self.shared.head.send_replace(self.next);
        for (done, range) in answers {
            drop(done.send(Ok(range))); // the appender may have gone away: its rows stay
        }
        // After the answers: nobody waits for the chain, or for memory to be freed.
        self.buffer = open.chain.add(std::mem::take(&mut self.buffer));
        drop((spent, forgotten));
        if self.space.is_full {
            self.show_space();
        }
    }

    /// Seals a segment and ends it. Without space for a seal it stays open.
    fn seal(&mut self, mut open: Open) -> Result<(), Error> {
        let index = self.shared.state.read().active.index.clone();
        let position = position_of(open.position);
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
        header.write_to(&mut self.buffer, &self.frame, open.position);
        self.buffer.extend_from_slice(&body);
        match open.write(&self.buffer, &self.shared.metrics) {
            Ok(took) => {
                self.note_slow(took);
                self.buffer = open.chain.add(std::mem::take(&mut self.buffer));
                self.end(open);
                Ok(())
            }
            Err(Failed { error, is_final: false }) => {
                self.open = Some(open);
                Err(error)
            }
            Err(Failed { error, is_final: true }) => {
                tracing::error!(%error, "a log segment is ended without its seal");
                self.give_up(open); // its successor ends it just as well
                Ok(())
            }
        }
    }

    fn note_slow(&self, took: Duration) {
        if took < SLOW_SYNC {
            return;
        }
        self.shared.metrics.slow_syncs.inc();
        self.shared.health.send_modify(|health| {
            health.slow_syncs += 1;
            health.slow_sync_took = took;
        });
        tracing::warn!(?took, dir = %self.shared.dir.display(), "the disk was slow to make a commit durable");
    }

    /// Ends a segment whose disk failed, where it was durable.
    fn give_up(&mut self, open: Open) {
        self.shared.health.send_modify(|health| health.sync_failures += 1);
        self.shared.metrics.sync_failures.inc();
        tracing::error!(
            file = %open.path.display(),
            at = open.position,
            "the disk failed to make a commit durable: it is not acknowledged, the log goes on in a new segment"
        );
        self.end(open);
    }

    /// Nothing more is written to `open`; what follows it says so in its header.
    fn end(&mut self, open: Open) {
        if open.is_empty() {
            self.chain = open.previous; // its successor takes its name
            return;
        }
        let Open { first, position: bytes, chain, .. } = open;
        self.chain = Previous { bytes, sha256: chain.finish() };
        let (next, closed_at) = (self.next, self.appended_at);
        let mut state = self.shared.state.write();
        let index = std::mem::take(&mut state.active.index).into();
        state.sealed.push_back(Sealed { first, next, bytes, closed_at, index });
        state.active = Active::new(next);
        self.shared.metrics.segments.inc();
    }

    /// Begins the segment that follows `chain`.
    fn begin(&self) -> Result<Open, Error> {
        let header = self.header(0);
        let path = segment::path_of(&self.shared.dir, self.next);
        let bytes = header.encode();
        let create = || {
            self.shared.disk.replace(&path, &bytes)?;
            self.shared.disk.open(&path)
        };
        let file = create().map_err(|e| Error::io("create segment", &path, e))?;
        Ok(Open::begun(path, file, &header))
    }

    fn header(&self, room: u64) -> SegmentHeader {
        let Frame { version, epoch } = self.frame;
        let created_at = self.clock.now().max(self.appended_at);
        let (first, previous) = (self.next, self.chain);
        SegmentHeader { version, epoch, first, created_at, previous, room }
    }

    fn refuse(&self, batch: Vec<Append>, error: &Error) {
        let appends = batch.len();
        for Append { done, .. } in batch {
            drop(done.send(Err(error.clone()))); // an appender that went away needs no answer
        }
        self.shared.metrics.failed(error, appends);
        tracing::warn!(%error, appends, "appends refused");
    }
}

/// A position as the format holds it; a segment's limit keeps it below 4 GiB.
fn position_of(position: u64) -> u32 {
    format::small(usize::try_from(position).unwrap_or(usize::MAX))
}

fn weight(request: &Append) -> usize {
    request.entries.iter().map(|entry| entry.body.len() + RECORD_HEADER_BYTES).sum()
}
