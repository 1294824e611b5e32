//! What is where in one camera's picture: a scene file, checked once.
//!
//! Coordinates are shares of the picture's width and height, top left first; they may lie a little
//! outside, where a road leaves the picture. With `[ground]`, four points of the picture whose
//! places on the road are known in metres, everything is measured in metres.

use serde::Deserialize;

use crate::Error;

/// A point: shares of the picture, or metres on the ground.
pub type Point = [f64; 2];

/// Text of `<camera_id>.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SceneFile {
    pub ground: Option<GroundFile>,
    #[serde(rename = "lane")]
    pub lanes: Vec<LaneFile>,
    #[serde(rename = "line")]
    pub lines: Vec<LineFile>,
    #[serde(rename = "zone")]
    pub zones: Vec<ZoneFile>,
    /// Rows of `vehicle_counts` come once in so many seconds; 60 when left out.
    pub period_s: Option<u32>,
    /// A vehicle on a lane that has stood so long is told; 15 when left out. More than a red light
    /// lasts, where there is one.
    pub stopped_s: Option<u32>,
}

/// Four points of the picture and where they are on the ground, metres.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroundFile {
    pub picture: [Point; 4],
    pub metres: [Point; 4],
}

/// Where vehicles drive, and which way.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneFile {
    pub name: String,
    pub polygon: Vec<Point>,
    /// Vehicles come from here ...
    pub from: Point,
    /// ... and go there.
    pub to: Point,
}

/// Where vehicles are counted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineFile {
    pub name: String,
    pub from: Point,
    pub to: Point,
    /// Any point on the side to which `forward` leads.
    pub forward: Point,
}

/// An area that is looked at as a whole.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneFile {
    pub name: String,
    pub polygon: Vec<Point>,
    /// A queue of this length, metres, is told. Needs `[ground]`.
    pub queue_m: Option<f64>,
    /// A crowd that covers this share of the zone is told.
    pub crowd_share: Option<f64>,
}

/// A scene that holds.
#[derive(Clone, Debug)]
pub struct Scene {
    pub(crate) plane: Plane,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) lines: Vec<Line>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) period_us: i64,
    pub(crate) stopped_us: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) polygon: Vec<Point>,
    /// Unit vector on the plane, the way vehicles go.
    pub(crate) along: Point,
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Ends on the plane.
    pub(crate) from: Point,
    pub(crate) to: Point,
    /// Which side of it is `forward`: the sign of [`side`].
    pub(crate) forward: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) name: String,
    /// In shares of the picture.
    pub(crate) polygon: Vec<Point>,
    pub(crate) queue_m: Option<f64>,
    pub(crate) crowd_share: Option<f64>,
}

/// How the picture lies on the plane on which things are tracked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plane {
    /// Metres on the ground, by a homography and its inverse.
    Ground { to_ground: [f64; 9], to_picture: [f64; 9] },
    /// Hundredths of the picture's width both ways.
    Picture { aspect: f64 },
}

impl Scene {
    /// Checks a file for pictures that are `aspect` times as wide as high.
    ///
    /// # Errors
    /// [`Error::Scene`], which says what is wrong and what to do.
    pub fn new(file: SceneFile, aspect: f64) -> Result<Self, Error> {
        let SceneFile { ground, lanes, lines, zones, period_s, stopped_s } = file;
        let plane = match &ground {
            Some(ground) => Plane::measured(ground)?,
            None => Plane::Picture { aspect },
        };
        let names = lines.iter().map(|l| &l.name).chain(zones.iter().map(|z| &z.name));
        unique(names)?;
        unique(lanes.iter().map(|lane| &lane.name))?;
        if zones.iter().any(|zone| zone.queue_m.is_some()) && ground.is_none() {
            return Err(wrong("'queue_m' is in metres: add [ground] with four measured points"));
        }
        let seconds =
            |value: Option<u32>, usual: u32| i64::from(value.unwrap_or(usual)) * 1_000_000;
        let (period_us, stopped_us) = (seconds(period_s, 60), seconds(stopped_s, 15));
        if period_us == 0 || stopped_us == 0 {
            return Err(wrong("'period_s' and 'stopped_s' must be at least 1"));
        }
        Ok(Self {
            lanes: lanes.into_iter().map(|lane| lane.check(&plane)).collect::<Result<_, _>>()?,
            lines: lines.into_iter().map(|line| line.check(&plane)).collect::<Result<_, _>>()?,
            zones: zones.into_iter().map(ZoneFile::check).collect::<Result<_, _>>()?,
            plane,
            period_us,
            stopped_us,
        })
    }

