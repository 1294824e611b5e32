//! Damage that no crash explains: quarantined, named, counted; everything else is still read.

use expect_test::{Expect, expect};

use super::crashes::{content, id, row};
use super::*;

const STREAM: Stream = Stream::ConfigChanges;

/// Records 0 to 8, three a segment; the last segment is open.
fn disk() -> SimDisk {
    let disk = SimDisk::default();
    let log = open_sim(&disk, config_of(3), clock()).unwrap();
    for id in 0..9 {
        log.append_blocking(vec![row(STREAM, id)]).unwrap();
    }
    assert_eq!(log.sealed().len(), 2);
    disk.copy() // as after a kill: without the note of an orderly close
}

/// A segment is closed by the append after the one that fills it.
fn config_of(records: u64) -> LogConfig {
    let base = LogConfig { reserve_bytes: 0, tail_bytes: 0, ..LogConfig::new(sim_dir()) };
    LogConfig { segment_bytes: HEADER_BYTES as u64 + records * record_bytes(), ..base }
}

fn record_bytes() -> u64 {
    let body = codec::encode(row(STREAM, 0)).unwrap().body;
    (format::RECORD_HEADER_BYTES + body.len()) as u64
}

fn file(first: u64) -> PathBuf {
    segment::path_of(sim_dir(), Offset(first))
}

/// A byte within the record that is `n`th in its segment.
fn inside(n: u64) -> usize {
    usize::try_from(HEADER_BYTES as u64 + n * record_bytes() + record_bytes() / 2).unwrap()
}

fn flip(disk: &SimDisk, first: u64, at: usize) {
    disk.tamper(&file(first), |bytes| bytes[at] ^= 4);
}

/// What each offset reads as: its value, or what its reader is told.
fn reads(log: &FileLog) -> String {
    let mut lines: Vec<String> = Vec::new();
    for offset in log.floor().0..log.head().0 {
        let line = match log.read(Offset(offset), 0) {
            Ok(records) => {
                assert_eq!(records[0].offset, Offset(offset));
                let found = id(&Entry::new(STREAM, records[0].batch.clone()));
                assert_eq!(found, offset as i64, "what is read is what was written");
                "read".to_owned()
            }
            Err(error) => error.to_string().replace(&format!("{}", record_bytes()), "RECORD"),
        };
        match lines.last_mut() {
            Some(last) if last.ends_with(&format!(": {line}")) => {
                let first = last.split("..").next().unwrap().to_owned();
                *last = format!("{first}..{offset}: {line}");
            }
            _ => lines.push(format!("{offset}..{offset}: {line}")),
        }
    }
    lines.join("\n")
}

/// Opens a damaged log, reads all of it, appends to it, opens it again.
fn check(disk: &SimDisk, expected: &Expect) {
    let report = fsck_on(disk, sim_dir()).unwrap();
    assert!(!report.is_sound(), "{report}");
    let log = open_sim(disk, config_of(3), clock()).unwrap();
    let first = reads(&log);
    assert!(!log.health().borrow().quarantined.is_empty());
    let metrics = &log.inner.shared.metrics;
    assert_eq!(metrics.quarantined_segments.get(), 1);
    let head = log.head();
    assert!(head >= Offset(9), "no offset is given out twice");
    expected.assert_eq(&first);
    assert_eq!(log.append_blocking(vec![row(STREAM, head.0 as i64)]).unwrap().start, head);
    drop(log);
    let log = open_sim(disk, config_of(3), clock()).unwrap();
    let again = reads(&log);
    assert_eq!(log.read(head, 0).unwrap().len(), 1);
    assert_eq!(again.lines().count(), first.lines().count() + usize::from(first.ends_with('g')));
    assert!(!fsck_on(disk, sim_dir()).unwrap().is_sound(), "damage is not forgotten");
    log.trim(log.head()).unwrap();
    assert!(log.health().borrow().quarantined.is_empty(), "what was trimmed is nobody's concern");
}

