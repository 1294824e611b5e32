//! Notices keys that spoke once and then fell silent, in event time.
//!
//! Invariant: every known key that is not silent has exactly one timer, never later than the
//! instant its silence becomes one. Timers are re-armed only when they expire, so a row that
//! arrives in time costs one comparison and one store.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vong_model::EventTime;

const NEVER: EventTime = EventTime::MIN;

/// A key that said nothing for as long as the rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Silence {
    /// When the silence had lasted long enough.
    pub at: EventTime,
    /// Dense number of the key.
    pub key: u32,
    /// The last instant at which the key spoke.
    pub since: EventTime,
}

/// Last-seen times of one rule's keys; serialised it is its own snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Absence {
    limit: Duration,
    last_seen: Vec<EventTime>,
    silent: BTreeSet<u32>,
    timers: BTreeSet<(EventTime, u32)>,
}

impl Absence {
    /// Keys that are silent for `limit` of event time are absent.
    pub fn new(limit: Duration) -> Self {
        Self { limit, last_seen: Vec::new(), silent: BTreeSet::new(), timers: BTreeSet::new() }
    }

    /// The key spoke at `at`. Returns the silence this row ended before any watermark saw it.
    #[inline]
    pub fn seen(&mut self, key: u32, at: EventTime) -> Option<Silence> {
        let index = key as usize;
        if index >= self.last_seen.len() {
            self.last_seen.resize(index + 1, NEVER);
        }
        let last = self.last_seen[index];
        if at <= last {
            return None;
        }
        self.last_seen[index] = at;
        if last == NEVER {
            self.timers.insert((at.saturating_add(self.limit), key));
            return None;
        }
        let due = last.saturating_add(self.limit);
        (due <= at && !self.silent.contains(&key)).then(|| {
            self.silent.insert(key);
            Silence { at: due, key, since: last }
        })
    }

    /// Whether the key is silent now; the next row of it ends the silence.
    pub fn is_silent(&self, key: u32) -> bool {
        self.silent.contains(&key)
    }

    /// Any key is silent now.
    pub fn any_silent(&self) -> bool {
        !self.silent.is_empty()
    }

    /// A silent key was heard again; call after its end was reported.
    pub fn back(&mut self, key: u32) {
        if self.silent.remove(&key) {
            let last = self.last_seen.get(key as usize).copied().unwrap_or(NEVER);
            self.timers.insert((last.saturating_add(self.limit), key));
        }
    }

    /// Keys whose silence became long enough at or before `watermark`, by time and key.
    pub fn advance(&mut self, watermark: EventTime) -> Vec<Silence> {
        let mut out = Vec::new();
        while let Some(&(due, key)) = self.timers.first().filter(|(due, _)| *due <= watermark) {
            self.timers.remove(&(due, key));
            if self.silent.contains(&key) {
                continue;
            }
            let since = self.last_seen.get(key as usize).copied().unwrap_or(NEVER);
            let real = since.saturating_add(self.limit);
            if real > due {
                self.timers.insert((real, key));
                continue;
            }
            self.silent.insert(key);
            out.push(Silence { at: real, key, since });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> EventTime {
        EventTime(seconds * 1_000_000)
    }

    #[test]
    fn silence_is_reported_once_at_the_instant_it_became_one() {
        let mut absence = Absence::new(Duration::from_secs(20));
        absence.seen(3, at(0));
        absence.seen(3, at(5));
        assert_eq!(absence.advance(at(24)), vec![]);
        assert_eq!(absence.advance(at(60)), vec![Silence { at: at(25), key: 3, since: at(5) }]);
        assert_eq!(absence.advance(at(90)), vec![]);
    }

    #[test]
    fn a_key_that_came_back_can_fall_silent_again() {
        let mut absence = Absence::new(Duration::from_secs(20));
        absence.seen(0, at(0));
        assert_eq!(absence.advance(at(30)).len(), 1);
        assert!(absence.is_silent(0));
        assert_eq!(absence.seen(0, at(31)), None);
        absence.back(0);
        assert!(!absence.any_silent());
        assert_eq!(absence.advance(at(60)), vec![Silence { at: at(51), key: 0, since: at(31) }]);
    }

    #[test]
    fn a_row_that_ends_an_unnoticed_silence_reports_it() {
        let mut absence = Absence::new(Duration::from_secs(20));
        absence.seen(0, at(0));
        assert_eq!(absence.seen(0, at(50)), Some(Silence { at: at(20), key: 0, since: at(0) }));
    }

    #[test]
    fn an_old_row_does_not_turn_the_last_seen_time_back() {
        let mut absence = Absence::new(Duration::from_secs(20));
        absence.seen(0, at(10));
        absence.seen(0, at(2));
        assert_eq!(absence.advance(at(25)), vec![]);
    }
}
