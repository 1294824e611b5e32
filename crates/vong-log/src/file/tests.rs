//! The log in files: reopened, cut at any byte, sealed, trimmed. What else can go wrong is below.

mod crashes;
mod damage;
mod faults;
mod flips;
mod golden;
mod hostile;
mod tmpfs;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use vong_model::Stream;
use vong_runtime::ManualClock;

use super::*;
use crate::conformance::{self, readings};
use crate::disk::sim::SimDisk;
use crate::format::HEADER_BYTES;
use crate::fsck::fsck_on;
use crate::segment::{End, Question};
use crate::{Retention, fsck, segment};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_000_000))
}

/// Without a reserve, which takes time to write.
fn config(dir: &Path) -> LogConfig {
    LogConfig { reserve_bytes: 0, ..LogConfig::new(dir) }
}

fn open(dir: &Path) -> FileLog {
    open_with_size(dir, 64 * 1024 * 1024)
}

fn open_with_size(dir: &Path, segment_bytes: u64) -> FileLog {
    FileLog::open(LogConfig { segment_bytes, ..config(dir) }, clock(), 7).unwrap()
}

fn try_open(dir: &Path) -> Result<FileLog, Error> {
    FileLog::open(config(dir), clock(), 7)
}

/// Where logs lie on disks that are not real.
fn sim_dir() -> &'static Path {
    Path::new("/log")
}

fn open_sim(disk: &SimDisk, config: LogConfig, clock: Arc<ManualClock>) -> Result<FileLog, Error> {
    let metrics = LogMetrics::new(&Metrics::new());
    FileLog::open_on(Arc::new(disk.clone()), config, clock, 7, metrics)
}

fn entry(value: f64) -> Entry {
    Entry::new(Stream::Readings, readings(&[("TR-001", value)]))
}

fn group(first: u32, count: u32) -> Vec<Entry> {
    (first..first + count).map(|i| entry(f64::from(i))).collect()
}

/// The values of everything in the log, by offset from its floor.
fn values(log: &FileLog) -> Vec<f64> {
    let mut values = Vec::new();
    let mut from = log.floor();
    loop {
        let records = log.read(from, 4_096).unwrap();
        let Some(last) = records.last() else { return values };
        for (record, offset) in records.iter().zip(from.0..) {
            assert_eq!(record.offset, Offset(offset));
            let column = record.batch.column_by_name("value").unwrap();
            let column = column.as_any().downcast_ref::<arrow::array::Float64Array>().unwrap();
            values.extend(column.values());
        }
        from = last.offset.next();
    }
}

fn counted(to: u32) -> Vec<f64> {
    (0..to).map(f64::from).collect()
}

fn survey(path: &Path) -> segment::Survey {
    let guess = Frame { version: VERSION, epoch: [0; 16] };
    let question = Question { path, first: Offset::ZERO, guess, end: None, durable: 0 };
    segment::survey(&RealDisk, &question, |_, _| Ok(())).unwrap()
}

fn only_file(dir: &Path) -> PathBuf {
    segment::list(&RealDisk, dir).unwrap().pop().unwrap().1
}

/// Copies segment files, as they are, into a new directory: what a crash leaves behind.
fn crash(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (_, path) in segment::list(&RealDisk, dir).unwrap() {
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

#[test]
fn file_log_conforms() {
    for segment_bytes in [1, 20_000, 64 * 1024 * 1024] {
        let dirs = Mutex::new(Vec::new());
        let seed = AtomicU64::new(0);
        conformance::run(|| {
            let dir = tempfile::tempdir().unwrap();
            let config = LogConfig { segment_bytes, ..config(dir.path()) };
            let log = FileLog::open(config, clock(), seed.fetch_add(1, Ordering::Relaxed)).unwrap();
            dirs.lock().push(dir);
            Arc::new(log) as Arc<dyn Log>
        });
    }
}

#[test]
fn reopened_log_keeps_epoch_head_records_and_cursors() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let epoch = log.epoch().to_owned();
    assert!(log.recovery().created);
    log.append_blocking(group(0, 3)).unwrap();
    log.cursor_set("archiver", Offset(2)).unwrap();
    drop(log);
    let log = open(dir.path());
    assert_eq!(log.epoch(), epoch);
    assert_eq!((log.head(), *log.watch().borrow()), (Offset(3), Offset(3)));
    assert_eq!(log.recovery().records_in_last, 3);
    assert_eq!(log.recovery().cut, None);
    assert_eq!(log.cursor_get("archiver").unwrap(), Some(Offset(2)));
    log.append_blocking(group(3, 2)).unwrap();
    assert_eq!(values(&log), counted(5));
}

#[test]
fn segments_close_by_size_and_by_age_and_chain_up() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let config = LogConfig { segment_bytes: 10_000, ..config(dir.path()) };
    let log = FileLog::open(config, Arc::clone(&clock) as Arc<dyn Clock>, 7).unwrap();
    for i in 0..20 {
        log.append_blocking(group(i, 1)).unwrap();
    }
    let by_size = log.sealed().len();
    assert!(by_size >= 2, "{by_size}");
    clock.advance(Duration::from_secs(300));
    log.append_blocking(group(20, 1)).unwrap();
    assert_eq!(log.sealed().len(), by_size + 1);
    assert_eq!(log.sealed().last().unwrap().next, Offset(20));
    assert_eq!(values(&log), counted(21));
    drop(log);

    let report = fsck(dir.path()).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.segments.iter().map(|s| s.records).sum::<u64>(), 21);
    let log = open(dir.path());
    assert_eq!(log.sealed().len(), by_size + 1);
    assert_eq!(values(&log), counted(21));
    log.trim(Offset(20)).unwrap();
    assert_eq!(log.floor(), Offset(20));
    assert!(matches!(log.read(Offset(19), 1), Err(Error::Trimmed { .. })));
    drop(log);
    let log = open(dir.path());
    assert_eq!((log.floor(), log.head()), (Offset(20), Offset(21)));
    assert!(fsck(dir.path()).unwrap().is_sound());
}

