//! What a camera sees, asked of the world: the seam between the city and its pictures.

/// Traffic on the road in front of a camera or over a loop, at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoadState {
    /// Mean speed of moving vehicles, km/h.
    pub speed_kmh: f64,
    /// Vehicles passing per minute, both directions together.
    pub flow_per_min: f64,
    /// Share of time a vehicle stands over the loop, 0 to 1.
    pub occupancy: f64,
    /// Vehicles that stand still in the middle of the picture (an accident); 0 normally.
    pub stopped_vehicles: u32,
}

impl RoadState {
    /// A road without traffic.
    pub const EMPTY: Self =
        Self { speed_kmh: 0.0, flow_per_min: 0.0, occupancy: 0.0, stopped_vehicles: 0 };
}

/// What is wrong with a camera's lens or mounting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LensFault {
    /// No light comes through.
    Black,
    /// Nothing but light.
    White,
    /// A cloth hangs before most of it.
    Covered,
    Defocused,
    /// Someone turned the camera.
    Moved,
}

/// What happens on the road besides traffic and accidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Incident {
    /// One vehicle comes to stand on its lane.
    Breakdown,
    /// One motorbike drives against its lane's direction.
    WrongWay,
}

/// A pure function of the seed and of seconds since the start of the simulation.
pub trait Scene: Send + Sync + std::fmt::Debug {
    fn road(&self, camera_id: &str, at_s: f64) -> RoadState;

    /// The camera repeats one picture (a scenario): frames keep coming, nothing in them moves.
    fn is_frozen(&self, camera_id: &str, at_s: f64) -> bool;

    /// What is wrong with the camera itself (a scenario).
    fn lens(&self, _camera_id: &str, _at_s: f64) -> Option<LensFault> {
        None
    }

    /// What happens on the road in front of it (a scenario).
    fn incident(&self, _camera_id: &str, _at_s: f64) -> Option<Incident> {
        None
    }

    /// The camera refuses connections and drops viewers (a scenario).
    fn is_offline(&self, camera_id: &str, at_s: f64) -> bool;
}
