//! Clips of generated timelines against a reference that goes frame by frame and knows no groups
//! of bytes: what is shown, from when to when, what is missing, and what stands in the file, as
//! read back with a reader of the format. The same for every form.

use mp4_atom::StszSamples;

use super::*;
use crate::{Codec, ticks_between};

/// How a group joins what was recorded before it.
#[derive(Clone, Copy, Debug)]
enum Join {
    /// The next group of the same file.
    Follows,
    /// A long group goes on in it: no key frame of its own.
    Continues,
    /// A further file, this many microseconds later, of these parameters.
    File { later_us: i64, description: u32 },
    /// As [`Self::Continues`], but the group it continues was lost.
    Orphan { later_us: i64 },
    /// The clock was set back: a further file that starts before the last one ended.
    SetBack { us: i64 },
}

fn join() -> impl Strategy<Value = Join> {
    let gap = prop_oneof![
        2 => 0i64..99_000,
        2 => 99_900i64..100_100,
        3 => 100_000i64..4_000_000,
        1 => 40_000_000_000i64..90_000_000_000,
    ];
    prop_oneof![
        5 => Just(Join::Follows),
        4 => Just(Join::Continues),
        3 => (gap, 0u32..4).prop_map(|(later_us, description)| Join::File { later_us, description }),
        1 => (1_000_000i64..4_000_000).prop_map(|later_us| Join::Orphan { later_us }),
        1 => (1i64..3_000_000).prop_map(|us| Join::SetBack { us }),
    ]
}

/// A timeline whose clock is never set back and whose gaps fit the duration of one frame.
fn steady_timeline() -> impl Strategy<Value = Vec<ClipGop>> {
    let steady = |join| match join {
        Join::File { later_us, description } => {
            Join::File { later_us: later_us.min(40_000_000_000), description }
        }
        Join::SetBack { us } => Join::File { later_us: us, description: 1 },
        Join::Follows | Join::Continues | Join::Orphan { .. } => join,
    };
    let groups = prop::collection::vec((join().prop_map(steady), frames()), 1..14);
    groups.prop_map(recorded)
}

fn timeline() -> impl Strategy<Value = Vec<ClipGop>> {
    prop::collection::vec((join(), frames()), 1..14).prop_map(recorded)
}

/// Durations, 1/90000 s, and sizes.
fn frames() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let duration = prop_oneof![4 => Just(3_600u32), 4 => 1u32..12_000, 1 => 90_000u32..400_000];
    prop::collection::vec((duration, 1u32..90), 1..10)
}

fn recorded(list: Vec<(Join, Vec<(u32, u32)>)>) -> Vec<ClipGop> {
    let mut gops: Vec<ClipGop> = Vec::new();
    let (mut file, mut description, mut offset) = (0, 0, 700);
    let mut wall = EventTime(1_000_000_000);
    for (join, frames) in list {
        let (mut key, mut moved) = (true, 0);
        match join {
            Join::Follows => {}
            Join::Continues => key = gops.is_empty(),
            Join::Orphan { later_us } => (key, moved) = (false, later_us),
            Join::File { later_us, description: new } => {
                (file, description, offset, moved) = (file + 1, new, 700, later_us);
            }
            Join::SetBack { us } => (file, offset, moved) = (file + 1, 700, -us),
        }
        let frames: Vec<_> =
            frames.into_iter().map(|(duration_90k, size)| Frame { duration_90k, size }).collect();
        let start = EventTime(wall.micros() + moved);
        wall = wall_after(start, frames.iter().map(|f| u64::from(f.duration_90k)).sum());
        let len: u64 = frames.iter().map(|f| u64::from(f.size)).sum();
        gops.push(ClipGop { file, description, start, key, payload_offset: offset, frames });
        offset += len + 200;
    }
    gops
}

/// Numbers 0 and 2 are the same to a decoder.
fn four_parameters() -> Vec<Arc<VideoParameters>> {
    let mut h265 = VideoParameters::clone(&parameters(9));
    h265.codec = Codec::H265;
    let mut renamed = VideoParameters::clone(&parameters(1));
    renamed.width = 320;
    vec![parameters(1), parameters(2), Arc::new(renamed), Arc::new(h265)]
}