#[test]
fn crash_between_seal_and_next_segment_is_finished_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with_size(dir.path(), 1);
    log.append_blocking(group(0, 1)).unwrap();
    log.append_blocking(group(1, 1)).unwrap();
    drop(log);
    let left = crash(dir.path());
    std::fs::remove_file(only_file(left.path())).unwrap();
    let log = open_with_size(left.path(), 1);
    assert_eq!((log.head(), log.sealed().len()), (Offset(1), 1));
    log.append_blocking(group(1, 1)).unwrap();
    assert_eq!(values(&log), counted(2));
    drop(log);
    assert!(fsck(left.path()).unwrap().is_sound());
}

#[test]
fn second_holder_of_the_directory_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let refused = try_open(dir.path());
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    drop(log);
    assert!(try_open(dir.path()).is_ok());
}

#[test]
fn write_torn_at_any_byte_loses_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append_blocking(group(0, 2)).unwrap();
    let whole = std::fs::metadata(only_file(dir.path())).unwrap().len();
    log.append_blocking(group(2, 1)).unwrap();
    let left = crash(dir.path());
    drop(log);
    let file = only_file(left.path());
    let bytes = std::fs::read(&file).unwrap();
    for length in usize::try_from(whole).unwrap()..bytes.len() {
        std::fs::write(&file, &bytes[..length]).unwrap();
        let survey = survey(&file);
        assert_eq!((survey.next, survey.good_bytes), (Offset(2), whole), "torn at {length}");
        assert!(survey.holes.is_empty(), "torn at {length}");
        assert!(!matches!(survey.end, End::Lost { .. }), "torn at {length}");
        if length % 101 != 0 {
            continue; // opening syncs, which is slow
        }
        drop(std::fs::remove_file(left.path().join("durable"))); // absent the first time
        let log = try_open(left.path()).unwrap();
        assert_eq!(log.head(), Offset(2), "torn at {length}");
        let cut = log.recovery().cut.as_ref().map_or(0, |cut| cut.bytes);
        assert_eq!(cut, length as u64 - whole);
        log.append_blocking(group(2, 1)).unwrap();
        assert_eq!(values(&log), counted(3));
    }
}

#[test]
fn append_of_several_entries_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append_blocking(group(0, 2)).unwrap();
    log.append_blocking(group(2, 4)).unwrap();
    let left = crash(dir.path());
    drop(log);
    let file = only_file(left.path());
    let bytes = std::fs::read(&file).unwrap();
    for length in (HEADER_BYTES..bytes.len()).step_by(37) {
        std::fs::write(&file, &bytes[..length]).unwrap();
        drop(std::fs::remove_file(left.path().join("durable"))); // absent the first time
        let found = try_open(left.path()).unwrap().head();
        assert!([Offset(0), Offset(2)].contains(&found), "torn at {length}: {found}");
    }
}

#[test]
fn readers_find_old_records_while_the_tail_holds_few() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { tail_bytes: 10_000, ..config(dir.path()) };
    let log = FileLog::open(config, clock(), 7).unwrap();
    for i in 0..100 {
        log.append_blocking(group(i * 3, 3)).unwrap();
    }
    assert_eq!(values(&log), counted(300));
    let one = log.read(Offset(123), 0).unwrap();
    assert_eq!((one.len(), one[0].offset), (1, Offset(123)));
}

