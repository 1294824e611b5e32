//! What rules cost, measured while they run; for people to see, never to decide by.
//!
//! Rules that share work share its cost in equal parts. Whoever is measured keeps a running total of
//! one part; a rule's own is what was added since it joined, so that joining and leaving cost
//! nothing. Rows are looked at in a sample of records, because reading the processor's clock costs
//! more than many rules do; time passing is measured always.

use std::time::Duration;

/// Reads the processor time of the thread.
pub type Stopwatch = fn() -> Duration;

/// One record in so many is measured.
const SAMPLE: u64 = 32;

/// Running totals of one part of shared work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Rows that were looked at.
    pub(super) rows: u64,
    pub(super) busy_ns: u64,
}

impl Part {
    /// Adds the time of work that `sharers` rules share.
    pub(super) fn add(&mut self, busy_ns: u64, sharers: usize) {
        self.busy_ns += busy_ns / sharers.max(1) as u64;
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, busy_ns: self.busy_ns + other.busy_ns }
    }

    /// What was added since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(before.rows),
            busy_ns: self.busy_ns.saturating_sub(before.busy_ns),
        }
    }
}

/// Decides which records are measured.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    stopwatch: Option<Stopwatch>,
    /// Of a sequence without a pattern, so that the sample does not keep step with windows.
    turn: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { stopwatch: None, turn: 1 }
    }
}

impl Meter {
    pub(super) fn set(&mut self, stopwatch: Stopwatch) {
        self.stopwatch = Some(stopwatch);
    }

    /// For the rows of a record.
    pub(super) fn sampled(&mut self) -> Laps {
        self.turn ^= self.turn << 13;
        self.turn ^= self.turn >> 7;
        self.turn ^= self.turn << 17;
        if self.turn.is_multiple_of(SAMPLE) { self.laps(SAMPLE) } else { Laps::NONE }
    }

    /// For what happens rarely.
    pub(super) fn always(&self) -> Laps {
        self.laps(1)
    }

    fn laps(&self, stands_for: u64) -> Laps {
        let stopwatch = self.stopwatch;
        let last = stopwatch.map(|read| read()).unwrap_or_default();
        Laps { stopwatch, last, stands_for }
    }
}

/// Time from one lap to the next.
#[derive(Debug)]
pub(super) struct Laps {
    stopwatch: Option<Stopwatch>,
    last: Duration,
    stands_for: u64,
}

impl Laps {
    const NONE: Self = Self { stopwatch: None, last: Duration::ZERO, stands_for: 1 };

    /// Nanoseconds since the last lap, for all records that this one stands for.
    pub(super) fn lap(&mut self) -> u64 {
        let Some(read) = self.stopwatch else { return 0 };
        let now = read();
        let passed = now.saturating_sub(std::mem::replace(&mut self.last, now));
        u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX).saturating_mul(self.stands_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_was_added_since_a_rule_joined() {
        let mut part = Part::default();
        part.add(1_000, 1);
        part.rows += 10;
        let joined = part;
        part.add(1_000, 2);
        part.rows += 5;
        assert_eq!(part.since(joined), Part { rows: 5, busy_ns: 500 });
        assert_eq!(part.since(Part::default()), Part { rows: 15, busy_ns: 1_500 });
    }

    #[test]
    fn the_sample_is_one_in_so_many_whatever_the_beat() {
        let mut meter = Meter::default();
        meter.set(|| Duration::from_nanos(7));
        let measured: Vec<bool> =
            (0..64_000).map(|_| meter.sampled().stopwatch.is_some()).collect();
        let expected = measured.len() / SAMPLE as usize;
        let count = measured.iter().filter(|m| **m).count();
        assert!(count.abs_diff(expected) < expected / 5, "{count}");
        let in_step = measured.iter().step_by(SAMPLE as usize).filter(|m| **m).count();
        let expected = expected / SAMPLE as usize;
        assert!(in_step.abs_diff(expected) < expected, "{in_step}");
    }

    #[test]
    fn laps_are_scaled_and_nothing_is_read_without_a_stopwatch() {
        let mut laps = Meter::default().always();
        assert_eq!(laps.lap(), 0);
        let mut meter = Meter::default();
        meter.set(vong_runtime::processor_time);
        let mut laps = meter.laps(SAMPLE);
        let mut sum = 0_u64;
        for i in 0..200_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(i));
        }
        assert!(laps.lap() > 0, "{sum}");
        assert!(meter.always().lap() < 1_000_000_000);
    }
}
