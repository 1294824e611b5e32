//! The history under commits, merges, retention and crashes.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, RecordBatch, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use vong_model::{EventTime, Offset, Stream};

use super::{Compacted, Store};
use crate::data_file::{read, stored_schema};
use crate::{Finding, StoreConfig, fsck};

const NOON: i64 = 1_795_348_800_000_000; // 2026-11-22T12:00:00Z
const DAY: i64 = 86_400_000_000;

/// Readings at `(event time, sensor, value)`.
fn readings(rows: &[(i64, &str, f64)]) -> RecordBatch {
    let times = || -> ArrayRef {
        let times = rows.iter().map(|row| row.0);
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
    };
    let key = |text: &dyn Fn(&(i64, &str, f64)) -> String| -> ArrayRef {
        let texts: Vec<String> = rows.iter().map(text).collect();
        Arc::new(texts.iter().map(|t| Some(t.as_str())).collect::<DictionaryArray<Int32Type>>())
    };
    let columns = vec![
        times(),
        times(),
        key(&|_| "s".to_owned()),
        key(&|row| row.1.to_owned()),
        key(&|_| "speed".to_owned()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Float64Array>()),
        key(&|_| "km/h".to_owned()),
        key(&|_| "u1".to_owned()),
        key(&|_| "good".to_owned()),
        Arc::new(rows.iter().map(|row| Some(row.0 as u64)).collect::<UInt64Array>()),
    ];
    RecordBatch::try_new(Stream::Readings.schema(), columns).unwrap()
}

fn config(dir: &Path) -> StoreConfig {
    StoreConfig { dir: dir.to_owned(), compact_files: 3, compact_rows: 100, ..Default::default() }
}

fn open(dir: &Path) -> Store {
    Store::open(config(dir), "log-a", None).unwrap()
}

/// One commit of one record per offset of `range`.
fn commit(store: &Store, range: std::ops::Range<u64>) {
    let records = range
        .clone()
        .map(|offset| {
            (Offset(offset), readings(&[(NOON + offset as i64, "b", 1.0), (NOON, "a", 2.0)]))
        })
        .collect();
    store.commit(Offset(range.end), vec![(Stream::Readings, records)]).unwrap();
}

/// `(log_offset, log_row)` of every row, in the order of the files.
fn places(store: &Store) -> Vec<(u64, u32)> {
    use arrow::array::AsArray;
    use arrow::datatypes::{UInt32Type, UInt64Type};
    let snapshot = store.snapshot();
    let mut places = Vec::new();
    for file in snapshot.files(Stream::Readings) {
        for batch in read(&snapshot.path_of(&file)).unwrap() {
            assert_eq!(batch.schema().fields(), stored_schema(Stream::Readings).fields());
            let offsets = batch["log_offset"].as_primitive::<UInt64Type>().values().to_vec();
            let rows = batch["log_row"].as_primitive::<UInt32Type>().values().to_vec();
            places.extend(offsets.into_iter().zip(rows));
        }
    }
    places
}

fn parquet_files(dir: &Path) -> usize {
    let days = std::fs::read_dir(dir.join("readings")).unwrap();
    days.map(|day| std::fs::read_dir(day.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn committed_rows_are_there_after_a_restart_sorted_by_sensor_with_their_place_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    commit(&open(dir.path()), 0..3);
    let store = open(dir.path());
    assert_eq!(store.covered(), Offset(3));
    assert_eq!(store.snapshot().rows(Stream::Readings), 6);
    assert_eq!(places(&store), [(0, 1), (1, 1), (2, 1), (0, 0), (1, 0), (2, 0)]);
    assert_eq!(fsck(dir.path()).unwrap().findings, []);
}

#[test]
fn rows_of_two_days_go_to_two_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let batch = readings(&[(NOON, "a", 1.0), (NOON - DAY, "a", 2.0), (NOON, "b", 3.0)]);
    store.commit(Offset(1), vec![(Stream::Readings, vec![(Offset(0), batch)])]).unwrap();
    let paths: Vec<_> =
        store.snapshot().all_files().iter().map(|file| (file.path.clone(), file.rows)).collect();
    assert_eq!(
        paths,
        [
            ("readings/2026-11-21/000000000001.parquet".to_owned(), 1),
            ("readings/2026-11-22/000000000002.parquet".to_owned(), 2)
        ]
    );
}

#[test]
fn a_crash_between_data_and_manifest_leaves_the_old_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(&store, 0..2);
    {
        let mut writer = store.inner.writer.lock();
        let records = vec![(Offset(2), readings(&[(NOON, "a", 1.0)]))];
        let range = Offset(2)..Offset(3);
        store.write_stream(&mut writer, Stream::Readings, range, records).unwrap();
    } // and here the power goes
    drop(store);
    let report = fsck(dir.path()).unwrap();
    assert!(report.is_sound());
    assert!(matches!(report.findings.as_slice(), [Finding::Orphan(_)]));
    let store = open(dir.path());
    assert_eq!((store.covered(), parquet_files(dir.path())), (Offset(2), 1));
    commit(&store, 2..3);
    assert_eq!(places(&store).len(), 6);
    assert_eq!(fsck(dir.path()).unwrap().findings, []);
}

