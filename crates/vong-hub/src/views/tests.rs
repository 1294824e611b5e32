//! Batches of the streams the views read, and what the views make of them.

use arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array,
    UInt64Array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use expect_test::{Expect, expect};
use vong_model::Stream;
use vong_model::columns::{key_column, text_column, time_column};
use vong_model::streams::ColumnType;

use super::*;
use crate::message::FieldValue;

/// One row of `stream` from `column=value` words; what is not named is null, zero or empty.
pub(crate) fn row(stream: Stream, words: &str) -> RecordBatch {
    let given: BTreeMap<&str, &str> =
        words.split_whitespace().map(|word| word.split_once('=').expect("column=value")).collect();
    for name in given.keys() {
        stream.column_index(name);
    }
    let columns: Vec<ArrayRef> = stream
        .columns()
        .iter()
        .map(|column| -> ArrayRef {
            let text = given.get(column.name).copied();
            if text.is_none() && column.nullable {
                return new_null_array(&column.column_type.data_type(), 1);
            }
            let text = text.unwrap_or_default();
            let number = || if text.is_empty() { 0.0 } else { text.parse().unwrap() };
            match column.column_type {
                ColumnType::Time => time_column([Some(EventTime(number() as i64 * 1_000_000))]),
                // A word holds no space.
                ColumnType::Key => key_column([Some(text.replace('~', " ").as_str())]),
                ColumnType::Text => text_column([Some(text)]),
                ColumnType::Float64 => Arc::new(Float64Array::from(vec![number()])),
                ColumnType::UInt32 => Arc::new(UInt32Array::from(vec![number() as u32])),
                ColumnType::UInt64 => Arc::new(UInt64Array::from(vec![number() as u64])),
                ColumnType::Texts => list(text.split('|').map(Some).collect::<StringArray>()),
                ColumnType::Floats => list(numbers(text).collect::<Float64Array>()),
                ColumnType::Ints => {
                    list(numbers(text).map(|n| n.map(|n| n as i64)).collect::<Int64Array>())
                }
                ColumnType::Bytes => {
                    Arc::new(arrow::array::BinaryArray::from(vec![text.as_bytes()]))
                }
            }
        })
        .collect();
    RecordBatch::try_new(stream.schema(), columns).unwrap()
}

