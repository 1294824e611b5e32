//! `vong backtest`: the engine run over what was recorded.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use serde_json::json;
use vong_log::{FileLog, Log, LogConfig};
use vong_model::{EventTime, Offset};
use vong_runtime::SystemClock;
use vong_sql::rule::{RuleDefinition, RuleStatement};
use vong_stream::{
    AlarmReport, BacktestRules, Difference, Label, TransitionRow, backtest, difference, offset_at,
};

use crate::cli::{BacktestArguments, say, tell};
use crate::site::{of_sql, rules_of_file};

/// Differences printed; their number is always told.
const SHOWN: usize = 20;

pub(crate) fn run(arguments: &BacktestArguments) -> Result<ExitCode> {
    let directory = arguments.data.join("log");
    let present = directory.try_exists().context("could not look for the log")?;
    ensure!(present, "there is no log in {}", arguments.data.display());
    // Only read: no space needs to be set aside for writing.
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::new(directory) };
    let log = FileLog::open(config, Arc::new(SystemClock), 0)?;
    let from = place(&log, arguments.from.as_deref())?.unwrap_or_else(|| log.floor());
    let to = place(&log, arguments.to.as_deref())?.unwrap_or_else(|| log.head());
    let labels = arguments.labels.as_deref().map(labels_of).transpose()?.unwrap_or_default();
    let (rules, only) = chosen(arguments.rule.as_deref())?;
    if matches!(rules, BacktestRules::AsLogged) && log.floor() > Offset::ZERO {
        tell(&format!(
            "the log begins at offset {}: what was made before, rules and open alerts, is not known \
             to this run; name a rule's file to try it",
            log.floor()
        ));
    }
    let begun = tokio::time::Instant::now();
    let found = backtest(&log, from, to, &rules, bar(&log, &rules, (from, to)));
    let found = found.map_err(|e| in_file(e, arguments.rule.as_deref()))?;
    let wanted = |rule: &str| match (&rules, &only) {
        (BacktestRules::Given(given), _) => given.iter().any(|g| g.rule_id.as_str() == rule),
        (BacktestRules::AsLogged, Some(only)) => only == rule,
        (BacktestRules::AsLogged, None) => true,
    };
    let rows = found.transitions.into_iter().filter(|row| wanted(row.rule_id.as_str()));
    let rows: Vec<TransitionRow> = rows.collect();
    if only.is_some() && rows.is_empty() {
        tell("no alert of this rule in the range");
    }
    for row in rows.iter().filter(|_| !arguments.summary) {
        say(&if arguments.json { as_json(row) } else { as_line(row) })?;
    }
    let report = AlarmReport::of(&rows, arguments.operators, &labels);
    let difference = difference(&log, (from, to), &rows, wanted)?;
    tell(&format!(
        "offsets {from} to {to}: {} transitions, {} alerts, in {:.1} s",
        rows.len(),
        report.alerts,
        begun.elapsed().as_secs_f64()
    ));
    if arguments.json {
        say(&json!({ "report": report, "difference": sizes(&difference) }).to_string())?;
    } else {
        tell(&in_words(&report, &difference));
    }
    Ok(ExitCode::SUCCESS)
}

/// What cannot be planned is told with its place in the file it came from.
fn in_file(error: vong_stream::Error, rule: Option<&str>) -> anyhow::Error {
    match (error, rule) {
        (vong_stream::Error::RuleText(e), Some(file)) => of_sql(Path::new(file), &e).into(),
        (error, _) => error.into(),
    }
}

/// A log offset as it is, or the first one that arrived at or after a time.
fn place(log: &dyn Log, text: Option<&str>) -> Result<Option<Offset>> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(offset) = text.parse() {
        return Ok(Some(Offset(offset)));
    }
    Ok(Some(offset_at(log, instant(text)?)?))
}

pub(crate) fn instant(text: &str) -> Result<EventTime> {
    let nanos = string_to_timestamp_nanos(text);
    let nanos = nanos.with_context(|| {
        format!("'{text}' is neither a log offset nor a time as in 2026-11-22T10:00:00+07:00")
    })?;
    Ok(EventTime(nanos / 1_000))
}

/// Tells how far a long run has come, where somebody looks on.
fn bar(
    log: &dyn Log,
    rules: &BacktestRules,
    (from, to): (Offset, Offset),
) -> impl FnMut(Offset) -> ControlFlow<()> + use<> {
    let begin = match rules {
        BacktestRules::AsLogged => log.floor(),
        BacktestRules::Given(_) => from,
    };
    let seen = std::io::stderr().is_terminal();
    let mut told = 0;
    move |at| {
        let share = at.0.saturating_sub(begin.0) * 100 / to.0.saturating_sub(begin.0).max(1);
        if seen && share > told {
            told = share;
            tell(&format!("{:<50} {share:>3} %", "#".repeat(share as usize / 2)));
        }
        ControlFlow::Continue(())
    }
}

/// `{"realTraffic/speed_7578.csv": [["2015-09-11 14:34:00", "2015-09-11 17:14:00"]]}`, the form of
/// the Numenta Anomaly Benchmark; a name is a key, without folder and ending.
fn labels_of(file: &Path) -> Result<Vec<Label>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("could not read the labels {}", file.display()))?;
    let windows: BTreeMap<String, Vec<(String, String)>> = serde_json::from_str(&text)
        .with_context(|| {
            format!("{}: expected an object of name to [[from, to], …]", file.display())
        })?;
    let mut labels = Vec::new();
    for (name, windows) in windows {
        let key = Path::new(&name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (from, to) in windows {
            labels.push(Label { key: key.clone(), from: instant(&from)?, to: instant(&to)? });
        }
    }
    Ok(labels)
}

fn sizes(difference: &Difference) -> serde_json::Value {
    json!({
        "only_live": difference.only_live.len(),
        "only_backtest": difference.only_backtest.len(),
    })
}

fn in_words(report: &AlarmReport, difference: &Difference) -> String {
    let mut lines = vec![format!(
        "{:.1} h, {} operator(s): {} alarms, {:.1} an hour, {:.2} an operator in 10 minutes ({}); \
         worst 10 minutes: {}; flood: {} min",
        report.hours,
        report.operators,
        report.alarms,
        report.alarms_per_hour,
        report.alarms_per_operator_and_10_minutes,
        if report.within_budget { "within the budget of 1" } else { "over the budget of 1" },
        report.worst_10_minutes,
        report.flood_minutes
    )];
    for (rule, key, alarms) in &report.worst_sources {
        lines.push(format!("  {alarms:>6}  {rule}  {key}"));
    }
    if let Some(labels) = &report.labels {
        lines.push(format!(
            "labels: {} hit, {} missed; {} false alarms, {:.2} a day",
            labels.hit, labels.missed, labels.false_alarms, labels.false_alarms_per_day
        ));
    }
    if difference.is_empty() {
        lines.push("difference against what happened live: none".to_owned());
    } else {
        let (live, again) = (&difference.only_live, &difference.only_backtest);
        let counts = (live.len(), again.len());
        lines.push(format!("difference: {} only live, {} only here", counts.0, counts.1));
        let marked = live.iter().map(|told| ('-', told)).chain(again.iter().map(|t| ('+', t)));
        for (mark, (rule, key, state, at)) in marked.take(SHOWN) {
            lines.push(format!("  {mark} {at} {state} {rule} {key}"));
        }
    }
    lines.join("\n")
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
