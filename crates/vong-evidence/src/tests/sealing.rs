//! Hours are sealed once, in order, and survive what a disk does.

use vong_model::{CameraId, EventTime};
use vong_runtime::Clock as _;
use vong_telemetry::Metrics;

use super::fixture::{Site, at, gop};
use crate::checkpoints::FILE_NAME;
use crate::{Checkpoints, Error, EvidenceMetrics, Key, Standing};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn every_hour_with_footage_is_sealed_once_after_it_is_over() {
    let site = Site::new();
    let mut writer = site.writer("CAM-A");
    for ms in [0, 2_000, HOUR_MS - 1_000, HOUR_MS + 1_000, 4 * HOUR_MS] {
        writer.push(&gop(1, ms, 0)).unwrap();
    }
    site.clock.set(at(HOUR_MS + 119_000).micros());
    assert_eq!(site.sealer().seal_due().unwrap(), [], "two minutes of grace");
    site.clock.set(at(5 * HOUR_MS + 120_000).micros());
    let sealed = site.sealer().seal_due().unwrap();
    let told: Vec<_> = sealed.iter().map(|c| (c.number, c.hour, c.groups, c.late)).collect();
    let hour = |n: i64| at(n * HOUR_MS);
    assert_eq!(told, [(1, hour(0), 3, 0), (2, hour(1), 1, 0), (3, hour(4), 1, 0)]);
    assert_eq!(sealed[1].previous, sealed[0].hash());
    assert_eq!(site.sealer().seal_due().unwrap(), []);
    // After a restart, too.
    let again = Checkpoints::open(&site.dir.path().join("evidence"), &site.key.public()).unwrap();
    assert_eq!(again.last(), sealed.last().copied());
}

#[test]
fn a_group_that_missed_its_hour_is_in_the_next_checkpoint() {
    let site = Site::new();
    let mut writer = site.writer("CAM-A");
    writer.push(&gop(1, 1_000, 0)).unwrap();
    site.clock.set(at(HOUR_MS + 120_000).micros());
    site.sealer().seal_due().unwrap();
    writer.push(&gop(1, HOUR_MS + 500, 0)).unwrap();
    writer.push(&gop(1, 9_000, 0)).unwrap(); // the clock was set back
    site.clock.set(at(2 * HOUR_MS + 120_000).micros());
    let sealed = site.sealer().seal_due().unwrap();
    assert_eq!((sealed[0].groups, sealed[0].late), (2, 1));
    let camera = CameraId::from("CAM-A");
    for gop in site.footage.gops(&camera, at(0), at(2 * HOUR_MS)).unwrap() {
        let chained = gop.entry.hashes.chained;
        let now = at(2 * HOUR_MS + 120_000);
        let seal = site.checkpoints.prove(&camera, (gop.entry.start, now), &chained).unwrap();
        let Standing::Sealed(seal) = seal else { panic!("{seal:?}") };
        assert_eq!(seal.checkpoint, if gop.entry.start == at(1_000) { 1 } else { 2 });
    }
}

#[test]
fn a_group_of_a_sealed_hour_is_under_its_seal_or_was_put_in() {
    let site = Site::new();
    let mut writer = site.writer("CAM-A");
    for hour in [0, 1, 3] {
        writer.push(&gop(1, hour * HOUR_MS + 1_000, 0)).unwrap();
    }
    let camera = CameraId::from("CAM-A");
    let stands = |ms: i64, hash: &[u8; 32]| {
        let times = (at(ms), EventTime(site.clock.now()));
        site.checkpoints.prove(&camera, times, hash).unwrap()
    };
    assert_eq!(stands(1_000, &[1; 32]), Standing::NotYet);
    site.clock.set(at(4 * HOUR_MS - 1_000).micros());
    assert_eq!(site.sealer().seal_due().unwrap().len(), 2, "the hour from 13:00 goes on");
    assert_eq!(stands(1_000, &[1; 32]), Standing::NotUnderItsSeal(Some(1)));
    assert_eq!(stands(HOUR_MS, &[1; 32]), Standing::NotUnderItsSeal(Some(2)));
    assert_eq!(stands(3 * HOUR_MS, &[1; 32]), Standing::NotYet);
    site.clock.set(at(4 * HOUR_MS + 125_000).micros());
    assert_eq!(site.sealer().seal_due().unwrap().len(), 1);
    assert_eq!(stands(2 * HOUR_MS, &[1; 32]), Standing::NotUnderItsSeal(None), "an empty hour");
    std::fs::remove_file(site.dir.path().join("evidence/leaves/3.leaves")).unwrap();
    let again = Checkpoints::open(&site.dir.path().join("evidence"), &site.key.public()).unwrap();
    let times = (at(3 * HOUR_MS), EventTime(site.clock.now()));
    assert_eq!(again.prove(&camera, times, &[1; 32]).unwrap(), Standing::LeavesGone);
}

