//! What is told, kept, held and deleted, and what fsck sees.

use std::time::Duration;

use vong_model::{CameraId, EventTime};
use vong_runtime::Clock;
use vong_telemetry::{Classify as _, Kind};

use super::fixture::{Site, at, camera, gops, parameters, push_all, units};
use crate::{ClassLimits, Depth, Error, GopFilter, HoldRequest, ProblemKind, fsck};

const DAY: Duration = Duration::from_secs(86_400);

fn hold(from: i64, to: i64, until: Option<EventTime>) -> HoldRequest {
    HoldRequest {
        camera_id: camera(),
        from: at(from),
        to: at(to),
        case: "case 7".to_owned(),
        reason: "traffic accident".to_owned(),
        until,
    }
}

#[test]
fn closed_files_are_told_once_and_follow_one_another() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..300)));
    writer.close().unwrap();
    let told = writer.take_closed();
    assert!(told.len() >= 3);
    assert_eq!(writer.take_closed(), []);
    assert!(told.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(told.iter().map(|segment| segment.frames).sum::<u32>(), 300);
    assert_eq!(told.iter().map(|segment| segment.gops).sum::<u32>(), 60);
    for segment in &told {
        let path = site.config.dir.join(&segment.file);
        assert_eq!(path.metadata().unwrap().len(), segment.bytes);
        assert!(segment.end.since(segment.start) <= Duration::from_millis(4_200));
    }
    assert_eq!((told[0].start, told.last().unwrap().end), (at(0), at(12_000)));
    assert_eq!(footage.span(&camera()), Some((at(0), at(12_000))));
}

#[test]
fn changed_parameters_and_interruptions_start_a_new_file() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..10)));
    push_all(&mut writer, &gops(&parameters(2), &units(10..20)));
    push_all(&mut writer, &gops(&parameters(2), &units(25..35)));
    assert_eq!(site.files().len(), 3);
    assert_eq!(writer.take_closed().len(), 2);
}

#[test]
fn cameras_change_files_at_different_seconds() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut boundaries = std::collections::BTreeSet::new();
    for n in 0..8 {
        let mut writer = footage.writer(&CameraId::from(format!("CAM-{n:02}"))).unwrap();
        push_all(&mut writer, &gops(&parameters(1), &units(0..200)));
        boundaries.insert(writer.take_closed()[0].end.millis() % 4_000);
    }
    assert!(boundaries.len() >= 5, "{boundaries:?}");
}

#[test]
fn clock_set_back_overwrites_nothing() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    for _ in 0..3 {
        push_all(&mut writer, &gops(&parameters(1), &units(0..10)));
    }
    assert_eq!(site.files().len(), 3);
    assert_eq!(footage.gops(&camera(), at(0), at(1_000)).unwrap().len(), 6);
    drop(writer);
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
}

#[test]
fn old_footage_goes_by_age_and_held_footage_stays() {
    let mut site = Site::new();
    site.config.keep_days = 2;
    let class_of = [("CAM-02".into(), "plate_recognition".to_owned())];
    let plates = ClassLimits { keep_days: 9, max_bytes: 0 };
    site.config.classes = [("plate_recognition".to_owned(), plates)].into();
    let (footage, _) = site.open();
    footage.set_classes(class_of.clone().into());
    for name in ["CAM-01", "CAM-02"] {
        let mut writer = footage.writer(&name.into()).unwrap();
        push_all(&mut writer, &gops(&parameters(1), &units(0..300)));
    }
    let files = site.files().len();
    assert_eq!(footage.sweep().unwrap().deleted, Vec::<String>::new());
    let kept =
        footage.hold(hold(5_000, 5_001, Some(EventTime(at(0).micros() + 5 * 86_400_000_000))));
    assert_eq!(kept.unwrap().hold_id, 1);
    site.clock.advance(3 * DAY);
    let sweep = footage.sweep().unwrap();
    assert_eq!(sweep.held_files, 1);
    assert!(sweep.deleted.iter().all(|file| file.starts_with("CAM-01/2026-11-22/")));
    assert_eq!(site.files().len(), files - sweep.deleted.len());
    assert_eq!(
        footage
            .gops(&camera(), at(0), at(12_000))
            .unwrap()
            .first()
            .map(|g| g.entry.start <= at(5_000)),
        Some(true)
    );
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
    // Holds outlive the process; lapsed ones protect no more.
    drop(footage);
    let (footage, opened) = site.open();
    footage.set_classes(class_of.into());
    assert_eq!(opened.files as usize, site.files().len());
    assert_eq!(footage.holds().len(), 1);
    assert_eq!(footage.sweep().unwrap().held_files, 1);
    site.clock.advance(3 * DAY);
    assert_eq!(footage.sweep().unwrap().deleted.len(), 1);
    assert_eq!(footage.release(1).unwrap().request.case, "case 7");
    assert!(footage.release(1).is_err());
    assert_eq!(footage.gops(&camera(), at(0), at(12_000)).unwrap(), []);
    // The chain goes on from the deleted groups.
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(300..310)));
    drop(writer);
    let first = footage.gops(&camera(), at(12_000), at(13_000)).unwrap().remove(0);
    assert_ne!(first.entry.hashes.previous, [0; 32]);
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
}

