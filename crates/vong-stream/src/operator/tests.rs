//! The operator against stock DataFusion, and the shipped rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use datafusion::datasource::MemTable;
use vong_alert::State;
use vong_sql::SessionLimits;
use vong_sql::rule::{RuleStatement, parse, parse_one};

mod early;
mod joined;
mod measured;
mod ordered;

use super::*;
use crate::RulePlanner;
use crate::testing::{Row, SECOND, readings, rule_sql};

fn meta(sql: &str) -> Arc<RuleMeta> {
    match parse_one(sql).unwrap() {
        RuleStatement::Create(definition) => {
            Arc::new(RuleMeta { version: 1, definition: *definition })
        }
        other => panic!("{other:?}"),
    }
}

/// A small generator: the test needs disorder, not chance.
fn rows(count: u64) -> Vec<Row> {
    let mut state = 7_u64;
    let mut next = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..count)
        .map(|i| {
            let at_us = i as i64 * 20_000 + next(3_000_000) as i64;
            let metric = ["speed", "flow", "noise"][next(3) as usize];
            // Sums of such fractions are exact, so any order of adding gives the same bits.
            let value = next(1_000_000) as f64 / 8_192.0;
            Row::new(at_us, &format!("S-{}", next(40)), metric, value)
        })
        .collect()
}

/// Windows in which each key is firing, by the operator.
fn by_operator(select: &str, rows: &[Row]) -> BTreeMap<(i64, String), u64> {
    by_operator_with(&RulePlanner::new().unwrap(), select, rows, |_, _| {})
}

/// `before` is called before each batch, with its number.
fn by_operator_with(
    planner: &RulePlanner,
    select: &str,
    rows: &[Row],
    before: impl Fn(&mut Operator, usize),
) -> BTreeMap<(i64, String), u64> {
    let rule = meta(&rule_sql("r", "", select));
    let plan = planner.plan(&rule.definition).unwrap_or_else(|e| panic!("{select}: {e}"));
    let mut operator = Operator::new();
    operator.add(rule, &plan).unwrap();
    let mut steps = Vec::new();
    for (number, chunk) in rows.chunks(97).enumerate() {
        before(&mut operator, number);
        let batch = readings(chunk);
        let offset = Offset(number as u64);
        operator.push(Stream::Readings, &batch, offset, &mut steps).unwrap();
    }
    let last = rows.iter().map(|r| r.at_us).max().unwrap();
    let end = EventTime(last + 100 * SECOND);
    operator.advance(Stream::Readings, end, Offset(1_000_000), &mut steps).unwrap();
    let mut found = BTreeMap::new();
    for step in steps {
        let transition = step.transition().unwrap();
        if transition.state == State::Firing {
            let bits = transition.value.unwrap().to_bits();
            found.insert((transition.started.micros(), transition.key.to_string()), bits);
        }
    }
    found
}

/// The same by a stock GROUP BY over the same rows: windows where a key fires and did not before.
async fn by_datafusion(select: &str, slide_us: i64, rows: &[Row]) -> BTreeMap<(i64, String), u64> {
    let session = vong_sql::session(&SessionLimits::deterministic()).unwrap();
    let batches: Vec<_> = rows.chunks(97).map(readings).collect();
    let table = MemTable::try_new(Stream::Readings.schema(), vec![batches]).unwrap();
    session.register_table("readings", Arc::new(table)).unwrap();
    let batches = session.sql(select).await.unwrap().collect().await.unwrap();
    let mut holds: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
    for batch in batches {
        let keys =
            arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        let keys = keys.as_string::<i32>().clone();
        let values = batch.column(1).as_primitive::<Float64Type>();
        let windows = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            assert!(!values.is_null(row));
            let key = format!("sensor_id={}", keys.value(row));
            holds.entry(key).or_default().insert(windows.value(row), values.value(row).to_bits());
        }
    }
    let mut found = BTreeMap::new();
    for (key, windows) in holds {
        for (window, value) in &windows {
            if !windows.contains_key(&(window - slide_us)) {
                found.insert((*window, key.clone()), *value);
            }
        }
    }
    found
}

