//! When and where things happen: a fixed first cycle for demonstrations, then chance.

use std::collections::BTreeSet;

use super::{Active, Scenario, ScenarioKind};
use crate::noise::hash;
use crate::world::{Ground, SensorKind, SimCamera, SimSensor};

/// Length of a cycle.
pub const CYCLE_MS: u64 = 900_000;
/// Planned cycles: a day of them, after which the plan begins again.
pub const CYCLES: usize = 96;

/// Kind, start and end in seconds; a kind may stand twice.
const TIMETABLE: [(ScenarioKind, u64, u64); 15] = [
    (ScenarioKind::Flood, 5, 300),
    (ScenarioKind::SensorDead, 8, 420),
    (ScenarioKind::Accident, 10, 240),
    (ScenarioKind::SensorStuck, 12, 700),
    (ScenarioKind::FastClock, 15, 500),
    (ScenarioKind::Jam, 20, 380),
    (ScenarioKind::HeavyRain, 25, 330),
    (ScenarioKind::DoorOpen, 30, 150),
    (ScenarioKind::CameraFrozen, 40, 200),
    (ScenarioKind::PoorAir, 45, 560),
    (ScenarioKind::CameraLost, 60, 120),
    (ScenarioKind::Overload, 70, 260),
    (ScenarioKind::Accident, 480, 700),
    (ScenarioKind::Flood, 560, 840),
    (ScenarioKind::LoudNoise, 330, 450),
];

/// Later cycles shift each scenario by up to this much, so that they do not look rehearsed.
const SHIFT_MS: u64 = 45_000;
/// A jam covers this many loops around its centre.
const JAM_LOOPS: usize = 7;
/// A jam keeps this far from accidents, so that each is seen for what it is.
const JAM_CLEARANCE_M: f64 = 1_200.0;

const PLACES: u64 = 901;
const SHIFTS: u64 = 902;

/// All scenarios of all cycles.
#[derive(Clone, Debug)]
pub struct Plan {
    cycles: Vec<Vec<Scenario>>,
}

impl Plan {
    pub(crate) fn new(seed: u64, sensors: &[SimSensor], cameras: &[SimCamera]) -> Self {
        let cycle = |number| {
            let used = BTreeSet::new();
            Draft { seed, number, draws: 0, sensors, cameras, used, planned: Vec::new() }.plan()
        };
        Self { cycles: (0..CYCLES).map(cycle).collect() }
    }

    /// Scenarios of a cycle, in order of the timetable.
    pub fn cycle(&self, number: usize) -> &[Scenario] {
        self.cycles.get(number % CYCLES).map_or(&[], Vec::as_slice)
    }

    /// What goes on at `at_ms` since the start.
    pub fn active(&self, at_ms: u64) -> impl Iterator<Item = Active<'_>> {
        let (number, in_cycle) = (at_ms / CYCLE_MS, at_ms % CYCLE_MS);
        let number = usize::try_from(number % CYCLES as u64).unwrap_or(0);
        let going_on = move |s: &&Scenario| s.start_ms <= in_cycle && in_cycle < s.end_ms;
        self.cycle(number).iter().filter(going_on).map(move |scenario| {
            let for_ms = in_cycle - scenario.start_ms;
            Active { scenario, started_ms: at_ms - for_ms, for_ms }
        })
    }
}

/// One cycle being planned.
struct Draft<'a> {
    seed: u64,
    number: usize,
    draws: u64,
    sensors: &'a [SimSensor],
    cameras: &'a [SimCamera],
    /// Sensors, then cameras (numbered on from them), that are already somebody's main subject.
    used: BTreeSet<usize>,
    planned: Vec<Scenario>,
}