#[test]
fn largest_size_is_kept_by_deleting_the_oldest_of_all_cameras() {
    let mut site = Site::new();
    site.config.keep_days = 0;
    let (footage, _) = site.open();
    for name in ["CAM-01", "CAM-02"] {
        let mut writer = footage.writer(&name.into()).unwrap();
        push_all(&mut writer, &gops(&parameters(1), &units(0..300)));
    }
    let all = footage.sweep().unwrap().kept_bytes;
    drop(footage);
    site.config.max_bytes = all / 2;
    let (footage, _) = site.open();
    let early = footage.sweep().unwrap();
    assert_eq!((early.deleted_bytes, early.over_bytes), (0, all - all / 2), "the last hour stays");
    site.clock.advance(Duration::from_secs(7_200));
    let sweep = footage.sweep().unwrap();
    assert!(sweep.kept_bytes <= all / 2 && sweep.kept_bytes > all / 4);
    assert_eq!(sweep.kept_bytes + sweep.deleted_bytes, all);
    assert_eq!(sweep.over_bytes, 0);
    let first = |name: &str| footage.span(&name.into()).unwrap().0;
    let apart = first("CAM-01").micros().abs_diff(first("CAM-02").micros());
    assert!(apart <= 4_200_000, "both lose their oldest");
    // What is on hold does not count: nothing else has to go for it.
    footage.hold(HoldRequest { camera_id: "CAM-02".into(), ..hold(0, 99_000, None) }).unwrap();
    footage.hold(HoldRequest { camera_id: "CAM-02".into(), ..hold(5_000, 9_000, None) }).unwrap();
    let held = footage.outlook().classes[0].held_bytes;
    drop(footage);
    site.config.max_bytes = sweep.kept_bytes - held;
    let (footage, _) = site.open();
    let again = footage.sweep().unwrap();
    assert!(held > 0 && held < sweep.kept_bytes);
    assert_eq!((again.deleted_bytes, again.over_bytes), (0, 0));
    drop(footage);
    site.config.max_bytes = 1;
    let (footage, _) = site.open();
    let sweep = footage.sweep().unwrap();
    assert_eq!((sweep.kept_bytes, sweep.over_bytes), (held, 0));
    assert_eq!(footage.span(&camera()), None);
}

#[test]
fn file_being_written_is_never_deleted() {
    let mut site = Site::new();
    site.config.max_bytes = 1;
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    site.clock.advance(90 * DAY);
    footage.sweep().unwrap();
    assert_eq!(site.files().len(), 1);
    push_all(&mut writer, &gops(&parameters(1), &units(250..260)));
    drop(writer);
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
}

#[test]
fn interrupted_deletion_is_finished_at_the_next_start() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    drop(writer);
    let oldest = site.files()[0].clone();
    let bytes = std::fs::read(&oldest).unwrap();
    site.clock.advance(90 * DAY);
    assert!(footage.sweep().unwrap().deleted.len() > 1);
    drop(footage);
    std::fs::write(&oldest, bytes).unwrap();
    let (_footage, opened) = site.open();
    assert!(!oldest.try_exists().unwrap());
    assert_eq!(opened.recovered, []);
}

