//! A drill for what watches cameras: every fault of a lens and every incident of a road once each
//! half hour, in an order and at times that follow from the seed.

use std::sync::Arc;

use crate::noise::hash;
use crate::scene::{Incident, LensFault, RoadState, Scene};

/// Time before the first fault, so that a watcher can learn what is usual, seconds.
const QUIET_S: f64 = 150.0;
/// Each fault has a slot of its own.
const SLOT_S: f64 = 180.0;
const SALT: u64 = 977;

/// One thing that is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    Lens(LensFault),
    Frozen,
    Road(Incident),
}

const ACTS: [Act; 8] = [
    Act::Lens(LensFault::Black),
    Act::Lens(LensFault::White),
    Act::Lens(LensFault::Covered),
    Act::Lens(LensFault::Defocused),
    Act::Lens(LensFault::Moved),
    Act::Frozen,
    Act::Road(Incident::Breakdown),
    Act::Road(Incident::WrongWay),
];

impl Act {
    /// The word in `video_events.kind` that it should be told as.
    pub fn event_kind(self) -> &'static str {
        match self {
            Self::Lens(LensFault::Black) => "black",
            Self::Lens(LensFault::White) => "white",
            Self::Lens(LensFault::Covered) => "covered",
            Self::Lens(LensFault::Defocused) => "defocused",
            Self::Lens(LensFault::Moved) => "moved",
            Self::Frozen => "frozen",
            Self::Road(Incident::Breakdown) => "stopped_vehicle",
            Self::Road(Incident::WrongWay) => "wrong_way",
        }
    }
}

/// Something staged, with when: seconds since the anchor, the end exclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Staged {
    pub act: Act,
    pub from_s: f64,
    pub to_s: f64,
}

/// A scene whose traffic is another's and whose faults follow a schedule.
#[derive(Debug)]
pub struct Drill {
    seed: u64,
    traffic: Arc<dyn Scene>,
}

impl Drill {
    /// Length of a drill.
    pub const LENGTH_S: f64 = QUIET_S + SLOT_S * 8.0;

    pub fn new(seed: u64, traffic: Arc<dyn Scene>) -> Self {
        Self { seed, traffic }
    }

    /// What is staged for a camera, in the order of time.
    pub fn schedule(&self, camera_id: &str) -> Vec<Staged> {
        let name =
            camera_id.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
        let draw = |n: u64| hash(self.seed, SALT + name, n);
        let mut acts = ACTS.to_vec();
        // Fisher and Yates, from the end.
        for last in (1..acts.len()).rev() {
            let other = usize::try_from(draw(last as u64) % (last as u64 + 1)).unwrap_or(0);
            acts.swap(last, other);
        }
        let staged = acts.into_iter().enumerate().map(|(slot, act)| {
            let begin = QUIET_S + SLOT_S * slot as f64 + (draw(100 + slot as u64) % 40) as f64;
            let lasts = 50.0 + (draw(200 + slot as u64) % 40) as f64;
            Staged { act, from_s: begin, to_s: begin + lasts }
        });
        staged.collect()
    }

    fn act(&self, camera_id: &str, at_s: f64) -> Option<Act> {
        let staged = self.schedule(camera_id);
        staged.iter().find(|s| (s.from_s..s.to_s).contains(&at_s)).map(|s| s.act)
    }
}

impl Scene for Drill {
    fn road(&self, camera_id: &str, at_s: f64) -> RoadState {
        RoadState { stopped_vehicles: 0, ..self.traffic.road(camera_id, at_s) }
    }

    fn is_frozen(&self, camera_id: &str, at_s: f64) -> bool {
        self.act(camera_id, at_s) == Some(Act::Frozen)
    }

    fn is_offline(&self, _camera_id: &str, _at_s: f64) -> bool {
        false
    }

    fn lens(&self, camera_id: &str, at_s: f64) -> Option<LensFault> {
        match self.act(camera_id, at_s) {
            Some(Act::Lens(fault)) => Some(fault),
            _ => None,
        }
    }

    fn incident(&self, camera_id: &str, at_s: f64) -> Option<Incident> {
        match self.act(camera_id, at_s) {
            Some(Act::Road(incident)) => Some(incident),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::City;

    #[test]
    fn every_act_is_staged_once_apart_from_the_others_and_in_another_order_by_seed() {
        let acts = |seed: u64| {
            let drill = Drill::new(seed, City::new(seed).scene());
            let staged = drill.schedule("CAM-03");
            assert!(staged.windows(2).all(|pair| pair[0].to_s + 20.0 < pair[1].from_s));
            assert!(staged.last().unwrap().to_s < Drill::LENGTH_S);
            let acts: Vec<Act> = staged.iter().map(|s| s.act).collect();
            let mut sorted = acts.clone();
            sorted.sort();
            let mut all = ACTS.to_vec();
            all.sort();
            assert_eq!(sorted, all);
            acts
        };
        assert_ne!(acts(1), acts(2));
        assert_eq!(acts(1), acts(1));
    }
}
