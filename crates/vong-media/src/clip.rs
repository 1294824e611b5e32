//! Clips: which bytes of which files, behind which generated head, are the footage of an interval.
//!
//! Media time of a clip follows the wall clock: where frames are missing the frame before the gap
//! is held, so that a second of playing is a second of the day, and the gap is declared. A clip
//! begins at the last key frame at or before its start, as decoding must, and an edit list hides
//! what lies before the frame that was on screen when the interval began.

mod mp4;
mod select;

use std::sync::Arc;

use bytes::Bytes;
use vong_model::EventTime;

use crate::{Error, Frame, VideoParameters};

/// Frames missing for longer than this are a gap.
pub const GAP_TOLERANCE: std::time::Duration = std::time::Duration::from_millis(100);

/// The most frames in one clip: 22 hours at 25 frames a second.
pub const MAX_CLIP_FRAMES: usize = 2_000_000;

/// The shape of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClipForm {
    /// Init segment and one fragment per group: for players that are fed piece by piece.
    Fragmented,
    /// All sample tables in front, then the frames: for everything else, and a USB stick.
    Faststart,
    /// As [`Self::Faststart`], but every group is whole, so that the hashes taken over groups can be
    /// computed again from the file; the edit list hides what was not asked for.
    WholeGroups,
}

/// One recorded group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipGop {
    /// The caller's number for the file it lies in.
    pub file: u32,
    /// Index into the parameters given along.
    pub description: u32,
    pub start: EventTime,
    pub key: bool,
    /// Where in the file its first frame starts.
    pub payload_offset: u64,
    pub frames: Vec<Frame>,
}

/// Where nothing was recorded, inside what was asked for: between groups, or inside one (see
/// [`covered`](crate::covered)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: EventTime,
    pub to: EventTime,
}

/// Bytes of a clip, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Generated(Bytes),
    /// `len` bytes at `offset` of the file with the caller's number `file`.
    File {
        file: u32,
        offset: u64,
        len: u64,
    },
}

impl Piece {
    /// Bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Generated(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A clip, ready to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipPlan {
    pub pieces: Vec<Piece>,
    /// Bytes of all pieces.
    pub total_len: u64,
    /// Wall clock of the first frame shown: at or before `from`, or after it behind a gap.
    pub start: EventTime,
    /// Wall clock after the last frame shown.
    pub end: EventTime,
    /// What a player plays, 1/90000 s.
    pub duration_90k: u64,
    /// Media time of the first frame shown, 1/90000 s: what the edit list skips.
    pub edit_start_90k: u64,
    /// Frames shown.
    pub frames: u64,
    /// What of the interval is not there.
    pub gaps: Vec<Gap>,
    /// The groups that are in it, in order.
    pub gops: Vec<PlannedGop>,
}

/// A group in a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedGop {
    /// Which of the groups given.
    pub index: usize,
    /// Media time of its first frame, 1/90000 s since the clip's first.
    pub media_90k: u64,
}

/// Lays out the clip of `[from, to)`.
///
/// `gops` must be in the order they were recorded, which is that of `start` unless a clock was set
/// back, and reach back to a key frame at or before `from` if there is one; those outside the
/// interval are ignored, and so are those that cannot be decoded. If the codec changes inside, the one that covers
/// more of the interval is kept and the rest is declared missing.
///
/// Formats: ISO/IEC 14496-12, 8.6.6 (edit list), 8.8 (fragments), 8.7 (chunks).
pub fn plan_clip(
    form: ClipForm,
    parameters: &[Arc<VideoParameters>],
    gops: &[ClipGop],
    from: EventTime,
    to: EventTime,
) -> Result<ClipPlan, Error> {
    if from >= to {
        return Err(Error::EmptyInterval { from, to });
    }
    let track = select::select(form, parameters, gops, (from, to))?;
    let pieces = match form {
        ClipForm::Fragmented => mp4::fragmented(&track, parameters)?,
        ClipForm::Faststart | ClipForm::WholeGroups => mp4::faststart(&track, parameters)?,
    };
    let select::Track { chunks, edit_start_90k, edit_len_90k, start, end, frames, gaps } = track;
    let gops = chunks
        .iter()
        .map(|chunk| PlannedGop { index: chunk.index, media_90k: chunk.media_90k })
        .collect();
    Ok(ClipPlan {
        total_len: pieces.iter().map(Piece::len).fold(0, u64::saturating_add),
        pieces,
        start,
        end,
        duration_90k: edit_len_90k,
        edit_start_90k,
        frames,
        gaps,
        gops,
    })
}

#[cfg(test)]
mod tests;
