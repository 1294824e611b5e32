//! Which frames a clip holds and when each is shown.

use std::sync::Arc;

use vong_model::EventTime;

use super::{ClipForm, ClipGop, GAP_TOLERANCE, Gap, MAX_CLIP_FRAMES};
use crate::timeline::{TICKS_PER_SECOND, ticks_between, wall_after};
use crate::{Codec, Error, Frame, VideoParameters};

/// Two clocks this near are the same: a microsecond is not a whole number of ticks.
const SAME_90K: u64 = 90;

/// Frames that lie together in one file.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Which of the groups given.
    pub(super) index: usize,
    pub(super) file: u32,
    pub(super) description: u32,
    pub(super) offset: u64,
    pub(super) key: bool,
    /// Of the first frame, since the clip's first.
    pub(super) media_90k: u64,
    pub(super) frames: Vec<Frame>,
    start: EventTime,
    /// When it was recorded, by its whole frame table.
    covered: Vec<(EventTime, EventTime)>,
}

impl Chunk {
    fn of(index: usize, gop: &ClipGop) -> Self {
        Self {
            index,
            file: gop.file,
            description: gop.description,
            offset: gop.payload_offset,
            key: gop.key,
            media_90k: 0,
            frames: gop.frames.clone(),
            start: gop.start,
            covered: crate::covered(gop.start, &durations(&gop.frames)),
        }
    }

    pub(super) fn duration_90k(&self) -> u64 {
        duration(&self.frames)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.size)).fold(0, u64::saturating_add)
    }

    fn last_duration(&self) -> u64 {
        self.frames.last().map_or(0, |frame| u64::from(frame.duration_90k))
    }
}

/// The frames of a clip, timed.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) chunks: Vec<Chunk>,
    /// Media time of the first frame shown.
    pub(super) edit_start_90k: u64,
    pub(super) edit_len_90k: u64,
    pub(super) start: EventTime,
    pub(super) end: EventTime,
    /// Shown, not only decoded.
    pub(super) frames: u64,
    pub(super) gaps: Vec<Gap>,
}

pub(super) fn select(
    form: ClipForm,
    parameters: &[Arc<VideoParameters>],
    gops: &[ClipGop],
    (from, to): (EventTime, EventTime),
) -> Result<Track, Error> {
    let nothing = || Error::NoFootage { from, to };
    let decodable = decodable(gops);
    let codec = main_codec(parameters, &decodable, from, to).ok_or_else(nothing)?;
    let (numbers, usable): (Vec<usize>, Vec<&ClipGop>) =
        decodable.into_iter().filter(|(_, gop)| codec_of(parameters, gop) == Some(codec)).unzip();
    let whole = form == ClipForm::WholeGroups;
    let (first, shown) = first_chunk(&usable, from, to).ok_or_else(nothing)?;
    let mut chunks = Vec::new();
    let mut frames = 0usize;
    let from_first = numbers.iter().zip(&usable).skip(first);
    // Not up to the first that starts too late: a clock set back may bring earlier ones again.
    for (index, gop) in from_first.filter(|(_, gop)| gop.start < to) {
        frames = frames.saturating_add(gop.frames.len());
        if frames > MAX_CLIP_FRAMES {
            let (value, limit) = (frames as u64, MAX_CLIP_FRAMES as u64);
            return Err(Error::TooLarge { what: "clip", value, limit });
        }
        chunks.push(Chunk::of(*index, gop));
    }
    // What is shown of the last group is the same in every form.
    let last = chunks.last().and_then(|chunk| gops.get(chunk.index));
    if let (Some(chunk), Some(gop)) = (chunks.last_mut(), last) {
        chunk.frames.truncate(frames_before(gop, to));
    }
    let gaps = gaps(chunks.get(shown.saturating_sub(first)..).unwrap_or_default(), from, to);
    place(&mut chunks);
    cap_last_frame(&mut chunks, to);
    let mut track = finish(chunks, shown.saturating_sub(first), from, gaps).ok_or_else(nothing)?;
    if let (true, Some(chunk), Some(gop)) = (whole, track.chunks.last_mut(), last) {
        chunk.frames.clone_from(&gop.frames);
    }
    Ok(track)
}

/// The groups that hold frames and can be decoded, numbered: a continuation that does not follow
/// the group recorded before it has lost its key frame.
fn decodable(gops: &[ClipGop]) -> Vec<(usize, &ClipGop)> {
    let mut kept: Vec<(usize, &ClipGop)> = Vec::with_capacity(gops.len());
    for (index, gop) in gops.iter().enumerate().filter(|(_, gop)| !gop.frames.is_empty()) {
        if gop.key || kept.last().is_some_and(|(_, before)| follows(before, gop)) {
            kept.push((index, gop));
        }
    }
    kept
}

/// The codec that covers most of the interval.
fn main_codec(
    parameters: &[Arc<VideoParameters>],
    gops: &[(usize, &ClipGop)],
    from: EventTime,
    to: EventTime,
) -> Option<Codec> {
    let covered = |codec: Codec| {
        let of_codec = gops.iter().filter(|(_, gop)| codec_of(parameters, gop) == Some(codec));
        of_codec.fold(0u128, |sum, (_, gop)| {
            let (start, end) = (gop.start.max(from), end_of(gop).min(to));
            sum.saturating_add(end.since(start).as_micros())
        })
    };
    [Codec::H264, Codec::H265].into_iter().max_by_key(|codec| covered(*codec)).filter(|codec| {
        // An interval shorter than a microsecond-rounded frame may cover nothing measurable.
        covered(*codec) > 0
    })
}

