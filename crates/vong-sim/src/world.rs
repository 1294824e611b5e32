//! The sample city: what stands in it, and what every sensor and camera would show at any instant.
//!
//! Invariant: everything here is a pure function of the seed and of milliseconds since the start;
//! any instant can be asked without stepping through those before it.

mod cameras;
mod chance;
mod day;
mod sensors;
mod signals;
mod streets;
mod terrain;
mod units;

use std::collections::BTreeMap;

use vong_model::{Assets, Place, Unit, UnitCode};

pub use cameras::SimCamera;
pub use day::START_HOUR;
pub use sensors::{SensorKind, SimSensor};
pub use signals::Reading;
pub use terrain::Ground;

use crate::scenarios::{Effect, Plan, ScenarioKind};
use crate::scene::{RoadState, Scene};

/// The generated city and its scenarios.
#[derive(Clone, Debug)]
pub struct World {
    seed: u64,
    terrain: terrain::Terrain,
    streets: streets::Streets,
    sensors: Vec<SimSensor>,
    cameras: Vec<SimCamera>,
    plan: Plan,
}

/// A named street as it is drawn.
#[derive(Clone, Debug)]
pub struct StreetLine {
    pub street_id: String,
    pub name_vi: String,
    pub name_en: String,
    /// `primary`, `secondary` or `local`.
    pub class: &'static str,
    pub line: Vec<Place>,
}

/// The river: its middle line from where it enters to where it leaves, and its two banks together
/// as one closed ring.
#[derive(Clone, Debug)]
pub struct River {
    pub middle: Vec<Place>,
    pub banks: Vec<Place>,
}

