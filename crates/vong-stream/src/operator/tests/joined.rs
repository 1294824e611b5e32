//! Rules over dimension tables against stock DataFusion, which joins and groups in one batch.

use datafusion::prelude::SessionContext;
use vong_model::Table;

use super::*;

const CHUNK: usize = 97;

fn table(name: &str, text: &str) -> Arc<Table> {
    Arc::new(Table::parse(name, text).unwrap())
}

/// Limits by sensor and metric; sensors 30 to 39 have none, sensor 5 none for speed.
fn limits(shift: f64) -> Arc<Table> {
    let mut text = String::from("sensor_id:key,metric:key,high:number,watched:boolean\n");
    for sensor in 0..30 {
        for (place, metric) in ["speed", "flow", "noise"].into_iter().enumerate() {
            if sensor == 5 && place == 0 {
                continue;
            }
            let high = 40.0 + f64::from(sensor) * 2.0 + place as f64 * 5.0 + shift;
            let watched = (sensor + place as i32) % 4 != 0;
            text.push_str(&format!("S-{sensor},{metric},{high},{watched}\n"));
        }
    }
    table("limits", &text)
}

fn places() -> Arc<Table> {
    let rows = (0..35).map(|sensor| format!("S-{sensor},kind{},Z{}\n", sensor % 3, sensor % 5));
    table("places", &format!("sensor_id:key,kind:text,zone:text\n{}", rows.collect::<String>()))
}

fn zones() -> Arc<Table> {
    table("zones", "zone:key,ward:text,factor:number\nZ0,W0,1\nZ1,W0,2\nZ2,W1,\nZ3,W1,4\n")
}

/// Rows straight off the log are judged as they come, and an old row does not end a newer alert.
fn in_order(count: u64) -> Vec<Row> {
    let mut rows = rows(count);
    rows.sort_by_key(|row| row.at_us);
    rows
}

fn planner(tables: &[Arc<Table>]) -> RulePlanner {
    let planner = RulePlanner::new().unwrap();
    tables.iter().for_each(|table| planner.set_table(table).unwrap());
    planner
}

fn all() -> Vec<Arc<Table>> {
    vec![limits(0.0), places(), zones()]
}

/// A session with the rows as `readings`, from `from` on, and the tables.
fn stock_session(rows: &[Row], tables: &[Arc<Table>]) -> SessionContext {
    let session = vong_sql::session(&SessionLimits::deterministic()).unwrap();
    // One batch, so that message_hash is the number of the row.
    let rows = MemTable::try_new(Stream::Readings.schema(), vec![vec![readings(rows)]]).unwrap();
    session.register_table("readings", Arc::new(rows)).unwrap();
    for table in tables {
        let rows = table.rows().clone();
        let rows = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
        session.register_table(table.name(), Arc::new(rows)).unwrap();
    }
    session
}

/// Outputs `key, value, time`: windows where a key holds and did not before.
async fn stock_windows(
    session: &SessionContext,
    select: &str,
    key: &str,
    slide_us: i64,
) -> BTreeMap<(i64, String), u64> {
    let batches = session.sql(select).await.unwrap().collect().await.unwrap();
    let mut holds: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
    for batch in batches {
        let keys = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8);
        let keys = keys.unwrap().as_string::<i32>().clone();
        let values = batch.column(1).as_primitive::<Float64Type>();
        let windows = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let of = if keys.is_null(row) { "null" } else { keys.value(row) };
            let of = holds.entry(format!("{key}={of}")).or_default();
            of.insert(windows.value(row), values.value(row).to_bits());
        }
    }
    let mut found = BTreeMap::new();
    for (key, windows) in holds {
        let begins = |window: &i64| !windows.contains_key(&(window - slide_us));
        let begun = windows.iter().filter(|(window, _)| begins(window));
        found.extend(begun.map(|(window, value)| ((*window, key.clone()), *value)));
    }
    found
}

