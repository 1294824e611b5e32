//! What each sensor would measure if nothing happened in the city: daily curves, weather that
//! neighbours share, and a little noise of each sample's own.
//!
//! Values stay below every threshold of the shipped rules: an alert of the sample city comes from
//! a scenario, and from nothing else.

use super::day;
use super::sensors::{Road, SensorKind, SimSensor};
use crate::noise::{bell, field, lerp, wave};
use crate::scene::RoadState;

/// One sensor's values at one instant, not yet rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    Traffic {
        /// km/h
        speed: f64,
        /// vehicles a minute
        flow: f64,
        /// share of time, 0 to 1
        occupancy: f64,
    },
    /// Metres above the station's zero.
    WaterLevel {
        level_m: f64,
    },
    /// Intensity, millimetres an hour.
    Rain {
        mm: f64,
    },
    /// Micrograms a cubic metre.
    AirQuality {
        pm25: f64,
        pm10: f64,
    },
    /// A-weighted decibels.
    Noise {
        db: f64,
    },
    Door {
        open: bool,
    },
    /// Kilowatts.
    Power {
        kw: f64,
    },
}

// streams of chance; each use has its own
const BUSY: u64 = 1;
const SHOWERS: u64 = 2;
const SMOG: u64 = 3;
const SOUND: u64 = 4;
const LOAD: u64 = 5;
const SWELL: u64 = 6;
const SAMPLE: u64 = 1 << 32;
const SAMPLE_FLOW: u64 = 2 << 32;
const SAMPLE_OCCUPANCY: u64 = 3 << 32;

/// The undisturbed value of sensor number `index` at `at_ms`.
pub(crate) fn ambient(seed: u64, index: usize, sensor: &SimSensor, at_ms: u64) -> Reading {
    let at_s = at_ms as f64 / 1_000.0;
    let hour = day::hour(at_s);
    let own = |stream: u64| bell(seed, stream + index as u64, at_ms);
    let near = |stream: u64, metres: f64, seconds: f64| {
        field(seed, stream, sensor.ground.x / metres, sensor.ground.y / metres, at_s / seconds)
    };
    match sensor.kind {
        SensorKind::Traffic => {
            let road = sensor.road.as_ref().map(|road| traffic(seed, sensor, road, at_s));
            let road = road.unwrap_or(RoadState::EMPTY);
            Reading::Traffic {
                speed: (road.speed_kmh + 2.5 * own(SAMPLE)).max(18.0),
                flow: (road.flow_per_min + 3.0 * own(SAMPLE_FLOW)).max(0.0),
                occupancy: (road.occupancy + 0.03 * own(SAMPLE_OCCUPANCY)).clamp(0.0, 0.5),
            }
        }
        SensorKind::WaterLevel => {
            let tide = 0.25 * wave(at_s / 44_714.0); // the principal lunar tide: 12 h 25.2 min
            let downstream = -0.00003 * sensor.ground.x;
            let swell = 0.06 * near(SWELL, 2_500.0, 240.0);
            Reading::WaterLevel { level_m: 1.95 + tide + downstream + swell + 0.012 * own(SAMPLE) }
        }
        SensorKind::Rain => {
            let shower = (near(SHOWERS, 2_600.0, 1_500.0) - 0.72).max(0.0) * 20.0;
            Reading::Rain { mm: (shower * (1.0 + 0.2 * own(SAMPLE))).max(0.0) }
        }
        SensorKind::AirQuality => {
            let smog = near(SMOG, 3_000.0, 2_400.0);
            let pm25 = 14.0 + 12.0 * smog + 10.0 * day::traffic(hour) + 1.5 * own(SAMPLE);
            Reading::AirQuality { pm25, pm10: pm25 * (1.5 + 0.3 * sensor.character) }
        }
        SensorKind::Noise => {
            let street = 48.0 + 12.0 * day::traffic(hour) + 4.0 * sensor.character;
            Reading::Noise { db: street + 2.0 * near(SOUND, 500.0, 60.0) + 1.8 * own(SAMPLE) }
        }
        SensorKind::Door => Reading::Door { open: false },
        SensorKind::Power => {
            let rated = 30.0 + 110.0 * sensor.character;
            let load = day::power(hour) * (0.85 + 0.2 * near(LOAD, 1_500.0, 300.0));
            Reading::Power { kw: rated * (load + 0.02 * own(SAMPLE)) }
        }
    }
}

/// Traffic over a loop without the noise of a single sample: continuous in time, for pictures.
pub(crate) fn traffic(seed: u64, sensor: &SimSensor, road: &Road, at_s: f64) -> RoadState {
    let Road { free_speed, capacity, busyness, .. } = *road;
    let busy = field(seed, BUSY, sensor.ground.x / 900.0, sensor.ground.y / 900.0, at_s / 180.0);
    let demand = (day::traffic(day::hour(at_s)) * busyness * (0.8 + 0.4 * busy)).min(0.95);
    // platoons of the traffic light upstream, every 60 to 90 s
    let green = wave(at_s / (60.0 + 30.0 * sensor.character) + sensor.character);
    let flow_per_min = capacity * demand * lerp(0.75, 1.25, green);
    let speed_kmh = free_speed * (1.0 - 0.45 * demand * demand) * lerp(0.95, 1.05, green);
    // a vehicle covers its own length and the loop's, 5.5 m together; two lanes share the flow
    let occupancy = flow_per_min * 60.0 * 5.5 / (speed_kmh * 1_000.0) / 2.0;
    RoadState { speed_kmh, flow_per_min, occupancy: occupancy.min(0.5), stopped_vehicles: 0 }
}
