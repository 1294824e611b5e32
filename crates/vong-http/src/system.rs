//! Doors for machines that watch the machine: liveness, readiness, metrics.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use vong_model::{Action, authorize};
use vong_wire::http::Readiness as Body;

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// The process runs.
#[utoipa::path(get, path = "/livez", responses((status = 200, description = "the process runs")))]
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// The process can do its job.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = Body), (status = 503, body = Body, description = "not yet")
))]
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let waiting_for: Vec<String> =
        app.readiness.waiting_for().into_iter().map(str::to_owned).collect();
    let ready = waiting_for.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Body { ready, waiting_for })).into_response()
}

/// All metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Response, Problem> {
    authorize(&caller, Action::ViewSystem, "metrics")?;
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, app.registry.render()).into_response())
}
