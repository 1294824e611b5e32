//! From pixels that differ to vehicles on the road.
//!
//! In a measured scene the outlines of a motorcycle, a car, a lorry and a bus are known at every
//! place of the road. Vehicles are taken out from the nearest to the farthest: each explains the
//! pixels its outline covers, so that who is behind, or beside and half hidden, is found in what is
//! left. In a scene that is not measured, connected pixels are one thing.

use super::sights::Region;
use crate::scene::{Point, Scene, contains};

/// Size of the pictures on which vehicles are looked for.
pub(crate) const WIDTH: usize = 320;
pub(crate) const HEIGHT: usize = 180;

/// A kind of vehicle as a box, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    kind: Kind,
    width: f64,
    length: f64,
    height: f64,
}

/// What a thing looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Motorcycle,
    Car,
    Truck,
    Bus,
    /// Nothing tells more.
    Vehicle,
    /// Told by a picture model alone.
    Bicycle,
    Person,
}

impl Kind {
    /// The word in `vehicle_counts.kind`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Motorcycle => "motorcycle",
            Self::Car => "car",
            Self::Truck => "truck",
            Self::Bus => "bus",
            Self::Vehicle => "vehicle",
            Self::Bicycle => "bicycle",
            Self::Person => "person",
        }
    }

    /// What a picture model calls by this name, if it travels on streets.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let all =
            [Self::Motorcycle, Self::Car, Self::Truck, Self::Bus, Self::Bicycle, Self::Person];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Bumper to bumper, metres.
    pub(crate) fn length_m(self) -> f64 {
        let unknown = match self {
            Self::Bicycle => 1.8,
            Self::Person => 0.5,
            _ => 4.0,
        };
        SHAPES.iter().find(|shape| shape.kind == self).map_or(unknown, |shape| shape.length)
    }
}

/// Typical sizes: a scooter with its rider, a saloon, a two-axle lorry, a city bus.
const SHAPES: [Shape; 4] = [
    Shape { kind: Kind::Motorcycle, width: 0.6, length: 1.9, height: 1.6 },
    Shape { kind: Kind::Car, width: 1.8, length: 4.3, height: 1.45 },
    Shape { kind: Kind::Truck, width: 2.4, length: 7.4, height: 2.9 },
    Shape { kind: Kind::Bus, width: 2.4, length: 9.5, height: 2.9 },
];
/// A motorcycle with its shadow touches the road at most so wide, all others at least so.
const NARROW_M: f64 = 2.0;
const WIDE_M: f64 = 1.1;
/// Share of an outline that must be covered.
const FILLED: f64 = 0.45;
/// Rows above the lowest one that belong to where a vehicle touches the road, metres.
const CONTACT_M: f64 = 0.25;
/// Pixels that may be missing inside a row of one vehicle.
const GAP: usize = 2;
/// What lies so close around an outline belongs to it: shadow, lamps, what the outline missed.
const RIM_M: f64 = 0.3;
/// Outlines that are tried in one picture.
const MOST_TRIES: usize = 400;
/// Pixels that a thing of a scene without measures must have.
const LEAST_PIXELS: usize = 24;

/// A vehicle in one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Object {
    /// Where its nearest edge touches the road, on the plane of the scene.
    pub(crate) at: Point,
    pub(crate) kind: Kind,
    /// Number of the lane it is on.
    pub(crate) lane: Option<usize>,
    pub(crate) region: Region,
}

/// An outline that is well covered.
#[derive(Debug)]
struct Fit {
    gain: f64,
    at: Point,
    kind: Kind,
    outline: Vec<Run>,
}

impl Shape {
    fn may_touch(&self, width_m: f64) -> bool {
        if self.kind == Kind::Motorcycle { width_m < NARROW_M } else { width_m > WIDE_M }
    }
}

/// Finds vehicles in one camera's pictures.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    scene: Scene,
    /// Number of the lane at each pixel.
    lanes: Vec<Option<usize>>,
    road: Vec<bool>,
}

/// Rows of flags.
struct Mask<'m> {
    cells: &'m mut [bool],
}

impl Mask<'_> {
    fn get(&self, x: usize, y: usize) -> bool {
        x < WIDTH && self.cells.get(y * WIDTH + x).copied().unwrap_or(false)
    }

    fn clear(&mut self, y: usize, from: usize, to: usize) {
        if let Some(cells) = self.cells.get_mut(y * WIDTH + from..y * WIDTH + to) {
            cells.fill(false);
        }
    }
}

/// Columns `from..to` of one row.
#[derive(Clone, Copy, Debug)]
struct Run {
    y: usize,
    from: usize,
    to: usize,
}

