//! Whether pictures keep arriving that are all the same one.
//!
//! Nothing that moves is not enough: streets are empty at night. So a camera is compared with the
//! signs of life it usually gives: the clock it writes into its picture, and the noise of its
//! sensor, which no two pictures share. When both are gone as long as nothing moves, the picture is
//! an old one. What an encoder does to one and the same picture, coarser now and finer then, moves
//! no part of it and is fainter than a sensor's noise.

mod change;

use vong_model::EventTime;

use crate::luma::Luma;
use change::{Cells, Change};

/// A clock that stood still for so long, while nothing moved, has stopped.
const CLOCK_STOPPED_US: i64 = 12_000_000;
/// Without noise for so long is a freeze of a camera that writes no clock; a noisy pair of pictures
/// between takes half its length away ...
const QUIET_US: i64 = 20_000_000;
/// ... and of one whose clock goes on, which speaks against it.
const QUIET_WITH_CLOCK_US: i64 = 60_000_000;
/// Share of the usual noise that is less than a sensor makes. A street at night has nearly all of
/// it; what encoders make of one and the same picture is from nothing to two thirds of it.
const QUIET_BELOW: f32 = 0.75;
/// Shares of a picture with less and with more noise in what is usual: what matters is how little
/// there is while the camera lives.
const LESS_NOISE: f32 = 0.2;
const MORE_NOISE: f32 = 0.02;

/// Pictures so near to one another are not compared: a clock of seconds must have had time to go on.
const APART_US: i64 = 1_000_000;
/// Comparisons that a clock must be missing in, however far apart they are, and how long one counts
/// at most.
const LEAST_PAIRS: u32 = 4;
const LONGEST_PAIR_US: i64 = 5_000_000;

/// How long a camera's picture has been still, and what it usually does.
#[derive(Clone, Debug, Default)]
pub(super) struct Stillness {
    last: Option<(Luma, EventTime)>,
    cells: Cells,
    /// Share of the pixels that differ from picture to picture where nothing moves.
    usual_noise: Option<f32>,
    now: Option<Stretch>,
    /// The longest it was quiet before it lived again, without being taken for frozen.
    longest_quiet_us: i64,
}

/// How long signs of life have been missing.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Nothing moved since.
    still: Lack,
    /// ... nor did the clock.
    clock: Lack,
    /// For how long there was no noise either.
    quiet_us: i64,
    most_quiet_us: i64,
    is_frozen: bool,
    was_frozen: bool,
}

impl Stretch {
    fn new(at: EventTime) -> Self {
        let (still, clock) = (Lack::new(at), Lack::new(at));
        Self { still, clock, quiet_us: 0, most_quiet_us: 0, is_frozen: false, was_frozen: false }
    }
}

/// Since when something has been missing, and in how many comparisons.
#[derive(Clone, Copy, Debug)]
struct Lack {
    since: EventTime,
    pairs: u32,
}

impl Lack {
    fn new(at: EventTime) -> Self {
        Self { since: at, pairs: 0 }
    }

    fn goes_on(&mut self) {
        self.pairs = self.pairs.saturating_add(1);
    }

    fn observe(&mut self, at: EventTime, is_there: bool) {
        if is_there { *self = Self::new(at) } else { self.goes_on() }
    }

    fn lasts_us(&self, at: EventTime) -> i64 {
        at.micros() - self.since.micros()
    }

    fn reaches(&self, needed_us: i64, at: EventTime) -> bool {
        self.pairs >= LEAST_PAIRS && self.lasts_us(at) >= needed_us
    }
}

/// What is known after a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Still {
    pub(super) for_us: i64,
    pub(super) is_frozen: bool,
}

impl Stillness {
    /// Forgets the current stretch: what follows does not go on from it.
    pub(super) fn interrupted(&mut self) {
        (self.last, self.now) = (None, None);
    }

    /// Takes in the next picture, which must have the size that is judged; `None` when it is too
    /// near to the one before.
    pub(super) fn observe(&mut self, luma: &Luma, at: EventTime) -> Option<Still> {
        if self.last.as_ref().is_some_and(|(_, last)| at.micros() - last.micros() < APART_US) {
            return None;
        }
        let Some((last, last_at)) = self.last.replace((luma.clone(), at)) else {
            self.now = Some(Stretch::new(at));
            return Some(Still { for_us: 0, is_frozen: false });
        };
        let mut now = self.now?;
        let Change { moved, noise, flickered } = Change::between(&last, luma);
        let is_quiet = noise <= QUIET_BELOW * self.usual_noise.unwrap_or(0.0);
        if moved {
            self.learn_noise(noise);
            if !now.was_frozen {
                self.longest_quiet_us = self.longest_quiet_us.max(now.most_quiet_us);
            }
            now = Stretch::new(at);
        } else {
            now.still.goes_on();
            now.clock.observe(at, self.cells.clock_ticked(&flickered));
            let lasted_us = (at.micros() - last_at.micros()).min(LONGEST_PAIR_US);
            now.quiet_us += if is_quiet { lasted_us } else { -lasted_us / 2 };
            now.quiet_us = now.quiet_us.max(0);
            now.most_quiet_us = now.most_quiet_us.max(now.quiet_us);
        }
        // A clock that stops is not unlearned by that.
        if moved || !self.cells.has_clock() || self.cells.clock_ticked(&flickered) {
            self.cells.learn(&flickered);
        }
        now.is_frozen = self.is_frozen(now, at);
        now.was_frozen |= now.is_frozen;
        self.now = Some(now);
        Some(Still { for_us: now.still.lasts_us(at), is_frozen: now.is_frozen })
    }

    fn is_frozen(&self, now: Stretch, at: EventTime) -> bool {
        let has_clock = self.cells.has_clock();
        let quiet_us = if has_clock { QUIET_WITH_CLOCK_US } else { QUIET_US };
        // What was told is taken back when all the quiet is gone again.
        let needed_us = if now.is_frozen { 1 } else { quiet_us.max(2 * self.longest_quiet_us) };
        now.quiet_us >= needed_us || (has_clock && now.clock.reaches(CLOCK_STOPPED_US, at))
    }

    fn learn_noise(&mut self, noise: f32) {
        let usual = self.usual_noise.get_or_insert(noise);
        *usual += (noise - *usual) * if noise < *usual { LESS_NOISE } else { MORE_NOISE };
    }
}

#[cfg(test)]
mod tests;
