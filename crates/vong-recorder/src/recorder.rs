//! The one writer of footage: groups of pictures of all cameras, from a queue bounded in bytes.
//!
//! The only place that touches the disk. While a disk is full the oldest footage makes room; where
//! nothing may be deleted recording pauses and tries again by itself. Whatever is not recorded is
//! counted with its reason and told: see `losses.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use tracing::{error, info, warn};
use vong_footage::{CameraWriter, ClosedSegment, Footage};
use vong_log::{Entry, Log};
use vong_media::Gop;
use vong_model::{CameraId, EventTime, Stream, UnitCode, columns};
use vong_runtime::channel::{self, Capacity, Receiver, WhenFull};
use vong_runtime::{Clock, UnixMicros};
use vong_telemetry::{Classify as _, Kind};

use crate::budget::Budget;
use crate::losses::{LossWriter, Losses, Reason};
use crate::metrics::RecorderMetrics;
use crate::ring::RingLimits;
use crate::sink::{Item, Outlet, RecorderHandle};

/// Items that may wait, however small; what bounds memory are their bytes.
const QUEUE: usize = 65_536;

/// Closed files that may wait for the log; older ones are on disk but never told, and counted.
const WAITING: usize = 10_000;

/// How long a full disk is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// How much waits where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderConfig {
    /// Bytes of frames that may wait for the disk, of all cameras; beyond it groups are dropped.
    pub queue_bytes: u64,
    /// What cameras that record only around alerts keep in memory.
    pub ring: RingLimits,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        let ring = RingLimits { keep: Duration::from_secs(30), bytes: 16 << 20 };
        Self { queue_bytes: 64 << 20, ring }
    }
}

/// The writer: all cameras' footage, one thread.
#[derive(Debug)]
pub struct Recorder {
    footage: Footage,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    items: Receiver<Item>,
    budget: Budget,
    losses: Losses,
    writers: BTreeMap<CameraId, CameraWriter>,
    /// Closed files that the log has not taken yet.
    waiting: Vec<ClosedSegment>,
    /// The disk is full, and not tried again before this.
    paused_until: Option<UnixMicros>,
    metrics: RecorderMetrics,
}

impl Recorder {
    /// The writer, where cameras' frames are handed in, and what tells of losses.
    pub fn new(
        config: RecorderConfig,
        footage: Footage,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        metrics: RecorderMetrics,
    ) -> (Self, RecorderHandle, LossWriter) {
        // `Disconnect` tells the sink at once that the queue is full: the sink drops and counts.
        let (sender, items) =
            channel::bounded("recorder/gops", Capacity::items(QUEUE), WhenFull::Disconnect);
        let budget = Budget::new(config.queue_bytes);
        let losses = Losses::new(Arc::clone(&clock), metrics.clone());
        let outlet = Outlet::new(sender, budget.clone(), losses.clone());
        let handle = RecorderHandle::new(outlet, config.ring, metrics.clone());
        let teller = LossWriter::new(losses.clone(), Arc::clone(&log), metrics.clone());
        let recorder = Self {
            footage,
            log,
            clock,
            items,
            budget,
            losses,
            writers: BTreeMap::new(),
            waiting: Vec::new(),
            paused_until: None,
            metrics,
        };
        (recorder, handle, teller)
    }

    /// Announces `recovered`, the files that a crash had left open; then writes until every sink is
    /// gone and closes all files. Blocks: give it a thread.
    pub fn run(mut self, recovered: &[ClosedSegment]) {
        self.announce(recovered);
        while let Some(item) = self.items.blocking_recv() {
            match item {
                Item::Gop { camera, unit_code, gop } => {
                    self.record(&camera, &unit_code, &gop);
                    // Its memory is in use until here.
                    self.budget.give_back(gop.payload_len());
                    self.note_queue();
                }
                Item::Interrupted { camera } => self.close(&camera),
                Item::Gone { camera } => {
                    self.close(&camera);
                    self.writers.remove(&camera);
                    self.losses.forget(&camera);
                }
            }
        }
        for camera in self.writers.keys().cloned().collect::<Vec<_>>() {
            self.close(&camera);
        }
        self.announce(&[]);
        self.metrics.unannounced.inc_by(self.waiting.len() as u64);
    }

    fn note_queue(&self) {
        self.metrics.queue_bytes.set(i64::try_from(self.budget.used()).unwrap_or(i64::MAX));
    }