/// From and conditions of a rule, its key, its value and its HAVING.
const WINDOWS: [(&str, &str, &str, &str); 9] = [
    (
        "readings r JOIN limits t ON r.sensor_id = t.sensor_id AND r.metric = t.metric \
         WHERE r.value > t.high",
        "r.sensor_id",
        "avg(r.value)",
        "count(*) > 2",
    ),
    (
        "readings r JOIN limits t ON t.metric = 'flow' AND r.sensor_id = t.sensor_id \
         WHERE r.metric = 'speed' AND t.watched",
        "r.sensor_id",
        "max(r.value - t.high)",
        "max(r.value - t.high) > 10 AND count(*) >= 1",
    ),
    ("readings r JOIN places p USING (sensor_id)", "p.kind", "avg(r.value)", "avg(r.value) > 62"),
    (
        "readings r JOIN places p ON r.sensor_id = p.sensor_id WHERE p.kind = 'kind1'",
        "p.zone",
        "sum(r.value)",
        "sum(r.value) > 900",
    ),
    (
        "readings r LEFT JOIN places p ON p.sensor_id = r.sensor_id WHERE metric = 'noise'",
        "p.zone",
        "min(r.value)",
        "min(r.value) < 5 AND count(*) >= 1",
    ),
    (
        "readings r JOIN places p ON r.sensor_id = p.sensor_id JOIN zones z ON p.zone = z.zone",
        "z.ward",
        "avg(r.value * z.factor)",
        "avg(r.value * z.factor) > 92",
    ),
    (
        "readings r JOIN places p ON r.sensor_id = p.sensor_id \
         LEFT JOIN zones z ON p.zone = z.zone JOIN limits t ON t.sensor_id = r.sensor_id \
         AND t.metric = r.metric AND t.high < r.value",
        "p.sensor_id",
        "max(r.value)",
        "count(z.factor) >= 1",
    ),
    (
        "readings r JOIN limits t ON r.sensor_id = t.sensor_id AND r.metric = t.metric",
        "t.sensor_id",
        "avg(r.value) FILTER (WHERE t.metric = 'speed')",
        "avg(r.value) FILTER (WHERE t.metric = 'speed') > min(t.high)",
    ),
    (
        "readings r JOIN places p ON r.sensor_id = p.sensor_id WHERE p.zone IN ('Z1', 'Z2')",
        "r.sensor_id",
        "median(r.value)",
        "median(r.value) > 70",
    ),
];

#[tokio::test]
async fn windows_over_tables_equal_a_stock_join_to_the_last_bit() {
    let rows = rows(12_000);
    let (planner, session) = (planner(&all()), stock_session(&rows, &all()));
    for (from, key, value, having) in WINDOWS {
        let window = "tumble(event_time, INTERVAL '10 seconds')";
        let select = format!(
            "SELECT {key}, {value} AS v, {window} AS w FROM {from} GROUP BY {key}, {window} \
             HAVING {having}"
        );
        let name = key.split('.').next_back().unwrap();
        let found = by_operator_with(&planner, &select, &rows, |_, _| {});
        let expected = stock_windows(&session, &select, name, 10 * SECOND).await;
        assert!(expected.len() > 3, "{select}: {}", expected.len());
        assert!(equal(&found, &expected, false), "{select}");
        let ours = format!(
            "SELECT {key}, {value} AS v FROM {from} GROUP BY {key}, hop(event_time, INTERVAL '5 \
             seconds', INTERVAL '20 seconds') HAVING {having}"
        );
        let (joined, filter) = from.split_once(" WHERE ").unwrap_or((from, "true"));
        let stock = format!(
            "SELECT {key}, {value} AS v, w FROM (SELECT *, unnest(hop_windows(event_time, INTERVAL \
             '5 seconds', INTERVAL '20 seconds')) AS w FROM readings) r {} WHERE {filter} \
             GROUP BY {key}, w HAVING {having}",
            joined.strip_prefix("readings r").unwrap()
        );
        let found = by_operator_with(&planner, &ours, &rows, |_, _| {});
        let expected = stock_windows(&session, &stock, name, 5 * SECOND).await;
        assert!(equal(&found, &expected, false), "{ours}");
    }
}