impl Finder {
    pub(crate) fn new(scene: Scene) -> Self {
        let point = |at: usize| {
            let (x, y) = (at % WIDTH, at / WIDTH);
            [(x as f64 + 0.5) / WIDTH as f64, (y as f64 + 0.5) / HEIGHT as f64]
        };
        let lane = |at: usize| scene.lanes.iter().position(|l| contains(&l.polygon, point(at)));
        let lanes: Vec<Option<usize>> = (0..WIDTH * HEIGHT).map(lane).collect();
        let in_zone = |at: usize| scene.zones.iter().any(|z| contains(&z.polygon, point(at)));
        let anywhere = scene.lanes.is_empty() && scene.zones.is_empty();
        let road = (0..WIDTH * HEIGHT)
            .map(|at| anywhere || lanes.get(at).is_some_and(Option::is_some) || in_zone(at))
            .collect();
        Self { scene, lanes, road }
    }

    /// Vehicles among the pixels that differ, and the pixels they take.
    pub(crate) fn find(&self, differing: &[bool]) -> (Vec<Object>, Vec<bool>) {
        let cleaned = majority(differing);
        let mut left = cleaned.clone();
        let objects = if self.scene.is_measured() {
            self.explain(&mut Mask { cells: &mut left })
        } else {
            self.components(&mut left)
        };
        let taken = cleaned.iter().zip(&left).map(|(was, left)| *was && !left).collect();
        (objects, taken)
    }

    /// Takes vehicles out of the mask from the nearest to the farthest.
    fn explain(&self, mask: &mut Mask<'_>) -> Vec<Object> {
        let (mut objects, mut tries) = (Vec::new(), 0);
        for y in (0..HEIGHT).rev() {
            let mut x = 0;
            while let Some(run) = self.next_run(mask, y, x) {
                x = run.to;
                if tries >= MOST_TRIES {
                    return objects;
                }
                let Some(per_m) = self.pixels_per_m(run) else { continue };
                if ((run.to - run.from) as f64) < 0.25 * per_m {
                    continue;
                }
                tries += 1;
                objects.extend(self.fit(mask, run, per_m));
            }
        }
        objects
    }

    /// The next pixels of row `y` from column `x` on that lie on the road, gaps bridged.
    fn next_run(&self, mask: &Mask<'_>, y: usize, x: usize) -> Option<Run> {
        let on_road = |x: usize| self.road.get(y * WIDTH + x).copied().unwrap_or(false);
        let from = (x..WIDTH).find(|x| mask.get(*x, y) && on_road(*x))?;
        let mut to = from + 1;
        let mut gap = 0;
        for x in from + 1..WIDTH {
            if mask.get(x, y) {
                to = x + 1;
                gap = 0;
            } else {
                gap += 1;
                if gap > GAP {
                    break;
                }
            }
        }
        Some(Run { y, from, to })
    }

    /// Pixels that a metre across the road takes at the middle of a run.
    fn pixels_per_m(&self, run: Run) -> Option<f64> {
        let at = picture((run.from + run.to) as f64 / 2.0, run.y as f64 + 1.0);
        let across = self.axes(at).1;
        let place = self.scene.plane.of_picture(at);
        let shifted = [place[0] + across[0], place[1] + across[1]];
        let [x, y] = self.scene.plane.to_picture(shifted);
        let (dx, dy) = ((x - at[0]) * WIDTH as f64, (y - at[1]) * HEIGHT as f64);
        let pixels = dx.hypot(dy);
        (1.5..200.0).contains(&pixels).then_some(pixels)
    }

    fn lane_at(&self, at: Point) -> Option<usize> {
        let cell = |share: f64, size: usize| {
            let inside = (share * size as f64).clamp(0.0, size as f64 - 1.0);
            inside as usize
        };
        self.lanes.get(cell(at[1], HEIGHT) * WIDTH + cell(at[0], WIDTH)).copied().flatten()
    }

    /// Unit vectors on the plane at a point of the picture: along the road away from the camera,
    /// and across it.
    fn axes(&self, at: Point) -> (Point, Point) {
        let lane = self.lane_at(at).and_then(|lane| self.scene.lanes.get(lane));
        let along = lane.or_else(|| self.scene.lanes.first()).map_or([0.0, 1.0], |lane| lane.along);
        let place = self.scene.plane.of_picture(at);
        let ahead = self.scene.plane.to_picture([place[0] + along[0], place[1] + along[1]]);
        // Away from the camera is up in the picture.
        let away = if ahead[1] < at[1] { along } else { [-along[0], -along[1]] };
        (away, [away[1], -away[0]])
    }

