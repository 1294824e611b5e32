//! The log in files: reopened, cut at any byte, damaged, sealed, trimmed, on a disk that fails.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use tempfile::TempDir;
use vong_model::Stream;
use vong_runtime::ManualClock;
use vong_telemetry::{Classify, Kind as ErrorKind, Retry};

use super::*;
use crate::conformance::{self, readings};
use crate::disk::DiskFile;
use crate::fsck;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_000_000))
}

fn open(dir: &Path) -> FileLog {
    open_with_size(dir, 64 * 1024 * 1024)
}

fn open_with_size(dir: &Path, segment_bytes: u64) -> FileLog {
    let config = LogConfig { segment_bytes, ..LogConfig::new(dir) };
    FileLog::open(config, clock(), 7).unwrap()
}

fn try_open(dir: &Path) -> Result<FileLog, Error> {
    FileLog::open(LogConfig::new(dir), clock(), 7)
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

fn only_file(dir: &Path) -> PathBuf {
    segment::list(dir).unwrap().pop().unwrap().1
}

/// Copies segment files, as they are, into a new directory: what a crash leaves behind.
fn crash(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (_, path) in segment::list(dir).unwrap() {
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
            let config = LogConfig { segment_bytes, ..LogConfig::new(dir.path()) };
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
    let config = LogConfig { segment_bytes: 10_000, ..LogConfig::new(dir.path()) };
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
        let survey = segment::survey(&file, |_, _, _| Ok(())).unwrap();
        assert_eq!((survey.next, survey.good_bytes), (Offset(2), whole), "torn at {length}");
        if let Some((at, _)) = survey.bad {
            assert!(!segment::durable_before(&file, at).unwrap(), "torn at {length}");
        }
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
fn every_flipped_bit_before_the_last_write_is_an_error_that_names_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for i in 0..3 {
        log.append_blocking(group(i, 1)).unwrap();
    }
    let left = crash(dir.path());
    drop(log);
    let file = only_file(left.path());
    let bytes = std::fs::read(&file).unwrap();
    let record = (bytes.len() - HEADER_BYTES) / 3;
    for place in (0..HEADER_BYTES + 2 * record).step_by(13) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&file, &damaged).unwrap();
        let error = try_open(left.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "bit at {place}: {error}");
        assert!(error.to_string().contains(".vlog"), "{error}");
        assert!(!fsck(left.path()).unwrap().is_sound(), "bit at {place}");
    }
}

#[test]
fn damage_in_the_last_record_after_an_orderly_close_is_no_crash() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append_blocking(group(0, 2)).unwrap();
    drop(log);
    let file = only_file(dir.path());
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 30;
    bytes[last] ^= 4;
    std::fs::write(&file, &bytes).unwrap();
    let error = try_open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn damage_in_a_sealed_segment_is_seen_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with_size(dir.path(), 1);
    for i in 0..3 {
        log.append_blocking(group(i, 1)).unwrap();
    }
    drop(log);
    let files = segment::list(dir.path()).unwrap();
    let first = &files[0].1;
    let mut bytes = std::fs::read(first).unwrap();
    bytes[HEADER_BYTES + 100] ^= 1;
    std::fs::write(first, &bytes).unwrap();
    let log = open_with_size(dir.path(), 1);
    let error = log.read(Offset(0), 1).unwrap_err();
    assert!(matches!(error, Error::Corrupt { position: 128, .. }), "{error}");
    assert_eq!(log.read(Offset(1), 1).unwrap().len(), 1, "the others are still read");
    drop(log);
    let report = fsck(dir.path()).unwrap();
    assert_eq!(report.problems.len(), 1 + usize::from(files.len() > 1) * 2, "{report}");
}

#[test]
fn readers_find_old_records_while_the_tail_holds_few() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { tail_bytes: 10_000, ..LogConfig::new(dir.path()) };
    let log = FileLog::open(config, clock(), 7).unwrap();
    for i in 0..100 {
        log.append_blocking(group(i * 3, 3)).unwrap();
    }
    assert_eq!(values(&log), counted(300));
    let one = log.read(Offset(123), 0).unwrap();
    assert_eq!((one.len(), one[0].offset), (1, Offset(123)));
}

/// A disk that can be told to fail.
#[derive(Clone, Debug, Default)]
struct Switches {
    full: Arc<AtomicBool>,
    sync_fails: Arc<AtomicBool>,
}

impl Disk for Switches {
    fn create(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealDisk.create(path, content)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile { switches: self.clone(), file: RealDisk.open(path)? }))
    }
}

#[derive(Debug)]
struct FaultyFile {
    switches: Switches,
    file: Box<dyn DiskFile>,
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        if self.switches.full.load(Ordering::SeqCst) {
            self.file.write_at(&bytes[..bytes.len() / 2], position)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_at(bytes, position)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.switches.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.file.sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }
}

fn faulty(dir: &Path, segment_bytes: u64) -> (Switches, FileLog) {
    let disk = Switches::default();
    let config = LogConfig { segment_bytes, ..LogConfig::new(dir) };
    let metrics = LogMetrics::new(&Metrics::new());
    let log = FileLog::open_on(Box::new(disk.clone()), config, clock(), 7, metrics).unwrap();
    (disk, log)
}

#[test]
fn full_disk_refuses_appends_keeps_reading_and_resumes_by_itself() {
    for segment_bytes in [1, 1 << 20] {
        let dir = tempfile::tempdir().unwrap();
        let (disk, log) = faulty(dir.path(), segment_bytes);
        log.append_blocking(group(0, 2)).unwrap();
        disk.full.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let error = log.append_blocking(group(2, 2)).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Exhausted, Retry::Later));
            assert_eq!(values(&log), counted(2));
        }
        disk.full.store(false, Ordering::SeqCst);
        assert_eq!(log.append_blocking(group(2, 2)).unwrap(), Offset(2)..Offset(4));
        assert_eq!(values(&log), counted(4));
        drop(log);
        assert_eq!(values(&open(dir.path())), counted(4));
        let report = fsck(dir.path()).unwrap();
        assert!(report.is_sound() && report.unfinished_bytes == 0, "{report}");
    }
}

#[test]
fn failed_sync_ends_acknowledging_until_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, log) = faulty(dir.path(), 1 << 20);
    log.append_blocking(group(0, 2)).unwrap();
    disk.sync_fails.store(true, Ordering::SeqCst);
    assert!(matches!(log.append_blocking(group(2, 1)), Err(Error::Stopped { .. })));
    disk.sync_fails.store(false, Ordering::SeqCst);
    let error = log.append_blocking(group(2, 1)).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "a later sync proves nothing: {error}");
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(values(&log), counted(2));
    drop(log);
    let log = open(dir.path());
    assert!(log.head() >= Offset(2), "what was acknowledged is there");
    assert!(log.append_blocking(group(3, 1)).is_ok());
}

#[test]
fn config_reads_strictly_with_defaults() {
    let config: LogConfig = serde_json::from_str(r#"{"dir": "x", "segment_age_s": 9}"#).unwrap();
    let expected = LogConfig { segment_age: Duration::from_secs(9), ..LogConfig::new("x") };
    assert_eq!(config, expected);
    assert!(serde_json::from_str::<LogConfig>(r#"{"dir": "x", "segment_agee": 9}"#).is_err());
    let config = LogConfig { segment_bytes: 0, ..LogConfig::new("x") };
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
