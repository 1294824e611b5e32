//! Administrative units of the city: two tiers since 1 July 2025, and what they replaced.
//!
//! Code 99001 was given to another ward before that day: a code alone does not name a unit.

use vong_model::{Place, Unit, UnitCode};

use super::terrain::{EAST, NORTH, Plan, RIVER_V, SOUTH, Terrain, WEST};

/// The province-level code; no real province has it.
pub(crate) const PROVINCE: &str = "99";
const REFORM: &str = "2025-07-01";

struct Ward {
    code: &'static str,
    name_vi: &'static str,
    name_en: &'static str,
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

const CORE_WEST: f64 = -1_950.0;
const CORE_EAST: f64 = 1_200.0;
const CORE_NORTH: f64 = 1_500.0;
const SOUTH_SPLIT: f64 = 300.0;

const fn ward(
    code: &'static str,
    names: (&'static str, &'static str),
    west_east: (f64, f64),
    south_north: (f64, f64),
) -> Ward {
    Ward {
        code,
        name_vi: names.0,
        name_en: names.1,
        west: west_east.0,
        east: west_east.1,
        south: south_north.0,
        north: south_north.1,
    }
}

/// They tile the plan without gap or overlap.
const WARDS: [Ward; 6] = [
    ward(
        "99001",
        ("Phường Trung Tâm", "Trung Tam Ward"),
        (CORE_WEST, CORE_EAST),
        (RIVER_V, CORE_NORTH),
    ),
    ward("99002", ("Phường Tây Thành", "Tay Thanh Ward"), (WEST, CORE_WEST), (RIVER_V, CORE_NORTH)),
    ward("99003", ("Phường Đông Hải", "Dong Hai Ward"), (CORE_EAST, EAST), (RIVER_V, CORE_NORTH)),
    ward("99004", ("Xã Bắc Sơn", "Bac Son Commune"), (WEST, EAST), (CORE_NORTH, NORTH)),
    ward("99005", ("Phường Nam Sông", "Nam Song Ward"), (WEST, SOUTH_SPLIT), (SOUTH, RIVER_V)),
    ward("99006", ("Xã Bình Minh", "Binh Minh Commune"), (SOUTH_SPLIT, EAST), (SOUTH, RIVER_V)),
];

/// Wards that ended with the reform; the first one's code lives on with another meaning.
const FORMER: [(&str, &str, &str); 3] = [
    ("99001", "Phường Bến Thuyền", "Ben Thuyen Ward"),
    ("99011", "Phường Chợ Cũ", "Cho Cu Ward"),
    ("99012", "Xã Đồng Vang", "Dong Vang Commune"),
];

/// The province, its communes of today, then former units.
pub(crate) fn all() -> Vec<Unit> {
    let province = Unit {
        unit_code: UnitCode::from(PROVINCE),
        name_vi: "Thành phố Mẫu".to_owned(),
        name_en: "Sample City".to_owned(),
        level: "province".to_owned(),
        parent_code: None,
        valid_from: REFORM.to_owned(),
        valid_to: None,
    };
    let commune = |code: &str, name_vi: &str, name_en: &str, dates: (&str, Option<&str>)| Unit {
        unit_code: UnitCode::from(code),
        name_vi: name_vi.to_owned(),
        name_en: name_en.to_owned(),
        level: "commune".to_owned(),
        parent_code: Some(UnitCode::from(PROVINCE)),
        valid_from: dates.0.to_owned(),
        valid_to: dates.1.map(str::to_owned),
    };
    let today = WARDS.iter().map(|w| commune(w.code, w.name_vi, w.name_en, (REFORM, None)));
    let former =
        FORMER.iter().map(|(code, vi, en)| commune(code, vi, en, ("2004-01-01", Some(REFORM))));
    std::iter::once(province).chain(today).chain(former).collect()
}

/// The ward of today that holds a point of the plan.
pub(crate) fn code_at(at: Plan) -> UnitCode {
    let inside = |w: &&Ward| at.u >= w.west && at.u < w.east && at.v >= w.south && at.v < w.north;
    UnitCode::from(WARDS.iter().find(inside).map_or(PROVINCE, |w| w.code))
}

/// Outlines of today's wards: code and a closed ring, counter-clockwise as RFC 7946 asks.
pub(crate) fn outlines(terrain: Terrain) -> Vec<(UnitCode, Vec<Place>)> {
    WARDS.iter().map(|w| (UnitCode::from(w.code), ring(w, terrain))).collect()
}

fn ring(w: &Ward, terrain: Terrain) -> Vec<Place> {
    let corners = [(w.west, w.south), (w.east, w.south), (w.east, w.north), (w.west, w.north)];
    let mut ring = Vec::new();
    for (at, from) in corners.iter().enumerate() {
        let to = corners[(at + 1) % corners.len()];
        ring.extend(side(*from, to).into_iter().map(|p| terrain.place(p)));
    }
    ring.extend(ring.first().copied());
    ring
}

/// Points from `from` up to, not including, `to`. Steps lie on a fixed raster, so that two wards
/// that share a side share its points.
fn side(from: (f64, f64), to: (f64, f64)) -> Vec<Plan> {
    const RASTER_M: f64 = 150.0;
    let along_u = (from.0 - to.0).abs() > (from.1 - to.1).abs();
    let (start, end) = if along_u { (from.0, to.0) } else { (from.1, to.1) };
    let (low, high) = (start.min(end), start.max(end));
    let mut steps = vec![low];
    let mut raster = (low / RASTER_M).floor() * RASTER_M + RASTER_M;
    while raster < high {
        steps.push(raster);
        raster += RASTER_M;
    }
    steps.push(high);
    if start > end {
        steps.reverse();
    }
    steps.pop();
    let point = |s: f64| if along_u { Plan { u: s, v: from.1 } } else { Plan { u: from.0, v: s } };
    steps.into_iter().map(point).collect()
}
