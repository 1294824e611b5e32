//! Whose frames bring the worker down: a camera that does so again and again is left alone for a
//! while, so that the others are looked at.

use std::collections::BTreeMap;

use vong_model::{CameraId, EventTime};

/// So many failures within [`WITHIN_US`] set a camera aside.
const STRIKES: usize = 3;
const WITHIN_US: i64 = 10 * 60 * 1_000_000;
/// How long it is left alone.
const ASIDE_US: i64 = 60 * 60 * 1_000_000;

/// What a camera's turn may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Welcome,
    /// Set aside until now: it gets another chance, which is worth telling.
    TakenBack,
    Aside,
}

/// Failures of the worker by the camera whose frames it had.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    strikes: BTreeMap<CameraId, Vec<EventTime>>,
    aside_until: BTreeMap<CameraId, EventTime>,
}

impl Blame {
    /// The worker failed with this camera's frames; true when the camera is set aside for it now.
    pub(crate) fn strike(&mut self, camera: &CameraId, now: EventTime) -> bool {
        let strikes = self.strikes.entry(camera.clone()).or_default();
        strikes.retain(|at| now.micros() - at.micros() < WITHIN_US);
        strikes.push(now);
        if strikes.len() < STRIKES {
            return false;
        }
        self.strikes.remove(camera);
        self.aside_until.insert(camera.clone(), EventTime(now.micros() + ASIDE_US));
        true
    }

    pub(crate) fn verdict(&mut self, camera: &CameraId, now: EventTime) -> Verdict {
        match self.aside_until.get(camera) {
            None => Verdict::Welcome,
            Some(until) if now < *until => Verdict::Aside,
            Some(_) => {
                self.aside_until.remove(camera);
                Verdict::TakenBack
            }
        }
    }

    /// How many cameras are set aside now.
    pub(crate) fn aside(&self) -> usize {
        self.aside_until.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// Minutes at which the worker failed, and when the camera was set aside for it.
    fn check(failures: &[i64], aside: &[i64]) {
        let (mut blame, camera) = (Blame::default(), CameraId::from("CAM-01"));
        let struck = |at: &&i64| blame.strike(&camera, EventTime(**at * MINUTE));
        assert_eq!(failures.iter().filter(struck).copied().collect::<Vec<_>>(), aside);
    }

    #[test]
    fn three_failures_in_ten_minutes_set_a_camera_aside() {
        check(&[0, 4, 9], &[9]);
        check(&[0, 4, 11, 22, 33], &[]);
        check(&[0, 4, 9, 70, 71, 72], &[9, 72]);
    }

    #[test]
    fn camera_that_is_aside_comes_back_once_after_an_hour() {
        let (mut blame, camera) = (Blame::default(), CameraId::from("CAM-01"));
        for at in 0..3 {
            blame.strike(&camera, EventTime(at));
        }
        let other = CameraId::from("CAM-02");
        assert_eq!(blame.verdict(&other, EventTime(9)), Verdict::Welcome);
        assert_eq!(blame.verdict(&camera, EventTime(59 * MINUTE)), Verdict::Aside);
        assert_eq!(blame.verdict(&camera, EventTime(61 * MINUTE)), Verdict::TakenBack);
        assert_eq!(blame.verdict(&camera, EventTime(61 * MINUTE)), Verdict::Welcome);
    }
}
