//! One rule's alert episodes: pending → firing → resolved, raised and lowered by a ladder, kept
//! back by other rules or by a limit, acknowledged and shelved by people.
//!
//! Invariants: a key has at most one open episode; `timers` holds, for every key that time alone
//! changes, the one instant at which it next does; keys of which nothing is known take no memory.
//! What comes out does not depend on how often the watermark moves between the same findings.

mod cap;
mod episode;
mod ladder;
mod snapshot;
mod track;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vong_model::{AlertId, EventTime, RuleId, Rung, Severity};

use crate::transition::{
    Act, AlertKey, DEFAULT_SHELF, Observation, Policy, State, Timing, Transition, alert_id,
};
use cap::{Before, Cap};
use episode::{Desk, Episode, Reason, Shelf, Terms};
use track::Track;

pub use snapshot::Snapshot;

/// The state machine of one rule in one version.
#[derive(Clone, Debug)]
pub struct Machine<K> {
    rule: RuleId,
    version: u32,
    severity: Severity,
    timing: Timing,
    /// What few rules have, so that the others do not pay for it.
    extras: Option<Box<Extras<K>>>,
    tracks: BTreeMap<K, Track>,
    timers: BTreeSet<(EventTime, K)>,
    /// Number of open episodes.
    open: usize,
    /// The last watermark.
    reached: EventTime,
}

#[derive(Clone, Debug)]
struct Extras<K> {
    ladder: Box<[Rung]>,
    cooldown: Duration,
    cap: Option<Cap<K>>,
}

/// How the alert of one key stands now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    pub state: State,
    pub severity: Severity,
    /// The last number the condition held for.
    pub value: Option<f64>,
    /// Event time at which the episode began; with rule, version and key it makes the alert's id.
    pub started: EventTime,
    /// Event time of the last finding.
    pub last_at: EventTime,
}

impl<K: AlertKey> Machine<K> {
    pub fn new(rule: RuleId, version: u32, policy: Policy) -> Self {
        let Policy { severity, timing, ladder, cooldown, limit } = policy;
        let plain = ladder.is_empty() && cooldown.is_zero() && limit.is_none();
        let extras = (!plain).then(|| {
            let (ladder, cap) = (ladder.into_boxed_slice(), limit.map(Cap::new));
            Box::new(Extras { ladder, cooldown, cap })
        });
        Self {
            rule,
            version,
            severity,
            timing,
            extras,
            tracks: BTreeMap::new(),
            timers: BTreeSet::new(),
            open: 0,
            reached: EventTime::MIN,
        }
    }

    /// Whether the key has an open episode, so that a clear observation of it matters.
    pub fn is_open(&self, key: &K) -> bool {
        self.tracks.get(key).is_some_and(|track| track.episode.is_some())
    }

    /// Keys with an open episode, in order.
    pub fn open_keys(&self) -> impl Iterator<Item = &K> {
        self.tracks.iter().filter(|(_, track)| track.episode.is_some()).map(|(key, _)| key)
    }

    /// Number of open episodes.
    pub fn open_count(&self) -> usize {
        self.open
    }

    /// Nothing here can change by time alone.
    pub fn is_idle(&self) -> bool {
        self.timers.is_empty()
    }

    /// How the key's alert stands; `None` while there is none. One look-up.
    pub fn status(&self, key: &K) -> Option<Status> {
        let track = self.tracks.get(key)?;
        let episode = track.episode.as_ref()?;
        Some(Status {
            state: episode.state(track.shelf.is_some()),
            severity: episode.severity,
            value: episode.value,
            started: episode.started,
            last_at: episode.last_at,
        })
    }

    /// The id of the key's open alert.
    pub fn alert_id(&self, key: &K) -> Option<AlertId> {
        let status = self.status(key)?;
        Some(alert_id(&self.rule, self.version, key, status.started))
    }

    /// The rule whose alert keeps those of the key back now.
    pub fn inhibited_by(&self, key: &K) -> Option<&RuleId> {
        self.tracks.get(key)?.inhibition.as_ref()?.by.as_ref()
    }

    /// How many alerts `LIMIT` has kept back so far.
    pub fn kept_back(&self) -> u64 {
        let cap = self.extras.as_ref().and_then(|extras| extras.cap.as_ref());
        cap.map_or(0, |cap| cap.kept_back)
    }

