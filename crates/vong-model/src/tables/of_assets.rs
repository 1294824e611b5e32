//! What stands in the city, as tables for rules: `sensors`, `cameras`, `units`.

use std::collections::BTreeMap;

use super::{FieldType, Table, TableColumn, TextRow};
use crate::assets::{Assets, Unit};

use FieldType::{Key, Number, Text};

/// `sensors`, `cameras` (without their addresses) and `units`. A unit whose code was used more than
/// once stands there once, as it was from its latest `valid_from` on.
pub fn of_assets(assets: &Assets) -> Vec<Table> {
    vec![sensors(assets), cameras(assets), units(assets)]
}

fn table(name: &str, columns: &[(&str, FieldType)], rows: Vec<TextRow>) -> Table {
    let columns = columns.iter().map(|(name, field_type)| TableColumn {
        name: (*name).to_owned(),
        field_type: *field_type,
    });
    Table::from_rows(name, columns.collect(), rows)
}

fn some(text: &impl ToString) -> Option<String> {
    Some(text.to_string()).filter(|text| !text.is_empty())
}

fn number(number: f64) -> Option<String> {
    number.is_finite().then(|| number.to_string())
}

fn sensors(assets: &Assets) -> Table {
    let columns = [
        ("sensor_id", Key),
        ("kind", Text),
        ("name_vi", Text),
        ("name_en", Text),
        ("lon", Number),
        ("lat", Number),
        ("unit_code", Text),
    ];
    let rows = assets.sensors.values().map(|s| {
        vec![
            some(&s.sensor_id),
            some(&s.kind),
            some(&s.name_vi),
            some(&s.name_en),
            number(s.place.lon),
            number(s.place.lat),
            some(&s.unit_code),
        ]
    });
    table("sensors", &columns, rows.collect())
}

fn cameras(assets: &Assets) -> Table {
    let columns = [
        ("camera_id", Key),
        ("name_vi", Text),
        ("name_en", Text),
        ("lon", Number),
        ("lat", Number),
        ("heading_deg", Number),
        ("fov_deg", Number),
        ("range_m", Number),
        ("class", Text),
        ("unit_code", Text),
    ];
    let rows = assets.cameras.values().map(|c| {
        vec![
            some(&c.camera_id),
            some(&c.name_vi),
            some(&c.name_en),
            number(c.place.lon),
            number(c.place.lat),
            number(c.heading_deg),
            number(c.fov_deg),
            number(c.range_m),
            some(&c.class.as_str()),
            some(&c.unit_code),
        ]
    });
    table("cameras", &columns, rows.collect())
}

fn units(assets: &Assets) -> Table {
    let mut latest: BTreeMap<&str, &Unit> = BTreeMap::new();
    for unit in &assets.units {
        let known = latest.entry(unit.unit_code.as_str()).or_insert(unit);
        if known.valid_from <= unit.valid_from {
            *known = unit;
        }
    }
    let columns = [
        ("unit_code", Key),
        ("name_vi", Text),
        ("name_en", Text),
        ("level", Text),
        ("parent_code", Text),
        ("valid_from", Text),
        ("valid_to", Text),
    ];
    let rows = latest.values().map(|u| {
        vec![
            some(&u.unit_code),
            some(&u.name_vi),
            some(&u.name_en),
            some(&u.level),
            u.parent_code.as_ref().map(ToString::to_string),
            some(&u.valid_from),
            u.valid_to.clone(),
        ]
    });
    table("units", &columns, rows.collect())
}
