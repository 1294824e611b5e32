//! What every log must do, as a suite that any implementation runs.
//!
//! `make` gives a fresh, empty log each time. Each check panics with a sentence when it fails.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, RecordBatch, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use tokio::runtime::Builder;
use vong_model::{EventTime, Offset, Stream};

use crate::{Entry, Error, Log, Record, Retention};

/// Runs the whole suite.
pub fn run(make: impl Fn() -> Arc<dyn Log>) {
    an_empty_log_reads_nothing(&*make());
    what_is_appended_is_read_back_in_order(&*make());
    a_reader_gets_at_least_one_record_and_about_what_it_asked_for(&*make());
    a_batch_of_another_schema_is_refused_and_nothing_is_written(&*make());
    concurrent_appenders_get_distinct_consecutive_offsets(&make());
    appends_of_tasks_are_durable_when_they_resolve(&*make());
    watchers_see_the_head_grow(&*make());
    only_sealed_parts_are_trimmed(&*make());
    retention_keeps_what_a_reader_needs(&*make());
    cursors_are_kept_by_name(&*make());
    slices_and_dictionaries_keep_their_values(&*make());
    assert_ne!(make().epoch(), make().epoch(), "two logs must not share an epoch");
}

/// Rows of the stream `readings`: one per `(sensor, value)`, with dictionary columns and nulls.
pub fn readings(rows: &[(&str, f64)]) -> RecordBatch {
    let keys = |texts: Vec<Option<&str>>| -> ArrayRef {
        Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>())
    };
    let all = |text: &'static str| keys(vec![Some(text); rows.len()]);
    let times: Vec<i64> = (0_i64..).take(rows.len()).map(|i| 1_000_000 * i).collect();
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
    let hashes = rows.iter().map(|(_, value)| value.to_bits()).collect::<Vec<_>>();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_time", Arc::clone(&times)),
        ("arrival_time", times),
        ("source_id", all("test")),
        ("sensor_id", keys(rows.iter().map(|(sensor, _)| Some(*sensor)).collect())),
        ("metric", all("speed")),
        ("value", Arc::new(rows.iter().map(|(_, value)| *value).collect::<Float64Array>())),
        ("unit", all("km/h")),
        ("unit_code", keys(vec![None; rows.len()])),
        ("quality", all("good")),
        ("message_hash", Arc::new(UInt64Array::from(hashes))),
    ];
    let schema = Stream::Readings.schema();
    let columns = schema.fields().iter().map(|field| {
        let found = columns.iter().find(|(name, _)| name == field.name());
        found.map_or_else(
            || arrow::array::new_null_array(field.data_type(), rows.len()),
            |(_, column)| Arc::clone(column),
        )
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns).expect("columns follow the schema of readings")
}

fn entry(value: f64) -> Entry {
    Entry::new(Stream::Readings, readings(&[("TR-001", value)]))
}

fn append(log: &dyn Log, entries: Vec<Entry>) -> std::ops::Range<Offset> {
    log.append_blocking(entries).expect("appending to a healthy log works")
}

fn read(log: &dyn Log, from: Offset) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let from = records.last().map_or(from, |last| last.offset.next());
        let more = log.read(from, 1 << 20).expect("reading a healthy log works");
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

fn an_empty_log_reads_nothing(log: &dyn Log) {
    assert_eq!((log.floor(), log.head()), (Offset::ZERO, Offset::ZERO));
    assert!(read(log, Offset::ZERO).is_empty());
    assert!(log.sealed().is_empty());
    assert!(!log.epoch().is_empty());
    assert_eq!(append(log, Vec::new()), Offset::ZERO..Offset::ZERO);
}

