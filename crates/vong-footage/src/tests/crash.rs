//! The process or the power ends at any byte: at most the group being written is lost.

use proptest::prelude::*;
use vong_media::{AccessUnit, ClipForm, Gop, GopBuilder, GopLimits};
use vong_model::EventTime;

use super::fixture::{
    Site, at, bytes_of, camera, gops, parameters, pictures, push_all, real, units,
};
use crate::{Depth, Error, ProblemKind, RecordedGop, fsck};

/// Puts a copy of the site's footage, as a crash would leave it, into a new site.
fn crashed(site: &Site) -> Site {
    let mut copy = Site::new();
    copy.config.segment_s = site.config.segment_s;
    let mut dirs = vec![site.config.dir.clone()];
    while let Some(dir) = dirs.pop() {
        let target = copy.config.dir.join(dir.strip_prefix(&site.config.dir).unwrap());
        std::fs::create_dir_all(&target).unwrap();
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                std::fs::copy(&path, target.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    copy
}

fn cut(path: &std::path::Path, len: u64) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn file_cut_at_any_byte_loses_at_most_its_last_group() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..125)));
    let before = footage.gops(&camera(), at(0), at(5_000)).unwrap();
    let last = site.files().last().unwrap().clone();
    let in_last: Vec<_> =
        before.iter().filter(|gop| last.ends_with(&gop.file)).map(|gop| gop.entry).collect();
    let len = last.metadata().unwrap().len();
    let ends = in_last.iter().flat_map(|gop| [gop.end_offset() - 1, gop.end_offset()]);
    for at_byte in (0..len).step_by(211).chain(ends) {
        let copy = crashed(&site);
        cut(copy.files().last().unwrap(), at_byte);
        let (reopened, opened) = copy.open();
        let whole = in_last.iter().filter(|gop| gop.end_offset() <= at_byte).count();
        let expected = &before[..before.len() - in_last.len() + whole];
        assert_eq!(reopened.gops(&camera(), at(0), at(5_000)).unwrap(), expected, "{at_byte}");
        assert_eq!(opened.recovered.len(), usize::from(whole > 0));
        let problems = fsck(&copy.config.dir, Depth::Hashes).unwrap().problems;
        assert_eq!(problems, [], "{at_byte}");
    }
}

#[test]
fn recording_goes_on_after_a_crash_and_the_chain_of_hashes_with_it() {
    let site = Site::new();
    let Some(source) = real(site.dir.path(), vong_media::Codec::H264, 6) else { return };
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&source.parameters, &source.units[..75]));
    let copy = crashed(&site);
    let torn = copy.files().last().unwrap().clone();
    cut(&torn, torn.metadata().unwrap().len() - 9);
    let (footage, opened) = copy.open();
    assert!(opened.cut_bytes > 0);
    let recovered = &opened.recovered[0];
    assert_eq!((recovered.end, recovered.codec), (at(2_000), vong_media::Codec::H264));
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&source.parameters, &source.units[75..]));
    drop(writer);
    assert_eq!(fsck(&copy.config.dir, Depth::Hashes).unwrap().problems, []);
    let clip = footage.clip(&camera(), at(0), at(6_000), ClipForm::Faststart).unwrap();
    assert_eq!(clip.gaps().len(), 1);
    let path = copy.dir.path().join("clip.mp4");
    std::fs::write(&path, bytes_of(&clip)).unwrap();
    let all = pictures(&source.file);
    assert_eq!(pictures(&path), [&all[..50], &all[75..]].concat());
    // The cut file itself plays, too.
    assert!(pictures(&torn).ends_with(&all[45..50]));
}

#[test]
fn index_is_rebuilt_from_the_files() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    drop(writer);
    let before = footage.gops(&camera(), at(0), at(10_000)).unwrap();
    drop(footage);
    let index = site.files_called("idx").pop().unwrap();
    let whole = std::fs::read(&index).unwrap();
    let mut flipped = whole.clone();
    flipped[300] ^= 1;
    for damage in [None, Some(Vec::new()), Some(flipped), Some(whole[..1_000].to_vec())] {
        match damage {
            None => std::fs::remove_file(&index).unwrap(),
            Some(bytes) => std::fs::write(&index, bytes).unwrap(),
        }
        let problems = fsck(&site.config.dir, Depth::Structure).unwrap().problems;
        assert!(problems.iter().any(|p| p.what == ProblemKind::IndexDamaged));
        let (footage, opened) = site.open();
        assert_eq!(opened.rebuilt_days, 1);
        assert_eq!(footage.gops(&camera(), at(0), at(10_000)).unwrap(), before);
        assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
    }
    assert_eq!(std::fs::read(&index).unwrap().len(), whole.len());
}

