//! Frames into groups of pictures: what is written, indexed, hashed and cut as one piece.
//!
//! A group starts at a key frame and ends where the next begins; one that grows past the limits is
//! continued in a further group that does not start at a key frame.

use std::sync::Arc;

use bytes::Bytes;
use vong_model::EventTime;

use crate::timeline::{Timeline, wall_after};
use crate::{AccessUnit, VideoParameters};

/// Duration given to a frame whose successor never came, and of the only frame of a stream: 1/25 s.
pub const GUESSED_DURATION_90K: u32 = 3_600;

/// The longest a frame may last: half a day.
pub(crate) const MAX_FRAME_DURATION_90K: u32 = 90_000 * 43_200;

/// One line of a group's frame table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 1/90000 s until the next frame.
    pub duration_90k: u32,
    /// Bytes.
    pub size: u32,
}

/// A group of pictures, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gop {
    pub parameters: Arc<VideoParameters>,
    /// Wall clock of the first frame, ours.
    pub start: EventTime,
    /// The same instant by the camera's clock, if it was told.
    pub camera_time: Option<EventTime>,
    /// The first frame is a key frame; false only for the continuation of a very long group.
    pub key: bool,
    /// RTP packets lost before or inside.
    pub lost_packets: u32,
    /// As many as `data`; never empty.
    pub frames: Vec<Frame>,
    /// Length-prefixed NAL units, one item per frame.
    pub data: Vec<Bytes>,
}

impl Gop {
    /// Sum of the frames' durations, 1/90000 s.
    pub fn duration_90k(&self) -> u64 {
        self.frames.iter().fold(0, |sum, frame| sum.saturating_add(u64::from(frame.duration_90k)))
    }

    /// Bytes of all frames.
    pub fn payload_len(&self) -> u64 {
        self.frames.iter().fold(0, |sum, frame| sum.saturating_add(u64::from(frame.size)))
    }

    /// Wall clock after the last frame.
    pub fn end(&self) -> EventTime {
        wall_after(self.start, self.duration_90k())
    }
}

/// How far one group may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GopLimits {
    pub frames: usize,
    pub bytes: u64,
    pub duration_90k: u64,
    /// A single frame larger than this is dropped.
    pub frame_bytes: usize,
}

impl GopLimits {
    /// Frames of a group by default.
    pub const FRAMES: usize = 3_000;
    /// Bytes after which a group is continued in a further one by default.
    pub const BYTES: u64 = 32 << 20;
}

impl Default for GopLimits {
    /// 3,000 frames, 32 MiB, 30 s; 16 MiB a frame.
    fn default() -> Self {
        Self {
            frames: Self::FRAMES,
            bytes: Self::BYTES,
            duration_90k: 30 * 90_000,
            frame_bytes: 16 << 20,
        }
    }
}

/// Frames that were not kept, by reason; counts since the builder was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedFrames {
    /// No parameters were known yet.
    pub without_parameters: u64,
    /// No key frame came before them, or none since a frame that was too large.
    pub before_key: u64,
    /// Without a byte.
    pub empty: u64,
    /// Larger than [`GopLimits::frame_bytes`]. What refers to one cannot be shown: the group ends.
    pub oversized: u64,
}

impl DroppedFrames {
    /// What was dropped since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            without_parameters: self.without_parameters.saturating_sub(before.without_parameters),
            before_key: self.before_key.saturating_sub(before.before_key),
            empty: self.empty.saturating_sub(before.empty),
            oversized: self.oversized.saturating_sub(before.oversized),
        }
    }
}

/// Collects access units; gives a [`Gop`] back each time one is complete.
#[derive(Debug)]
pub struct GopBuilder {
    limits: GopLimits,
    timeline: Timeline,
    parameters: Option<Arc<VideoParameters>>,
    open: Option<Open>,
    dropped: DroppedFrames,
}

/// The group being collected: its last frame has no duration yet.
#[derive(Debug)]
struct Open {
    gop: Gop,
    bytes: u64,
    first_media: u64,
    last_media: u64,
}

impl GopBuilder {
    pub fn new(limits: GopLimits) -> Self {
        Self {
            limits,
            timeline: Timeline::new(),
            parameters: None,
            open: None,
            dropped: DroppedFrames::default(),
        }
    }

    /// Takes new parameters; the group so far, if they differ from the old ones.
    pub fn parameters(&mut self, parameters: &Arc<VideoParameters>) -> Option<Gop> {
        if self.parameters.as_ref() == Some(parameters) {
            return None;
        }
        self.parameters = Some(Arc::clone(parameters));
        self.open.take().map(Open::close_without_successor)
    }