#[test]
fn nothing_is_deleted_while_it_is_not_known_what_is_on_hold() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    footage.hold(hold(0, 1, None)).unwrap();
    drop((writer, footage));
    let list = site.config.dir.join("holds.json");
    let whole = std::fs::read(&list).unwrap();
    std::fs::write(&list, &whole[..20]).unwrap();
    let (footage, _) = site.open();
    site.clock.advance(90 * DAY);
    assert!(matches!(footage.sweep(), Err(Error::HoldsUnknown { .. })));
    assert_eq!(footage.make_room().unwrap().deleted, Vec::<String>::new());
    footage.writer(&camera()).unwrap().push(&gops(&parameters(1), &units(250..255))[0]).unwrap();
    drop(footage);
    std::fs::write(&list, whole).unwrap();
    let (footage, _) = site.open();
    site.clock.advance(90 * DAY);
    assert!(footage.sweep().unwrap().deleted.len() > 1 && footage.holds().len() == 1);
}

#[test]
fn clock_that_is_once_years_ahead_takes_no_footage() {
    let mut site = Site::new();
    site.config.keep_days = 2;
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..300)));
    drop(writer);
    let files = site.files().len();
    let none = Vec::<String>::new();
    assert_eq!(footage.sweep().unwrap().deleted, none);
    let right = site.clock.now();
    let ahead = Duration::from_secs(4 * 365 * 86_400);
    site.clock.set(EventTime(right).saturating_add(ahead).micros());
    let sweep = footage.sweep().unwrap();
    assert_eq!((&sweep.deleted, sweep.age_held_back), (&none, ahead));
    // It records with the wrong clock, and is started again with it.
    let mut writer = footage.writer(&camera()).unwrap();
    let mut wrong = gops(&parameters(1), &units(300..400));
    wrong.iter_mut().for_each(|gop| gop.start = gop.start.saturating_add(ahead));
    push_all(&mut writer, &wrong);
    drop((writer, footage));
    for _ in 0..3 {
        let (footage, _) = site.open();
        site.clock.advance(Duration::from_secs(3_600));
        assert_eq!(footage.sweep().unwrap().deleted, none);
    }
    // Right again: nothing is held back, and age counts as ever.
    site.clock.set(EventTime(right).saturating_add(3 * DAY).micros());
    let (footage, _) = site.open();
    assert!(footage.sweep().unwrap().age_held_back > DAY, "the machine may have been off");
    site.clock.advance(Duration::from_secs(86_400));
    site.clock.advance(3 * DAY);
    let sweep = footage.sweep().unwrap();
    assert_eq!((sweep.deleted.len(), sweep.age_held_back), (files, Duration::ZERO));
}

#[test]
fn footage_is_deleted_again_at_twice_the_pace_after_the_machine_was_off() {
    let mut site = Site::new();
    site.config.keep_days = 1;
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..300)));
    drop((writer, footage));
    site.clock.set(at(10 * 86_400_000).micros());
    let (footage, _) = site.open();
    assert_eq!(footage.sweep().unwrap().deleted.len(), 0);
    let noted = std::fs::read_to_string(site.config.dir.join("retention-clock")).unwrap();
    let unquestioned = at(12_000 + 3_600_000).micros();
    assert_eq!(noted, format!("vong-retention-clock-1 {unquestioned}\n"));
    // One hour is unquestioned, 23.1 are passed at twice their pace.
    site.clock.advance(Duration::from_secs(11 * 3_600));
    assert_eq!(footage.sweep().unwrap().deleted.len(), 0);
    site.clock.advance(Duration::from_secs(3_600));
    assert!(!footage.sweep().unwrap().deleted.is_empty());
    assert!(footage.make_room().is_ok());
}

#[test]
fn what_cannot_be_deleted_keeps_nothing_else_and_is_tried_again() {
    let site = Site::new();
    let (footage, _) = site.open();
    for name in ["CAM-01", "CAM-02"] {
        let mut writer = footage.writer(&name.into()).unwrap();
        push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    }
    let of = |name: &str| site.files().into_iter().filter(|f| f.iter().any(|p| p == name)).count();
    let stubborn = site.files()[0].clone();
    let (index, whole) = {
        let index = site.files_called("idx").pop().unwrap();
        let whole = std::fs::read(&index).unwrap();
        (index, whole)
    };
    assert!(index.iter().any(|part| part == "CAM-02"));
    std::fs::remove_file(&stubborn).unwrap();
    std::fs::create_dir(&stubborn).unwrap();
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    let before = of("CAM-02");
    site.clock.advance(90 * DAY);
    let swept = footage.sweep().unwrap();
    assert!(swept.deleted.iter().all(|file| file.starts_with("CAM-01/")), "{:?}", swept.deleted);
    assert_eq!(of("CAM-02"), before, "no word, no deed");
    assert!(stubborn.is_dir() && swept.deleted.len() > 1);
    std::fs::remove_dir(&stubborn).unwrap();
    std::fs::write(&stubborn, "now it can be").unwrap();
    footage.sweep().unwrap();
    assert!(!stubborn.try_exists().unwrap());
    // A start does not fail of one either.
    std::fs::create_dir(&stubborn).unwrap();
    drop(footage);
    std::fs::remove_dir(&index).unwrap();
    std::fs::write(&index, whole).unwrap();
    let (footage, opened) = site.open();
    assert_eq!(opened.unreadable, Vec::<std::path::PathBuf>::new());
    std::fs::remove_dir(&stubborn).unwrap();
    std::fs::write(&stubborn, "once more").unwrap();
    site.clock.advance(DAY);
    footage.sweep().unwrap();
    assert!(!stubborn.try_exists().unwrap());
    assert_eq!(of("CAM-02"), 0);
}