impl Draft<'_> {
    fn plan(mut self) -> Vec<Scenario> {
        // faults of cameras first: an accident must not happen where nobody can see it
        let mut order: Vec<_> = TIMETABLE.iter().enumerate().collect();
        order.sort_by_key(|(row, (kind, ..))| (priority(*kind), *row));
        let mut planned = Vec::new();
        for (row, (kind, start_s, end_s)) in order {
            let shift_ms = match self.number {
                0 => 0,
                n => hash(self.seed, SHIFTS + row as u64, n as u64) % SHIFT_MS / 1_000 * 1_000,
            };
            let (sensors, cameras, centre) = self.place(*kind, row);
            let (start_ms, end_ms) = (start_s * 1_000 + shift_ms, end_s * 1_000 + shift_ms);
            let scenario = Scenario { kind: *kind, start_ms, end_ms, sensors, cameras, centre };
            self.planned.push(scenario.clone());
            planned.push((row, scenario));
        }
        planned.sort_by_key(|(row, _)| *row);
        planned.into_iter().map(|(_, scenario)| scenario).collect()
    }

    /// The sensors and cameras it concerns, main one first, and where it is.
    fn place(&mut self, kind: ScenarioKind, row: usize) -> (Vec<usize>, Vec<usize>, Ground) {
        match kind {
            ScenarioKind::CameraFrozen | ScenarioKind::CameraLost | ScenarioKind::Accident => {
                let camera = self.camera(kind, row);
                let Some(at) = self.cameras.get(camera) else { return Default::default() };
                if kind != ScenarioKind::Accident {
                    return (Vec::new(), vec![camera], at.ground);
                }
                self.used.insert(at.watches);
                (vec![at.watches], vec![camera], at.ground)
            }
            ScenarioKind::Jam => self.jam(),
            ScenarioKind::Flood => self.one(SensorKind::WaterLevel, named(self.number, row)),
            ScenarioKind::HeavyRain => self.one(SensorKind::Rain, None),
            ScenarioKind::PoorAir | ScenarioKind::SensorStuck => {
                self.one(SensorKind::AirQuality, None)
            }
            ScenarioKind::DoorOpen => self.one(SensorKind::Door, None),
            ScenarioKind::Overload => self.one(SensorKind::Power, None),
            ScenarioKind::SensorDead => self.one(SensorKind::WaterLevel, None),
            ScenarioKind::FastClock | ScenarioKind::LoudNoise => self.one(SensorKind::Noise, None),
        }
    }

    fn camera(&mut self, kind: ScenarioKind, row: usize) -> usize {
        // the first cycle is the one that is shown: its places are known by heart
        let fixed = match (self.number, kind, row) {
            (0, ScenarioKind::CameraFrozen, _) => Some(6), // CAM-07
            (0, ScenarioKind::CameraLost, _) => Some(5),   // CAM-06
            (0, ScenarioKind::Accident, 2) => Some(1),     // CAM-02
            _ => None,
        };
        let base = self.sensors.len();
        let free: Vec<usize> =
            (0..self.cameras.len()).filter(|c| !self.used.contains(&(base + c))).collect();
        let chosen = fixed.unwrap_or_else(|| self.choose(&free));
        self.used.insert(base + chosen);
        chosen
    }

    fn one(&mut self, kind: SensorKind, wanted: Option<&str>) -> (Vec<usize>, Vec<usize>, Ground) {
        let all = self.sensors.iter().enumerate();
        let free: Vec<usize> = all
            .filter(|(i, s)| s.kind == kind && !self.used.contains(i))
            .filter(|(_, s)| wanted.is_none_or(|id| s.sensor.sensor_id.as_str() == id))
            .map(|(i, _)| i)
            .collect();
        let chosen = self.choose(&free);
        self.used.insert(chosen);
        let centre = self.sensors.get(chosen).map(|s| s.ground).unwrap_or_default();
        (vec![chosen], Vec::new(), centre)
    }

    fn jam(&mut self) -> (Vec<usize>, Vec<usize>, Ground) {
        let accidents: Vec<Ground> = self
            .planned
            .iter()
            .filter(|s| s.kind == ScenarioKind::Accident)
            .map(|s| s.centre)
            .collect();
        let clear = |at: Ground| accidents.iter().all(|a| a.distance_m(at) > JAM_CLEARANCE_M);
        let loops: Vec<usize> = (0..self.sensors.len())
            .filter(|i| self.sensors.get(*i).is_some_and(|s| s.road.is_some() && clear(s.ground)))
            .collect();
        let middle = self.choose(&loops);
        let centre = self.sensors.get(middle).map(|s| s.ground).unwrap_or_default();
        let mut nearest: Vec<(f64, usize)> = loops
            .into_iter()
            .filter_map(|i| self.sensors.get(i).map(|s| (s.ground.distance_m(centre), i)))
            .collect();
        nearest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let jammed: Vec<usize> = nearest.into_iter().take(JAM_LOOPS).map(|(_, i)| i).collect();
        self.used.extend(&jammed);
        (jammed, Vec::new(), centre)
    }

    fn choose(&mut self, among: &[usize]) -> usize {
        self.draws += 1;
        let draw = hash(self.seed, PLACES + (self.number as u64) * 64, self.draws);
        let at = usize::try_from(draw % among.len().max(1) as u64).unwrap_or(0);
        among.get(at).copied().unwrap_or(0)
    }
}

fn named(cycle: usize, row: usize) -> Option<&'static str> {
    (cycle == 0 && row == 0).then_some("WL-003")
}

/// Scenarios with fixed or few places choose first.
fn priority(kind: ScenarioKind) -> u8 {
    match kind {
        ScenarioKind::CameraFrozen | ScenarioKind::CameraLost => 0,
        ScenarioKind::Accident | ScenarioKind::Flood => 1,
        _ => 2,
    }
}
