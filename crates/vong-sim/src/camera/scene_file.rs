//! Scene files for the city's cameras: lanes, lines and zones as a person would draw them on the
//! picture, made from the geometry the picture is drawn with.

use std::fmt::Write as _;

use super::CameraSpec;
use super::dice::Dice;
use super::street::Street;
use super::view::View;

/// Where vehicles are counted, metres in front of the camera.
pub const LINE_Z_M: f32 = 17.0;
/// Nearest and farthest part of the road that is looked at, metres.
pub const ROAD_Z_M: (f32, f32) = (11.5, 45.0);

/// Where things of the street are in one camera's picture.
#[derive(Clone, Debug)]
pub struct Geometry {
    view: View,
    street: Street,
    size: (f32, f32),
}

impl Geometry {
    /// Of a camera of the city of `seed`.
    pub fn new(spec: &CameraSpec, seed: u64) -> Self {
        // In the order in which the painter throws the same dice.
        let mut dice = Dice::new(seed, &spec.camera_id);
        let street = Street::new(&mut dice);
        let side = |n: u32| f32::from(u16::try_from(n).unwrap_or(u16::MAX));
        let size = (side(spec.width), side(spec.height));
        Self { view: View::new(&mut dice, size.0, size.1), street, size }
    }

    /// Place of a point on the ground as shares of the picture's width and height.
    pub fn on_ground(&self, x_m: f32, z_m: f32) -> (f32, f32) {
        let (column, row) = self.view.on_ground(x_m, z_m);
        (column / self.size.0, row / self.size.1)
    }

    /// The camera's scene file.
    pub fn scene_file(&self, camera_id: &str) -> String {
        let mut text = format!(
            "# {camera_id}: what is where in its picture. Coordinates are shares of width and height.\n\
             # Generated from the simulated street; a real one is drawn by hand: docs/guide/vision.en.md.\n\n"
        );
        let (near, far) = ROAD_Z_M;
        let half = self.street.half_road();
        let corners = [(-half, near), (half, near), (half, far), (-half, far)];
        let metres = corners.map(|(x, z)| format!("[{x:.2}, {z:.2}]")).join(", ");
        let picture = self.polygon(&corners);
        push(&mut text, format_args!("[ground]\npicture = [{picture}]\nmetres = [{metres}]\n"));
        for (number, lane) in self.street.lanes.iter().enumerate() {
            let (left, right) = (lane.x - lane.metres() / 2.0, lane.x + lane.metres() / 2.0);
            let polygon = self.polygon(&[(left, near), (right, near), (right, far), (left, far)]);
            let (from, to) = if lane.away { (near, far) } else { (far, near) };
            let (from, to) = (self.point((lane.x, from)), self.point((lane.x, to)));
            push(
                &mut text,
                format_args!(
                    "\n[[lane]]\nname = \"{}-{}\"\npolygon = [{polygon}]\nfrom = {from}\nto = {to}\n",
                    direction(lane.away),
                    number + 1
                ),
            );
        }
        for away in [true, false] {
            let side = if away { 1.0 } else { -1.0 };
            let (inner, outer) = (side * self.street.half_median(), side * half);
            let name = direction(away);
            let toward = if away { far } else { near };
            let (a, b) = (self.point((inner, LINE_Z_M)), self.point((outer, LINE_Z_M)));
            let forward = self.point(((inner + outer) / 2.0, toward));
            push(
                &mut text,
                format_args!(
                    "\n[[line]]\nname = \"{name}\"\nfrom = {a}\nto = {b}\nforward = {forward}\n"
                ),
            );
            let zone = self.polygon(&[(inner, near), (outer, near), (outer, far), (inner, far)]);
            push(
                &mut text,
                format_args!(
                    "\n[[zone]]\nname = \"road-{name}\"\npolygon = [{zone}]\nqueue_m = 20.0\n"
                ),
            );
        }
        text
    }

    fn polygon(&self, corners: &[(f32, f32)]) -> String {
        let corners: Vec<String> = corners.iter().map(|at| self.point(*at)).collect();
        corners.join(", ")
    }

    fn point(&self, (x, z): (f32, f32)) -> String {
        let (across, down) = self.on_ground(x, z);
        format!("[{across:.4}, {down:.4}]")
    }
}

fn direction(away: bool) -> &'static str {
    if away { "away" } else { "toward" }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a string cannot fail");
}