/// A link to itself: what a disk with a bad block is to whoever opens the file.
fn make_unreadable(path: &std::path::Path) {
    std::fs::remove_file(path).unwrap();
    std::os::unix::fs::symlink(path.file_name().unwrap(), path).unwrap();
    assert!(std::fs::read(path).is_err());
}

#[test]
fn one_file_that_cannot_be_read_costs_itself_alone() {
    let site = Site::new();
    let (footage, _) = site.open();
    for name in ["CAM-01", "CAM-02"] {
        let mut writer = footage.writer(&name.into()).unwrap();
        push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    }
    let before = footage.gops(&camera(), at(0), at(10_000)).unwrap();
    let other = footage.gops(&"CAM-02".into(), at(0), at(10_000)).unwrap();
    let copy = crashed(&site);
    let lost = copy.files()[1].clone();
    let kept = std::fs::read(&lost).unwrap();
    make_unreadable(&lost);
    make_unreadable(&copy.files_called("idx")[1]);
    let problems = fsck(&copy.config.dir, Depth::Hashes).unwrap().problems;
    let told: Vec<_> = problems.iter().filter(|p| p.what == ProblemKind::Unreadable).collect();
    assert_eq!(told.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|problem| problem.path == lost));
    let (footage, opened) = copy.open();
    assert_eq!(opened.unreadable, std::slice::from_ref(&lost));
    assert_eq!(footage.gops(&"CAM-02".into(), at(0), at(10_000)).unwrap(), other, "index anew");
    let left: Vec<_> = before.iter().filter(|gop| !lost.ends_with(&gop.file)).cloned().collect();
    assert_eq!(footage.gops(&camera(), at(0), at(10_000)).unwrap(), left);
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(250..300)));
    drop((writer, footage));
    // A later start finds it again: nothing that was known of it was forgotten.
    std::fs::remove_file(&lost).unwrap();
    std::fs::write(&lost, kept).unwrap();
    let (footage, opened) = copy.open();
    assert_eq!(opened.unreadable, Vec::<std::path::PathBuf>::new());
    assert_eq!(footage.gops(&camera(), at(0), at(10_000)).unwrap(), before);
    assert_eq!(fsck(&copy.config.dir, Depth::Hashes).unwrap().problems, []);
}

#[test]
fn a_group_put_in_beside_another_forks_the_chain() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..50)));
    writer.close().unwrap();
    // From here on the day is told in two ways.
    let other = crashed(&site);
    push_all(&mut writer, &gops(&parameters(1), &units(50..100)));
    drop((writer, footage));
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
    let (footage, _) = other.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(2), &units(60..65)));
    drop((writer, footage));
    let put_in = site.config.dir.join(other.files()[1].strip_prefix(&other.config.dir).unwrap());
    std::fs::copy(&other.files()[1], &put_in).unwrap();
    drop(site.open());
    let problems = fsck(&site.config.dir, Depth::Hashes).unwrap().problems;
    let kinds: Vec<_> = problems.iter().map(|problem| (&problem.path, problem.what)).collect();
    assert_eq!(kinds, [(&put_in, ProblemKind::ChainForked { gop: 0 })]);
}

#[test]
fn damaged_head_costs_a_clip_its_group_and_a_damaged_index_record_nothing() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..50)));
    drop(writer);
    let before = footage.gops(&camera(), at(0), at(2_000)).unwrap();
    let index = site.files_called("idx").pop().unwrap();
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[16 + 176 + 90] ^= 1; // the second record
    std::fs::write(&index, bytes).unwrap();
    assert_eq!(footage.gops(&camera(), at(0), at(2_000)).unwrap(), before);
    // Neither index nor file: what the index still knows.
    let path = site.config.dir.join(&before[0].file);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&[7; 100], &whole[100..]].concat()).unwrap();
    let left = footage.gops(&camera(), at(0), at(2_000)).unwrap();
    assert_eq!(left, [&before[..1], &before[2..]].concat());
    std::fs::write(&path, whole).unwrap();
    let hurt = &before[3];
    let path = site.config.dir.join(&hurt.file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[hurt.entry.offset as usize + 5] ^= 0x20;
    std::fs::write(&path, bytes).unwrap();
    let cut = |form| footage.clip(&camera(), at(0), at(2_000), form).unwrap();
    let clip = cut(ClipForm::Faststart);
    assert_eq!((clip.frames(), clip.damaged()), (50, &[][..]), "the copy of its head serves");
    assert_eq!(cut(ClipForm::WholeGroups).damaged().len(), 1, "but not as evidence");
    std::fs::remove_file(site.files_called("heads").pop().unwrap()).unwrap();
    let clip = cut(ClipForm::Faststart);
    let gap = vong_media::Gap { from: hurt.entry.start, to: hurt.entry.end() };
    assert_eq!((clip.gaps(), clip.damaged()), (&[gap][..], &[gap][..]));
    assert_eq!(clip.frames(), 45);
    let text = String::from_utf8_lossy(&bytes_of(&clip)).into_owned();
    assert!(text.contains("<14>") && !text.contains("<15>") && text.contains("<20>"));
    assert_eq!(footage.shared_metrics().damage.with_label_values(&["group"]).get(), 2);
}