#[test]
fn flipped_bit_in_a_sealed_segment_costs_one_record_and_says_which() {
    let disk = disk();
    flip(&disk, 3, inside(1));
    check(
        &disk,
        &expect![[r#"
        0..3: read
        4..4: offsets 4..5 of the log are damaged at byte 880: record body checksum differs; run `vong fsck`, restore the file from a backup, or read on from 5: /log/00000000000000000003.vlog
        5..8: read"#]],
    );
}

#[test]
fn fsck_explains_what_is_wrong_what_it_costs_and_what_to_do() {
    let disk = disk();
    flip(&disk, 3, inside(1));
    disk.tamper(&file(0), |bytes| bytes.extend_from_slice(b"more"));
    let log = open_sim(&disk, config_of(3), clock()).unwrap();
    log.cursor_set("reader", Offset(2)).unwrap();
    let copy = disk.copy();
    drop(log);
    copy.tamper(&cursor::directory(sim_dir()).join("reader"), |bytes| bytes[0] = b'V');
    copy.tamper(&file(6), |bytes| bytes.extend_from_slice(b"half a record"));
    expect![[r#"
        epoch e9291ecd9d7296795d0e2681834d72bb
        sealed  offsets 0..3  3 records  3 rows  2456 bytes and 4 that do not count  /log/00000000000000000000.vlog
        sealed  offsets 3..6  2 records  2 rows  2456 bytes  /log/00000000000000000003.vlog
          open  offsets 6..9  3 records  3 rows  2397 bytes  /log/00000000000000000006.vlog
        13 bytes of an unfinished write: the next start cuts them
        damaged at byte 880: record body checksum differs; offsets 4..5 are lost: /log/00000000000000000003.vlog
                restore the file from a backup of this log, or let readers go on behind the lost offsets
        damaged at byte 0: cursor checksum differs (without the file, its reader begins anew); no offset is lost: /log/cursors/reader
                every record can still be read; restore the file from a backup to mend it
        2 problems
    "#]]
    .assert_eq(&fsck_on(&copy, sim_dir()).unwrap().to_string());
}

#[test]
fn damaged_header_costs_no_record() {
    let disk = disk();
    flip(&disk, 3, 20);
    let log = open_sim(&disk, config_of(3), clock()).unwrap();
    assert_eq!(log.recovery().quarantined.len(), 1);
    assert_eq!(content(&log).1.len(), 9);
    assert!(!fsck_on(&disk, sim_dir()).unwrap().is_sound());
}

#[test]
fn damaged_seal_costs_no_record() {
    let disk = disk();
    let length = disk.read(&file(3)).unwrap().len();
    for at in [length - 1, length - 8, length - 20, length - 60] {
        let disk = disk.copy();
        flip(&disk, 3, at);
        let log = open_sim(&disk, config_of(3), clock()).unwrap();
        assert_eq!(log.recovery().quarantined.len(), 1, "byte {at}");
        assert_eq!(content(&log).1.len(), 9, "byte {at}");
        assert!(!fsck_on(&disk, sim_dir()).unwrap().is_sound(), "byte {at}");
    }
}

#[test]
fn damage_before_the_last_commit_of_the_open_segment_is_not_taken_for_a_torn_write() {
    let disk = disk();
    flip(&disk, 6, inside(0));
    check(
        &disk,
        &expect![[r#"
        0..5: read
        6..6: offsets 6..7 of the log are damaged at byte 128: record body checksum differs; run `vong fsck`, restore the file from a backup, or read on from 7: /log/00000000000000000006.vlog
        7..8: read"#]],
    );
}

#[test]
fn damaged_header_of_the_open_segment_lets_the_log_go_on_in_another() {
    let disk = disk();
    flip(&disk, 6, 20);
    let log = open_sim(&disk, config_of(3), clock()).unwrap();
    assert_eq!(log.recovery().quarantined.len(), 1);
    assert_eq!(content(&log).1.len(), 9);
    assert_eq!(log.append_blocking(vec![row(STREAM, 9)]).unwrap().start, Offset(9));
}

#[test]
fn last_record_damaged_after_an_orderly_close_is_lost_and_its_offset_not_used_again() {
    let disk = SimDisk::default();
    let log = open_sim(&disk, config_of(100), clock()).unwrap();
    for id in 0..9 {
        log.append_blocking(vec![row(STREAM, id)]).unwrap();
    }
    drop(log);
    flip(&disk, 0, inside(8));
    check(
        &disk,
        &expect![[r#"
        0..7: read
        8..8: offsets 8..9 of the log are damaged at byte 6144: record body checksum differs; run `vong fsck`, restore the file from a backup, or read on from 9: /log/00000000000000000000.vlog"#]],
    );
}

#[test]
fn missing_segment_is_named() {
    let disk = disk();
    disk.remove(&file(3)).unwrap();
    check(
        &disk,
        &expect![[r#"
        0..2: read
        3..5: offsets 3..6 of the log are damaged at byte 0: segment file is missing; run `vong fsck`, restore the file from a backup, or read on from 6: /log/00000000000000000003.vlog
        6..8: read"#]],
    );
}

#[test]
fn missing_newest_segment_is_known_from_the_note_of_an_orderly_close() {
    let disk = SimDisk::default();
    let log = open_sim(&disk, config_of(3), clock()).unwrap();
    for id in 0..9 {
        log.append_blocking(vec![row(STREAM, id)]).unwrap();
    }
    drop(log);
    disk.remove(&file(6)).unwrap();
    check(
        &disk,
        &expect![[r#"
        0..5: read
        6..8: offsets 6..9 of the log are damaged at byte 0: segment file is missing; run `vong fsck`, restore the file from a backup, or read on from 9: /log/00000000000000000006.vlog"#]],
    );
}

#[test]
fn truncated_segment_keeps_what_is_left() {
    let disk = disk();
    disk.tamper(&file(3), |bytes| bytes.truncate(inside(1)));
    check(
        &disk,
        &expect![[r#"
        0..3: read
        4..5: offsets 4..6 of the log are damaged at byte 880: record body cut short; run `vong fsck`, restore the file from a backup, or read on from 6: /log/00000000000000000003.vlog
        6..8: read"#]],
    );
}

#[test]
fn emptied_segment_costs_offsets_that_are_never_given_out_again() {
    let disk = disk();
    disk.tamper(&file(6), Vec::clear);
    let log = open_sim(&disk, config_of(3), clock()).unwrap();
    assert!(log.head() > Offset(9), "nobody knows how many there were, so many are passed");
    assert!(matches!(log.read(Offset(6), 0), Err(Error::Damaged { .. })));
    let resume = log.read(Offset(6), 0).unwrap_err().resume_at();
    assert_eq!(resume, Some(log.head()));
}

#[test]
fn segment_of_another_log_is_not_read_as_ours() {
    let ours = disk();
    let other = SimDisk::default();
    let metrics = LogMetrics::new(&Metrics::new());
    let log = FileLog::open_on(Arc::new(other.clone()), config_of(3), clock(), 8, metrics).unwrap();
    for id in 0..9 {
        log.append_blocking(vec![row(STREAM, 100 + id)]).unwrap();
    }
    drop(log);
    let theirs = other.read(&file(3)).unwrap();
    ours.tamper(&file(3), |bytes| *bytes = theirs);
    check(
        &ours,
        &expect![[r#"
        0..2: read
        3..5: offsets 3..6 of the log are damaged at byte 0: segment belongs to another log; run `vong fsck`, restore the file from a backup, or read on from 6: /log/00000000000000000003.vlog
        6..8: read"#]],
    );
}

#[test]
fn record_that_a_sender_made_is_never_taken_for_one() {
    // A payload that holds a whole record, as it stood in a file.
    let disk = disk();
    let stolen = disk.read(&file(6)).unwrap()[HEADER_BYTES..].to_vec();
    let log = open_sim(&disk, config_of(3), clock()).unwrap();
    let entry = rejected(&stolen);
    log.append_blocking(vec![entry.clone()]).unwrap();
    log.append_blocking(vec![row(STREAM, 10)]).unwrap();
    let copy = disk.copy();
    drop(log);
    // Its own header is destroyed: what lies inside must not be found in its place.
    copy.tamper(&file(9), |bytes| bytes[HEADER_BYTES + 3] ^= 1);
    let log = open_sim(&copy, config_of(3), clock()).unwrap();
    assert!(matches!(log.read(Offset(9), 0), Err(Error::Damaged { .. })));
    assert_eq!(log.head(), Offset(11));
    assert_eq!(log.read(Offset(10), 0).unwrap()[0].batch, row(STREAM, 10).batch);
}

fn rejected(payload: &[u8]) -> Entry {
    let Entry { stream, batch } = row(Stream::RejectedEvents, 1);
    let column = stream.column_index("payload");
    let mut columns = batch.columns().to_vec();
    columns[column] = Arc::new(arrow::array::BinaryArray::from(vec![payload]));
    Entry::new(stream, arrow::array::RecordBatch::try_new(batch.schema(), columns).unwrap())
}