    pub(crate) fn is_measured(&self) -> bool {
        matches!(self.plane, Plane::Ground { .. })
    }
}

impl LaneFile {
    fn check(self, plane: &Plane) -> Result<Lane, Error> {
        let Self { name, polygon, from, to } = self;
        let polygon = area("lane", &name, polygon)?;
        let (a, b) = (plane.of_picture(from), plane.of_picture(to));
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let length = dx.hypot(dy);
        if !length.is_normal() {
            let what = format!("lane '{name}': 'from' and 'to' are the same place");
            return Err(wrong(&format!("{what}; give two points along the way vehicles go")));
        }
        Ok(Lane { name, polygon, along: [dx / length, dy / length] })
    }
}

impl LineFile {
    fn check(self, plane: &Plane) -> Result<Line, Error> {
        let Self { name, from, to, forward } = self;
        let (from, to) = (plane.of_picture(from), plane.of_picture(to));
        let forward = side(from, to, plane.of_picture(forward));
        if !forward.is_normal() {
            return Err(wrong(&format!(
                "line '{name}': 'forward' lies on the line; give any point on the side that is forward"
            )));
        }
        Ok(Line { name, from, to, forward: forward.signum() })
    }
}

impl ZoneFile {
    fn check(self) -> Result<Zone, Error> {
        let Self { name, polygon, queue_m, crowd_share } = self;
        if crowd_share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(wrong(&format!("zone '{name}': 'crowd_share' must be from 0 to 1")));
        }
        let polygon = area("zone", &name, polygon)?;
        Ok(Zone { name, polygon, queue_m, crowd_share })
    }
}

fn area(what: &str, name: &str, polygon: Vec<Point>) -> Result<Vec<Point>, Error> {
    let near = |value: f64| (-3.0..=4.0).contains(&value);
    if polygon.len() < 3 {
        return Err(wrong(&format!("{what} '{name}': a polygon needs at least 3 points")));
    }
    if !polygon.iter().flatten().all(|value| near(*value)) {
        return Err(wrong(&format!(
            "{what} '{name}': coordinates are shares of the picture's width and height (0 to 1), not pixels"
        )));
    }
    Ok(polygon)
}

fn unique<'n>(names: impl Iterator<Item = &'n String>) -> Result<(), Error> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(wrong(&format!("the name '{name}' is there twice; names must differ")));
        }
    }
    Ok(())
}

fn wrong(what: &str) -> Error {
    Error::Scene(what.to_owned())
}

/// Twice the area of the triangle; its sign says on which side of the line `point` lies.
pub(crate) fn side(from: Point, to: Point, point: Point) -> f64 {
    (to[0] - from[0]) * (point[1] - from[1]) - (to[1] - from[1]) * (point[0] - from[0])
}

/// Whether `point` lies inside (ray casting; the rim counts to one side).
pub(crate) fn contains(polygon: &[Point], point: Point) -> bool {
    let mut inside = false;
    let Some(mut before) = polygon.last() else { return false };
    for corner in polygon {
        let crosses = (corner[1] > point[1]) != (before[1] > point[1]);
        if crosses {
            let share = (point[1] - corner[1]) / (before[1] - corner[1]);
            inside ^= point[0] < corner[0] + share * (before[0] - corner[0]);
        }
        before = corner;
    }
    inside
}

impl Plane {
    fn measured(ground: &GroundFile) -> Result<Self, Error> {
        let GroundFile { picture, metres } = ground;
        if is_degenerate(picture) || is_degenerate(metres) {
            return Err(wrong("[ground]: no three of the four points may lie on one line"));
        }
        let failed = || wrong("[ground]: no three of the four points may lie on one line");
        let to_ground = homography(picture, metres).ok_or_else(failed)?;
        let to_picture = homography(metres, picture).ok_or_else(failed)?;
        Ok(Self::Ground { to_ground, to_picture })
    }

    /// The place on the plane of a point of the picture.
    pub(crate) fn of_picture(&self, at: Point) -> Point {
        match self {
            Self::Ground { to_ground, .. } => mapped(to_ground, at),
            Self::Picture { aspect } => [at[0] * 100.0, at[1] * 100.0 / aspect],
        }
    }

    /// The point of the picture of a place on the plane.
    pub(crate) fn to_picture(&self, at: Point) -> Point {
        match self {
            Self::Ground { to_picture, .. } => mapped(to_picture, at),
            Self::Picture { aspect } => [at[0] / 100.0, at[1] * aspect / 100.0],
        }
    }
}

