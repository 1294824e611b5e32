//! What does not move in a picture: sky, asphalt, lane marks, verges, houses, trees, lamps.
//!
//! Drawn once per camera and light, far things first; a frame starts as a copy of it.

use super::canvas::{Canvas, FULL_LIGHT, Paint, Point};
use super::dice::Dice;
use super::view::{Place, View};

/// Which vehicles keep to a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Cars, lorries, buses.
    Wide,
    /// Motorbikes.
    Narrow,
}

/// One lane; traffic keeps to the right, so lanes that lead away lie at positive `x`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    /// Middle of the lane, metres right of the road's middle.
    pub(crate) x: f32,
    /// Vehicles drive away from the camera.
    pub(crate) away: bool,
    pub(crate) width: Width,
}

impl Lane {
    /// How wide it is.
    pub(crate) fn metres(&self) -> f32 {
        match self.width {
            Width::Wide => WIDE_LANE,
            Width::Narrow => NARROW_LANE,
        }
    }
}

/// The road's cross-section, from the middle outwards.
#[derive(Clone, Debug)]
pub(crate) struct Street {
    pub(crate) lanes: Vec<Lane>,
    wide_per_side: u8,
    half_median: f32,
    half_road: f32,
    kerbed_median: bool,
    crossing_z: Option<f32>,
    sides: [Side; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Houses,
    Park,
    Water,
}

const WIDE_LANE: f32 = 3.4;
const NARROW_LANE: f32 = 1.5;
const FARTHEST_Z: f32 = 420.0;

const ASPHALT: Paint = Paint::rgb(92, 94, 98);
const PAVEMENT: Paint = Paint::rgb(163, 156, 146);
const KERB: Paint = Paint::rgb(196, 194, 188);
const GRASS: Paint = Paint::rgb(92, 128, 68);
const WATER: Paint = Paint::rgb(96, 124, 134);
const LINE: Paint = Paint::rgb(222, 222, 216);
const YELLOW: Paint = Paint::rgb(222, 184, 60);
const LAMP: Paint = Paint::rgb(255, 236, 180);
const POLE: Paint = Paint::rgb(120, 124, 128);

impl Street {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let wide_per_side = if dice.below(4) == 0 { 1 } else { 2 };
        let kerbed_median = dice.below(2) == 0;
        let half_median = if kerbed_median { 0.8 } else { 0.2 };
        let mut lanes = Vec::new();
        let mut half_road = half_median;
        for (away, side) in [(true, 1.0), (false, -1.0)] {
            let mut x = half_median;
            let wide = std::iter::repeat_n((Width::Wide, WIDE_LANE), usize::from(wide_per_side));
            let narrow = std::iter::repeat_n((Width::Narrow, NARROW_LANE), 2);
            for (width, metres) in wide.chain(narrow) {
                lanes.push(Lane { x: side * (x + metres / 2.0), away, width });
                x += metres;
            }
            half_road = x + 0.3;
        }
        let scenery = [Side::Houses, Side::Houses, Side::Park, Side::Water];
        let mut side = || dice.pick(&scenery).copied().unwrap_or(Side::Houses);
        let sides = [side(), side()];
        let crossing_z = (dice.below(2) == 0).then(|| dice.between(15.0, 19.0));
        Self { lanes, wide_per_side, half_median, half_road, kerbed_median, crossing_z, sides }
    }

    /// From the road's middle to the kerb, metres.
    pub(crate) fn half_road(&self) -> f32 {
        self.half_road
    }

    /// From the road's middle to its first lane, metres.
    pub(crate) fn half_median(&self) -> f32 {
        self.half_median
    }

    /// Draws everything that stands still, lit by `light` of [`FULL_LIGHT`].
    pub(crate) fn draw(&self, canvas: &mut Canvas, view: &View, dice: &mut Dice, light: u32) {
        canvas.set_light(light);
        self.draw_sky(canvas, view, dice);
        self.draw_ground(canvas, view, dice);
        self.draw_marks(canvas, view);
        let mut z = 190.0;
        while z > 9.0 {
            let depth = dice.between(5.0, 9.0);
            for (side, what) in [-1.0_f32, 1.0].into_iter().zip(self.sides) {
                self.draw_plot(
                    canvas,
                    view,
                    dice,
                    Plot { side, what, near: z - depth, far: z, light },
                );
            }
            z -= depth;
        }
        self.draw_lamps(canvas, view, light);
        canvas.set_light(FULL_LIGHT);
    }

