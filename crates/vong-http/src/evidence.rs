//! Evidence packages: asked for, watched while they are made, fetched in as many pieces as it takes.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType, UInt64Type};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use vong_evidence::{AlertFacts, AlertRow, CameraFacts, Desk, Export, ExportRequest, ExportState};
use vong_model::{Action, AlertId, CameraId, EventTime, Principal, authorize};
use vong_telemetry::Kind;
use vong_wire::http::{EvidenceKey, EvidencePackage, EvidenceRequest};

use crate::app::App;
use crate::clips::{blocking, parse_range};
use crate::error::Problem;
use crate::guard::Caller;
use crate::lineage;

/// A package is read and sent in pieces of this size, bytes.
const PIECE: u64 = 256 * 1024;

/// Rows behind an alert that go into a package.
const MOST_ROWS: usize = 10_000;

/// Begins to make a package: its footage is on hold when this answers.
#[utoipa::path(post, path = "/api/v1/evidence", request_body = EvidenceRequest, responses(
    (status = 202, body = EvidencePackage), (status = 400, body = vong_wire::http::Problem),
    (status = 403, body = vong_wire::http::Problem),
    (status = 429, body = vong_wire::http::Problem, description = "another package is being made")))]
pub(crate) async fn begin(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(request): Json<EvidenceRequest>,
) -> Result<(StatusCode, Json<EvidencePackage>), Problem> {
    authorize(&caller, Action::ExportClip, "*")?;
    let wanted = match (&request.alert_id, request.from_ms.zip(request.to_ms)) {
        (Some(alert_id), None) if request.cameras.is_empty() => {
            of_alert(&app, &caller, &AlertId::from(alert_id.as_str())).await?
        }
        (None, Some((from_ms, to_ms))) => {
            let time = |ms: i64| EventTime(ms.saturating_mul(1_000));
            let cameras = request.cameras.iter().map(|id| CameraId::from(id.as_str())).collect();
            Wanted { cameras, span: time(from_ms)..time(to_ms), alert: None }
        }
        _ => {
            return Err(Problem::invalid("a package is of cameras and a range, or of an alert")
                .with_hint("send cameras, from_ms and to_ms; or alert_id alone"));
        }
    };
    for camera in &wanted.cameras {
        app.may_see(&caller, Action::ExportClip, camera)?;
    }
    let request = to_export(&app, &caller, wanted, request);
    let desk = app.evidence.clone();
    let begun = blocking(move || desk.begin(request)).await?;
    let export = begun.map_err(|e| Problem::from_error(&e))?;
    Ok((StatusCode::ACCEPTED, Json(told(&export))))
}

/// All packages the server still keeps, oldest first.
#[utoipa::path(get, path = "/api/v1/evidence", responses((status = 200, body = Vec<EvidencePackage>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<EvidencePackage>>, Problem> {
    authorize(&caller, Action::ExportClip, "*")?;
    Ok(Json(app.evidence.list().iter().map(told).collect()))
}

/// How far a package is.
#[utoipa::path(get, path = "/api/v1/evidence/{package_id}", params(("package_id" = String, Path)), responses(
    (status = 200, body = EvidencePackage), (status = 404, body = vong_wire::http::Problem)))]
pub(crate) async fn status(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(package_id): Path<String>,
) -> Result<Json<EvidencePackage>, Problem> {
    authorize(&caller, Action::ExportClip, &package_id)?;
    let export = app.evidence.get(&package_id).map_err(|e| Problem::from_error(&e))?;
    Ok(Json(told(&export)))
}

/// Whose signature packages carry.
#[utoipa::path(get, path = "/api/v1/evidence/key", responses((status = 200, body = EvidenceKey)))]
pub(crate) async fn key(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<EvidenceKey>, Problem> {
    authorize(&caller, Action::ViewVideo, "*")?;
    let key = app.evidence.key().map_err(|e| Problem::from_error(&e))?;
    Ok(Json(EvidenceKey {
        algorithm: "Ed25519".to_owned(),
        public_key: key.to_hex(),
        fingerprint: key.fingerprint().to_string(),
    }))
}

/// Who made and fetched a package, as the server knows it.
#[utoipa::path(get, path = "/api/v1/evidence/{package_id}/custody.jsonl", params(("package_id" = String, Path)),
    responses((status = 200, content_type = "application/jsonl"), (status = 404, body = vong_wire::http::Problem)))]
