//! One rule's alert episodes: pending → firing → resolved, acknowledged and shelved by people.
//!
//! Invariant: a key has at most one open episode, and `timers` holds exactly the instants at which
//! an open episode or a shelf changes by itself. Only open episodes take memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use vong_model::{AlertId, EventTime, RuleId};

use crate::transition::{
    Act, AlertKey, DEFAULT_SHELF, Inputs, Observation, State, Timing, Transition, alert_id,
};

/// The state machine of one rule in one version.
#[derive(Clone, Debug)]
pub struct Machine<K> {
    rule: RuleId,
    version: u32,
    timing: Timing,
    episodes: BTreeMap<K, Episode>,
    shelves: BTreeMap<K, Shelf>,
    /// Keys whose last episode ended at an instant the watermark has not passed.
    closed: BTreeMap<K, Closed>,
    timers: BTreeSet<(EventTime, K)>,
}

#[derive(Clone, Debug)]
struct Episode {
    firing: bool,
    acknowledged: bool,
    started: EventTime,
    last_at: EventTime,
    /// Firing, but the condition is clear since then.
    clear_since: Option<EventTime>,
    value: Option<f64>,
    inputs: Inputs,
}

/// The span of an ended episode: older rows must not reopen it, nor a second episode begin at
/// the same instant (it would have the same id).
#[derive(Clone, Copy, Debug)]
struct Closed {
    started: EventTime,
    at: EventTime,
}

impl Closed {
    fn covers(self, seen: &Observation) -> bool {
        seen.at < self.at || seen.since <= self.started
    }
}

#[derive(Clone, Debug)]
struct Shelf {
    until: EventTime,
    alert_id: AlertId,
    reason: Option<String>,
}

impl<K: AlertKey> Machine<K> {
    pub fn new(rule: RuleId, version: u32, timing: Timing) -> Self {
        Self {
            rule,
            version,
            timing,
            episodes: BTreeMap::new(),
            shelves: BTreeMap::new(),
            closed: BTreeMap::new(),
            timers: BTreeSet::new(),
        }
    }

    /// Whether the key has an open episode, so that a clear observation of it matters.
    pub fn is_open(&self, key: &K) -> bool {
        self.episodes.contains_key(key)
    }

    /// Keys with an open episode, in order.
    pub fn open_keys(&self) -> impl Iterator<Item = &K> {
        self.episodes.keys()
    }

    /// Number of open episodes.
    pub fn open_count(&self) -> usize {
        self.episodes.len()
    }

    /// Nothing here can change by time alone.
    pub fn is_idle(&self) -> bool {
        self.timers.is_empty() && self.closed.is_empty()
    }

    /// Takes one finding in; own timers of the key that fall before it run first.
    ///
    /// A finding older than what is already known of the key changes nothing. Findings older than
    /// the last watermark are late: the caller keeps them away from here.
    pub fn observe(&mut self, key: &K, seen: &Observation, out: &mut Vec<Transition<K>>) {
        let known = self.episodes.contains_key(key) || self.shelves.contains_key(key);
        let over = || self.closed.get(key).is_some_and(|closed| closed.covers(seen));
        if !known && (!seen.condition || over()) {
            return;
        }
        self.run_own_timers(key, seen.since, out);
        match self.episodes.get(key) {
            None if !seen.condition => {}
            None if self.closed.get(key).is_some_and(|closed| closed.covers(seen)) => {}
            None => self.open(key, seen, out),
            Some(episode) if seen.at < episode.last_at => {}
            Some(_) if seen.condition => self.hold(key, seen, out),
            Some(_) => self.clear(key, seen, out),
        }
    }