pub(crate) fn show(value: &FieldValue) -> String {
    match value {
        FieldValue::Null => "-".to_owned(),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::Int(value) => value.to_string(),
        FieldValue::Float(value) => format!("{value:?}"),
        FieldValue::Text(value) => value.to_string(),
        FieldValue::List(values) => {
            format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(" "))
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn numbers(text: &str) -> impl Iterator<Item = Option<f64>> {
    text.split('|').filter(|word| !word.is_empty()).map(|word| word.parse().ok())
}

/// One list with these values.
fn list(values: impl Array + 'static) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let lengths = OffsetBuffer::from_lengths([values.len()]);
    Arc::new(ListArray::try_new(field, lengths, Arc::new(values), None).unwrap())
}

/// Feeds `lines` (`seconds stream column=value…`) and prints the view.
fn check(view: View, lines: &[&str], expected: &Expect) {
    let keep = Keep { resolved: Duration::from_secs(3_600), clips: DAY, views: DAY };
    let mut projection = projection(view, keep, Offset(0));
    let mut table = Table::new(Offset(0));
    for (offset, line) in (0..).map(Offset).zip(lines) {
        let (seconds, rest) = line.split_once(' ').unwrap();
        let (stream, words) = rest.split_once(' ').unwrap();
        let stream = Stream::from_name(stream).unwrap();
        let appended_at = EventTime(seconds.parse::<i64>().unwrap() * 1_000_000);
        let record = Record { offset, appended_at, stream, batch: row(stream, words) };
        projection.apply(&record, &mut table).unwrap();
        table.advance(offset.next());
    }
    let mut text = String::new();
    for row in table.rows() {
        let fields = view.columns().iter().zip(row.fields.iter());
        let fields: Vec<String> = fields
            .filter(|(_, value)| !matches!(value, FieldValue::Null))
            .filter(|(_, value)| **value != FieldValue::text(Some("")))
            .map(|(name, value)| format!("{name}={}", show(value)))
            .collect();
        text.push_str(&format!("{} @{}: {}\n", row.key, row.rev, fields.join(" ")));
    }
    expected.assert_eq(&text);
}

#[test]
fn late_backlog_does_not_turn_the_sensor_view_back() {
    check(
        View::Sensors,
        &[
            "1 readings sensor_id=TR-001 metric=speed value=40 event_time=10 quality=good",
            "2 readings sensor_id=TR-001 metric=speed value=50 event_time=9 quality=good",
            "3 readings sensor_id=TR-001 metric=flow value=5 event_time=9 quality=good unit=veh/min",
        ],
        &expect![[r#"
            TR-001/flow @2: sensor_id=TR-001 metric=flow value=5.0 unit=veh/min quality=good event_time_ms=9000 arrival_time_ms=0
            TR-001/speed @0: sensor_id=TR-001 metric=speed value=40.0 quality=good event_time_ms=10000 arrival_time_ms=0
        "#]],
    );
}

#[test]
fn sensor_whose_fast_clock_was_put_right_is_shown_again() {
    check(
        View::Sensors,
        &[
            "1 readings sensor_id=TR-001 metric=speed value=40 event_time=310 quality=clock_ahead",
            "2 readings sensor_id=TR-001 metric=speed value=50 event_time=12 quality=good",
        ],
        &expect![[r#"
            TR-001/speed @1: sensor_id=TR-001 metric=speed value=50.0 quality=good event_time_ms=12000 arrival_time_ms=0
        "#]],
    );
}

#[test]
fn camera_shows_its_latest_state() {
    check(
        View::Cameras,
        &[
            "1 camera_events camera_id=CAM-01 state=lost detail=timeout event_time=1",
            "2 camera_events camera_id=CAM-01 state=connected event_time=2",
        ],
        &expect![[r#"
            CAM-01 @1: camera_id=CAM-01 state=connected event_time_ms=2000
        "#]],
    );
    check(
        View::Cameras,
        &[
            "1 camera_events camera_id=CAM-01 state=connected about=connection event_time=1",
            "2 camera_events camera_id=CAM-01 state=recording_lost about=recording event_time=2",
            "3 camera_events camera_id=CAM-01 state=clock_drift about=clock event_time=3",
            "4 camera_events camera_id=CAM-01 state=lost about=live_stream event_time=4",
            "5 camera_events camera_id=CAM-02 state=recording_lost about=recording event_time=5",
            "6 camera_events camera_id=CAM-02 state=recording_good about=recording event_time=6",
        ],
        &expect![[r#"
            CAM-01 @2: camera_id=CAM-01 state=clock_drift event_time_ms=3000 recording=lost
        "#]],
    );
    check(
        View::Cameras,
        &[
            "1 camera_events camera_id=CAM-01 state=connected event_time=1",
            "2 camera_events camera_id=CAM-01 state=removed event_time=2",
        ],
        &expect![""],
    );
}

#[test]
fn resolved_alert_leaves_an_hour_later_and_a_pending_one_that_passed_leaves_at_once() {
    let lines = [
        "1 alert_transitions alert_id=a state=firing severity=high event_time=1",
        "2 alert_transitions alert_id=p state=pending severity=low event_time=2",
        "3 alert_transitions alert_id=b state=firing severity=high event_time=3",
        "4 alert_transitions alert_id=a state=resolved severity=high event_time=4",
        "5 alert_transitions alert_id=p state=cancelled severity=low event_time=5",
        "3603 watermarks stream=readings watermark=1",
    ];
    let both = expect![[r#"
        a @3: alert_id=a state=resolved severity=high started_time_ms=0 event_time_ms=4000 acknowledged=false
        b @2: alert_id=b state=firing severity=high started_time_ms=0 event_time_ms=3000 acknowledged=false
    "#]];
    check(View::Alerts, &lines, &both);
    let later = [&lines[..], &["3604 watermarks stream=readings watermark=1"]].concat();
    let one = expect![[r#"
        b @2: alert_id=b state=firing severity=high started_time_ms=0 event_time_ms=3000 acknowledged=false
    "#]];
    check(View::Alerts, &later, &one);
}

#[test]
fn acknowledgement_stays_through_the_end_and_lapses_when_the_alert_fires_again() {
    let lines = [
        "1 alert_transitions alert_id=a state=firing event_time=1",
        "2 alert_transitions alert_id=a state=acknowledged actor=lan event_time=2",
        "3 alert_transitions alert_id=a state=resolved event_time=3",
    ];
    let acknowledged = expect![[r#"
        a @2: alert_id=a state=resolved started_time_ms=0 event_time_ms=3000 acknowledged=true
    "#]];
    check(View::Alerts, &lines, &acknowledged);
    let again =
        [&lines[..2], &["3 alert_transitions alert_id=a state=firing event_time=3"]].concat();
    let lapsed = expect![[r#"
        a @2: alert_id=a state=firing started_time_ms=0 event_time_ms=3000 acknowledged=false
    "#]];
    check(View::Alerts, &again, &lapsed);
}

#[test]
fn shelved_alert_says_until_when() {
    check(
        View::Alerts,
        &[
            "1 alert_transitions alert_id=a state=firing event_time=1",
            "2 commands alert_id=a action=shelve until_time=900",
            "3 alert_transitions alert_id=a state=shelved reason=works event_time=3",
        ],
        &expect![[r#"
            a @2: alert_id=a state=shelved started_time_ms=0 event_time_ms=3000 reason=works acknowledged=false shelved_until_ms=900000
        "#]],
    );
}

#[test]
fn suppressed_alert_is_shown_as_such_and_leaves_with_its_end_unless_it_had_fired() {
    let lines = [
        "1 alert_transitions alert_id=a state=firing severity=high event_time=1",
        "2 alert_transitions alert_id=b state=suppressed severity=low reason=inhibited event_time=2",
        "3 alert_transitions alert_id=a state=suppressed severity=high event_time=3",
        "4 alert_transitions alert_id=c state=suppressed severity=low event_time=4",
        "5 alert_transitions alert_id=c state=firing severity=critical event_time=5",
    ];
    check(
        View::Alerts,
        &lines,
        &expect![[r#"
            a @2: alert_id=a state=suppressed severity=high started_time_ms=0 event_time_ms=3000 acknowledged=false
            b @1: alert_id=b state=suppressed severity=low started_time_ms=0 event_time_ms=2000 reason=inhibited acknowledged=false
            c @4: alert_id=c state=firing severity=critical started_time_ms=0 event_time_ms=5000 acknowledged=false
        "#]],
    );
    let ends = [
        "6 alert_transitions alert_id=a state=resolved severity=high event_time=6",
        "7 alert_transitions alert_id=b state=resolved severity=low event_time=7",
    ];
    check(
        View::Alerts,
        &[&lines[..], &ends[..]].concat(),
        &expect![[r#"
            a @5: alert_id=a state=resolved severity=high started_time_ms=0 event_time_ms=6000 acknowledged=false
            c @4: alert_id=c state=firing severity=critical started_time_ms=0 event_time_ms=5000 acknowledged=false
        "#]],
    );
}

#[test]
fn clip_leaves_after_a_day() {
    let lines = [
        "1 clips clip_id=c alert_id=a camera_id=CAM-02 from_time=5 to_time=9 distance_m=12.5 view_quality=0.5",
    ];
    let shown = expect![[r#"
        c @0: clip_id=c alert_id=a camera_id=CAM-02 event_time_ms=0 from_time_ms=5000 to_time_ms=9000 distance_m=12.5 view_quality=0.5
    "#]];
    check(View::Clips, &lines, &shown);
    let later = [&lines[..], &["86401 watermarks stream=readings"]].concat();
    check(View::Clips, &later, &expect![""]);
}

#[test]
fn source_counts_rows_and_ignores_states_of_single_sensors() {
    check(
        View::Sources,
        &[
            "1 source_events source_id=traffic state=connected event_time=1",
            "1 readings source_id=traffic sensor_id=TR-001 metric=speed",
            "1 rejected_events source_id=traffic reason=wrong_type",
            "1 source_events source_id=traffic sensor_id=TR-009 state=idle event_time=2",
            "2 watermarks stream=readings",
        ],
        &expect![[r#"
            traffic @4: source_id=traffic state=connected event_time_ms=1000 rows_in=1 rows_rejected=1
        "#]],
    );
}

#[test]
fn the_latest_row_of_each_key_of_a_view_is_shown_until_the_view_goes() {
    let row = |at: u8, sensor: &str, n: u8| {
        format!(
            "{at} view_rows view=minutes layout=s:text~n:int~x:float texts={sensor} ints={n} \
             floats=0.5 event_time={at}"
        )
    };
    let mut lines = vec![
        row(10, "TR-001", 3),
        row(20, "TR-001", 4),
        row(15, "TR-001", 9),
        row(10, "TR-002", 5),
        "11 view_rows view=all layout=n:int ints=7 event_time=11".to_owned(),
        "11 view_rows view=all layout=broken ints=7 event_time=12".to_owned(),
    ];
    let text: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(
        View::Views,
        &text,
        &expect![[r#"
        all @4: view=all columns=n:int values=[7] event_time_ms=11000
        minutes/TR-001 @1: view=minutes columns=s:text n:int x:float values=[TR-001 4 0.5] event_time_ms=20000
        minutes/TR-002 @3: view=minutes columns=s:text n:int x:float values=[TR-002 5 0.5] event_time_ms=10000
    "#]],
    );
    lines.push("30 rule_changes rule_id=minutes action=drop".to_owned());
    lines.push("86420 watermarks stream=readings".to_owned());
    let text: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(View::Views, &text, &expect![[r#""#]]);
}