#[test]
fn file_whose_sync_failed_ends_there_and_is_looked_at_again() {
    let mut site = Site::new();
    site.config.sync_every_s = 0;
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    let gops = gops(&parameters(1), &units(0..40));
    push_all(&mut writer, &gops[..2]);
    writer.break_disk();
    assert!(matches!(writer.push(&gops[2]), Err(Error::Io { operation: "sync", .. })));
    push_all(&mut writer, &gops[3..]);
    drop((writer, footage));
    let files = site.files();
    assert_eq!(files.len(), 2, "what follows goes to another file");
    let problems = fsck(&site.config.dir, Depth::Structure).unwrap().problems;
    assert!(problems.iter().any(|p| p.path == files[0] && p.what == ProblemKind::NotClosed));
    let (footage, opened) = site.open();
    assert_eq!(opened.recovered.len(), 1);
    let starts = footage.gops(&camera(), at(0), at(1_600)).unwrap();
    let starts: Vec<_> = starts.iter().map(|gop| gop.entry.start).collect();
    assert_eq!(starts, [0, 200, 600, 800, 1_000, 1_200, 1_400].map(at));
}

#[test]
fn what_is_not_footage_is_set_aside_and_damage_in_the_middle_cuts_nothing() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..50)));
    let before = footage.gops(&camera(), at(0), at(2_000)).unwrap();
    let copy = crashed(&site);
    let path = copy.files().pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let hurt = before.iter().filter(|gop| path.ends_with(&gop.file)).nth(1).unwrap().entry;
    bytes[hurt.offset as usize + 5] ^= 0x20;
    std::fs::write(&path, &bytes).unwrap();
    let alien = path.with_file_name(format!("{}.mp4", super::fixture::T0_MS + 77_777));
    std::fs::write(&alien, vec![7; 100_000]).unwrap();
    let misplaced = path.with_file_name("1.mp4");
    std::fs::write(&misplaced, "a day of 1970").unwrap();
    let (footage, opened) = copy.open();
    assert_eq!(opened.set_aside, [alien.with_extension("mp4.bad")]);
    assert!(misplaced.try_exists().unwrap());
    assert_eq!(opened.cut_bytes, 0);
    let left: Vec<_> = before.iter().filter(|gop| gop.entry != hurt).cloned().collect();
    assert_eq!(footage.gops(&camera(), at(0), at(2_000)).unwrap(), left);
    assert_eq!(path.metadata().unwrap().len(), bytes.len() as u64);
}

#[test]
fn file_that_does_not_begin_as_its_head_says_begins_with_what_is_there() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..50)));
    let before = footage.gops(&camera(), at(0), at(2_000)).unwrap();
    for damaged_head in [false, true] {
        let copy = crashed(&site);
        let path = copy.files().pop().unwrap();
        let of_file: Vec<_> = before.iter().filter(|gop| path.ends_with(&gop.file)).collect();
        let (first, second) = (of_file[0].entry, of_file[1].entry);
        let mut bytes = std::fs::read(&path).unwrap();
        let start = first.start.micros().to_be_bytes();
        let in_head = bytes.windows(8).position(|window| window == start).unwrap();
        let (hurt, expected) =
            if damaged_head { (in_head, first) } else { (first.offset as usize + 5, second) };
        bytes[hurt] ^= 0x20;
        std::fs::write(&path, &bytes).unwrap();
        let (footage, opened) = copy.open();
        assert_eq!(opened.recovered[0].start, expected.start);
        assert_eq!((opened.set_aside.len(), opened.cut_bytes), (0, 0));
        let found = footage.gops(&camera(), at(0), at(2_000)).unwrap();
        let left = if damaged_head { before.clone() } else { before[1..].to_vec() };
        assert_eq!(found, left);
    }
}