    /// Event time has reached `watermark`: everything due by then happens, in order of its time.
    pub fn advance(&mut self, watermark: EventTime, out: &mut Vec<Transition<K>>) {
        while let Some((due, key)) = self.timers.first().filter(|(due, _)| *due <= watermark) {
            let (due, key) = (*due, key.clone());
            self.run_timer(due, &key, out);
        }
        if !self.closed.is_empty() {
            self.closed.retain(|_, closed| closed.at >= watermark);
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
        let Some(key) = self.key_of(alert) else { return false };
        let step = match act {
            Act::Acknowledge => self.acknowledge(&key, at),
            Act::Shelve { until } => self.shelve(&key, alert, (*until, at), by.1),
            Act::Unshelve => self.unshelve(&key, at),
            Act::Comment => self.episodes.get(&key).map(|e| self.step(&key, e, e.state(), at)),
        };
        if let Some(mut step) = step {
            step.actor = Some(by.0.to_owned());
            step.reason = by.1.map(|reason| Cow::Owned(reason.to_owned()));
            out.push(step);
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
        for (key, episode) in &self.episodes {
            let mut step = self.step(key, episode, State::Cancelled, at);
            step.reason = Some(Cow::Borrowed(reason));
            out.push(step);
        }
        self.episodes.clear();
        self.shelves.clear();
        self.closed.clear();
        self.timers.clear();
    }

    fn open(&mut self, key: &K, seen: &Observation, out: &mut Vec<Transition<K>>) {
        let episode = Episode {
            firing: false,
            acknowledged: false,
            started: seen.since,
            last_at: seen.at,
            clear_since: None,
            value: seen.value,
            inputs: seen.inputs,
        };
        let due = episode.started.saturating_add(self.timing.for_);
        self.closed.remove(key);
        if due <= seen.at {
            self.episodes.insert(key.clone(), episode);
            self.fire(key, seen.at, out);
        } else {
            out.push(self.step(key, &episode, State::Pending, seen.at));
            self.timers.insert((due, key.clone()));
            self.episodes.insert(key.clone(), episode);
        }
    }

    fn hold(&mut self, key: &K, seen: &Observation, out: &mut Vec<Transition<K>>) {
        let for_ = self.timing.for_;
        let Some(episode) = self.episodes.get_mut(key) else { return };
        episode.last_at = seen.at;
        episode.value = seen.value;
        episode.inputs.to = episode.inputs.to.max(seen.inputs.to);
        if let Some(clear_since) = episode.clear_since.take() {
            self.timers
                .remove(&(clear_since.saturating_add(self.timing.keep_firing_for), key.clone()));
        }
        let due = episode.started.saturating_add(for_);
        if !episode.firing && due <= seen.at {
            self.timers.remove(&(due, key.clone()));
            self.fire(key, seen.at, out);
        }
    }

    fn clear(&mut self, key: &K, seen: &Observation, out: &mut Vec<Transition<K>>) {
        let keep = self.timing.keep_firing_for;
        let Some(episode) = self.episodes.get_mut(key) else { return };
        episode.last_at = seen.at;
        episode.inputs.to = episode.inputs.to.max(seen.inputs.to);
        if !episode.firing {
            let due = episode.started.saturating_add(self.timing.for_);
            self.timers.remove(&(due, key.clone()));
            episode.value = seen.value;
            self.close(key, State::Cancelled, seen.at, "condition cleared before FOR", out);
            return;
        }
        let clear_since = *episode.clear_since.get_or_insert(seen.since);
        let due = clear_since.saturating_add(keep);
        if due <= seen.at {
            self.timers.remove(&(due, key.clone()));
            episode.value = seen.value;
            self.close(key, State::Resolved, seen.at, "condition cleared", out);
        } else {
            self.timers.insert((due, key.clone()));
        }
    }

    fn fire(&mut self, key: &K, at: EventTime, out: &mut Vec<Transition<K>>) {
        let Some(episode) = self.episodes.get_mut(key) else { return };
        episode.firing = true;
        let shelf = self.shelves.get(key);
        let state = if shelf.is_some() { State::Shelved } else { State::Firing };
        let reason = shelf.and_then(|shelf| shelf.reason.clone()).map(Cow::Owned);
        if let Some(episode) = self.episodes.get(key) {
            out.push(Transition { reason, ..self.step(key, episode, state, at) });
        }
        if let Some(shelf) = self.shelves.get_mut(key) {
            shelf.alert_id = out.last().map_or_else(|| AlertId::new(""), |t| t.alert_id.clone());
        }
    }

    fn close(
        &mut self,
        key: &K,
        state: State,
        at: EventTime,
        reason: &'static str,
        out: &mut Vec<Transition<K>>,
    ) {
        if let Some(episode) = self.episodes.remove(key) {
            let mut step = self.step(key, &episode, state, at);
            step.reason = Some(Cow::Borrowed(reason));
            out.push(step);
            self.closed.insert(key.clone(), Closed { started: episode.started, at });
        }
    }

    fn run_own_timers(&mut self, key: &K, to: EventTime, out: &mut Vec<Transition<K>>) {
        while let Some(due) = self.next_due(key).filter(|due| *due <= to) {
            self.run_timer(due, key, out);
        }
    }

    fn next_due(&self, key: &K) -> Option<EventTime> {
        let of_episode = self.episodes.get(key).and_then(|e| e.due(self.timing));
        let of_shelf = self.shelves.get(key).map(|shelf| shelf.until);
        of_episode.into_iter().chain(of_shelf).min()
    }

    fn run_timer(&mut self, due: EventTime, key: &K, out: &mut Vec<Transition<K>>) {
        self.timers.remove(&(due, key.clone()));
        if self.shelves.get(key).is_some_and(|shelf| shelf.until <= due) {
            out.extend(
                self.unshelve(key, due).map(|step| Transition {
                    reason: Some(Cow::Borrowed("shelving ended")),
                    ..step
                }),
            );
            self.arm(key);
            return;
        }
        match self.episodes.get(key) {
            Some(e) if !e.firing && e.due(self.timing) == Some(due) => self.fire(key, due, out),
            Some(e) if e.due(self.timing) == Some(due) => {
                self.close(key, State::Resolved, due, "condition stayed clear", out);
            }
            _ => {}
        }
    }

    /// Puts the timer of the key's episode back where it was shared with a shelf's.
    fn arm(&mut self, key: &K) {
        if let Some(due) = self.episodes.get(key).and_then(|e| e.due(self.timing)) {
            self.timers.insert((due, key.clone()));
        }
    }

    fn acknowledge(&mut self, key: &K, at: EventTime) -> Option<Transition<K>> {
        let episode = self.episodes.get_mut(key)?;
        if !episode.firing || std::mem::replace(&mut episode.acknowledged, true) {
            return None;
        }
        let episode = self.episodes.get(key)?;
        Some(self.step(key, episode, State::Acknowledged, at))
    }

    fn shelve(
        &mut self,
        key: &K,
        alert: &AlertId,
        (until, at): (Option<EventTime>, EventTime),
        reason: Option<&str>,
    ) -> Option<Transition<K>> {
        let until = until.unwrap_or_else(|| at.saturating_add(DEFAULT_SHELF));
        let reason = reason.map(str::to_owned);
        let shelf = Shelf { until, alert_id: alert.clone(), reason };
        if let Some(before) = self.shelves.insert(key.clone(), shelf) {
            self.timers.remove(&(before.until, key.clone()));
            self.arm(key);
        }
        self.timers.insert((until, key.clone()));
        let episode = self.episodes.get(key)?;
        Some(self.step(key, episode, State::Shelved, at))
    }

    fn unshelve(&mut self, key: &K, at: EventTime) -> Option<Transition<K>> {
        let shelf = self.shelves.remove(key)?;
        self.timers.remove(&(shelf.until, key.clone()));
        self.arm(key);
        // Back on the list it asks for attention again, also when it was acknowledged before.
        let episode = self.episodes.get_mut(key).filter(|e| e.firing)?;
        episode.acknowledged = false;
        let episode = self.episodes.get(key)?;
        Some(self.step(key, episode, State::Firing, at))
    }

    fn key_of(&self, alert: &AlertId) -> Option<K> {
        let shelved = self.shelves.iter().find(|(_, shelf)| shelf.alert_id == *alert);
        let open = || {
            self.episodes
                .iter()
                .find(|(key, e)| alert_id(&self.rule, self.version, key, e.started) == *alert)
                .map(|(key, _)| key.clone())
        };
        shelved.map(|(key, _)| key.clone()).or_else(open)
    }

    fn step(&self, key: &K, episode: &Episode, state: State, at: EventTime) -> Transition<K> {
        Transition {
            key: key.clone(),
            alert_id: alert_id(&self.rule, self.version, key, episode.started),
            state,
            at,
            started: episode.started,
            value: episode.value,
            actor: None,
            reason: None,
            inputs: episode.inputs,
        }
    }
}

impl Episode {
    fn state(&self) -> State {
        match (self.firing, self.acknowledged) {
            (false, _) => State::Pending,
            (true, true) => State::Acknowledged,
            (true, false) => State::Firing,
        }
    }

    fn due(&self, timing: Timing) -> Option<EventTime> {
        if self.firing {
            self.clear_since.map(|since| since.saturating_add(timing.keep_firing_for))
        } else {
            Some(self.started.saturating_add(timing.for_))
        }
    }
}

#[cfg(test)]
mod tests;
