//! Where the sensors stand: traffic loops before junctions, gauges along the river, pump stations
//! on its banks, the rest spread over wards and streets.

use rand_chacha::ChaCha8Rng;
use vong_model::{Sensor, SensorId};

use super::chance::{pick, spread, unit};
use super::streets::{Class, Junction, Run, Streets, Stretch};
use super::terrain::{EAST, Ground, NORTH, Plan, RIVER_V, SOUTH, Terrain, WEST, place_of};
use super::units;

/// What a sensor measures; also the order in which sensors are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SensorKind {
    Traffic,
    WaterLevel,
    Rain,
    AirQuality,
    Noise,
    Door,
    Power,
}

impl SensorKind {
    pub const ALL: [Self; 7] = [
        Self::Traffic,
        Self::WaterLevel,
        Self::Rain,
        Self::AirQuality,
        Self::Noise,
        Self::Door,
        Self::Power,
    ];

    /// As in `vong_model::Sensor::kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::WaterLevel => "water_level",
            Self::Rain => "rain",
            Self::AirQuality => "air_quality",
            Self::Noise => "noise",
            Self::Door => "door",
            Self::Power => "power",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Traffic => "TR",
            Self::WaterLevel => "WL",
            Self::Rain => "RN",
            Self::AirQuality => "AQ",
            Self::Noise => "NS",
            Self::Door => "DR",
            Self::Power => "PW",
        }
    }

    /// Time between two messages of one sensor at the natural rate, milliseconds.
    pub fn period_ms(self) -> u64 {
        match self {
            Self::Traffic | Self::WaterLevel => 1_000,
            Self::Noise | Self::Power => 2_000,
            Self::AirQuality => 4_000,
            Self::Rain | Self::Door => 5_000,
        }
    }
}

/// The road under a traffic loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Road {
    pub junction: Junction,
    /// The loop of the other direction on the same stretch.
    pub twin: usize,
    /// km/h on an empty road.
    pub free_speed: f64,
    /// Vehicles a minute at most.
    pub capacity: f64,
    /// Share of its capacity that the rush hour brings, 0 to 1.
    pub busyness: f64,
}

/// A sensor and what the world needs to know to make its values.
#[derive(Clone, Debug)]
pub struct SimSensor {
    pub sensor: Sensor,
    pub kind: SensorKind,
    pub ground: Ground,
    /// A number in `[0, 1)` that makes this sensor differ from its neighbours.
    pub character: f64,
    pub(crate) road: Option<Road>,
}

struct Names {
    vi: String,
    en: String,
}

/// Puts every sensor of the city in place, traffic first.
pub(crate) fn place_all(
    streets: &Streets,
    terrain: Terrain,
    rng: &mut ChaCha8Rng,
) -> Vec<SimSensor> {
    let mut site = Site { terrain, rng, placed: Vec::new(), of_kind: 0 };
    site.traffic(streets);
    site.water_levels();
    site.scattered(SensorKind::Rain, 24, ("Trạm đo mưa", "Rain gauge"));
    site.scattered(SensorKind::AirQuality, 40, ("Trạm không khí", "Air station"));
    site.on_streets(SensorKind::Noise, 50, ("Đo tiếng ồn", "Noise meter"), streets);
    let pumps = site.doors();
    site.power(&pumps, streets);
    site.placed
}

struct Site<'a> {
    terrain: Terrain,
    rng: &'a mut ChaCha8Rng,
    placed: Vec<SimSensor>,
    of_kind: usize,
}

