//! Clips of generated recordings: every frame that was on screen in the interval is shown, once,
//! at its time, and every byte of the plan is accounted for.

use expect_test::{Expect, expect};
use mp4_atom::{Any, DecodeMaybe, Moov};
use proptest::prelude::*;

use super::*;
use crate::gop::tests::parameters;
use crate::timeline::wall_after;

/// `K0:40,40,40` = a group that starts with a key frame at 0 ms, three frames of 40 ms.
/// `/` = a new file, `#` = new parameters.
fn recording(text: &str) -> (Vec<Arc<VideoParameters>>, Vec<ClipGop>) {
    let mut gops = Vec::new();
    let (mut file, mut offset, mut description) = (0, 100, 0);
    for word in text.split_whitespace() {
        match word {
            "/" => (file, offset) = (file + 1, 100),
            "#" => description += 1,
            _ => {
                let (start, durations) = word[1..].split_once(':').unwrap();
                let frames: Vec<Frame> = durations
                    .split(',')
                    .map(|ms| Frame { duration_90k: ms.parse::<u32>().unwrap() * 90, size: 10 })
                    .collect();
                let len = frames.len() as u64 * 10;
                gops.push(ClipGop {
                    file,
                    description,
                    start: EventTime(start.parse::<i64>().unwrap() * 1_000),
                    key: word.starts_with('K'),
                    payload_offset: offset,
                    frames,
                });
                offset += len + 50;
            }
        }
    }
    (vec![parameters(1), parameters(2)], gops)
}

