//! Clips: byte ranges of recorded footage behind a generated head, served as one MP4.

use std::ops::Range;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use vong_footage::{Clip, ClipForm};
use vong_hub::{FieldValue, View};
use vong_model::{Action, CameraId, EventTime, Principal};
use vong_telemetry::Kind;

use crate::app::App;
use crate::clip_facts;
use crate::error::Problem;
use crate::guard::Caller;

/// Footage is read and sent in pieces of this size, bytes.
const PIECE: u64 = 256 * 1024;

/// Which part of a camera's footage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    from_ms: i64,
    to_ms: i64,
    /// `fragmented` for players that start before the end is there; else one plain file.
    #[serde(default)]
    form: Option<String>,
}

impl Span {
    pub(crate) fn times(&self) -> Range<EventTime> {
        let time = |ms: i64| EventTime(ms.saturating_mul(1_000));
        time(self.from_ms)..time(self.to_ms)
    }
}

/// A clip that was filed for an alert, or with `.json` instead of `.mp4` the facts about it.
#[utoipa::path(get, path = "/api/v1/clips/{clip_id}.mp4", params(("clip_id" = String, Path)), responses(
    (status = 200, content_type = "video/mp4"), (status = 206), (status = 404, body = vong_wire::http::Problem)
))]
pub(crate) async fn filed(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(clip_id) = file.strip_suffix(".json") {
        let (camera, from, to) = find(&app, &caller, clip_id).await?;
        let facts = clip_facts::tell(app, &caller, camera, from..to).await?;
        return Ok(Json(facts).into_response());
    }
    let clip_id = file.strip_suffix(".mp4").unwrap_or(&file);
    let (camera, from, to) = find(&app, &caller, clip_id).await?;
    serve(app, &caller, camera, from..to, ClipForm::Faststart, headers).await
}

/// Any part of a camera's footage.
#[utoipa::path(get, path = "/api/v1/cameras/{camera_id}/clip.mp4",
    params(("camera_id" = String, Path), ("from_ms" = i64, Query), ("to_ms" = i64, Query), ("form" = Option<String>, Query)),
    responses((status = 200, content_type = "video/mp4"), (status = 206), (status = 404, body = vong_wire::http::Problem)))]
pub(crate) async fn of_camera(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(camera_id): Path<String>,
    Query(span): Query<Span>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = match span.form.as_deref() {
        None | Some("faststart") => ClipForm::Faststart,
        Some("fragmented") => ClipForm::Fragmented,
        Some(other) => {
            return Err(Problem::invalid(format!(
                "form '{other}' is neither faststart nor fragmented"
            )));
        }
    };
    serve(app, &caller, camera_id.into(), span.times(), form, headers).await
}

/// Camera and span of a filed clip: from the live view, or from history when it is older.
async fn find(
    app: &App,
    caller: &Principal,
    clip_id: &str,
) -> Result<(CameraId, EventTime, EventTime), Problem> {
    let missing = || Problem::not_found(format!("there is no clip '{clip_id}'"));
    // The id goes into a statement below: only what ids are made of may pass.
    if clip_id.is_empty()
        || !clip_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Err(missing());
    }
    let snapshot = app.hub.snapshot(View::Clips);
    if let Ok(at) = snapshot.rows.binary_search_by(|row| (*row.key).cmp(clip_id)) {
        let field = |name: &str| {
            let column = View::Clips.columns().iter().position(|column| *column == name)?;
            snapshot.rows.get(at)?.fields.get(column)
        };
        let time = |name: &str| match field(name) {
            Some(FieldValue::Int(ms)) => Some(EventTime(ms.saturating_mul(1_000))),
            _ => None,
        };
        if let (Some(FieldValue::Text(camera)), Some(from), Some(to)) =
            (field("camera_id"), time("from_time_ms"), time("to_time_ms"))
        {
            return Ok((CameraId::new(Arc::clone(camera)), from, to));
        }
    }
    find_in_history(app, caller, clip_id).await?.ok_or_else(missing)
}

