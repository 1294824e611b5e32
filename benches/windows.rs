//! Keyed tumbling windows: the shared operator against stock DataFusion over the same rows.
//!
//! Sensor `i % 1000`, value `i`, event time 500 ms further with each batch of 5,000 rows,
//! watermark 2 s behind, windows of 10 s, `count` and `avg`. The operator has Arrow batches as the
//! log gives them (texts as dictionary codes); DataFusion has an in-memory table with integer keys
//! and integer times, which suits it best, and knows all rows before it begins.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use vong_model::columns::time_column;
use vong_model::{EventTime, Offset, Stream, Table};
use vong_sql::rule::{RuleStatement, parse_one};
use vong_stream::{Operator, RuleBudget, RuleMeta, RulePlan, RulePlanner};

use crate::report::{Row, Scale, Target, in_turn};

const ROWS: usize = 5_000;
const SENSORS: usize = 1_000;
const START_US: i64 = 1_700_000_000_000_000;
const BATCH_US: i64 = 500_000;
const BEHIND: Duration = Duration::from_secs(2);
/// Rules that the baseline really runs of the 1,000.
const SAMPLED: usize = 5;

pub(crate) fn one_rule(scale: &Scale) -> Result<Vec<Row>> {
    let count = scale.of(400);
    let rules =
        plan(&["SELECT sensor_id, count(*), avg(value) FROM readings GROUP BY sensor_id, \
         tumble(event_time, INTERVAL '10 seconds') HAVING avg(value) < 0"
            .to_owned()])?;
    let stock = Stock::new(count)?;
    let batches = readings(count)?;
    let both = in_turn(
        scale.rounds,
        || operator(&rules, &batches),
        || stock.rate("SELECT device, ts / 10000000, count(*), avg(value) FROM t GROUP BY 1, 2"),
    )?;
    let name = "windows: 1 rule, 1,000 keys / DataFusion GROUP BY, 1 partition";
    Ok(vec![
        Row::rate(name, "events/s", both, Target::Ratio(2.0)),
        Row::rate("windows: the same, as a rate", "events/s", both, Target::AtLeast(50e6)),
    ])
}

/// What a continuous view of 1,000 keys costs that needs no pane but those of a rule.
pub(crate) fn view_beside_rule(scale: &Scale) -> Result<Vec<Row>> {
    let batches = readings(scale.of(400))?;
    let grouped = "GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds')";
    let rule = plan(&[format!(
        "SELECT sensor_id, count(*), avg(value) FROM readings {grouped} HAVING avg(value) < 0"
    )])?;
    let view = plan_statements(
        &RulePlanner::new()?,
        &[format!(
            "CREATE CONTINUOUS VIEW v AS SELECT sensor_id, count(*) AS n, avg(value) AS mean \
         FROM readings {grouped}"
        )],
    )?;
    let together: Rules = rule.iter().chain(&view).cloned().collect();
    let both =
        in_turn(scale.rounds, || operator(&together, &batches), || operator(&rule, &batches))?;
    let name = "windows: 1 rule and a view of its panes / 1 rule, 1,000 keys";
    Ok(vec![Row::rate(name, "events/s", both, Target::Ratio(0.8))])
}

/// The peers' mix: rules alike but for the sensors they keep.
pub(crate) fn many_rules(scale: &Scale) -> Result<Vec<Row>> {
    let count = scale.of(200);
    let stock = Stock::new(count)?;
    let batches = readings(count)?;
    let mut rows = Vec::new();
    for (number, target) in [(100, 30e6), (1_000, 20e6)] {
        let rules = plan(&(0..number).map(peers_rule).collect::<Vec<_>>())?;
        let baseline = || {
            let query = |rule: usize| {
                format!(
                    "SELECT device, ts / 10000000, count(*), avg(value) FROM t \
                     WHERE device % 100 = {} GROUP BY 1, 2",
                    rule * 17 % 100
                )
            };
            stock.scaled(&(0..SAMPLED).map(query).collect::<Vec<_>>(), number)
        };
        let both = in_turn(scale.rounds, || operator(&rules, &batches), baseline)?;
        let name = format!(
            "windows: {number} rules, peers' mix / DataFusion once a rule, {SAMPLED} run, scaled"
        );
        rows.push(Row::rate(name, "events/s", both, Target::AtLeast(target)));
    }
    Ok(rows)
}

