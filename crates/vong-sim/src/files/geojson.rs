//! The city's map as GeoJSON (RFC 7946): WGS 84, one feature a line, members in a fixed order.

use std::fmt::Write;

use vong_model::Place;

use crate::world::World;

pub(super) fn units(world: &World) -> String {
    let units = world.units();
    let outlines = world.unit_outlines();
    let features = outlines.iter().filter_map(|(code, ring)| {
        let unit = units.iter().find(|u| u.unit_code == *code && u.valid_to.is_none())?;
        let properties = properties(&[
            ("unit_code", code.as_str()),
            ("name_vi", &unit.name_vi),
            ("name_en", &unit.name_en),
            ("level", &unit.level),
            ("valid_from", &unit.valid_from),
        ]);
        Some(feature(&properties, "Polygon", &format!("[{}]", positions(ring))))
    });
    collection(features)
}

pub(super) fn streets(world: &World) -> String {
    let streets = world.streets();
    let features = streets.iter().map(|street| {
        let properties = properties(&[
            ("street_id", &street.street_id),
            ("name_vi", &street.name_vi),
            ("name_en", &street.name_en),
            ("class", street.class),
        ]);
        feature(&properties, "LineString", &positions(&street.line))
    });
    collection(features)
}

pub(super) fn river(world: &World) -> String {
    let river = world.river();
    let named = |part: &str| {
        properties(&[("name_vi", "Sông Mẫu"), ("name_en", "Mẫu River"), ("part", part)])
    };
    let banks = feature(&named("water"), "Polygon", &format!("[{}]", positions(&river.banks)));
    let middle = feature(&named("middle"), "LineString", &positions(&river.middle));
    collection([banks, middle].into_iter())
}

fn collection(features: impl Iterator<Item = String>) -> String {
    let features = features.collect::<Vec<_>>().join(",\n");
    format!("{{\"type\":\"FeatureCollection\",\"simulated\":true,\"features\":[\n{features}\n]}}\n")
}

fn feature(properties: &str, geometry: &str, coordinates: &str) -> String {
    format!(
        "{{\"type\":\"Feature\",\"properties\":{properties},\
         \"geometry\":{{\"type\":\"{geometry}\",\"coordinates\":{coordinates}}}}}"
    )
}

/// An object of texts, in the order given. The texts are ours and hold nothing JSON escapes.
fn properties(members: &[(&str, &str)]) -> String {
    let members: Vec<String> = members.iter().map(|(k, v)| format!("\"{k}\":\"{v}\"")).collect();
    format!("{{{}}}", members.join(","))
}

fn positions(line: &[Place]) -> String {
    let mut text = String::from("[");
    for (at, place) in line.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(text, "{comma}[{},{}]", place.lon, place.lat)
            .expect("writing to a string cannot fail");
    }
    text.push(']');
    text
}
