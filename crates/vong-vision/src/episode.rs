//! From judgements of single pictures to `began`, `going_on` and `ended`, without flicker.

use vong_model::EventTime;

use crate::findings::EventState;

/// How often a finding that lasts is told again.
const REPEAT_US: i64 = 60_000_000;

/// One kind of finding about one camera.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    /// Judgements in a row that begin it.
    needed: u32,
    /// Judgements in a row that end it.
    clear: u32,
    state: State,
    /// Judgements in a row that speak against the state.
    against: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was told yet: an earlier run may have left a beginning without an end.
    Untold,
    Good,
    Bad {
        told_at: EventTime,
    },
}

impl Episode {
    pub(crate) fn new(needed: u32, clear: u32) -> Self {
        Self { needed, clear, state: State::Untold, against: 0 }
    }

    pub(crate) fn is_on(&self) -> bool {
        matches!(self.state, State::Bad { .. })
    }

    /// What is to be told after a picture at `at` was judged.
    pub(crate) fn observe(&mut self, at: EventTime, bad: bool) -> Option<EventState> {
        let needed = if self.is_on() { self.clear } else { self.needed };
        let against = bad != self.is_on();
        self.against = if against { self.against + 1 } else { 0 };
        match self.state {
            _ if against && self.against < needed => None,
            State::Untold | State::Good if bad => {
                self.against = 0;
                self.state = State::Bad { told_at: at };
                Some(EventState::Began)
            }
            State::Good => None,
            State::Bad { told_at } if bad => {
                let again = at.micros() - told_at.micros() >= REPEAT_US;
                if again {
                    self.state = State::Bad { told_at: at };
                }
                again.then_some(EventState::GoingOn)
            }
            State::Untold | State::Bad { .. } => {
                self.against = 0;
                self.state = State::Good;
                Some(EventState::Ended)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judgements one second apart, `x` bad and `.` good; what was told when, as `b`, `g`, `e`.
    fn check(needed: u32, clear: u32, judged: &str, told: &str) {
        let mut episode = Episode::new(needed, clear);
        let mut tell = |(second, judgement): (i64, char)| match episode
            .observe(EventTime(second * 1_000_000), judgement == 'x')
        {
            None => '-',
            Some(EventState::Began) => 'b',
            Some(EventState::GoingOn) => 'g',
            Some(EventState::Ended) => 'e',
        };
        assert_eq!((0..).zip(judged.chars()).map(&mut tell).collect::<String>(), told);
    }

    #[test]
    fn first_good_judgement_ends_what_an_earlier_run_may_have_left() {
        check(1, 1, "..x", "e-b");
        check(2, 2, "x.xx", "-e-b");
    }

    #[test]
    fn single_judgements_against_do_not_flicker() {
        check(2, 3, ".x.xx..x...x", "e---b-----e-");
    }

    #[test]
    fn what_lasts_is_repeated_once_a_minute() {
        let judged = "x".repeat(130);
        let told: String = (0..130)
            .map(|s| match s {
                0 => 'b',
                60 | 120 => 'g',
                _ => '-',
            })
            .collect();
        check(1, 1, &judged, &told);
    }
}
