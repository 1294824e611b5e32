//! The thread behind each stream: at each frame's time it draws, encodes and publishes; while
//! nobody watches it does nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vong_runtime::{Clock, Shutdown, UnixMicros};

use super::encoder::Encoder;
use super::feed::{Feed, MediaFrame};
use super::nal::ParameterSets;
use super::picture::Painter;
use super::{CameraSpec, Error, rtp, sdp};
use crate::scene::Scene;

/// How soon a thread notices that it should end.
const LONGEST_NAP: Duration = Duration::from_millis(100);
/// How far a busy machine may fall behind before frames are left out.
const LATEST_FRAMES: u64 = 4;

/// What every stream of a farm shares.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) seed: u64,
    pub(crate) scene: Arc<dyn Scene>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) anchor: UnixMicros,
}

impl Stage {
    /// Seconds since the anchor, now.
    pub(crate) fn now_s(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a century fit a f64")]
        let micros = (self.clock.now() - self.anchor) as f64;
        micros / 1e6
    }
}

/// When the frames of a stream are due.
#[derive(Clone, Copy, Debug)]
struct Timetable {
    /// Of frame 0.
    start: UnixMicros,
    fps: i64,
}

impl Timetable {
    /// The last frame due at `now`.
    fn frame_at(self, now: UnixMicros) -> Option<u64> {
        u64::try_from((now - self.start).checked_mul(self.fps)?.div_euclid(1_000_000)).ok()
    }

    fn due(self, n: u64) -> UnixMicros {
        let micros = i128::from(n) * 1_000_000 / i128::from(self.fps);
        self.start.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// How long to sleep at `now` until frame `n`, or part of it.
    fn nap(self, now: UnixMicros, n: u64) -> Duration {
        let micros = u64::try_from(self.due(n) - now).unwrap_or(0).max(1_000);
        Duration::from_micros(micros).min(LONGEST_NAP)
    }
}

/// Films one camera until `shutdown`. `delay` sets this stream's work apart from other streams'.
pub(crate) fn film(
    feed: &Feed,
    spec: &CameraSpec,
    stage: &Stage,
    delay: Duration,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    let fps = u64::from(spec.fps.max(1));
    let delay = i64::try_from(delay.as_micros()).unwrap_or(0);
    let times = Timetable {
        start: stage.anchor.saturating_add(delay),
        fps: i64::try_from(fps).unwrap_or(i64::MAX),
    };
    let mut painter = Painter::new(spec, stage.seed, Arc::clone(&stage.scene), times.start);
    let mut encoder = Encoder::open(spec)?;
    let mut next = 0;
    let mut last_key: Option<u64> = None;
    while !shutdown.is_requested() {
        let now = stage.clock.now();
        let Some(due) = times.frame_at(now).filter(|&due| due >= next) else {
            std::thread::sleep(times.nap(now, next));
            continue;
        };
        // A little late is made up for, frame by frame; what is older is left out.
        let n = if due - next <= LATEST_FRAMES { next } else { due };
        next = n + 1;
        if stage.scene.is_offline(&spec.camera_id, stage.now_s()) {
            feed.hang_up();
        }
        if feed.is_described() && !feed.is_watched() {
            continue;
        }
        // At most two extra key frames a second, however often viewers come and go.
        let rested = last_key.is_none_or(|last| n.saturating_sub(last) >= fps / 2);
        let encoded = encoder.encode(n, painter.picture(n), rested && feed.is_key_wanted())?;
        if encoded.key {
            last_key = Some(n);
            if let Some(sets) =
                ParameterSets::of(spec.codec, &encoded.nals).filter(|_| !feed.is_described())
            {
                feed.describe(sdp::describe(spec.codec, &sets, spec.fps));
            }
        }
        let since_anchor = times.due(n) - stage.anchor;
        feed.publish(&Arc::new(MediaFrame {
            key: encoded.key,
            time: rtp::time_after(feed.time_base, since_anchor),
            payloads: rtp::payloads(spec.codec, &encoded.nals),
            raw: false,
        }));
    }
    Ok(())
}

/// Fills `feed` with packets of random bytes, described as `model` is: a camera gone mad.
pub(crate) fn babble(feed: &Feed, model: &Feed, stage: &Stage, shutdown: &Shutdown) {
    let times = Timetable { start: stage.anchor, fps: 10 };
    let mut dice = super::dice::Dice::new(stage.seed, &feed.path);
    let mut next = 0;
    while !shutdown.is_requested() {
        let now = stage.clock.now();
        let Some(n) = times.frame_at(now).filter(|&n| n >= next) else {
            std::thread::sleep(times.nap(now, next));
            continue;
        };
        next = n + 1;
        if let Some(sdp) = model.description().borrow().as_ref().filter(|_| !feed.is_described()) {
            feed.describe(sdp.to_string());
        }
        if !feed.is_watched() {
            continue;
        }
        let mut packet = || {
            let bytes = usize::try_from(dice.below(1_200)).unwrap_or(0);
            let words = std::iter::repeat_with(|| dice.word().to_le_bytes());
            words.flatten().take(bytes).collect::<Bytes>()
        };
        let payloads = (0..4).map(|_| packet()).collect();
        feed.publish(&Arc::new(MediaFrame { key: true, time: 0, payloads, raw: true }));
    }
}