    /// The vehicle that touches the road at `run`, taken out of the mask; `None` when none fits, or
    /// when it only comes into the picture.
    fn fit(&self, mask: &mut Mask<'_>, run: Run, per_m: f64) -> Option<Object> {
        let (from, to) = contact(mask, run, per_m);
        let width_m = (to - from) as f64 / per_m;
        let mut best: Option<Fit> = None;
        for shape in SHAPES.iter().filter(|shape| shape.may_touch(width_m)) {
            let half = shape.width * per_m / 2.0;
            let (left, right) = (from as f64 + half, to as f64 - half);
            for middle in [(left + right) / 2.0, left, right] {
                let at = picture(middle, run.y as f64 + 1.0);
                let outline = self.outline(at, *shape, per_m);
                let (covered, all) = cover(mask, &outline);
                let gain = 2.0 * covered - all;
                let better = best.as_ref().is_none_or(|best| gain > best.gain);
                if all > 0.0 && covered / all >= FILLED && better {
                    best = Some(Fit { gain, at, kind: shape.kind, outline });
                }
            }
        }
        let Fit { at, kind, outline, .. } = best?;
        let is_cut = self.is_cut(mask, run);
        let rim = (RIM_M * per_m).ceil() as usize;
        for row in &outline {
            mask.clear(row.y, row.from.saturating_sub(rim), (row.to + rim).min(WIDTH));
        }
        // Below where it touches the road there is its shadow.
        for y in run.y..(run.y + 2).min(HEIGHT) {
            mask.clear(y, from.saturating_sub(rim), (to + rim).min(WIDTH));
        }
        let lane = self.lane_at(at).filter(|_| !is_cut)?;
        let region = around(outline.iter().map(|row| (row.y, row.from, row.to)));
        Some(Object { at: self.scene.plane.of_picture(at), kind, lane: Some(lane), region })
    }

    /// Whether what is seen at a run goes on below it, where no road is any more.
    fn is_cut(&self, mask: &Mask<'_>, run: Run) -> bool {
        let below = (run.from..run.to).filter(|x| mask.get(*x, run.y + 1)).count();
        let under = (run.y + 1) * WIDTH + (run.from + run.to) / 2;
        let at_rim = !self.road.get(under).copied().unwrap_or(false);
        at_rim || 2 * below > run.to - run.from
    }

    /// Rows that a vehicle covers whose nearest edge touches the road at `at`.
    fn outline(&self, at: Point, shape: Shape, per_m: f64) -> Vec<Run> {
        let (away, across) = self.axes(at);
        let place = self.scene.plane.of_picture(at);
        let mut corners = Vec::with_capacity(8);
        for (ahead, aside) in [(0.0, -0.5), (0.0, 0.5), (1.0, 0.5), (1.0, -0.5)] {
            let (ahead, aside) = (ahead * shape.length, aside * shape.width);
            let ground = [
                place[0] + away[0] * ahead + across[0] * aside,
                place[1] + away[1] * ahead + across[1] * aside,
            ];
            let [x, y] = self.scene.plane.to_picture(ground);
            let (x, y) = (x * WIDTH as f64, y * HEIGHT as f64);
            // Heights shrink with distance as widths do.
            let further = [place[0] + away[0] * ahead, place[1] + away[1] * ahead];
            let [a, _] = self.scene.plane.to_picture(further);
            let beside = [further[0] + across[0], further[1] + across[1]];
            let [b, _] = self.scene.plane.to_picture(beside);
            let here = ((b - a) * WIDTH as f64).abs().min(per_m);
            corners.push([x, y]);
            corners.push([x, y - shape.height * here]);
        }
        rows_of(&hull(corners))
    }

    /// Connected pixels, each a thing that touches the road at the middle of its lowest row.
    fn components(&self, left: &mut [bool]) -> Vec<Object> {
        let mut objects = Vec::new();
        for start in (0..WIDTH * HEIGHT).rev() {
            let begins = left.get(start).copied().unwrap_or(false)
                && self.road.get(start).copied().unwrap_or(false);
            if !begins {
                continue;
            }
            let pixels = flood(left, start);
            if pixels.len() < LEAST_PIXELS {
                continue;
            }
            let lowest = start / WIDTH;
            let bottom = pixels.iter().filter(|at| **at / WIDTH + 2 >= lowest).map(|at| at % WIDTH);
            let (sum, count) = bottom.fold((0, 0), |(sum, count), x| (sum + x, count + 1));
            let at = picture(sum as f64 / f64::from(count.max(1)) + 0.5, lowest as f64 + 1.0);
            let lane = self.lane_at(at);
            let region = around(pixels.iter().map(|at| (at / WIDTH, at % WIDTH, at % WIDTH + 1)));
            let at = self.scene.plane.of_picture(at);
            objects.push(Object { at, kind: Kind::Vehicle, lane, region });
        }
        objects
    }
}