#[test]
fn continuation_behind_a_damaged_group_is_missing_from_clips() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    let limits = GopLimits { frames: 5, ..GopLimits::default() };
    let mut builder = GopBuilder::new(limits);
    builder.parameters(&parameters(1));
    let units = units(0..40).into_iter().enumerate();
    let units = units.map(|(n, unit)| AccessUnit { key: n % 20 == 0, ..unit });
    let mut gops: Vec<_> = units.filter_map(|unit| builder.access_unit(&unit)).collect();
    gops.extend(builder.interrupted());
    push_all(&mut writer, &gops);
    let copy = crashed(&site);
    let before = footage.gops(&camera(), at(0), at(1_600)).unwrap();
    assert_eq!(before.iter().filter(|gop| gop.entry.key).count(), 2);
    let path = copy.files().pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[before[1].entry.offset as usize + 5] ^= 0x20;
    std::fs::write(&path, &bytes).unwrap();
    let (footage, _) = copy.open();
    let clip = footage.clip(&camera(), at(0), at(1_600), ClipForm::Faststart).unwrap();
    // Groups 2 and 3 are whole, but what they build upon is gone until the next key frame.
    assert_eq!(clip.gaps(), [vong_media::Gap { from: at(200), to: at(800) }]);
    assert_eq!(clip.frames(), 25);
    assert!(!String::from_utf8_lossy(&bytes_of(&clip)).contains("<12>"));
}

#[test]
fn group_that_cannot_be_indexed_is_taken_back_and_the_next_one_is_recorded() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    let gops = gops(&parameters(1), &units(0..20));
    push_all(&mut writer, &gops[..2]);
    let index = site.files_called("idx").pop().unwrap();
    let whole = std::fs::read(&index).unwrap();
    let len = site.files()[0].metadata().unwrap().len();
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    assert!(matches!(writer.push(&gops[2]), Err(Error::Io { operation: "append to", .. })));
    assert_eq!(site.files()[0].metadata().unwrap().len(), len);
    std::fs::remove_dir(&index).unwrap();
    std::fs::write(&index, whole).unwrap();
    push_all(&mut writer, &gops[3..]);
    drop(writer);
    let starts: Vec<_> = footage.gops(&camera(), at(0), at(900)).unwrap();
    let starts: Vec<_> = starts.iter().map(|gop| gop.entry.start).collect();
    assert_eq!(starts, [at(0), at(200), at(600)]);
    assert_eq!(fsck(&site.config.dir, Depth::Hashes).unwrap().problems, []);
}

#[test]
fn footage_of_format_version_1_stays_what_it_is() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..12)));
    drop(writer);
    let bytes = std::fs::read(&site.files()[0]).unwrap();
    let hash = crate::chain::payload_hash([bytes.as_slice()]);
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    expect_test::expect!["b28b963ff0e6b53a"].assert_eq(&hex);
    let last = footage.gops(&camera(), at(0), at(480)).unwrap().pop().unwrap();
    let hex: String =
        last.entry.hashes.chained.iter().take(8).map(|b| format!("{b:02x}")).collect();
    expect_test::expect!["7666af6f1d4d1cd6"].assert_eq(&hex);
}

