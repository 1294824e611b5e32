//! How many of a stream's packets do not arrive, over the last minute.
//!
//! Packets that arrived are estimated from bytes: a camera fills packets of about 1,400 bytes. The
//! share need only be right to its order of magnitude.

use std::collections::VecDeque;
use std::time::Duration;

use vong_model::EventTime;

/// The minute is made of so many buckets of [`BUCKET`] each.
const BUCKETS: usize = 6;
const BUCKET: Duration = Duration::from_secs(10);
/// Usual payload of a full packet, bytes.
const PACKET_BYTES: usize = 1_400;
/// Losing more of a thousand packets than this is told ...
const BAD_PER_MILLE: u64 = 10;
/// ... and that it is over when fewer than this are lost.
const GOOD_PER_MILLE: u64 = 2;
/// Fewer packets than this prove nothing.
const LEAST_PACKETS: u64 = 100;

/// A change of state; carries lost packets per thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossChange {
    Bad { per_mille: u64 },
    Good { per_mille: u64 },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LossWatch {
    buckets: VecDeque<Bucket>,
    bad: bool,
    /// As for the camera's clock: it was told before the stream was interrupted.
    tell_again: bool,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    begins: EventTime,
    arrived: u64,
    lost: u64,
}

impl LossWatch {
    /// Takes in a frame of `bytes` that came after `lost` packets that did not.
    pub(crate) fn frame(&mut self, now: EventTime, bytes: usize, lost: u32) -> Option<LossChange> {
        let full = self.buckets.back().is_none_or(|last| now.since(last.begins) >= BUCKET);
        let change = if full { self.decide() } else { None };
        if full {
            self.buckets.push_back(Bucket { begins: now, arrived: 0, lost: 0 });
            while self.buckets.len() > BUCKETS {
                self.buckets.pop_front();
            }
        }
        if let Some(last) = self.buckets.back_mut() {
            last.arrived += bytes.div_ceil(PACKET_BYTES).max(1) as u64;
            last.lost += u64::from(lost);
        }
        change
    }

    /// The stream was interrupted: that it still loses packets afterwards is told anew.
    pub(crate) fn interrupted(&mut self) {
        self.buckets.clear();
        self.tell_again = self.bad;
    }

    fn decide(&mut self) -> Option<LossChange> {
        let arrived: u64 = self.buckets.iter().map(|bucket| bucket.arrived).sum();
        let lost: u64 = self.buckets.iter().map(|bucket| bucket.lost).sum();
        let all = arrived + lost;
        if all < LEAST_PACKETS {
            return None;
        }
        let per_mille = lost * 1_000 / all;
        let is_known = self.bad && !self.tell_again;
        if !is_known && per_mille > BAD_PER_MILLE {
            (self.bad, self.tell_again) = (true, false);
            return Some(LossChange::Bad { per_mille });
        }
        if self.bad && per_mille < GOOD_PER_MILLE {
            (self.bad, self.tell_again) = (false, false);
            return Some(LossChange::Good { per_mille });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_loss_is_told_once_and_its_end_once() {
        let mut watch = LossWatch::default();
        let mut told = Vec::new();
        for second in 0..300_i64 {
            for frame in 0..10 {
                let lost = u32::from((60..120).contains(&second) && frame == 0);
                let now = EventTime(second * 1_000_000 + frame * 100_000);
                told.extend(watch.frame(now, 2_000, lost).map(|change| (second, change)));
            }
        }
        assert_eq!(
            told,
            [(80, LossChange::Bad { per_mille: 16 }), (180, LossChange::Good { per_mille: 0 }),]
        );
    }

    #[test]
    fn loss_that_goes_on_after_an_interruption_is_told_again() {
        let mut watch = LossWatch::default();
        let mut told = 0;
        for session in 0..2_i64 {
            for frame in 0..300 {
                let now = EventTime(session * 600_000_000 + frame * 100_000);
                let change = watch.frame(now, 2_000, u32::from(frame % 10 == 0));
                told += i32::from(matches!(change, Some(LossChange::Bad { .. })));
            }
            watch.interrupted();
        }
        assert_eq!(told, 2);
    }

    #[test]
    fn a_few_packets_prove_nothing() {
        let mut watch = LossWatch::default();
        let told = (0..40).find_map(|n| watch.frame(EventTime(n * 1_000_000), 100, 1));
        assert_eq!(told, None);
    }
}
