//! Whether pictures keep arriving that are all the same one.
//!
//! A street at night may show nothing new for a while. So pictures that are the same to the last
//! bit are a freeze soon, nearly equal ones only after longer than this camera has ever been still
//! and then moved again.

use vong_model::EventTime;

use super::WIDTH;
use crate::luma::Luma;

const BLOCK: usize = 10;
const COLUMNS: usize = WIDTH / BLOCK;
/// Levels by which a pixel differs when something moved there, rather than the encoder.
const MOTION: u8 = 3;
/// Rows of blocks at the top and at the bottom where cameras write their clock.
const CAPTION_ROWS: usize = 1;
/// Blocks there that may change in a frozen picture.
const CAPTION_BLOCKS: usize = 5;
/// Still for so long to the last bit is a freeze.
const IDENTICAL_US: i64 = 15_000_000;
/// Still for so long but for what an encoder changes.
const NEARLY_US: i64 = 60_000_000;

/// How long a camera's picture has been still.
#[derive(Clone, Debug, Default)]
pub(super) struct Stillness {
    last: Option<Luma>,
    still_since: Option<EventTime>,
    identical_since: Option<EventTime>,
    /// The longest it was still before something moved again.
    longest_us: i64,
}

/// What is known after a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Still {
    pub(super) for_us: i64,
    pub(super) is_frozen: bool,
}

impl Stillness {
    pub(super) fn observe(&mut self, luma: &Luma, at: EventTime) -> Still {
        let change = self.last.as_ref().map_or(Change::Motion, |last| change(last, luma));
        self.last = Some(luma.clone());
        if change == Change::Motion {
            if let Some(since) = self.still_since {
                self.longest_us = self.longest_us.max(at.micros() - since.micros());
            }
            (self.still_since, self.identical_since) = (Some(at), Some(at));
        } else if change == Change::Noise {
            self.identical_since = Some(at);
        }
        let lasted = |since: Option<EventTime>| since.map_or(0, |s| at.micros() - s.micros());
        let (for_us, identical_us) = (lasted(self.still_since), lasted(self.identical_since));
        let nearly_us = NEARLY_US.max(2 * self.longest_us);
        Still { for_us, is_frozen: identical_us >= IDENTICAL_US || for_us >= nearly_us }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    /// Only what an encoder or a sensor does.
    Noise,
    Motion,
}

fn change(last: &Luma, now: &Luma) -> Change {
    let (mut noise, mut moved) = (false, vec![false; last.pixels().len() / (BLOCK * BLOCK)]);
    for (y, (before, after)) in last.rows().zip(now.rows()).enumerate() {
        for (x, (before, after)) in before.iter().zip(after).enumerate() {
            let by = before.abs_diff(*after);
            let block = moved.get_mut(y / BLOCK * COLUMNS + x / BLOCK);
            match block {
                Some(moved) if by > MOTION => *moved = true,
                Some(moved) if by > 0 => noise |= !*moved,
                _ => {}
            }
        }
    }
    let rows = moved.len() / COLUMNS;
    let is_caption = |row: usize| row < CAPTION_ROWS || row + CAPTION_ROWS >= rows;
    let blocks = moved.iter().enumerate().filter(|(_, moved)| **moved);
    let (caption, street): (Vec<_>, Vec<_>) =
        blocks.partition(|(block, _)| is_caption(block / COLUMNS));
    if !street.is_empty() || caption.len() > CAPTION_BLOCKS {
        return Change::Motion;
    }
    if noise { Change::Noise } else { Change::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(spots: &[(usize, usize, u8)]) -> Luma {
        let mut pixels = vec![90; 160 * 90];
        for (x, y, level) in spots {
            pixels[y * 160 + x] = *level;
        }
        Luma::new(160, 90, pixels).unwrap()
    }

    /// The second at which a camera is found frozen whose picture number `n`, 2 s apart, is
    /// `of(n)`.
    fn frozen_at(of: impl Fn(i64) -> Luma) -> Option<i64> {
        let mut stillness = Stillness::default();
        (0..200)
            .find(|n| stillness.observe(&of(*n), EventTime(n * 2_000_000)).is_frozen)
            .map(|n| n * 2)
    }

    fn level(n: i64) -> u8 {
        u8::try_from(n % 200).unwrap()
    }

    #[test]
    fn the_same_picture_is_a_freeze_also_under_a_running_clock() {
        assert_eq!(frozen_at(|_| picture(&[])), Some(16));
        assert_eq!(
            frozen_at(|n| picture(&[(70, 4, level(n * 20)), (90, 4, level(n * 30))])),
            Some(16)
        );
    }

    #[test]
    fn moving_spot_in_the_street_is_no_freeze_and_noise_only_a_late_one() {
        assert_eq!(frozen_at(|n| picture(&[(70, 44, level(n * 20))])), None);
        assert_eq!(frozen_at(|n| picture(&[(70, 44, 90 + level(n) % 2)])), Some(60));
    }

    #[test]
    fn camera_that_was_still_for_long_and_moved_again_is_given_more_time() {
        // Still for 50 s, then something passes, then noise alone.
        let passing = |n: i64| if n == 25 { 200 } else { 90 + level(n) % 2 };
        assert_eq!(frozen_at(|n| picture(&[(70, 44, passing(n))])), Some(52 + 100));
    }
}
