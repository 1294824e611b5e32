//! The lie of the land: plan coordinates, the river's bends, and the way to longitude and latitude.
//!
//! Everything is laid out on a straight *plan* (`u` east, `v` north, metres) and bent by one
//! smooth map into the ground, so that streets, wards and the river bend together and never cross
//! where they should not.

use vong_model::Place;

use crate::noise;

/// A point of the plan, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub u: f64,
    pub v: f64,
}

/// Metres east and north of the city's centre, on the ground.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ground {
    pub x: f64,
    pub y: f64,
}

impl Ground {
    /// Metres in a straight line.
    pub fn distance_m(self, other: Self) -> f64 {
        let (dx, dy) = (self.x - other.x, self.y - other.y);
        (dx * dx + dy * dy).sqrt() // square root is exact by IEEE 754, so this is portable
    }
}

/// Where the river's middle runs on the plan.
pub(crate) const RIVER_V: f64 = -1_500.0;
/// Edges of the mapped city on the plan; whole steps of the raster in `units`.
pub(crate) const WEST: f64 = -5_250.0;
pub(crate) const EAST: f64 = 4_950.0;
pub(crate) const SOUTH: f64 = -3_750.0;
pub(crate) const NORTH: f64 = 3_450.0;

const CENTRE: Place = Place { lon: 105.90, lat: 18.34 };
/// Metres in a degree at latitude 18.34° on WGS 84 (series of the National Geospatial-Intelligence
/// Agency's "Length of a degree" tables).
const METRES_PER_LON: f64 = 105_701.0;
const METRES_PER_LAT: f64 = 110_684.0;
/// The whole city is turned 8° clockwise: cosine and sine as constants, see `noise`.
const TURN_COS: f64 = 0.990_268;
const TURN_SIN: f64 = -0.139_173;

const BENDS: u64 = 101;
const WIDTHS: u64 = 102;
const SWAY_X: u64 = 103;
const SWAY_Y: u64 = 104;
const NEAR_X: u64 = 105;
const NEAR_Y: u64 = 106;

/// The bending of the plan into the ground.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terrain {
    seed: u64,
}

impl Terrain {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Where a point of the plan lies on the ground.
    pub(crate) fn ground(self, at: Plan) -> Ground {
        let sway_x = noise::field(self.seed, SWAY_X, at.u / 2_100.0, at.v / 2_100.0, 0.0) - 0.5;
        let sway_y = noise::field(self.seed, SWAY_Y, at.u / 1_900.0, at.v / 1_900.0, 0.0) - 0.5;
        let from_river = (at.v - RIVER_V) / 900.0;
        // streets near the river follow it, far ones do not know it
        let pull = 1.0 / (1.0 + from_river * from_river);
        let near_x = noise::field(self.seed, NEAR_X, at.u / 520.0, at.v / 520.0, 0.0) - 0.5;
        let near_y = noise::field(self.seed, NEAR_Y, at.u / 520.0, at.v / 520.0, 0.0) - 0.5;
        let x = at.u + 520.0 * sway_x + 70.0 * near_x;
        let y = at.v + (420.0 * sway_y + 70.0 * near_y) * (1.0 - pull) + self.bend(at.u) * pull;
        Ground { x: x * TURN_COS - y * TURN_SIN, y: x * TURN_SIN + y * TURN_COS }
    }

    pub(crate) fn place(self, at: Plan) -> Place {
        place_of(self.ground(at))
    }

    /// Half the river's width at `u`, metres.
    pub(crate) fn half_width(self, u: f64) -> f64 {
        72.0 + 20.0 * noise::along(self.seed, WIDTHS, u / 900.0)
    }

    fn bend(self, u: f64) -> f64 {
        430.0 * noise::along(self.seed, BENDS, u / 1_500.0)
    }
}

/// Longitude and latitude in degrees with six decimals (about 0.1 m).
pub(crate) fn place_of(at: Ground) -> Place {
    Place {
        lon: noise::rounded(CENTRE.lon + at.x / METRES_PER_LON, 6),
        lat: noise::rounded(CENTRE.lat + at.y / METRES_PER_LAT, 6),
    }
}