fn what_is_appended_is_read_back_in_order(log: &dyn Log) {
    let first = append(log, vec![entry(1.0), entry(2.0)]);
    let second = append(log, vec![entry(3.0)]);
    assert_eq!(first, Offset(0)..Offset(2));
    assert_eq!(second, Offset(2)..Offset(3));
    let records = read(log, Offset::ZERO);
    let batches: Vec<_> = records.iter().map(|r| &r.batch).collect();
    let expected = [entry(1.0), entry(2.0), entry(3.0)];
    assert_eq!(batches, expected.iter().map(|e| &e.batch).collect::<Vec<_>>());
    assert!(records.iter().zip(0..).all(|(r, offset)| r.offset == Offset(offset)));
    assert!(records.is_sorted_by_key(|r| r.appended_at), "time of appending never goes back");
    assert_eq!(read(log, Offset(2)).len(), 1);
    assert!(read(log, Offset(3)).is_empty());
    assert!(read(log, Offset(1_000)).is_empty());
}

fn a_reader_gets_at_least_one_record_and_about_what_it_asked_for(log: &dyn Log) {
    append(log, (0..50).map(|i| entry(f64::from(i))).collect());
    let one = log.read(Offset(7), 0).expect("reading works");
    assert_eq!(one.iter().map(|r| r.offset).collect::<Vec<_>>(), [Offset(7)]);
    assert_eq!(log.read(Offset(0), usize::MAX).expect("reading works").len(), 50);
    assert!(log.read(Offset(0), 10_000).expect("reading works").len() < 50);
}

fn a_batch_of_another_schema_is_refused_and_nothing_is_written(log: &dyn Log) {
    let wrong = Entry::new(Stream::Clips, readings(&[("TR-001", 1.0)]));
    let refused = log.append_blocking(vec![entry(1.0), wrong]);
    assert!(matches!(refused, Err(Error::Schema { stream: Stream::Clips, .. })), "{refused:?}");
    let narrow = readings(&[("TR-001", 1.0)]).project(&[0, 1, 2]).expect("columns exist");
    let refused = log.append_blocking(vec![Entry::new(Stream::Readings, narrow)]);
    assert!(matches!(refused, Err(Error::Schema { .. })), "{refused:?}");
    assert_eq!(log.head(), Offset::ZERO);
}

fn concurrent_appenders_get_distinct_consecutive_offsets(log: &Arc<dyn Log>) {
    let one = |thread: u32| {
        let log = Arc::clone(log);
        let body = move || {
            let value = |i: u32| f64::from(thread * 100 + i);
            (0..20).map(|i| (append(&*log, vec![entry(value(i))]).start, value(i))).collect()
        };
        vong_runtime::thread::spawn("log-conformance", body).expect("threads start")
    };
    let threads: Vec<std::thread::JoinHandle<Vec<(Offset, f64)>>> = (0..8).map(one).collect();
    let mut given = Vec::new();
    for thread in threads {
        let own = thread.join().expect("appenders do not panic");
        assert!(own.is_sorted_by_key(|(offset, _)| *offset), "one appender's order is kept");
        given.extend(own);
    }
    given.sort_by_key(|(offset, _)| *offset);
    let records = read(&**log, Offset::ZERO);
    assert_eq!(records.len(), 160);
    for (record, (offset, value)) in records.iter().zip(&given) {
        assert_eq!(record.offset, *offset);
        assert_eq!(record.batch, entry(*value).batch);
    }
}

fn appends_of_tasks_are_durable_when_they_resolve(log: &dyn Log) {
    let runtime = Builder::new_current_thread().build().expect("a runtime starts");
    runtime.block_on(async {
        for i in 0..5_u32 {
            let range = log.append(vec![entry(f64::from(i))]).await.expect("appending works");
            assert_eq!(range.end, log.head());
            assert_eq!(log.read(range.start, 1).expect("reading works").len(), 1);
        }
    });
}

fn watchers_see_the_head_grow(log: &dyn Log) {
    let mut watch = log.watch();
    assert_eq!(*watch.borrow_and_update(), Offset::ZERO);
    append(log, vec![entry(1.0), entry(2.0)]);
    assert!(watch.has_changed().expect("the log lives"));
    assert_eq!(*watch.borrow_and_update(), Offset(2));
}

