//! From the camera's 90 kHz counter to a media time that never steps back and to our wall clock.
//!
//! While the camera's counter runs evenly, wall time is the arrival of the stream's first frame plus
//! what the counter advanced. It is anchored anew when the two drift apart. A frame cannot arrive
//! before it was taken, so an *early* frame proves the anchor wrong at once; a *late* one may be the
//! network's doing and counts only when lateness stays.

use std::time::Duration;

use vong_model::EventTime;

/// Ticks of media time in a second.
pub const TICKS_PER_SECOND: u32 = 90_000;

/// Drift between counter and arrival beyond which wall time is anchored anew.
pub(crate) const MAX_DRIFT: Duration = Duration::from_millis(500);

/// How long frames must stay late before lateness is taken for drift.
pub(crate) const LATE_FOR: Duration = Duration::from_secs(2);

/// A counter step that differs from the arrival step by more than this is a jump of the counter.
pub(crate) const MAX_JUMP: Duration = Duration::from_secs(10);

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// 1/90000 s since the first frame after the last interruption; strictly increasing.
    pub media_90k: u64,
    /// Wall clock, ours.
    pub wall: EventTime,
    /// The wall clock was anchored here: `wall` does not continue the frame before.
    pub anchored: bool,
}

/// Stamps the frames of one camera in decoding order.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    state: Option<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    anchor_pts: i64,
    anchor_media: u64,
    anchor_wall: EventTime,
    last_pts: i64,
    last_media: u64,
    last_received: EventTime,
    /// Arrival of the first of an unbroken run of late frames.
    late_since: Option<EventTime>,
}

impl Timeline {
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the anchor: the next frame starts a new stream at media time 0.
    pub fn interrupted(&mut self) {
        self.state = None;
    }

    /// Places the next frame.
    pub fn stamp(&mut self, pts_90k: i64, received_at: EventTime) -> Stamp {
        let Some(state) = &mut self.state else {
            self.state = Some(State::start(pts_90k, received_at));
            return Stamp { media_90k: 0, wall: received_at, anchored: true };
        };
        state.advance(pts_90k, received_at)
    }
}

impl State {
    fn start(pts: i64, received: EventTime) -> Self {
        Self {
            anchor_pts: pts,
            anchor_media: 0,
            anchor_wall: received,
            last_pts: pts,
            last_media: 0,
            last_received: received,
            late_since: None,
        }
    }

    fn advance(&mut self, raw_pts: i64, received: EventTime) -> Stamp {
        let pts = self.unwrap(raw_pts);
        let arrival_step = ticks_between(self.last_received, received);
        let jump = pts.saturating_sub(self.last_pts).saturating_sub(arrival_step);
        // Frames come in the order they are shown, so a step back is a jump however small.
        let jumped = pts < self.last_pts || jump.unsigned_abs() > ticks(MAX_JUMP);
        let anchored = jumped || self.drifted(pts, received);
        if anchored {
            self.anchor_media =
                self.last_media.saturating_add(u64::try_from(arrival_step).unwrap_or(0).max(1));
            self.anchor_pts = pts;
            self.anchor_wall = received;
            self.late_since = None;
        }
        let since_anchor = pts.saturating_sub(self.anchor_pts);
        let media = self
            .anchor_media
            .saturating_add_signed(since_anchor)
            .max(self.last_media.saturating_add(1));
        self.last_pts = pts;
        self.last_media = media;
        self.last_received = received;
        let wall = wall_after(self.anchor_wall, media.saturating_sub(self.anchor_media));
        Stamp { media_90k: media, wall, anchored }
    }

    /// Undoes the wrap of a counter that is only 32 bits wide, as in RTP (RFC 3550, 5.1).
    fn unwrap(&self, raw_pts: i64) -> i64 {
        const WRAP: i64 = 1 << 32;
        let step = raw_pts.saturating_sub(self.last_pts);
        if !(0..WRAP).contains(&raw_pts) || step.unsigned_abs() < WRAP.unsigned_abs() / 2 {
            return raw_pts;
        }
        let turns = self.last_pts.saturating_sub(raw_pts).saturating_add(WRAP / 2).div_euclid(WRAP);
        raw_pts.saturating_add(turns.saturating_mul(WRAP))
    }

    fn drifted(&mut self, pts: i64, received: EventTime) -> bool {
        let since_anchor = u64::try_from(pts.saturating_sub(self.anchor_pts)).unwrap_or(0);
        let expected = wall_after(self.anchor_wall, since_anchor);
        if expected.since(received) > MAX_DRIFT {
            return true;
        }
        if received.since(expected) <= MAX_DRIFT {
            self.late_since = None;
            return false;
        }
        let late_since = *self.late_since.get_or_insert(received);
        received.since(late_since) >= LATE_FOR
    }
}

/// `duration` in 1/90000 s, rounded down.
pub fn ticks(duration: Duration) -> u64 {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    micros.saturating_mul(9) / 100
}

/// 1/90000 s from `earlier` to `later`, rounded to nearest; negative when `later` is before it.
pub fn ticks_between(earlier: EventTime, later: EventTime) -> i64 {
    let micros = later.micros().saturating_sub(earlier.micros());
    micros.saturating_mul(9).saturating_add(50).div_euclid(100)
}

/// The instant `media_90k` ticks after `start`, to the nearest microsecond.
pub fn wall_after(start: EventTime, media_90k: u64) -> EventTime {
    let micros = media_90k.saturating_mul(100).saturating_add(4) / 9;
    start.saturating_add(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests;
