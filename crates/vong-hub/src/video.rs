//! Live pictures to many viewers.
//!
//! Each stream of a camera keeps its last group of pictures; viewers read from there at their own
//! pace. The producer appends, rings who watches, and never waits. A viewer that falls behind what
//! is kept goes on at the newest key frame and is told how many frames it skipped; a new one starts
//! at the newest key frame, so that it has a picture at once. Nothing is queued for anybody.
//!
//! A tile whose stream is lost shows the camera's other one, and goes back when the one that it wants
//! has a picture again.

mod bell;
mod frames;
mod shedding;
mod wall;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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
    cameras: RwLock<BTreeMap<CameraId, Arc<Feeds>>>,
    metrics: HubMetrics,
}

/// What one camera has to show, and who looks at it. Known while it has a stream or a viewer: a tile
/// waits for a camera that is started anew.
#[derive(Debug, Default)]
struct Feeds {
    streams: Mutex<BTreeMap<VideoStream, Arc<Feed>>>,
    /// Grows when a stream comes, goes, or begins or ceases to have a picture.
    changes: AtomicU64,
    /// Every tile that shows the camera, whichever stream of it.
    viewers: Mutex<Vec<Ring>>,
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
        Self { inner: Arc::new(Inner { cameras: RwLock::default(), metrics }) }
    }

    /// Where frames of a stream of `camera` go in, in place of those of an earlier sink; the stream
    /// is known as long as the sink is there.
    pub fn sink(&self, camera: &CameraId, stream: VideoStream) -> VideoSink {
        let feed = Arc::new(Feed::default());
        let feeds = {
            let mut cameras = self.inner.cameras.write();
            let feeds = Arc::clone(cameras.entry(camera.clone()).or_default());
            feeds.streams.lock().insert(stream, Arc::clone(&feed));
            feeds
        };
        feeds.changed();
        VideoSink { hub: self.clone(), camera: camera.clone(), stream, feeds, feed }
    }

    /// A set of tiles that shows nothing yet.
    pub fn wall(&self) -> VideoWall {
        VideoWall::new(self.clone())
    }

    /// Whether `camera` has a sub-stream.
    pub fn has_sub_stream(&self, camera: &CameraId) -> bool {
        let feeds = self.inner.cameras.read().get(camera).cloned();
        feeds.is_some_and(|feeds| feeds.streams.lock().contains_key(&VideoStream::Sub))
    }

    /// How many tiles show `camera` now, whichever stream of it.
    pub fn viewers(&self, camera: &CameraId) -> usize {
        let cameras = self.inner.cameras.read();
        cameras.get(camera).map_or(0, |feeds| feeds.viewers.lock().len())
    }

    /// Lets `ring` know of changes of `camera`; `None` when there is no such camera.
    fn attend(&self, camera: &CameraId, ring: Ring) -> Option<Arc<Feeds>> {
        // Held until the viewer stands in the list: nobody may tidy the camera away meanwhile.
        let cameras = self.inner.cameras.read();
        let feeds = cameras.get(camera)?;
        if feeds.streams.lock().is_empty() {
            return None;
        }
        feeds.viewers.lock().push(ring);
        Some(Arc::clone(feeds))
    }

    /// Forgets `camera` if nothing of it is left.
    fn tidy(&self, camera: &CameraId) {
        let mut cameras = self.inner.cameras.write();
        let is_over = cameras.get(camera).is_some_and(|feeds| {
            feeds.streams.lock().is_empty() && feeds.viewers.lock().is_empty()
        });
        if is_over {
            cameras.remove(camera);
        }
    }
}

impl Feeds {
    /// What a tile begins with that wants `wanted`; `None` when the camera has no stream at all.
    fn first(&self, wanted: VideoStream) -> Option<(VideoStream, Arc<Feed>)> {
        self.better(wanted, None).or_else(|| self.known(wanted).into_iter().next())
    }

    /// What a tile shows that wants `wanted` and shows `now`: the wanted stream once it has a
    /// picture; until then the one that it shows, or another as soon as that is lost. `None` when
    /// nothing has a picture.
    fn better(
        &self,
        wanted: VideoStream,
        now: Option<&Arc<Feed>>,
    ) -> Option<(VideoStream, Arc<Feed>)> {
        let known = self.known(wanted);
        let shows = |(_, feed): &&(VideoStream, Arc<Feed>)| feed.frames.lock().shows();
        let goes_on = |(_, feed): &&(VideoStream, Arc<Feed>)| {
            now.is_some_and(|now| Arc::ptr_eq(now, feed)) && feed.frames.lock().connected()
        };
        let of_wanted = known.iter().filter(|(stream, _)| *stream == wanted).find(shows);
        let best = of_wanted.or_else(|| known.iter().find(goes_on));
        best.or_else(|| known.iter().find(shows)).cloned()
    }

    /// The streams that there are, `wanted` first.
    fn known(&self, wanted: VideoStream) -> Vec<(VideoStream, Arc<Feed>)> {
        let other = match wanted {
            VideoStream::Main => VideoStream::Sub,
            VideoStream::Sub => VideoStream::Main,
        };
        let streams = self.streams.lock();
        let known = [wanted, other].into_iter();
        known.filter_map(|stream| Some((stream, Arc::clone(streams.get(&stream)?)))).collect()
    }

    /// Every viewer has to think again which stream it shows.
    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        for ring in self.viewers.lock().iter() {
            ring.ring();
        }
    }
}

impl Feed {
    /// Whether the stream was lost, came back, or began or ceased to have a picture.
    fn change(&self, change: impl FnOnce(&mut Frames)) -> bool {
        let turned = {
            let mut frames = self.frames.lock();
            let before = (frames.connected(), frames.shows());
            change(&mut frames);
            before != (frames.connected(), frames.shows())
        };
        // After the frames are let go of: who is rung looks at once.
        for ring in self.viewers.lock().iter() {
            ring.ring();
        }
        turned
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

/// Takes the frames of one stream; never blocks. The stream is gone when it is dropped.
#[derive(Debug)]
pub struct VideoSink {
    hub: VideoHub,
    camera: CameraId,
    stream: VideoStream,
    feeds: Arc<Feeds>,
    feed: Arc<Feed>,
}

impl VideoSink {
    fn change(&self, change: impl FnOnce(&mut Frames)) {
        if self.feed.change(change) {
            self.feeds.changed();
        }
    }
}

impl AccessUnitSink for VideoSink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        self.change(|frames| frames.begin(parameters));
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        let watched = self.feed.watched_by.load(Ordering::Relaxed) > 0;
        // The clone shares the frame's bytes.
        self.change(|frames| frames.push(Arc::new(unit.clone()), watched));
    }

    fn is_prompt(&self) -> bool {
        self.feed.watched_by.load(Ordering::Relaxed) > 0
    }

    fn interrupted(&mut self) {
        self.change(Frames::interrupt);
    }
}

impl Drop for VideoSink {
    fn drop(&mut self) {
        self.change(Frames::interrupt);
        {
            let mut streams = self.feeds.streams.lock();
            // Unless a later sink has taken its place.
            if streams.get(&self.stream).is_some_and(|feed| Arc::ptr_eq(feed, &self.feed)) {
                streams.remove(&self.stream);
            }
        }
        self.feeds.changed();
        self.hub.tidy(&self.camera);
    }
}

#[cfg(test)]
mod tests;
