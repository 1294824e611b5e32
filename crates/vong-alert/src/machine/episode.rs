//! The pieces of what is known of one key, and what they need from outside.
//!
//! Plain state that can be written down and read back: a field that is not derived is serialised.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, Limit, RuleId, Rung, Severity};

use super::ladder::{self, Position};
use crate::transition::{Inputs, Observation, State, Timing};

pub(super) type Reason = Cow<'static, str>;

/// The rule as its keys see it.
pub(super) struct Terms<'a> {
    pub(super) timing: Timing,
    pub(super) severity: Severity,
    pub(super) ladder: &'a [Rung],
    pub(super) cooldown: Duration,
    pub(super) limit: Option<Limit>,
}

/// Who is told of the steps of a key, and who decides what is not the key's own affair.
pub(super) trait Desk {
    /// Whether one more alert of the rule may start firing at `at`.
    fn admit(&mut self, at: EventTime) -> bool;
    fn tell(&mut self, episode: &Episode, state: State, at: EventTime, reason: Option<Reason>);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    /// `FOR` and the cooldown are over.
    pub(super) active: bool,
    pub(super) acknowledged: bool,
    /// Kept back by an alert of another rule, or was when the condition cleared.
    pub(super) held: bool,
    /// What the rule's `LIMIT` said when the alert first wanted to fire.
    pub(super) admitted: Option<bool>,
    pub(super) severity: Severity,
    pub(super) started: EventTime,
    pub(super) fires_at: EventTime,
    pub(super) last_at: EventTime,
    /// Active, but the condition is clear since then.
    pub(super) clear_since: Option<EventTime>,
    #[serde(with = "bits")]
    pub(super) value: Option<f64>,
    pub(super) inputs: Inputs,
    pub(super) positions: Box<[Position]>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shelf {
    pub(super) until: EventTime,
    /// Start of the latest episode that was shelved: names the alert.
    pub(super) started: EventTime,
    pub(super) reason: Option<String>,
}

/// Which rule's alert keeps those of this key back, and what is known to change about that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Inhibition {
    pub(super) by: Option<RuleId>,
    /// By time.
    pub(super) changes: VecDeque<(EventTime, Option<RuleId>)>,
}

/// The span of an ended episode: older rows must not reopen it, nor a second episode begin at
/// the same instant (it would have the same id).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Closed {
    pub(super) started: EventTime,
    pub(super) at: EventTime,
}

impl Closed {
    pub(super) fn covers(self, seen: &Observation) -> bool {
        seen.at < self.at || seen.since <= self.started
    }
}

impl Episode {
    pub(super) fn state(&self, shelved: bool) -> State {
        match self {
            _ if shelved => State::Shelved,
            Self { active: false, .. } => State::Pending,
            Self { held: true, .. } | Self { admitted: Some(false), .. } => State::Suppressed,
            Self { acknowledged: true, .. } => State::Acknowledged,
            _ => State::Firing,
        }
    }

    pub(super) fn resolves_at(&self, terms: &Terms<'_>) -> Option<EventTime> {
        let clear_since = self.clear_since.filter(|_| self.active)?;
        Some(clear_since.saturating_add(terms.timing.keep_firing_for))
    }

    pub(super) fn due(&self, terms: &Terms<'_>) -> Option<EventTime> {
        let own = if self.active { self.resolves_at(terms) } else { Some(self.fires_at) };
        own.into_iter().chain(ladder::due(&self.positions, terms.ladder)).min()
    }

    pub(super) fn climb(&mut self, terms: &Terms<'_>) {
        self.severity = ladder::severity(&self.positions, terms.ladder, terms.severity);
    }
}

impl Shelf {
    pub(super) fn new(until: EventTime, started: EventTime, reason: Option<&str>) -> Self {
        Self { until, started, reason: reason.map(str::to_owned) }
    }
}

/// A float as its bits, so that what is read back is the same also for what is not a number.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(f64::to_bits).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(f64::from_bits))
    }
}
