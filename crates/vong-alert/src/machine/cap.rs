//! `LIMIT n PER …`: who of a rule's alerts may start firing.
//!
//! Invariant: places are given in the order of event time, whatever the order in which timers
//! happen to be run. A start that is certain, because nothing but time must pass for it, keeps its
//! place while later ones are decided; so it does not matter how often the watermark moves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vong_model::{EventTime, Limit};

/// Which other starts come before the one that is decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before {
    /// A timer is run: those of earlier instants, and of the same one for lesser keys.
    Timer(EventTime),
    /// Something was seen: those that are certain by this instant.
    Sight(EventTime),
}

#[derive(Clone, Debug)]
pub(super) struct Cap<K> {
    pub(super) limit: Limit,
    /// Alerts that started firing, by start of the span.
    pub(super) fired: BTreeMap<EventTime, u32>,
    /// Alerts that were kept back, ever.
    pub(super) kept_back: u64,
    /// Keys whose alert will start firing when time alone passes, by that instant.
    certain: BTreeMap<EventTime, BTreeSet<K>>,
}

impl<K: Ord + Clone> Cap<K> {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, fired: BTreeMap::new(), kept_back: 0, certain: BTreeMap::new() }
    }

    /// Decides whether an alert of `key` may start firing at `at`, and takes its place if so.
    pub(super) fn admit(&mut self, key: &K, at: EventTime, before: Before) -> bool {
        let span = self.span_of(at);
        let fired = self.fired.get(&span).copied().unwrap_or(0);
        let room = self.limit.alerts.saturating_sub(fired) as usize;
        let admitted = self.ahead(key, span, before, room) < room;
        if admitted {
            self.fired.insert(span, fired.saturating_add(1));
        } else {
            self.kept_back = self.kept_back.saturating_add(1);
        }
        admitted
    }

    /// The key's alert will start firing at another instant than was known, or by itself no more.
    pub(super) fn expect(&mut self, key: &K, was: Option<EventTime>, is: Option<EventTime>) {
        if was == is {
            return;
        }
        if let Some(was) = was
            && let Some(keys) = self.certain.get_mut(&was)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.certain.remove(&was);
            }
        }
        if let Some(is) = is {
            self.certain.entry(is).or_default().insert(key.clone());
        }
    }

    /// Spans that ended by `watermark` are decided.
    pub(super) fn forget(&mut self, watermark: EventTime) {
        let per = Duration::from_micros(self.per_us().unsigned_abs());
        while let Some(span) = self.fired.first_entry() {
            if span.key().saturating_add(per) > watermark {
                return;
            }
            span.remove();
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.fired.clear();
        self.certain.clear();
    }

    /// Certain starts of other keys within the span that come first; counts no further than `room`.
    fn ahead(&self, key: &K, span: EventTime, before: Before, room: usize) -> usize {
        let (Before::Timer(until) | Before::Sight(until)) = before;
        if until < span {
            return 0;
        }
        let at_once = self.certain.range(span..=until);
        let first = at_once.flat_map(|(at, keys)| keys.iter().map(move |other| (at, other)));
        let counts = |(at, other): &(&EventTime, &K)| match before {
            Before::Timer(due) => *other != key && (**at < due || *other < key),
            Before::Sight(_) => *other != key,
        };
        first.filter(counts).take(room).count()
    }

    fn span_of(&self, at: EventTime) -> EventTime {
        let per_us = self.per_us();
        EventTime(at.micros().div_euclid(per_us).saturating_mul(per_us))
    }

    fn per_us(&self) -> i64 {
        i64::try_from(self.limit.per.as_micros()).unwrap_or(i64::MAX).max(1)
    }
}