    /// Takes the next frame; the group it completes, if it does.
    pub fn access_unit(&mut self, unit: &AccessUnit) -> Option<Gop> {
        if unit.data.is_empty() {
            self.dropped.empty = self.dropped.empty.saturating_add(1);
            return None;
        }
        let size = u32::try_from(unit.data.len()).ok();
        let Some(size) = size.filter(|_| unit.data.len() <= self.limits.frame_bytes) else {
            self.dropped.oversized = self.dropped.oversized.saturating_add(1);
            let stamp = self.timeline.stamp(unit.pts_90k, unit.received_at);
            return self.open.take().map(|open| open.close(stamp.media_90k));
        };
        let Some(parameters) = &self.parameters else {
            self.dropped.without_parameters = self.dropped.without_parameters.saturating_add(1);
            return None;
        };
        if self.open.is_none() && !unit.key {
            self.dropped.before_key = self.dropped.before_key.saturating_add(1);
            return None;
        }
        let stamp = self.timeline.stamp(unit.pts_90k, unit.received_at);
        let Some(mut open) = self.open.take() else {
            let start = stamp.wall;
            self.open = Some(Open::start(parameters, unit, start, stamp.media_90k));
            return None;
        };
        let complete = unit.key || open.is_full(&self.limits, stamp.media_90k);
        if !complete {
            open.push(unit, size, stamp.media_90k);
            self.open = Some(open);
            return None;
        }
        let gop = open.close(stamp.media_90k);
        // A continuation follows on to the microsecond, whatever the wall clock was anchored to.
        let start = if unit.key { stamp.wall } else { gop.end() };
        self.open = Some(Open::start(parameters, unit, start, stamp.media_90k));
        Some(gop)
    }

    /// The stream ended here; the group so far.
    pub fn interrupted(&mut self) -> Option<Gop> {
        self.timeline.interrupted();
        self.open.take().map(Open::close_without_successor)
    }

    /// Frames dropped so far.
    pub fn dropped(&self) -> DroppedFrames {
        self.dropped
    }

    /// Bytes held in memory for the group being collected.
    pub fn pending_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.bytes)
    }
}

impl Open {
    fn start(
        parameters: &Arc<VideoParameters>,
        unit: &AccessUnit,
        start: EventTime,
        media: u64,
    ) -> Self {
        let size = u32::try_from(unit.data.len()).unwrap_or(u32::MAX);
        let gop = Gop {
            parameters: Arc::clone(parameters),
            start,
            camera_time: unit.camera_time,
            key: unit.key,
            lost_packets: unit.lost_packets,
            frames: vec![Frame { duration_90k: 0, size }],
            data: vec![unit.data.clone()],
        };
        Self { gop, bytes: u64::from(size), first_media: media, last_media: media }
    }

    fn is_full(&self, limits: &GopLimits, media: u64) -> bool {
        self.gop.frames.len() >= limits.frames
            || self.bytes >= limits.bytes
            || media.saturating_sub(self.first_media) >= limits.duration_90k
    }

    fn push(&mut self, unit: &AccessUnit, size: u32, media: u64) {
        self.end_last_frame(media);
        self.gop.lost_packets = self.gop.lost_packets.saturating_add(unit.lost_packets);
        self.gop.frames.push(Frame { duration_90k: 0, size });
        self.gop.data.push(unit.data.clone());
        self.bytes = self.bytes.saturating_add(u64::from(size));
        self.last_media = media;
    }

    fn end_last_frame(&mut self, media: u64) {
        let duration = u32::try_from(media.saturating_sub(self.last_media)).unwrap_or(u32::MAX);
        if let Some(last) = self.gop.frames.last_mut() {
            last.duration_90k = duration.clamp(1, MAX_FRAME_DURATION_90K);
        }
    }

    fn close(mut self, next_media: u64) -> Gop {
        self.end_last_frame(next_media);
        self.gop
    }

    /// The last frame lasts as long as the one before it.
    fn close_without_successor(mut self) -> Gop {
        let before_last = self.gop.frames.iter().rev().nth(1);
        let duration = before_last.map_or(GUESSED_DURATION_90K, |frame| frame.duration_90k);
        if let Some(last) = self.gop.frames.last_mut() {
            last.duration_90k = duration;
        }
        self.gop
    }
}

#[cfg(test)]
pub(crate) mod tests;