/// Aggregates and conditions: those that panes keep, and those that need DataFusion's own.
const FINDINGS: [(&str, &str); 9] = [
    ("avg(value)", "avg(value) > 64"),
    ("sum(value)", "sum(value) BETWEEN 50 AND 300"),
    ("max(value) - min(value)", "max(value) - min(value) > 90 AND count(*) % 2 = 0"),
    ("min(value)", "min(value) < 9 AND 3 <= count(value)"),
    ("avg(value) FILTER (WHERE metric = 'speed')", "count(*) FILTER (WHERE metric = 'flow') > 1"),
    ("max(value) FILTER (WHERE value < 60)", "count(*) > 2"),
    ("stddev(value)", "stddev(value) > 40"),
    ("median(value)", "median(value) > 70"),
    ("sum(value) FILTER (WHERE value > 50)", "count(DISTINCT unit_code) = 1"),
];

const SCOPES: [&str; 4] = [
    "metric = 'speed'",
    "metric IN ('flow', 'noise') AND value < 120",
    "sensor_id <> 'S-3' AND sensor_id IN ('S-1', 'S-3', 'S-7')",
    "true",
];

async fn compare(ours: &str, stock: &str, slide_us: i64) {
    let rows = rows(20_000);
    for (value, having) in FINDINGS {
        for scope in SCOPES {
            let fill = |text: &str| {
                let text = text.replace("{value}", value).replace("{scope}", scope);
                text.replace("{having}", &format!("{having} AND {value} IS NOT NULL"))
            };
            let found = by_operator(&fill(ours), &rows);
            let expected = by_datafusion(&fill(stock), slide_us, &rows).await;
            let rare = having.contains("FILTER") || having.contains("DISTINCT");
            assert!(!expected.is_empty() || rare, "{}", fill(ours));
            assert!(equal(&found, &expected, value.contains("stddev")), "{}", fill(ours));
        }
    }
}

/// To the bit; `nearly`: up to the order of adding, which a query may choose otherwise.
fn equal(
    ours: &BTreeMap<(i64, String), u64>,
    stock: &BTreeMap<(i64, String), u64>,
    nearly: bool,
) -> bool {
    let close = |(a, b): (&u64, &u64)| {
        let (a, b) = (f64::from_bits(*a), f64::from_bits(*b));
        a.to_bits() == b.to_bits() || (nearly && (a - b).abs() <= 1e-12 * b.abs())
    };
    ours.keys().eq(stock.keys()) && ours.values().zip(stock.values()).all(close)
}

#[tokio::test]
async fn tumbling_windows_equal_a_stock_group_by_to_the_last_bit() {
    let select = "SELECT sensor_id, {value} AS v, tumble(event_time, INTERVAL '10 seconds') AS w \
                  FROM readings WHERE {scope} \
                  GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds') HAVING {having}";
    compare(select, select, 10 * SECOND).await;
}

#[tokio::test]
async fn hopping_windows_equal_a_stock_group_by_to_the_last_bit() {
    let ours = "SELECT sensor_id, {value} AS v FROM readings WHERE {scope} GROUP BY sensor_id, \
                hop(event_time, INTERVAL '5 seconds', INTERVAL '20 seconds') HAVING {having}";
    let stock = "SELECT sensor_id, {value} AS v, w FROM (SELECT *, unnest(hop_windows(event_time, \
                 INTERVAL '5 seconds', INTERVAL '20 seconds')) AS w FROM readings) \
                 WHERE {scope} GROUP BY sensor_id, w HAVING {having}";
    compare(ours, stock, 5 * SECOND).await;
}

#[test]
fn every_shipped_rule_is_parsed_and_planned() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/rules");
    let planner = RulePlanner::new().unwrap();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for statement in parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
            let RuleStatement::Create(rule) = statement else { panic!("{}", path.display()) };
            planner.plan(&rule).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(!rule.title_vi.is_ascii(), "{}: title_vi needs its diacritics", rule.rule_id);
            names.insert(rule.rule_id.to_string());
        }
    }
    assert!(names.len() >= 12, "{names:?}");
}

#[test]
fn every_shipped_view_is_parsed_and_planned() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/views");
    let planner = RulePlanner::new().unwrap();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let statement = parse_one(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let RuleStatement::Create(view) = statement else { panic!("{}", path.display()) };
        assert!(view.is_view(), "{}", path.display());
        planner.plan(&view).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(view.rule_id.as_str()));
        names.insert(view.rule_id.to_string());
    }
    assert!(names.len() >= 3, "{names:?}");
}
