//! Answers as bytes.

use arrow::ipc::reader::StreamReader;
use expect_test::expect;
use futures::TryStreamExt;
use vong_model::{Principal, Stream};

use super::{Format, encode};
use crate::testing::{TestCity, rows, speeds};

async fn bytes(city: &TestCity, sql: &str, format: Format) -> Vec<u8> {
    let results = city.engine.execute(&Principal::local(), sql).await.unwrap();
    let chunks: Vec<_> = encode(results, format).unwrap().try_collect().await.unwrap();
    chunks.concat()
}

async fn city() -> TestCity {
    let (city, log) = TestCity::in_memory();
    city.append(Stream::Readings, speeds(&[(0, "TR-001", 40.25), (1, "Đường, \"A\"", -1.0)])).await;
    log.seal();
    city.archiver(crate::ArchiverConfig::default()).step().unwrap();
    city.append(Stream::Readings, speeds(&[(2, "TR-003", 3.0)])).await;
    city.append(Stream::RejectedEvents, rows(Stream::RejectedEvents, &[&[]])).await;
    city
}

const SQL: &str =
    "SELECT event_time, sensor_id, value, unit_code, log_offset FROM readings ORDER BY event_time";

#[tokio::test]
async fn json_is_one_array_of_objects() {
    let text = String::from_utf8(bytes(&city().await, SQL, Format::Json).await).unwrap();
    expect![[r#"
        [{"event_time":"2026-11-22T03:00:00Z","sensor_id":"TR-001","value":40.25,"unit_code":null,"log_offset":0},
        {"event_time":"2026-11-22T03:00:01Z","sensor_id":"Đường, \"A\"","value":-1.0,"unit_code":null,"log_offset":0},
        {"event_time":"2026-11-22T03:00:02Z","sensor_id":"TR-003","value":3.0,"unit_code":null,"log_offset":1}]"#]].assert_eq(&text.replace("},{", "},\n{"));
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn json_joins_batches_and_knows_empty_answers() {
    let city = city().await;
    let many = bytes(&city, "SELECT value FROM generate_series(1, 30000)", Format::Json).await;
    let parsed: serde_json::Value = serde_json::from_slice(&many).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 30_000);
    assert_eq!(bytes(&city, "SELECT 1 WHERE false", Format::Json).await, b"[]");
    let payload = bytes(&city, "SELECT payload FROM rejected_events", Format::Json).await;
    assert_eq!(String::from_utf8(payload).unwrap(), r#"[{"payload":"00ff"}]"#);
}

#[tokio::test]
async fn csv_has_one_header_and_quotes_what_needs_it() {
    let city = city().await;
    let text = String::from_utf8(bytes(&city, SQL, Format::Csv).await).unwrap();
    expect![[r#"
        event_time,sensor_id,value,unit_code,log_offset
        2026-11-22T03:00:00Z,TR-001,40.25,,0
        2026-11-22T03:00:01Z,"Đường, ""A""",-1.0,,0
        2026-11-22T03:00:02Z,TR-003,3.0,,1
    "#]]
    .assert_eq(&text);
    assert_eq!(bytes(&city, "SELECT 1 AS a WHERE false", Format::Csv).await, b"a\n");
}

#[tokio::test]
async fn arrow_is_read_back_by_arrow() {
    let stream = bytes(&city().await, SQL, Format::Arrow).await;
    let reader = StreamReader::try_new(stream.as_slice(), None).unwrap();
    let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 3);
}

#[test]
fn accept_headers_choose_a_format() {
    assert_eq!(Format::from_accept("text/csv;q=0.9, application/json"), Format::Csv);
    assert_eq!(Format::from_accept("application/vnd.apache.arrow.stream"), Format::Arrow);
    assert_eq!(Format::from_accept("image/png, */*"), Format::Json);
    assert_eq!(Format::from_accept(""), Format::Json);
}
