//! `POST /api/v1/sql`: one reading statement in, rows out as they come.

use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use vong_model::{Offset, Principal};
use vong_query::{Format, encode, encode_batch};
use vong_wire::http::SqlRequest;

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;
use crate::rules::{self, Answer};

/// So many lost ranges are named in an answer's header; the others are counted.
const SHOWN_RANGES: usize = 20;

/// Runs one read-only statement, or statements about rules as `POST /api/v1/rules` takes them. The answer's form follows `Accept`: `application/json` (an array
/// of objects, the default), `text/csv` or `application/vnd.apache.arrow.stream`.
#[utoipa::path(post, path = "/api/v1/sql", request_body = SqlRequest, responses(
    (status = 200, description = "rows; the header vong-offset names the moment of the log that they show; the header vong-lost-offsets, there only when the log is damaged, the offsets whose rows they miss"),
    (status = 400, body = vong_wire::http::Problem, description = "what is wrong with the statement, and where")
))]
pub(crate) async fn run(
    State(app): State<App>,
    Caller(caller): Caller,
    headers: HeaderMap,
    body: Result<Json<SqlRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    app.metrics.sql_queries.inc();
    let answered = answer(&app, &caller, &headers, body).await;
    if answered.is_err() {
        app.metrics.sql_failures.inc();
    }
    answered
}

async fn answer(
    app: &App,
    caller: &Principal,
    headers: &HeaderMap,
    body: Result<Json<SqlRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(SqlRequest { sql }) = body.map_err(|rejection| {
        Problem::invalid(rejection.body_text())
            .with_hint("send {\"sql\": \"SELECT …\"} as application/json")
    })?;
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::from_accept(accept);
    let sql = match rules::answer(app, caller, sql).await? {
        Answer::Query(sql) => sql,
        Answer::Rows(batch) => {
            let answer = encode_batch(&batch, format).map_err(|e| problem(&e))?;
            return Ok(([(header::CONTENT_TYPE, format.content_type())], answer).into_response());
        }
    };
    // `authorize` is the first thing the engine does with the caller.
    let results = app.query.execute(caller, &sql).await.map_err(|e| problem(&e))?;
    let as_of = results.as_of();
    let lost = lost_offsets(results.lost());
    let mut chunks = Box::pin(encode(results, format).map_err(|e| problem(&e))?);
    // A statement that fails on its first rows is answered with its reason, not with a broken body.
    let first = chunks.next().await.transpose().map_err(|e| problem(&e))?;
    let rest = stream::iter(first.map(Ok)).chain(chunks);
    let headers = [
        (header::CONTENT_TYPE.as_str(), format.content_type().to_owned()),
        ("vong-offset", as_of.to_string()),
    ];
    let mut response = (headers, Body::from_stream(rest)).into_response();
    if let Some(lost) = lost.and_then(|lost| HeaderValue::from_str(&lost).ok()) {
        response.headers_mut().insert("vong-lost-offsets", lost);
    }
    Ok(response)
}

/// `12-14, 20-20`: the offsets whose rows an answer misses, both ends included.
fn lost_offsets(lost: &[Range<Offset>]) -> Option<String> {
    let (shown, rest) = lost.split_at(lost.len().min(SHOWN_RANGES));
    let mut parts: Vec<String> =
        shown.iter().map(|lost| format!("{}-{}", lost.start, lost.end.0 - 1)).collect();
    if !rest.is_empty() {
        parts.push(format!("{} more", rest.len()));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn problem(error: &vong_query::Error) -> Problem {
    let mut problem = Problem::from_error(error);
    if let Some(hint) = error.hint() {
        problem = problem.with_hint(hint);
    }
    if let Some(place) = error.place() {
        problem = problem.at(place.line, place.column);
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_offsets_are_named_and_too_many_are_counted() {
        assert_eq!(lost_offsets(&[]), None);
        let range = |first: u64| Offset(first)..Offset(first + 3);
        assert_eq!(lost_offsets(&[range(12), range(20)]).as_deref(), Some("12-14, 20-22"));
        let many: Vec<_> = (0..22).map(|n| range(n * 10)).collect();
        assert!(lost_offsets(&many).is_some_and(|told| told.ends_with("190-192, 2 more")));
    }
}
