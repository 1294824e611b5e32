//! `vong backtest`: the engine run over what was recorded.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use vong_log::{FileLog, Log, LogConfig};
use vong_model::{EventTime, Offset};
use vong_runtime::SystemClock;
use vong_sql::rule::{RuleDefinition, RuleStatement};
use vong_stream::{BacktestRules, TransitionRow, backtest};

use crate::cli::{BacktestArguments, say, tell};
use crate::site::rules_of_file;

pub(crate) fn run(arguments: &BacktestArguments) -> Result<ExitCode> {
    let directory = arguments.data.join("log");
    let present = directory.try_exists().context("could not look for the log")?;
    ensure!(present, "there is no log in {}", arguments.data.display());
    // Only read: no space needs to be set aside for writing.
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::new(directory) };
    let log = FileLog::open(config, Arc::new(SystemClock), 0)?;
    let from = arguments.from.map_or_else(|| log.floor(), Offset);
    let to = arguments.to.map_or_else(|| log.head(), Offset);
    let (rules, only) = chosen(arguments.rule.as_deref())?;
    let begun = tokio::time::Instant::now();
    let found = backtest(&log, from, to, &rules)?;
    let wanted =
        |row: &&TransitionRow| only.as_deref().is_none_or(|rule| row.rule_id.as_str() == rule);
    let rows: Vec<&TransitionRow> = found.transitions.iter().filter(wanted).collect();
    if only.is_some() && rows.is_empty() {
        tell("no alert of this rule in the range");
    }
    for row in &rows {
        say(&if arguments.json { as_json(row) } else { as_line(row) })?;
    }
    // An alert that was raised to a higher severity fires again and is still one alert.
    let fired = rows.iter().filter(|row| row.state == "firing").map(|row| &row.alert_id);
    let fired = fired.collect::<std::collections::BTreeSet<_>>().len();
    tell(&format!(
        "offsets {from} to {to}: {} transitions, {fired} alerts, in {:.1} s",
        rows.len(),
        begun.elapsed().as_secs_f64()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The rules to run, and the one rule to show when a name was given.
fn chosen(rule: Option<&str>) -> Result<(BacktestRules, Option<String>)> {
    let Some(rule) = rule else { return Ok((BacktestRules::AsLogged, None)) };
    let file = Path::new(rule);
    if file.extension().is_none_or(|extension| extension != "sql") {
        return Ok((BacktestRules::AsLogged, Some(rule.to_owned())));
    }
    let statements = rules_of_file(file)?;
    let rules: Vec<RuleDefinition> = statements
        .into_iter()
        .filter_map(|statement| match statement {
            RuleStatement::Create(rule) => Some(*rule),
            RuleStatement::Drop { .. }
            | RuleStatement::Enable { .. }
            | RuleStatement::Disable { .. }
            | RuleStatement::Alter { .. } => None,
        })
        .collect();
    if rules.is_empty() {
        bail!("{rule} defines no rule");
    }
    Ok((BacktestRules::Given(rules), None))
}

fn as_json(row: &TransitionRow) -> String {
    json!({
        "alert_id": row.alert_id.as_str(),
        "rule_id": row.rule_id.as_str(),
        "rule_version": row.rule_version,
        "state": row.state,
        "severity": row.severity.as_str(),
        "key": row.key,
        "event_time": as_in_sql(row.event_time),
        "started_time": as_in_sql(row.started_time),
        "value": row.value,
        "title_vi": row.title_vi,
        "title_en": row.title_en,
    })
    .to_string()
}

/// The instant as SQL answers write it: no more digits than it has.
fn as_in_sql(time: EventTime) -> String {
    let text = time.to_string();
    let Some((seconds, fraction)) = text.trim_end_matches('Z').split_once('.') else { return text };
    match fraction.trim_end_matches("000") {
        "" => format!("{seconds}Z"),
        short => format!("{seconds}.{short}Z"),
    }
}

fn as_line(row: &TransitionRow) -> String {
    let value = row.value.map(|value| format!("{value:.3}")).unwrap_or_default();
    format!(
        "{} {:<9} {:<8} {:<24} {:<20} {value:>10}  {}",
        row.event_time, row.state, row.severity, row.rule_id, row.key, row.alert_id
    )
}
