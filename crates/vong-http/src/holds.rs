//! Holds on footage: listed, and ended by whoever may.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use vong_footage::Hold;
use vong_model::{Action, EventTime, authorize};
use vong_wire::http::FootageHold;

use crate::app::App;
use crate::clips::blocking;
use crate::error::Problem;
use crate::guard::Caller;

/// Who ends a hold.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Releasing {
    by: String,
}

/// All holds on footage, oldest first.
#[utoipa::path(get, path = "/api/v1/holds", responses((status = 200, body = Vec<FootageHold>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<FootageHold>>, Problem> {
    authorize(&caller, Action::ExportClip, "*")?;
    let footage = app.footage.clone();
    let holds = blocking(move || footage.holds_known().map(|()| footage.holds()));
    let holds = holds.await?.map_err(|e| Problem::from_error(&e))?; // waits for a disk that another hold waits for
    Ok(Json(holds.iter().map(told).collect()))
}

/// Ends a hold: from then on its footage is deleted when its time is over. Recorded in
/// `evidence_events`.
#[utoipa::path(delete, path = "/api/v1/holds/{hold_id}", params(("hold_id" = u64, Path),
    ("by" = String, Query, description = "who releases it, as it shall be recorded")), responses(
    (status = 200, body = FootageHold), (status = 403, body = vong_wire::http::Problem),
    (status = 404, body = vong_wire::http::Problem)))]
pub(crate) async fn release(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(hold_id): Path<u64>,
    Query(Releasing { by }): Query<Releasing>,
) -> Result<Json<FootageHold>, Problem> {
    authorize(&caller, Action::ReleaseHold, &hold_id.to_string())?;
    if by.trim().is_empty() {
        return Err(Problem::invalid("nobody is named who releases the hold")
            .with_hint("add ?by= and the name of a person"));
    }
    let who = format!("{} ({})", by.trim(), caller.name());
    let (footage, log, clock) = (app.footage.clone(), Arc::clone(&app.log), Arc::clone(&app.clock));
    let released =
        blocking(move || vong_evidence::release_hold(&footage, (&*log, &*clock), hold_id, &who));
    let hold = released.await?.map_err(|e| Problem::from_error(&e))?;
    Ok(Json(told(&hold)))
}

fn told(hold: &Hold) -> FootageHold {
    let Hold { hold_id, request, created_at } = hold;
    FootageHold {
        hold_id: *hold_id,
        camera_id: request.camera_id.to_string(),
        from_ms: request.from.millis(),
        to_ms: request.to.millis(),
        case: request.case.clone(),
        reason: request.reason.clone(),
        until_ms: request.until.map(EventTime::millis),
        created_ms: created_at.millis(),
    }
}
