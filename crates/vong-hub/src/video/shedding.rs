//! When a screen that cannot keep up gets less, and when it gets everything again.
//!
//! A screen that skips again and again cannot show what it is sent: then fewer pictures that are
//! whole are better than all of them torn. It gets everything back after a calm time, which
//! doubles each time that turns out to have been too early.

use std::time::Duration;

use tokio::time::Instant;

/// So many skips within [`WITHIN`] are too many.
const SKIPS: usize = 3;
const WITHIN: Duration = Duration::from_secs(10);
/// The first calm time asked for, and the longest.
const CALM: Duration = Duration::from_secs(15);
const LONGEST_CALM: Duration = Duration::from_secs(240);
/// Skips sooner than this after everything was given back mean that it was too early.
const TRIAL: Duration = Duration::from_secs(60);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Idle tiles get key frames only from here on.
    Shed,
    /// All tiles get what was asked for again.
    Restore,
}

/// The judgement over one screen.
#[derive(Clone, Debug)]
pub struct Shedding {
    skips: Vec<Instant>,
    /// Since when idle tiles get less.
    shed: bool,
    last_skip: Option<Instant>,
    restored: Option<Instant>,
    calm: Duration,
}

impl Default for Shedding {
    fn default() -> Self {
        Self { skips: Vec::new(), shed: false, last_skip: None, restored: None, calm: CALM }
    }
}

impl Shedding {
    /// Whether idle tiles get less now.
    pub fn is_shedding(&self) -> bool {
        self.shed
    }

    /// A tile skipped frames at `now`.
    pub fn skipped(&mut self, now: Instant) -> Option<Verdict> {
        self.last_skip = Some(now);
        self.skips.retain(|at| now.duration_since(*at) < WITHIN);
        self.skips.push(now);
        if self.shed || self.skips.len() < SKIPS {
            return None;
        }
        let too_early = self.restored.is_some_and(|at| now.duration_since(at) < TRIAL);
        self.calm = if too_early { (self.calm * 2).min(LONGEST_CALM) } else { CALM };
        self.shed = true;
        self.skips.clear();
        Some(Verdict::Shed)
    }

    /// Time passed; call it about every second.
    pub fn tick(&mut self, now: Instant) -> Option<Verdict> {
        let calm = self.last_skip.is_none_or(|at| now.duration_since(at) >= self.calm);
        if !self.shed || !calm {
            return None;
        }
        (self.shed, self.restored) = (false, Some(now));
        Some(Verdict::Restore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `s3` skip at second 3, `t20` a tick; gives what was decided when.
    fn check(steps: &str, expected: &str) {
        let begin = Instant::now();
        let mut shedding = Shedding::default();
        let decided = steps.split_whitespace().filter_map(|step| {
            let (kind, second) = step.split_at(1);
            let at = begin + Duration::from_secs(second.parse().unwrap());
            let verdict = if kind == "s" { shedding.skipped(at) } else { shedding.tick(at) };
            Some(format!("{second}:{:?}", verdict?))
        });
        assert_eq!(decided.collect::<Vec<_>>().join(" "), expected, "{steps}");
    }

    #[test]
    fn few_skips_change_nothing() {
        check("s0 s1 t2 s12 s13 t20 s40", "");
    }

    #[test]
    fn skips_in_a_row_shed_and_calm_restores() {
        check("s0 s1 s2 s3 t10 t17 t18 t19", "2:Shed 18:Restore");
    }

    #[test]
    fn giving_back_too_early_doubles_the_calm_asked_for() {
        check(
            "s0 s1 s2 t17 s18 s19 s20 t36 t49 t50 s51 s52 s53 t112 t113",
            "2:Shed 17:Restore 20:Shed 50:Restore 53:Shed 113:Restore",
        );
        check("s0 s1 s2 t17 s90 s91 s92 t107", "2:Shed 17:Restore 92:Shed 107:Restore");
    }
}