#[test]
fn hours_are_sealed_though_a_clock_was_once_ahead() {
    let site = Site::new();
    let mut writer = site.writer("CAM-A");
    writer.push(&gop(1, 1_000, 0)).unwrap();
    site.clock.set(at(HOUR_MS + 120_000).micros());
    site.sealer().seal_due().unwrap();
    // Ahead by a hundred days, for an hour and a bit.
    let ahead = 2_400 * HOUR_MS;
    writer.push(&gop(1, ahead + 5_000, 0)).unwrap();
    site.clock.set(at(ahead + HOUR_MS + 120_000).micros());
    assert_eq!(site.sealer().seal_due().unwrap().len(), 1);
    // Right again.
    writer.push(&gop(1, 2 * HOUR_MS + 9_000, 0)).unwrap();
    site.clock.set(at(3 * HOUR_MS + 120_000).micros());
    let metrics = Metrics::new();
    let sealer = site.sealer_with(EvidenceMetrics::new(&metrics));
    let sealed = sealer.seal_due().unwrap();
    let told: Vec<_> = sealed.iter().map(|c| (c.number, c.hour, c.groups)).collect();
    assert_eq!(told, [(3, at(2 * HOUR_MS), 1)]);
    assert_eq!(sealer.seal_due().unwrap(), [], "once");
    let told = metrics.render();
    assert!(told.contains("vong_evidence_sealed_hours_ahead 1"), "{told}");
    assert!(told.contains("vong_evidence_unsealed_hours 0"), "{told}");
    let report = check(&site);
    assert_eq!((report.groups_sealed, report.problems), (3, Vec::new()));
}

#[test]
fn what_a_failed_append_left_is_cut_before_the_next() {
    let site = Site::new();
    let mut writer = site.writer("CAM-A");
    for hour in 0..2 {
        writer.push(&gop(1, hour * HOUR_MS + 1_000, 0)).unwrap();
    }
    site.clock.set(at(HOUR_MS + 120_000).micros());
    site.sealer().seal_due().unwrap();
    let path = site.dir.path().join("evidence").join(FILE_NAME);
    let mut torn = std::fs::read(&path).unwrap();
    torn.extend_from_slice(b"vong checkpoint 1\nnumber 2\nhour_us 17");
    std::fs::write(&path, torn).unwrap();
    site.clock.set(at(2 * HOUR_MS + 120_000).micros());
    assert_eq!(site.sealer().seal_due().unwrap().len(), 1);
    let again = Checkpoints::open(&site.dir.path().join("evidence"), &site.key.public()).unwrap();
    assert_eq!(again.last().map(|last| last.number), Some(2));
}

#[test]
fn a_torn_append_is_cut_and_a_changed_checkpoint_refused() {
    let site = Site::recorded();
    let path = site.dir.path().join("evidence").join(FILE_NAME);
    let whole = std::fs::read(&path).unwrap();
    expect_test::expect_file!["golden/checkpoints.txt"]
        .assert_eq(std::str::from_utf8(&whole).unwrap());
    let open = || Checkpoints::open(&site.dir.path().join("evidence"), &site.key.public());
    for cut in 1..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(open().unwrap().last(), None, "{cut} bytes are no checkpoint");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
    std::fs::write(&path, &whole).unwrap();
    let other = Key::open(&site.dir.path().join("other"), || [1; 32]).unwrap();
    let of_other = Checkpoints::open(&site.dir.path().join("evidence"), &other.public());
    assert!(matches!(of_other, Err(Error::Checkpoints { .. })), "one chain, one key");
    let text = String::from_utf8(whole).unwrap();
    std::fs::write(&path, text.replace("groups 10", "groups 11")).unwrap();
    let report = check(&site);
    assert_eq!(report.problems[0], "checkpoint 1 does not carry our signature");
    std::fs::write(&path, text.replace("number 1", "number 2")).unwrap();
    assert!(matches!(open(), Err(Error::Checkpoints { .. })));
}

#[test]
fn fsck_knows_sealed_groups_and_names_changed_leaves() {
    let site = Site::recorded();
    let report = check(&site);
    assert_eq!(report.problems, Vec::<String>::new());
    let groups = (report.groups_sealed, report.groups_unknown, report.groups_unsealed);
    assert_eq!((report.checkpoints, report.with_leaves, groups), (1, 1, (10, 0, 5)));
    let leaves = site.dir.path().join("evidence/leaves/1.leaves");
    let mut bytes = std::fs::read(&leaves).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&leaves, &bytes).unwrap();
    let report = check(&site);
    assert_eq!(report.problems[0], "the leaves of checkpoint 1 were changed");
    assert!(report.problems[1].starts_with("1 groups of sealed hours"), "{:?}", report.problems);
    assert_eq!((report.groups_sealed, report.groups_unknown), (9, 1));
}

fn check(site: &Site) -> crate::FsckReport {
    let keys = site.dir.path().join("keys");
    assert!(Key::load_public(&keys).is_ok());
    let now = EventTime(site.clock.now());
    let mut check = crate::Fsck::begin(&site.dir.path().join("evidence"), &keys, now).unwrap();
    for camera in site.footage.cameras() {
        for gop in site.footage.gops(&camera, at(0), at(4_000 * HOUR_MS)).unwrap() {
            check.group(gop.entry.start, &gop.entry.hashes.chained);
        }
    }
    check.finish()
}
