//! How a vehicle looks: a few prisms on the ground, with lamps.

use super::canvas::{Canvas, FULL_LIGHT, Paint, Point};
use super::view::{Place, View};

/// What drives on the road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Motorbike,
    Car,
    Lorry,
    Bus,
}

impl Kind {
    /// As in `vehicle_counts.kind`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Motorbike => "motorcycle",
            Kind::Car => "car",
            Kind::Lorry => "truck",
            Kind::Bus => "bus",
        }
    }

    /// Bumper to bumper, metres.
    pub(crate) fn length(self) -> f32 {
        match self {
            Kind::Motorbike => 1.9,
            Kind::Car => 4.3,
            Kind::Lorry => 7.6,
            Kind::Bus => 9.5,
        }
    }
}

/// A vehicle ready to be drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pose {
    pub(crate) kind: Kind,
    /// Middle of the vehicle, metres.
    pub(crate) x: f32,
    pub(crate) z: f32,
    /// Unit vector of where it points: `(x, z)`.
    pub(crate) heading: (f32, f32),
    /// Chooses its colour.
    pub(crate) look: u8,
    pub(crate) braking: bool,
    /// The hazard light is on at this moment.
    pub(crate) hazard: bool,
    /// A motorbike that lies on the road.
    pub(crate) fallen: bool,
}

const BODIES: [Paint; 8] = [
    Paint::rgb(226, 228, 230),
    Paint::rgb(40, 42, 46),
    Paint::rgb(150, 154, 160),
    Paint::rgb(168, 36, 36),
    Paint::rgb(40, 72, 132),
    Paint::rgb(206, 206, 196),
    Paint::rgb(226, 170, 40),
    Paint::rgb(58, 110, 92),
];
const GLASS: Paint = Paint::rgb(36, 46, 56);
const TYRE: Paint = Paint::rgb(24, 24, 26);
const HEADLIGHT: Paint = Paint::rgb(255, 250, 226);
const TAIL: Paint = Paint::rgb(150, 22, 20);
const BRAKE: Paint = Paint::rgb(255, 48, 40);
const HAZARD: Paint = Paint::rgb(255, 168, 20);

/// A box standing on or above the ground, in the vehicle's own axes: `u` along its heading from
/// its middle, `half` its half width, `h` heights.
#[derive(Clone, Copy)]
struct Prism {
    u: (f32, f32),
    half: f32,
    h: (f32, f32),
    side: Paint,
    top: Paint,
}

/// Draws `pose` lit by `light`.
pub(crate) fn draw(canvas: &mut Canvas, view: &View, pose: &Pose, light: u32) {
    canvas.set_light(light);
    let length = pose.kind.length() / 2.0;
    let half = half_width(pose);
    let shadow = footprint(pose, (-length - 0.1, length + 0.1), half + 0.18);
    canvas.darken(&shadow.map(|(x, z)| view.point(Place { x: x + 0.15, h: 0.0, z })), 62);
    let mut prisms = prisms(pose);
    // Far parts first; of parts at one distance the lower first.
    prisms.sort_by(|a, b| {
        let depth = |p: &Prism| (p.u.0 + p.u.1) / 2.0 * pose.heading.1;
        depth(b).total_cmp(&depth(a)).then(a.h.0.total_cmp(&b.h.0))
    });
    for prism in prisms {
        draw_prism(canvas, view, pose, prism);
    }
    canvas.set_light(FULL_LIGHT);
    draw_lamps(canvas, view, pose, light);
}

fn half_width(pose: &Pose) -> f32 {
    match pose.kind {
        Kind::Motorbike if pose.fallen => 0.6,
        Kind::Motorbike => 0.3,
        Kind::Car => 0.88,
        Kind::Lorry | Kind::Bus => 1.22,
    }
}