/// Whether three of the points lie on one line.
fn is_degenerate(points: &[Point; 4]) -> bool {
    let [a, b, c, d] = *points;
    [[a, b, c], [a, b, d], [a, c, d], [b, c, d]]
        .iter()
        .any(|[a, b, c]| side(*a, *b, *c).abs() < 1e-6)
}

fn mapped(h: &[f64; 9], [x, y]: Point) -> Point {
    let [a, b, c, d, e, f, g, i, j] = *h;
    let w = g * x + i * y + j;
    [(a * x + b * y + c) / w, (d * x + e * y + f) / w]
}

/// The projective map that takes each of `from` to its `to` (Hartley, Zisserman: Multiple View
/// Geometry, 4.1): eight linear equations, by elimination with pivots.
fn homography(from: &[Point; 4], to: &[Point; 4]) -> Option<[f64; 9]> {
    let mut rows: Vec<[f64; 9]> = Vec::with_capacity(8);
    for ([x, y], [u, v]) in from.iter().zip(to) {
        rows.push([*x, *y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, *u]);
        rows.push([0.0, 0.0, 0.0, *x, *y, 1.0, -v * x, -v * y, *v]);
    }
    for column in 0..8 {
        let size = |row: &[f64; 9]| row.get(column).copied().unwrap_or(0.0).abs();
        let pivot = (column..8).max_by(|a, b| {
            let of = |at: usize| rows.get(at).map_or(0.0, size);
            of(*a).total_cmp(&of(*b))
        })?;
        rows.swap(column, pivot);
        let lead = *rows.get(column)?;
        let head = *lead.get(column)?;
        if head.abs() < 1e-9 {
            return None;
        }
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = row.get(column).copied().unwrap_or(0.0) / head;
            if at != column {
                row.iter_mut().zip(lead).for_each(|(value, lead)| *value -= factor * lead);
            }
        }
    }
    let mut map = [1.0; 9];
    for (column, (row, value)) in rows.iter().zip(map.iter_mut()).enumerate() {
        *value = row.last()? / row.get(column)?;
    }
    map.iter().all(|value| value.is_finite()).then_some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUND: &str = "[ground]\npicture = [[0.2, 0.9], [0.8, 0.9], [0.6, 0.4], [0.4, 0.4]]\n\
                          metres = [[-5.0, 10.0], [5.0, 10.0], [5.0, 40.0], [-5.0, 40.0]]\n";

    fn refused(text: &str, what: &str) {
        let file: SceneFile = toml::from_str(text).unwrap();
        let told = Scene::new(file, 16.0 / 9.0).unwrap_err().to_string();
        assert!(told.contains(what), "{told}");
    }

    #[test]
    fn measured_points_lie_where_they_were_measured_and_back() {
        let scene = Scene::new(toml::from_str(GROUND).unwrap(), 16.0 / 9.0).unwrap();
        for (picture, metres) in [([0.2, 0.9], [-5.0, 10.0]), ([0.6, 0.4], [5.0, 40.0])] {
            let (there, back) = (scene.plane.of_picture(picture), scene.plane.to_picture(metres));
            for (got, wanted) in there.iter().zip(metres).chain(back.iter().zip(picture)) {
                assert!((got - wanted).abs() < 1e-6, "{there:?} {back:?}");
            }
        }
        // The middle of the picture's trapezoid is far nearer than the middle of the road.
        assert!(scene.plane.of_picture([0.5, 0.65])[1] < 20.0);
    }

    #[test]
    fn scenes_that_do_not_hold_say_what_to_do() {
        refused(&GROUND.replace("[0.8, 0.9]", "[0.4, 0.65]"), "no three of the four");
        let zone = "[[zone]]\nname = \"z\"\npolygon = [[0, 0], [1, 0], [1, 1]]\n";
        refused(&format!("{zone}queue_m = 20.0"), "add [ground]");
        refused(&format!("{zone}crowd_share = 20.0"), "from 0 to 1");
        refused(&format!("{zone}{zone}"), "twice");
        refused(&zone.replace("1, 1", "640, 360"), "not pixels");
        refused("[[zone]]\nname = \"z\"\npolygon = [[0, 0], [1, 0]]\n", "at least 3");
        let lane = "[[lane]]\nname = \"l\"\npolygon = [[0, 0], [1, 0], [1, 1]]\nfrom = [0, 0]\n";
        refused(&format!("{lane}to = [0, 0]"), "same place");
        refused(
            "[[line]]\nname = \"l\"\nfrom = [0, 0]\nto = [1, 1]\nforward = [0.5, 0.5]",
            "on the line",
        );
        refused("stopped_s = 0", "at least 1");
    }
}
