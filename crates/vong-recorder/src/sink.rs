//! Where cameras' frames enter: each camera's sink makes groups of pictures and hands them over.
//!
//! A sink never waits. A group that finds too many bytes waiting for the disk is dropped whole and
//! counted; the camera and its neighbours do not notice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use vong_media::{
    AccessUnit, AccessUnitSink, DroppedFrames, Gop, GopBuilder, GopLimits, VideoParameters,
};
use vong_model::{Camera, CameraId, EventTime, Recording, UnitCode};
use vong_runtime::channel::{SendError, Sender};

use crate::budget::Budget;
use crate::losses::{Losses, LostGroup, Reason};
use crate::metrics::RecorderMetrics;
use crate::ring::{Next, Ring, RingLimits};

/// A camera that sends frames for so long without a key frame is not recorded, however connected.
const KEY_PATIENCE: Duration = Duration::from_secs(30);

/// While that lasts, so often it is counted.
const KEYLESS_EVERY: Duration = Duration::from_secs(1);

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
    /// The camera left the register; nothing of it comes after this.
    Gone {
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

    fn gop(&self, of: (&CameraId, &UnitCode), gop: Box<Gop>) {
        let (bytes, lost) = (gop.payload_len(), LostGroup::from(&*gop));
        if !self.budget.take(bytes) {
            return self.losses.count(of, lost, Reason::QueueFull);
        }
        let (camera, unit_code) = (of.0.clone(), of.1.clone());
        let offered = self.items.offer(Item::Gop { camera, unit_code, gop });
        if let Err(why) = offered {
            self.budget.give_back(bytes);
            // Where the writer is gone, the process ends.
            if matches!(why, SendError::Full(_)) {
                self.losses.count(of, lost, Reason::QueueFull);
            }
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
            keyless: None,
            ring,
            outlet: self.outlet.clone(),
            metrics: self.metrics.clone(),
        }
    }

    #[cfg(test)]
    pub(crate) fn losses(&self) -> &Losses {
        &self.outlet.losses
    }

    /// `camera` left the register and its sink is gone.
    pub fn forget(&self, camera: &CameraId) {
        self.rings.lock().remove(camera);
        // Behind the last of its groups; a queue that is full may still count one of them.
        if self.outlet.items.offer(Item::Gone { camera: camera.clone() }).is_err() {
            self.outlet.losses.forget(camera);
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
    keyless: Option<Keyless>,
    ring: Option<Arc<Mutex<Ring>>>,
    outlet: Outlet,
    metrics: RecorderMetrics,
}

/// Frames that wait in vain for a key frame.
#[derive(Clone, Copy, Debug)]
struct Keyless {
    since: EventTime,
    counted: Option<EventTime>,
    /// Not yet counted.
    frames: u64,
}

impl RecorderSink {
    fn hand_over(&self, gop: Option<Gop>) {
        let Some(gop) = gop else { return };
        let camera = (&self.camera, &self.unit_code);
        let Some(ring) = &self.ring else { return self.outlet.gop(camera, Box::new(gop)) };
        let start = gop.start;
        let mut ring = ring.lock();
        match ring.push(gop) {
            Next::Write(gop) => return self.outlet.gop(camera, gop),
            Next::Over => self.outlet.interrupted(&self.camera),
            Next::Wait => {}
        }
        self.outlet.losses.kept(camera, start);
        self.metrics.ring_let_go.inc_by(ring.take_let_go());
    }

    /// Counts what the builder did not take of `unit`.
    fn count_dropped(&mut self, dropped: DroppedFrames, unit: &AccessUnit) {
        if dropped == DroppedFrames::default() {
            if unit.key {
                self.keyless = None;
            }
            return;
        }
        let DroppedFrames { without_parameters, before_key, empty, oversized } = dropped;
        for (reason, frames) in [
            ("without_parameters", without_parameters),
            ("before_key", before_key),
            ("empty", empty),
            ("oversized", oversized),
        ] {
            if frames > 0 {
                self.metrics.frames_dropped.with_label_values(&[reason]).inc_by(frames);
            }
        }
        let (camera, at) = ((&self.camera, &self.unit_code), unit.received_at);
        if oversized > 0 {
            self.outlet.losses.count_frames(camera, oversized, at, Reason::Oversized);
        }
        if before_key > 0 {
            let keyless =
                self.keyless.get_or_insert(Keyless { since: at, counted: None, frames: 0 });
            if let Some(frames) = keyless.wait(before_key, at) {
                self.outlet.losses.count_frames(camera, frames, at, Reason::NoKeyFrame);
            }
        }
    }
}

impl Keyless {
    /// Takes in `frames` that came at `now`; how many are to be counted as lost, if it is time.
    fn wait(&mut self, frames: u64, now: EventTime) -> Option<u64> {
        self.frames = self.frames.saturating_add(frames);
        let is_time = now.since(self.since) >= KEY_PATIENCE
            && self.counted.is_none_or(|last| now.since(last) >= KEYLESS_EVERY);
        is_time.then(|| {
            self.counted = Some(now);
            std::mem::take(&mut self.frames)
        })
    }
}

impl AccessUnitSink for RecorderSink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        let done = self.builder.parameters(parameters);
        self.hand_over(done);
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        let before = self.builder.dropped();
        let done = self.builder.access_unit(unit);
        self.hand_over(done);
        self.count_dropped(self.builder.dropped().since(before), unit);
    }

    fn interrupted(&mut self) {
        self.keyless = None;
        let done = self.builder.interrupted();
        self.hand_over(done);
        let is_recorded = self.ring.as_ref().is_none_or(|ring| ring.lock().interrupted());
        if is_recorded {
            self.outlet.interrupted(&self.camera);
        }
    }
}

#[cfg(test)]
mod tests {
    use vong_runtime::ManualClock;
    use vong_runtime::channel::{self, Capacity, WhenFull};
    use vong_telemetry::Metrics;

    use super::*;
    use crate::testing::{at, gop};

    #[test]
    fn a_group_that_finds_no_place_is_a_loss_and_one_that_finds_no_writer_is_not() {
        let (sender, mut items) =
            channel::bounded("test/gops", Capacity::items(1), WhenFull::Disconnect);
        let metrics = RecorderMetrics::new(&Metrics::new());
        let clock = ManualClock::new(at(0).micros());
        let losses = Losses::new(Arc::new(clock), metrics);
        let budget = Budget::new(1 << 20);
        let outlet = Outlet::new(sender, budget.clone(), losses.clone());
        let hand_over = |n| outlet.gop((&"CAM-1".into(), &"U1".into()), Box::new(gop(n, 4)));
        let lost = || {
            let facts = losses.take_facts(at(1)).into_iter();
            facts.map(|fact| fact.state).collect::<Vec<_>>()
        };
        hand_over(0);
        assert_eq!(lost(), [""; 0]);
        hand_over(1);
        assert_eq!(lost(), ["recording_lost"]);
        assert_eq!(budget.used(), 100, "of the group that waits");
        assert!(items.try_recv().is_some());
        drop(items);
        losses.forget(&"CAM-1".into());
        hand_over(2);
        assert_eq!(lost(), [""; 0]);
    }
}