async fn find_in_history(
    app: &App,
    caller: &Principal,
    clip_id: &str,
) -> Result<Option<(CameraId, EventTime, EventTime)>, Problem> {
    let sql = format!(
        "SELECT CAST(camera_id AS VARCHAR) AS camera_id, from_time, to_time FROM clips WHERE clip_id = '{clip_id}' LIMIT 1"
    );
    // Who may see the camera is decided once it is known which one it is.
    let rows =
        app.query.execute(&caller.asking(), &sql).await.map_err(|e| Problem::from_error(&e))?;
    let rows = rows.collect().await.map_err(|e| Problem::from_error(&e))?;
    let Some(batch) = rows.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
    let text = |column: usize| {
        let shown = arrow::util::display::array_value_to_string(batch.column(column), 0);
        shown.map_err(|e| Problem::new(Kind::Internal, e.to_string()))
    };
    let time = |column: usize| {
        use arrow::array::AsArray as _;
        let times =
            batch.column(column).as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>();
        times.map(|times| EventTime(times.value(0)))
    };
    Ok(Some(text(0)?.into())
        .zip(time(1))
        .zip(time(2))
        .map(|((camera, from), to)| (camera, from, to)))
}

async fn serve(
    app: App,
    caller: &Principal,
    camera: CameraId,
    span: Range<EventTime>,
    form: ClipForm,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.may_see(caller, Action::ViewVideo, &camera)?;
    if span.end <= span.start {
        return Err(Problem::invalid("a clip ends after it begins"));
    }
    let footage = app.footage.clone();
    let opened = blocking(move || footage.clip(&camera, span.start, span.end, form)).await?;
    let clip = Arc::new(opened.map_err(|e| Problem::from_error(&e))?);
    let total = clip.total_len();
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == clip.etag().as_bytes())
    {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    // A range of another state of the clip would be glued to bytes it does not belong to.
    let same = headers
        .get(header::IF_RANGE)
        .is_none_or(|known| known.as_bytes() == clip.etag().as_bytes());
    let asked = headers.get(header::RANGE).filter(|_| same).and_then(|range| range.to_str().ok());
    let (status, range) = match asked.and_then(|text| parse_range(text, total)) {
        None => (StatusCode::OK, 0..total),
        Some(Ok(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Err(())) => {
            let headers = [(header::CONTENT_RANGE, format!("bytes */{total}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    app.metrics.clip_bytes.inc_by(range.end.saturating_sub(range.start));
    Ok(respond(status, &clip, range, total))
}

fn respond(status: StatusCode, clip: &Arc<Clip>, range: Range<u64>, total: u64) -> Response {
    let length = range.end.saturating_sub(range.start);
    let mut headers = vec![
        (header::CONTENT_TYPE, clip.content_type().to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, clip.etag().to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        headers.push((header::CONTENT_RANGE, format!("bytes {}-{last}/{total}", range.start)));
    }
    let mut response = (status, Body::from_stream(pieces(Arc::clone(clip), range))).into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn pieces(
    clip: Arc<Clip>,
    range: Range<u64>,
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::try_unfold((clip, range), |(clip, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.start.saturating_add(PIECE).min(range.end);
        let (piece, rest) = (range.start..end, end..range.end);
        let reader = Arc::clone(&clip);
        let read = tokio::task::spawn_blocking(move || reader.read_range(piece)).await;
        let bytes = read.map_err(std::io::Error::other)?.map_err(std::io::Error::other)?;
        Ok(Some((bytes, (clip, rest))))
    })
}

/// One range of `bytes=a-b`, `bytes=a-` or `bytes=-n` (RFC 9110 §14.1.2). `None`: not understood,
/// send everything; `Err`: outside the clip.
pub(crate) fn parse_range(text: &str, total: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => total.saturating_sub(suffix.parse().ok()?)..total,
        (first, "") => first.parse().ok()?..total,
        (first, last) => {
            first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(total)
        }
    };
    Some(if range.is_empty() { Err(()) } else { Ok(range) })
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Problem::new(Kind::Internal, format!("reading footage failed: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(parse_range("bytes=0-99", 1_000), Some(Ok(0..100)));
        assert_eq!(parse_range("bytes=900-", 1_000), Some(Ok(900..1_000)));
        assert_eq!(parse_range("bytes=-10", 1_000), Some(Ok(990..1_000)));
        assert_eq!(parse_range("bytes=990-2000", 1_000), Some(Ok(990..1_000)));
        assert_eq!(parse_range("bytes=1000-", 1_000), Some(Err(())));
        assert_eq!(parse_range("bytes=5-4", 1_000), Some(Err(())));
        assert_eq!(parse_range("lines=1-2", 1_000), None);
        assert_eq!(parse_range("bytes=0-1,5-6", 1_000), None);
    }
}
