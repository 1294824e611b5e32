//! Collects each camera's frames into groups of pictures and has them written to footage.
//!
//! Cameras' tasks push into [`RecorderSink`]s, which never wait: whole groups go through one bounded
//! queue to one writer thread, the only place that touches the disk. A group that finds the queue
//! full is dropped and counted; the camera and its neighbours do not notice.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use tracing::{error, warn};
use vong_footage::{CameraWriter, ClosedSegment, Footage};
use vong_log::{Entry, Log};
use vong_media::{AccessUnit, AccessUnitSink, Gop, GopBuilder, GopLimits, VideoParameters};
use vong_model::{CameraId, EventTime, Stream, columns};
use vong_runtime::Clock;
use vong_runtime::channel::{self, Capacity, Receiver, Sender, WhenFull};

use crate::metrics::RecorderMetrics;

/// Groups that wait for the disk; at 2 s and 1 Mbit/s each this is about 64 MB.
const QUEUE: usize = 256;

/// Closed files that may wait for the log; older ones are on disk but never told, and counted.
const WAITING: usize = 10_000;

/// What travels to the writer thread.
#[derive(Debug)]
enum Item {
    Gop {
        camera: CameraId,
        gop: Box<Gop>,
    },
    /// The camera was lost: its file is closed, so that what is there is complete.
    Interrupted {
        camera: CameraId,
    },
}

/// The writer: all cameras' footage, one thread.
#[derive(Debug)]
pub struct Recorder {
    footage: Footage,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    items: Receiver<Item>,
    writers: BTreeMap<CameraId, CameraWriter>,
    /// Closed files that the log has not taken yet.
    waiting: Vec<ClosedSegment>,
    metrics: RecorderMetrics,
}

/// Makes sinks; cheap to clone. The writer ends when every handle and sink is gone.
#[derive(Clone, Debug)]
pub struct RecorderHandle {
    items: Sender<Item>,
    metrics: RecorderMetrics,
}

/// One camera's end of the recorder.
#[derive(Debug)]
pub struct RecorderSink {
    camera: CameraId,
    builder: GopBuilder,
    items: Sender<Item>,
    metrics: RecorderMetrics,
}

impl Recorder {
    pub fn new(
        footage: Footage,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        metrics: RecorderMetrics,
    ) -> (Self, RecorderHandle) {
        // `Disconnect` tells the sink at once that the queue is full: the sink drops and counts.
        let (sender, items) =
            channel::bounded("recorder/gops", Capacity::items(QUEUE), WhenFull::Disconnect);
        let handle = RecorderHandle { items: sender, metrics: metrics.clone() };
        (
            Self {
                footage,
                log,
                clock,
                items,
                writers: BTreeMap::new(),
                waiting: Vec::new(),
                metrics,
            },
            handle,
        )
    }

    /// Announces `recovered`, the files that a crash had left open; then writes until every sink is
    /// gone and closes all files. Blocks: give it a thread.
    pub fn run(mut self, recovered: &[ClosedSegment]) {
        self.announce(recovered);
        while let Some(item) = self.items.blocking_recv() {
            match item {
                Item::Gop { camera, gop } => self.write(&camera, &gop),
                Item::Interrupted { camera } => self.close(&camera),
            }
        }
        for camera in self.writers.keys().cloned().collect::<Vec<_>>() {
            self.close(&camera);
        }
        self.announce(&[]);
        self.metrics.unannounced.inc_by(self.waiting.len() as u64);
    }

    fn write(&mut self, camera: &CameraId, gop: &Gop) {
        if !self.writers.contains_key(camera) {
            match self.footage.writer(camera) {
                Ok(writer) => drop(self.writers.insert(camera.clone(), writer)),
                Err(e) => {
                    return error!(camera = %camera, error = %e, "could not open footage of camera");
                }
            }
        }
        let Some(writer) = self.writers.get_mut(camera) else { return };
        if let Err(e) = writer.push(gop) {
            warn!(camera = %camera, error = %e, "could not write group of pictures");
        }
        self.metrics.gops.inc();
        let closed = writer.take_closed();
        self.announce(&closed);
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

impl RecorderHandle {
    /// The sink of one camera; there is one per camera at a time.
    pub fn sink(&self, camera: CameraId) -> RecorderSink {
        let builder = GopBuilder::new(GopLimits::default());
        RecorderSink { camera, builder, items: self.items.clone(), metrics: self.metrics.clone() }
    }
}

impl RecorderSink {
    fn hand_over(&self, item: Item) {
        if self.items.offer(item).is_err() {
            self.metrics.gops_dropped.inc();
        }
    }

    fn hand_over_gop(&self, gop: Option<Gop>) {
        let Some(gop) = gop else { return };
        self.hand_over(Item::Gop { camera: self.camera.clone(), gop: Box::new(gop) });
    }
}

impl AccessUnitSink for RecorderSink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        let done = self.builder.parameters(parameters);
        self.hand_over_gop(done);
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        let done = self.builder.access_unit(unit);
        self.hand_over_gop(done);
    }

    fn interrupted(&mut self) {
        let done = self.builder.interrupted();
        self.hand_over_gop(done);
        self.hand_over(Item::Interrupted { camera: self.camera.clone() });
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
