//! What a scenario does to the readings of the sensors it touches.

use super::{Active, ScenarioKind};
use crate::noise::{lerp, smoothstep};
use crate::scene::RoadState;
use crate::world::{Reading, SensorKind, SimSensor};

/// A device with a fast clock is this far ahead: five minutes.
pub(crate) const FAST_CLOCK_AHEAD_MS: i64 = 300_000;

/// A change of one sensor's reading at one instant; shares are 0 (not at all) to 1 (fully).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Effect {
    Silent,
    Stuck,
    /// Traffic pulled towards a speed, a flow and an occupancy.
    Road {
        share: f64,
        speed: f64,
        flow: f64,
        occupancy: f64,
    },
    /// Water raised by so many metres.
    Raise {
        metres: f64,
    },
    /// More rain, millimetres an hour.
    Pour {
        mm: f64,
    },
    /// More fine dust, micrograms a cubic metre.
    Dust {
        pm25: f64,
    },
    Open,
    /// Electric load pulled towards so many kilowatts.
    Load {
        share: f64,
        kw: f64,
    },
    /// Sound raised by so many decibels.
    Loud {
        db: f64,
    },
}

impl Active<'_> {
    /// What this scenario does to a sensor now, if anything.
    pub(crate) fn effect_on(&self, index: usize, sensor: &SimSensor) -> Option<Effect> {
        let main = self.scenario.sensors.first() == Some(&index);
        let touched = self.scenario.sensors.contains(&index);
        let away_m = || sensor.ground.distance_m(self.scenario.centre);
        // neighbours feel `most` of it at the place itself and half of that `reach_m` away, which
        // no rule of theirs may notice: what should be noticed is written down
        let spread = |most: f64, reach_m: f64| {
            let far = away_m() / reach_m;
            if main { 1.0 } else { most / (1.0 + far * far) }
        };
        match (self.scenario.kind, sensor.kind) {
            (ScenarioKind::SensorDead, _) => touched.then_some(Effect::Silent),
            (ScenarioKind::SensorStuck, _) => touched.then_some(Effect::Stuck),
            (ScenarioKind::Flood, SensorKind::WaterLevel) => {
                Some(Effect::Raise { metres: 2.2 * self.share(12.0, 45.0) * spread(0.28, 700.0) })
            }
            (ScenarioKind::Accident, SensorKind::Traffic) if main => Some(Effect::Road {
                share: self.share(4.0, 20.0),
                speed: 3.0,
                flow: 2.0,
                occupancy: 0.92,
            }),
            (ScenarioKind::Accident, SensorKind::Traffic) => {
                // drivers nearby slow down, but move
                let near = (1.0 - away_m() / 500.0).max(0.0);
                let share = 0.5 * near * self.share(20.0, 30.0);
                (share > 0.0).then_some(Effect::Road {
                    share,
                    speed: 20.0,
                    flow: 12.0,
                    occupancy: 0.4,
                })
            }
            (ScenarioKind::Jam, SensorKind::Traffic) if touched => Some(Effect::Road {
                share: self.share(8.0, 40.0),
                speed: 7.5,
                flow: 9.0,
                occupancy: 0.68,
            }),
            (ScenarioKind::HeavyRain, SensorKind::Rain) => {
                Some(Effect::Pour { mm: 68.0 * self.share(15.0, 40.0) * spread(0.2, 1_200.0) })
            }
            (ScenarioKind::PoorAir, SensorKind::AirQuality) => {
                Some(Effect::Dust { pm25: 160.0 * self.share(20.0, 60.0) * spread(0.08, 1_000.0) })
            }
            (ScenarioKind::LoudNoise, SensorKind::Noise) if touched => {
                Some(Effect::Loud { db: 32.0 * self.share(3.0, 10.0) })
            }
            (ScenarioKind::DoorOpen, SensorKind::Door) => touched.then_some(Effect::Open),
            (ScenarioKind::Overload, SensorKind::Power) if touched => {
                Some(Effect::Load { share: self.share(6.0, 20.0) * 0.95, kw: 250.0 })
            }
            _ => None,
        }
    }

    /// How fully it acts now: rises over `rise_s`, falls to nothing over the last `fall_s`.
    fn share(&self, rise_s: f64, fall_s: f64) -> f64 {
        let lasted_s = self.for_ms as f64 / 1_000.0;
        let left_s = (self.scenario.end_ms - self.scenario.start_ms - self.for_ms) as f64 / 1_000.0;
        smoothstep(lasted_s / rise_s) * smoothstep(left_s / fall_s)
    }
}

impl Effect {
    /// The reading with this effect on it. A reading of another kind comes back as it was.
    pub(crate) fn apply(self, reading: Reading) -> Reading {
        match (self, reading) {
            (Self::Road { .. }, Reading::Traffic { speed, flow, occupancy }) => {
                let road = RoadState {
                    speed_kmh: speed,
                    flow_per_min: flow,
                    occupancy,
                    stopped_vehicles: 0,
                };
                // a little of the sample's own noise stays, so that it looks alive
                let road = self.pull(road, 0.97);
                Reading::Traffic {
                    speed: road.speed_kmh,
                    flow: road.flow_per_min,
                    occupancy: road.occupancy,
                }
            }
            (Self::Raise { metres }, Reading::WaterLevel { level_m }) => {
                Reading::WaterLevel { level_m: level_m + metres }
            }
            (Self::Pour { mm }, Reading::Rain { mm: before }) => Reading::Rain { mm: before + mm },
            (Self::Dust { pm25 }, Reading::AirQuality { pm25: before, pm10 }) => {
                Reading::AirQuality { pm25: before + pm25, pm10: pm10 + 1.4 * pm25 }
            }
            (Self::Open, Reading::Door { .. }) => Reading::Door { open: true },
            (Self::Load { share, kw: full }, Reading::Power { kw }) => {
                Reading::Power { kw: lerp(kw, full, share) }
            }
            (Self::Loud { db: more }, Reading::Noise { db }) => Reading::Noise { db: db + more },
            (_, reading) => reading,
        }
    }

    pub(crate) fn apply_to_road(self, road: RoadState) -> RoadState {
        self.pull(road, 1.0)
    }

    /// Moves the road towards the effect's values, `at_most` all the way.
    fn pull(self, road: RoadState, at_most: f64) -> RoadState {
        let Self::Road { share, speed, flow, occupancy } = self else { return road };
        let share = share * at_most;
        RoadState {
            speed_kmh: lerp(road.speed_kmh, speed, share),
            flow_per_min: lerp(road.flow_per_min, flow, share),
            occupancy: lerp(road.occupancy, occupancy, share),
            stopped_vehicles: road.stopped_vehicles,
        }
    }
}