/// One recorded frame, and nothing of how frames are grouped but what a viewer could notice.
#[derive(Clone, Copy, Debug)]
struct Shot {
    group: usize,
    first_of_group: bool,
    key: bool,
    start: EventTime,
    end: EventTime,
    /// `end`, or earlier where it was held over a hole.
    recorded: EventTime,
    ticks: u32,
    size: u32,
    file: u32,
    byte: u64,
    description: u32,
}

/// How long the frames of a group last, but for the longer half of them.
fn usual_ticks(gop: &ClipGop) -> u32 {
    let count = |ticks: u32| gop.frames.iter().filter(|frame| frame.duration_90k <= ticks).count();
    let ticks = gop.frames.iter().map(|frame| frame.duration_90k);
    ticks.filter(|ticks| 2 * count(*ticks) >= gop.frames.len()).min().unwrap_or(0)
}

/// All frames that can be decoded, in the order they were recorded.
fn shots(gops: &[ClipGop]) -> Vec<Shot> {
    let mut shots: Vec<Shot> = Vec::new();
    for (group, gop) in gops.iter().enumerate() {
        let unbroken = shots.last().is_some_and(|last| {
            last.group + 1 == group
                && last.file == gop.file
                && (last.end.micros() - gop.start.micros()).abs() <= 1_000
        });
        if !gop.key && !unbroken {
            continue;
        }
        let (mut ticks, mut byte) = (0, gop.payload_offset);
        let usual = usual_ticks(gop);
        for (number, frame) in gop.frames.iter().enumerate() {
            let start = wall_after(gop.start, ticks);
            let held =
                frame.duration_90k > 90_000 && u64::from(frame.duration_90k) > 2 * u64::from(usual);
            let recorded = if held { usual } else { frame.duration_90k };
            let recorded = wall_after(gop.start, ticks + u64::from(recorded));
            ticks += u64::from(frame.duration_90k);
            shots.push(Shot {
                group,
                first_of_group: number == 0,
                key: gop.key && number == 0,
                start,
                end: wall_after(gop.start, ticks),
                recorded,
                ticks: frame.duration_90k,
                size: frame.size,
                file: gop.file,
                byte,
                description: gop.description,
            });
            byte += u64::from(frame.size);
        }
    }
    shots
}

/// A frame as it must stand in the clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    media: u64,
    ticks: u32,
    size: u32,
    key: bool,
    /// Which of the descriptions a decoder can tell apart.
    entry: u8,
    file: u32,
    byte: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Shown {
    start: EventTime,
    end: EventTime,
    duration: u64,
    edit_start: u64,
    frames: u64,
    gaps: Vec<Gap>,
}

/// What a clip of `[from, to)` must show and hold; `None` where there is nothing.
fn reference(
    form: ClipForm,
    gops: &[ClipGop],
    (from, to): (EventTime, EventTime),
) -> Option<(Shown, Vec<Sample>)> {
    let parameters = four_parameters();
    let codec = |shot: &Shot| parameters[shot.description as usize].codec;
    let all = shots(gops);
    let inside = |shot: &Shot| (shot.end.min(to).micros() - shot.start.max(from).micros()).max(0);
    let covered = |wanted| all.iter().filter(|shot| codec(shot) == wanted).map(inside).sum::<i64>();
    let (h264, h265) = (covered(Codec::H264), covered(Codec::H265));
    let main = if h264 > h265 { Codec::H264 } else { Codec::H265 };
    // A group that begins too late is left out whole, wherever it stands.
    let kept: Vec<Shot> =
        all.into_iter().filter(|shot| codec(shot) == main && gops[shot.group].start < to).collect();
    let first = kept.iter().position(|shot| shot.end > from && shot.start < to)?;
    let decoded = kept[..=first].iter().rposition(|shot| shot.key).unwrap();
    let last = kept.iter().rposition(|shot| shot.start < to).unwrap();
    let whole = form == ClipForm::WholeGroups;
    let mut samples = samples(&kept[decoded..=if whole { kept.len() - 1 } else { last }]);
    let tail = kept[last];
    let lasted = if tail.ticks > 90_000 {
        tail.ticks.min(u32::try_from(ticks_between(tail.start, to)).unwrap_or(u32::MAX).max(1))
    } else {
        tail.ticks
    };
    if !whole {
        samples.last_mut().unwrap().ticks = lasted;
    }
    let edit_start = samples[first - decoded].media;
    let media_end = samples[last - decoded].media + u64::from(lasted);
    let group_start = gops[tail.group].start;
    let before: u64 = kept
        .iter()
        .filter(|shot| shot.group == tail.group && shot.start < tail.start)
        .map(|shot| u64::from(shot.ticks))
        .sum();
    let shown = Shown {
        start: kept[first].start,
        end: wall_after(group_start, before + u64::from(lasted)),
        duration: media_end - edit_start,
        edit_start,
        frames: (last - first + 1) as u64,
        gaps: missing(&kept[first..], from, to),
    };
    Some((shown, samples))
}

