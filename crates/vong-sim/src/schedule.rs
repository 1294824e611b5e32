//! When each sensor sends: every sensor of a kind at the same period, each at its own moment of it.
//!
//! Invariant: messages come out in order of (due time, sensor number), and which ones come does
//! not depend on when it is asked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::noise::hash;
use crate::world::{SensorKind, World};

/// A message that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// Index into [`World::sensors`].
    pub sensor: usize,
}

/// All messages of the city, in order.
#[derive(Clone, Debug)]
pub struct Schedule {
    next: BinaryHeap<Reverse<Due>>,
    periods_ms: Vec<u64>,
}

/// Phases within a period.
const PHASES: u64 = 801;

impl Schedule {
    /// `rate` multiplies how often each sensor sends; 1 is natural, about 370 messages a second.
    pub fn new(world: &World, rate: f64) -> Self {
        let sensors = world.sensors();
        let periods_ms: Vec<u64> = sensors.iter().map(|s| period_ms(s.kind, rate)).collect();
        let first = periods_ms.iter().enumerate().map(|(sensor, period)| {
            let at_ms = hash(world.seed(), PHASES, sensor as u64) % period;
            Reverse(Due { at_ms, sensor })
        });
        Self { next: first.collect(), periods_ms }
    }

    /// When the next message is due.
    pub fn next_at_ms(&self) -> Option<u64> {
        self.next.peek().map(|Reverse(due)| due.at_ms)
    }

    /// Takes the next message if it is due before `end_ms`.
    pub fn take_before(&mut self, end_ms: u64) -> Option<Due> {
        let mut top = self.next.peek_mut()?;
        let due = top.0;
        if due.at_ms >= end_ms {
            return None;
        }
        top.0.at_ms += self.periods_ms.get(due.sensor)?;
        Some(due)
    }
}

/// Rain gauges stamp whole seconds: two messages in one second would look like one sent twice.
fn period_ms(kind: SensorKind, rate: f64) -> u64 {
    let shortest = if kind == SensorKind::Rain { 1_000 } else { 5 };
    let natural = kind.period_ms() as f64;
    let period = if rate > 0.0 { natural / rate } else { natural };
    (period.round() as u64).clamp(shortest, 3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(schedule: &mut Schedule, end_ms: u64) -> Vec<Due> {
        std::iter::from_fn(|| schedule.take_before(end_ms)).collect()
    }

    #[test]
    fn asking_in_pieces_gives_the_same_messages() {
        let world = World::new(1);
        let whole = drain(&mut Schedule::new(&world, 1.0), 20_000);
        let mut schedule = Schedule::new(&world, 1.0);
        let mut pieces = Vec::new();
        for end_ms in [1, 7, 999, 1_000, 13_370, 20_000] {
            pieces.extend(drain(&mut schedule, end_ms));
        }
        assert_eq!(whole, pieces);
        assert!(whole.is_sorted());
    }

    #[test]
    fn natural_rate_is_300_to_500_messages_a_second() {
        let world = World::new(1);
        let minute = drain(&mut Schedule::new(&world, 1.0), 60_000).len();
        assert!((300 * 60..=500 * 60).contains(&minute), "{minute} in a minute");
        let tenfold = drain(&mut Schedule::new(&world, 10.0), 60_000).len();
        assert!(tenfold > 9 * minute, "{tenfold} against {minute}");
    }
}
