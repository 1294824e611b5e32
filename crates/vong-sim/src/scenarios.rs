//! What happens in the city: floods, accidents, faults of devices, each with a start, an end and
//! a place that are known beforehand.
//!
//! Invariant: scenarios lie wholly inside their cycle of 15 minutes, and no sensor or camera is
//! the main subject of two scenarios of one cycle.

mod drill;
mod effects;
mod plan;
mod truth;

use vong_model::{CameraId, SensorId};

pub use drill::{Act, Drill, Staged};
pub use plan::{CYCLE_MS, CYCLES, Plan};
pub use truth::{GroundTruth, TruthEntry, ground_truth};

pub(crate) use effects::{Effect, FAST_CLOCK_AHEAD_MS};

use crate::world::{Ground, World};

/// A kind of event or fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScenarioKind {
    Flood,
    Accident,
    Jam,
    HeavyRain,
    PoorAir,
    LoudNoise,
    DoorOpen,
    Overload,
    SensorDead,
    SensorStuck,
    FastClock,
    CameraFrozen,
    CameraLost,
}

impl ScenarioKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Accident => "accident",
            Self::Jam => "jam",
            Self::HeavyRain => "heavy_rain",
            Self::PoorAir => "poor_air",
            Self::LoudNoise => "loud_noise",
            Self::DoorOpen => "door_open",
            Self::Overload => "overload",
            Self::SensorDead => "sensor_dead",
            Self::SensorStuck => "sensor_stuck",
            Self::FastClock => "fast_clock",
            Self::CameraFrozen => "camera_frozen",
            Self::CameraLost => "camera_lost",
        }
    }
}

/// One event, with times relative to the start of its cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub kind: ScenarioKind,
    pub start_ms: u64,
    /// Exclusive.
    pub end_ms: u64,
    /// Indices into [`World::sensors`], the main one first.
    pub sensors: Vec<usize>,
    /// Indices into [`World::cameras`].
    pub cameras: Vec<usize>,
    /// Where it happens.
    pub centre: Ground,
}

impl Scenario {
    pub fn sensor_ids(&self, world: &World) -> Vec<SensorId> {
        let of = |i: &usize| world.sensors().get(*i).map(|s| s.sensor.sensor_id.clone());
        self.sensors.iter().filter_map(of).collect()
    }

    pub fn camera_ids(&self, world: &World) -> Vec<CameraId> {
        let of = |i: &usize| world.cameras().get(*i).map(|c| c.camera_id.clone());
        self.cameras.iter().filter_map(of).collect()
    }
}

/// A scenario that is going on.
#[derive(Clone, Copy, Debug)]
pub struct Active<'a> {
    pub scenario: &'a Scenario,
    /// When it began, milliseconds since the start of the simulation.
    pub started_ms: u64,
    /// For how long it has been going on.
    pub for_ms: u64,
}

#[cfg(test)]
mod tests;