fn only_sealed_parts_are_trimmed(log: &dyn Log) {
    append(log, (0..40).map(|i| entry(f64::from(i))).collect());
    append(log, vec![entry(40.0)]);
    log.trim(log.head()).expect("trimming works");
    let floor = log.floor();
    let sealed_to = log.sealed().last().map_or(floor, |range| range.next);
    assert_eq!(floor, sealed_to, "every sealed part below the bound is gone, nothing else is");
    assert!(log.sealed().is_empty());
    if floor > Offset::ZERO {
        let refused = log.read(Offset::ZERO, 1);
        assert!(matches!(refused, Err(Error::Trimmed { .. })), "{refused:?}");
    }
    let kept = read(log, floor);
    assert_eq!(kept.len() as u64, log.head().0 - floor.0);
    log.trim(Offset::ZERO).expect("trimming nothing works");
    assert_eq!(log.floor(), floor);
    assert_eq!(append(log, vec![entry(41.0)]), Offset(41)..Offset(42));
}

fn retention_keeps_what_a_reader_needs(log: &dyn Log) {
    append(log, (0..40).map(|i| entry(f64::from(i))).collect());
    append(log, vec![entry(40.0)]);
    let sealed = log.sealed();
    let nothing = Retention { keep_age: None, keep_bytes: Some(0) };
    let now = EventTime::from_micros(i64::MAX);
    let trimmed = log.retain(&Retention::default(), now, log.head()).expect("trimming works");
    assert_eq!((trimmed.parts, log.floor()), (0, Offset::ZERO), "without a limit all is kept");
    let trimmed = log.retain(&nothing, now, Offset::ZERO).expect("trimming works");
    assert_eq!((trimmed.parts, log.floor()), (0, Offset::ZERO), "a reader needs all of it");
    assert_eq!(trimmed.held_back_bytes, sealed.iter().map(|part| part.bytes).sum::<u64>());
    let trimmed = log.retain(&nothing, now, log.head()).expect("trimming works");
    assert_eq!(trimmed.parts, sealed.len());
    assert_eq!(log.floor(), sealed.last().map_or(Offset::ZERO, |part| part.next));
}

fn cursors_are_kept_by_name(log: &dyn Log) {
    assert_eq!(log.cursor_get("archiver").expect("name is good"), None);
    log.cursor_set("archiver", Offset(7)).expect("name is good");
    log.cursor_set("hub", Offset(9)).expect("name is good");
    log.cursor_set("archiver", Offset(8)).expect("name is good");
    assert_eq!(log.cursor_get("archiver").expect("name is good"), Some(Offset(8)));
    assert_eq!(log.cursor_get("hub").expect("name is good"), Some(Offset(9)));
    for bad in ["", "../x", "A", "a b", &"x".repeat(65)] {
        assert!(matches!(log.cursor_set(bad, Offset(1)), Err(Error::CursorName { .. })), "{bad}");
    }
}

fn slices_and_dictionaries_keep_their_values(log: &dyn Log) {
    let names: Vec<String> = (0..500).map(|i| format!("SENSOR-{i:04}")).collect();
    let rows: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 0.5)).collect();
    let large = readings(&rows);
    let slice = large.slice(321, 2);
    append(log, vec![Entry::new(Stream::Readings, slice.clone())]);
    append(log, vec![Entry::new(Stream::Readings, readings(&[]))]);
    let records = read(log, Offset::ZERO);
    let values: Vec<_> = records.iter().map(|r| r.batch.num_rows()).collect();
    assert_eq!(values, [2, 0]);
    let found = records.first().map(|r| r.batch.clone());
    assert_eq!(found.as_ref(), Some(&slice), "values are equal whatever their dictionary codes");
}
