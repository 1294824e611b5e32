//! Ten cameras at junctions, each looking down one approach and its traffic loop.

use vong_model::{Camera, CameraClass, CameraId, Recording};

use super::sensors::SimSensor;
use super::streets::{Junction, Streets};
use super::terrain::{Ground, Terrain, place_of};
use super::units;
use crate::noise::rounded;

/// Chosen for spread; CAM-03 stands near the river gauge WL-003.
const JUNCTIONS: [Junction; 10] =
    [(3, 3), (5, 4), (1, 2), (5, 2), (2, 5), (7, 3), (6, 5), (3, 6), (8, 2), (5, 1)];

/// Cameras from this number on send H.265 and have an H.264 sub-stream.
const FIRST_H265: usize = 9;

/// What the drawn pictures show: `camera/view.rs`.
const FOV_DEG: f64 = 75.0;
const RANGE_M: f64 = 150.0;

/// A camera, its place, and the traffic loop it looks at.
#[derive(Clone, Debug)]
pub struct SimCamera {
    pub camera_id: CameraId,
    pub name_vi: String,
    pub name_en: String,
    pub ground: Ground,
    /// Degrees clockwise from north.
    pub heading_deg: f64,
    pub unit_code: vong_model::UnitCode,
    /// Its main stream is H.265, and it has an H.264 sub-stream for wall tiles.
    pub h265: bool,
    /// Index of the loop in view.
    pub(crate) watches: usize,
}

impl SimCamera {
    /// The camera as the product sees it, served at `rtsp` (`host:port`).
    pub fn camera(&self, rtsp: &str) -> Camera {
        let id = &self.camera_id;
        Camera {
            camera_id: id.clone(),
            name_vi: self.name_vi.clone(),
            name_en: self.name_en.clone(),
            place: place_of(self.ground),
            heading_deg: self.heading_deg,
            fov_deg: FOV_DEG,
            range_m: RANGE_M,
            class: CameraClass::Counting,
            owner: "Trung tâm điều hành (mô phỏng)".to_owned(),
            purpose: "Giám sát giao thông".to_owned(),
            recording: Recording::Continuous,
            grants: "police:clip;transport:live".parse().unwrap_or_default(),
            unit_code: self.unit_code.clone(),
            url: format!("rtsp://{rtsp}/{id}/main"),
            live_url: self.h265.then(|| format!("rtsp://{rtsp}/{id}/sub")),
        }
    }
}

/// Puts the cameras in place; `sensors` are all sensors of the city.
pub(crate) fn place_all(
    streets: &Streets,
    terrain: Terrain,
    sensors: &[SimSensor],
) -> Vec<SimCamera> {
    let place = |(k, junction): (usize, &Junction)| {
        let number = k + 1;
        let at = streets.at(*junction);
        let corner = terrain.ground(at);
        let ground = Ground { x: corner.x + 11.0, y: corner.y + 9.0 };
        let watches = approach(sensors, *junction, ground);
        let name = streets.junction_name(*junction);
        SimCamera {
            camera_id: CameraId::from(format!("CAM-{number:02}")),
            name_vi: format!("Nút giao {name}"),
            name_en: format!("Junction {name}"),
            ground,
            heading_deg: sensors.get(watches).map_or(0.0, |s| heading_deg(ground, s.ground)),
            unit_code: units::code_at(at),
            h265: number >= FIRST_H265,
            watches,
        }
    };
    JUNCTIONS.iter().enumerate().map(place).collect()
}

/// The nearest loop that belongs to the junction.
fn approach(sensors: &[SimSensor], junction: Junction, from: Ground) -> usize {
    let at_junction = |s: &SimSensor| s.road.is_some_and(|r| r.junction == junction);
    let loops = sensors.iter().enumerate().filter(|(_, s)| at_junction(s));
    let nearest = loops
        .min_by(|(_, a), (_, b)| a.ground.distance_m(from).total_cmp(&b.ground.distance_m(from)));
    nearest.map_or(0, |(index, _)| index)
}

/// Whole degrees, so that the last bit of `atan2` does not matter.
fn heading_deg(from: Ground, to: Ground) -> f64 {
    let degrees = rounded((to.x - from.x).atan2(to.y - from.y).to_degrees(), 0);
    if degrees < 0.0 { degrees + 360.0 } else { degrees }
}
