//! Rules over HTTP: what is in force, and changes to it.
//!
//! Statements about rules are taken here and by `POST /api/v1/sql` alike, so that one prompt is
//! enough for questions and for rules.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use axum::Json;
use axum::extract::State;
use vong_model::{Action, Principal, authorize, columns};
use vong_sql::rule::ExplainStatement;
use vong_stream::{RuleDesk, RuleStatus};
use vong_wire::http::{ContinuousView, RuleChange, RuleView, SqlRequest};

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;
use crate::lineage;

/// Every rule, by name, also those that are switched off.
#[utoipa::path(get, path = "/api/v1/rules", responses((status = 200, body = [RuleView])))]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<RuleView>>, Problem> {
    authorize(&caller, Action::QuerySql, "rules")?;
    let known = app.rules.in_force();
    let rules = known.iter().filter(|status| !status.rule.definition.is_view());
    Ok(Json(rules.map(view).collect()))
}

/// Every continuous view, by name, also those that are switched off.
#[utoipa::path(get, path = "/api/v1/views", responses((status = 200, body = [ContinuousView])))]
pub(crate) async fn list_views(
    State(app): State<App>,
    Caller(caller): Caller,
) -> Result<Json<Vec<ContinuousView>>, Problem> {
    authorize(&caller, Action::QuerySql, "views")?;
    let known = app.rules.in_force();
    let views = known.iter().filter(|status| status.rule.definition.is_view());
    let view = |status: &RuleStatus| ContinuousView {
        view: status.rule.definition.rule_id.to_string(),
        version: status.rule.version,
        enabled: status.enabled,
        kind: status.kind.to_owned(),
        changed_by: status.by.clone(),
        rows: status.transitions,
        sql: status.rule.definition.sql.clone(),
    };
    Ok(Json(views.map(view).collect()))
}

/// Carries out statements about rules and continuous views, all or none: `CREATE`, `ALTER`, `DROP`
/// `ALERT RULE` or `CONTINUOUS VIEW`. Answers when the engine obeys them.
#[utoipa::path(post, path = "/api/v1/rules", request_body = SqlRequest, responses(
    (status = 200, body = [RuleChange]),
    (status = 400, body = vong_wire::http::Problem, description = "what is wrong with a statement, and where")
))]
pub(crate) async fn change(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(SqlRequest { sql }): Json<SqlRequest>,
) -> Result<Json<Vec<RuleChange>>, Problem> {
    changed(&app, &caller, &sql).await.map(Json)
}

/// What becomes of a statement.
pub(crate) enum Answer {
    /// It was not for the query engine, and these are its rows.
    Rows(RecordBatch),
    /// The query engine answers this one.
    Query(String),
}

/// Answers a statement about rules and alerts, or says what to ask the query engine.
pub(crate) async fn answer(app: &App, caller: &Principal, sql: String) -> Result<Answer, Problem> {
    if RuleDesk::is_about_rules(&sql) {
        let changes = changed(app, caller, &sql).await?;
        let text =
            |of: fn(&RuleChange) -> &str| columns::text_column(changes.iter().map(|c| Some(of(c))));
        let versions = UInt32Array::from_iter_values(changes.iter().map(|c| c.version));
        let versions: ArrayRef = Arc::new(versions);
        let (rules, actions) = (text(|c| &c.rule_id), text(|c| &c.action));
        return batch([("rule_id", rules), ("version", versions), ("action", actions)])
            .map(Answer::Rows);
    }
    let statement = ExplainStatement::parse(&sql).map_err(|e| of_statement(&e))?;
    let Some(statement) = statement else { return Ok(Answer::Query(sql)) };
    let lines = match &statement {
        ExplainStatement::Alert { alert_id } => {
            return lineage::statement(app, caller, alert_id).await.map(Answer::Query);
        }
        ExplainStatement::Rule { rule_id } => {
            authorize(caller, Action::QuerySql, rule_id.as_str())?;
            let lines = app.rules.explain(statement.clone()).await.map_err(|e| problem(&e))?;
            lines.ok_or_else(|| {
                Problem::not_found(format!("no rule '{rule_id}' is in force"))
                    .with_hint("GET /api/v1/rules lists them")
            })?
        }
        ExplainStatement::Window { stream } => {
            authorize(caller, Action::QuerySql, stream.name())?;
            let lines = app.rules.explain(statement.clone()).await.map_err(|e| problem(&e))?;
            lines.unwrap_or_default()
        }
    };
    let lines: ArrayRef = Arc::new(StringArray::from(lines));
    batch([("plan", lines)]).map(Answer::Rows)
}

async fn changed(app: &App, caller: &Principal, sql: &str) -> Result<Vec<RuleChange>, Problem> {
    authorize(caller, Action::ChangeRules, "rules")?;
    let changes = app.rules.change(caller.name(), sql).await.map_err(|e| problem(&e))?;
    let change = |c: vong_stream::RuleChanged| RuleChange {
        rule_id: c.rule_id.to_string(),
        version: c.version,
        action: c.action.to_owned(),
    };
    Ok(changes.into_iter().map(change).collect())
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, Problem> {
    RecordBatch::try_from_iter(columns)
        .map_err(|e| Problem::new(vong_telemetry::Kind::Internal, e.to_string()))
}

fn problem(error: &vong_stream::Error) -> Problem {
    match error {
        vong_stream::Error::RuleText(error) => of_statement(error),
        vong_stream::Error::NoSuchRule { did_you_mean: Some(name), .. } => {
            Problem::from_error(error).with_hint(format!("Did you mean '{name}'?"))
        }
        other => Problem::from_error(other),
    }
}

pub(crate) fn of_statement(error: &vong_sql::Error) -> Problem {
    let mut problem = Problem::from_error(error);
    if let Some(hint) = error.hint() {
        problem = problem.with_hint(hint);
    }
    if let Some(place) = error.place() {
        problem = problem.at(place.line, place.column);
    }
    problem
}

fn view(status: &RuleStatus) -> RuleView {
    let definition = &status.rule.definition;
    RuleView {
        rule_id: definition.rule_id.to_string(),
        version: status.rule.version,
        enabled: status.enabled,
        kind: status.kind.to_owned(),
        severity: definition.severity.as_str().to_owned(),
        title_vi: definition.title_vi.clone(),
        title_en: definition.title_en.clone(),
        changed_by: status.by.clone(),
        open_alerts: u32::try_from(status.open).unwrap_or(u32::MAX),
        transitions: status.transitions,
        last_fired_ms: status.last_fired.map(|at| at.micros() / 1_000),
        rows: status.rows,
        matches: status.matches,
        busy_us: status.busy_us,
        memory_bytes: status.memory_bytes,
        sql: definition.sql.clone(),
    }
}