#[expect(clippy::needless_pass_by_value, reason = "expect! gives a value")]
fn check(text: &str, from: i64, to: i64, expected: Expect) {
    let (parameters, gops) = recording(text);
    let (from, to) = (EventTime(from * 1_000), EventTime(to * 1_000));
    let answer = match plan_clip(ClipForm::Faststart, &parameters, &gops, from, to) {
        Ok(plan) => {
            let moov = moov_of(&plan);
            let trak = &moov.trak[0];
            let edit = &trak.edts.as_ref().unwrap().elst.as_ref().unwrap().entries[0];
            let runs: Vec<_> = trak.mdia.minf.stbl.stts.entries.iter().collect();
            let runs: Vec<_> = runs
                .iter()
                .map(|r| format!("{}x{}", r.sample_count, r.sample_delta / 90))
                .collect();
            let gaps: Vec<_> = plan
                .gaps
                .iter()
                .map(|g| format!("{}..{}", g.from.millis(), g.to.millis()))
                .collect();
            format!(
                "shows {}..{} in {} frames; plays {} from {}; samples {}; gaps [{}]",
                plan.start.millis(),
                plan.end.millis(),
                plan.frames,
                edit.segment_duration / 90,
                edit.media_time.unwrap() / 90,
                runs.join(" "),
                gaps.join(" ")
            )
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&answer);
}

fn moov_of(plan: &ClipPlan) -> Moov {
    let Piece::Generated(head) = &plan.pieces[0] else { panic!("head first") };
    let mut rest: &[u8] = head;
    let Some(Any::Ftyp(_)) = Any::decode_maybe(&mut rest).unwrap() else { panic!("no ftyp") };
    decode_moov(rest)
}

/// The test's sample entry is no real one, so it is replaced by an empty `stsd` before decoding.
fn decode_moov(bytes: &[u8]) -> Moov {
    let at = bytes.windows(4).position(|w| w == b"stsd").unwrap() - 4;
    let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut fixed = bytes[..u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize].to_vec();
    let cut = len - 16;
    fixed.drain(at + 16..at + len);
    fixed[at + 12..at + 16].copy_from_slice(&[0; 4]);
    fixed[at..at + 4].copy_from_slice(&16u32.to_be_bytes());
    for name in [b"moov", b"trak", b"mdia", b"minf", b"stbl"] {
        let at = fixed.windows(4).position(|w| w == name).unwrap() - 4;
        let len = u32::from_be_bytes(fixed[at..at + 4].try_into().unwrap()) - cut as u32;
        fixed[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
    let mut rest: &[u8] = &fixed;
    let Some(Any::Moov(moov)) = Any::decode_maybe(&mut rest).unwrap() else { panic!("no moov") };
    moov
}

mod timelines;

const TWO: &str = "K1000:40,40,40 K1120:40,40,40";

#[test]
fn clip_starts_at_the_frame_on_screen_and_ends_after_the_last_one_begun() {
    check(
        TWO,
        1_090,
        1_130,
        expect!["shows 1080..1160 in 2 frames; plays 80 from 80; samples 4x40; gaps []"],
    );
    check(
        TWO,
        1_000,
        1_240,
        expect!["shows 1000..1240 in 6 frames; plays 240 from 0; samples 6x40; gaps []"],
    );
    check(
        TWO,
        1_120,
        1_160,
        expect!["shows 1120..1160 in 1 frames; plays 40 from 0; samples 1x40; gaps []"],
    );
}

#[test]
fn what_was_not_recorded_is_declared() {
    check(
        TWO,
        0,
        5_000,
        expect![
            "shows 1000..1240 in 6 frames; plays 240 from 0; samples 6x40; gaps [0..1000 1240..5000]"
        ],
    );
    check(
        TWO,
        2_000,
        5_000,
        expect!["no footage between 1970-01-01T00:00:02.000000Z and 1970-01-01T00:00:05.000000Z"],
    );
    check(
        TWO,
        0,
        1_000,
        expect!["no footage between 1970-01-01T00:00:00.000000Z and 1970-01-01T00:00:01.000000Z"],
    );
    check(
        TWO,
        9,
        9,
        expect![
            "interval from 1970-01-01T00:00:00.009000Z to 1970-01-01T00:00:00.009000Z is empty"
        ],
    );
}

#[test]
fn gap_holds_the_frame_before_it_so_that_playing_follows_the_clock() {
    check(
        "K0:40,40 / K1000:40,40",
        0,
        1_080,
        expect![
            "shows 0..1080 in 4 frames; plays 1080 from 0; samples 1x40 1x960 2x40; gaps [80..1000]"
        ],
    );
    check(
        "K0:40,40 / K1000:40,40",
        500,
        1_080,
        expect!["shows 1000..1080 in 2 frames; plays 80 from 0; samples 2x40; gaps [500..1000]"],
    );
}

#[test]
fn clock_set_back_does_not_turn_frames_around() {
    check(
        "K1000:40,40 / K1010:40,40",
        0,
        2_000,
        expect![
            "shows 1000..1090 in 4 frames; plays 120 from 0; samples 1x40 1x0 2x40; gaps [0..1000 1090..2000]"
        ],
    );
}

#[test]
fn continuation_is_decoded_from_its_key_frame() {
    check(
        "K0:40,40 P80:40,40 P160:40,40",
        165,
        240,
        expect!["shows 160..240 in 2 frames; plays 80 from 160; samples 6x40; gaps []"],
    );
    // The key frame was deleted with the file before.
    check(
        "K0:40,40 / P80:40,40 K160:40",
        90,
        200,
        expect!["shows 160..200 in 1 frames; plays 40 from 0; samples 1x40; gaps []"],
    );
}

#[test]
fn stalled_last_frame_ends_with_the_interval() {
    check(
        "K0:40,90000",
        0,
        1_000,
        expect![
            "shows 0..1000 in 2 frames; plays 1000 from 0; samples 1x40 1x960; gaps [80..1000]"
        ],
    );
}

#[test]
fn changed_parameters_become_a_second_description() {
    let (parameters, gops) = recording("K0:40,40 / # K80:40,40");
    for form in [ClipForm::Faststart, ClipForm::Fragmented] {
        let plan = plan_clip(form, &parameters, &gops, EventTime(0), EventTime(160_000)).unwrap();
        let Piece::Generated(head) = &plan.pieces[0] else { panic!("head first") };
        let at = head.windows(4).position(|w| w == b"stsd").unwrap();
        assert_eq!(head[at + 8..at + 12], [0, 0, 0, 2]);
    }
}

#[test]
fn clip_beyond_4_gib_has_wide_offsets() {
    let frames = vec![Frame { duration_90k: 90_000, size: u32::MAX / 2 }; 2];
    let gop = |i: u32| ClipGop {
        file: i,
        description: 0,
        start: EventTime(i64::from(i) * 2_000_000),
        key: true,
        payload_offset: 50,
        frames: frames.clone(),
    };
    let gops: Vec<_> = (0..3).map(gop).collect();
    let plan =
        plan_clip(ClipForm::Faststart, &[parameters(1)], &gops, EventTime(0), EventTime(6_000_000))
            .unwrap();
    let moov = moov_of(&plan);
    let stbl = &moov.trak[0].mdia.minf.stbl;
    let head = plan.pieces[0].len();
    let two = u64::from(u32::MAX / 2) * 2;
    assert_eq!(stbl.co64.as_ref().unwrap().entries, [head, head + two, head + 2 * two]);
    assert_eq!(plan.total_len, head + 3 * two);
}

fn any_recording() -> impl Strategy<Value = Vec<ClipGop>> {
    let gop =
        (prop::collection::vec((1u32..9_000, 0u32..90), 1..12), -200i64..2_000, any::<bool>());
    prop::collection::vec(gop, 1..20).prop_map(|list| {
        let mut wall = EventTime(1_000_000_000);
        let mut gops: Vec<ClipGop> = Vec::new();
        for (index, (frames, gap_ms, gapless)) in list.into_iter().enumerate() {
            if !gapless {
                wall = EventTime(wall.micros() + gap_ms.max(0) * 1_000);
            }
            let frames: Vec<_> = frames
                .into_iter()
                .map(|(duration_90k, size)| Frame { duration_90k, size })
                .collect();
            let duration = frames.iter().map(|f| u64::from(f.duration_90k)).sum();
            gops.push(ClipGop {
                file: index as u32 / 3,
                description: 0,
                start: wall,
                key: true,
                payload_offset: 1_000 * index as u64,
                frames,
            });
            wall = wall_after(wall, duration);
        }
        gops
    })
}

/// Wall clock of every frame's start and end.
fn walls(gops: &[ClipGop]) -> Vec<(EventTime, EventTime)> {
    let mut out = Vec::new();
    for gop in gops {
        let mut media = 0;
        for frame in &gop.frames {
            let next = media + u64::from(frame.duration_90k);
            out.push((wall_after(gop.start, media), wall_after(gop.start, next)));
            media = next;
        }
    }
    out
}

proptest! {
    #[test]
    fn clip_shows_exactly_the_frames_of_its_interval(
        gops in any_recording(), from in 0i64..30_000_000, len in 1i64..30_000_000
    ) {
        let (from, to) = (EventTime(999_000_000 + from), EventTime(999_000_000 + from + len));
        let expected: Vec<_> =
            walls(&gops).into_iter().filter(|(start, end)| *start < to && *end > from).collect();
        let parameters = [parameters(1)];
        let plan = match plan_clip(ClipForm::Faststart, &parameters, &gops, from, to) {
            Err(Error::NoFootage { .. }) => {
                prop_assert!(expected.is_empty());
                return Ok(());
            }
            other => other.unwrap(),
        };
        prop_assert_eq!(plan.frames, expected.len() as u64);
        prop_assert_eq!(plan.start, expected[0].0);
        prop_assert_eq!(plan.end, expected[expected.len() - 1].1);
        // Playing takes as long as it took, to the tick and the microsecond's rounding.
        let lasted = crate::timeline::ticks_between(plan.start, plan.end);
        prop_assert!(lasted.abs_diff(plan.duration_90k as i64) <= 92);
        let moov = moov_of(&plan);
        let stbl = &moov.trak[0].mdia.minf.stbl;
        let media: u64 = stbl.stts.entries.iter()
            .map(|run| u64::from(run.sample_count) * u64::from(run.sample_delta)).sum();
        let edit = &moov.trak[0].edts.as_ref().unwrap().elst.as_ref().unwrap().entries[0];
        prop_assert_eq!(media, edit.media_time.unwrap() + edit.segment_duration);
        prop_assert!(stbl.stts.entries.iter().all(|run| run.sample_delta >= 1));
        // Tables agree with the pieces.
        let mut at = plan.pieces[0].len();
        for (piece, offset) in plan.pieces[1..].iter().zip(&stbl.stco.as_ref().unwrap().entries) {
            prop_assert_eq!(at, u64::from(*offset));
            at += piece.len();
        }
        prop_assert_eq!(at, plan.total_len);
    }

    #[test]
    fn both_forms_hold_the_same_frames_at_the_same_times(
        gops in any_recording(), from in 0i64..20_000_000, len in 1i64..20_000_000
    ) {
        let (from, to) = (EventTime(999_000_000 + from), EventTime(999_000_000 + from + len));
        let parameters = [parameters(1)];
        let Ok(plain) = plan_clip(ClipForm::Faststart, &parameters, &gops, from, to) else {
            return Ok(());
        };
        let split = plan_clip(ClipForm::Fragmented, &parameters, &gops, from, to).unwrap();
        let files = |plan: &ClipPlan| -> Vec<Piece> {
            plan.pieces.iter().filter(|p| matches!(p, Piece::File { .. })).cloned().collect()
        };
        prop_assert_eq!(files(&plain), files(&split));
        prop_assert_eq!(
            (plain.start, plain.end, plain.duration_90k, plain.frames),
            (split.start, split.end, split.duration_90k, split.frames)
        );
        let mut media = 0;
        for piece in &split.pieces {
            let Piece::Generated(head) = piece else { continue };
            let at = head.windows(4).position(|w| w == b"moof").unwrap() - 4;
            let mut rest = &head[at..];
            let Some(Any::Moof(moof)) = Any::decode_maybe(&mut rest).unwrap() else { panic!() };
            prop_assert_eq!(moof.traf[0].tfdt.as_ref().unwrap().base_media_decode_time, media);
            media += moof.traf[0].trun[0].samples.iter()
                .map(|s| u64::from(s.duration.unwrap())).sum::<u64>();
        }
    }

    #[test]
    fn disordered_recording_never_panics(
        starts in prop::collection::vec((any::<i64>(), any::<bool>(), 0u32..3, any::<u32>()), 0..8),
        from in any::<i64>(), to in any::<i64>(),
    ) {
        let gops: Vec<_> = starts.into_iter().map(|(start, key, description, duration_90k)| ClipGop {
            file: 0, description, start: EventTime(start), key, payload_offset: u64::MAX - 5,
            frames: vec![Frame { duration_90k, size: u32::MAX }; (duration_90k % 4) as usize],
        }).collect();
        for form in [ClipForm::Faststart, ClipForm::Fragmented] {
            drop(plan_clip(form, &[parameters(1), parameters(2)], &gops, EventTime(from), EventTime(to)));
        }
    }
}

#[test]
fn whole_groups_show_the_same_and_hold_every_recorded_byte() {
    for (text, from, to) in [
        (TWO, 1_090, 1_130),
        (TWO, 1_000, 1_240),
        ("K1000:40,40,40 / K5000:40,40,40,40", 1_050, 5_060),
        ("K0:40,40,40 K120:40,2000,40", 50, 1_500),
    ] {
        let (parameters, gops) = recording(text);
        let (from, to) = (EventTime(from * 1_000), EventTime(to * 1_000));
        let plan = |form| plan_clip(form, &parameters, &gops, from, to).unwrap();
        let (cut, whole) = (plan(ClipForm::Faststart), plan(ClipForm::WholeGroups));
        let shown = |plan: &ClipPlan| {
            (plan.start, plan.end, plan.frames, plan.duration_90k, plan.gaps.clone())
        };
        assert_eq!(shown(&cut), shown(&whole), "{text}");
        let edit = |plan: &ClipPlan| {
            let moov = moov_of(plan);
            let edit =
                moov.trak[0].edts.as_ref().unwrap().elst.as_ref().unwrap().entries[0].clone();
            (edit.media_time.unwrap(), edit.segment_duration)
        };
        assert_eq!(edit(&cut), edit(&whole), "{text}");
        for (piece, gop) in whole.pieces[1..].iter().zip(&whole.gops) {
            let recorded = &gops[gop.index];
            let bytes: u64 = recorded.frames.iter().map(|frame| u64::from(frame.size)).sum();
            let (file, offset) = (recorded.file, recorded.payload_offset);
            assert_eq!(*piece, Piece::File { file, offset, len: bytes }, "{text}");
        }
        assert_eq!(whole.pieces.len(), whole.gops.len() + 1, "{text}");
    }
}