/// Outputs `sensor_id, value, event_time, holds` of every row the rule looks at, in log order.
async fn stock_rows(
    session: &SessionContext,
    select: &str,
    by_time: bool,
) -> BTreeMap<(i64, String), u64> {
    let batches = session.sql(select).await.unwrap().collect().await.unwrap();
    let mut by_key: BTreeMap<String, BTreeMap<i64, (i64, bool, u64)>> = BTreeMap::new();
    for batch in batches {
        let keys = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8);
        let keys = keys.unwrap().as_string::<i32>().clone();
        let values = batch.column(1).as_primitive::<Float64Type>();
        let times = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        let holds = batch.column(3).as_boolean();
        let numbers = batch.column(4).as_primitive::<arrow::datatypes::UInt64Type>();
        for row in 0..batch.num_rows() {
            let (time, holds) = (times.value(row), !holds.is_null(row) && holds.value(row));
            let order = if by_time { time } else { numbers.value(row) as i64 };
            let of_key = by_key.entry(format!("sensor_id={}", keys.value(row))).or_default();
            of_key.insert(order, (time, holds, values.value(row).to_bits()));
        }
    }
    let mut found = BTreeMap::new();
    for (key, rows) in by_key {
        let mut before = false;
        for (time, holds, value) in rows.into_values() {
            if holds && !before {
                found.insert((time, key.clone()), value);
            }
            before = holds;
        }
    }
    found
}

const JOIN: &str = "readings r JOIN limits t ON r.sensor_id = t.sensor_id AND r.metric = t.metric";

#[tokio::test]
async fn rows_and_frames_over_tables_equal_stock() {
    let rows = in_order(12_000);
    let (planner, session) = (planner(&all()), stock_session(&rows, &all()));
    let places = "JOIN places p ON p.sensor_id = r.sensor_id";
    for (from, scope, condition) in [
        (JOIN.to_owned(), "r.metric = 'speed'", "r.value > t.high"),
        (JOIN.to_owned(), "r.metric = 'flow' AND t.watched", "abs(r.value - t.high) < 20"),
        (format!("{JOIN} {places}"), "p.kind = 'kind2'", "r.value > 2 * t.high"),
        (format!("{JOIN} {places}"), "t.metric = 'noise'", "r.value < t.high AND p.zone <> 'Z1'"),
    ] {
        let ours = format!("SELECT r.sensor_id, r.value FROM {from} WHERE {scope} AND {condition}");
        let stock = format!(
            "SELECT r.sensor_id, r.value, r.event_time, {condition}, r.message_hash \
             FROM {from} WHERE {scope}"
        );
        let found = by_operator_with(&planner, &ours, &rows, |_, _| {});
        let expected = stock_rows(&session, &stock, false).await;
        assert!(expected.len() > 20, "{ours}: {}", expected.len());
        assert!(equal(&found, &expected, false), "{ours}");
    }
    for condition in [
        "r.value > t.high + 0.5 * avg(r.value) OVER",
        "max(r.value - t.high) OVER > 40",
        "sum(t.high) OVER > 300 AND r.value > avg(r.value) OVER",
    ] {
        let over = "OVER (PARTITION BY r.sensor_id ORDER BY r.event_time RANGE BETWEEN INTERVAL \
                    '7 seconds' PRECEDING AND CURRENT ROW)";
        let condition = condition.replace("OVER", over);
        let from = format!("{JOIN} WHERE r.metric = 'noise'");
        let ours = format!("SELECT r.sensor_id, r.value FROM {from} QUALIFY {condition}");
        let stock = format!(
            "SELECT r.sensor_id, r.value, r.event_time, {condition}, r.message_hash FROM {from}"
        );
        let found = by_operator_with(&planner, &ours, &rows, |_, _| {});
        let expected = stock_rows(&session, &stock, true).await;
        assert!(expected.len() > 20, "{condition}: {}", expected.len());
        assert!(equal(&found, &expected, false), "{condition}");
    }
}

#[test]
fn sessions_over_tables_are_those_of_the_rows_that_match() {
    let rows = rows(12_000);
    let ours = "SELECT r.sensor_id, sum(r.value) FROM readings r JOIN limits t ON r.sensor_id = \
                t.sensor_id AND r.metric = t.metric WHERE r.value > t.high GROUP BY r.sensor_id, \
                session(event_time, INTERVAL '3 seconds') HAVING count(*) > 1";
    let limits = limits(0.0);
    let high = |row: &Row| {
        let found = limits.row_of(&[&row.sensor, &row.metric])?;
        Some(limits.column("high")?.as_primitive::<Float64Type>().value(found))
    };
    let over: Vec<Row> =
        rows.iter().filter(|row| high(row).is_some_and(|high| row.value > high)).cloned().collect();
    let plain = "SELECT sensor_id, sum(value) FROM readings GROUP BY sensor_id, \
                 session(event_time, INTERVAL '3 seconds') HAVING count(*) > 1";
    let found = by_operator_with(&planner(&all()), ours, &rows, |_, _| {});
    let expected = by_operator(plain, &over);
    assert!(expected.len() > 100, "{}", expected.len());
    assert!(equal(&found, &expected, false));
}