    fn draw_sky(&self, canvas: &mut Canvas, view: &View, dice: &mut Dice) {
        let (width, horizon) = (canvas.width(), view.horizon());
        for row in 0..horizon.max(0) {
            let grey = u8::try_from(row * 40 / horizon.max(1)).unwrap_or(40);
            canvas.rectangle((0, row), (width, row + 1), Paint::rgb(150 + grey, 178 + grey, 205));
        }
        let hill = Paint::rgb(112, 134, 140);
        let mut left = -60;
        while left < width {
            let reach = i32::try_from(dice.below(140)).unwrap_or(0) + 90;
            let top = horizon - i32::try_from(dice.below(18)).unwrap_or(0) - 4;
            canvas.polygon(
                &[(left, horizon), (left + reach / 2, top), (left + reach, horizon)],
                hill,
            );
            left += reach / 2;
        }
    }

    fn draw_ground(&self, canvas: &mut Canvas, view: &View, dice: &mut Dice) {
        let bottom = (canvas.width(), canvas.height());
        canvas.rectangle((0, view.horizon()), bottom, PAVEMENT);
        for (side, what) in [-1.0_f32, 1.0].into_iter().zip(self.sides) {
            let edge = side * (self.half_road + 3.0);
            let paint = match what {
                Side::Houses => continue,
                Side::Park => GRASS,
                Side::Water => WATER,
            };
            // As far as the eye reaches, or a band of pavement would lie along the horizon.
            strip(canvas, view, (edge, edge + side * 400.0), (2.5, 60.0), paint);
            strip(canvas, view, (edge, edge + side * 9_000.0), (60.0, 9_000.0), paint);
        }
        let half = self.half_road;
        strip(canvas, view, (-half - 0.35, half + 0.35), (2.5, FARTHEST_Z), KERB);
        strip(canvas, view, (-half, half), (2.5, FARTHEST_Z), ASPHALT);
        for _ in 0..26 {
            let (x, z) = (dice.between(-half, half - 2.0), dice.between(9.0, 80.0));
            let patch = (x, (x + dice.between(0.8, 3.0)).min(half));
            let percent = 92 + dice.below(6);
            canvas.darken(&ground(view, patch, (z, z + dice.between(2.0, 14.0))), percent);
        }
        for lane in self.lanes.iter().filter(|l| l.width == Width::Wide) {
            for wheel in [-0.8, 0.8] {
                let track = (lane.x + wheel - 0.28, lane.x + wheel + 0.28);
                canvas.darken(&ground(view, track, (3.0, 200.0)), 94);
            }
        }
    }

    fn draw_marks(&self, canvas: &mut Canvas, view: &View) {
        if self.kerbed_median {
            let half = self.half_median;
            strip(canvas, view, (-half, half), (2.5, FARTHEST_Z), KERB);
            strip(canvas, view, (-half + 0.25, half - 0.25), (2.5, FARTHEST_Z), GRASS.shade(85));
        } else {
            for x in [-0.22, 0.08] {
                strip(canvas, view, (x, x + 0.14), (2.5, 260.0), YELLOW);
            }
        }
        for side in [-1.0, 1.0] {
            for lane in 1..=self.wide_per_side {
                let x = side * (self.half_median + f32::from(lane) * WIDE_LANE);
                // The line between cars and motorbikes is unbroken, those between car lanes are not.
                let (dash, gap) = if lane == self.wide_per_side { (8.0, 0.0) } else { (3.0, 5.0) };
                let mut z = 3.0;
                while z < 150.0 {
                    strip(canvas, view, (x - 0.08, x + 0.08), (z, z + dash), LINE);
                    z += dash + gap;
                }
            }
        }
        let Some(z) = self.crossing_z else { return };
        let mut x = -self.half_road + 0.3;
        while x < self.half_road - 0.6 {
            if x.abs() > self.half_median || !self.kerbed_median {
                strip(canvas, view, (x, x + 0.5), (z, z + 3.2), LINE.shade(96));
            }
            x += 1.05;
        }
    }

