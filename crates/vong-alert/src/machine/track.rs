//! What is known of one key: its episode, its shelf, and what keeps the next alert back.
//!
//! Invariant: nothing here knows another key, and everything that time alone changes happens at
//! the instant that [`Track::due`] names, in the order of [`Track::run`]. So the steps of a key do
//! not depend on how often anybody looks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, RuleId};

use super::episode::{Closed, Desk, Episode, Inhibition, Reason, Shelf, Terms};
use super::ladder;
use crate::transition::{Observation, State};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    pub(super) episode: Option<Episode>,
    pub(super) shelf: Option<Box<Shelf>>,
    pub(super) inhibition: Option<Box<Inhibition>>,
    pub(super) closed: Option<Closed>,
    /// End of the cooldown: no alert of the key fires before.
    pub(super) quiet_until: Option<EventTime>,
    /// When the key does something by itself.
    #[serde(skip)]
    pub(super) acts_at: Option<EventTime>,
    /// The instant the machine's timer for this key is set to.
    #[serde(skip)]
    pub(super) armed: Option<EventTime>,
    /// When the alert will start firing if nothing but time passes; kept for `LIMIT` alone.
    #[serde(skip)]
    pub(super) certain: Option<EventTime>,
}

impl Track {
    /// Nothing is known of the key.
    pub(super) fn is_blank(&self) -> bool {
        self.episode.is_none()
            && self.shelf.is_none()
            && self.inhibition.is_none()
            && self.closed.is_none()
            && self.quiet_until.is_none()
    }

    /// Whether the finding changes nothing: the cheap way out for most rows of a busy stream.
    pub(super) fn ignores(&self, seen: &Observation) -> bool {
        let over = || self.closed.is_some_and(|closed| closed.covers(seen));
        self.episode.is_none() && self.shelf.is_none() && (!seen.condition || over())
    }

    /// When the key changes by time alone.
    pub(super) fn due(&self, terms: &Terms<'_>) -> Option<EventTime> {
        let of_episode = self.episode.as_ref().and_then(|episode| episode.due(terms));
        let of_shelf = self.shelf.as_ref().map(|shelf| shelf.until);
        [of_episode, of_shelf, self.next_change()].into_iter().flatten().min()
    }

    /// When what is over no longer matters; for the watermark alone, since an older finding may
    /// come until then.
    pub(super) fn forget_at(&self) -> Option<EventTime> {
        let over = [self.closed.map(|closed| closed.at), self.quiet_until].into_iter().flatten();
        over.filter_map(|at| at.micros().checked_add(1)).map(EventTime).min()
    }

    /// Does the first of what is due at `due`.
    pub(super) fn run(&mut self, due: EventTime, terms: &Terms<'_>, desk: &mut impl Desk) {
        if self.next_change().is_some_and(|at| at <= due) {
            self.change_inhibition(terms, desk);
        } else if self.shelf.as_ref().is_some_and(|shelf| shelf.until <= due) {
            self.unshelve(due, Some(Cow::Borrowed("shelving ended")), terms, desk);
        } else if !self.run_episode(due, terms, desk) {
            self.closed = self.closed.filter(|closed| closed.at >= due);
            self.quiet_until = self.quiet_until.filter(|until| *until >= due);
        }
    }

    /// Takes one finding in. Own timers that fall before it have run.
    pub(super) fn observe(&mut self, seen: &Observation, terms: &Terms<'_>, desk: &mut impl Desk) {
        while self.next_change().is_some_and(|at| at <= seen.at) {
            self.change_inhibition(terms, desk);
        }
        match &self.episode {
            None if !seen.condition => {}
            None if self.closed.is_some_and(|closed| closed.covers(seen)) => {}
            None => self.open(seen, terms, desk),
            Some(episode) if seen.at < episode.last_at => {}
            Some(_) if seen.condition => self.hold(seen, terms, desk),
            Some(_) => self.clear(seen, terms, desk),
        }
    }

    /// From `at` on an alert of another rule keeps those of this key back, or none does any more.
    pub(super) fn schedule(&mut self, at: EventTime, by: Option<RuleId>) {
        let inhibition = self.inhibition.get_or_insert_default();
        let place = inhibition.changes.partition_point(|(known, _)| *known <= at);
        inhibition.changes.insert(place, (at, by));
    }

    /// Somebody knows; says nothing about an alert that does not ask for attention.
    pub(super) fn acknowledge(&mut self, at: EventTime, desk: &mut impl Desk) {
        let shelved = self.shelf.is_some();
        let Some(episode) = self.episode.as_mut() else { return };
        if episode.state(shelved) == State::Firing {
            episode.acknowledged = true;
            desk.tell(episode, State::Acknowledged, at, None);
        }
    }

    pub(super) fn shelve(&mut self, shelf: Shelf, at: EventTime, desk: &mut impl Desk) {
        self.shelf = Some(Box::new(shelf));
        if let Some(episode) = &self.episode {
            desk.tell(episode, State::Shelved, at, None);
        }
    }

