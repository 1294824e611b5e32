//! Frames against stock `OVER`, sessions against a naive reading of the rows.

use super::*;

const GAP_US: i64 = SECOND;

/// Rows where the condition begins to hold for their key, by stock DataFusion.
async fn stock(select: &str, rows: &[Row]) -> BTreeMap<(i64, String), u64> {
    let session = vong_sql::session(&SessionLimits::deterministic()).unwrap();
    let batches: Vec<_> = rows.chunks(97).map(readings).collect();
    let table = MemTable::try_new(Stream::Readings.schema(), vec![batches]).unwrap();
    session.register_table("readings", Arc::new(table)).unwrap();
    let batches = session.sql(select).await.unwrap().collect().await.unwrap();
    let mut by_key: BTreeMap<String, BTreeMap<i64, (bool, u64)>> = BTreeMap::new();
    for batch in batches {
        let keys = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8);
        let keys = keys.unwrap().as_string::<i32>().clone();
        let values = batch.column(1).as_primitive::<Float64Type>();
        let times = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        let holds = batch.column(3).as_boolean();
        for row in 0..batch.num_rows() {
            let holds = !holds.is_null(row) && holds.value(row);
            let of_key = by_key.entry(format!("sensor_id={}", keys.value(row))).or_default();
            let twice = of_key.insert(times.value(row), (holds, values.value(row).to_bits()));
            assert!(twice.is_none(), "two rows of one sensor at one instant");
        }
    }
    let mut found = BTreeMap::new();
    for (key, rows) in by_key {
        let mut before = false;
        for (time, (holds, value)) in rows {
            if holds && !before {
                found.insert((time, key.clone()), value);
            }
            before = holds;
        }
    }
    found
}

#[tokio::test]
async fn frames_equal_stock_over() {
    let rows = rows(20_000);
    for frame in [
        "RANGE BETWEEN INTERVAL '7 seconds' PRECEDING AND CURRENT ROW",
        "ROWS BETWEEN 4 PRECEDING AND CURRENT ROW",
        "ROWS BETWEEN 0 PRECEDING AND CURRENT ROW",
    ] {
        let over = format!("OVER (PARTITION BY sensor_id ORDER BY event_time {frame})");
        for condition in [
            "value > 1.4 * avg(value) OVER",
            "value >= max(value) OVER",
            "value <= min(value) OVER AND count(*) OVER > 3",
            "value - first_value(value) OVER > 60",
            "sum(value) OVER > 250",
            "value > avg(value) OVER + 1.3 * stddev(value) OVER",
        ] {
            let condition = condition.replace("OVER", &over);
            let ours = format!(
                "SELECT sensor_id, value FROM readings WHERE metric = 'speed' QUALIFY {condition}"
            );
            let theirs = format!(
                "SELECT sensor_id, value, event_time, {condition} FROM readings \
                 WHERE metric = 'speed'"
            );
            let (ours, theirs) = (by_operator(&ours, &rows), stock(&theirs, &rows).await);
            assert!(!theirs.is_empty() || frame.contains(" 0 "), "{condition}");
            assert!(equal(&ours, &theirs, false), "{condition}");
        }
    }
}

/// Sessions that hold and begin an alert, by sorting and walking.
fn naive_sessions(rows: &[Row], holds: impl Fn(usize, f64) -> bool) -> BTreeSet<(i64, String)> {
    let mut by_key: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for row in rows {
        let key = format!("sensor_id={}", row.sensor);
        by_key.entry(key).or_default().push((row.at_us, row.value));
    }
    let mut found = BTreeSet::new();
    for (key, mut rows) in by_key {
        rows.sort_by_key(|(time, _)| *time);
        let mut open_until = i64::MIN;
        let mut rest = rows.as_slice();
        while let Some((start, _)) = rest.first() {
            let pause = rest.windows(2).position(|two| two[1].0 - two[0].0 >= GAP_US);
            let (session, after) = rest.split_at(pause.map_or(rest.len(), |place| place + 1));
            rest = after;
            let total: f64 = session.iter().map(|(_, value)| value).sum();
            let end = session.last().unwrap().0 + GAP_US;
            if holds(session.len(), total) {
                if open_until <= *start {
                    found.insert((*start, key.clone()));
                }
                open_until = end + GAP_US;
            } else {
                open_until = i64::MIN;
            }
        }
    }
    found
}

#[test]
fn sessions_equal_a_naive_walk() {
    let rows = rows(20_000);
    let ours = "SELECT sensor_id, sum(value) FROM readings GROUP BY sensor_id, \
                session(event_time, INTERVAL '1 second') HAVING count(*) > 2 AND sum(value) > 200";
    let found: BTreeSet<_> = by_operator(ours, &rows).into_keys().collect();
    let expected = naive_sessions(&rows, |count, total| count > 2 && total > 200.0);
    assert!(expected.len() > 20, "{}", expected.len());
    assert!(found == expected, "{:?}", found.symmetric_difference(&expected).next());
}
