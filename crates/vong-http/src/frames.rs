//! Single frames of footage: when each is shown, so that a player can step exactly, and one of them
//! as a picture, for browsers that cannot decode the camera's codec.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use vong_footage::{Clip, ClipForm};
use vong_media::{STILL_BYTES, STILL_UNITS, StillError, StillRequest, VideoParameters};
use vong_model::{Action, CameraId, EventTime};
use vong_telemetry::Kind;
use vong_wire::http::{FootageGap, FrameTable};

use crate::app::App;
use crate::clips::blocking;
use crate::error::Problem;
use crate::guard::Caller;

/// Widest picture, pixels.
const STILL_WIDTH: u32 = 3_840;

/// A picture may take so long to decode.
const STILL_PATIENCE: Duration = Duration::from_secs(10);

/// Which part of a camera's footage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    from_ms: i64,
    to_ms: i64,
}

/// Which picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    at_us: i64,
    #[serde(default)]
    max_width: Option<u32>,
}

/// When each frame of a span is shown.
#[utoipa::path(get, path = "/api/v1/cameras/{camera_id}/frames",
    params(("camera_id" = String, Path), ("from_ms" = i64, Query), ("to_ms" = i64, Query)),
    responses((status = 200, body = FrameTable), (status = 404, body = vong_wire::http::Problem)))]
pub(crate) async fn table(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(camera_id): Path<String>,
    Query(Span { from_ms, to_ms }): Query<Span>,
) -> Result<Json<FrameTable>, Problem> {
    let camera = CameraId::from(camera_id);
    app.may_see(&caller, Action::ViewVideo, &camera)?;
    let time = |ms: i64| EventTime(ms.saturating_mul(1_000));
    let clip = open(&app, camera, (time(from_ms), time(to_ms)), ClipForm::Faststart).await?;
    Ok(Json(table_of(&clip)))
}

/// The picture that was on screen at an instant.
#[utoipa::path(get, path = "/api/v1/cameras/{camera_id}/still.jpg",
    params(("camera_id" = String, Path), ("at_us" = i64, Query, description = "microseconds since 1970"), ("max_width" = Option<u32>, Query)),
    responses((status = 200, content_type = "image/jpeg"), (status = 404, body = vong_wire::http::Problem), (status = 503, body = vong_wire::http::Problem)))]
pub(crate) async fn still(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(camera_id): Path<String>,
    Query(Moment { at_us, max_width }): Query<Moment>,
) -> Result<Response, Problem> {
    let camera = CameraId::from(camera_id);
    app.may_see(&caller, Action::ViewVideo, &camera)?;
    let Some(stills) = app.stills.clone() else {
        let told = Problem::new(Kind::Unavailable, "this installation decodes no pictures");
        return Err(told.with_hint("switch vision on in vong.toml"));
    };
    // Any frame covers more than this.
    let span = (EventTime(at_us), EventTime(at_us.saturating_add(1_000)));
    let clip = open(&app, camera.clone(), span, ClipForm::WholeGroups).await?;
    let frames = blocking(move || units(&clip)).await??;
    let request = StillRequest {
        camera,
        parameters: frames.0,
        units: frames.1,
        max_width: max_width.unwrap_or(STILL_WIDTH).clamp(16, STILL_WIDTH),
    };
    let made = tokio::time::timeout(STILL_PATIENCE, stills.jpeg(request)).await;
    match made.unwrap_or(Err(StillError::Busy)) {
        Ok(jpeg) => {
            let headers =
                [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "no-cache")];
            Ok((headers, jpeg).into_response())
        }
        Err(e @ StillError::Busy) => Err(Problem::new(Kind::Unavailable, e.to_string())),
        Err(e @ StillError::Undecodable) => Err(Problem::new(Kind::NotFound, e.to_string())),
    }
}

async fn open(
    app: &App,
    camera: CameraId,
    (from, to): (EventTime, EventTime),
    form: ClipForm,
) -> Result<Clip, Problem> {
    if to <= from {
        return Err(Problem::invalid("a span ends after it begins"));
    }
    let footage = app.footage.clone();
    let opened = blocking(move || footage.clip(&camera, from, to, form)).await?;
    opened.map_err(|e| Problem::from_error(&e))
}

fn table_of(clip: &Clip) -> FrameTable {
    let (first, end_90k) = (clip.edit_start_90k(), clip.duration_90k());
    let mut times_90k = Vec::new();
    for group in clip.groups() {
        let mut at = group.media_90k;
        for frame in &group.frames {
            // Before the edit begins frames are only decoded; behind its end they are not in it.
            if let Some(shown) = at.checked_sub(first).filter(|shown| *shown < end_90k) {
                times_90k.push(shown);
            }
            at = at.saturating_add(u64::from(frame.duration_90k));
        }
    }
    let parameters = clip.groups().last().map(|group| group.parameters.as_ref());
    let (width, height) = parameters.map_or((0, 0), |p| (p.width, p.height));
    let gap =
        |gap: &vong_media::Gap| FootageGap { from_ms: gap.from.millis(), to_ms: gap.to.millis() };
    FrameTable {
        start_us: clip.start().micros(),
        etag: clip.etag().to_owned(),
        codec: parameters.map(|p| p.rfc6381.clone()).unwrap_or_default(),
        width,
        height,
        times_90k,
        end_90k,
        gaps: clip.gaps().iter().map(gap).collect(),
    }
}

/// The frames from the key frame to the one shown first, for a decoder.
fn units(clip: &Clip) -> Result<(Arc<VideoParameters>, Vec<Bytes>), Problem> {
    let missing = || Problem::not_found("no picture was recorded at this instant");
    let sizes = || clip.groups().iter().flat_map(|group| &group.frames).map(|f| u64::from(f.size));
    // Whole groups: their frames are the end of the file, one after the other.
    let mut at = clip.total_len().checked_sub(sizes().sum()).ok_or_else(missing)?;
    let (mut units, mut bytes, mut parameters) = (Vec::new(), 0_u64, None);
    'groups: for group in clip.groups() {
        let mut shown = group.media_90k;
        parameters = Some(Arc::clone(&group.parameters));
        for frame in &group.frames {
            if shown > clip.edit_start_90k() {
                break 'groups;
            }
            let size = u64::from(frame.size);
            bytes = bytes.saturating_add(size);
            if bytes > STILL_BYTES || units.len() >= STILL_UNITS {
                return Err(Problem::not_found("the picture lies too far from a key frame"));
            }
            let read = clip.read_range(at..at.saturating_add(size));
            units.push(read.map_err(|e| Problem::from_error(&e))?);
            at = at.saturating_add(size);
            shown = shown.saturating_add(u64::from(frame.duration_90k));
        }
    }
    Ok((parameters.ok_or_else(missing)?, units))
}
