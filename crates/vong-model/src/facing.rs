//! Which cameras show a place, and how well.
//!
//! A camera faces a place that lies within its range and within its angle of view. What stands
//! between them, and how high the camera hangs, is not known: a wall hides what this calls seen.

use crate::assets::{Assets, Camera, Place};

/// Nearer than this the error of coordinates (a few metres each) is larger than what a direction
/// could tell: such a place counts as in view, at the edge of it.
const AT_FOOT_M: f64 = 10.0;

/// A camera that shows a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facing<'a> {
    pub camera: &'a Camera,
    /// Metres over ground.
    pub distance_m: f64,
    /// Between the camera's heading and the place, degrees, 0 to 180.
    pub off_axis_deg: f64,
    /// How well it shows the place, 0 to 1: see [`Camera::view_of`].
    pub quality: f64,
}

impl Camera {
    /// How well the camera shows `place`; `None` where it does not.
    ///
    /// Our own measure, to sort by: `closeness * centredness`. Closeness falls from 1 at the camera
    /// to 0 at the end of its range. Centredness falls from 1 in the middle of the picture to ½ at
    /// its edge; it is ½ at the foot of the camera, and for one that turns, which most of the time
    /// looks elsewhere.
    pub fn view_of(&self, place: Place) -> Option<Facing<'_>> {
        let distance_m = self.place.distance_m(place);
        if distance_m.is_nan() || distance_m > self.range_m {
            return None;
        }
        let off_axis_deg = turn_deg(self.heading_deg, self.place.bearing_deg(place));
        let half_view = self.fov_deg / 2.0;
        let centredness = if self.fov_deg >= 360.0 || distance_m < AT_FOOT_M {
            0.5
        } else if off_axis_deg <= half_view {
            1.0 - 0.5 * off_axis_deg / half_view.max(f64::MIN_POSITIVE)
        } else {
            return None;
        };
        let closeness = 1.0 - distance_m / self.range_m.max(f64::MIN_POSITIVE);
        Some(Facing { camera: self, distance_m, off_axis_deg, quality: closeness * centredness })
    }
}

impl Assets {
    /// Cameras that show `place`: the best view first, of two as good the lower id.
    pub fn cameras_facing(&self, place: Place) -> Vec<Facing<'_>> {
        let mut facing: Vec<_> =
            self.cameras.values().filter_map(|camera| camera.view_of(place)).collect();
        facing.sort_by(|a, b| {
            let by_quality = b.quality.total_cmp(&a.quality);
            by_quality.then_with(|| a.camera.camera_id.cmp(&b.camera.camera_id))
        });
        facing
    }
}

/// The smaller angle between two directions, degrees, 0 to 180.
fn turn_deg(a: f64, b: f64) -> f64 {
    let turn = (a - b).rem_euclid(360.0);
    turn.min(360.0 - turn).abs()
}

#[cfg(test)]
mod tests;
