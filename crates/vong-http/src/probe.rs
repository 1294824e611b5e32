//! `POST /api/v1/cameras/probe`: looks at a camera before it is put into the register.

use std::future::Future;
use std::pin::Pin;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use vong_model::{Action, authorize};
use vong_telemetry::Kind;
use vong_wire::probe::{CameraProbe, CameraProbeRequest};

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// Longest address, name or password, bytes.
const TEXT_LIMIT: usize = 1_024;
const SECONDS: std::ops::RangeInclusive<u64> = 1..=60;

/// Who looks at cameras; the composition root knows one.
pub trait ProbeCamera: Send + Sync + std::fmt::Debug {
    /// `None` when too many are being looked at already.
    fn probe(
        &self,
        request: CameraProbeRequest,
    ) -> Pin<Box<dyn Future<Output = Option<CameraProbe>> + Send + '_>>;
}

/// Connects to the camera, watches it for some seconds and says whether it is usable.
#[utoipa::path(post, path = "/api/v1/cameras/probe", request_body = CameraProbeRequest,
    responses((status = 200, body = CameraProbe), (status = 400, body = vong_wire::http::Problem),
        (status = 503, body = vong_wire::http::Problem)))]
pub(crate) async fn look(
    State(app): State<App>,
    Caller(caller): Caller,
    body: Result<Json<CameraProbeRequest>, JsonRejection>,
) -> Result<Json<CameraProbe>, Problem> {
    authorize(&caller, Action::ProbeCamera, "*")?;
    // What is wrong with the body is not repeated: it may be the password.
    let Json(request) = body.map_err(|_may_show_the_password| {
        Problem::invalid("body is no probe request")
            .with_hint("send JSON with url, and username and password as texts where needed")
    })?;
    check(&request)?;
    let Some(prober) = app.prober.clone() else {
        return Err(Problem::new(Kind::Unavailable, "cameras cannot be looked at here"));
    };
    let seen = prober.probe(request).await.ok_or_else(|| {
        Problem::new(Kind::Unavailable, "too many cameras are being looked at; try again soon")
    })?;
    Ok(Json(seen))
}

fn check(request: &CameraProbeRequest) -> Result<(), Problem> {
    let CameraProbeRequest { url, username, password, udp: _, seconds } = request;
    if url.is_empty() {
        return Err(Problem::invalid("url is missing").with_hint("as in rtsp://192.168.1.20/s1"));
    }
    let texts = [Some(url), username.as_ref(), password.as_ref()];
    if texts.into_iter().flatten().any(|text| text.len() > TEXT_LIMIT) {
        return Err(Problem::invalid(format!("texts are at most {TEXT_LIMIT} bytes")));
    }
    if seconds.is_some_and(|seconds| !SECONDS.contains(&seconds)) {
        return Err(Problem::invalid("seconds must lie in 1 to 60"));
    }
    if username.is_some() != password.is_some() {
        return Err(Problem::invalid("username and password belong together"));
    }
    Ok(())
}