impl Site<'_> {
    fn put(&mut self, kind: SensorKind, at: Plan, names: Names, road: Option<Road>) {
        if self.placed.last().is_none_or(|last| last.kind != kind) {
            self.of_kind = 0;
        }
        self.of_kind += 1;
        let ground = self.terrain.ground(at);
        let sensor = Sensor {
            sensor_id: SensorId::from(format!("{}-{:03}", kind.prefix(), self.of_kind)),
            kind: kind.as_str().to_owned(),
            name_vi: names.vi,
            name_en: names.en,
            place: place_of(ground),
            unit_code: units::code_at(at),
        };
        let character = unit(self.rng);
        self.placed.push(SimSensor { sensor, kind, ground, character, road });
    }

    /// Two loops for each stretch: one before each of its junctions, for traffic towards it.
    fn traffic(&mut self, streets: &Streets) {
        for stretch in streets.stretches() {
            let start = self.placed.len();
            let (a, b) = (streets.at(stretch.from), streets.at(stretch.to));
            let length = {
                let (du, dv) = (b.u - a.u, b.v - a.v);
                (du * du + dv * dv).sqrt()
            };
            // loops lie about 55 m before the stop line
            let near = (55.0 / length).min(0.4);
            let (forth, back) = match streets.all[stretch.street].run {
                Run::WestToEast => (("hướng Đông", "eastbound"), ("hướng Tây", "westbound")),
                Run::SouthToNorth => (("hướng Bắc", "northbound"), ("hướng Nam", "southbound")),
            };
            let class = streets.all[stretch.street].class;
            for (share, junction, way, twin) in
                [(near, stretch.from, back, start + 1), (1.0 - near, stretch.to, forth, start)]
            {
                let at = streets.between(stretch, share);
                let names = loop_names(streets, stretch, junction, way);
                let road = self.road(class, at, junction, twin);
                self.put(SensorKind::Traffic, at, names, Some(road));
            }
        }
    }

    fn road(&mut self, class: Class, at: Plan, junction: Junction, twin: usize) -> Road {
        let (free_speed, capacity) = match class {
            Class::Primary => (50.0, 34.0),
            Class::Secondary | Class::Local => (42.0, 24.0),
        };
        // the middle of the city is busier than its edge
        let far = (at.u * at.u + at.v * at.v) / (3_200.0 * 3_200.0);
        let busyness = 0.50 + 0.45 / (1.0 + far) + spread(self.rng, 0.05);
        let free_speed = free_speed + spread(self.rng, 4.0);
        Road { junction, twin, free_speed, capacity, busyness }
    }

    /// Gauges from where the river enters the city in the west to where it leaves in the east.
    fn water_levels(&mut self) {
        for k in 0..16_u32 {
            let u = -4_700.0 + 620.0 * f64::from(k);
            let at = Plan { u, v: RIVER_V + self.terrain.half_width(u) };
            let km = (u - WEST) / 1_000.0;
            let names = Names {
                vi: format!("Trạm mực nước Sông Mẫu km {}", format!("{km:.1}").replace('.', ",")),
                en: format!("Mẫu River level, km {km:.1}"),
            };
            self.put(SensorKind::WaterLevel, at, names, None);
        }
    }

    fn scattered(&mut self, kind: SensorKind, count: u32, name: (&str, &str)) {
        // each kind has its own part of the sequence, or they would stand in the same places
        let skip = 60 * kind as u32;
        for k in 1..=count {
            let u = WEST + 300.0 + (EAST - WEST - 600.0) * radical_inverse(skip + k, 2);
            let v = SOUTH + 300.0 + (NORTH - SOUTH - 600.0) * radical_inverse(skip + k, 3);
            let v = if (v - RIVER_V).abs() < 150.0 { RIVER_V + 220.0 } else { v };
            let at = Plan { u: u + spread(self.rng, 90.0), v: v + spread(self.rng, 60.0) };
            let names = Names { vi: format!("{} {k}", name.0), en: format!("{} {k}", name.1) };
            self.put(kind, at, names, None);
        }
    }

    fn on_streets(&mut self, kind: SensorKind, count: usize, name: (&str, &str), on: &Streets) {
        let stretches = on.stretches();
        for k in 0..count {
            let stretch = stretches[k * stretches.len() / count];
            let mut at = on.between(stretch, 0.35 + 0.3 * unit(self.rng));
            at.u += spread(self.rng, 25.0);
            at.v += spread(self.rng, 25.0);
            let street = on.all[stretch.street].name;
            let vi = format!("{} {} đường {street}", name.0, k + 1);
            let en = format!("{} {} on {street}", name.1, k + 1);
            self.put(kind, at, Names { vi, en }, None);
        }
    }

    /// Pump stations stand on both banks; their places are returned for their power meters.
    fn doors(&mut self) -> Vec<Plan> {
        let mut pumps = Vec::new();
        for k in 0..40_u32 {
            let u = -4_800.0 + 240.0 * f64::from(k) + spread(self.rng, 60.0);
            let bank = if k % 2 == 0 { 150.0 } else { -150.0 };
            let at = Plan { u, v: RIVER_V + bank };
            let names = Names {
                vi: format!("Cửa trạm bơm số {}", k + 1),
                en: format!("Door of pump station {}", k + 1),
            };
            self.put(SensorKind::Door, at, names, None);
            pumps.push(at);
        }
        pumps
    }

    fn power(&mut self, pumps: &[Plan], streets: &Streets) {
        for (k, at) in pumps.iter().enumerate() {
            let vi = format!("Công tơ trạm bơm số {}", k + 1);
            let en = format!("Power meter of pump station {}", k + 1);
            let beside = Plan { u: at.u + 8.0, v: at.v };
            self.put(SensorKind::Power, beside, Names { vi, en }, None);
        }
        let stretches = streets.stretches();
        for k in 1..=50_usize {
            let stretch = stretches[pick(self.rng, stretches.len())];
            let at = streets.between(stretch, 0.3 + 0.4 * unit(self.rng));
            let street = streets.all[stretch.street].name;
            let vi = format!("Trạm biến áp {k} đường {street}");
            let en = format!("Substation {k} on {street}");
            self.put(SensorKind::Power, at, Names { vi, en }, None);
        }
    }
}

fn loop_names(streets: &Streets, stretch: Stretch, junction: Junction, way: (&str, &str)) -> Names {
    let street = streets.all[stretch.street].name;
    let (way_vi, way_en) = way;
    match streets.crossing(stretch.street, junction) {
        Some(cross) => Names {
            vi: format!("{street} trước nút {}, {way_vi}", cross.name),
            en: format!("{street} before {}, {way_en}", cross.name),
        },
        None => Names {
            vi: format!("{street} cuối đường, {way_vi}"),
            en: format!("{street} at its end, {way_en}"),
        },
    }
}

/// Van der Corput sequence: spreads points evenly without a generator.
fn radical_inverse(mut k: u32, base: u32) -> f64 {
    let (mut value, mut digit) = (0.0, 1.0 / f64::from(base));
    while k > 0 {
        value += digit * f64::from(k % base);
        digit /= f64::from(base);
        k /= base;
    }
    value
}