fn peers_rule(number: usize) -> String {
    let sensors: Vec<String> =
        (0..10).map(|i| format!("'S-{:04}'", i * 100 + number % 100)).collect();
    format!(
        "SELECT sensor_id, count(*), avg(value) FROM readings WHERE sensor_id IN ({}) GROUP BY \
         sensor_id, tumble(event_time, INTERVAL '10 seconds') HAVING avg(value) < 0",
        sensors.join(", ")
    )
}

/// The city's mix: 1,000 rules over 1,000 sensors of 10 metrics in 20 wards that differ in filter
/// (one metric; and the city, one ward or ten sensors), in key (sensor, ward, none), in window (10 s,
/// 30 s, 1 min, 5 min tumbling; 1 min by 10 s and 5 min by 1 min hopping), in aggregate (avg, max,
/// min, count, sum) and each in its threshold, which one rule in fifty crosses.
pub(crate) fn city_mix(scale: &Scale) -> Result<Vec<Row>> {
    let count = scale.of(200);
    let stock = Stock::new(count)?;
    let batches = readings(count)?;
    let rules = plan(&(0..1_000).map(|n| city_rule(n, false)).collect::<Vec<_>>())?;
    let queries: Vec<String> = (0..SAMPLED).map(|n| city_rule(n * 211 + 3, true)).collect();
    let baseline = || stock.scaled(&queries, 1_000);
    let both = in_turn(scale.rounds, || operator(&rules, &batches), baseline)?;
    let name =
        format!("windows: 1,000 rules, city mix / DataFusion once a rule, {SAMPLED} run, scaled");
    Ok(vec![Row::rate(name, "events/s", both, Target::AtLeast(3e6))])
}

/// One rule of the city's mix, or its tumbling counterpart over the baseline's integer columns.
fn city_rule(number: usize, stock: bool) -> String {
    let metric = number % 10;
    let filter = match (number / 10 % 3, stock) {
        (0, _) => String::new(),
        (1, false) => format!(" AND unit_code = 'W-{:02}'", number / 30 % 20),
        (1, true) => format!(" AND device % 20 = {}", number / 30 % 20),
        (_, stock) => {
            let sensor = |i: usize| (i * 100 + number * 7 % 100) / 10 * 10 + metric;
            let (name, list): (_, Vec<String>) = match stock {
                false => ("sensor_id", (0..10).map(|i| format!("'S-{:04}'", sensor(i))).collect()),
                true => ("device", (0..10).map(|i| sensor(i).to_string()).collect()),
            };
            format!(" AND {name} IN ({})", list.join(", "))
        }
    };
    let (key, device) =
        [("sensor_id, ", "device, "), ("unit_code, ", "device % 20, "), ("", "")][number / 7 % 3];
    let (window, seconds) = [
        ("tumble(event_time, INTERVAL '10 seconds')", 10),
        ("tumble(event_time, INTERVAL '30 seconds')", 30),
        ("tumble(event_time, INTERVAL '1 minute')", 60),
        ("tumble(event_time, INTERVAL '5 minutes')", 300),
        ("hop(event_time, INTERVAL '10 seconds', INTERVAL '1 minute')", 60),
        ("hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes')", 300),
    ][number / 3 % 6];
    let value = ["avg(value)", "max(value)", "min(value)", "count(*)", "sum(value)"][number % 5];
    let threshold = match number % 50 {
        0 => 0.0,
        _ => 1e12 + number as f64,
    };
    match stock {
        false => format!(
            "SELECT {key}{value} FROM readings WHERE metric = 'm{metric}'{filter} GROUP BY \
             {key}{window} HAVING {value} > {threshold}"
        ),
        true => format!(
            "SELECT {device}{value}, ts / {seconds}000000 w FROM t WHERE device % 10 = \
             {metric}{filter} GROUP BY {device}w",
        ),
    }
}

