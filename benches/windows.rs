//! Keyed tumbling windows: the shared operator against stock DataFusion over the same rows.
//!
//! Sensor `i % 1000`, value `i`, event time 500 ms further with each batch of 5,000 rows,
//! watermark 2 s behind, windows of 10 s, `count` and `avg`. The operator has Arrow batches as the
//! log gives them (texts as dictionary codes); DataFusion has an in-memory table with integer keys
//! and integer times, which suits it best, and knows all rows before it begins.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
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
use vong_model::{EventTime, Offset, Stream};
use vong_sql::rule::{RuleStatement, parse_one};
use vong_stream::{Operator, RuleMeta, RulePlan, RulePlanner};

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

pub(crate) fn many_rules(scale: &Scale) -> Result<Vec<Row>> {
    let count = scale.of(200);
    let rule = |number: usize| {
        let sensors: Vec<String> =
            (0..10).map(|i| format!("'S-{:04}'", i * 100 + number % 100)).collect();
        format!(
            "SELECT sensor_id, count(*), avg(value) FROM readings WHERE sensor_id IN ({}) GROUP BY \
             sensor_id, tumble(event_time, INTERVAL '10 seconds') HAVING avg(value) < 0",
            sensors.join(", ")
        )
    };
    let rules = plan(&(0..1_000).map(rule).collect::<Vec<_>>())?;
    let stock = Stock::new(count)?;
    let batches = readings(count)?;
    let baseline = || {
        let seconds = (0..SAMPLED).map(|rule| {
            let sql = format!(
                "SELECT device, ts / 10000000, count(*), avg(value) FROM t \
                 WHERE device % 100 = {} GROUP BY 1, 2",
                rule * 17 % 100
            );
            stock.rate(&sql).map(|rate| rate.recip())
        });
        let seconds: f64 = seconds.sum::<Result<f64>>()?;
        Ok((seconds / SAMPLED as f64 * 1_000.0).recip())
    };
    let both = in_turn(scale.rounds, || operator(&rules, &batches), baseline)?;
    let name = format!(
        "windows: 1,000 rules, 10 keys each / DataFusion once a rule, {SAMPLED} run, scaled to 1,000"
    );
    Ok(vec![Row::rate(name, "events/s", both, Target::AtLeast(20e6))])
}

type Rules = Vec<(Arc<RuleMeta>, RulePlan)>;

fn plan(selects: &[String]) -> Result<Rules> {
    let planner = RulePlanner::new()?;
    let one = |(number, select): (usize, &String)| {
        let sql = format!(
            "CREATE ALERT RULE r{number} SEVERITY low TITLE vi 'a' en 'b' ACTION vi 'c' en 'd' AS \
             {select};"
        );
        let RuleStatement::Create(definition) = parse_one(&sql)? else {
            bail!("not a rule: {sql}");
        };
        let plan = planner.plan(&definition)?;
        Ok((Arc::new(RuleMeta { version: 1, definition: *definition }), plan))
    };
    selects.iter().enumerate().map(one).collect()
}

/// Events a second of a new operator with these rules.
fn operator(rules: &Rules, batches: &[RecordBatch]) -> Result<f64> {
    let mut operator = Operator::new();
    for (meta, plan) in rules {
        operator.add(Arc::clone(meta), plan)?;
    }
    let mut steps = Vec::new();
    let mut rows = 0;
    let start = Instant::now();
    for (number, batch) in (0..).zip(batches) {
        let offset = Offset(number);
        rows += operator.push(Stream::Readings, batch, offset, &mut steps)?.rows;
        let reached = time_of(number.cast_signed(), ROWS - 1).saturating_sub(BEHIND);
        operator.advance(Stream::Readings, reached, offset, &mut steps)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    ensure!(rows == batches.len() * ROWS, "only {rows} rows took part");
    ensure!(steps.is_empty(), "a rule that is never true raised an alert");
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
    let sensor_ids = codes(|i| i % SENSORS, &sensors)?;
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
            Arc::clone(&same),
            Arc::clone(&values),
            Arc::clone(&same),
            Arc::clone(&same),
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
