//! What a message becomes, line by line; and that no bytes can break the decoder.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    reason = "test data is known; a panic here is a failed test"
)]

use std::fmt::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int32Type, TimestampMicrosecondType, UInt64Type};
use expect_test::{Expect, expect};
use vong_model::{Place, Sensor, SensorId};

use super::*;
use crate::config::SourcesFile;

/// 2026-11-22T00:00:00Z.
const NOW: EventTime = EventTime(1_795_305_600_000_000);

const SOURCES: &str = r#"
[[source]]
id = "traffic"
broker = "city"
topic = "city/traffic/{sensor_id}/state"
timestamp = { pointer = "/ts", format = "rfc3339" }
[[source.field]]
metric = "speed"
pointer = "/speed"
unit = "km/h"
min = 0.0
max = 200.0
[[source.field]]
metric = "flow"
pointer = "/flow"
optional = true

[[source]]
id = "air"
broker = "city"
topic = "city/air"
sensor_id = { pointer = "/id", strip_prefix = "urn:" }
timestamp = { pointer = "/at", format = "unix_ms" }
unknown_sensors = "reject"
[[source.field]]
metric = "pm25"
pointer = "/pm25/value"
unit = "µg/m³"

[[source]]
id = "bare"
broker = "city"
topic = "bare/{sensor_id}"
[[source.field]]
metric = "level"
pointer = ""

[[source]]
id = "door"
broker = "city"
topic = "door/{sensor_id}"
[[source.field]]
metric = "open"
pointer = "/open"
kind = "boolean"
optional = true
[[source.field]]
metric = "volts"
pointer = "/mv"
kind = "numeric_text"
scale = 0.001
optional = true
"#;

fn assets() -> Assets {
    let mut assets = Assets::default();
    for (id, unit_code) in [("TR-1", "00001"), ("AQ-1", "00002")] {
        let sensor = Sensor {
            sensor_id: SensorId::from(id),
            kind: "any".into(),
            name_vi: String::new(),
            name_en: String::new(),
            place: Place { lon: 0.0, lat: 0.0 },
            unit_code: unit_code.into(),
        };
        assets.sensors.insert(SensorId::from(id), sensor);
    }
    assets
}

pub(super) fn decoder() -> Decoder {
    let file: SourcesFile = toml::from_str(SOURCES).unwrap();
    Decoder::new("city", &file.sources, &assets()).unwrap()
}

fn key(batch: &RecordBatch, column: &str, row: usize) -> String {
    let array = batch.column_by_name(column).unwrap().as_dictionary::<Int32Type>();
    if array.is_null(row) {
        return "-".into();
    }
    let code = usize::try_from(array.keys().value(row)).unwrap();
    array.values().as_string::<i32>().value(code).to_owned()
}

fn render(taken: &[(Stream, RecordBatch)]) -> String {
    let mut out = String::new();
    for (stream, batch) in taken {
        assert_eq!(batch.schema(), stream.schema());
        for row in 0..batch.num_rows() {
            let key = |column| key(batch, column, row);
            if *stream == Stream::Readings {
                let time = batch.column(0).as_primitive::<TimestampMicrosecondType>().value(row);
                let value = batch.column(5).as_primitive::<Float64Type>().value(row);
                let (source, sensor, metric) = (key("source_id"), key("sensor_id"), key("metric"));
                let (unit, code, quality) = (key("unit"), key("unit_code"), key("quality"));
                writeln!(
                    out,
                    "{source} {sensor} {metric} {value} {unit} {code} {quality} {:+}s",
                    (time - NOW.micros()) as f64 / 1e6
                )
                .unwrap();
            } else {
                let detail = batch.column_by_name("detail").unwrap().as_string::<i32>().value(row);
                writeln!(out, "! {} {} | {detail}", key("source_id"), key("reason")).unwrap();
            }
        }
    }
    out
}

fn check(messages: &[(&str, &str)], expected: Expect) {
    let mut decoder = decoder();
    for (topic, payload) in messages {
        let tally = decoder.decode(topic, payload.as_bytes(), NOW);
        assert!(tally.rows + tally.rejects > 0, "a message left no trace");
    }
    expected.assert_eq(&render(&decoder.take()));
}

