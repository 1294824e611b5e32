//! Named streets: a grid of junctions, bent with the ground, with three bridges over the river.

use rand_chacha::ChaCha8Rng;
use vong_model::Place;

use super::chance::{spread, unit};
use super::terrain::{Plan, Terrain};

/// Column and row of a junction in the grid.
pub(crate) type Junction = (usize, usize);

const COLUMNS: [f64; 10] =
    [-4_300.0, -3_300.0, -2_350.0, -1_500.0, -720.0, 20.0, 820.0, 1_700.0, 2_750.0, 3_900.0];
/// The river runs between row 1 and row 2.
const ROWS: [f64; 8] = [-2_900.0, -1_760.0, -1_240.0, -520.0, 130.0, 850.0, 1_720.0, 2_700.0];

const ROW_NAMES: [&str; 8] = [
    "Võ Nguyên Giáp",
    "Hàm Nghi",
    "Bạch Đằng",
    "Trần Phú",
    "Nguyễn Huệ",
    "Phan Đình Phùng",
    "Hai Bà Trưng",
    "Nguyễn Văn Cừ",
];
const COLUMN_NAMES: [&str; 10] = [
    "Lý Thường Kiệt",
    "Nguyễn Du",
    "Hùng Vương",
    "Lê Lợi",
    "Quang Trung",
    "Nguyễn Công Trứ",
    "Hoàng Diệu",
    "Xuân Diệu",
    "Hà Huy Tập",
    "Lê Duẩn",
];
const BRIDGES: [usize; 3] = [2, 5, 8];
/// Short streets on the southern bank: column and name.
const SOUTHERN: [(usize, &str); 5] = [
    (1, "Ngô Quyền"),
    (3, "Đinh Tiên Hoàng"),
    (4, "Lê Hồng Phong"),
    (6, "Trần Hưng Đạo"),
    (7, "Mai Hắc Đế"),
];
const AVENUE: (&str, [Junction; 4]) = ("Nguyễn Tất Thành", [(1, 7), (2, 6), (3, 5), (4, 4)]);

/// How much traffic a street is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Primary,
    Secondary,
    /// A lane inside a block: drawn, but without sensors.
    Local,
}

impl Class {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Local => "local",
        }
    }
}

/// Which way a street mainly runs; names its two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    WestToEast,
    SouthToNorth,
}

#[derive(Clone, Debug)]
pub(crate) struct Street {
    pub street_id: String,
    pub name: &'static str,
    pub class: Class,
    pub run: Run,
    /// From west to east, or from south to north.
    pub junctions: Vec<Junction>,
}

/// A stretch of street between two neighbouring junctions, in the direction of its street.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub street: usize,
    pub from: Junction,
    pub to: Junction,
}

/// A lane across a block, from the middle of one side to the other.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub street_id: String,
    pub name: String,
    from: Plan,
    to: Plan,
}

#[derive(Clone, Debug)]
pub(crate) struct Streets {
    pub all: Vec<Street>,
    pub lanes: Vec<Lane>,
    points: Vec<Vec<Plan>>,
}

impl Streets {
    pub(crate) fn lay_out(rng: &mut ChaCha8Rng) -> Self {
        let mut points = Vec::new();
        for u in COLUMNS {
            let mut column = Vec::new();
            for (row, v) in ROWS.iter().enumerate() {
                // the two rows on the embankments stay where the river is not
                let sway = if row == 1 || row == 2 { 20.0 } else { 60.0 };
                column.push(Plan { u: u + spread(rng, 70.0), v: v + spread(rng, sway) });
            }
            points.push(column);
        }
        let mut streets = Self { all: named(), lanes: Vec::new(), points };
        streets.add_lanes(rng);
        streets
    }

