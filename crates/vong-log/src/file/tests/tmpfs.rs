//! A real file system that is really full: a small tmpfs, where one may be mounted.

use std::process::Command;

use super::crashes::{content, row};
use super::*;

const MIB: u64 = 1 << 20;

/// A tmpfs of its own, gone with this value.
struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    fn mount(size_bytes: u64) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={size_bytes}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "vong-log-test"])
            .arg(dir.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Ok(Self { dir }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.dir.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the tmpfs is still in use");
    }
}

fn bulk() -> Entry {
    let names: Vec<String> = (0..300).map(|i| format!("SENSOR-{i:04}")).collect();
    let rows: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 0.5)).collect();
    Entry::new(Stream::Readings, readings(&rows))
}

/// Appends bulk data until there is no space; says how often that went well.
fn fill(log: &FileLog) -> usize {
    (0..10_000).take_while(|_| log.append_blocking(vec![bulk()]).is_ok()).count()
}

#[test]
fn log_on_a_full_file_system_keeps_its_promises_and_goes_on() {
    let tmpfs = match Tmpfs::mount(6 * MIB) {
        Ok(tmpfs) => tmpfs,
        Err(reason) => {
            println!("skipped: no tmpfs can be mounted here: {reason}");
            return;
        }
    };
    let ballast = tmpfs.dir.path().join("ballast");
    std::fs::write(&ballast, vec![1; MIB as usize]).unwrap();
    let config = || LogConfig {
        segment_bytes: MIB,
        reserve_bytes: MIB / 2,
        tail_bytes: 0,
        ..LogConfig::new(tmpfs.dir.path().join("log"))
    };
    let clock = clock();
    let open = || FileLog::open(config(), Arc::clone(&clock) as Arc<dyn Clock>, 7).unwrap();

    let log = open();
    let filled = fill(&log);
    assert!(filled > 10, "{filled}");
    assert!(log.health().borrow().disk_full);
    // Another program takes what little is left.
    drop(std::fs::write(tmpfs.dir.path().join("greedy"), vec![1; MIB as usize]));
    for id in 0..50 {
        log.append_blocking(vec![row(Stream::Commands, id)]).unwrap();
        let refused = log.append_blocking(vec![bulk()]);
        assert!(matches!(refused, Err(Error::DiskFull { .. })), "{refused:?}");
    }
    let (_, before) = content(&log);
    assert_eq!(before.len(), filled + 50);
    drop(log);

    let log = open();
    assert!(log.append_blocking(vec![bulk()]).is_err(), "it opens, and the disk is still full");
    log.append_blocking(vec![row(Stream::Commands, 50)]).unwrap();
    std::fs::remove_file(ballast).unwrap();
    clock.advance(Duration::from_secs(1));
    log.append_blocking(vec![bulk()]).unwrap();
    assert!(!log.health().borrow().disk_full);
    assert_eq!(content(&log).1.len(), filled + 52);
    drop(log);
    let report = fsck(&tmpfs.dir.path().join("log")).unwrap();
    assert!(report.is_sound() && report.unfinished_bytes == 0, "{report}");
    assert!(report.segments.iter().any(|segment| segment.state == crate::SegmentState::Ended));
    assert_eq!(content(&open()).1[..before.len()], before);
}