/// What 9,990 rules cost that no row concerns, beside ten that all rows do.
pub(crate) fn idle_rules(scale: &Scale) -> Result<Vec<Row>> {
    let batches = readings(scale.of(200))?;
    let idle = |number: usize| {
        format!(
            "SELECT sensor_id, avg(value) FROM readings WHERE sensor_id = 'T-{number:05}' GROUP BY \
             sensor_id, tumble(event_time, INTERVAL '10 seconds') HAVING avg(value) > {number}"
        )
    };
    let few: Vec<String> = (0..10).map(|n| city_rule(n * 100 + 1, false)).collect();
    let many: Vec<String> = few.iter().cloned().chain((10..10_000).map(idle)).collect();
    let few = plan(&few)?;
    let before = resident_bytes()?;
    let start = Instant::now();
    let many = plan(&many)?;
    let loaded = start.elapsed().as_secs_f64();
    let loaded_operator = load(&many)?;
    let bytes = resident_bytes()?.saturating_sub(before) as f64 / many.len() as f64;
    drop(loaded_operator);
    let both = in_turn(scale.rounds, || operator(&many, &batches), || operator(&few, &batches))?;
    Ok(vec![
        Row::rate("windows: 10,000 rules / 10, same matches", "events/s", both, Target::Ratio(0.5)),
        Row::time("rules: loading 10,000 / 10 s", "s", (loaded, 10.0), Target::Below(10.0)),
        Row::time(
            "rules: memory of one, of 10,000 / 20 KB",
            "bytes",
            (bytes, 20_480.0),
            Target::Below(20_480.0),
        ),
    ])
}

/// Rows that questions asked again and again handle, against the budget that rules are given.
pub(crate) fn asked(scale: &Scale) -> Result<Vec<Row>> {
    let batches = readings(scale.of(200).max(40))?;
    let rules = plan_all(
        &RulePlanner::new()?,
        "EVERY INTERVAL '1 second' OVER LAST INTERVAL '4 seconds'",
        &["SELECT r.sensor_id, max(r.value) FROM readings r JOIN (SELECT sensor_id, avg(value) AS \
           mean FROM readings GROUP BY sensor_id) m ON m.sensor_id = r.sensor_id WHERE r.value > \
           m.mean + 1e9 GROUP BY r.sensor_id"
            .to_owned()],
    )?;
    let (_, one) = rules.first().context("one rule is planned")?;
    let budget = RuleBudget::default();
    // What the estimate says of the rate that these batches have.
    let promised = RuleBudget { rows_per_s: ROWS as f64 * 1e6 / BATCH_US as f64, ..budget };
    let handled = promised.cost(one).asked_rows_per_s;
    // The first stretch is not whole, and the last ones are not reached by the watermark.
    let seconds = batches.len() as f64 * BATCH_US as f64 / 1e6 - 4.0 - BEHIND.as_secs_f64();
    ensure!(seconds > 5.0, "too few rows to ask about");
    let allowed = budget.asked_rows_per_s;
    let rate =
        || Ok(operator(&rules, &batches)? / (ROWS * batches.len()) as f64 * seconds * handled);
    let both = in_turn(scale.rounds, rate, || Ok(allowed))?;
    let name = "rules: rows that EVERY rules handle on one processor / the budget";
    Ok(vec![Row::rate(name, "rows/s", both, Target::Ratio(4.0))])
}

/// What a join with a table of 1,000 sensors costs: the same rules with and without one.
pub(crate) fn joined(scale: &Scale) -> Result<Vec<Row>> {
    let batches = readings(scale.of(200))?;
    let lines = (0..SENSORS).map(|i| format!("S-{i:04},{},Z{}\n", 1e9 + i as f64, i % 20));
    let text = format!("sensor_id,high,zone\n{}", lines.collect::<String>());
    let table = Arc::new(Table::parse("limits", &text)?);
    let window = "tumble(event_time, INTERVAL '10 seconds')";
    let join = "readings r JOIN limits t ON r.sensor_id = t.sensor_id";
    let mut rows = Vec::new();
    for (what, with, without) in [
        (
            "a window by a column of a table / by one of the stream",
            format!(
                "SELECT t.zone, avg(value) FROM {join} GROUP BY t.zone, {window} HAVING avg(value) < 0"
            ),
            format!(
                "SELECT unit_code, avg(value) FROM readings GROUP BY unit_code, {window} HAVING avg(value) < 0"
            ),
        ),
        (
            "a window over value - limit / over value - number",
            format!(
                "SELECT r.sensor_id, max(value - t.high) FROM {join} GROUP BY r.sensor_id, {window} HAVING max(value - t.high) > 0"
            ),
            format!(
                "SELECT sensor_id, max(value - 1e9) FROM readings GROUP BY sensor_id, {window} HAVING max(value - 1e9) > 0"
            ),
        ),
        (
            "a row over its limit / over a number",
            format!("SELECT r.sensor_id, value FROM {join} WHERE value > t.high"),
            "SELECT sensor_id, value FROM readings WHERE value * 1 > 1e9".to_owned(),
        ),
    ] {
        let planner = RulePlanner::new()?;
        planner.set_table(&table)?;
        let (with, without) = (plan_with(&planner, &[with])?, plan_with(&planner, &[without])?);
        let both =
            in_turn(scale.rounds, || operator(&with, &batches), || operator(&without, &batches))?;
        rows.push(Row::rate(format!("tables: {what}"), "events/s", both, Target::Ratio(0.3)));
    }
    Ok(rows)
}