#[test]
fn fsck_names_what_was_changed() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    drop(writer);
    let gops = footage.gops(&camera(), at(0), at(10_000)).unwrap();
    let report = fsck(&site.config.dir, Depth::Hashes).unwrap();
    assert_eq!((report.cameras, report.gops, report.problems.len()), (1, 50, 0));
    let check = |what: &str, change: &dyn Fn(), expected: &[ProblemKind]| {
        let before: Vec<_> =
            site.files().into_iter().map(|f| (f.clone(), std::fs::read(f).unwrap())).collect();
        change();
        let problems = fsck(&site.config.dir, Depth::Hashes).unwrap().problems;
        let kinds: Vec<_> = problems.into_iter().map(|problem| problem.what).collect();
        assert_eq!(kinds, expected, "{what}");
        before.into_iter().for_each(|(file, bytes)| std::fs::write(file, bytes).unwrap());
    };
    let first = site.config.dir.join(&gops[1].file);
    let flip = |offset: u64| {
        let mut bytes = std::fs::read(&first).unwrap();
        bytes[offset as usize] ^= 1;
        std::fs::write(&first, bytes).unwrap();
    };
    let second = gops[1].entry;
    check(
        "a frame",
        &|| flip(second.payload_offset() + 3),
        &[ProblemKind::FramesChanged { gop: 1 }],
    );
    // Start time, in the facts: 24 bytes of header, 8 bytes in.
    check(
        "a time",
        &|| flip(second.offset + 24 + 8 + 7),
        &[ProblemKind::IndexDisagrees, ProblemKind::ChainBroken { gop: 1 }],
    );
    check("a whole file", &|| std::fs::remove_file(&first).unwrap(), &[ProblemKind::FileMissing]);
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
    assert_eq!(site.clock.now(), at(0).micros());
}

#[test]
fn listing_reads_what_was_asked_for_and_no_more() {
    let site = Site::new();
    let (footage, _) = site.open();
    for name in ["CAM-01", "CAM-02"] {
        let mut writer = footage.writer(&name.into()).unwrap();
        push_all(&mut writer, &gops(&parameters(1), &units(0..10_000)));
    }
    let listed = |filter: GopFilter| {
        let mut listing = footage.list(filter);
        let mut all = Vec::new();
        while let Some(step) = listing.next_step().unwrap() {
            all.extend(step);
        }
        (all, listing.files())
    };
    let (all, files) = listed(GopFilter::all());
    assert_eq!((all.len(), files), (4_000, site.files().len() as u64));
    assert!(all.iter().all(|gop| !gop.held));
    let (from, to) = (at(100_300), at(108_300));
    let cameras = Some([camera()].into());
    footage.hold(hold(104_000, 104_001, None)).unwrap();
    let (some, files) = listed(GopFilter { cameras, from, to });
    let same: Vec<_> = footage.gops(&camera(), from, to).unwrap();
    assert_eq!(
        some.iter().map(|gop| gop.entry).collect::<Vec<_>>(),
        same.iter().map(|gop| gop.entry).collect::<Vec<_>>()
    );
    assert!(some.iter().zip(&same).all(|(listed, gop)| *listed.file == *gop.file));
    assert!((2..=4).contains(&files), "{files} files of 4 s for 8 s");
    let held: std::collections::BTreeSet<_> =
        some.iter().filter(|gop| gop.held).map(|gop| &gop.file).collect();
    assert_eq!(held.len(), 1);
    site.clock.advance(90 * DAY);
    footage.sweep().unwrap();
    let (left, _) = listed(GopFilter::all());
    assert!(left.iter().all(|gop| gop.held) && !left.is_empty(), "{}", left.len());
}