    fn draw_plot(&self, canvas: &mut Canvas, view: &View, dice: &mut Dice, plot: Plot) {
        let kerb = plot.side * self.half_road;
        match plot.what {
            Side::Houses => {
                draw_house(canvas, view, dice, plot, kerb + plot.side * 4.0);
                if dice.below(4) == 0 {
                    draw_tree(canvas, view, dice, (kerb + plot.side * 1.8, plot.near + 1.0));
                }
            }
            Side::Park => {
                for depth in [9.0, 5.5, 2.2] {
                    if dice.below(3) != 0 {
                        let x = kerb + plot.side * (depth + dice.between(0.0, 1.5));
                        let z = plot.near + dice.between(0.5, 3.0);
                        draw_tree(canvas, view, dice, (x, z));
                    }
                }
            }
            Side::Water => {
                let rail = kerb + plot.side * 2.8;
                let span = [(rail, 1.0, plot.near), (rail, 1.0, plot.far)];
                let top = span.map(|(x, h, z)| view.point(Place { x, h, z }));
                canvas.polygon(
                    &[top[0], top[1], (top[1].0, top[1].1 + 2), (top[0].0, top[0].1 + 2)],
                    LINE,
                );
                post(canvas, view, (rail, plot.near), (0.0, 1.0), 0.12, LINE);
                if dice.below(3) == 0 {
                    draw_tree(canvas, view, dice, (kerb + plot.side * 1.6, plot.near + 1.0));
                }
            }
        }
    }

    fn draw_lamps(&self, canvas: &mut Canvas, view: &View, light: u32) {
        let mut z = 120.0;
        while z > 14.0 {
            for side in [-1.0, 1.0] {
                let x = side * (self.half_road + 0.7);
                post(canvas, view, (x, z), (0.0, 7.2), 0.16, POLE);
                let head = x - side * 1.6;
                let arm = [(x, 7.0), (head, 7.3), (head, 7.5), (x, 7.2)];
                let arm = arm.map(|(x, h)| view.point(Place { x, h, z }));
                canvas.polygon(&arm, POLE);
                if light < LAMPS_BELOW {
                    canvas.set_light(FULL_LIGHT);
                    post(canvas, view, (head, z), (7.1, 7.4), 0.7, LAMP);
                    canvas.set_light(light);
                    for (reach, amount) in [(7.0, 10), (4.5, 10), (2.5, 12)] {
                        canvas.brighten(&pool(view, (head - side * 2.0, z), reach), amount);
                    }
                }
            }
            z -= 26.0;
        }
    }
}

/// Below this light lamps burn and windows are lit.
pub(crate) const LAMPS_BELOW: u32 = 215;

/// A piece of the roadside between two distances.
#[derive(Clone, Copy, Debug)]
struct Plot {
    side: f32,
    what: Side,
    near: f32,
    far: f32,
    light: u32,
}

fn ground(view: &View, x: (f32, f32), z: (f32, f32)) -> [Point; 4] {
    [(x.0, z.0), (x.1, z.0), (x.1, z.1), (x.0, z.1)]
        .map(|(x, z)| view.point(Place { x, h: 0.0, z }))
}

fn strip(canvas: &mut Canvas, view: &View, x: (f32, f32), z: (f32, f32), paint: Paint) {
    canvas.polygon(&ground(view, x, z), paint);
}

/// An upright bar of `width` metres from height `h.0` to `h.1`.
fn post(canvas: &mut Canvas, view: &View, at: (f32, f32), h: (f32, f32), width: f32, paint: Paint) {
    let (x, z) = at;
    let (left, bottom) = view.point(Place { x: x - width / 2.0, h: h.0, z });
    let (right, top) = view.point(Place { x: x + width / 2.0, h: h.1, z });
    canvas.rectangle((left, top), (right.max(left + 1), bottom.max(top + 1)), paint);
}

/// A patch of lamplight on the ground.
fn pool(view: &View, at: (f32, f32), reach: f32) -> [Point; 8] {
    OCTAGON.map(|(x, z)| view.point(Place { x: at.0 + x * reach, h: 0.0, z: at.1 + z * reach }))
}

