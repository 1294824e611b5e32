//! What stands in the city, and its map.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use vong_model::{Action, EventTime, authorize};
use vong_wire::http::{About, CameraInfo, SensorInfo};

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// Which city this is, and whether it is simulated.
#[utoipa::path(get, path = "/api/v1/about", responses((status = 200, body = About)))]
pub(crate) async fn about(State(app): State<App>) -> Json<About> {
    Json(About {
        version: app.city.version.clone(),
        city_name_vi: app.city.name_vi.clone(),
        city_name_en: app.city.name_en.clone(),
        simulated: app.city.simulated,
        server_time_ms: EventTime(app.clock.now()).millis(),
    })
}

/// All sensors with their places.
#[utoipa::path(get, path = "/api/v1/sensors", responses((status = 200, body = Vec<SensorInfo>)))]
pub(crate) async fn sensors(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<SensorInfo>>, Problem> {
    authorize(&caller, Action::ViewLive, "sensors")?;
    let assets = app.assets.now();
    let sensors = assets.sensors.values().map(|sensor| SensorInfo {
        sensor_id: sensor.sensor_id.to_string(),
        kind: sensor.kind.clone(),
        name_vi: sensor.name_vi.clone(),
        name_en: sensor.name_en.clone(),
        lon: sensor.place.lon,
        lat: sensor.place.lat,
        unit_code: sensor.unit_code.to_string(),
    });
    Ok(Json(sensors.collect()))
}

/// All cameras with their places; never their addresses.
#[utoipa::path(get, path = "/api/v1/cameras", responses((status = 200, body = Vec<CameraInfo>)))]
pub(crate) async fn cameras(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<CameraInfo>>, Problem> {
    authorize(&caller, Action::ViewLive, "cameras")?;
    let assets = app.assets.now();
    let cameras = assets.cameras.values().map(|camera| CameraInfo {
        camera_id: camera.camera_id.to_string(),
        name_vi: camera.name_vi.clone(),
        name_en: camera.name_en.clone(),
        lon: camera.place.lon,
        lat: camera.place.lat,
        heading_deg: camera.heading_deg,
        fov_deg: camera.fov_deg,
        range_m: camera.range_m,
        class: camera.class.as_str().to_owned(),
        owner: camera.owner.clone(),
        purpose: camera.purpose.clone(),
        recording: camera.recording.as_str().to_owned(),
        unit_code: camera.unit_code.to_string(),
    });
    Ok(Json(cameras.collect()))
}

/// A layer of the city's map; an empty collection where the installation has none.
#[utoipa::path(get, path = "/map/{layer}", params(("layer" = String, Path, description = "units.geojson, streets.geojson or river.geojson")),
    responses((status = 200, content_type = "application/geo+json", body = String), (status = 404)))]
pub(crate) async fn map_layer(
    State(app): State<App>,
    Path(layer): Path<String>,
) -> Result<Response, Problem> {
    // A closed list: no part of a path from outside is ever joined to a directory.
    let known = ["units.geojson", "streets.geojson", "river.geojson"]
        .into_iter()
        .find(|known| *known == layer);
    let layer =
        known.ok_or_else(|| Problem::not_found(format!("the map has no layer '{layer}'")))?;
    let content = match tokio::fs::read(app.city.map.join(layer)).await {
        Ok(content) => content,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            br#"{"type":"FeatureCollection","features":[]}"#.to_vec()
        }
        Err(e) => {
            return Err(Problem::new(
                vong_telemetry::Kind::Internal,
                format!("could not read map layer '{layer}': {e}"),
            ));
        }
    };
    let headers =
        [(header::CONTENT_TYPE, "application/geo+json"), (header::CACHE_CONTROL, "max-age=60")];
    Ok((headers, content).into_response())
}