pub(crate) async fn custody(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(package_id): Path<String>,
) -> Result<Response, Problem> {
    authorize(&caller, Action::ExportClip, &package_id)?;
    let desk = app.evidence.clone();
    let custody = blocking(move || desk.custody(&package_id)).await?;
    let custody = custody.map_err(|e| Problem::from_error(&e))?;
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], custody).into_response())
}

/// A package as a ZIP archive. A transfer that broke off goes on with `Range` and `If-Range`; every
/// request is recorded before the first byte is sent.
#[utoipa::path(get, path = "/api/v1/evidence/{package_id}/package.zip", params(("package_id" = String, Path)),
    responses((status = 200, content_type = "application/zip"), (status = 206), (status = 404, body = vong_wire::http::Problem)))]
pub(crate) async fn fetch(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(package_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    authorize(&caller, Action::ExportClip, &package_id)?;
    let export = app.evidence.get(&package_id).map_err(|e| Problem::from_error(&e))?;
    let ExportState::Ready(total) = export.state else {
        return Err(Problem::new(Kind::Unavailable, "the package is not ready"));
    };
    let tag = format!("\"{package_id}\""); // a package never changes
    let same = headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
    let asked = headers.get(header::RANGE).filter(|_| same).and_then(|range| range.to_str().ok());
    let (status, range) = match asked.and_then(|text| parse_range(text, total)) {
        None => (StatusCode::OK, 0..total),
        Some(Ok(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Err(())) => {
            let headers = [(header::CONTENT_RANGE, format!("bytes */{total}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let file =
        open(&app.evidence, package_id.clone(), caller.name().to_owned(), range.start).await?;
    let last = range.end.saturating_sub(1);
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, range.end.saturating_sub(range.start).to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, tag),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{package_id}.zip\"")),
    ];
    let place = (status == StatusCode::PARTIAL_CONTENT)
        .then(|| [(header::CONTENT_RANGE, format!("bytes {}-{last}/{total}", range.start))]);
    Ok((
        status,
        headers,
        place.map(axum::response::AppendHeaders),
        Body::from_stream(pieces(file, range)),
    )
        .into_response())
}

/// What a package is to hold.
struct Wanted {
    cameras: Vec<CameraId>,
    span: Range<EventTime>,
    alert: Option<AlertFacts>,
}

fn to_export(
    app: &App,
    caller: &Principal,
    wanted: Wanted,
    request: EvidenceRequest,
) -> ExportRequest {
    let Wanted { cameras, span, alert } = wanted;
    let EvidenceRequest { case, purpose, by, .. } = request;
    let known = |id: CameraId| match app.assets.now().cameras.get(&id) {
        Some(camera) => CameraFacts::Registered(Box::new(camera.clone())),
        None => CameraFacts::Unregistered(id),
    };
    ExportRequest {
        package_id: Desk::new_id(EventTime(app.clock.now())),
        cameras: cameras.into_iter().map(known).collect(),
        from: span.start,
        to: span.end,
        case,
        purpose,
        asked_by: by,
        account: caller.name().to_owned(),
        alert,
        holds: Vec::new(),
    }
}

/// The cameras and the range of an alert's clips, and the rows behind it.
async fn of_alert(app: &App, caller: &Principal, alert_id: &AlertId) -> Result<Wanted, Problem> {
    let id = alert_id.as_str().replace('\'', "''");
    let sql = format!(
        "SELECT DISTINCT CAST(camera_id AS VARCHAR), min(from_time) OVER (), max(to_time) OVER () \
         FROM clips WHERE alert_id = '{id}' ORDER BY 1"
    );
    let clips = collect(app, caller, &sql).await?;
    let (mut cameras, mut span) = (Vec::new(), None);
    for batch in &clips {
        let (ids, from, to) = (texts(batch, 0)?, times(batch, 1)?, times(batch, 2)?);
        for row in 0..batch.num_rows() {
            cameras.push(CameraId::from(ids.value(row)));
            span = Some(EventTime(from.value(row))..EventTime(to.value(row)));
        }
    }
    let span = span.ok_or_else(|| {
        Problem::not_found(format!("no clips are filed for an alert '{alert_id}'"))
            .with_hint("name cameras and a range instead")
    })?;
    let sql = format!(
        "SELECT CAST(rule_id AS VARCHAR) FROM alert_transitions WHERE alert_id = '{id}' LIMIT 1"
    );
    let rules = collect(app, caller, &sql).await?;
    let rule = rules.iter().find(|batch| batch.num_rows() > 0);
    let rule_id = rule.map(|batch| texts(batch, 0).map(|ids| ids.value(0).to_owned()));
    let statement = lineage::statement(app, caller, alert_id).await?;
    let mut rows = Vec::new();
    for batch in collect(app, caller, &statement).await? {
        read_rows(&batch, &mut rows)?;
    }
    let cut = rows.len() >= MOST_ROWS;
    let rule_id = rule_id.transpose()?.unwrap_or_default();
    let alert = AlertFacts { alert_id: alert_id.to_string(), rule_id, rows, cut };
    Ok(Wanted { cameras, span, alert: Some(alert) })
}

fn read_rows(batch: &RecordBatch, rows: &mut Vec<AlertRow>) -> Result<(), Problem> {
    let (part, at, what) = (texts(batch, 0)?, times(batch, 1)?, texts(batch, 3)?);
    let offsets = batch.columns().get(2).and_then(|c| c.as_primitive_opt::<UInt64Type>());
    let offsets = offsets.ok_or_else(|| unexpected("offset"))?;
    for row in 0..batch.num_rows() {
        rows.push(AlertRow {
            part: part.value(row).to_owned(),
            at_us: at.value(row),
            log_offset: offsets.value(row),
            what: what.value(row).to_owned(),
        });
    }
    Ok(())
}

async fn collect(app: &App, caller: &Principal, sql: &str) -> Result<Vec<RecordBatch>, Problem> {
    let rows = app.query.execute(caller, sql).await.map_err(|e| Problem::from_error(&e))?;
    rows.collect().await.map_err(|e| Problem::from_error(&e))
}

fn texts(batch: &RecordBatch, column: usize) -> Result<arrow::array::StringArray, Problem> {
    let column = batch.columns().get(column).ok_or_else(|| unexpected("text"))?;
    let plain = cast(column, &DataType::Utf8).map_err(|_why| unexpected("text"))?;
    plain.as_string_opt::<i32>().cloned().ok_or_else(|| unexpected("text"))
}

fn times(
    batch: &RecordBatch,
    column: usize,
) -> Result<arrow::array::TimestampMicrosecondArray, Problem> {
    let column = batch.columns().get(column).ok_or_else(|| unexpected("time"))?;
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone));
    let micros = micros.map_err(|_why| unexpected("time"))?;
    micros.as_primitive_opt::<TimestampMicrosecondType>().cloned().ok_or_else(|| unexpected("time"))
}

fn unexpected(what: &str) -> Problem {
    Problem::new(Kind::Internal, format!("a query for evidence gave no {what}"))
}

fn told(export: &Export) -> EvidencePackage {
    let (done_bytes, all_bytes) = export.progress.get();
    let (state, package_bytes, error) = match &export.state {
        ExportState::Making => ("making", None, None),
        ExportState::Ready(bytes) => ("ready", Some(*bytes), None),
        ExportState::Failed(why) => ("failed", None, Some(why.clone())),
    };
    EvidencePackage {
        package_id: export.package_id.clone(),
        state: state.to_owned(),
        done_bytes,
        all_bytes,
        package_bytes,
        error,
        asked_ms: export.asked_at.millis(),
    }
}

async fn open(desk: &Desk, package_id: String, who: String, from: u64) -> Result<File, Problem> {
    let desk = desk.clone();
    let opened = blocking(move || desk.fetch(&package_id, &who, from)).await?;
    opened.map(|(file, _bytes)| file).map_err(|e| Problem::from_error(&e))
}

fn pieces(
    file: File,
    range: Range<u64>,
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::try_unfold((Arc::new(file), range), |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.start.saturating_add(PIECE).min(range.end);
        let (start, reader) = (range.start, Arc::clone(&file));
        let read = move || {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
            reader.read_exact_at(&mut bytes, start).map(|()| Bytes::from(bytes))
        };
        let bytes = tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
        Ok(Some((bytes, (file, end..range.end))))
    })
}
