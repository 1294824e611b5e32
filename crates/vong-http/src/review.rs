//! The queue of the review desk: alerts with clips, and what was decided about them.
//!
//! Decisions come in as commands on the alert (`commands.rs`); this only asks history.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vong_model::{Action, CameraId, Principal, authorize};
use vong_query::{Format, encode_batch};
use vong_telemetry::Kind;
use vong_wire::http::{ReviewCase, ReviewClip};

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// Cases in one answer.
const CASES: u32 = 200;

/// Longest id of a rule or unit that is asked for, bytes.
const ID_BYTES: usize = 128;

/// Which cases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Asked {
    /// `open` (nobody decided, or more is needed), `decided` or `all`.
    state: Option<String>,
    rule: Option<String>,
    unit: Option<String>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    /// `newest`, or `priority`: the gravest first.
    order: Option<String>,
}

/// Alerts with clips of cameras that the caller may see, at most 200.
#[utoipa::path(get, path = "/api/v1/review", params(
    ("state" = Option<String>, Query, description = "open (the default), decided or all"),
    ("rule" = Option<String>, Query), ("unit" = Option<String>, Query),
    ("from_ms" = Option<i64>, Query), ("to_ms" = Option<i64>, Query),
    ("order" = Option<String>, Query, description = "newest (the default) or priority")),
    responses((status = 200, body = Vec<ReviewCase>), (status = 400, body = vong_wire::http::Problem)))]