    /// Back on the list it asks for attention again, also when it was acknowledged before.
    pub(super) fn unshelve(
        &mut self,
        at: EventTime,
        reason: Option<Reason>,
        terms: &Terms<'_>,
        desk: &mut impl Desk,
    ) {
        if self.shelf.take().is_none() {
            return;
        }
        match &self.episode {
            None => {}
            Some(episode) if episode.active => self.alarm(at, reason, terms, desk),
            Some(episode) => desk.tell(episode, State::Pending, at, reason),
        }
    }

    pub(super) fn comment(&self, at: EventTime, desk: &mut impl Desk) {
        if let Some(episode) = &self.episode {
            desk.tell(episode, episode.state(self.shelf.is_some()), at, None);
        }
    }

    /// When the alert would first want to fire if nothing but time passed.
    pub(super) fn rehearse(&self, terms: &Terms<'_>) -> Option<EventTime> {
        self.episode.as_ref().filter(|episode| episode.admitted.is_none())?;
        let mut track = self.clone();
        let mut rehearsal = Rehearsal { asked: false };
        while track.episode.is_some() {
            let due = track.due(terms)?;
            track.run(due, terms, &mut rehearsal);
            if rehearsal.asked {
                return Some(due);
            }
        }
        None
    }

    fn open(&mut self, seen: &Observation, terms: &Terms<'_>, desk: &mut impl Desk) {
        let Observation { condition: _, value, since, at, inputs } = *seen;
        let of_rule = since.saturating_add(terms.timing.for_);
        let episode = self.episode.insert(Episode {
            active: false,
            acknowledged: false,
            held: false,
            admitted: None,
            severity: terms.severity,
            started: since,
            fires_at: self.quiet_until.map_or(of_rule, |until| until.max(of_rule)),
            last_at: at,
            clear_since: None,
            value,
            inputs,
            positions: ladder::at_rest(terms.ladder),
        });
        self.closed = None;
        ladder::see(&mut episode.positions, terms.ladder, value, (since, at));
        episode.climb(terms);
        if episode.fires_at <= at {
            self.activate(at, terms, desk);
        } else {
            desk.tell(episode, episode.state(self.shelf.is_some()), at, None);
        }
    }

    fn hold(&mut self, seen: &Observation, terms: &Terms<'_>, desk: &mut impl Desk) {
        let Some(episode) = self.episode.as_mut() else { return };
        episode.last_at = seen.at;
        episode.value = seen.value;
        episode.inputs.to = episode.inputs.to.max(seen.inputs.to);
        episode.clear_since = None;
        ladder::see(&mut episode.positions, terms.ladder, seen.value, (seen.since, seen.at));
        let inhibited = self.inhibition.as_ref().is_some_and(|i| i.by.is_some());
        if !episode.active && episode.fires_at <= seen.at {
            episode.climb(terms);
            self.activate(seen.at, terms, desk);
        } else if episode.held && !inhibited && self.shelf.is_none() {
            episode.climb(terms);
            self.release(seen.at, terms, desk);
        } else {
            episode.held &= inhibited;
            self.change_severity(seen.at, terms, desk);
        }
    }

    fn clear(&mut self, seen: &Observation, terms: &Terms<'_>, desk: &mut impl Desk) {
        let Some(episode) = self.episode.as_mut() else { return };
        episode.last_at = seen.at;
        episode.inputs.to = episode.inputs.to.max(seen.inputs.to);
        if !episode.active {
            episode.value = seen.value;
            let of_rule = episode.started.saturating_add(terms.timing.for_);
            let reason = if episode.fires_at > of_rule {
                "condition cleared during COOLDOWN"
            } else {
                "condition cleared before FOR"
            };
            return self.close(State::Cancelled, seen.at, reason, terms, desk);
        }
        let clear_since = *episode.clear_since.get_or_insert(seen.since);
        if clear_since.saturating_add(terms.timing.keep_firing_for) <= seen.at {
            episode.value = seen.value;
            return self.close(State::Resolved, seen.at, "condition cleared", terms, desk);
        }
        ladder::see(&mut episode.positions, terms.ladder, None, (seen.since, seen.at));
        self.change_severity(seen.at, terms, desk);
    }

    /// False when nothing of the episode is due.
    fn run_episode(&mut self, due: EventTime, terms: &Terms<'_>, desk: &mut impl Desk) -> bool {
        let Some(episode) = self.episode.as_mut() else { return false };
        if episode.resolves_at(terms).is_some_and(|at| at <= due) {
            self.close(State::Resolved, due, "condition stayed clear", terms, desk);
        } else if ladder::run(&mut episode.positions, terms.ladder, due) {
            self.change_severity(due, terms, desk);
        } else if !episode.active && episode.fires_at <= due {
            self.activate(due, terms, desk);
        } else {
            return false;
        }
        true
    }

    /// When another rule begins or ceases to keep the alert back. What is learnt late holds from the
    /// last step of an alert that is already told.
    fn next_change(&self) -> Option<EventTime> {
        let (at, _) = self.inhibition.as_ref()?.changes.front()?;
        let told = self.episode.as_ref().filter(|episode| episode.active);
        Some(told.map_or(*at, |told| told.last_at.max(told.fires_at).max(*at)))
    }

