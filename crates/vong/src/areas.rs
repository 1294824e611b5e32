//! The dimension table `areas`: polygons of the map, for `st_within`.
//!
//! Units come from `units.geojson` (property `unit_code`; of several with one code the one with the
//! latest `valid_from`), other areas from `areas.geojson` (property `area_id`), both GeoJSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use vong_model::Table;
use vong_sql::functions::{AREAS, Areas};

use crate::config::Diagnostic;

#[derive(Deserialize)]
struct Collection {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    #[serde(default)]
    properties: Properties,
    geometry: Geometry,
}

#[derive(Default, Deserialize)]
struct Properties {
    unit_code: Option<String>,
    area_id: Option<String>,
    name_vi: Option<String>,
    name_en: Option<String>,
    valid_from: Option<String>,
}

/// Longitude, latitude, and perhaps a height that nobody reads.
type Position = Vec<f64>;
type Polygon = Vec<Vec<Position>>;

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Geometry {
    Polygon {
        coordinates: Polygon,
    },
    MultiPolygon {
        coordinates: Vec<Polygon>,
    },
    #[serde(other)]
    Other,
}

/// A row of the table, by id.
#[derive(Default)]
struct Row {
    valid_from: String,
    name_vi: String,
    name_en: String,
    wkt: String,
}

/// The areas of the map, ready for rules and for queries; no file, no areas.
pub(crate) fn load(map: &Path, mistakes: &mut Vec<Diagnostic>) -> Option<(Table, Areas)> {
    let mut rows = BTreeMap::new();
    for (file, id) in [("units.geojson", "unit_code"), ("areas.geojson", "area_id")] {
        if let Err(mistake) = read(&map.join(file), id, &mut rows) {
            mistakes.push(mistake);
        }
    }
    if rows.is_empty() {
        return None;
    }
    let told = |message: String| Diagnostic::of_file(map, message);
    let made = table(rows).map_err(|fault| told(fault.to_string()));
    let made = made.and_then(|table| Ok((Areas::of(&table).map_err(told)?, table)));
    match made {
        Ok((areas, table)) => Some((table, areas)),
        Err(mistake) => {
            mistakes.push(mistake);
            None
        }
    }
}

fn read(file: &Path, id: &str, rows: &mut BTreeMap<String, Row>) -> Result<(), Diagnostic> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Diagnostic::of_file(file, e.to_string())),
    };
    let collection: Collection = serde_json::from_str(&text)
        .map_err(|e| Diagnostic::at(file, e.line(), e.column(), format!("no GeoJSON: {e}")))?;
    for (number, Feature { properties, geometry }) in (1..).zip(collection.features) {
        let Properties { unit_code, area_id, name_vi, name_en, valid_from } = properties;
        let named = if id == "unit_code" { unit_code } else { area_id };
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            let message = format!("feature {number} has no property '{id}'");
            return Err(Diagnostic::of_file(file, message));
        };
        let polygons = match geometry {
            Geometry::Polygon { coordinates } => vec![coordinates],
            Geometry::MultiPolygon { coordinates } => coordinates,
            // A point or a line on the map is no area.
            Geometry::Other => continue,
        };
        let wkt = wkt(&polygons).map_err(|what| {
            Diagnostic::of_file(file, format!("feature {number}, {id} '{named}': {what}"))
                .with_hint(
                    "an area is a Polygon or MultiPolygon of [longitude, latitude] in degrees",
                )
        })?;
        let valid_from = valid_from.unwrap_or_default();
        let known = rows.entry(named).or_default();
        if known.wkt.is_empty() || known.valid_from <= valid_from {
            let (name_vi, name_en) = (name_vi.unwrap_or_default(), name_en.unwrap_or_default());
            *known = Row { valid_from, name_vi, name_en, wkt };
        }
    }
    Ok(())
}

