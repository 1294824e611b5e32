//! All tiles of one screen: what each has seen, and whose turn it is.
//!
//! Tiles take turns frame by frame, so that a large or busy picture keeps no other waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vong_model::CameraId;

use super::bell::{Bell, Ring};
use super::{Feed, Feeds, VideoEvent, VideoHub, VideoStream};

/// A tile's number, chosen by the screen.
pub type TileId = u16;

/// How much of a picture a tile gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileMode {
    /// Every frame, beginning with the group that is there.
    Full,
    /// Every frame from the next key frame on, and until then the newest one: what many tiles that
    /// begin at once need, since all their groups together would take a screen seconds to decode.
    Steady,
    /// The newest key frame, whenever there is one.
    Key,
}

/// One screen's tiles; ends by being dropped.
#[derive(Debug)]
pub struct VideoWall {
    hub: VideoHub,
    bell: Arc<Bell>,
    tiles: BTreeMap<TileId, Tile>,
    /// Who was served last.
    last: TileId,
}

/// What one tile shows of a camera, and what it has seen of that stream.
#[derive(Debug)]
struct Tile {
    camera: CameraId,
    feeds: Arc<Feeds>,
    wanted: VideoStream,
    shown: VideoStream,
    feed: Arc<Feed>,
    /// [`Feeds::changes`] when `feed` was chosen.
    chosen_at: u64,
    mode: TileMode,
    /// The stream whose parameters the viewer has.
    stream: Option<u64>,
    /// Number of the frame that follows; `None` until a key frame was delivered.
    next: Option<u64>,
    /// A jump from here to the next frame is by wish, not by slowness.
    forgiven: bool,
    /// In [`TileMode::Steady`]: a key frame was delivered as it came, so every frame follows.
    follows: bool,
}

impl VideoWall {
    pub(super) fn new(hub: VideoHub) -> Self {
        Self { hub, bell: Arc::default(), tiles: BTreeMap::new(), last: TileId::MAX }
    }

    /// Shows `camera` on `tile` from its newest key frame on, in place of what was there.
    ///
    /// Gives the stream that is shown: the camera's other one where the wanted one has no picture,
    /// `None` when there is no such camera.
    pub fn show(
        &mut self,
        tile: TileId,
        camera: &CameraId,
        wanted: VideoStream,
        mode: TileMode,
    ) -> Option<VideoStream> {
        self.remove(tile);
        let feeds = self.hub.attend(camera, Ring::new(&self.bell, tile))?;
        let chosen_at = feeds.changes.load(Ordering::Acquire);
        let Some((shown, feed)) = feeds.first(wanted) else {
            feeds.viewers.lock().retain(|ring| !ring.is(&self.bell, tile));
            self.hub.tidy(camera);
            return None; // it has just gone
        };
        feed.attach(Ring::new(&self.bell, tile));
        self.hub.inner.metrics.video_viewers.inc();
        let camera = camera.clone();
        let fresh = Tile {
            camera,
            feeds,
            wanted,
            shown,
            feed,
            chosen_at,
            mode,
            stream: None,
            next: None,
            forgiven: true,
            follows: false,
        };
        self.tiles.insert(tile, fresh);
        Some(shown)
    }

    /// The stream that `tile` wants, and the one that it shows now.
    pub fn streams(&self, tile: TileId) -> Option<(VideoStream, VideoStream)> {
        self.tiles.get(&tile).map(|tile| (tile.wanted, tile.shown))
    }

    /// Changes how much `tile` gets; from key frames to [`TileMode::Full`] it goes on behind the last.
    pub fn set_mode(&mut self, tile: TileId, mode: TileMode) {
        if let Some(shown) = self.tiles.get_mut(&tile)
            && shown.mode != mode
        {
            // What has every frame already need not begin anew.
            let follows = shown.mode == TileMode::Full || shown.follows;
            shown.follows = follows && mode != TileMode::Key;
            (shown.mode, shown.forgiven) = (mode, true);
            self.bell.again(tile);
        }
    }

    /// Ends `tile`.
    pub fn remove(&mut self, tile: TileId) {
        if let Some(gone) = self.tiles.remove(&tile) {
            gone.feed.detach(&self.bell, tile);
            gone.feeds.viewers.lock().retain(|ring| !ring.is(&self.bell, tile));
            self.hub.tidy(&gone.camera);
            self.hub.inner.metrics.video_viewers.dec();
        }
    }

    /// What happens next, and where; waits as long as nothing does. Cancel-safe.
    pub async fn next(&mut self) -> (TileId, VideoEvent) {
        loop {
            while let Some(tile) = self.bell.take_after(self.last) {
                let Some(shown) = self.tiles.get_mut(&tile) else { continue };
                shown.choose(&self.bell, tile);
                let Some(event) = shown.look() else { continue };
                self.last = tile;
                self.bell.again(tile); // there may be more
                if let VideoEvent::Unit { skipped, .. } = &event {
                    self.hub.inner.metrics.video_skipped_frames.inc_by(*skipped);
                }
                return (tile, event);
            }
            self.bell.heard().await;
        }
    }
}

impl Drop for VideoWall {
    fn drop(&mut self) {
        while let Some((&tile, _)) = self.tiles.first_key_value() {
            self.remove(tile);
        }
    }
}

impl Tile {
    /// Goes over to the stream that the tile should show now.
    fn choose(&mut self, bell: &Arc<Bell>, tile: TileId) {
        let changes = self.feeds.changes.load(Ordering::Acquire);
        if std::mem::replace(&mut self.chosen_at, changes) == changes {
            return;
        }
        let Some((shown, feed)) = self.feeds.better(self.wanted, Some(&self.feed)) else { return };
        if Arc::ptr_eq(&feed, &self.feed) {
            return;
        }
        self.feed.detach(bell, tile);
        feed.attach(Ring::new(bell, tile));
        (self.shown, self.feed) = (shown, feed);
        (self.stream, self.next, self.forgiven, self.follows) = (None, None, true, false);
    }

    fn look(&mut self) -> Option<VideoEvent> {
        let frames = self.feed.frames.lock();
        if !frames.connected() {
            self.stream.take()?;
            self.next = None;
            return Some(VideoEvent::Interrupted);
        }
        let (stream, parameters) = frames.stream();
        if self.stream != Some(stream) {
            self.stream = Some(stream);
            (self.next, self.forgiven, self.follows) = (None, true, false);
            return parameters.cloned().map(VideoEvent::Parameters);
        }
        let every = match self.mode {
            TileMode::Full => true,
            TileMode::Steady => self.follows,
            TileMode::Key => false,
        };
        let found = if every { frames.frame(self.next) } else { frames.key_frame(self.next) };
        let (number, unit) = found?;
        let newest = frames.is_newest(number);
        drop(frames);
        let behind = self.next.map_or(0, |wanted| number.saturating_sub(wanted));
        let by_wish = !every || self.forgiven;
        self.follows |= newest && self.mode == TileMode::Steady;
        (self.next, self.forgiven) = (Some(number + 1), false);
        Some(VideoEvent::Unit { unit, skipped: if by_wish { 0 } else { behind } })
    }
}