    fn change_inhibition(&mut self, terms: &Terms<'_>, desk: &mut impl Desk) {
        let Some(at) = self.next_change() else { return };
        let Some(inhibition) = self.inhibition.as_mut() else { return };
        let Some((_, by)) = inhibition.changes.pop_front() else { return };
        let same = inhibition.by == by;
        let ended = by.is_none();
        inhibition.by = by;
        if ended && inhibition.changes.is_empty() {
            self.inhibition = None;
        }
        let kept_back = |e: &&mut Episode| e.active && e.admitted != Some(false);
        let Some(episode) = self.episode.as_mut().filter(kept_back).filter(|_| !same) else {
            return;
        };
        if !ended {
            episode.held = true;
            if self.shelf.is_none() {
                let reason = suppressed_by(episode, self.inhibition.as_deref(), terms);
                desk.tell(episode, State::Suppressed, at, Some(reason));
            }
        } else if episode.clear_since.is_none() {
            self.release(at, terms, desk);
        }
    }

    /// No other rule keeps the alert back any more, and its condition holds.
    fn release(&mut self, at: EventTime, terms: &Terms<'_>, desk: &mut impl Desk) {
        let Some(episode) = self.episode.as_mut() else { return };
        episode.held = false;
        if self.shelf.is_none() {
            self.alarm(at, Some(Cow::Borrowed("inhibition ended")), terms, desk);
        }
    }

    fn activate(&mut self, at: EventTime, terms: &Terms<'_>, desk: &mut impl Desk) {
        let Some(episode) = self.episode.as_mut() else { return };
        episode.active = true;
        episode.held = self.inhibition.as_ref().is_some_and(|i| i.by.is_some());
        self.alarm(at, None, terms, desk);
    }

    /// The alert asks for attention, unless something keeps it back.
    fn alarm(
        &mut self,
        at: EventTime,
        reason: Option<Reason>,
        terms: &Terms<'_>,
        desk: &mut impl Desk,
    ) {
        let Some(episode) = self.episode.as_mut() else { return };
        if let Some(shelf) = self.shelf.as_mut() {
            shelf.started = episode.started;
            let reason = shelf.reason.clone().map(Cow::Owned);
            return desk.tell(episode, State::Shelved, at, reason);
        }
        if !episode.held && episode.admitted.is_none() {
            episode.admitted = Some(desk.admit(at));
        }
        episode.acknowledged = false;
        let state = episode.state(false);
        let reason = match state {
            State::Suppressed => Some(suppressed_by(episode, self.inhibition.as_deref(), terms)),
            _ => reason,
        };
        desk.tell(episode, state, at, reason);
    }

    /// Tells the severity that follows from the ladder, if it is another than before.
    fn change_severity(&mut self, at: EventTime, terms: &Terms<'_>, desk: &mut impl Desk) {
        let Some(episode) = self.episode.as_mut() else { return };
        let before = episode.severity;
        episode.climb(terms);
        let now = episode.severity;
        if now == before || !episode.active {
            return;
        }
        let raised = now > before;
        let way = if raised { "raised" } else { "lowered" };
        episode.acknowledged &= !raised;
        let state = episode.state(self.shelf.is_some());
        let reason = match state {
            State::Suppressed => {
                let why = suppressed_by(episode, self.inhibition.as_deref(), terms);
                format!("{why}; severity {way} to {now}")
            }
            _ => format!("severity {way} to {now}"),
        };
        desk.tell(episode, state, at, Some(Cow::Owned(reason)));
    }

    fn close(
        &mut self,
        state: State,
        at: EventTime,
        reason: &'static str,
        terms: &Terms<'_>,
        desk: &mut impl Desk,
    ) {
        let Some(episode) = self.episode.take() else { return };
        desk.tell(&episode, state, at, Some(Cow::Borrowed(reason)));
        self.closed = Some(Closed { started: episode.started, at });
        let had_fired = episode.admitted == Some(true);
        if state == State::Resolved && had_fired && !terms.cooldown.is_zero() {
            self.quiet_until = Some(at.saturating_add(terms.cooldown));
        }
    }
}

/// What keeps a suppressed alert back.
fn suppressed_by(episode: &Episode, others: Option<&Inhibition>, terms: &Terms<'_>) -> Reason {
    match (others.and_then(|others| others.by.as_ref()), terms.limit) {
        (Some(rule), _) if episode.held => Cow::Owned(format!("inhibited by {rule}")),
        (None, _) if episode.held => Cow::Borrowed("condition clear when the inhibition ended"),
        (_, Some(limit)) => Cow::Owned(format!("over the limit of {limit}")),
        (_, None) => Cow::Borrowed("over the limit"),
    }
}

/// Plays a key's timers through to learn whether its alert will want to fire.
struct Rehearsal {
    asked: bool,
}

impl Desk for Rehearsal {
    fn admit(&mut self, _at: EventTime) -> bool {
        self.asked = true;
        false
    }

    fn tell(&mut self, _: &Episode, _: State, _: EventTime, _: Option<Reason>) {}
}
