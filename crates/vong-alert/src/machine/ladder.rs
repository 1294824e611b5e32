//! The severity ladder of one episode: each rung goes up and down by a timer of its own.
//!
//! Invariant: a rung has a running timer exactly while its comparison and its position disagree.

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, Rung, Severity};

/// Where one rung is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    up: bool,
    /// Since when its comparison says otherwise.
    since: Option<EventTime>,
}

impl Position {
    fn due(self, rung: &Rung) -> Option<EventTime> {
        let wait = if self.up { rung.lower_after } else { rung.for_ };
        self.since.map(|since| since.saturating_add(wait))
    }

    fn turn(&mut self) {
        *self = Self { up: !self.up, since: None };
    }
}

/// Every rung down.
pub(super) fn at_rest(ladder: &[Rung]) -> Box<[Position]> {
    vec![Position::default(); ladder.len()].into_boxed_slice()
}

/// Takes in what was found about `since..=at`; `None`: nothing that could hold a rung up.
pub(super) fn see(
    positions: &mut [Position],
    ladder: &[Rung],
    value: Option<f64>,
    (since, at): (EventTime, EventTime),
) {
    for (position, rung) in positions.iter_mut().zip(ladder) {
        let holds = value.is_some_and(|value| rung.holds(value));
        if holds == position.up {
            position.since = None;
            continue;
        }
        position.since.get_or_insert(since);
        if position.due(rung).is_some_and(|due| due <= at) {
            position.turn();
        }
    }
}

/// When the next rung moves by time alone.
pub(super) fn due(positions: &[Position], ladder: &[Rung]) -> Option<EventTime> {
    positions.iter().zip(ladder).filter_map(|(position, rung)| position.due(rung)).min()
}

/// Moves every rung whose time has come by `due`; false when there is none.
pub(super) fn run(positions: &mut [Position], ladder: &[Rung], due: EventTime) -> bool {
    let mut moved = false;
    for (position, rung) in positions.iter_mut().zip(ladder) {
        if position.due(rung).is_some_and(|of_rung| of_rung <= due) {
            position.turn();
            moved = true;
        }
    }
    moved
}

/// The severity of the highest rung that is up.
pub(super) fn severity(positions: &[Position], ladder: &[Rung], base: Severity) -> Severity {
    let up = positions.iter().zip(ladder).filter(|(position, _)| position.up);
    up.map(|(_, rung)| rung.severity).fold(base, Severity::max)
}