/// Memory of this process that is really there.
fn resident_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(pages * 4_096)
}

type Rules = Vec<(Arc<RuleMeta>, RulePlan)>;

fn plan(selects: &[String]) -> Result<Rules> {
    plan_with(&RulePlanner::new()?, selects)
}

fn plan_with(planner: &RulePlanner, selects: &[String]) -> Result<Rules> {
    plan_all(planner, "", selects)
}

fn plan_all(planner: &RulePlanner, clauses: &str, selects: &[String]) -> Result<Rules> {
    let rule = |(number, select): (usize, &String)| {
        format!(
            "CREATE ALERT RULE r{number} SEVERITY low {clauses} TITLE vi 'a' en 'b' ACTION vi 'c' en 'd' AS \
             {select};"
        )
    };
    plan_statements(planner, &selects.iter().enumerate().map(rule).collect::<Vec<_>>())
}

fn plan_statements(planner: &RulePlanner, statements: &[String]) -> Result<Rules> {
    let one = |sql: &String| {
        let RuleStatement::Create(definition) = parse_one(sql)? else {
            bail!("not a CREATE statement: {sql}");
        };
        let plan = planner.plan(&definition)?;
        Ok((Arc::new(RuleMeta { version: 1, definition: *definition }), plan))
    };
    statements.iter().map(one).collect()
}

fn load(rules: &Rules) -> Result<Operator> {
    let mut operator = Operator::new();
    for (meta, plan) in rules {
        operator.add(Arc::clone(meta), plan)?;
    }
    Ok(operator)
}

/// What it costs to know what each rule costs: the city's mix measured, and not.
pub(crate) fn measured(scale: &Scale) -> Result<Vec<Row>> {
    let batches = readings(scale.of(200))?;
    let mut rows = Vec::new();
    for number in [1, 1_000] {
        let rules = plan(&(0..number).map(|n| city_rule(n, false)).collect::<Vec<_>>())?;
        let measured = || {
            let mut operator = load(&rules)?;
            operator.measure(vong_runtime::processor_time);
            run(operator, &batches)
        };
        let both = in_turn(scale.rounds, measured, || operator(&rules, &batches))?;
        let name = format!("rules: {number} measured / not measured");
        rows.push(Row::rate(name, "events/s", both, Target::Ratio(0.95)));
    }
    Ok(rows)
}

/// Events a second of a new operator with these rules.
fn operator(rules: &Rules, batches: &[RecordBatch]) -> Result<f64> {
    run(load(rules)?, batches)
}

fn run(mut operator: Operator, batches: &[RecordBatch]) -> Result<f64> {
    let mut steps = Vec::new();
    let mut rows = 0;
    let start = Instant::now();
    for (number, batch) in (0..).zip(batches) {
        let offset = Offset(number);
        rows += operator.push(Stream::Readings, batch, offset, &mut steps)?.rows;
        let reached = time_of(number.cast_signed(), ROWS - 1).saturating_sub(BEHIND);
        operator.advance(Stream::Readings, reached, offset, &mut steps)?;
        std::hint::black_box(&steps);
        steps.clear();
    }
    let seconds = start.elapsed().as_secs_f64();
    ensure!(rows == batches.len() * ROWS, "only {rows} rows took part");
    Ok(rows as f64 / seconds)
}

