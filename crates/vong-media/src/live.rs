//! One fragment per frame, for tiles that must not wait for a group to end.

use bytes::Bytes;
use vong_model::EventTime;

use crate::boxes::Fragment;
use crate::gop::GUESSED_DURATION_90K;
use crate::timeline::Timeline;
use crate::{AccessUnit, Error, Frame};

/// One frame as `moof` + `mdat`, to be appended after an init segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFragment {
    pub bytes: Bytes,
    /// A player may start here.
    pub key: bool,
    /// Time since the stream began, 1/90000 s; what `tfdt` says.
    pub media_time_90k: u64,
    /// Wall clock of the frame, ours.
    pub wall: EventTime,
}

/// Wraps the frames of one camera one by one.
///
/// A frame's duration is not known before the next arrives, so it is taken to last as long as the
/// one before it; every fragment states its own absolute time, so the guess never adds up.
#[derive(Debug, Default)]
pub struct LiveFragmenter {
    timeline: Timeline,
    sequence: u32,
    last: Option<(u64, u32)>,
}

impl LiveFragmenter {
    pub fn new() -> Self {
        Self::default()
    }

    /// Wraps `unit`. Fails only on a frame of 4 GiB.
    pub fn wrap(&mut self, unit: &AccessUnit) -> Result<LiveFragment, Error> {
        let stamp = self.timeline.stamp(unit.pts_90k, unit.received_at);
        let duration = self.guess_duration(stamp.media_90k);
        self.last = Some((stamp.media_90k, duration));
        self.sequence = self.sequence.wrapping_add(1);
        let size = u32::try_from(unit.data.len()).unwrap_or(u32::MAX);
        let fragment = Fragment {
            sequence: self.sequence,
            media_time_90k: stamp.media_90k,
            frames: &[Frame { duration_90k: duration, size }],
            key: unit.key,
            description: 1,
        };
        let mut bytes = Vec::with_capacity(unit.data.len().saturating_add(128));
        fragment.encode_head(&mut bytes)?;
        bytes.extend_from_slice(&unit.data);
        Ok(LiveFragment {
            bytes: Bytes::from(bytes),
            key: unit.key,
            media_time_90k: stamp.media_90k,
            wall: stamp.wall,
        })
    }

    /// The next frame starts a new stream: media time begins at 0 again, so players need the init
    /// segment anew.
    pub fn interrupted(&mut self) {
        self.timeline.interrupted();
        self.last = None;
    }

    fn guess_duration(&self, media: u64) -> u32 {
        let Some((last_media, last_duration)) = self.last else {
            return GUESSED_DURATION_90K;
        };
        let step = u32::try_from(media.saturating_sub(last_media)).unwrap_or(last_duration);
        // A stall or a burst says nothing about the next frame.
        if (1..=9 * GUESSED_DURATION_90K).contains(&step) { step } else { last_duration }
    }
}
