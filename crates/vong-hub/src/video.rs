//! Live pictures to many viewers.
//!
//! Each stream of a camera keeps its last group of pictures; viewers read from there at their own
//! pace. The producer appends, rings who watches, and never waits. A viewer that falls behind what
//! is kept goes on at the newest key frame and is told how many frames it skipped; a new one starts
//! at the newest key frame, so that it has a picture at once. Nothing is queued for anybody.

mod bell;
mod frames;
mod shedding;
mod wall;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use vong_media::{AccessUnit, AccessUnitSink, VideoParameters};
use vong_model::CameraId;

use crate::metrics::HubMetrics;
use bell::{Bell, Ring};
use frames::Frames;
pub use shedding::{Shedding, Verdict};
pub use wall::{TileId, TileMode, VideoWall};

/// Which of a camera's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VideoStream {
    /// The one it records: large.
    Main,
    /// The one made for small tiles, where the camera has one.
    Sub,
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

/// Live pictures of all cameras; cheap to clone.
#[derive(Clone, Debug)]
pub struct VideoHub {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    feeds: RwLock<BTreeMap<(CameraId, VideoStream), Arc<Feed>>>,
    metrics: HubMetrics,
}

/// One stream of one camera.
#[derive(Debug, Default)]
struct Feed {
    frames: Mutex<Frames>,
    viewers: Mutex<Vec<Ring>>,
    watched_by: AtomicUsize,
}

impl VideoHub {
    pub fn new(metrics: HubMetrics) -> Self {
        Self { inner: Arc::new(Inner { feeds: RwLock::default(), metrics }) }
    }

    /// Where frames of a stream of `camera` go in; makes the stream known.
    pub fn sink(&self, camera: &CameraId, stream: VideoStream) -> VideoSink {
        let mut feeds = self.inner.feeds.write();
        VideoSink { feed: Arc::clone(feeds.entry((camera.clone(), stream)).or_default()) }
    }

    /// A set of tiles that shows nothing yet.
    pub fn wall(&self) -> VideoWall {
        VideoWall::new(self.clone())
    }

    /// Whether `camera` has a sub-stream.
    pub fn has_sub_stream(&self, camera: &CameraId) -> bool {
        self.inner.feeds.read().contains_key(&(camera.clone(), VideoStream::Sub))
    }

    /// How many tiles show `camera` now, whichever stream of it.
    pub fn viewers(&self, camera: &CameraId) -> usize {
        let feeds = self.inner.feeds.read();
        let streams = [VideoStream::Main, VideoStream::Sub];
        let known = streams.into_iter().filter_map(|stream| feeds.get(&(camera.clone(), stream)));
        known.map(|feed| feed.watched_by.load(Ordering::Relaxed)).sum()
    }

    /// The wanted stream, else the camera's other one; `None` when there is no such camera.
    fn feed(&self, camera: &CameraId, wanted: VideoStream) -> Option<(VideoStream, Arc<Feed>)> {
        let other = match wanted {
            VideoStream::Main => VideoStream::Sub,
            VideoStream::Sub => VideoStream::Main,
        };
        let feeds = self.inner.feeds.read();
        [wanted, other]
            .into_iter()
            .find_map(|stream| Some((stream, Arc::clone(feeds.get(&(camera.clone(), stream))?))))
    }
}

impl Feed {
    fn change(&self, change: impl FnOnce(&mut Frames)) {
        change(&mut self.frames.lock());
        // After the frames are let go of: who is rung looks at once.
        for ring in self.viewers.lock().iter() {
            ring.ring();
        }
    }

    fn attach(&self, ring: Ring) {
        self.watched_by.fetch_add(1, Ordering::Relaxed);
        ring.ring(); // what is there already is news to a newcomer
        self.viewers.lock().push(ring);
    }

    fn detach(&self, bell: &Arc<Bell>, tile: TileId) {
        self.viewers.lock().retain(|ring| !ring.is(bell, tile));
        self.watched_by.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes the frames of one stream; never blocks.
#[derive(Debug)]
pub struct VideoSink {
    feed: Arc<Feed>,
}

impl AccessUnitSink for VideoSink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        self.feed.change(|frames| frames.begin(parameters));
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        let watched = self.feed.watched_by.load(Ordering::Relaxed) > 0;
        // The clone shares the frame's bytes.
        self.feed.change(|frames| frames.push(Arc::new(unit.clone()), watched));
    }

    fn is_prompt(&self) -> bool {
        self.feed.watched_by.load(Ordering::Relaxed) > 0
    }

    fn interrupted(&mut self) {
        self.feed.change(Frames::interrupt);
    }
}

#[cfg(test)]
mod tests;
