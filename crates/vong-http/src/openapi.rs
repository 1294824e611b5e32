//! `GET /api/v1/openapi.json`, made from the handlers themselves.

use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "Vọng", description = "The stream engine of a city's operations centre."),
    paths(
        crate::system::livez,
        crate::system::readyz,
        crate::system::metrics,
        crate::city::about,
        crate::city::sensors,
        crate::city::cameras,
        crate::city::map_layer,
        crate::sql::run,
        crate::rules::list,
        crate::rules::list_views,
        crate::rules::change,
        crate::backtest::run,
        crate::commands::act,
        crate::live::connect,
        crate::live::snapshot,
        crate::live_video::connect,
        crate::probe::look,
        crate::clips::filed,
        crate::clips::of_camera,
        crate::holds::list,
        crate::holds::release,
        crate::evidence::begin,
        crate::evidence::list,
        crate::evidence::key,
        crate::evidence::status,
        crate::evidence::custody,
        crate::evidence::fetch,
        crate::clip_facts::of_camera,
        crate::frames::table,
        crate::frames::still,
        crate::review::queue,
    ),
    components(schemas(vong_wire::http::Problem, vong_wire::live::View, vong_wire::live::Row,))
)]
struct Document;

/// The document as it is served.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}