/// As the peers' scripts have it: 10 rows each millisecond, 500 ms a batch.
fn time_of(batch: i64, row: usize) -> EventTime {
    let within = i64::try_from(row / 10).unwrap_or_default() * 1_000;
    EventTime(START_US + batch * BATCH_US + within)
}

fn readings(count: usize) -> Result<Vec<RecordBatch>> {
    let texts = |all: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(all)) };
    let sensors = texts((0..SENSORS).map(|i| format!("S-{i:04}")).collect());
    let (one, good) = (texts(vec!["x".to_owned()]), texts(vec!["good".to_owned()]));
    let codes = |of: fn(usize) -> usize, values: &ArrayRef| -> Result<ArrayRef> {
        let keys = (0..ROWS).map(|i| i32::try_from(of(i)).unwrap_or_default());
        let keys = Int32Array::from_iter_values(keys);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(values))?))
    };
    let first = |_| 0;
    let metrics = texts((0..10).map(|i| format!("m{i}")).collect());
    let wards = texts((0..20).map(|i| format!("W-{i:02}")).collect());
    let sensor_ids = codes(|i| i % SENSORS, &sensors)?;
    let (metric, ward) = (codes(|i| i % 10, &metrics)?, codes(|i| i % 20, &wards)?);
    let (same, quality) = (codes(first, &one)?, codes(first, &good)?);
    let values: ArrayRef = Arc::new(Float64Array::from_iter_values((0..ROWS).map(|i| i as f64)));
    let hashes: ArrayRef = Arc::new(UInt64Array::from_value(0, ROWS));
    let batch = |number: i64| {
        let times = time_column((0..ROWS).map(|row| Some(time_of(number, row))));
        let columns = vec![
            Arc::clone(&times),
            times,
            Arc::clone(&same),
            Arc::clone(&sensor_ids),
            Arc::clone(&metric),
            Arc::clone(&values),
            Arc::clone(&same),
            Arc::clone(&ward),
            Arc::clone(&quality),
            Arc::clone(&hashes),
        ];
        Ok(RecordBatch::try_new(Stream::Readings.schema(), columns)?)
    };
    (0..i64::try_from(count)?).map(batch).collect()
}

/// DataFusion as it comes, one partition.
struct Stock {
    runtime: Runtime,
    session: SessionContext,
    rows: usize,
}

impl Stock {
    fn new(count: usize) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("ts", DataType::Int64, false),
            Field::new("device", DataType::Int64, false),
            Field::new("value", DataType::Float64, false),
        ]));
        let batch = |number: i64| {
            let devices = (0..ROWS).map(|i| (i % SENSORS) as i64);
            let times = (0..ROWS).map(|row| time_of(number, row).micros());
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from_iter_values(times)),
                Arc::new(Int64Array::from_iter_values(devices)),
                Arc::new(Float64Array::from_iter_values((0..ROWS).map(|i| i as f64))),
            ];
            Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
        };
        let batches = (0..i64::try_from(count)?).map(batch).collect::<Result<Vec<_>>>()?;
        let config = SessionConfig::new().with_target_partitions(1);
        let session = SessionContext::new_with_config(config);
        session.register_table("t", Arc::new(MemTable::try_new(schema, vec![batches])?))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { runtime, session, rows: count * ROWS })
    }

    /// Rows a second of `rules` queries in turn, from the time that a few of them take.
    fn scaled(&self, queries: &[String], rules: usize) -> Result<f64> {
        let seconds = queries.iter().map(|sql| self.rate(sql).map(f64::recip));
        let seconds: f64 = seconds.sum::<Result<f64>>()?;
        Ok((seconds / queries.len() as f64 * rules as f64).recip())
    }

    /// Rows of the table a second; planning counts, as it does for each stock query.
    fn rate(&self, sql: &str) -> Result<f64> {
        let start = Instant::now();
        let found =
            self.runtime.block_on(async { self.session.sql(sql).await?.collect().await })?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(found.iter().any(|batch| batch.num_rows() > 0), "no window came out of {sql}");
        Ok(self.rows as f64 / seconds)
    }
}