#[test]
fn messages_become_rows() {
    let traffic = "city/traffic/TR-1/state";
    check(
        &[
            (traffic, r#"{"ts":"2026-11-22T07:00:00+07:00","speed":41.5,"flow":12,"x":[{}]}"#),
            (traffic, r#"{"speed":0,"ts":"2026-11-21T23:59:59.5Z"}"#),
            ("city/traffic/TR-2/state", r#"{"ts":"2026-11-22T00:00:31Z","speed":1}"#),
            ("city/air", r#"{"id":"urn:AQ-1","at":1795305600000,"pm25":{"value":8e0}}"#),
            ("bare/B1", " 3.25 "),
            ("door/D1", r#"{"open":true,"mv":" 3300 "}"#),
        ],
        expect![[r#"
            traffic TR-1 speed 41.5 km/h 00001 good +0s
            traffic TR-1 flow 12 - 00001 good +0s
            traffic TR-1 speed 0 km/h 00001 good -0.5s
            traffic TR-2 speed 1 km/h - clock_ahead +31s
            air AQ-1 pm25 8 µg/m³ 00002 good +0s
            bare B1 level 3.25 - - good +0s
            door D1 open 1 - - good +0s
            door D1 volts 3.3 - - good +0s
        "#]],
    );
}

#[test]
fn what_cannot_be_read_is_rejected_with_its_reason() {
    let traffic = "city/traffic/TR-1/state";
    check(
        &[
            (traffic, ""),
            (traffic, "{"),
            (traffic, r#"{"ts":"2026-11-22T00:00:00Z","speed":NaN}"#),
            (traffic, r#"{"ts":"2026-11-22T00:00:00Z","speed":1e999}"#),
            (traffic, r#"{"ts":"2026-11-22T00:00:00Z","speed":1}{}"#),
            (traffic, r#"{"ts":"2026-11-22T00:00:00Z","flow":1}"#),
            (traffic, r#"{"ts":"2026-11-22T00:00:00Z","speed":"fast","flow":[1]}"#),
            (traffic, r#"{"ts":"2026-11-22T00:00:00Z","speed":200.5,"flow":3}"#),
            (traffic, r#"{"ts":"2026-11-22T00:00:00Z","speed":1,"speed":2,"flow":3}"#),
            (traffic, r#"{"speed":1}"#),
            (traffic, r#"{"ts":null,"speed":1}"#),
            (traffic, r#"{"ts":"22/11/2026","speed":1}"#),
            (traffic, r#"{"ts":17,"speed":1}"#),
            (traffic, r#"{"ts":"1970-01-01T00:00:00Z","speed":1}"#),
            (traffic, r#"{"ts":"2038-01-19T03:14:08Z","speed":1}"#),
            ("city/traffic//state", r#"{"ts":"2026-11-22T00:00:00Z","speed":1}"#),
            ("city/traffic/a\u{1}/state", r#"{"ts":"2026-11-22T00:00:00Z","speed":1}"#),
            ("city/air", r#"{"id":"urn:AQ-9","at":1795305600000,"pm25":{"value":8}}"#),
            ("city/air", r#"{"id":[],"at":1795305600000,"pm25":{"value":8}}"#),
            ("city/air", r#"{"id":"AQ-1","at":1795305600000,"pm25":8}"#),
            ("bare/B1", "NaN"),
            ("bare/B1", "\"1\""),
            ("door/D1", "{}"),
            ("door/D1", r#"{"open":1,"mv":"inf"}"#),
            ("door/D1", "[1]"),
            ("elsewhere", "1"),
        ],
        expect![[r#"
            traffic TR-1 flow 1 - 00001 good +0s
            traffic TR-1 flow 3 - 00001 good +0s
            traffic TR-1 flow 3 - 00001 good +0s
            ! traffic malformed_json | payload: expected JSON, found nothing
            ! traffic malformed_json | payload: expected JSON, found: EOF while parsing an object at line 1 column 1
            ! traffic malformed_json | payload: expected JSON, found: expected value at line 1 column 38
            ! traffic out_of_range | payload: expected JSON, found: number out of range at line 1 column 42
            ! traffic malformed_json | payload: expected JSON, found: trailing characters at line 1 column 40
            ! traffic missing_field | /speed: expected a number, found nothing
            ! traffic wrong_type | /speed: expected a number, found a string
            ! traffic wrong_type | /flow: expected a number, found an array
            ! traffic out_of_range | /speed: expected 0 to 200, found 200.5
            ! traffic malformed_json | /speed: expected a number, found the key more than once
            ! traffic missing_field | /ts: expected a timestamp, found nothing
            ! traffic missing_field | /ts: expected a timestamp, found null
            ! traffic bad_timestamp | /ts: expected an RFC 3339 time with offset, found '22/11/2026'
            ! traffic bad_timestamp | /ts: expected an RFC 3339 time with offset, found 17
            ! traffic time_too_old | /ts: 1970-01-01T00:00:00.000000Z is older than max_age allows
            ! traffic time_in_future | /ts: 2038-01-19T03:14:08.000000Z is further ahead than max_ahead
            ! traffic missing_field | the topic: expected a sensor id, found nothing
            ! traffic wrong_type | the topic: expected a sensor id, found more than 128 bytes or control characters
            ! air unknown_sensor | /id: expected a registered sensor, found 'AQ-9'
            ! air wrong_type | /id: expected a sensor id, found an array
            ! air missing_field | /pm25/value: expected a number, found nothing
            ! bare malformed_json | payload: expected JSON, found: expected value at line 1 column 1
            ! bare wrong_type | payload: expected a number, found a string
            ! door missing_field | expected at least one of the optional fields, found none
            ! door wrong_type | /open: expected true or false, found a number
            ! door wrong_type | /mv: expected a number in a string, found 'inf'
            ! door missing_field | expected at least one of the optional fields, found none
            ! city unknown_topic | no source of this broker takes this topic
        "#]],
    );
}

#[test]
fn bytes_that_are_no_utf_8_are_rejected_and_kept() {
    let mut decoder = decoder();
    let payload = b"{\"ts\":\"\xff\xfe\",\"speed\":1}";
    assert_eq!(
        decoder.decode("city/traffic/TR-1/state", payload, NOW),
        Tally { rows: 0, rejects: 1 }
    );
    let taken = decoder.take();
    assert_eq!(key(&taken[0].1, "reason", 0), "malformed_json");
    assert_eq!(taken[0].1.column(5).as_binary::<i32>().value(0), payload);
}

#[test]
fn a_huge_payload_is_cut_at_64_kib_when_rejected() {
    let mut decoder = decoder();
    decoder.decode("bare/B1", &[b'x'; 200_000], NOW);
    decoder.refuse_too_large("bare/B1", &[b'x'; 1_000], 9_000_000, NOW);
    let counts: Vec<_> = decoder.take_reject_counts().collect();
    assert_eq!(counts, [(RejectReason::MalformedJson, 1), (RejectReason::TooLarge, 1)]);
    let (_, batch) = decoder.take().remove(0);
    assert_eq!(batch.column(5).as_binary::<i32>().value(0).len(), 65_536);
    assert_eq!(key(&batch, "reason", 1), "too_large");
}

#[test]
fn batches_hold_only_the_ids_they_use() {
    let mut decoder = decoder();
    decoder.decode("bare/A", b"1", NOW);
    decoder.decode("bare/B", b"2", NOW);
    decoder.decode("bare/A", b"3", NOW);
    let (_, first) = decoder.take().remove(0);
    decoder.decode("bare/B", b"4", NOW);
    let (_, second) = decoder.take().remove(0);
    let distinct = |b: &RecordBatch| {
        b.column_by_name("sensor_id").unwrap().as_dictionary::<Int32Type>().values().len()
    };
    assert_eq!((distinct(&first), distinct(&second)), (2, 1));
    assert_eq!(key(&second, "sensor_id", 0), "B");
    assert!(decoder.take().is_empty());
}

#[test]
fn unregistered_sensors_are_forgotten_before_they_fill_memory() {
    let mut decoder = decoder();
    for round in 0..3 {
        for n in 0..40_000 {
            decoder.decode(&format!("bare/{round}-{n}"), b"1", NOW);
        }
        let (_, batch) = decoder.take().remove(0);
        assert_eq!(batch.num_rows(), 40_000);
        assert_eq!(key(&batch, "sensor_id", 39_999), format!("{round}-39999"));
    }
    decoder.decode("city/traffic/TR-1/state", br#"{"ts":"2026-11-22T00:00:00Z","speed":1}"#, NOW);
    assert_eq!(key(&decoder.take()[0].1, "unit_code", 0), "00001");
}

#[test]
fn the_same_bytes_are_one_message_only_where_they_carry_their_time() {
    use crate::dedup::{Deduplicator, Delivery};
    let mut decoder = decoder();
    let mut dedup = Deduplicator::new(1_000);
    let again = Delivery { redelivered: true, retained: false };
    let mut seen = |topic: &str, payload: &[u8], delivery| {
        let routed = decoder.route(topic, payload);
        dedup.is_repeat(&routed, delivery)
    };
    let stamped = br#"{"ts":"2026-11-22T00:00:00Z","speed":1}"#;
    assert!(!seen("city/traffic/TR-1/state", stamped, Delivery::default()));
    assert!(seen("city/traffic/TR-1/state", stamped, Delivery::default()));
    assert!(!seen("city/traffic/TR-2/state", stamped, again), "flagged but never seen");
    assert!(!seen("bare/A", b"0", Delivery::default()));
    assert!(!seen("bare/A", b"0", Delivery::default()), "a second measurement of 0");
    assert!(seen("bare/A", b"0", again));
}

#[test]
fn a_deduplicator_seeded_from_logged_batches_knows_their_messages() {
    use crate::dedup::{Deduplicator, Delivery};
    let mut decoder = decoder();
    let good = br#"{"ts":"2026-11-22T00:00:00Z","speed":1,"flow":2}"#;
    let messages: [(&str, &[u8]); 3] =
        [("city/traffic/TR-1/state", good), ("city/traffic/TR-1/state", b"{"), ("no/where", b"1")];
    decoder.decode_batch(&messages, NOW);
    let mut dedup = Deduplicator::new(1_000);
    for (_, batch) in decoder.take() {
        let hashes = batch.column_by_name("message_hash").unwrap().as_primitive::<UInt64Type>();
        assert!(
            hashes.values().contains(&decoder.route(messages[0].0, messages[0].1).message_hash())
                || batch.num_rows() == 2
        );
        dedup.seed(&batch);
    }
    assert_eq!(dedup.len(), 3);
    let again = Delivery { redelivered: true, retained: false };
    for (topic, payload) in messages {
        assert!(dedup.is_repeat(&decoder.route(topic, payload), again), "{topic}");
    }
}

#[test]
fn sources_that_contradict_each_other_are_refused() {
    let check = |from: &str, to: &str, expected: &str| {
        assert!(SOURCES.contains(from), "{from}");
        let changed = SOURCES.replacen(from, to, 1);
        let file: SourcesFile = toml::from_str(&changed).unwrap();
        let error = Decoder::new("city", &file.sources, &assets()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("topic = \"city/air\"", "topic = \"bare/x\"", "'air' and 'bare' can both match");
    check("id = \"air\"", "id = \"traffic\"", "is taken");
    check("id = \"air\"", "id = \"city\"", "is taken");
    check("topic = \"city/air\"", "topic = \"city/air\"\nqos = 2", "qos must be 0 or 1");
    check("bare/{sensor_id}", "bare/+", "must come from {sensor_id}");
    check("max = 200.0", "max = -1.0", "min is greater than max");
    check("metric = \"flow\"", "metric = \"speed\"", "configured twice");
    check("scale = 0.001", "scale = 0.0", "scale");
    check("pointer = \"/flow\"", "pointer = \"flow\"", "does not begin with '/'");
    check("rfc3339", "rfc3399", "did you mean");
    check("bare/{sensor_id}", "bare/#/{sensor_id}", "levels after '#'");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn account(decoder: &mut Decoder, topic: &str, payload: &[u8]) {
        let before = decoder.waiting();
        let tally = decoder.decode(topic, payload, NOW);
        let after = decoder.waiting();
        assert!(tally.rows + tally.rejects > 0);
        assert_eq!(after.rows, before.rows + tally.rows);
        assert_eq!(after.rejects, before.rejects + tally.rejects);
    }

    fn topics() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("city/traffic/TR-1/state".to_owned()),
            Just("city/air".to_owned()),
            "bare/\\PC{0,9}",
            "door/.{0,3}",
            any::<String>(),
        ]
    }

    fn values() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<f64>().prop_map(|v| v.to_string()),
            any::<i64>().prop_map(|v| v.to_string()),
            "-?[0-9]{1,400}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,6})?",
            any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
            "\"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?(Z|[+-][0-9]{2}:?[0-9]{2})\"",
            Just("null".to_owned()),
            Just("{\"value\":1}".to_owned()),
            Just("[1,2]".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_accounted_for(
            messages in prop::collection::vec((topics(), prop::collection::vec(any::<u8>(), 0..200)), 1..20)
        ) {
            let mut decoder = decoder();
            for (topic, payload) in &messages {
                account(&mut decoder, topic, payload);
            }
            let rows: usize = decoder.take().iter().map(|(_, batch)| batch.num_rows()).sum();
            prop_assert!(rows >= messages.len());
        }

        #[test]
        fn any_json_object_is_accounted_for(
            topic in topics(),
            entries in prop::collection::vec(("ts|speed|flow|id|at|pm25|open|mv|value|[a-z]{1,3}", values()), 0..8),
            cut in 0usize..400,
        ) {
            let body: Vec<String> = entries.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            let whole = format!("{{{}}}", body.join(","));
            let mut decoder = decoder();
            account(&mut decoder, &topic, whole.as_bytes());
            let bytes = whole.as_bytes();
            account(&mut decoder, &topic, &bytes[..cut.min(bytes.len())]);
            for (stream, batch) in decoder.take() {
                prop_assert_eq!(batch.schema(), stream.schema());
            }
        }
    }
}

/// Prints how fast one thread decodes; asserts nothing about speed.
#[test]
fn throughput_is_printed() {
    let mut decoder = decoder();
    let messages: Vec<(String, String)> = (0..10_000)
        .map(|n| {
            let (second, milli) = (n / 1_000 % 60, n % 1_000);
            let speed = f64::from(n % 700) / 10.0;
            let topic = format!("city/traffic/TR-{}/state", n % 500);
            (topic, format!("{{\"ts\":\"2026-11-22T06:59:{second:02}.{milli:03}+07:00\",\"speed\":{speed},\"flow\":{},\"occupancy\":0.{}}}", n % 60, n % 100))
        })
        .collect();
    let messages: Vec<(&str, &[u8])> =
        messages.iter().map(|(t, p)| (t.as_str(), p.as_bytes())).collect();
    let bytes: usize = messages.iter().map(|(_, p)| p.len()).sum();
    let (mut best, mut rows) = (f64::MAX, 0);
    for _ in 0..if cfg!(debug_assertions) { 3 } else { 50 } {
        let started = stopwatch();
        rows = 0;
        for part in messages.chunks(4_096) {
            rows += decoder.decode_batch(part, NOW).rows;
            drop(std::hint::black_box(decoder.take()));
        }
        best = best.min(stopwatch() - started);
    }
    let (rate, mbs) = (f64::from(rows) / best / 1e6, bytes as f64 / best / 1e6);
    let per_message = best / messages.len() as f64 * 1e9;
    println!("decode: {rate:.2} M rows/s, {per_message:.0} ns a message, {mbs:.0} MB/s");
}

#[expect(clippy::disallowed_types, reason = "a stopwatch in a crate without tokio")]
fn stopwatch() -> f64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}
