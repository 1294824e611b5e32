//! What goes into a state machine and what comes out, and the identity of an alert.
//!
//! Invariant: an alert id depends on rule, version, key and start of the episode, on nothing else.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vong_model::{AlertId, EventTime, Limit, Offset, RuleId, Rung, Severity};

/// How long an alert is shelved when the operator names no end.
pub const DEFAULT_SHELF: Duration = Duration::from_secs(3_600);

/// Bytes of the SHA-256 that make an alert id: 2^-64 chance of a collision among 2^48 alerts.
const ID_BYTES: usize = 20;

/// What an alert is about. Its text goes into the alert id; its order is the order of transitions
/// that fall on one instant.
pub trait AlertKey: Ord + Clone + Display {}
impl<T: Ord + Clone + Display> AlertKey for T {}

/// The durations of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// `FOR`: how long the condition must hold before the alert fires.
    pub for_: Duration,
    /// `KEEP FIRING FOR`: how long it must be clear before the alert resolves.
    pub keep_firing_for: Duration,
}

/// How a rule treats its alerts, apart from its condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `SEVERITY`: what an alert has as long as no rung of the ladder is up.
    pub severity: Severity,
    pub timing: Timing,
    /// `RAISE TO`, by rising severity, all above [`Self::severity`]; empty: no ladder.
    pub ladder: Vec<Rung>,
    /// `COOLDOWN`: for so long after an alert of a key that had fired was resolved, the next one
    /// of that key stays pending; zero: none.
    pub cooldown: Duration,
    /// `LIMIT`: how many alerts may start firing in one span of event time.
    pub limit: Option<Limit>,
}

impl Policy {
    /// A rule with nothing but a severity and its durations.
    pub fn new(severity: Severity, timing: Timing) -> Self {
        Self { severity, timing, ladder: Vec::new(), cooldown: Duration::ZERO, limit: None }
    }
}

/// Where an alert is in its life; the texts are those of `alert_transitions.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The condition holds, but not yet for long enough.
    Pending,
    Firing,
    /// Someone knows: silent until the condition clears.
    Acknowledged,
    /// Set aside until an end, with a reason.
    Shelved,
    /// The condition holds, but the alert is kept back: by an alert of another rule, or because too
    /// many of its own rule started to fire. The reason says which.
    Suppressed,
    Resolved,
    /// Ended without having fired, or because the rule went away.
    Cancelled,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Shelved => "shelved",
            Self::Suppressed => "suppressed",
            Self::Resolved => "resolved",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The log records behind a step: first and last offset, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    pub from: Offset,
    pub to: Offset,
}

/// One finding about one key. A row covers an instant (`since == at`), a window covers
/// `since..at`.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    pub condition: bool,
    pub value: Option<f64>,
    pub since: EventTime,
    pub at: EventTime,
    pub inputs: Inputs,
}

/// What an operator does with an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Acknowledge,
    /// Without an end: [`DEFAULT_SHELF`] from the act.
    Shelve {
        until: Option<EventTime>,
    },
    Unshelve,
    Comment,
}

/// One step in the life of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition<K> {
    pub key: K,
    pub alert_id: AlertId,
    pub state: State,
    /// What it is from this step on. Higher than before on a firing alert: it asks for attention
    /// again.
    pub severity: Severity,
    /// Event time of the step.
    pub at: EventTime,
    /// Event time at which the episode began.
    pub started: EventTime,
    pub value: Option<f64>,
    /// `None`: the engine.
    pub actor: Option<String>,
    pub reason: Option<Cow<'static, str>>,
    pub inputs: Inputs,
}

/// The id of the episode of `key` that began at `started`.
pub fn alert_id(rule: &RuleId, version: u32, key: &impl Display, started: EventTime) -> AlertId {
    use std::fmt::Write as _;
    // Lengths first, so that no two different tuples feed the hash the same bytes.
    let key = key.to_string();
    let mut hash = Sha256::new();
    hash.update((rule.as_str().len() as u64).to_le_bytes());
    hash.update(rule.as_str());
    hash.update(version.to_le_bytes());
    hash.update((key.len() as u64).to_le_bytes());
    hash.update(&key);
    hash.update(started.micros().to_le_bytes());
    let mut text = String::with_capacity(2 * ID_BYTES);
    for byte in hash.finalize().iter().take(ID_BYTES) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    AlertId::new(text)
}