pub(crate) async fn queue(
    State(app): State<App>,
    Caller(caller): Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<ReviewCase>>, Problem> {
    authorize(&caller, Action::ReviewClip, "review")?;
    let granted = granted(&app, &caller);
    let statement = statement(&asked, granted.as_deref())?;
    let mut cases: Vec<ReviewCase> = rows(&app, &caller, &statement).await?;
    if cases.is_empty() {
        return Ok(Json(cases));
    }
    let mut clips = clips(&app, &caller, &cases).await?;
    for case in &mut cases {
        case.clips = clips.remove(&case.alert_id).unwrap_or_default();
    }
    // A grant may have been taken back since.
    cases.retain(|case| !case.clips.is_empty());
    Ok(Json(cases))
}

/// The cameras whose clips the caller may see; `None`: all, also those that left the register.
fn granted(app: &App, caller: &Principal) -> Option<Vec<CameraId>> {
    caller.agency()?;
    let assets = app.assets.now();
    let may_see = |camera: &&CameraId| app.may_see(caller, Action::ViewVideo, camera).is_ok();
    Some(assets.cameras.keys().filter(may_see).cloned().collect())
}

/// `granted`: only cases with clips of these cameras count towards the limit.
fn statement(asked: &Asked, granted: Option<&[CameraId]>) -> Result<String, Problem> {
    let Asked { state, rule, unit, from_ms, to_ms, order } = asked;
    let mut wheres = vec!["fired_time IS NOT NULL".to_owned()];
    match granted {
        None => {}
        Some([]) => wheres.push("false".to_owned()),
        Some(cameras) => {
            let ids: Vec<String> = cameras.iter().map(|id| literal(id.as_str())).collect();
            wheres.push(format!(
                "alert_id IN (SELECT alert_id FROM clips WHERE CAST(camera_id AS VARCHAR) IN ({}))",
                ids.join(", ")
            ));
        }
    }
    match state.as_deref() {
        None | Some("open") => {
            wheres.push("(decision IS NULL OR decision = 'needs_more')".to_owned());
        }
        Some("decided") => wheres.push("decision IN ('violation', 'none')".to_owned()),
        Some("all") => {}
        Some(other) => {
            let message = format!("state '{other}' is none of open, decided, all");
            return Err(Problem::invalid(message));
        }
    }
    for (column, id) in [("rule_id", rule), ("unit_code", unit)] {
        let Some(id) = id.as_ref().filter(|id| !id.is_empty()) else { continue };
        if id.len() > ID_BYTES {
            return Err(Problem::invalid(format!("{column} is at most {ID_BYTES} bytes long")));
        }
        wheres.push(format!("CAST({column} AS VARCHAR) = {}", literal(id)));
    }
    for (sign, ms) in [(">=", from_ms), ("<", to_ms)] {
        let Some(ms) = ms else { continue };
        wheres.push(format!("{} {sign} {ms}", millis("fired_time")));
    }
    let order = match order.as_deref() {
        None | Some("newest") => "fired_time DESC",
        Some("priority") => {
            "CASE CAST(severity AS VARCHAR) WHEN 'critical' THEN 0 WHEN 'high' THEN 1 \
             WHEN 'medium' THEN 2 ELSE 3 END, fired_time DESC"
        }
        Some(other) => {
            return Err(Problem::invalid(format!(
                "order '{other}' is neither newest nor priority"
            )));
        }
    };
    let texts = ["alert_id", "rule_id", "severity", "title_vi", "title_en", "key", "sensor_id"];
    let texts =
        texts.into_iter().chain(["camera_id", "unit_code", "decision", "decided_by", "note"]);
    let texts: Vec<_> = texts.map(|name| format!("CAST({name} AS VARCHAR) AS {name}")).collect();
    Ok(format!(
        "SELECT {}, value, {} AS fired_ms, {} AS decided_ms FROM reviews WHERE {} \
         ORDER BY {order}, alert_id LIMIT {CASES}",
        texts.join(", "),
        millis("fired_time"),
        millis("decided_time"),
        wheres.join(" AND ")
    ))
}

/// The clips of every case, by alert.
async fn clips(
    app: &App,
    caller: &Principal,
    cases: &[ReviewCase],
) -> Result<BTreeMap<String, Vec<ReviewClip>>, Problem> {
    #[derive(Deserialize)]
    struct Filed {
        alert_id: String,
        #[serde(flatten)]
        clip: ReviewClip,
    }
    let ids: Vec<String> = cases.iter().map(|case| literal(&case.alert_id)).collect();
    let sql = format!(
        "SELECT alert_id, clip_id, CAST(camera_id AS VARCHAR) AS camera_id, {} AS from_ms, \
         {} AS to_ms, distance_m, view_quality FROM clips WHERE alert_id IN ({}) \
         ORDER BY view_quality DESC NULLS LAST, distance_m, clip_id",
        millis("from_time"),
        millis("to_time"),
        ids.join(", ")
    );
    let mut clips: BTreeMap<String, Vec<ReviewClip>> = BTreeMap::new();
    for Filed { alert_id, clip } in rows::<Filed>(app, caller, &sql).await? {
        let camera = CameraId::from(clip.camera_id.clone());
        if app.may_see(caller, Action::ViewVideo, &camera).is_ok() {
            clips.entry(alert_id).or_default().push(clip);
        }
    }
    Ok(clips)
}

async fn rows<T: DeserializeOwned>(
    app: &App,
    caller: &Principal,
    sql: &str,
) -> Result<Vec<T>, Problem> {
    let asked = app.query.execute(&caller.asking(), sql).await;
    let answer = asked.map_err(|e| Problem::from_error(&e))?.collect().await;
    let internal = |e: String| Problem::new(Kind::Internal, format!("review: {e}"));
    let mut all = Vec::new();
    for batch in answer.map_err(|e| Problem::from_error(&e))? {
        let json = encode_batch(&batch, Format::Json).map_err(|e| internal(e.to_string()))?;
        let some: Vec<T> = serde_json::from_slice(&json).map_err(|e| internal(e.to_string()))?;
        all.extend(some);
    }
    Ok(all)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An instant of SQL as milliseconds since 1970.
fn millis(column: &str) -> String {
    format!("arrow_cast({column}, 'Int64') / 1000")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: &Asked, expected: Result<&str, &str>) {
        let told = statement(asked, None).map_err(|problem| format!("{problem:?}"));
        match (told, expected) {
            (Ok(sql), Ok(part)) => assert!(sql.contains(part), "{sql}"),
            (Err(told), Err(part)) => assert!(told.contains(part), "{told}"),
            (told, _) => panic!("{told:?}"),
        }
    }

    #[test]
    fn what_is_asked_for_is_text_and_never_sql() {
        let some = |text: &str| Some(text.to_owned());
        check(&Asked::default(), Ok("decision IS NULL"));
        let rule = Asked { rule: some("x' OR '1'='1"), ..Asked::default() };
        check(&rule, Ok("CAST(rule_id AS VARCHAR) = 'x'' OR ''1''=''1'"));
        let from = Asked { from_ms: Some(-5), ..Asked::default() };
        check(&from, Ok("arrow_cast(fired_time, 'Int64') / 1000 >= -5"));
        check(&Asked { order: some("priority"), ..Asked::default() }, Ok("ORDER BY CASE"));
        check(&Asked { state: some("shut"), ..Asked::default() }, Err("state 'shut' is none of"));
        check(&Asked { order: some("up"), ..Asked::default() }, Err("order 'up' is neither"));
        check(&Asked { unit: some(&"u".repeat(200)), ..Asked::default() }, Err("at most 128"));
    }

    #[test]
    fn what_an_agency_may_not_see_takes_no_place_in_the_answer() {
        let of = |granted: Option<&[CameraId]>| statement(&Asked::default(), granted).unwrap();
        assert!(!of(None).contains("FROM clips"), "the centre sees all");
        let (some, limit) = (of(Some(&["CAM-1".into(), "x'y".into()])), format!("LIMIT {CASES}"));
        let (filter, cut) =
            (some.find("IN ('CAM-1', 'x''y')").unwrap(), some.find(&limit).unwrap());
        assert!(filter < cut, "{some}");
        assert!(of(Some(&[])).contains("WHERE fired_time IS NOT NULL AND false"));
    }
}