fn codec_of(parameters: &[Arc<VideoParameters>], gop: &ClipGop) -> Option<Codec> {
    parameters.get(usize::try_from(gop.description).ok()?).map(|p| p.codec)
}

/// Index of the group decoding starts with, and of the one showing starts with.
fn first_chunk(gops: &[&ClipGop], from: EventTime, to: EventTime) -> Option<(usize, usize)> {
    let shown = gops.iter().position(|gop| end_of(gop) > from && gop.start < to)?;
    let first = gops.get(..=shown)?.iter().rposition(|gop| gop.key)?;
    Some((first, shown))
}

fn follows(before: &ClipGop, gop: &ClipGop) -> bool {
    before.file == gop.file && ticks_between(end_of(before), gop.start).unsigned_abs() <= SAME_90K
}

fn end_of(gop: &ClipGop) -> EventTime {
    wall_after(gop.start, duration(&gop.frames))
}

fn durations(frames: &[Frame]) -> Vec<u32> {
    frames.iter().map(|frame| frame.duration_90k).collect()
}

fn duration(frames: &[Frame]) -> u64 {
    frames.iter().map(|frame| u64::from(frame.duration_90k)).fold(0, u64::saturating_add)
}

/// How many frames of `gop` start before `to`.
fn frames_before(gop: &ClipGop, to: EventTime) -> usize {
    let mut media = 0u64;
    let started = gop.frames.iter().take_while(|frame| {
        let start = wall_after(gop.start, media);
        media = media.saturating_add(u64::from(frame.duration_90k));
        start < to
    });
    started.count().max(1)
}

/// What of `[from, to)` no chunk covers.
fn gaps(chunks: &[Chunk], from: EventTime, to: EventTime) -> Vec<Gap> {
    let mut spans: Vec<_> = chunks.iter().flat_map(|chunk| chunk.covered.iter().copied()).collect();
    spans.sort_unstable();
    let mut gaps = Vec::new();
    let mut covered = from;
    for (start, end) in spans.into_iter().chain([(to, to)]) {
        let start = start.min(to);
        if start.since(covered) > GAP_TOLERANCE {
            gaps.push(Gap { from: covered, to: start });
        }
        covered = covered.max(end);
    }
    gaps
}

/// Gives every chunk its media time; the frame before a gap is held until the next chunk.
fn place(chunks: &mut [Chunk]) {
    let Some(origin) = chunks.first().map(|chunk| chunk.start) else { return };
    let mut before: Option<&mut Chunk> = None;
    let mut lost = 0u64;
    for chunk in chunks {
        if let Some(before) = before {
            let end = before.media_90k.saturating_add(before.duration_90k());
            let by_wall = u64::try_from(ticks_between(origin, chunk.start)).unwrap_or(0);
            let by_wall = by_wall.saturating_sub(lost);
            let same = by_wall.abs_diff(end) <= SAME_90K;
            // Should the wall clock have been set back, frames still follow one another.
            let earliest = end.saturating_sub(before.last_duration()).saturating_add(1);
            chunk.media_90k = if same { end } else { by_wall.max(earliest) };
            let held = chunk.media_90k.saturating_sub(end.saturating_sub(before.last_duration()));
            if let Some(last) = before.frames.last_mut() {
                last.duration_90k = u32::try_from(held).unwrap_or(u32::MAX);
            }
            // What 32 bits cannot hold is lost; this chunk and all behind it move up.
            let placed = before.media_90k.saturating_add(before.duration_90k());
            lost = lost.saturating_add(chunk.media_90k.saturating_sub(placed));
            chunk.media_90k = placed;
        }
        before = Some(chunk);
    }
}

/// A last frame that was on screen for long, because the camera stalled, ends with the interval.
fn cap_last_frame(chunks: &mut [Chunk], to: EventTime) {
    let Some(chunk) = chunks.last_mut() else { return };
    let before_last = chunk.duration_90k().saturating_sub(chunk.last_duration());
    let start = wall_after(chunk.start, before_last);
    let Some(last) = chunk.frames.last_mut() else { return };
    if last.duration_90k > TICKS_PER_SECOND {
        let until = u32::try_from(ticks_between(start, to)).unwrap_or(u32::MAX);
        last.duration_90k = until.clamp(1, last.duration_90k);
    }
}

/// Finds the first frame shown, in chunk `shown`, and sums up.
fn finish(chunks: Vec<Chunk>, shown: usize, from: EventTime, gaps: Vec<Gap>) -> Option<Track> {
    let chunk = chunks.get(shown)?;
    let mut offset = 0u64;
    let mut hidden = 0u64;
    for frame in chunk.frames.iter().take(chunk.frames.len().saturating_sub(1)) {
        let next = offset.saturating_add(u64::from(frame.duration_90k));
        if wall_after(chunk.start, next) > from {
            break;
        }
        offset = next;
        hidden = hidden.saturating_add(1);
    }
    let edit_start_90k = chunk.media_90k.saturating_add(offset);
    let start = wall_after(chunk.start, offset);
    let decoded = chunks.iter().map(|chunk| chunk.frames.len() as u64).sum::<u64>();
    let before = chunks.iter().take(shown).map(|chunk| chunk.frames.len() as u64).sum::<u64>();
    let last = chunks.last()?;
    let media_end = last.media_90k.saturating_add(last.duration_90k());
    Some(Track {
        edit_start_90k,
        edit_len_90k: media_end.saturating_sub(edit_start_90k),
        start,
        end: wall_after(last.start, last.duration_90k()),
        frames: decoded.saturating_sub(before).saturating_sub(hidden),
        gaps,
        chunks,
    })
}
