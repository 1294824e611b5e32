//! What stands in the city, as tables: `sensors`, `cameras`, `units`, and what the caller adds.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use vong_model::Assets;
use vong_sql::functions::Areas;

/// Dimension tables by name.
#[derive(Clone, Debug, Default)]
pub struct Dimensions {
    tables: BTreeMap<String, RecordBatch>,
    areas: Arc<Areas>,
    assets: Arc<Assets>,
}

impl Dimensions {
    /// `sensors`, `cameras` (without their addresses, which can hold passwords) and `units`.
    pub fn new(assets: &Assets) -> Self {
        let mut tables = BTreeMap::new();
        tables.insert("sensors".to_owned(), sensors(assets));
        tables.insert("cameras".to_owned(), cameras(assets));
        tables.insert("units".to_owned(), units(assets));
        Self { tables, areas: Arc::default(), assets: Arc::new(assets.clone()) }
    }

    /// Adds or replaces a table, as `sources`.
    #[must_use]
    pub fn with(mut self, name: &str, rows: RecordBatch) -> Self {
        self.tables.insert(name.to_owned(), rows);
        self
    }

    /// What `st_within` knows.
    #[must_use]
    pub fn with_areas(self, areas: Arc<Areas>) -> Self {
        Self { areas, ..self }
    }

    pub(crate) fn into_parts(self) -> (BTreeMap<String, RecordBatch>, Arc<Areas>, Arc<Assets>) {
        (self.tables, self.areas, self.assets)
    }
}

/// Documentation of the columns above; `(table, column, doc)`.
pub(super) const DOCS: [(&str, &str, &str); 28] = [
    ("sensors", "sensor_id", "Device, unique in the city."),
    ("sensors", "kind", "traffic, water_level, rain, air_quality, noise, door or power."),
    ("sensors", "name_vi", "Name, Vietnamese."),
    ("sensors", "name_en", "Name, English."),
    ("sensors", "lon", "Longitude, degrees, WGS 84."),
    ("sensors", "lat", "Latitude, degrees, WGS 84."),
    ("sensors", "unit_code", "Administrative unit where it stands."),
    ("cameras", "camera_id", "Camera, unique in the city."),
    ("cameras", "name_vi", "Name, Vietnamese."),
    ("cameras", "name_en", "Name, English."),
    ("cameras", "lon", "Longitude, degrees, WGS 84."),
    ("cameras", "lat", "Latitude, degrees, WGS 84."),
    ("cameras", "heading_deg", "Direction of view, degrees clockwise from north."),
    ("cameras", "fov_deg", "Width of the view, degrees; 360 where the camera turns."),
    ("cameras", "range_m", "How far it shows what happens, metres."),
    ("cameras", "class", "`observation`, `surveillance`, `plate_recognition` or `counting`."),
    ("cameras", "owner", "Who answers for it."),
    ("cameras", "purpose", "Why it records."),
    ("cameras", "recording", "`continuous`, or `events`: only around alerts."),
    ("cameras", "grants", "What other agencies may see of it, as in `police:clip;transport:live`."),
    ("cameras", "unit_code", "Administrative unit where it stands."),
    ("units", "unit_code", "Code; reused over the years, so look it up with a day."),
    ("units", "name_vi", "Name, Vietnamese."),
    ("units", "name_en", "Name, English."),
    ("units", "level", "province or commune."),
    ("units", "parent_code", "The unit it belongs to; null for a province."),
    ("units", "valid_from", "First day it exists, as in 2025-07-01."),
    ("units", "valid_to", "First day it no longer exists; null while it does."),
];

fn text<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn optional<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn number(values: impl Iterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let nullable = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(nullable)
        .expect("columns made from one list have one length")
}

fn sensors(assets: &Assets) -> RecordBatch {
    let all = || assets.sensors.values();
    table(vec![
        ("sensor_id", text(all().map(|s| s.sensor_id.as_str()))),
        ("kind", text(all().map(|s| s.kind.as_str()))),
        ("name_vi", text(all().map(|s| s.name_vi.as_str()))),
        ("name_en", text(all().map(|s| s.name_en.as_str()))),
        ("lon", number(all().map(|s| s.place.lon))),
        ("lat", number(all().map(|s| s.place.lat))),
        ("unit_code", text(all().map(|s| s.unit_code.as_str()))),
    ])
}

fn cameras(assets: &Assets) -> RecordBatch {
    let all = || assets.cameras.values();
    let grants: ArrayRef =
        Arc::new(StringArray::from_iter_values(all().map(|c| c.grants.to_string())));
    table(vec![
        ("camera_id", text(all().map(|c| c.camera_id.as_str()))),
        ("name_vi", text(all().map(|c| c.name_vi.as_str()))),
        ("name_en", text(all().map(|c| c.name_en.as_str()))),
        ("lon", number(all().map(|c| c.place.lon))),
        ("lat", number(all().map(|c| c.place.lat))),
        ("heading_deg", number(all().map(|c| c.heading_deg))),
        ("fov_deg", number(all().map(|c| c.fov_deg))),
        ("range_m", number(all().map(|c| c.range_m))),
        ("class", text(all().map(|c| c.class.as_str()))),
        ("owner", text(all().map(|c| c.owner.as_str()))),
        ("purpose", text(all().map(|c| c.purpose.as_str()))),
        ("recording", text(all().map(|c| c.recording.as_str()))),
        ("grants", grants),
        ("unit_code", text(all().map(|c| c.unit_code.as_str()))),
    ])
}

fn units(assets: &Assets) -> RecordBatch {
    let all = || assets.units.iter();
    table(vec![
        ("unit_code", text(all().map(|u| u.unit_code.as_str()))),
        ("name_vi", text(all().map(|u| u.name_vi.as_str()))),
        ("name_en", text(all().map(|u| u.name_en.as_str()))),
        ("level", text(all().map(|u| u.level.as_str()))),
        ("parent_code", optional(all().map(|u| u.parent_code.as_ref().map(AsRef::as_ref)))),
        ("valid_from", text(all().map(|u| u.valid_from.as_str()))),
        ("valid_to", optional(all().map(|u| u.valid_to.as_deref()))),
    ])
}
