//! One stream on its way to its viewers: encoded once, handed to each through a bounded queue.
//!
//! A viewer's first frame is a key frame; a viewer whose queue is full gets nothing more until it
//! has room at a key frame. Nobody waits for a viewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use vong_runtime::channel::{self, Capacity, Receiver, SendError, Sender, WhenFull};

/// One frame, cut into RTP payloads.
#[derive(Clone, Debug)]
pub(crate) struct MediaFrame {
    pub(crate) key: bool,
    /// RTP time.
    pub(crate) time: u32,
    pub(crate) payloads: Vec<Bytes>,
    /// The payloads are whole packets, to be sent as they are (a fault).
    pub(crate) raw: bool,
}

/// Counts of one stream since its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCounts {
    /// As in the stream's address, `/CAM-01/main`.
    pub path: String,
    pub frames_encoded: u64,
    pub key_frames: u64,
    pub encoded_bytes: u64,
    /// Frames a viewer did not get because it was too slow.
    pub frames_skipped: u64,
    /// Viewers now.
    pub viewers: usize,
}

/// A stream and who watches it.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) path: String,
    /// Whose scenarios hold for it; `None` for a stream that is no camera.
    pub(crate) camera_id: Option<String>,
    /// RTP time at the anchor.
    pub(crate) time_base: u32,
    description: watch::Sender<Option<Arc<str>>>,
    viewers: Mutex<Vec<Viewer>>,
    key_wanted: AtomicBool,
    frames_encoded: AtomicU64,
    key_frames: AtomicU64,
    encoded_bytes: AtomicU64,
    frames_skipped: AtomicU64,
}

#[derive(Debug)]
struct Viewer {
    queue: Sender<Arc<MediaFrame>>,
    waits_for_key: bool,
}

/// Three seconds of a usual camera: longer than its GOP.
const QUEUE_FRAMES: usize = 30;

impl Feed {
    pub(crate) fn new(path: String, camera_id: Option<String>, time_base: u32) -> Self {
        Self {
            path,
            camera_id,
            time_base,
            description: watch::Sender::new(None),
            viewers: Mutex::default(),
            key_wanted: AtomicBool::new(false),
            frames_encoded: AtomicU64::new(0),
            key_frames: AtomicU64::new(0),
            encoded_bytes: AtomicU64::new(0),
            frames_skipped: AtomicU64::new(0),
        }
    }

    /// The SDP, once the encoder has shown its parameter sets.
    pub(crate) fn description(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.description.subscribe()
    }

    pub(crate) fn is_described(&self) -> bool {
        self.description.borrow().is_some()
    }

    pub(crate) fn describe(&self, sdp: String) {
        self.description.send_replace(Some(sdp.into()));
    }

    /// Starts a viewer; a key frame is made for it soon.
    pub(crate) fn attach(&self) -> Receiver<Arc<MediaFrame>> {
        // `Wait` with `offer`: the camera is told at once that the queue is full, and never waits.
        let (queue, frames) =
            channel::bounded("camera/viewer", Capacity::items(QUEUE_FRAMES), WhenFull::Wait);
        self.viewers.lock().push(Viewer { queue, waits_for_key: true });
        self.key_wanted.store(true, Ordering::Release);
        frames
    }

    pub(crate) fn is_watched(&self) -> bool {
        !self.viewers.lock().is_empty()
    }

    pub(crate) fn is_key_wanted(&self) -> bool {
        self.key_wanted.load(Ordering::Acquire)
    }

    /// Hands a frame to whoever is ready for it.
    pub(crate) fn publish(&self, frame: &Arc<MediaFrame>) {
        self.frames_encoded.fetch_add(1, Ordering::Relaxed);
        let bytes: usize = frame.payloads.iter().map(Bytes::len).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.encoded_bytes.fetch_add(bytes, Ordering::Relaxed);
        if frame.key {
            self.key_frames.fetch_add(1, Ordering::Relaxed);
        }
        let mut viewers = self.viewers.lock();
        if frame.key {
            // Under the lock: a viewer that attaches now asks for a key frame of its own.
            self.key_wanted.store(false, Ordering::Release);
        }
        viewers.retain_mut(|viewer| {
            if viewer.waits_for_key && !frame.key {
                self.frames_skipped.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            match viewer.queue.offer(Arc::clone(frame)) {
                Ok(()) => viewer.waits_for_key = false,
                Err(SendError::Full(_)) => {
                    viewer.waits_for_key = true;
                    self.frames_skipped.fetch_add(1, Ordering::Relaxed);
                }
                Err(SendError::Closed(_)) => return false,
            }
            true
        });
    }

    /// Drops every viewer, as a camera does that loses its line.
    pub(crate) fn hang_up(&self) {
        self.viewers.lock().clear();
    }

    pub(crate) fn counts(&self) -> StreamCounts {
        StreamCounts {
            path: self.path.clone(),
            frames_encoded: self.frames_encoded.load(Ordering::Relaxed),
            key_frames: self.key_frames.load(Ordering::Relaxed),
            encoded_bytes: self.encoded_bytes.load(Ordering::Relaxed),
            frames_skipped: self.frames_skipped.load(Ordering::Relaxed),
            viewers: self.viewers.lock().len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: u32, key: bool) -> Arc<MediaFrame> {
        Arc::new(MediaFrame { key, time: n, payloads: vec![Bytes::from_static(b"x")], raw: false })
    }

    fn times(frames: &mut Receiver<Arc<MediaFrame>>) -> Vec<u32> {
        std::iter::from_fn(|| frames.try_recv()).map(|f| f.time).collect()
    }

    #[test]
    fn viewer_starts_at_a_key_frame_and_a_slow_one_resumes_at_one() {
        let feed = Feed::new("/a".to_owned(), None, 0);
        let mut frames = feed.attach();
        assert!(feed.is_key_wanted());
        feed.publish(&frame(0, false));
        feed.publish(&frame(1, true));
        assert!(!feed.is_key_wanted());
        feed.publish(&frame(2, false));
        assert_eq!(times(&mut frames), [1, 2]);
        for n in 0..40 {
            feed.publish(&frame(n, false));
        }
        assert_eq!(times(&mut frames).len(), QUEUE_FRAMES);
        feed.publish(&frame(50, false));
        feed.publish(&frame(51, true));
        feed.publish(&frame(52, false));
        assert_eq!(times(&mut frames), [51, 52]);
        assert_eq!(feed.counts().frames_skipped, 1 + 10 + 1);
    }

    #[test]
    fn viewer_that_left_is_forgotten() {
        let feed = Feed::new("/a".to_owned(), None, 0);
        drop(feed.attach());
        assert!(feed.is_watched());
        feed.publish(&frame(0, true));
        assert!(!feed.is_watched());
    }
}