#[test]
fn retention_lets_old_segments_go_but_none_that_a_reader_needs() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let config = LogConfig { segment_bytes: 1, ..config(dir.path()) };
    let log = FileLog::open(config, Arc::clone(&clock) as Arc<dyn Clock>, 7).unwrap();
    for i in 0..5 {
        log.append_blocking(group(i, 1)).unwrap();
        clock.advance(Duration::from_secs(10));
    }
    let sealed = log.sealed();
    assert_eq!(sealed.len(), 4, "the newest is open");
    assert_eq!(sealed[3].closed_at, EventTime::from_micros(31_000_000));
    let old = Retention { keep_age: Some(Duration::from_secs(25)), keep_bytes: None };
    let now = EventTime::from_micros(clock.now());
    let trimmed = log.retain(&old, now, Offset(1)).unwrap();
    assert_eq!((trimmed.parts, log.floor()), (1, Offset(1)));
    assert_eq!(trimmed.held_back_bytes, sealed[1].bytes + sealed[2].bytes);
    let trimmed = log.retain(&old, now, log.head()).unwrap();
    assert_eq!((trimmed.parts, trimmed.held_back_bytes, log.floor()), (2, 0, Offset(3)));
    let small = Retention { keep_age: None, keep_bytes: Some(0) };
    log.retain(&small, now, log.head()).unwrap();
    assert_eq!((log.floor(), log.head()), (Offset(4), Offset(5)));
    assert_eq!(values(&log), [4.0], "the open segment always stays");
}

#[test]
fn config_reads_strictly_with_defaults() {
    let config: LogConfig = serde_json::from_str(r#"{"dir": "x", "segment_age_s": 9}"#).unwrap();
    let expected = LogConfig { segment_age: Duration::from_secs(9), ..LogConfig::new("x") };
    assert_eq!(config, expected);
    assert!(serde_json::from_str::<LogConfig>(r#"{"dir": "x", "segment_agee": 9}"#).is_err());
    let config = LogConfig { segment_bytes: 0, ..LogConfig::new("x") };
    assert!(matches!(FileLog::open(config, clock(), 0), Err(Error::Config { .. })));
    let config = LogConfig { reserve_bytes: 100, ..LogConfig::new("x") };
    assert!(matches!(FileLog::open(config, clock(), 0), Err(Error::Config { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Appends of random sizes, a crash that cuts anywhere and may leave garbage, again and again:
    /// what was acknowledged before the cut is there, groups are whole, the order is the same.
    #[test]
    fn whatever_a_crash_leaves_is_a_prefix_of_whole_appends(
        rounds in prop::collection::vec(
            (prop::collection::vec(1_u32..5, 1..6), 0.0_f64..1.0, prop::collection::vec(any::<u8>(), 0..60)),
            1..4,
        ),
        segment_bytes in prop::sample::select(vec![1_u64, 9_000, 1 << 20]),
    ) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut written = 0_u32;
        let mut boundaries = BTreeMap::from([(0_u64, 0_u64)]); // offset -> size of the last file
        for (groups, cut, garbage) in rounds {
            let log = open_with_size(dir.path(), segment_bytes);
            prop_assert_eq!(values(&log), counted(written));
            let mut last_file_starts = log.head();
            for count in groups {
                log.append_blocking(group(written, count)).unwrap();
                written += count;
                boundaries.insert(log.head().0, 0);
                last_file_starts = log.sealed().last().map_or(last_file_starts, |s| s.next);
            }
            let left = crash(dir.path());
            drop(log);
            let file = only_file(left.path());
            let bytes = std::fs::read(&file).unwrap();
            let keep = HEADER_BYTES as f64 + cut * (bytes.len() - HEADER_BYTES) as f64;
            let keep = (keep as usize).min(bytes.len());
            let mut torn = bytes[..keep].to_vec();
            torn.extend_from_slice(&garbage);
            std::fs::write(&file, &torn).unwrap();
            let log = open_with_size(left.path(), segment_bytes);
            let head = log.head().0;
            prop_assert!(boundaries.contains_key(&head), "head {} splits an append", head);
            prop_assert!(head >= log.sealed().last().map_or(0, |s| s.next.0));
            written = u32::try_from(head).unwrap();
            prop_assert_eq!(values(&log), counted(written));
            boundaries.retain(|offset, _| *offset <= head);
            drop(log);
            prop_assert!(fsck(left.path()).unwrap().is_sound());
            dir = left;
        }
    }
}