impl World {
    /// The city of a seed; the same on every machine.
    pub fn new(seed: u64) -> Self {
        let mut rng = chance::generator(seed);
        let terrain = terrain::Terrain::new(seed);
        let streets = streets::Streets::lay_out(&mut rng);
        let sensors = sensors::place_all(&streets, terrain, &mut rng);
        let cameras = cameras::place_all(&streets, terrain, &sensors);
        let plan = Plan::new(seed, &sensors, &cameras);
        Self { seed, terrain, streets, sensors, cameras, plan }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// All sensors; the index of one in this list is its number everywhere in this crate.
    pub fn sensors(&self) -> &[SimSensor] {
        &self.sensors
    }

    pub fn cameras(&self) -> &[SimCamera] {
        &self.cameras
    }

    /// Administrative units: of today and former ones.
    pub fn units(&self) -> Vec<Unit> {
        units::all()
    }

    /// Outlines of today's communes: code and closed ring.
    pub fn unit_outlines(&self) -> Vec<(UnitCode, Vec<Place>)> {
        units::outlines(self.terrain)
    }

    pub fn streets(&self) -> Vec<StreetLine> {
        let lanes = self.streets.lanes.iter().map(|lane| StreetLine {
            street_id: lane.street_id.clone(),
            name_vi: lane.name.clone(),
            name_en: lane.name.replace("Ngõ", "Lane"),
            class: streets::Class::Local.as_str(),
            line: lane.line(self.terrain),
        });
        let drawn = |s: &streets::Street| StreetLine {
            street_id: s.street_id.clone(),
            name_vi: format!("Đường {}", s.name),
            name_en: format!("{} Street", s.name),
            class: s.class.as_str(),
            line: self.streets.line(s, self.terrain),
        };
        self.streets.all.iter().map(drawn).chain(lanes).collect()
    }

    pub fn river(&self) -> River {
        let steps = (0..=170_u32).map(|k| terrain::WEST + 60.0 * f64::from(k));
        let us: Vec<f64> = steps.take_while(|u| *u <= terrain::EAST).collect();
        let line = |side: f64| -> Vec<Place> {
            let at = |u: &f64| {
                let v = terrain::RIVER_V + side * self.terrain.half_width(*u);
                self.terrain.place(terrain::Plan { u: *u, v })
            };
            us.iter().map(at).collect()
        };
        let mut banks = line(-1.0);
        banks.extend(line(1.0).into_iter().rev());
        banks.extend(banks.first().copied());
        River { middle: line(0.0), banks }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What stands in the city, with camera addresses at `rtsp` (`host:port`).
    pub fn assets(&self, rtsp: &str) -> Assets {
        let sensors = self.sensors.iter().map(|s| (s.sensor.sensor_id.clone(), s.sensor.clone()));
        let cameras = self.cameras.iter().map(|c| (c.camera_id.clone(), c.camera(rtsp)));
        Assets {
            sensors: sensors.collect::<BTreeMap<_, _>>(),
            cameras: cameras.collect::<BTreeMap<_, _>>(),
            units: self.units(),
        }
    }

    /// What sensor number `index` measures at `at_ms`, or `None` while it is dead (or no sensor).
    pub fn reading(&self, index: usize, at_ms: u64) -> Option<Reading> {
        let sensor = self.sensors.get(index)?;
        let mut effects = Vec::new();
        for active in self.plan.active(at_ms) {
            match active.effect_on(index, sensor) {
                Some(Effect::Silent) => return None,
                // a stuck device repeats what it measured just before it got stuck
                Some(Effect::Stuck) => {
                    return self.reading(index, active.started_ms.checked_sub(1)?);
                }
                Some(effect) => effects.push(effect),
                None => {}
            }
        }
        let undisturbed = signals::ambient(self.seed, index, sensor, at_ms);
        Some(effects.into_iter().fold(undisturbed, |reading, effect| effect.apply(reading)))
    }

    /// How far the device's clock runs ahead at `at_ms`, milliseconds.
    pub fn clock_ahead_ms(&self, index: usize, at_ms: u64) -> i64 {
        let fast = self.plan.active(at_ms).any(|a| {
            a.scenario.kind == ScenarioKind::FastClock && a.scenario.sensors.contains(&index)
        });
        if fast { crate::scenarios::FAST_CLOCK_AHEAD_MS } else { 0 }
    }

    fn camera(&self, camera_id: &str) -> Option<(usize, &SimCamera)> {
        self.cameras.iter().enumerate().find(|(_, c)| c.camera_id.as_str() == camera_id)
    }

    fn camera_has(&self, camera_id: &str, kind: ScenarioKind, at_s: f64) -> bool {
        let Some((index, _)) = self.camera(camera_id) else { return false };
        let mut active = self.plan.active(millis(at_s));
        active.any(|a| a.scenario.kind == kind && a.scenario.cameras.contains(&index))
    }
}

impl Scene for World {
    fn road(&self, camera_id: &str, at_s: f64) -> RoadState {
        let Some((camera_index, camera)) = self.camera(camera_id) else { return RoadState::EMPTY };
        let Some(near) = self.sensors.get(camera.watches) else { return RoadState::EMPTY };
        let Some(near_road) = near.road else { return RoadState::EMPTY };
        let mut road = signals::traffic(self.seed, near, &near_road, at_s);
        if let Some((twin, twin_road)) =
            self.sensors.get(near_road.twin).and_then(|t| t.road.map(|r| (t, r)))
        {
            road.flow_per_min += signals::traffic(self.seed, twin, &twin_road, at_s).flow_per_min;
        }
        for active in self.plan.active(millis(at_s)) {
            if let Some(effect) = active.effect_on(camera.watches, near) {
                road = effect.apply_to_road(road);
            }
            if active.scenario.kind == ScenarioKind::Accident
                && active.scenario.cameras.contains(&camera_index)
            {
                road.stopped_vehicles = 3;
            }
        }
        road
    }

    fn is_frozen(&self, camera_id: &str, at_s: f64) -> bool {
        self.camera_has(camera_id, ScenarioKind::CameraFrozen, at_s)
    }

    fn is_offline(&self, camera_id: &str, at_s: f64) -> bool {
        self.camera_has(camera_id, ScenarioKind::CameraLost, at_s)
    }
}

/// Milliseconds since the start; times before the start are the start.
fn millis(at_s: f64) -> u64 {
    (at_s.max(0.0) * 1_000.0) as u64
}

#[cfg(test)]
mod tests;
