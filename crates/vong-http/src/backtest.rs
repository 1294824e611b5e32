//! `POST /api/v1/backtest`: rules tried on what was recorded, beside the running engine.
//!
//! One at a time, on a thread of its own; whoever hangs up ends it. The live engine reads its log
//! meanwhile as always: it shares nothing with this one but the files.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tokio::time::Instant;
use vong_log::Log;
use vong_model::{Action, EventTime, Offset, authorize};
use vong_sql::rule::{RuleDefinition, RuleStatement, parse};
use vong_stream::{AlarmReport, BacktestRules, backtest, difference, offset_at};
use vong_telemetry::Kind;
use vong_wire::http::BacktestRequest;

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;
use crate::rules::of_statement;

/// Ends a run whose asker went away.
struct HungUp(Arc<AtomicBool>);

impl Drop for HungUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs rules over the log: those given, or those of the log as they were. Answers with the load
/// they would be, and the difference against what happened live.
#[utoipa::path(post, path = "/api/v1/backtest", request_body = BacktestRequest, responses(
    (status = 200, description = "`transitions`, `seconds`, `report`, `difference`"),
    (status = 400, body = vong_wire::http::Problem, description = "what is wrong with a rule, and where"),
    (status = 429, body = vong_wire::http::Problem, description = "another backtest is running")
))]
pub(crate) async fn run(
    State(app): State<App>,
    Caller(caller): Caller,
    Json(request): Json<BacktestRequest>,
) -> Result<Json<Value>, Problem> {
    authorize(&caller, Action::QuerySql, "backtest")?;
    let rules = rules(request.sql.as_deref())?;
    let _turn = app.backtests.try_lock().map_err(|_busy| {
        Problem::new(Kind::Exhausted, "another backtest is running").with_hint("try again later")
    })?;
    let hung_up = HungUp(Arc::new(AtomicBool::new(false)));
    let (log, stop) = (Arc::clone(&app.log), Arc::clone(&hung_up.0));
    let done = tokio::task::spawn_blocking(move || answer(&*log, &rules, &request, &stop)).await;
    let done = done.map_err(|e| Problem::new(Kind::Internal, e.to_string()))?;
    done.map(Json)
}

fn rules(sql: Option<&str>) -> Result<BacktestRules, Problem> {
    let Some(sql) = sql else { return Ok(BacktestRules::AsLogged) };
    let statements = parse(sql).map_err(|e| of_statement(&e))?;
    let created = statements.into_iter().filter_map(|statement| match statement {
        RuleStatement::Create(rule) => Some(*rule),
        _ => None,
    });
    let rules: Vec<RuleDefinition> = created.collect();
    if rules.is_empty() {
        return Err(Problem::invalid("the text creates no rule")
            .with_hint("send CREATE ALERT RULE …, or leave sql out for the rules of the log"));
    }
    Ok(BacktestRules::Given(rules))
}

fn answer(
    log: &dyn Log,
    rules: &BacktestRules,
    request: &BacktestRequest,
    stop: &AtomicBool,
) -> Result<Value, Problem> {
    let problem = |e: vong_stream::Error| Problem::from_error(&e);
    let at = |ms: i64| offset_at(log, EventTime(ms.saturating_mul(1_000))).map_err(problem);
    let from = request.from_ms.map_or_else(|| Ok(log.floor()), at)?;
    let to = request.to_ms.map_or_else(|| Ok(log.head()), at)?;
    let begun = Instant::now();
    let progress = |_: Offset| match stop.load(Ordering::Relaxed) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let found = backtest(log, from, to, rules, progress).map_err(problem)?;
    let wanted = |rule: &str| match (rules, &request.rule_id) {
        (BacktestRules::Given(given), _) => given.iter().any(|g| g.rule_id.as_str() == rule),
        (BacktestRules::AsLogged, Some(only)) => only == rule,
        (BacktestRules::AsLogged, None) => true,
    };
    let mut rows = found.transitions;
    rows.retain(|row| wanted(row.rule_id.as_str()));
    let difference = difference(log, (from, to), &rows, wanted).map_err(problem)?;
    Ok(json!({
        "from_offset": from.0,
        "to_offset": to.0,
        "rows": found.counts.rows,
        "transitions": rows.len(),
        "seconds": begun.elapsed().as_secs_f64(),
        "report": AlarmReport::of(&rows, request.operators.unwrap_or(1), &[]),
        "difference": {
            "only_live": difference.only_live.len(),
            "only_backtest": difference.only_backtest.len(),
        },
    }))
}