    /// Takes one finding in; own timers of the key that fall before it run first.
    ///
    /// A finding older than what is already known of the key changes nothing. Findings older than
    /// the last watermark are late: the caller keeps them away from here.
    pub fn observe(&mut self, key: &K, seen: &Observation, out: &mut Vec<Transition<K>>) {
        loop {
            let due = match self.tracks.get(key) {
                None if !seen.condition => return,
                Some(track) if track.ignores(seen) => return,
                known => known.and_then(|track| track.acts_at).filter(|due| *due <= seen.since),
            };
            // Looked at again after each: once the alert has ended, the finding may mean nothing.
            let Some(due) = due else { break };
            self.run_timer(due, key, out);
        }
        self.at(key, Before::Sight(seen.since), out, |track, terms, desk| {
            track.observe(seen, terms, desk);
        });
    }

    /// Event time has reached `watermark`: everything due by then happens, in order of its time.
    pub fn advance(&mut self, watermark: EventTime, out: &mut Vec<Transition<K>>) {
        self.reached = self.reached.max(watermark);
        while let Some((due, key)) = self.timers.first().filter(|(due, _)| *due <= watermark) {
            let (due, key) = (*due, key.clone());
            self.run_timer(due, &key, out);
        }
        if let Some(cap) = self.extras.as_mut().and_then(|extras| extras.cap.as_mut()) {
            cap.forget(watermark);
        }
    }

    /// From the event time `at` on an alert of the rule `by` keeps those of `key` back; `None`:
    /// none does any more. Takes effect when event time gets there for the key, so it can be told
    /// ahead, and for keys without an alert. Told late, it holds from the key's last step on.
    ///
    /// Call it before [`Self::advance`] to `at` or beyond, and for one key in order of time: what is
    /// told in time gives the same steps however the watermark moves.
    pub fn inhibit(
        &mut self,
        key: &K,
        by: Option<&RuleId>,
        at: EventTime,
        out: &mut Vec<Transition<K>>,
    ) {
        let known = self.tracks.get(key).is_some_and(|track| track.inhibition.is_some());
        if by.is_none() && !known && at <= self.reached {
            return;
        }
        self.at(key, Before::Sight(at), out, |track, _, _| track.schedule(at, by.cloned()));
        while let Some(due) = self.acts_by(key, self.reached) {
            self.run_timer(due, key, out);
        }
    }

    /// An operator's act at `at` on the alert `alert_id`. False when no such alert is open or
    /// shelved here; an act that changes nothing (acknowledged twice) gives no transition.
    pub fn command(
        &mut self,
        alert: &AlertId,
        act: &Act,
        by: (&str, Option<&str>),
        at: EventTime,
        out: &mut Vec<Transition<K>>,
    ) -> bool {
        let Some((key, started)) = self.find(alert) else { return false };
        let first = out.len();
        self.at(&key, Before::Sight(at), out, |track, terms, desk| match act {
            Act::Acknowledge => track.acknowledge(at, desk),
            Act::Shelve { until } => {
                let until = until.unwrap_or_else(|| at.saturating_add(DEFAULT_SHELF));
                track.shelve(Shelf::new(until, started, by.1), at, desk);
            }
            Act::Unshelve => track.unshelve(at, None, terms, desk),
            Act::Comment => track.comment(at, desk),
        });
        for step in out.iter_mut().skip(first) {
            step.actor = Some(by.0.to_owned());
            if step.reason.is_none() {
                step.reason = by.1.map(|reason| Cow::Owned(reason.to_owned()));
            }
        }
        true
    }

    /// Ends every open episode, because the rule itself goes or changes.
    pub fn cancel_all(
        &mut self,
        at: EventTime,
        reason: &'static str,
        out: &mut Vec<Transition<K>>,
    ) {
        for (key, track) in &self.tracks {
            if let Some(episode) = &track.episode {
                let reason = Some(Cow::Borrowed(reason));
                let told = (State::Cancelled, at, reason);
                out.push(transition((&self.rule, self.version), key, episode, told));
            }
        }
        self.tracks.clear();
        self.timers.clear();
        self.open = 0;
        if let Some(cap) = self.extras.as_mut().and_then(|extras| extras.cap.as_mut()) {
            cap.forget_all();
        }
    }

    /// When the key next does something by itself, if that is by `to`.
    fn acts_by(&self, key: &K, to: EventTime) -> Option<EventTime> {
        self.tracks.get(key)?.acts_at.filter(|due| *due <= to)
    }

