//! Where cameras' frames enter: each camera's sink makes groups of pictures and hands them over.
//!
//! A sink never waits. A group that finds too many bytes waiting for the disk is dropped whole and
//! counted; the camera and its neighbours do not notice.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use vong_media::{AccessUnit, AccessUnitSink, Gop, GopBuilder, GopLimits, VideoParameters};
use vong_model::{Camera, CameraId, EventTime, Recording, UnitCode};
use vong_runtime::channel::Sender;

use crate::budget::Budget;
use crate::losses::{Losses, Reason};
use crate::metrics::RecorderMetrics;
use crate::ring::{Next, Ring, RingLimits};

/// What travels to the writer thread.
#[derive(Debug)]
pub(crate) enum Item {
    Gop {
        camera: CameraId,
        unit_code: UnitCode,
        gop: Box<Gop>,
    },
    /// The camera was lost or its event is over: its file is closed, so that what is there is
    /// complete.
    Interrupted {
        camera: CameraId,
    },
}

/// The way to the writer; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    items: Sender<Item>,
    budget: Budget,
    losses: Losses,
}

impl Outlet {
    pub(crate) fn new(items: Sender<Item>, budget: Budget, losses: Losses) -> Self {
        Self { items, budget, losses }
    }

    fn gop(&self, (camera, unit_code): (&CameraId, &UnitCode), gop: Box<Gop>) {
        let bytes = gop.payload_len();
        if !self.budget.take(bytes) {
            return self.losses.count(camera, unit_code, &gop, Reason::QueueFull);
        }
        let (camera, unit_code) = (camera.clone(), unit_code.clone());
        if self.items.free() == 0 {
            self.losses.count(&camera, &unit_code, &gop, Reason::QueueFull);
            self.budget.give_back(bytes);
        } else if self.items.offer(Item::Gop { camera, unit_code, gop }).is_err() {
            // The writer is gone: the process ends.
            self.budget.give_back(bytes);
        }
    }

    fn interrupted(&self, camera: &CameraId) {
        if self.items.offer(Item::Interrupted { camera: camera.clone() }).is_err() {
            // Full of groups: the next of them that does not follow on closes the file as well.
            tracing::debug!(camera = %camera, "file stays open until the next group");
        }
    }
}

/// Makes sinks; cheap to clone. The writer ends when every handle and sink is gone.
#[derive(Clone, Debug)]
pub struct RecorderHandle {
    outlet: Outlet,
    limits: RingLimits,
    rings: Arc<Mutex<BTreeMap<CameraId, EventCamera>>>,
    metrics: RecorderMetrics,
}

/// A camera that is recorded only around alerts.
#[derive(Clone, Debug)]
struct EventCamera {
    unit_code: UnitCode,
    ring: Arc<Mutex<Ring>>,
}

impl RecorderHandle {
    pub(crate) fn new(outlet: Outlet, limits: RingLimits, metrics: RecorderMetrics) -> Self {
        Self { outlet, limits, rings: Arc::default(), metrics }
    }

    /// The sink of one camera; there is one per camera at a time.
    pub fn sink(&self, camera: &Camera) -> RecorderSink {
        let builder = GopBuilder::new(GopLimits::default());
        let ring = (camera.recording == Recording::Events).then(|| {
            let ring = Arc::new(Mutex::new(Ring::new(self.limits)));
            let event_camera =
                EventCamera { unit_code: camera.unit_code.clone(), ring: Arc::clone(&ring) };
            self.rings.lock().insert(camera.camera_id.clone(), event_camera);
            ring
        });
        if ring.is_none() {
            self.rings.lock().remove(&camera.camera_id);
        }
        RecorderSink {
            camera: camera.camera_id.clone(),
            unit_code: camera.unit_code.clone(),
            builder,
            ring,
            outlet: self.outlet.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Something happened before `camera`: what waits of it goes to disk, and what follows until
    /// `until`. Nothing is to be done for a camera that is recorded always.
    pub fn record(&self, camera: &CameraId, until: EventTime) {
        let Some(EventCamera { unit_code, ring }) = self.rings.lock().get(camera).cloned() else {
            return;
        };
        // Held while they are handed over: the sink's next group must come behind them.
        let mut ring = ring.lock();
        for gop in ring.record(until) {
            self.outlet.gop((camera, &unit_code), Box::new(gop));
        }
    }
}

/// One camera's end of the recorder.
#[derive(Debug)]
pub struct RecorderSink {
    camera: CameraId,
    unit_code: UnitCode,
    builder: GopBuilder,
    ring: Option<Arc<Mutex<Ring>>>,
    outlet: Outlet,
    metrics: RecorderMetrics,
}

impl RecorderSink {
    fn hand_over(&self, gop: Option<Gop>) {
        let Some(gop) = gop else { return };
        let camera = (&self.camera, &self.unit_code);
        let Some(ring) = &self.ring else { return self.outlet.gop(camera, Box::new(gop)) };
        let mut ring = ring.lock();
        match ring.push(gop) {
            Next::Write(gop) => self.outlet.gop(camera, gop),
            Next::Over => self.outlet.interrupted(&self.camera),
            Next::Wait => {}
        }
        self.metrics.ring_let_go.inc_by(ring.take_let_go());
    }
}

impl AccessUnitSink for RecorderSink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        let done = self.builder.parameters(parameters);
        self.hand_over(done);
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        let done = self.builder.access_unit(unit);
        self.hand_over(done);
    }

    fn interrupted(&mut self) {
        let done = self.builder.interrupted();
        self.hand_over(done);
        let is_recorded = self.ring.as_ref().is_none_or(|ring| ring.lock().interrupted());
        if is_recorded {
            self.outlet.interrupted(&self.camera);
        }
    }
}