/// Where nothing was recorded for longer than is tolerated, instant by instant.
fn missing(shots: &[Shot], from: EventTime, to: EventTime) -> Vec<Gap> {
    let mut edges: Vec<EventTime> =
        shots.iter().flat_map(|shot| [shot.start, shot.recorded]).collect();
    edges.extend([from, to]);
    edges.retain(|edge| (from..=to).contains(edge));
    edges.sort_unstable();
    edges.dedup();
    let mut gaps: Vec<Gap> = Vec::new();
    for pair in edges.windows(2) {
        if shots.iter().any(|shot| shot.start <= pair[0] && shot.recorded >= pair[1]) {
            continue;
        }
        match gaps.last_mut() {
            Some(gap) if gap.to == pair[0] => gap.to = pair[1],
            _ => gaps.push(Gap { from: pair[0], to: pair[1] }),
        }
    }
    gaps.retain(|gap| gap.to.micros() - gap.from.micros() > 100_000);
    gaps
}

/// Each frame is on screen until the next: where the wall clock says it begins, but a tick after
/// the one before at least; what no sample duration can hold is left out of the media time.
fn samples(shots: &[Shot]) -> Vec<Sample> {
    let entries = [1u8, 2, 1, 9];
    let mut out: Vec<Sample> = Vec::new();
    let mut left_out = 0u64;
    for shot in shots {
        let mut media = 0;
        if let Some(before) = out.last_mut() {
            let natural = before.media + u64::from(before.ticks);
            media = natural;
            if shot.first_of_group {
                let wall = ticks_between(shots[0].start, shot.start).max(0).unsigned_abs();
                let wall = wall.saturating_sub(left_out);
                if wall.abs_diff(natural) > 90 {
                    media = wall.max(before.media + 1);
                }
                let held = media - before.media;
                before.ticks = u32::try_from(held).unwrap_or(u32::MAX);
                left_out += held - u64::from(before.ticks);
                media = before.media + u64::from(before.ticks);
            }
        }
        out.push(Sample {
            media,
            ticks: shot.ticks,
            size: shot.size,
            key: shot.key,
            entry: entries[shot.description as usize],
            file: shot.file,
            byte: shot.byte,
        });
    }
    out
}

/// The last byte of each sample entry tells the parameters apart (see `parameters`).
fn entries_of(head: &[u8]) -> Vec<u8> {
    let at = head.windows(4).position(|w| w == b"stsd").unwrap();
    let count = u32::from_be_bytes(head[at + 8..at + 12].try_into().unwrap()) as usize;
    (0..count).map(|n| head[at + 12 + n * 9 + 8]).collect()
}

/// Where a byte of the clip comes from.
fn origin(plan: &ClipPlan, mut at: u64) -> (u32, u64) {
    for piece in &plan.pieces {
        match piece {
            Piece::File { file, offset, len } if at < *len => return (*file, offset + at),
            _ => at = at.checked_sub(piece.len()).expect("the byte lies before the end"),
        }
    }
    panic!("beyond the clip")
}

