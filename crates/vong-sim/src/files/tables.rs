//! The city's tables as CSV (RFC 4180, but lines end with a line feed), UTF-8, with a header.

use crate::error::Error;
use crate::world::World;

pub(super) fn sensors(world: &World) -> Result<String, Error> {
    let header = ["sensor_id", "kind", "name_vi", "name_en", "lon", "lat", "unit_code"];
    let rows = world.sensors().iter().map(|s| {
        let s = &s.sensor;
        vec![
            s.sensor_id.to_string(),
            s.kind.clone(),
            s.name_vi.clone(),
            s.name_en.clone(),
            s.place.lon.to_string(),
            s.place.lat.to_string(),
            s.unit_code.to_string(),
        ]
    });
    table("sensors", &header, rows)
}

pub(super) fn units(world: &World) -> Result<String, Error> {
    let header =
        ["unit_code", "name_vi", "name_en", "level", "parent_code", "valid_from", "valid_to"];
    let rows = world.units().into_iter().map(|u| {
        vec![
            u.unit_code.to_string(),
            u.name_vi,
            u.name_en,
            u.level,
            u.parent_code.map(|c| c.to_string()).unwrap_or_default(),
            u.valid_from,
            u.valid_to.unwrap_or_default(),
        ]
    });
    table("units", &header, rows)
}

pub(super) fn cameras(world: &World, rtsp: &str) -> Result<String, Error> {
    let header = [
        "camera_id",
        "name_vi",
        "name_en",
        "lon",
        "lat",
        "heading_deg",
        "unit_code",
        "url",
        "live_url",
        "fov_deg",
        "range_m",
        "class",
        "owner",
        "purpose",
        "recording",
        "grants",
    ];
    let rows = world.cameras().iter().map(|c| {
        let c = c.camera(rtsp);
        vec![
            c.camera_id.to_string(),
            c.name_vi,
            c.name_en,
            c.place.lon.to_string(),
            c.place.lat.to_string(),
            c.heading_deg.to_string(),
            c.unit_code.to_string(),
            c.url,
            c.live_url.unwrap_or_default(),
            c.fov_deg.to_string(),
            c.range_m.to_string(),
            c.class.as_str().to_owned(),
            c.owner,
            c.purpose,
            c.recording.as_str().to_owned(),
            c.grants.to_string(),
        ]
    });
    table("cameras", &header, rows)
}

fn table(
    name: &'static str,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<String, Error> {
    let failed = |source| Error::RenderTable { table: name, source };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(&row).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(e.into_error().into()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
