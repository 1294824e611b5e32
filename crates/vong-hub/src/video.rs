//! Live pictures to many viewers.
//!
//! Each camera keeps its last one or two groups of pictures; viewers read from there at their own
//! pace. The producer appends and never waits. A viewer that falls behind what is kept goes on at
//! the newest key frame and is told how many frames it skipped; a new one starts at the newest key
//! frame, so that it has a picture at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use vong_media::{AccessUnit, AccessUnitSink, VideoParameters};
use vong_model::CameraId;

use crate::metrics::HubMetrics;

/// What a camera keeps at most; beyond it the oldest frames go, key frame or not.
const KEPT_BYTES: usize = 24 * 1024 * 1024;
const KEPT_FRAMES: usize = 2_048;

/// Live pictures of all cameras; cheap to clone.
#[derive(Clone, Debug)]
pub struct VideoHub {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    cameras: RwLock<BTreeMap<CameraId, Arc<Camera>>>,
    metrics: HubMetrics,
}

#[derive(Debug)]
struct Camera {
    frames: Mutex<Frames>,
    /// Number of the next frame; changes with every event a viewer must know of.
    events: watch::Sender<u64>,
    viewers: AtomicUsize,
}

/// The latest frames of one camera, numbered without holes.
#[derive(Debug, Default)]
struct Frames {
    kept: VecDeque<Arc<AccessUnit>>,
    bytes: usize,
    /// Number of the first kept frame.
    first: u64,
    newest_key: Option<u64>,
    key_before: Option<u64>,
    parameters: Option<Arc<VideoParameters>>,
    /// Grows when the stream begins anew: the camera was lost, or its parameters changed.
    stream: u64,
    connected: bool,
}

/// What happens on a live picture.
#[derive(Clone, Debug, PartialEq)]
pub enum VideoEvent {
    /// Frames from here on need a decoder set up like this; the next frame is a key frame.
    Parameters(Arc<VideoParameters>),
    /// A frame; `skipped` frames before it were not delivered because the viewer was slow.
    Unit { unit: Arc<AccessUnit>, skipped: u64 },
    /// The camera was lost; [`Self::Parameters`] follows when it is back.
    Interrupted,
}

impl VideoHub {
    pub fn new(metrics: HubMetrics) -> Self {
        Self { inner: Arc::new(Inner { cameras: RwLock::default(), metrics }) }
    }

    /// Where frames of `camera` go in; makes the camera known.
    pub fn sink(&self, camera: &CameraId) -> VideoSink {
        let mut cameras = self.inner.cameras.write();
        let camera = cameras.entry(camera.clone()).or_insert_with(|| {
            let (events, _) = watch::channel(0);
            Arc::new(Camera { frames: Mutex::default(), events, viewers: AtomicUsize::new(0) })
        });
        VideoSink { camera: Arc::clone(camera) }
    }

    /// Watches `camera`; `None` when there is no such camera.
    pub fn watch(&self, camera: &CameraId) -> Option<VideoViewer> {
        let camera = Arc::clone(self.inner.cameras.read().get(camera)?);
        camera.viewers.fetch_add(1, Ordering::Relaxed);
        self.inner.metrics.video_viewers.inc();
        let mut events = camera.events.subscribe();
        events.mark_changed();
        Some(VideoViewer {
            camera,
            events,
            metrics: self.inner.metrics.clone(),
            stream: None,
            next: None,
        })
    }

    /// How many watch `camera` now.
    pub fn viewers(&self, camera: &CameraId) -> usize {
        let cameras = self.inner.cameras.read();
        cameras.get(camera).map_or(0, |camera| camera.viewers.load(Ordering::Relaxed))
    }
}

/// Takes the frames of one camera; never blocks.
#[derive(Debug)]
pub struct VideoSink {
    camera: Arc<Camera>,
}

impl VideoSink {
    fn change(&self, change: impl FnOnce(&mut Frames)) {
        change(&mut self.camera.frames.lock());
        self.camera.events.send_modify(|events| *events = events.wrapping_add(1));
    }
}