/// One step of a camera's life.
#[derive(Clone, Debug)]
enum Step {
    Frames { count: u8, duration_90k: u32, key_every: u8 },
    Lost { seconds: u8 },
    CounterReset(i64),
    NewParameters(u8),
    Reopen { cut: u16 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frames = (1u8..60, 900u32..18_000, 1u8..20).prop_map(|(count, duration_90k, key_every)| {
        Step::Frames { count, duration_90k, key_every }
    });
    let step = prop_oneof![
        6 => frames,
        1 => (0u8..20).prop_map(|seconds| Step::Lost { seconds }),
        1 => any::<u32>().prop_map(|pts| Step::CounterReset(i64::from(pts))),
        1 => (0u8..3).prop_map(Step::NewParameters),
        1 => (0u16..400).prop_map(|cut| Step::Reopen { cut }),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a camera does and however often we crash: every group that was written and not cut
    /// off is found, in order, with its bytes; clips of any interval hold exactly its frames.
    #[test]
    fn life_of_a_camera(steps in steps(), from in 0i64..60_000, len in 1i64..60_000) {
        let site = Site::new();
        let (mut footage, _) = site.open();
        let mut writer = Some(footage.writer(&camera()).unwrap());
        let mut builder = GopBuilder::new(GopLimits { frames: 40, ..GopLimits::default() });
        builder.parameters(&parameters(0));
        let mut written = Vec::new();
        let (mut pts, mut wall, mut n) = (0i64, at(0), 0u32);
        for step in steps {
            let mut complete = Vec::new();
            match step {
                Step::Frames { count, duration_90k, key_every } => for i in 0..count {
                    let unit = AccessUnit {
                        pts_90k: pts,
                        received_at: wall,
                        camera_time: None,
                        key: i % key_every == 0,
                        lost_packets: 0,
                        data: format!("[{n}]").into(),
                    };
                    complete.extend(builder.access_unit(&unit));
                    pts += i64::from(duration_90k);
                    wall = EventTime(wall.micros() + i64::from(duration_90k) * 100 / 9);
                    n += 1;
                },
                Step::Lost { seconds } => {
                    complete.extend(builder.interrupted());
                    wall = EventTime(wall.micros() + i64::from(seconds) * 1_000_000);
                }
                Step::CounterReset(to) => pts = to,
                Step::NewParameters(tag) => complete.extend(builder.parameters(&parameters(tag))),
                Step::Reopen { cut: bytes } => {
                    complete.extend(builder.interrupted());
                    for gop in complete.drain(..) {
                        writer.as_mut().unwrap().push(&gop).unwrap();
                        written.push(gop);
                    }
                    // As kill -9: the index does not hear of the end.
                    let before = footage.gops(&camera(), EventTime(0), FAR).unwrap();
                    let copy = crashed(&site);
                    drop(writer.take());
                    drop(footage);
                    std::fs::remove_dir_all(&site.config.dir).unwrap();
                    copy_back(&copy, &site);
                    let expected = match site.files().last() {
                        None => before,
                        Some(last) => {
                            let len = last.metadata().unwrap().len().saturating_sub(u64::from(bytes));
                            cut(last, len);
                            let whole = |gop: &RecordedGop| !last.ends_with(&gop.file) || gop.entry.end_offset() <= len;
                            before.into_iter().filter(whole).collect()
                        }
                    };
                    footage = site.open().0;
                    let kept = footage.gops(&camera(), EventTime(0), FAR).unwrap();
                    prop_assert_eq!(&kept, &expected);
                    written.retain(|gop| kept.iter().any(|kept| kept.entry.hashes.payload == hash_of(gop)));
                    writer = Some(footage.writer(&camera()).unwrap());
                }
            }
            for gop in complete {
                writer.as_mut().unwrap().push(&gop).unwrap();
                written.push(gop);
            }
        }
        let found = footage.gops(&camera(), EventTime(0), FAR).unwrap();
        let found: Vec<_> = found.iter().map(|gop| (gop.entry.start, gop.entry.hashes.payload)).collect();
        let expected: Vec<_> = written.iter().map(|gop| (gop.start, hash_of(gop))).collect();
        prop_assert_eq!(found, expected);
        let problems = fsck(&site.config.dir, Depth::Hashes).unwrap().problems;
        prop_assert!(problems.iter().all(|p| p.what == ProblemKind::NotClosed), "{problems:?}");
        let mut inside = Vec::new();
        for gop in &written {
            let mut wall = gop.start;
            for (frame, data) in gop.frames.iter().zip(&gop.data) {
                let end = vong_media::wall_after(wall, u64::from(frame.duration_90k));
                if wall < at(from + len) && end > at(from) {
                    inside.push(String::from_utf8_lossy(data).into_owned());
                }
                wall = end;
            }
        }
        match footage.clip(&camera(), at(from), at(from + len), ClipForm::Faststart) {
            Ok(clip) => {
                let bytes = bytes_of(&clip);
                let text = String::from_utf8_lossy(&bytes);
                prop_assert_eq!(clip.frames(), inside.len() as u64);
                prop_assert!(text.ends_with(&inside.concat()), "{inside:?} in {text}");
            }
            Err(error) => prop_assert_eq!(inside, Vec::<String>::new(), "{}", error),
        }
    }
}

/// Later than anything.
const FAR: EventTime = EventTime(i64::MAX / 2);

fn hash_of(gop: &Gop) -> [u8; 32] {
    crate::chain::payload_hash(gop.data.iter().map(|data| &data[..]))
}

fn copy_back(from: &Site, to: &Site) {
    std::fs::create_dir_all(to.config.dir.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test moves a directory, durability aside")]
    std::fs::rename(&from.config.dir, &to.config.dir).unwrap();
}