const OCTAGON: [(f32, f32); 8] = [
    (1.0, 0.0),
    (0.7, 0.7),
    (0.0, 1.0),
    (-0.7, 0.7),
    (-1.0, 0.0),
    (-0.7, -0.7),
    (0.0, -1.0),
    (0.7, -0.7),
];

fn draw_tree(canvas: &mut Canvas, view: &View, dice: &mut Dice, at: (f32, f32)) {
    let (x, z) = at;
    let height = dice.between(3.2, 5.5);
    post(canvas, view, at, (0.0, height), 0.28, Paint::rgb(96, 78, 60));
    let green = Paint::rgb(70, 112, 54).shade(85 + dice.below(30));
    for (dx, dh, radius, percent) in
        [(0.0, -0.5, 1.7, 78), (-0.7, 0.2, 1.3, 92), (0.7, 0.1, 1.3, 88), (0.0, 0.7, 1.2, 108)]
    {
        let crown = OCTAGON.map(|(a, b)| {
            view.point(Place { x: x + dx + a * radius, h: height + dh + b * radius, z })
        });
        canvas.polygon(&crown, green.shade(percent));
    }
}

/// A tube house: a narrow front of a few floors, a coloured wall, an awning.
fn draw_house(canvas: &mut Canvas, view: &View, dice: &mut Dice, plot: Plot, x: f32) {
    const WALLS: [Paint; 7] = [
        Paint::rgb(214, 196, 150),
        Paint::rgb(190, 204, 196),
        Paint::rgb(218, 206, 190),
        Paint::rgb(206, 170, 140),
        Paint::rgb(176, 190, 206),
        Paint::rgb(226, 214, 160),
        Paint::rgb(196, 196, 196),
    ];
    const AWNINGS: [Paint; 4] = [
        Paint::rgb(178, 66, 54),
        Paint::rgb(56, 104, 160),
        Paint::rgb(60, 128, 84),
        Paint::rgb(200, 150, 50),
    ];
    let wall = dice.pick(&WALLS).copied().unwrap_or(PAVEMENT);
    let floors = 1 + dice.below(4);
    let lit = dice.below(3) == 0;
    let awning = dice.pick(&AWNINGS).copied().unwrap_or(POLE);
    #[expect(clippy::cast_precision_loss, reason = "at most five floors")]
    let height = 3.6 + 3.3 * (floors as f32 - 1.0);
    let Plot { side, near, far, light, what: _ } = plot;
    let quad = |canvas: &mut Canvas, corners: [(f32, f32, f32); 4], paint: Paint| {
        canvas.polygon(&corners.map(|(x, h, z)| view.point(Place { x, h, z })), paint);
    };
    let back = x + side * 11.0;
    quad(
        canvas,
        [(x, 0.0, near), (back, 0.0, near), (back, height, near), (x, height, near)],
        wall.shade(72),
    );
    quad(canvas, [(x, 0.0, near), (x, 0.0, far), (x, height, far), (x, height, near)], wall);
    if view.camera_h > height {
        let roof = [(x, height, near), (back, height, near), (back, height, far), (x, height, far)];
        quad(canvas, roof, Paint::rgb(150, 92, 72));
    }
    let glass = Paint::rgb(70, 82, 92);
    let (from, to) = (near + (far - near) * 0.15, near + (far - near) * 0.85);
    quad(canvas, [(x, 0.1, from), (x, 0.1, to), (x, 2.6, to), (x, 2.6, from)], glass.shade(80));
    let eave = x - side * 1.2;
    quad(canvas, [(x, 3.1, near), (x, 3.1, far), (eave, 2.7, far), (eave, 2.7, near)], awning);
    for floor in 1..floors {
        #[expect(clippy::cast_precision_loss, reason = "at most five floors")]
        let sill = 4.4 + 3.3 * (floor as f32 - 1.0);
        let pane = [(x, sill, from), (x, sill, to), (x, sill + 1.5, to), (x, sill + 1.5, from)];
        if lit && dice.below(2) == 0 {
            let dark = light < LAMPS_BELOW;
            canvas.set_light(if dark { FULL_LIGHT } else { light });
            quad(canvas, pane, LAMP.shade(if dark { 90 } else { 80 }));
            canvas.set_light(light);
        } else {
            quad(canvas, pane, glass);
        }
    }
}
