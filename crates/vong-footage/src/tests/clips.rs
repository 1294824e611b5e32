//! Clips of real video: the pictures that come out are the pictures of the interval.

use vong_media::{ClipForm, Codec, Gap};
use vong_model::EventTime;

use super::fixture::{
    Site, at, bytes_of, camera, gops, parameters, pictures, probe, push_all, real, times, units,
};
use crate::Error;

fn clip_is_exact_to_the_picture(codec: Codec) {
    let site = Site::new();
    let Some(source) = real(site.dir.path(), codec, 10) else { return };
    let all = pictures(&source.file);
    assert_eq!(all.len(), 250);
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&source.parameters, &source.units));
    assert!(site.files().len() >= 3, "the clip must cross files");
    // The writer still holds the last file open.
    for (from_ms, to_ms) in
        [(0, 10_000), (1_000, 2_000), (1_010, 8_990), (3_990, 4_010), (9_100, 9_101)]
    {
        let (first, last) = (from_ms / 40, (to_ms as usize).div_ceil(40));
        let expected = &all[first as usize..last];
        for form in [ClipForm::Faststart, ClipForm::Fragmented] {
            let clip = footage.clip(&camera(), at(from_ms), at(to_ms), form).unwrap();
            assert_eq!(clip.gaps(), []);
            assert_eq!(clip.frames(), expected.len() as u64);
            assert_eq!(clip.duration_90k(), expected.len() as u64 * 3_600);
            assert_eq!(clip.start(), at(first * 40));
            let path = site.dir.path().join("clip.mp4");
            std::fs::write(&path, bytes_of(&clip)).unwrap();
            let shown = pictures(&path);
            match form {
                ClipForm::Faststart | ClipForm::WholeGroups => {
                    assert_eq!(shown, expected, "{from_ms}..{to_ms}");
                    let seconds = expected.len() as f64 * 0.04;
                    let name = if codec == Codec::H264 { "h264" } else { "hevc" };
                    assert_eq!(probe(&path), format!("{name},{} {seconds:.6}", expected.len()));
                }
                // ffmpeg shifts the times of a fragmented file by its edit list but decodes from
                // the key frame on; players hide what is before 0.
                ClipForm::Fragmented => {
                    assert!(shown.ends_with(expected), "{from_ms}..{to_ms}");
                    let wanted: Vec<_> = (0..expected.len() as i64).map(|n| n * 3_600).collect();
                    let times: Vec<_> = times(&path).into_iter().filter(|t| *t >= 0).collect();
                    assert_eq!(times, wanted, "{from_ms}..{to_ms}");
                }
            }
        }
    }
}

#[test]
fn h264_clip_is_exact_to_the_picture() {
    clip_is_exact_to_the_picture(Codec::H264);
}

#[test]
fn h265_clip_is_exact_to_the_picture() {
    clip_is_exact_to_the_picture(Codec::H265);
}

/// A camera that leaves frames out in the dark, or that takes each when it can.
#[test]
fn frames_at_uneven_times_keep_their_instants() {
    let site = Site::new();
    let Some(mut source) = real(site.dir.path(), Codec::H264, 10) else { return };
    let mut pts_90k = 0;
    for (unit, step) in source.units.iter_mut().zip([3_600, 1_503, 6_750, 2_997].iter().cycle()) {
        unit.pts_90k = pts_90k;
        unit.received_at = EventTime(at(0).micros() + pts_90k * 100 / 9);
        pts_90k += step;
    }
    let all = pictures(&source.file);
    let starts: Vec<i64> = source.units.iter().map(|unit| unit.pts_90k).collect();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&source.parameters, &source.units));
    assert!(site.files().len() >= 3, "the clip must cross files");
    for (from_ms, to_ms) in [(0, 9_000), (1_010, 8_990), (2_017, 2_018), (3_950, 4_100)] {
        let first = starts.partition_point(|start| *start <= from_ms * 90) - 1;
        let last = starts.partition_point(|start| *start < to_ms * 90);
        let clip = footage.clip(&camera(), at(from_ms), at(to_ms), ClipForm::Faststart).unwrap();
        let path = site.dir.path().join("clip.mp4");
        std::fs::write(&path, bytes_of(&clip)).unwrap();
        assert_eq!(pictures(&path), all[first..last], "{from_ms}..{to_ms}");
        let wanted: Vec<_> = starts[first..last].iter().map(|at| at - starts[first]).collect();
        assert_eq!(times(&path), wanted, "{from_ms}..{to_ms}");
        let length = starts[last] - starts[first];
        assert_eq!(clip.duration_90k(), length as u64, "{from_ms}..{to_ms}");
    }
}

#[test]
fn footage_file_plays_without_our_index() {
    let site = Site::new();
    let Some(source) = real(site.dir.path(), Codec::H264, 3) else { return };
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&source.parameters, &source.units));
    let shown: Vec<String> = site.files().iter().flat_map(|file| pictures(file)).collect();
    assert_eq!(shown, pictures(&source.file));
}