fn read_tables(plan: &ClipPlan) -> Vec<Sample> {
    let Piece::Generated(head) = &plan.pieces[0] else { panic!("head first") };
    let moov = moov_of(plan);
    let stbl = &moov.trak[0].mdia.minf.stbl;
    let entries = entries_of(head);
    let run = |r: &mp4_atom::SttsEntry| vec![r.sample_delta; r.sample_count as usize];
    let ticks: Vec<u32> = stbl.stts.entries.iter().flat_map(run).collect();
    let sizes = match &stbl.stsz.samples {
        StszSamples::Different { sizes } => sizes.clone(),
        StszSamples::Identical { count, size } => vec![*size; *count as usize],
    };
    assert_eq!(ticks.len(), sizes.len());
    let keys = &stbl.stss.as_ref().unwrap().entries;
    let media_end = ticks.iter().map(|ticks| u64::from(*ticks)).sum::<u64>();
    assert_eq!(moov.trak[0].mdia.mdhd.duration, media_end);
    let mut out: Vec<Sample> = Vec::new();
    let mut media = 0;
    for (chunk, offset) in (1u32..).zip(&stbl.stco.as_ref().unwrap().entries) {
        let run = stbl.stsc.entries.iter().rev().find(|run| run.first_chunk <= chunk).unwrap();
        let mut at = u64::from(*offset);
        for _ in 0..run.samples_per_chunk {
            let (size, ticks) = (sizes[out.len()], ticks[out.len()]);
            let (file, byte) = origin(plan, at);
            let key = keys.contains(&(out.len() as u32 + 1));
            let entry = entries[run.sample_description_index as usize - 1];
            out.push(Sample { media, ticks, size, key, entry, file, byte });
            media += u64::from(ticks);
            at += u64::from(size);
        }
    }
    assert_eq!(out.len(), sizes.len());
    let head_len = plan.pieces[0].len();
    assert_eq!(head_len + sizes.iter().map(|size| u64::from(*size)).sum::<u64>(), plan.total_len);
    out
}

fn read_fragments(plan: &ClipPlan) -> Vec<Sample> {
    let Piece::Generated(head) = &plan.pieces[0] else { panic!("head first") };
    let entries = entries_of(head);
    let mut out = Vec::new();
    let mut clip_at = 0;
    for piece in &plan.pieces {
        let Piece::Generated(head) = piece else {
            clip_at += piece.len();
            continue;
        };
        let moof_at = head.windows(4).position(|w| w == b"moof").unwrap() - 4;
        let mut rest = &head[moof_at..];
        let Some(Any::Moof(moof)) = Any::decode_maybe(&mut rest).unwrap() else { panic!() };
        let traf = &moof.traf[0];
        let entry = entries[traf.tfhd.sample_description_index.unwrap() as usize - 1];
        let mut media = traf.tfdt.as_ref().unwrap().base_media_decode_time;
        let data_offset = traf.trun[0].data_offset.unwrap() as u64;
        let mut at = clip_at + moof_at as u64 + data_offset;
        for sample in traf.trun[0].samples.iter() {
            let (file, byte) = origin(plan, at);
            let (ticks, size) = (sample.duration.unwrap(), sample.size.unwrap());
            let key = sample.flags == Some(0x0200_0000);
            out.push(Sample { media, ticks, size, key, entry, file, byte });
            media += u64::from(ticks);
            at += u64::from(size);
        }
        clip_at += piece.len();
    }
    assert_eq!(clip_at, plan.total_len);
    out
}

/// Compares one clip with the reference; whether there was one.
fn compare(form: ClipForm, gops: &[ClipGop], from: EventTime, to: EventTime) -> bool {
    let expected = reference(form, gops, (from, to));
    let plan = match plan_clip(form, &four_parameters(), gops, from, to) {
        Err(Error::NoFootage { .. }) => {
            assert_eq!(expected.map(|(shown, _)| shown), None, "{form:?}: nothing was found");
            return false;
        }
        other => other.unwrap(),
    };
    let (shown, samples) = expected.expect("nothing should be found");
    let got = Shown {
        start: plan.start,
        end: plan.end,
        duration: plan.duration_90k,
        edit_start: plan.edit_start_90k,
        frames: plan.frames,
        gaps: plan.gaps.clone(),
    };
    assert_eq!(got, shown, "{form:?}");
    let edts = moov_of(&plan).trak[0].edts.clone().unwrap();
    let edit = &edts.elst.as_ref().unwrap().entries[0];
    assert_eq!((edit.media_time, edit.segment_duration), (Some(shown.edit_start), shown.duration));
    let read = match form {
        ClipForm::Fragmented => read_fragments(&plan),
        ClipForm::Faststart | ClipForm::WholeGroups => read_tables(&plan),
    };
    assert_eq!(read, samples, "{form:?}");
    true
}

