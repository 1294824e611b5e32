//! Continuous views are tables of their own columns, in the log and in the history alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use vong_model::columns::key_column;
use vong_model::view::{Layout, ViewTable};

use super::*;
use crate::{Format, encode_batch};

const LAYOUT: &str = "sensor_id:text window_start:time n:int avg:float hash:uint";

fn layout() -> Layout {
    LAYOUT.parse().unwrap()
}

fn times(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

/// Rows of `view`, `(minute, sensor, n, avg)`.
fn found(view: &str, layout: &Layout, rows: &[(i64, &str, i64, Option<f64>)]) -> RecordBatch {
    let minute = |m: i64| TEN_O_CLOCK + m * 60 * SECOND;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
        times(rows.iter().map(|r| minute(r.0)).collect()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.2))),
        Arc::new(rows.iter().map(|r| r.3).collect::<Float64Array>()),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|_| u64::MAX))),
    ];
    let own = RecordBatch::try_new(self::layout().schema(), columns).unwrap();
    let own = own.project(&(0..layout.columns().len()).collect::<Vec<_>>()).unwrap();
    let [texts, floats, ints] = layout.pack(&own).unwrap();
    let text = layout.to_string();
    let columns = vec![
        times(rows.iter().map(|r| minute(r.0 + 1)).collect()),
        times(rows.iter().map(|r| minute(r.0 + 1)).collect()),
        key_column(rows.iter().map(|_| Some(view))),
        Arc::new(UInt32Array::from_value(1, rows.len())),
        key_column(rows.iter().map(|_| Some(text.as_str()))),
        texts,
        floats,
        ints,
        Arc::new(UInt64Array::from_value(7, rows.len())),
        Arc::new(UInt32Array::from_iter_values(0..rows.len() as u32)),
    ];
    RecordBatch::try_new(Stream::ViewRows.schema(), columns).unwrap()
}

fn announce(city: &TestCity) {
    let table =
        ViewTable { layout: layout(), sql: "CREATE CONTINUOUS VIEW minutes …".to_owned() };
    city.views.send_replace(Arc::new(BTreeMap::from([("minutes".to_owned(), table)])));
}

async fn fill(city: &TestCity, part: usize) {
    announce(city);
    if part == 0 {
        let rows = [(0, "TR-001", 2, Some(45.0)), (0, "TR-002", 1, None)];
        city.append(Stream::ViewRows, found("minutes", &layout(), &rows)).await;
        // Neither another view nor what this one was before it was altered.
        city.append(Stream::ViewRows, found("others", &layout(), &rows)).await;
        let before: Layout = "sensor_id:text window_start:time n:int".parse().unwrap();
        city.append(Stream::ViewRows, found("minutes", &before, &rows)).await;
    } else {
        let rows = [(1, "TR-001", i64::MIN, Some(f64::MAX))];
        city.append(Stream::ViewRows, found("minutes", &layout(), &rows)).await;
    }
}