    fn record(&mut self, camera: &CameraId, unit_code: &UnitCode, gop: &Gop) {
        if self.paused_until.is_some_and(|until| self.clock.now() < until) {
            return self.losses.count((camera, unit_code), gop.into(), Reason::DiskFull);
        }
        let written = match self.push(camera, gop) {
            Err(e) if e.kind() == Kind::Exhausted => self.push_after_room(camera, gop),
            written => written,
        };
        match written {
            Ok(()) => {
                self.metrics.gops.inc();
                self.losses.kept((camera, unit_code), gop.start);
                self.losses.disk_is_full(false);
                if self.paused_until.take().is_some() {
                    info!("footage is recorded again");
                }
            }
            Err(e) if e.kind() == Kind::Exhausted => {
                if self.paused_until.is_none() {
                    error!(error = %e, "disk is full: footage is not recorded until there is space");
                }
                let pause = i64::try_from(PAUSE.as_micros()).unwrap_or(i64::MAX);
                self.paused_until = Some(self.clock.now().saturating_add(pause));
                self.losses.disk_is_full(true);
                self.losses.count((camera, unit_code), gop.into(), Reason::DiskFull);
            }
            Err(e) => {
                warn!(camera = %camera, error = %e, "could not write group of pictures");
                self.losses.count((camera, unit_code), gop.into(), Reason::WriteFailed);
            }
        }
    }

    /// Lets old footage go, then tries once more.
    fn push_after_room(&mut self, camera: &CameraId, gop: &Gop) -> Result<(), vong_footage::Error> {
        let made = self.footage.make_room()?;
        if made.deleted_bytes > 0 {
            warn!(
                files = made.deleted.len(),
                bytes = made.deleted_bytes,
                "disk is full: oldest footage deleted"
            );
        }
        self.push(camera, gop)
    }

    fn push(&mut self, camera: &CameraId, gop: &Gop) -> Result<(), vong_footage::Error> {
        if !self.writers.contains_key(camera) {
            let writer = self.footage.writer(camera)?;
            self.writers.insert(camera.clone(), writer);
        }
        let Some(writer) = self.writers.get_mut(camera) else { return Ok(()) };
        let pushed = writer.push(gop);
        let closed = writer.take_closed();
        if !closed.is_empty() {
            self.announce(&closed);
        }
        pushed
    }

    fn close(&mut self, camera: &CameraId) {
        let Some(writer) = self.writers.get_mut(camera) else { return };
        if let Err(e) = writer.close() {
            warn!(camera = %camera, error = %e, "could not close footage file");
        }
        let closed = writer.take_closed();
        self.announce(&closed);
    }

    /// Puts closed files on the log. One attempt, no waiting: a log that does not take them now is
    /// asked again with the next file, and the disk goes on recording meanwhile.
    fn announce(&mut self, closed: &[ClosedSegment]) {
        self.waiting.extend_from_slice(closed);
        if self.waiting.is_empty() {
            return;
        }
        let batch = to_batch(&self.waiting, EventTime(self.clock.now()));
        match self.log.append_blocking(vec![Entry::new(Stream::VideoSegments, batch)]) {
            Ok(_) => self.waiting.clear(),
            Err(e) => {
                warn!(error = %e, segments = self.waiting.len(), "closed footage waits for the log");
                let excess = self.waiting.len().saturating_sub(WAITING);
                self.waiting.drain(..excess);
                self.metrics.unannounced.inc_by(excess as u64);
            }
        }
    }
}

/// Rows of [`Stream::VideoSegments`], in its column order.
fn to_batch(closed: &[ClosedSegment], now: EventTime) -> RecordBatch {
    let times = |of: &dyn Fn(&ClosedSegment) -> EventTime| {
        columns::time_column(closed.iter().map(|s| Some(of(s))))
    };
    let ints = |of: &dyn Fn(&ClosedSegment) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(closed.iter().map(of)))
    };
    let longs = |of: &dyn Fn(&ClosedSegment) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(closed.iter().map(of)))
    };
    let columns = vec![
        times(&|s| s.start),
        times(&|_| now),
        columns::key_column(closed.iter().map(|s| Some(s.camera_id.as_str()))),
        columns::text_column(closed.iter().map(|s| Some(s.file.as_str()))),
        times(&|s| s.start),
        times(&|s| s.end),
        columns::key_column(closed.iter().map(|s| Some(s.codec.as_str()))),
        ints(&|s| s.width),
        ints(&|s| s.height),
        ints(&|s| s.frames),
        ints(&|s| s.gops),
        longs(&|s| s.bytes),
        longs(&|s| s.lost_packets),
    ];
    RecordBatch::try_new(Stream::VideoSegments.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests;