#[test]
fn class_over_its_own_size_loses_its_oldest_and_no_other_does() {
    let mut site = Site::new();
    let record = |site: &Site| {
        let (footage, _) = site.open();
        for name in ["CAM-01", "CAM-02"] {
            let mut writer = footage.writer(&name.into()).unwrap();
            push_all(&mut writer, &gops(&parameters(1), &units(0..300)));
        }
        footage.sweep().unwrap().kept_bytes
    };
    let all = record(&site);
    let limits = ClassLimits { keep_days: 0, max_bytes: all / 4 };
    site.config.classes = [("counting".to_owned(), limits)].into();
    let (footage, _) = site.open();
    footage.set_classes([("CAM-02".into(), "counting".to_owned())].into());
    site.clock.advance(Duration::from_secs(7_200));
    let sweep = footage.sweep().unwrap();
    assert!(sweep.deleted.iter().all(|file| file.starts_with("CAM-02/")), "{:?}", sweep.deleted);
    let outlook = footage.outlook();
    let of: Vec<_> =
        outlook.classes.iter().map(|class| (class.class.as_str(), class.bytes)).collect();
    assert_eq!(of[0], ("", all / 2));
    assert!(of[1].0 == "counting" && of[1].1 <= all / 4 && of[1].1 > 0, "{of:?}");
    assert_eq!(footage.span(&"CAM-01".into()).unwrap().0, at(0));
}

#[test]
fn outlook_tells_the_rate_of_what_was_recorded_lately() {
    let site = Site::new();
    let (footage, _) = site.open();
    assert_eq!(footage.outlook().days_until_full, None);
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..3_000)));
    site.clock.set(at(120_000).micros());
    let outlook = footage.outlook();
    let (bytes, per_day) = (outlook.classes[0].bytes, outlook.bytes_per_day.unwrap());
    assert!((per_day / (bytes as f64 * 720.0) - 1.0).abs() < 1e-9, "{per_day} of {bytes}");
    assert!(outlook.room_bytes.unwrap() > 0);
    assert_eq!(outlook.classes[0].keep_days, Some(30));
    // A day without recording: nothing grows.
    site.clock.advance(2 * DAY);
    let later = footage.outlook();
    assert_eq!((later.classes[0].bytes, later.bytes_per_day), (bytes, None));
}

#[test]
fn disk_left_to_others_is_not_recorded_into_and_room_is_made_of_the_oldest() {
    let mut site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..3_000)));
    drop((writer, footage));
    site.config.min_free_bytes = u64::MAX;
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    let more = gops(&parameters(1), &units(3_000..3_005));
    let refused = writer.push(&more[0]).unwrap_err();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    assert_eq!(refused.kind(), Kind::Exhausted);
    footage.hold(hold(50_000, 50_001, None)).unwrap();
    assert_eq!(footage.make_room().unwrap().deleted_bytes, 0, "the last hour stays");
    site.clock.advance(Duration::from_secs(7_200));
    let made = footage.make_room().unwrap();
    assert_eq!((made.held_files, site.files().len()), (1, 1), "nothing else can give so much");
    drop((writer, footage));
    site.config.min_free_bytes = 1;
    let (footage, _) = site.open();
    footage.writer(&camera()).unwrap().push(&more[0]).unwrap();
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
}

#[test]
fn group_of_more_frames_than_one_call_takes_is_written_whole() {
    let mut site = Site::new();
    site.config.segment_s = 600;
    let (footage, _) = site.open();
    let mut units = units(0..2_501);
    units.iter_mut().for_each(|unit| unit.key = false);
    units[0].key = true;
    units[2_500].key = true;
    let mut writer = footage.writer(&camera()).unwrap();
    // The group is cut after 30 s, 750 frames; at 100 frames a second none is.
    units.iter_mut().for_each(|unit| unit.pts_90k /= 4);
    push_all(&mut writer, &gops(&parameters(1), &units));
    drop(writer);
    let recorded = footage.gops(&camera(), at(0), at(600_000)).unwrap();
    assert_eq!(recorded[0].entry.frames, 2_500);
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
}
