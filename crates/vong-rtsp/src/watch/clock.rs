//! How far a camera's clock is from ours, from its sender reports.
//!
//! A report is late by what the network took, never early: of the last few, the one that puts the
//! camera's clock furthest ahead was delayed least and is nearest to the truth (the minimum filter
//! of RFC 5905, section 10). A stall of the network therefore does not look like a slow clock.

use std::collections::VecDeque;

use vong_model::EventTime;

/// Reports that are looked at together.
const REPORTS: usize = 5;
/// Fewer reports than this prove nothing.
const LEAST_REPORTS: usize = 3;
/// Further off than this is told, microseconds ...
const LIMIT_US: i64 = 2_000_000;
/// ... and that it is over when it is nearer than this.
const GOOD_US: i64 = 1_000_000;

/// A change of state; offsets in microseconds, positive where the camera is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockChange {
    Off {
        by_us: i64,
    },
    Good {
        by_us: i64,
    },
    /// The clock was set while it ran.
    Stepped {
        by_us: i64,
    },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ClockWatch {
    offsets: VecDeque<i64>,
    settled: Option<i64>,
    off: bool,
    /// That it is off was told before the stream was interrupted: whoever looks at the camera since
    /// it came back does not know.
    tell_again: bool,
}

impl ClockWatch {
    /// Takes in a report: the camera says `camera`, we say `ours`. Two changes at most: a step, and
    /// where it led.
    pub(crate) fn report(&mut self, camera: EventTime, ours: EventTime) -> Vec<ClockChange> {
        self.offsets.push_back(camera.micros().saturating_sub(ours.micros()));
        while self.offsets.len() > REPORTS {
            self.offsets.pop_front();
        }
        let Some(now) = self.offset_us() else { return Vec::new() };
        let mut changes = Vec::new();
        if let Some(before) = self.settled.replace(now)
            && now.abs_diff(before) > LIMIT_US.unsigned_abs()
        {
            changes.push(ClockChange::Stepped { by_us: now.saturating_sub(before) });
        }
        let is_known = self.off && !self.tell_again;
        if !is_known && now.unsigned_abs() > LIMIT_US.unsigned_abs() {
            (self.off, self.tell_again) = (true, false);
            changes.push(ClockChange::Off { by_us: now });
        } else if self.off && now.unsigned_abs() < GOOD_US.unsigned_abs() {
            (self.off, self.tell_again) = (false, false);
            changes.push(ClockChange::Good { by_us: now });
        }
        changes
    }

    /// How far ahead the camera's clock is, microseconds; `None` before enough reports.
    pub(crate) fn offset_us(&self) -> Option<i64> {
        (self.offsets.len() >= LEAST_REPORTS).then(|| self.offsets.iter().copied().max())?
    }

    /// The stream was interrupted: what reports said before says nothing about what comes.
    pub(crate) fn interrupted(&mut self) {
        self.offsets.clear();
        self.tell_again = self.off;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    /// Offsets of reports, one a second; what was told.
    fn check(offsets_s: &[i64], expected: &[ClockChange]) {
        let mut watch = ClockWatch::default();
        let told: Vec<_> = offsets_s
            .iter()
            .enumerate()
            .flat_map(|(n, offset)| {
                let ours = i64::try_from(n).unwrap() * S;
                watch.report(EventTime(ours + offset * S), EventTime(ours))
            })
            .collect();
        assert_eq!(told, expected, "{offsets_s:?}");
    }

    #[test]
    fn an_offset_is_told_once_and_its_end_once() {
        use ClockChange::{Good, Off, Stepped};
        check(&[0, 0, 0, 0], &[]);
        check(&[3_600; 9], &[Off { by_us: 3_600 * S }]);
        check(
            &[0, 0, 0, 3_600, 3_600, 0, 0, 0, 0, 0],
            &[
                Stepped { by_us: 3_600 * S },
                Off { by_us: 3_600 * S },
                Stepped { by_us: -3_600 * S },
                Good { by_us: 0 },
            ],
        );
    }

    #[test]
    fn a_clock_that_is_still_off_after_an_interruption_is_told_again() {
        let mut watch = ClockWatch::default();
        let mut told = Vec::new();
        for (session, offset) in [(0, 9), (1, 9), (2, 0), (3, 0)] {
            for second in 0..5 {
                let ours = (session * 60 + second) * S;
                let changes = watch.report(EventTime(ours + offset * S), EventTime(ours));
                told.extend(changes.into_iter().map(|change| (session, change)));
            }
            watch.interrupted();
        }
        assert_eq!(
            told,
            [
                (0, ClockChange::Off { by_us: 9 * S }),
                (1, ClockChange::Off { by_us: 9 * S }),
                (2, ClockChange::Stepped { by_us: -9 * S }),
                (2, ClockChange::Good { by_us: 0 }),
            ]
        );
    }

    #[test]
    fn a_stalled_network_is_no_slow_clock() {
        check(&[0, 0, 0, -8, -7, -6, -5, 0, 0], &[]);
    }

    #[test]
    fn any_numbers_are_taken() {
        let mut watch = ClockWatch::default();
        for (camera, ours) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN)].repeat(4) {
            watch.report(EventTime(camera), EventTime(ours));
        }
    }
}