fn prisms(pose: &Pose) -> Vec<Prism> {
    let body = BODIES.get(usize::from(pose.look % 8)).copied().unwrap_or(TYRE);
    let other = BODIES.get(usize::from((pose.look / 8) % 8)).copied().unwrap_or(TYRE);
    let part = |u, half, h, side, top| Prism { u, half, h, side, top };
    match pose.kind {
        Kind::Car => vec![
            part((-1.9, 1.9), 0.8, (0.05, 0.35), TYRE, TYRE),
            part((-2.15, 2.15), 0.88, (0.3, 0.85), body, body.shade(108)),
            part((-1.5, 0.7), 0.76, (0.85, 1.45), GLASS, body.shade(112)),
        ],
        Kind::Lorry => vec![
            part((-3.6, 3.6), 1.05, (0.05, 0.7), TYRE, TYRE),
            part((-3.8, 1.6), 1.22, (0.7, 3.0), other.shade(95), other.shade(108)),
            part((1.9, 3.8), 1.1, (0.5, 1.4), body, body),
            part((1.9, 3.7), 1.06, (1.4, 2.3), GLASS, body.shade(108)),
        ],
        Kind::Bus => vec![
            part((-4.4, 4.4), 1.1, (0.05, 0.5), TYRE, TYRE),
            part((-4.75, 4.75), 1.22, (0.4, 1.3), body, body),
            part((-4.7, 4.7), 1.2, (1.3, 2.2), GLASS, GLASS),
            part((-4.75, 4.75), 1.22, (2.2, 2.9), body, body.shade(110)),
        ],
        Kind::Motorbike if pose.fallen => {
            vec![part((-0.95, 0.95), 0.55, (0.0, 0.35), TYRE, body.shade(90))]
        }
        Kind::Motorbike => vec![
            part((-0.95, 0.95), 0.12, (0.0, 0.55), TYRE, TYRE),
            part((-0.6, 0.7), 0.2, (0.45, 0.85), body, body),
            part((-0.4, 0.2), 0.27, (0.8, 1.45), other, other.shade(105)),
            part((-0.2, 0.1), 0.16, (1.45, 1.75), body.shade(120), body.shade(130)),
        ],
    }
}

/// Corners on the ground, counter-clockwise seen from above: back left, back right, front right,
/// front left.
fn footprint(pose: &Pose, u: (f32, f32), half: f32) -> [(f32, f32); 4] {
    let (hx, hz) = pose.heading;
    [(u.0, -half), (u.0, half), (u.1, half), (u.1, -half)]
        .map(|(u, w)| (pose.x + u * hx + w * hz, pose.z + u * hz - w * hx))
}

fn draw_prism(canvas: &mut Canvas, view: &View, pose: &Pose, prism: Prism) {
    let Prism { u, half, h, side, top } = prism;
    let corners = footprint(pose, u, half);
    let mut a = corners[3];
    for b in corners {
        // Outward normal of an edge of a counter-clockwise polygon.
        let (nx, nz) = (b.1 - a.1, a.0 - b.0);
        let faces_camera = (view.camera_x - a.0) * nx - a.1 * nz > 0.0;
        if faces_camera {
            let percent = if nz * nz > nx * nx { 92 } else { 76 };
            let wall = [(a, h.0), (b, h.0), (b, h.1), (a, h.1)];
            let wall = wall.map(|((x, z), h)| view.point(Place { x, h, z }));
            canvas.polygon(&wall, side.shade(percent));
        }
        a = b;
    }
    let lid = corners.map(|(x, z)| view.point(Place { x, h: h.1, z }));
    canvas.polygon(&lid, top);
}

fn draw_lamps(canvas: &mut Canvas, view: &View, pose: &Pose, light: u32) {
    let length = pose.kind.length() / 2.0;
    let half = half_width(pose);
    let night = light < super::street::LAMPS_BELOW;
    let toward = pose.heading.1 < 0.0;
    let (u, paint) = match (toward, pose.braking) {
        (true, _) => (length, if night { HEADLIGHT } else { HEADLIGHT.shade(88) }),
        (false, true) => (-length, BRAKE),
        (false, false) => (-length, TAIL),
    };
    if toward && night && !pose.fallen {
        let beam = footprint(pose, (length, length + 7.0), half * 1.1);
        canvas.brighten(&beam.map(|(x, z)| view.point(Place { x, h: 0.0, z })), 26);
    }
    let inset = if pose.kind == Kind::Motorbike { 0.0 } else { half - 0.22 };
    let size = if pose.kind == Kind::Motorbike { 0.16 } else { 0.28 };
    for corner in footprint(pose, (u, u), inset).iter().take(2) {
        lamp(canvas, view, *corner, size, paint);
    }
    if pose.hazard {
        for corner in footprint(pose, (-length, length), inset) {
            lamp(canvas, view, corner, 0.42, HAZARD);
        }
    }
}

fn lamp(canvas: &mut Canvas, view: &View, at: (f32, f32), size: f32, paint: Paint) {
    let (x, z) = at;
    let (left, bottom): Point = view.point(Place { x: x - size / 2.0, h: 0.6, z });
    let (right, top) = view.point(Place { x: x + size / 2.0, h: 0.6 + size * 0.7, z });
    canvas.rectangle((left, top), (right.max(left + 1), bottom.max(top + 1)), paint);
}
