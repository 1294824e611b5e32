//! What stands in the city: sensors, cameras, administrative units, and where they are.

use std::collections::BTreeMap;

use crate::grants::Grants;
use crate::ids::{CameraId, SensorId, UnitCode};

/// A point on the WGS 84 ellipsoid, degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    pub lon: f64,
    pub lat: f64,
}

impl Place {
    /// Great-circle distance in metres on a sphere of radius 6,371,008.8 m (IUGG mean radius),
    /// by the haversine formula. Error against the ellipsoid: at most 0.6 %.
    pub fn distance_m(self, other: Self) -> f64 {
        const RADIUS_M: f64 = 6_371_008.8;
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((lat_b - lat_a) / 2.0).sin();
        let half_lon = ((other.lon - self.lon).to_radians() / 2.0).sin();
        let h = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
        2.0 * RADIUS_M * h.sqrt().min(1.0).asin()
    }

    /// Direction in which the great circle to `other` begins, degrees clockwise from north, 0 to
    /// 360 (the forward azimuth of spherical trigonometry); 0 where both are one place.
    pub fn bearing_deg(self, other: Self) -> f64 {
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let turn = (other.lon - self.lon).to_radians();
        let east = turn.sin() * lat_b.cos();
        let north = lat_a.cos() * lat_b.sin() - lat_a.sin() * lat_b.cos() * turn.cos();
        // Of a tiny negative angle the remainder is 360 itself.
        let degrees = east.atan2(north).to_degrees().rem_euclid(360.0);
        if degrees < 360.0 { degrees } else { 0.0 }
    }
}

/// A measuring device.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    pub sensor_id: SensorId,
    /// What it is: `traffic`, `water_level`, `rain`, `air_quality`, `noise`, `door`, `power`.
    pub kind: String,
    pub name_vi: String,
    pub name_en: String,
    pub place: Place,
    pub unit_code: UnitCode,
}

/// What a camera is for; decides how long its footage is kept and who may see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CameraClass {
    /// Overview of a place; nobody is recognised.
    #[default]
    Observation,
    /// Security of a place.
    Surveillance,
    /// Reads number plates.
    PlateRecognition,
    /// Counts traffic.
    Counting,
}

impl CameraClass {
    pub const ALL: [Self; 4] =
        [Self::Observation, Self::Surveillance, Self::PlateRecognition, Self::Counting];

    /// The word used in registers, SQL and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Surveillance => "surveillance",
            Self::PlateRecognition => "plate_recognition",
            Self::Counting => "counting",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// When a camera's footage goes to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recording {
    /// Always.
    #[default]
    Continuous,
    /// Only around alerts: the last groups of pictures wait in memory.
    Events,
}

impl Recording {
    /// The word used in registers and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continuous => "continuous",
            Self::Events => "events",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Continuous, Self::Events].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// A camera and where its picture comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Camera {
    pub camera_id: CameraId,
    pub name_vi: String,
    pub name_en: String,
    pub place: Place,
    /// Direction of view, degrees clockwise from north.
    pub heading_deg: f64,
    /// Width of the view, degrees; 360 where the camera turns.
    pub fov_deg: f64,
    /// How far it shows what happens, metres.
    pub range_m: f64,
    pub class: CameraClass,
    /// Who answers for it; empty when unknown.
    pub owner: String,
    /// Why it records; empty when unknown.
    pub purpose: String,
    pub recording: Recording,
    /// What other agencies may see of it.
    pub grants: Grants,
    pub unit_code: UnitCode,
    /// The stream that is recorded.
    pub url: String,
    /// A lighter stream for wall tiles, where the camera has one.
    pub live_url: Option<String>,
}

/// An administrative unit, valid from a day (inclusive) to a day (exclusive).
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    pub unit_code: UnitCode,
    pub name_vi: String,
    pub name_en: String,
    /// `province` or `commune`: two tiers since 1 July 2025.
    pub level: String,
    pub parent_code: Option<UnitCode>,
    /// ISO date, as in `2025-07-01`.
    pub valid_from: String,
    pub valid_to: Option<String>,
}

/// Everything that stands in the city, by id.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    pub sensors: BTreeMap<SensorId, Sensor>,
    pub cameras: BTreeMap<CameraId, Camera>,
    pub units: Vec<Unit>,
}

impl Assets {
    /// Where a sensor or camera stands.
    pub fn place_of(&self, id: &str) -> Option<Place> {
        let sensor = self.sensors.get(id).map(|s| s.place);
        sensor.or_else(|| self.cameras.get(id).map(|c| c.place))
    }

    /// Cameras within `radius_m` metres of `place`, nearest first, with their distance in metres.
    pub fn cameras_near(&self, place: Place, radius_m: f64) -> Vec<(&Camera, f64)> {
        let mut near: Vec<_> = self
            .cameras
            .values()
            .map(|camera| (camera, camera.place.distance_m(place)))
            .filter(|(_, distance_m)| *distance_m <= radius_m)
            .collect();
        near.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.camera_id.cmp(&b.0.camera_id)));
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minute_of_latitude_is_a_nautical_mile() {
        let (a, b) =
            (Place { lon: 105.9, lat: 18.34 }, Place { lon: 105.9, lat: 18.34 + 1.0 / 60.0 });
        assert!((a.distance_m(b) - 1_853.0).abs() < 1.0);
    }
}
