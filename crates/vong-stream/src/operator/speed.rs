//! A quick look at rows a second; `--ignored --nocapture` prints it. The promised ratios are
//! measured in `benches/`.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::array::{
    DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use vong_model::{EventTime, Offset, Stream};
use vong_sql::rule::{RuleStatement, parse_one};

use super::{Operator, RuleMeta};
use crate::RulePlanner;
use crate::testing::rule_sql;

const ROWS: usize = 5_000;
const BATCHES: usize = 200;
const SENSORS: usize = 1_000;

fn batches(metrics: usize) -> Vec<RecordBatch> {
    let dictionary = |prefix: &str, count: usize| {
        let texts = (0..count).map(|i| Some(format!("{prefix}{i}")));
        Arc::new(texts.collect::<StringArray>()) as ArrayRef
    };
    let (sensors, names) = (dictionary("S-", SENSORS), dictionary("m", metrics));
    let (one, good) = (dictionary("x", 1), Arc::new(StringArray::from(vec!["good"])) as ArrayRef);
    let keys = |of: &dyn Fn(usize) -> usize, values: &ArrayRef| {
        let keys = (0..ROWS).map(|i| i32::try_from(of(i)).unwrap());
        Arc::new(DictionaryArray::<Int32Type>::new(
            Int32Array::from_iter_values(keys),
            Arc::clone(values),
        )) as ArrayRef
    };
    (0..BATCHES)
        .map(|b| {
            let time = |i: usize| ((b * ROWS + i) * 20) as i64;
            let times = TimestampMicrosecondArray::from_iter_values((0..ROWS).map(time));
            let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
            let value = |i: usize| ((b * 31 + i * 7_919) % 1_000) as f64 / 10.0;
            let columns = vec![
                Arc::clone(&times),
                times,
                keys(&|_| 0, &one),
                keys(&|i| (i * 7_919 + b) % SENSORS, &sensors),
                keys(&|i| (i * 7_919 + b) % SENSORS % metrics, &names),
                Arc::new(Float64Array::from_iter_values((0..ROWS).map(value))),
                keys(&|_| 0, &one),
                keys(&|_| 0, &one),
                keys(&|_| 0, &good),
                Arc::new(UInt64Array::from_value(0, ROWS)),
            ];
            RecordBatch::try_new(Stream::Readings.schema(), columns).unwrap()
        })
        .collect()
}

fn measure(name: &str, metrics: usize, rules: &[String]) {
    let planner = RulePlanner::new().unwrap();
    let mut operator = Operator::new();
    for (number, select) in rules.iter().enumerate() {
        let sql = rule_sql(&format!("r{number}"), "", select);
        let RuleStatement::Create(definition) = parse_one(&sql).unwrap() else { panic!() };
        let plan = planner.plan(&definition).unwrap();
        operator.add(Arc::new(RuleMeta { version: 1, definition: *definition }), &plan).unwrap();
    }
    let batches = batches(metrics);
    let mut steps = Vec::new();
    let start = tokio::time::Instant::now();
    for (number, batch) in batches.iter().enumerate() {
        let offset = Offset(number as u64);
        operator.push(Stream::Readings, batch, offset, &mut steps).unwrap();
        let reached = EventTime((number * ROWS * 20) as i64);
        operator.advance(Stream::Readings, reached, offset, &mut steps).unwrap();
    }
    let rows = (ROWS * BATCHES) as f64;
    let rate = rows / start.elapsed().as_secs_f64() / 1e6;
    println!("{name}: {rate:.2} M rows/s, {} steps", steps.len());
}

#[test]
#[ignore = "prints speeds; run by hand"]
fn speed() {
    let window = |metric: &str, aggregate: &str, seconds: usize, bound: f64| {
        format!(
            "SELECT sensor_id, {aggregate} FROM readings WHERE metric = '{metric}' GROUP BY sensor_id, \
             tumble(event_time, INTERVAL '{seconds} seconds') HAVING {aggregate} > {bound}"
        )
    };
    let three =
        "SELECT sensor_id, avg(value), count(*), max(value) FROM readings GROUP BY sensor_id, \
                 tumble(event_time, INTERVAL '10 seconds') HAVING max(value) > 1000"
            .to_owned();
    measure("1 window rule, 1,000 keys", 1, &[three]);
    let aggregates = ["avg(value)", "max(value)", "min(value)", "sum(value)", "count(*)"];
    let peers = |count: usize| -> Vec<String> {
        (0..count).map(|i| window("m0", aggregates[i % 5], 10, 100_000.0 + i as f64)).collect()
    };
    measure("100 window rules, one key and window", 1, &peers(100));
    measure("1,000 window rules, one key and window", 1, &peers(1_000));
    let city: Vec<String> = (0..1_000)
        .map(|i| match i % 4 {
            0 => format!(
                "SELECT value FROM readings WHERE metric = 'm{}' AND value > {}",
                i % 10,
                99.0 + i as f64
            ),
            1 => format!("SELECT value FROM readings WHERE sensor_id = 'S-{i}' AND value > 1000"),
            _ => window(
                &format!("m{}", i % 10),
                aggregates[i % 5],
                [5, 10, 30, 60][i % 4],
                100_000.0 + i as f64,
            ),
        })
        .collect();
    measure("1,000 rules, city mix", 10, &city);
    let stateless: Vec<String> = (0..1_000)
        .map(|i| {
            format!(
                "SELECT value FROM readings WHERE metric = 'm{}' AND value > {}",
                i % 10,
                100 + i
            )
        })
        .collect();
    measure("1,000 stateless rules", 10, &stateless);
}