const FORMS: [ClipForm; 3] = [ClipForm::Fragmented, ClipForm::Faststart, ClipForm::WholeGroups];

/// A bound of an interval: near the start or end of a frame, where mistakes are made, or anywhere.
fn bound(gops: &[ClipGop], pick: prop::sample::Index, off_us: i64) -> EventTime {
    let mut edges: Vec<i64> =
        walls(gops).iter().flat_map(|(start, end)| [start.micros(), end.micros()]).collect();
    edges.sort_unstable();
    EventTime(edges[pick.index(edges.len())] + off_us)
}

fn off() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0i64), 3 => -2i64..=2, 3 => -200_000i64..200_000, 1 => -9_000_000i64..9_000_000]
}

/// Faults that were met, one a line: what a clip of everything shows.
#[test]
fn what_cameras_and_disks_have_done() {
    // The group in the middle lost its key frame: it is missing, not shown upon the wrong picture.
    check(
        "K0:40,40 / K1000:40,40 P2000:40,40 P2080:40 K3000:40",
        0,
        3_040,
        expect![
            "shows 0..3040 in 5 frames; plays 3040 from 0; samples 1x40 1x960 1x40 1x1960 1x40; gaps [80..1000 1080..3000]"
        ],
    );
    // The clock was set back by 3 s: the later file starts before the end of the first.
    check(
        "K0:40,40 K80:4000 K4080:40 / K1080:40,40 K1160:40",
        40,
        1_200,
        expect![
            "shows 40..1200 in 5 frames; plays 1160 from 40; samples 2x40 1x1000 3x40; gaps []"
        ],
    );
    // ... and what it covers is not missing, though it was recorded behind a gap.
    check(
        "K0:40 / K5000:40 / K1000:3000 K4000:900",
        0,
        5_040,
        expect![
            "shows 0..4900 in 4 frames; plays 5900 from 0; samples 1x5000 2x0 1x900; gaps [40..1000]"
        ],
    );
    // Longer than the 13 hours a frame's duration can hold: later groups stay together.
    check(
        "K0:40 / K90000000:40,40 K90000080:40 K90000120:40",
        0,
        90_000_160,
        expect![
            "shows 0..90000160 in 5 frames; plays 47722018 from 0; samples 1x47721858 4x40; gaps [40..90000000]"
        ],
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn clips_are_what_the_timeline_says_frame_by_frame(
        gops in timeline(),
        (one, two) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        (off_one, off_two) in (off(), off()),
    ) {
        let (one, two) = (bound(&gops, one, off_one), bound(&gops, two, off_two));
        let (from, to) = (one.min(two), one.max(two).max(EventTime(one.min(two).micros() + 1)));
        for form in FORMS {
            compare(form, &gops, from, to);
        }
    }

    /// The reference itself, where clocks ran evenly: a second of playing is a second of the day.
    #[test]
    fn every_frame_is_shown_at_its_time(
        gops in steady_timeline(), pick in any::<prop::sample::Index>(), len in 1i64..20_000_000,
    ) {
        let from = bound(&gops, pick, 0);
        let to = EventTime(from.micros() + len);
        let Ok(plan) = plan_clip(ClipForm::Faststart, &four_parameters(), &gops, from, to) else {
            return Ok(());
        };
        let lasted = ticks_between(plan.start, plan.end);
        prop_assert!(lasted.abs_diff(plan.duration_90k as i64) <= 92);
        let all = shots(&gops);
        let origin = all.iter().find(|shot| shot.start == plan.start).unwrap();
        for sample in read_tables(&plan) {
            let place = (sample.file, sample.byte);
            let shot = all.iter().find(|shot| (shot.file, shot.byte) == place).unwrap();
            let wall = ticks_between(origin.start, shot.start);
            let media = sample.media as i64 - plan.edit_start_90k as i64;
            prop_assert!(wall.abs_diff(media) <= 92, "{wall} {media}");
        }
    }
}
