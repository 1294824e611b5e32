//! `POST /api/v1/sql`: one reading statement in, rows out as they come.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use vong_model::Principal;
use vong_query::{Format, encode, encode_batch};
use vong_wire::http::SqlRequest;

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;
use crate::rules::{self, Answer};

/// Runs one read-only statement, or statements about rules as `POST /api/v1/rules` takes them. The answer's form follows `Accept`: `application/json` (an array
/// of objects, the default), `text/csv` or `application/vnd.apache.arrow.stream`.
#[utoipa::path(post, path = "/api/v1/sql", request_body = SqlRequest, responses(
    (status = 200, description = "rows; the header vong-offset names the moment of the log that they show"),
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
    let mut chunks = Box::pin(encode(results, format).map_err(|e| problem(&e))?);
    // A statement that fails on its first rows is answered with its reason, not with a broken body.
    let first = chunks.next().await.transpose().map_err(|e| problem(&e))?;
    let rest = stream::iter(first.map(Ok)).chain(chunks);
    let headers = [
        (header::CONTENT_TYPE.as_str(), format.content_type().to_owned()),
        ("vong-offset", as_of.to_string()),
    ];
    Ok((headers, Body::from_stream(rest)).into_response())
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
