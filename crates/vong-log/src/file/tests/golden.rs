//! Logs as earlier programs wrote them, byte by byte in `tests/golden`: read by today's code.

use expect_test::expect;

use super::*;

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

/// A copy, so that opening changes nothing here.
fn copy_of(version: u32) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(version)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let cursors = golden(version).join("cursors");
    std::fs::create_dir(copy.path().join("cursors")).unwrap();
    for entry in std::fs::read_dir(cursors).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join("cursors").join(path.file_name().unwrap())).unwrap();
    }
    copy
}

/// The log that the files of each version hold.
fn write(dir: &Path) {
    let clock = clock();
    let config = LogConfig { segment_bytes: 4_000, ..config(dir) };
    let log = FileLog::open(config, Arc::clone(&clock) as Arc<dyn Clock>, 7).unwrap();
    for i in 0..3 {
        log.append_blocking(group(2 * i, 2)).unwrap();
        clock.advance(Duration::from_secs(1));
    }
    log.cursor_set("reader", Offset(3)).unwrap();
}

fn check(version: u32) {
    let dir = copy_of(version);
    let report = fsck(dir.path()).unwrap();
    assert!(report.is_sound() && report.unfinished_bytes == 0, "{report}");
    let log = open(dir.path());
    assert_eq!(log.recovery().quarantined, []);
    assert_eq!(values(&log), counted(6));
    assert_eq!(log.read(Offset(5), 0).unwrap()[0].appended_at, EventTime::from_micros(3_000_000));
    assert_eq!(log.cursor_get("reader").unwrap(), Some(Offset(3)));
    log.append_blocking(group(6, 2)).unwrap();
    drop(log);
    let log = open(dir.path());
    assert_eq!(values(&log), counted(8), "what is written now follows what was written then");
    assert!(fsck(dir.path()).unwrap().is_sound());
}

#[test]
fn every_version_that_was_ever_written_is_read() {
    for version in 1..=VERSION {
        check(version);
    }
}

/// The bytes of the format itself are pinned in `format`. Here the whole is: when this fails and
/// that does not, Arrow writes batches in another way, or a stream got a column. Older files are
/// still read (see the test above): add the new ones beside them by removing nothing, and pin here
/// what is written now.
#[test]
fn what_is_written_today_is_what_the_golden_files_hold() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let describe = |dir: &Path| {
        let report = fsck(dir).unwrap();
        let lines = report.segments.iter().map(|segment| {
            let name = segment.file.file_name().unwrap().to_str().unwrap();
            format!("{} {}..{} {}", name, segment.first, segment.next, segment.state)
        });
        let epoch = format!("epoch {}", report.epoch);
        std::iter::once(epoch).chain(lines).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        epoch e9291ecd9d7296795d0e2681834d72bb
        00000000000000000000.vlog 0..2 sealed
        00000000000000000002.vlog 2..4 sealed
        00000000000000000004.vlog 4..6 open"#]]
    .assert_eq(&describe(dir.path()));
    assert_eq!(describe(dir.path()), describe(&golden(VERSION)));
    for (_, path) in segment::list(&RealDisk, dir.path()).unwrap() {
        let golden = golden(VERSION).join(path.file_name().unwrap());
        let head = |path: &Path| std::fs::read(path).unwrap()[..56].to_vec(); // up to the hash
        assert_eq!(head(&path), head(&golden), "{}", path.display());
    }
}