#[test]
fn a_torn_manifest_sibling_is_not_taken_for_the_history() {
    let dir = tempfile::tempdir().unwrap();
    commit(&open(dir.path()), 0..1);
    std::fs::write(dir.path().join("MANIFEST.json.new"), b"{\"version\": 1, \"cov").unwrap();
    assert_eq!(open(dir.path()).covered(), Offset(1));
}

#[test]
fn an_empty_commit_moves_covered_and_writes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(Offset(5), Vec::new()).unwrap();
    assert_eq!(open(dir.path()).covered(), Offset(5));
    assert!(store.commit(Offset(5), Vec::new()).is_err(), "nothing may be committed twice");
    let stray = vec![(Stream::Readings, vec![(Offset(4), readings(&[(NOON, "a", 1.0)]))])];
    assert!(store.commit(Offset(6), stray).is_err(), "offset 4 is already covered");
}

#[test]
fn merging_keeps_every_row_once_and_a_snapshot_keeps_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for offset in 0..9 {
        commit(&store, offset..offset + 1);
    }
    let before = store.snapshot();
    let mut expected = places(&store);
    let merged = store.compact().unwrap();
    assert_eq!(merged, Some(Compacted { files_before: 9, files_after: 1, rows: 18 }));
    assert_eq!(store.compact().unwrap(), None);
    let mut found = places(&store);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(store.covered(), Offset(9));

    for file in before.files(Stream::Readings) {
        assert_eq!(read(&before.path_of(&file)).unwrap()[0].num_rows(), 2);
    }
    assert_eq!((store.sweep(), parquet_files(dir.path())), (0, 10));
    drop(before);
    assert_eq!((store.sweep(), parquet_files(dir.path())), (9, 1));
    assert_eq!(fsck(dir.path()).unwrap().findings, []);
}

#[test]
fn retention_removes_whole_files_of_one_stream() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let old = readings(&[(NOON - 40 * DAY, "a", 1.0)]);
    store.commit(Offset(1), vec![(Stream::Readings, vec![(Offset(0), old)])]).unwrap();
    commit(&store, 1..2);
    let removed = store.remove_older(Stream::Clips, EventTime(NOON - DAY)).unwrap();
    assert_eq!(removed.files, 0);
    let removed = store.remove_older(Stream::Readings, EventTime(NOON - DAY)).unwrap();
    assert_eq!((removed.files, removed.rows), (1, 1));
    assert_eq!(parquet_files(dir.path()), 1);
    assert_eq!(open(dir.path()).snapshot().rows(Stream::Readings), 2);
}

#[test]
fn fsck_names_a_changed_and_a_missing_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(&store, 0..1);
    commit(&store, 1..2);
    let snapshot = store.snapshot();
    let [first, second] = snapshot.all_files() else { panic!("two files") };
    let (first, second) = (snapshot.path_of(first), snapshot.path_of(second));
    let mut bytes = std::fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    std::fs::remove_file(&second).unwrap();
    let report = fsck(dir.path()).unwrap();
    assert_eq!(report.findings, [Finding::Checksum(first), Finding::Missing(second)]);
    assert!(!report.is_sound());
    assert!(Store::open(config(dir.path()), "log-a", None).is_err());
}

#[test]
fn a_history_of_another_log_or_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    commit(&open(dir.path()), 0..1);
    let refused = Store::open(config(dir.path()), "log-b", None).unwrap_err().to_string();
    assert!(refused.contains("'log-a', not from log 'log-b'"), "{refused}");
    std::fs::write(dir.path().join("MANIFEST.json"), b"{\"version\": 2, \"new\": []}").unwrap();
    let refused = Store::open(config(dir.path()), "log-a", None).unwrap_err().to_string();
    assert!(refused.contains("has version 2"), "{refused}");
}
