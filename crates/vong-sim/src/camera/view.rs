//! Where a camera stands and what it makes of the ground: metres on the road to pixels.
//!
//! A pinhole whose picture plane stands upright (a shift lens), so that walls stay vertical:
//! `column = vanishing_x + focal · (x − camera_x) / z`, `row = horizon + focal · (height − h) / z`.

use super::canvas::Point;
use super::dice::Dice;

/// A place in front of the camera, metres: `x` to the right of the road's middle, `h` above the
/// ground, `z` away from the camera along the road.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) x: f32,
    pub(crate) h: f32,
    pub(crate) z: f32,
}

/// One camera's geometry.
#[derive(Clone, Debug)]
pub(crate) struct View {
    focal: f32,
    vanishing_x: f32,
    horizon: f32,
    pub(crate) camera_x: f32,
    pub(crate) camera_h: f32,
}

/// Nearest distance that is projected; what is nearer is outside the picture.
const NEAREST_Z: f32 = 2.5;

impl View {
    /// A view for pictures of `height` rows, different for each camera.
    pub(crate) fn new(dice: &mut Dice, width: f32, height: f32) -> Self {
        let unit = height / 360.0;
        Self {
            focal: dice.between(390.0, 450.0) * unit,
            vanishing_x: width / 2.0 + dice.between(-95.0, 95.0) * unit,
            horizon: dice.between(8.0, 52.0) * unit,
            camera_x: dice.between(-3.5, 3.5),
            camera_h: dice.between(7.5, 9.0),
        }
    }

    pub(crate) fn point(&self, place: Place) -> Point {
        let scale = self.scale(place.z);
        let column = self.vanishing_x + scale * (place.x - self.camera_x);
        let row = self.horizon + scale * (self.camera_h - place.h);
        (pixel(column), pixel(row))
    }

    /// Pixels per metre at distance `z`.
    pub(crate) fn scale(&self, z: f32) -> f32 {
        self.focal / z.max(NEAREST_Z)
    }

    /// The same camera turned: everything lies so many pixels further to the right and down.
    pub(crate) fn turned(&self, right: f32, down: f32) -> Self {
        Self { vanishing_x: self.vanishing_x + right, horizon: self.horizon + down, ..self.clone() }
    }

    /// Column and row of a place on the ground, pixels; `z` must not be under the camera.
    pub(crate) fn on_ground(&self, x: f32, z: f32) -> (f32, f32) {
        let scale = self.scale(z);
        let column = self.vanishing_x + scale * (x - self.camera_x);
        (column, self.horizon + scale * self.camera_h)
    }

    pub(crate) fn horizon(&self) -> i32 {
        pixel(self.horizon)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, and pictures are small")]
pub(crate) fn pixel(value: f32) -> i32 {
    value.clamp(-20_000.0, 20_000.0) as i32
}