#[tokio::test]
async fn a_row_sees_the_version_that_was_in_force_when_it_came() {
    let rows = in_order(12_000);
    let changed = 60;
    let (early, late) = rows.split_at(changed * CHUNK);
    assert!(!late.is_empty());
    let second = limits(25.0);
    let swap = |operator: &mut Operator, number: usize| {
        if number == changed {
            operator.set_table("limits", Some(&second)).unwrap();
        }
    };
    let planner = planner(&all());
    let session = stock_session(&rows, &[limits(0.0)]);
    let table = MemTable::try_new(second.rows().schema(), vec![vec![second.rows().clone()]]);
    session.register_table("limits_2", Arc::new(table.unwrap())).unwrap();
    // The stock plan says by the number of the row which version it sees.
    let both = format!(
        "(SELECT r.*, t.high FROM {JOIN} WHERE r.message_hash < {0} UNION ALL SELECT r.*, t.high \
         FROM {1} WHERE r.message_hash >= {0})",
        early.len(),
        JOIN.replace("limits", "limits_2")
    );
    let window = "tumble(event_time, INTERVAL '10 seconds')";
    let rest = format!("GROUP BY r.sensor_id, {window} HAVING count(*) > 2");
    let head = format!("SELECT r.sensor_id, avg(r.value) AS v, {window} AS w FROM");
    let ours = format!("{head} {JOIN} WHERE r.value > t.high {rest}");
    let stock = format!("{head} {both} r WHERE r.value > r.high {rest}");
    let found = by_operator_with(&planner, &ours, &rows, swap);
    let expected = stock_windows(&session, &stock, "sensor_id", 10 * SECOND).await;
    assert!(equal(&found, &expected, false));
    let unchanged = by_operator_with(&planner, &ours, &rows, |_, _| {});
    assert!(!equal(&unchanged, &expected, false), "the change changes nothing");

    let ours = format!(
        "SELECT r.sensor_id, r.value FROM {JOIN} WHERE r.metric = 'speed' AND r.value > t.high"
    );
    let stock = format!(
        "SELECT sensor_id, value, event_time, value > high, message_hash FROM {both} \
         WHERE metric = 'speed'"
    );
    let found = by_operator_with(&planner, &ours, &rows, swap);
    assert!(equal(&found, &stock_rows(&session, &stock, false).await, false));
}

#[test]
fn rules_that_join_share_and_do_not_disturb_each_other() {
    let rows = rows(3_000);
    let planner = planner(&all());
    let selects: Vec<String> = WINDOWS
        .iter()
        .map(|(from, key, value, having)| {
            let window = "tumble(event_time, INTERVAL '10 seconds')";
            format!("SELECT {key}, {value} FROM {from} GROUP BY {key}, {window} HAVING {having}")
        })
        .collect();
    let mut operator = Operator::new();
    for (number, select) in selects.iter().enumerate() {
        let rule = meta(&rule_sql(&format!("r{number}"), "", select));
        let plan = planner.plan(&rule.definition).unwrap();
        operator.add(rule, &plan).unwrap();
    }
    let mut steps = Vec::new();
    for (number, chunk) in rows.chunks(CHUNK).enumerate() {
        operator
            .push(Stream::Readings, &readings(chunk), Offset(number as u64), &mut steps)
            .unwrap();
    }
    let last = rows.iter().map(|r| r.at_us).max().unwrap();
    let end = EventTime(last + 100 * SECOND);
    operator.advance(Stream::Readings, end, Offset(1_000_000), &mut steps).unwrap();
    for (number, select) in selects.iter().enumerate() {
        let mut alone = by_operator_with(&planner, select, &rows, |_, _| {});
        let name = format!("r{number}");
        let of_rule = steps.iter().filter(|step| step.rule.rule_id().as_str() == name);
        let together = of_rule.filter_map(Step::transition).filter(|t| t.state == State::Firing);
        for step in together {
            let at = (step.started.micros(), step.key.to_string());
            let value = step.value.unwrap().to_bits();
            assert_eq!(alone.remove(&at), Some(value), "{select}");
        }
        assert!(alone.is_empty(), "{select}");
    }
}
