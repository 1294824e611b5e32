//! Whether frames come in the order and at the times their stamps say.

use std::time::Duration;

use vong_media::{TICKS_PER_SECOND, ticks, ticks_between};
use vong_model::EventTime;

/// A frame cannot arrive before it was taken: one whose counter is so far ahead of the frames that
/// were delayed least shows that the counter jumped. A late one may be the network's doing.
const MAX_LEAD: Duration = Duration::from_secs(2);
/// The counter of the least delayed frames is followed by this part of the difference a frame, so
/// that a counter that runs slow does not seem late for ever.
const FOLLOW: i64 = 1_024;
/// So many small steps back among [`RECENT_FRAMES`] are frames sent in decoding order.
const B_FRAME_STEPS: u32 = 4;
const RECENT_FRAMES: u32 = 60;
/// A camera whose times jump all the time is told about once in this time.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is wrong with a frame's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By so many 1/90000 s; `tell` is false where one was told just before.
    Jumped { by_90k: i64, tell: bool },
    /// The stream has B-frames.
    BFrames,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct OrderWatch {
    last: Option<(i64, EventTime)>,
    /// Counter less arrival of the least delayed frames, 1/90000 s.
    least_delayed: Option<i64>,
    frames: u32,
    steps_back: u32,
    told: Option<EventTime>,
}

impl OrderWatch {
    pub(crate) fn frame(&mut self, pts_90k: i64, received: EventTime) -> Option<Order> {
        let offset = pts_90k.saturating_sub(ticks_between(EventTime(0), received));
        let best = *self.least_delayed.get_or_insert(offset);
        let (last_pts, last_received) = self.last.replace((pts_90k, received))?;
        let step = pts_90k.saturating_sub(last_pts);
        let by_90k = step.saturating_sub(ticks_between(last_received, received));
        let lead = u64::try_from(offset.saturating_sub(best)).unwrap_or(0);
        let jumped = step <= -i64::from(TICKS_PER_SECOND) || lead > ticks(MAX_LEAD);
        let followed = best.saturating_sub(best.saturating_sub(offset) / FOLLOW);
        self.least_delayed = Some(if jumped { offset } else { followed.max(offset) });
        if jumped {
            let tell = self.told.is_none_or(|told| received.since(told) >= TELL_EVERY);
            if tell {
                self.told = Some(received);
            }
            return Some(Order::Jumped { by_90k, tell });
        }
        self.frames += 1;
        self.steps_back += u32::from(step < 0);
        if self.steps_back >= B_FRAME_STEPS {
            return Some(Order::BFrames);
        }
        if self.frames >= RECENT_FRAMES {
            (self.frames, self.steps_back) = (0, 0);
        }
        None
    }

    /// The stream was interrupted: the next frame's stamp is unrelated.
    pub(crate) fn interrupted(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of 25 a second with these stamps, in frames.
    fn check(stamps: &[i64], expected: &[Order]) {
        let mut watch = OrderWatch::default();
        let told: Vec<Order> = stamps
            .iter()
            .enumerate()
            .filter_map(|(n, stamp)| {
                watch.frame(stamp * 3_600, EventTime(i64::try_from(n).unwrap() * 40_000))
            })
            .collect();
        assert_eq!(told, expected, "{stamps:?}");
    }

    #[test]
    fn even_frames_a_late_one_and_a_missing_one_are_in_order() {
        check(&[0, 1, 2, 3, 3, 5, 8, 9], &[]);
    }

    #[test]
    fn a_stall_with_frames_left_out_is_no_jump_and_a_small_step_forward_is() {
        let mut watch = OrderWatch::default();
        let mut at = |frame: i64, ms: i64| watch.frame(frame * 3_600, EventTime(ms * 1_000));
        assert_eq!(at(0, 0), None);
        assert_eq!(at(1, 5_040), None); // five seconds late,
        assert_eq!(at(127, 5_080), None); // and the next is on time
        let jumped = at(128 + 75, 5_120);
        assert_eq!(jumped, Some(Order::Jumped { by_90k: 75 * 3_600, tell: true }));
    }

    #[test]
    fn jumps_are_told_once_a_minute() {
        let by = |frames: i64, tell| Order::Jumped { by_90k: frames * 3_600, tell };
        check(&[0, 1, 100_000, 100_001, 5, 6], &[by(99_998, true), by(-99_997, false)]);
        check(&[100, 101, 50, 51], &[by(-52, true)]);
    }

    #[test]
    fn frames_in_decoding_order_are_b_frames() {
        let stamps: Vec<i64> = (0..8).flat_map(|n| [3 * n, 3 * n + 3, 3 * n + 1]).collect();
        let mut watch = OrderWatch::default();
        let found = stamps.iter().enumerate().find_map(|(n, stamp)| {
            watch.frame(stamp * 3_600, EventTime(i64::try_from(n).unwrap() * 40_000))
        });
        assert_eq!(found, Some(Order::BFrames));
    }
}