    /// Up to two lanes through each block, named after the street south of them.
    fn add_lanes(&mut self, rng: &mut ChaCha8Rng) {
        for row in [0, 2, 3, 4, 5, 6] {
            let name = ROW_NAMES[row];
            // the outermost rows of streets are shorter by a block at both ends
            let columns = if row == 0 || row == 6 { 1..8 } else { 0..9 };
            for column in columns {
                let across = 0.35 + 0.3 * unit(rng);
                let (northward, eastward) = (unit(rng) < 0.8, unit(rng) < 0.55 && row != 0);
                let corner = |c: usize, r: usize| self.at((column + c, row + r));
                let (sw, se, nw, ne) = (corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1));
                let side = |a: Plan, b: Plan| Plan {
                    u: a.u + (b.u - a.u) * across,
                    v: a.v + (b.v - a.v) * across,
                };
                let number = 10 * column + 7 + row;
                let lanes = [
                    (northward, number, side(sw, se), side(nw, ne)),
                    (eastward, number + 4, side(sw, nw), side(se, ne)),
                ];
                for (_, number, from, to) in lanes.into_iter().filter(|lane| lane.0) {
                    let street_id = format!("LN-{:03}", self.lanes.len() + 1);
                    let name = format!("Ngõ {number} {name}");
                    self.lanes.push(Lane { street_id, name, from, to });
                }
            }
        }
    }

    pub(crate) fn at(&self, (column, row): Junction) -> Plan {
        self.points[column][row]
    }

    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        for (street, s) in self.all.iter().enumerate() {
            for pair in s.junctions.windows(2) {
                stretches.push(Stretch { street, from: pair[0], to: pair[1] });
            }
        }
        stretches
    }

    /// The street that crosses `street` at a junction, if any does.
    pub(crate) fn crossing(&self, street: usize, at: Junction) -> Option<&Street> {
        let others = self.all.iter().enumerate();
        others.filter(|(i, s)| *i != street && s.junctions.contains(&at)).map(|(_, s)| s).next()
    }

    /// `Trần Phú – Lê Lợi`.
    pub(crate) fn junction_name(&self, at: Junction) -> String {
        let here = self.all.iter().filter(|s| s.junctions.contains(&at));
        here.take(2).map(|s| s.name).collect::<Vec<_>>().join(" – ")
    }

    /// A point of a stretch, `share` of the way from its start.
    pub(crate) fn between(&self, stretch: Stretch, share: f64) -> Plan {
        let (a, b) = (self.at(stretch.from), self.at(stretch.to));
        Plan { u: a.u + (b.u - a.u) * share, v: a.v + (b.v - a.v) * share }
    }

    /// The line of a street on the ground.
    pub(crate) fn line(&self, street: &Street, terrain: Terrain) -> Vec<Place> {
        let mut line: Vec<Place> = Vec::new();
        for pair in street.junctions.windows(2) {
            line.extend(bent(self.at(pair[0]), self.at(pair[1]), terrain));
        }
        line.extend(street.junctions.last().map(|end| terrain.place(self.at(*end))));
        line
    }
}

impl Lane {
    pub(crate) fn line(&self, terrain: Terrain) -> Vec<Place> {
        let end = terrain.place(self.to);
        bent(self.from, self.to, terrain).chain(std::iter::once(end)).collect()
    }
}

/// Points of a stretch on the ground, without its end.
fn bent(from: Plan, to: Plan, terrain: Terrain) -> impl Iterator<Item = Place> {
    const STEPS: u32 = 7;
    (0..STEPS).map(move |k| {
        let share = f64::from(k) / f64::from(STEPS);
        let (u, v) = (from.u + (to.u - from.u) * share, from.v + (to.v - from.v) * share);
        terrain.place(Plan { u, v })
    })
}

fn named() -> Vec<Street> {
    let mut all = Vec::new();
    let mut add = |name: &'static str, class, run, junctions: Vec<Junction>| {
        let street_id = format!("ST-{:02}", all.len() + 1);
        all.push(Street { street_id, name, class, run, junctions });
    };
    for (row, name) in ROW_NAMES.into_iter().enumerate() {
        let outer = row == 0 || row == ROWS.len() - 1;
        let columns = if outer { 1..=8 } else { 0..=9 };
        let class = if matches!(row, 0 | 3 | 5) { Class::Primary } else { Class::Secondary };
        add(name, class, Run::WestToEast, columns.map(|c| (c, row)).collect());
    }
    for (column, name) in COLUMN_NAMES.into_iter().enumerate() {
        let bridge = BRIDGES.contains(&column);
        let first = if bridge { 0 } else { 2 };
        let last = if matches!(column, 0 | 9) { 6 } else { 7 };
        let class = if bridge || column == 3 { Class::Primary } else { Class::Secondary };
        add(name, class, Run::SouthToNorth, (first..=last).map(|r| (column, r)).collect());
    }
    for (column, name) in SOUTHERN {
        add(name, Class::Secondary, Run::SouthToNorth, vec![(column, 0), (column, 1)]);
    }
    add(AVENUE.0, Class::Primary, Run::WestToEast, AVENUE.1.to_vec());
    all
}