impl AccessUnitSink for VideoSink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        self.change(|frames| frames.begin(parameters));
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        // The clone shares the frame's bytes.
        self.change(|frames| frames.push(Arc::new(unit.clone())));
    }

    fn interrupted(&mut self) {
        self.change(Frames::interrupt);
    }
}

impl Frames {
    fn begin(&mut self, parameters: &Arc<VideoParameters>) {
        if self.connected && self.parameters.as_ref() == Some(parameters) {
            return;
        }
        self.forget_all();
        self.parameters = Some(Arc::clone(parameters));
        self.stream += 1;
        self.connected = true;
    }

    fn interrupt(&mut self) {
        self.forget_all();
        self.connected = false;
    }

    fn forget_all(&mut self) {
        self.first += self.kept.len() as u64;
        self.kept.clear();
        self.bytes = 0;
        (self.newest_key, self.key_before) = (None, None);
    }

    fn push(&mut self, unit: Arc<AccessUnit>) {
        if unit.key {
            self.key_before = self.newest_key;
            self.newest_key = Some(self.next());
            // Keep the group before for those who are a little late.
            while self.key_before.is_some_and(|key| self.first < key) {
                self.drop_oldest();
            }
        }
        self.bytes += unit.data.len();
        self.kept.push_back(unit);
        while (self.bytes > KEPT_BYTES || self.kept.len() > KEPT_FRAMES) && self.kept.len() > 1 {
            self.drop_oldest();
        }
    }

    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn drop_oldest(&mut self) {
        if let Some(unit) = self.kept.pop_front() {
            self.bytes -= unit.data.len();
            self.first += 1;
        }
        if self.newest_key.is_some_and(|key| key < self.first) {
            self.newest_key = None;
        }
        if self.key_before.is_some_and(|key| key < self.first) {
            self.key_before = None;
        }
    }

    /// The frame a viewer gets who wants number `wanted` (`None`: who wants a start), and its number.
    fn frame(&self, wanted: Option<u64>) -> Option<(u64, Arc<AccessUnit>)> {
        let number = match wanted {
            Some(wanted) if wanted >= self.first => wanted,
            _ => self.newest_key?,
        };
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        Some((number, Arc::clone(self.kept.get(place)?)))
    }
}

/// One viewer of one camera; ends by being dropped.
#[derive(Debug)]
pub struct VideoViewer {
    camera: Arc<Camera>,
    events: watch::Receiver<u64>,
    metrics: HubMetrics,
    /// The stream whose parameters the viewer has.
    stream: Option<u64>,
    /// Number of the frame that follows; `None` until a key frame was delivered.
    next: Option<u64>,
}

impl Drop for VideoViewer {
    fn drop(&mut self) {
        self.camera.viewers.fetch_sub(1, Ordering::Relaxed);
        self.metrics.video_viewers.dec();
    }
}

impl VideoViewer {
    /// What happens next; waits as long as nothing does. Cancel-safe.
    pub async fn next(&mut self) -> VideoEvent {
        loop {
            self.events.mark_unchanged(); // before looking, so that nothing slips between
            if let Some(event) = self.look() {
                return event;
            }
            if self.events.changed().await.is_err() {
                std::future::pending::<()>().await; // `self.camera` holds the sender: cannot happen
            }
        }
    }

    fn look(&mut self) -> Option<VideoEvent> {
        let frames = self.camera.frames.lock();
        if !frames.connected {
            self.stream.take()?;
            self.next = None;
            return Some(VideoEvent::Interrupted);
        }
        if self.stream != Some(frames.stream) {
            self.stream = Some(frames.stream);
            self.next = None;
            return frames.parameters.clone().map(VideoEvent::Parameters);
        }
        let (number, unit) = frames.frame(self.next)?;
        let skipped = self.next.map_or(0, |wanted| number.saturating_sub(wanted));
        self.next = Some(number + 1);
        drop(frames);
        self.metrics.video_skipped_frames.inc_by(skipped);
        Some(VideoEvent::Unit { unit, skipped })
    }
}

#[cfg(test)]
mod tests;