fn wkt(polygons: &[Polygon]) -> Result<String, &'static str> {
    let mut text = String::from("MULTIPOLYGON(");
    for (place, polygon) in polygons.iter().enumerate() {
        text.push_str(if place == 0 { "(" } else { ",(" });
        for (place, ring) in polygon.iter().enumerate() {
            if ring.len() < 4 || ring.first() != ring.last() {
                return Err("a ring needs four positions and ends where it begins");
            }
            text.push_str(if place == 0 { "(" } else { ",(" });
            for (place, position) in ring.iter().enumerate() {
                let [lon, lat, ..] = position.as_slice() else {
                    return Err("a position needs two numbers");
                };
                if lon.abs() > 180.0 || lat.abs() > 90.0 {
                    return Err("longitude must lie in -180..180 and latitude in -90..90");
                }
                let comma = if place == 0 { "" } else { "," };
                write!(text, "{comma}{lon} {lat}").expect("writing to a string cannot fail");
            }
            text.push(')');
        }
        text.push(')');
    }
    text.push(')');
    Ok(text)
}

fn table(rows: BTreeMap<String, Row>) -> Result<Table, vong_model::TableFault> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let in_memory = "writing to memory cannot fail";
    let header = ["area_id:key", "name_vi:text", "name_en:text", "wkt:text"];
    writer.write_record(header).expect(in_memory);
    for (id, Row { valid_from: _, name_vi, name_en, wkt }) in rows {
        writer.write_record([id, name_vi, name_en, wkt]).expect(in_memory);
    }
    let bytes = writer.into_inner().expect(in_memory);
    Table::parse(AREAS, &String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(units: &str) -> String {
        let map = tempfile::tempdir().unwrap();
        std::fs::write(map.path().join("units.geojson"), units).unwrap();
        let mut mistakes = Vec::new();
        let loaded = load(map.path(), &mut mistakes);
        let folder = format!("{}/", map.path().display());
        let mistakes = mistakes.iter().map(|mistake| mistake.to_string().replace(&folder, ""));
        let mut lines: Vec<String> = mistakes.collect();
        lines.extend(loaded.map(|(table, _)| table.to_text()));
        lines.join("\n")
    }

    fn feature(code: &str, from: &str, geometry: &str) -> String {
        format!(
            r#"{{"properties":{{"unit_code":"{code}","name_vi":"Phường","valid_from":"{from}"}},"geometry":{geometry}}}"#
        )
    }

    #[test]
    fn units_of_the_map_become_areas() {
        let small = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}"#;
        let two = r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[4,0],[4,4],[0,0]],[[1,0.5],[2,1],[2,0.5],[1,0.5]]],[[[9,9,3],[8,9,3],[8,8,3],[9,9,3]]]]}"#;
        let point = r#"{"type":"Point","coordinates":[0,0]}"#;
        let features = [
            feature("00101", "2025-07-01", two),
            feature("00101", "2019-01-01", small),
            feature("00102", "", small),
            feature("00103", "", point),
        ];
        let text = told(&format!(r#"{{"features":[{}]}}"#, features.join(",")));
        assert_eq!(
            text,
            "area_id:key,name_vi:text,name_en:text,wkt:text\n\
             00101,Phường,,\"MULTIPOLYGON(((0 0,4 0,4 4,0 0),(1 0.5,2 1,2 0.5,1 0.5)),((9 9,8 9,8 8,9 9)))\"\n\
             00102,Phường,,\"MULTIPOLYGON(((0 0,1 0,1 1,0 0)))\"\n"
        );
    }

    #[test]
    fn faults_name_the_feature() {
        let open = r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}"#;
        let swapped = r#"{"type":"Polygon","coordinates":[[[18,105],[19,105],[19,106],[18,105]]]}"#;
        for (text, part) in [
            (
                feature("00101", "", open),
                "feature 1, unit_code '00101': a ring needs four positions",
            ),
            (feature("00101", "", swapped), "latitude in -90..90"),
            (feature("", "", open), "feature 1 has no property 'unit_code'"),
            ("{".to_owned(), "units.geojson:1:15: no GeoJSON"),
        ] {
            let told = told(&format!(r#"{{"features":[{text}]}}"#));
            assert!(told.contains(part), "{told}");
        }
    }
}