#[test]
fn clip_over_a_gap_keeps_time_and_declares_the_gap() {
    let site = Site::new();
    let Some(source) = real(site.dir.path(), Codec::H264, 6) else { return };
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&source.parameters, &source.units[..50]));
    push_all(&mut writer, &gops(&source.parameters, &source.units[100..]));
    let clip = footage.clip(&camera(), at(1_000), at(7_000), ClipForm::Faststart).unwrap();
    let gaps = [Gap { from: at(2_000), to: at(4_000) }, Gap { from: at(6_000), to: at(7_000) }];
    assert_eq!(clip.gaps(), gaps);
    let path = site.dir.path().join("clip.mp4");
    std::fs::write(&path, bytes_of(&clip)).unwrap();
    assert_eq!(probe(&path), "h264,75 5.000000");
    let all = pictures(&source.file);
    assert_eq!(pictures(&path), [&all[25..50], &all[100..150]].concat());
    // The frame before the gap is held for as long as it lasts.
    let wanted: Vec<_> = (25..50).chain(100..150).map(|n| (n - 25) * 3_600).collect();
    assert_eq!(times(&path), wanted);
}

#[test]
fn clip_grows_with_the_recording_and_its_tag_with_it() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    let gops = gops(&parameters(1), &units(0..50));
    push_all(&mut writer, &gops[..4]);
    let open = || footage.clip(&camera(), at(0), at(2_000), ClipForm::Faststart).unwrap();
    let before = open();
    assert_eq!(before.frames(), 20);
    assert_eq!(before.gaps(), [Gap { from: at(800), to: at(2_000) }]);
    let bytes = bytes_of(&before);
    push_all(&mut writer, &gops[4..]);
    let after = open();
    assert_eq!((after.frames(), after.gaps().len()), (50, 0));
    assert_ne!(before.etag(), after.etag());
    assert_eq!(after.etag(), open().etag());
    assert_eq!(bytes_of(&before), bytes, "a clip once laid out stays as it is");
}

#[test]
fn copies_of_heads_change_nothing_and_damaged_ones_are_not_used() {
    let site = Site::new();
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
    let clips = || {
        [(0, 10_000), (410, 7_930), (4_000, 4_001)].map(|(from, to)| {
            let clip = footage.clip(&camera(), at(from), at(to), ClipForm::Faststart).unwrap();
            (bytes_of(&clip), clip.etag().to_owned(), clip.groups().to_vec())
        })
    };
    let with_copies = clips();
    let [copies] = site.files_called("heads").try_into().unwrap();
    let written = std::fs::read(&copies).unwrap();
    assert!(site.files().len() >= 3 && written.len() > 1_000, "closed files have copies");
    // That they are used shows where the footage itself cannot be.
    let file = site.files().remove(0);
    let sound = std::fs::read(&file).unwrap();
    std::fs::write(&file, vec![0; sound.len()]).unwrap();
    assert_eq!(clips()[0].2, with_copies[0].2);
    std::fs::write(&file, &sound).unwrap();
    for place in (0..written.len()).step_by(97) {
        let mut damaged = written.clone();
        damaged[place] ^= 0x10;
        std::fs::write(&copies, &damaged).unwrap();
        assert_eq!(clips(), with_copies, "byte {place}");
    }
    std::fs::write(&copies, &written[..written.len() / 2]).unwrap();
    assert_eq!(clips(), with_copies, "torn");
    std::fs::remove_file(&copies).unwrap();
    assert_eq!(clips(), with_copies, "gone");
}

#[test]
fn copy_of_another_file_is_not_used() {
    let mut site = Site::new();
    site.config.segment_s = 60;
    let (footage, _) = site.open();
    let mut writer = footage.writer(&camera()).unwrap();
    let mut file = |tag, frames| {
        push_all(&mut writer, &gops(&parameters(tag), &units(frames)));
        writer.close().unwrap();
    };
    file(1, 0..50);
    let cut = || bytes_of(&footage.clip(&camera(), at(0), at(2_000), ClipForm::Faststart).unwrap());
    let before = cut();
    // Copies are begun anew: where the index looks for the first file's, those of the second lie.
    let copies = site.files_called("heads").remove(0);
    let old = std::fs::read(&copies).unwrap();
    std::fs::remove_file(&copies).unwrap();
    file(2, 50..100);
    assert_eq!((site.files().len(), std::fs::read(&copies).unwrap().len()), (2, old.len()));
    assert_eq!(cut(), before);
}

#[test]
fn wrong_questions_get_clear_answers() {
    let site = Site::new();
    let (footage, _) = site.open();
    let ask = |camera: &str, from, to| {
        let error = footage.clip(&camera.into(), at(from), at(to), ClipForm::Faststart);
        error.unwrap_err()
    };
    assert!(matches!(ask("CAM-99", 0, 1), Error::UnknownCamera { .. }));
    let mut writer = footage.writer(&camera()).unwrap();
    assert!(matches!(footage.writer(&camera()), Err(Error::WriterTaken { .. })));
    push_all(&mut writer, &gops(&parameters(1), &units(0..10)));
    for (from, to) in [(5_000, 6_000), (10, 10), (10, 5), (-900, -1)] {
        assert!(matches!(ask("CAM-01", from, to), Error::Clip { .. }), "{from}..{to}");
    }
    assert!(matches!(ask("CAM-01", 0, 99_999_999), Error::ClipTooLong { .. }));
    assert!(matches!(footage_error(&site), Error::InUse { .. }));
    drop(writer);
    assert!(footage.writer(&camera()).is_ok());
}

fn footage_error(site: &Site) -> Error {
    let metrics = crate::FootageMetrics::new(&vong_telemetry::Metrics::new());
    let clock = std::sync::Arc::new(site.clock.clone());
    crate::Footage::open(site.config.clone(), clock, metrics).unwrap_err()
}