    fn run_timer(&mut self, due: EventTime, key: &K, out: &mut Vec<Transition<K>>) {
        self.at(key, Before::Timer(due), out, |track, terms, desk| track.run(due, terms, desk));
    }

    /// Does something to what is known of a key, and keeps everything that mirrors it in line.
    fn at(
        &mut self,
        key: &K,
        before: Before,
        out: &mut Vec<Transition<K>>,
        act: impl FnOnce(&mut Track, &Terms<'_>, &mut Live<'_, K>),
    ) {
        let Self { rule, version, severity, timing, extras, tracks, timers, open, .. } = self;
        let (terms, mut cap) = terms(*severity, *timing, extras);
        let track = match tracks.get_mut(key) {
            Some(track) => track,
            None => tracks.entry(key.clone()).or_default(),
        };
        let was_open = track.episode.is_some();
        let rule = (&*rule, *version);
        act(track, &terms, &mut Live { rule, key, before, cap: cap.as_deref_mut(), out });
        *open = *open + usize::from(track.episode.is_some()) - usize::from(was_open);
        arm(key, track, &terms, timers, cap);
        if track.is_blank() {
            tracks.remove(key);
        }
    }

    /// The key of an open or shelved alert, and when it started.
    fn find(&self, alert: &AlertId) -> Option<(K, EventTime)> {
        self.tracks.iter().find_map(|(key, track)| {
            let shelved = track.shelf.as_ref().map(|shelf| shelf.started);
            let open = track.episode.as_ref().map(|episode| episode.started);
            let open = open.filter(|open| shelved != Some(*open));
            let mut starts = open.into_iter().chain(shelved);
            let is =
                |started: &EventTime| alert_id(&self.rule, self.version, key, *started) == *alert;
            starts.find(is).map(|started| (key.clone(), started))
        })
    }
}

/// The rule as its keys see it, and its cap apart, because that changes.
fn terms<K>(
    severity: Severity,
    timing: Timing,
    extras: &mut Option<Box<Extras<K>>>,
) -> (Terms<'_>, Option<&mut Cap<K>>) {
    let (ladder, cooldown, cap) = match extras.as_deref_mut() {
        None => (&[][..], Duration::ZERO, None),
        Some(Extras { ladder, cooldown, cap }) => (&**ladder, *cooldown, cap.as_mut()),
    };
    let limit = cap.as_ref().map(|cap| cap.limit);
    (Terms { timing, severity, ladder, cooldown, limit }, cap)
}

/// Puts the key's timer, and its place among the certain starts, where they now belong.
fn arm<K: AlertKey>(
    key: &K,
    track: &mut Track,
    terms: &Terms<'_>,
    timers: &mut BTreeSet<(EventTime, K)>,
    cap: Option<&mut Cap<K>>,
) {
    track.acts_at = track.due(terms);
    let due = track.acts_at.into_iter().chain(track.forget_at()).min();
    let was = std::mem::replace(&mut track.armed, due);
    if was != due {
        if let Some(was) = was {
            timers.remove(&(was, key.clone()));
        }
        if let Some(due) = due {
            timers.insert((due, key.clone()));
        }
    }
    if let Some(cap) = cap {
        let certain = track.rehearse(terms);
        let was = std::mem::replace(&mut track.certain, certain);
        cap.expect(key, was, certain);
    }
}

/// Writes the steps of one key down.
struct Live<'a, K> {
    rule: (&'a RuleId, u32),
    key: &'a K,
    before: Before,
    cap: Option<&'a mut Cap<K>>,
    out: &'a mut Vec<Transition<K>>,
}

impl<K: AlertKey> Desk for Live<'_, K> {
    fn admit(&mut self, at: EventTime) -> bool {
        self.cap.as_mut().is_none_or(|cap| cap.admit(self.key, at, self.before))
    }

    fn tell(&mut self, episode: &Episode, state: State, at: EventTime, reason: Option<Reason>) {
        self.out.push(transition(self.rule, self.key, episode, (state, at, reason)));
    }
}

fn transition<K: AlertKey>(
    (rule, version): (&RuleId, u32),
    key: &K,
    episode: &Episode,
    (state, at, reason): (State, EventTime, Option<Reason>),
) -> Transition<K> {
    Transition {
        key: key.clone(),
        alert_id: alert_id(rule, version, key, episode.started),
        state,
        severity: episode.severity,
        at,
        started: episode.started,
        value: episode.value,
        actor: None,
        reason,
        inputs: episode.inputs,
    }
}

#[cfg(test)]
mod tests;