/// The smallest region that holds all of these rows `(y, from, to)`.
fn around(rows: impl Iterator<Item = (usize, usize, usize)>) -> Region {
    let (mut left, mut top, mut right, mut bottom) = (WIDTH, HEIGHT, 0, 0);
    for (y, from, to) in rows {
        (left, right) = (left.min(from), right.max(to));
        (top, bottom) = (top.min(y), bottom.max(y + 1));
    }
    let share = |cell: usize, size: usize| cell as f32 / size as f32;
    [share(left, WIDTH), share(top, HEIGHT), share(right, WIDTH), share(bottom, HEIGHT)]
}

fn picture(x: f64, y: f64) -> Point {
    [x / WIDTH as f64, y / HEIGHT as f64]
}

/// Columns in which something stands on the road at a run: the run and what touches it just above.
fn contact(mask: &Mask<'_>, run: Run, per_m: f64) -> (usize, usize) {
    let (mut from, mut to) = (run.from, run.to);
    let rows = (CONTACT_M * per_m).ceil() as usize;
    for y in (run.y.saturating_sub(rows)..run.y).rev() {
        while from > 0 && (1..=GAP).any(|by| from >= by && mask.get(from - by, y)) {
            from -= 1;
        }
        while to < WIDTH && (0..GAP).any(|by| mask.get(to + by, y)) {
            to += 1;
        }
    }
    (from, to)
}

/// How many pixels of an outline are set, and how many it has.
fn cover(mask: &Mask<'_>, outline: &[Run]) -> (f64, f64) {
    let (mut covered, mut all) = (0, 0);
    for Run { y, from, to } in outline {
        all += to - from;
        let cells = mask.cells.get(y * WIDTH + from..y * WIDTH + to).unwrap_or_default();
        covered += cells.iter().filter(|cell| **cell).count();
    }
    (covered as f64, all as f64)
}

/// The convex hull, counter-clockwise (Andrew's monotone chain, 1979).
fn hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain.as_slice() {
                if crate::scene::side(*a, *b, point) > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut whole = half(&mut points.iter().copied());
    whole.extend(half(&mut points.iter().rev().copied()));
    whole
}

/// The rows of pixels whose middles lie inside a convex polygon.
fn rows_of(polygon: &[Point]) -> Vec<Run> {
    let height = HEIGHT as f64;
    let top = polygon.iter().map(|p| p[1]).fold(height, f64::min).max(0.0);
    let bottom = polygon.iter().map(|p| p[1]).fold(0.0, f64::max).min(height);
    let mut rows = Vec::new();
    for y in top.ceil() as usize..(bottom.ceil() as usize).min(HEIGHT) {
        let middle = y as f64 + 0.5;
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut before = polygon.last().copied().unwrap_or_default();
        for corner in polygon {
            if (corner[1] > middle) != (before[1] > middle) {
                let share = (middle - corner[1]) / (before[1] - corner[1]);
                let x = corner[0] + share * (before[0] - corner[0]);
                (from, to) = (from.min(x), to.max(x));
            }
            before = *corner;
        }
        let column = |x: f64| x.round().clamp(0.0, WIDTH as f64) as usize;
        if from < to && column(from) < column(to) {
            rows.push(Run { y, from: column(from), to: column(to) });
        }
    }
    rows
}

/// Pixels with at least four set ones among the nine around them: speckles go, small holes close.
fn majority(cells: &[bool]) -> Vec<bool> {
    let mut across = vec![0_u8; cells.len()];
    for (row, out) in cells.chunks_exact(WIDTH).zip(across.chunks_exact_mut(WIDTH)) {
        for (three, out) in row.windows(3).zip(out.iter_mut().skip(1)) {
            *out = three.iter().map(|cell| u8::from(*cell)).sum();
        }
    }
    let mut kept = vec![false; cells.len()];
    let rows: Vec<&[u8]> = across.chunks_exact(WIDTH).collect();
    for (three, out) in rows.windows(3).zip(kept.chunks_exact_mut(WIDTH).skip(1)) {
        let [above, row, below] = three else { continue };
        for (((a, b), c), out) in above.iter().zip(*row).zip(*below).zip(out) {
            *out = a + b + c >= 4;
        }
    }
    kept
}

/// Takes the pixels that hang together with `start` (by sides and corners) out of `left`.
fn flood(left: &mut [bool], start: usize) -> Vec<usize> {
    let (mut found, mut open) = (Vec::new(), vec![start]);
    if let Some(cell) = left.get_mut(start) {
        *cell = false;
    }
    while let Some(at) = open.pop() {
        found.push(at);
        let (x, y) = (at % WIDTH, at / WIDTH);
        for y in y.saturating_sub(1)..=(y + 1).min(HEIGHT - 1) {
            for x in x.saturating_sub(1)..=(x + 1).min(WIDTH - 1) {
                let near = y * WIDTH + x;
                if let Some(cell) = left.get_mut(near).filter(|cell| **cell) {
                    *cell = false;
                    open.push(near);
                }
            }
        }
    }
    found
}