#[tokio::test]
async fn a_view_is_a_table_of_its_own_columns() {
    check(fill, "SELECT * FROM minutes ORDER BY event_time, sensor_id", expect![[r#"
        +----------------------+-----------+----------------------+----------------------+------------------------+----------------------+------------+
        | event_time           | sensor_id | window_start         | n                    | avg                    | hash                 | log_offset |
        +----------------------+-----------+----------------------+----------------------+------------------------+----------------------+------------+
        | 2026-11-22T03:01:00Z | TR-001    | 2026-11-22T03:00:00Z | 2                    | 45.0                   | 18446744073709551615 | 0          |
        | 2026-11-22T03:01:00Z | TR-002    | 2026-11-22T03:00:00Z | 1                    |                        | 18446744073709551615 | 0          |
        | 2026-11-22T03:02:00Z | TR-001    | 2026-11-22T03:01:00Z | -9223372036854775808 | 1.7976931348623157e308 | 18446744073709551615 | 3          |
        +----------------------+-----------+----------------------+----------------------+------------------------+----------------------+------------+"#]]).await;
    check(
        fill,
        "SELECT sensor_id, sum(n) FILTER (WHERE n > 0) AS n, max(avg) AS most FROM minutes \
         WHERE window_start >= TIMESTAMP '2026-11-22T03:00:00Z' AND sensor_id LIKE 'TR%' \
         GROUP BY sensor_id ORDER BY 1",
        expect![[r#"
            +-----------+---+------------------------+
            | sensor_id | n | most                   |
            +-----------+---+------------------------+
            | TR-001    | 2 | 1.7976931348623157e308 |
            | TR-002    | 1 |                        |
            +-----------+---+------------------------+"#]],
    )
    .await;
    check(fill, "SELECT view, layout, texts, ints FROM view_rows ORDER BY log_offset, cause_ordinal", expect![[r#"
        +---------+------------------------------------------------------------+----------+----------------------------------------------+
        | view    | layout                                                     | texts    | ints                                         |
        +---------+------------------------------------------------------------+----------+----------------------------------------------+
        | minutes | sensor_id:text window_start:time n:int avg:float hash:uint | [TR-001] | [1795316400000000, 2, -1]                    |
        | minutes | sensor_id:text window_start:time n:int avg:float hash:uint | [TR-002] | [1795316400000000, 1, -1]                    |
        | others  | sensor_id:text window_start:time n:int avg:float hash:uint | [TR-001] | [1795316400000000, 2, -1]                    |
        | others  | sensor_id:text window_start:time n:int avg:float hash:uint | [TR-002] | [1795316400000000, 1, -1]                    |
        | minutes | sensor_id:text window_start:time n:int                     | [TR-001] | [1795316400000000, 2]                        |
        | minutes | sensor_id:text window_start:time n:int                     | [TR-002] | [1795316400000000, 1]                        |
        | minutes | sensor_id:text window_start:time n:int avg:float hash:uint | [TR-001] | [1795316460000000, -9223372036854775808, -1] |
        +---------+------------------------------------------------------------+----------+----------------------------------------------+"#]]).await;
}

#[tokio::test]
async fn the_catalog_knows_views_as_they_come_and_go() {
    let (city, _log) = TestCity::in_memory();
    let listed = "SELECT table_name, doc FROM vong.tables WHERE table_name = 'minutes'";
    let unknown = city.show("SELECT * FROM minutes").await;
    assert!(unknown.contains("no table 'minutes'"), "{unknown}");
    announce(&city);
    assert!(city.show(listed).await.contains("CREATE CONTINUOUS VIEW minutes"));
    let columns = city
        .show("SELECT column_name, data_type, doc <> '' AS told FROM vong.columns WHERE table_name = 'minutes'")
        .await;
    expect![[r#"
        +--------------+-----------+------+
        | column_name  | data_type | told |
        +--------------+-----------+------+
        | event_time   | timestamp | true |
        | sensor_id    | text      | true |
        | window_start | timestamp | true |
        | n            | int64     | true |
        | avg          | float64   | true |
        | hash         | uint64    | true |
        | log_offset   | uint64    | true |
        +--------------+-----------+------+"#]]
    .assert_eq(&columns);
    assert_eq!(city.number("SELECT count(n) FROM minutes").await, 0, "empty, but there");
    city.views.send_replace(Arc::default());
    assert!(!city.show(listed).await.contains("CREATE"));
}

#[tokio::test]
async fn no_view_can_take_the_name_of_a_table() {
    let (city, _log) = TestCity::in_memory();
    for batch in city.query("SELECT table_name FROM vong.tables").await.unwrap() {
        let names: &StringArray = batch.column(0).as_any().downcast_ref().unwrap();
        for name in names.iter().flatten().filter(|name| !name.contains('.')) {
            assert!(vong_model::view::is_taken(name), "{name}");
        }
    }
}

#[tokio::test]
async fn raw_rows_are_written_in_every_format() {
    let (city, _log) = TestCity::in_memory();
    fill(&city, 0).await;
    let batches = city.query("SELECT texts, floats, ints FROM view_rows LIMIT 1").await.unwrap();
    let written = |format| {
        let bytes = encode_batch(&batches[0], format).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    expect![[r#"[{"texts":["TR-001"],"floats":[45.0],"ints":[1795316400000000,2,-1]}]"#]]
        .assert_eq(&written(Format::Json));
    expect![[r#"
        texts,floats,ints
        [TR-001],[45.0],"[1795316400000000, 2, -1]"
    "#]]
    .assert_eq(&written(Format::Csv));
}
