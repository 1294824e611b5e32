//! Commands of operators and reviewers: durable in the log before the answer is sent.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use axum::Json;
use axum::extract::{Path, State};
use vong_log::Entry;
use vong_model::{Action, EventTime, Principal, Stream, authorize};
use vong_wire::http::{CommandAccepted, CommandRequest};

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// What can be done to an alert, by the last part of the address. The engine acts on what operators
/// do; what reviewers decide is a fact beside the alert's life.
const ACTIONS: &[&str] = &[
    "acknowledge",
    "shelve",
    "unshelve",
    "comment",
    "review_violation",
    "review_none",
    "review_needs_more",
];

/// Longest reason an operator can give, in bytes.
const REASON_LIMIT: usize = 4_096;

/// Acts on an alert. Answers once the command is on disk; the engine's transition follows on the
/// live views.
#[utoipa::path(post, path = "/api/v1/alerts/{alert_id}/{action}", request_body = CommandRequest,
    params(("alert_id" = String, Path), ("action" = String, Path, description = "acknowledge, shelve, unshelve, comment, review_violation, review_none or review_needs_more")),
    responses((status = 200, body = CommandAccepted), (status = 400, body = vong_wire::http::Problem)))]
pub(crate) async fn act(
    State(app): State<App>,
    Caller(caller): Caller,
    Path((alert_id, action)): Path<(String, String)>,
    body: Option<Json<CommandRequest>>,
) -> Result<Json<CommandAccepted>, Problem> {
    let needed =
        if action.starts_with("review_") { Action::ReviewClip } else { Action::ActOnAlert };
    authorize(&caller, needed, &alert_id)?;
    let action = ACTIONS.iter().copied().find(|known| *known == action).ok_or_else(|| {
        Problem::not_found(format!("an alert cannot be '{action}'d")).with_hint(ACTIONS.join(", "))
    })?;
    let request = body.map(|Json(request)| request).unwrap_or_default();
    check(&alert_id, action, &request)?;
    let now = EventTime(app.clock.now());
    let command_id =
        request.command_id.clone().unwrap_or_else(|| format!("{}-{alert_id}", now.micros()));
    let batch = to_batch(&caller, &alert_id, action, &command_id, &request, now);
    let durable = app.log.append(vec![Entry { stream: Stream::Commands, batch }]).await;
    let offsets = durable.map_err(|e| Problem::from_error(&e))?; // on disk, so the operator may be told
    app.metrics.commands.inc();
    Ok(Json(CommandAccepted { command_id, offset: offsets.start.0 }))
}

fn check(alert_id: &str, action: &str, request: &CommandRequest) -> Result<(), Problem> {
    let CommandRequest { command_id, reason, until_ms } = request;
    if alert_id.len() > 128 || command_id.as_ref().is_some_and(|id| id.len() > 128) {
        return Err(Problem::invalid("ids are at most 128 bytes"));
    }
    if reason.as_ref().is_some_and(|reason| reason.len() > REASON_LIMIT) {
        return Err(Problem::invalid(format!("a reason is at most {REASON_LIMIT} bytes")));
    }
    if action == "shelve" && until_ms.is_none() {
        return Err(Problem::invalid("shelving needs an end").with_hint("send until_ms"));
    }
    Ok(())
}

/// One row of [`Stream::Commands`], in its column order.
fn to_batch(
    caller: &Principal,
    alert_id: &str,
    action: &str,
    command_id: &str,
    request: &CommandRequest,
    now: EventTime,
) -> RecordBatch {
    let time = |micros: Option<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"))
    };
    let text = |text: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let columns = vec![
        time(Some(now.micros())),
        text(Some(command_id)),
        text(Some(alert_id)),
        Arc::new(std::iter::once(Some(action)).collect::<DictionaryArray<Int32Type>>()) as ArrayRef,
        text(Some(caller.name())),
        text(request.reason.as_deref()),
        time(request.until_ms.map(|ms| ms.saturating_mul(1_000))),
    ];
    RecordBatch::try_new(Stream::Commands.schema(), columns)
        .expect("columns are made in the schema's order")
}
