//! Motion JPEG of one tile: all its frames go to a decoder, in order; while it is at work they wait
//! here, and what waited becomes one picture, the newest. So a slow machine shows fewer pictures; one
//! that cannot even decode them all is late by a group at most.

use std::collections::VecDeque;
use std::sync::Arc;

use vong_media::{
    AccessUnit, MOTION_UNITS, MotionJpeg, MotionRequest, STILL_BYTES, STILL_UNITS, Still,
    VideoParameters,
};

/// Pixels: wide enough for what a person sees in motion.
const MOTION_WIDTH: u32 = 1_280;

#[derive(Debug)]
pub(super) struct Motion {
    stream: Box<dyn MotionJpeg>,
    parameters: Arc<VideoParameters>,
    waiting: VecDeque<Arc<AccessUnit>>,
    bytes: u64,
    /// Frames that the hub left out before those that wait.
    skipped: u64,
    busy: bool,
    /// The decoder cannot go on from what it has: only a key frame helps.
    lost: bool,
}

impl Motion {
    pub(super) fn new(stream: Box<dyn MotionJpeg>, parameters: Arc<VideoParameters>) -> Self {
        Self {
            stream,
            parameters,
            waiting: VecDeque::new(),
            bytes: 0,
            skipped: 0,
            busy: false,
            lost: true,
        }
    }

    /// The next frame, before which the hub left out `skipped`.
    pub(super) fn push(&mut self, unit: &Arc<AccessUnit>, skipped: u64) {
        self.skipped += skipped;
        let is_behind = self.waiting.len() >= MOTION_UNITS;
        let is_full = self.waiting.len() >= STILL_UNITS || self.bytes >= STILL_BYTES;
        if skipped > 0 || is_full || (unit.key && is_behind) {
            self.lose(self.waiting.len());
        }
        if unit.key || !self.lost || !self.waiting.is_empty() {
            self.bytes += unit.data.len() as u64;
            self.waiting.push_back(Arc::clone(unit));
        }
    }

    /// Has the frames that wait decoded, unless others are: the last of them, what the hub left out
    /// before it, and its picture.
    pub(super) fn next(&mut self) -> Option<(Arc<AccessUnit>, u64, Still)> {
        if self.busy {
            return None;
        }
        let (mut units, mut bytes, mut last) = (Vec::new(), 0, None);
        while let Some(unit) = self.waiting.pop_front_if(|unit| {
            units.len() < MOTION_UNITS && bytes + unit.data.len() as u64 <= STILL_BYTES
        }) {
            bytes += unit.data.len() as u64;
            units.push(unit.data.clone());
            last = Some(unit);
        }
        let Some(last) = last else {
            if !self.waiting.is_empty() {
                self.lose(self.waiting.len()); // one frame alone is too large for the decoder
            }
            return None;
        };
        self.bytes -= bytes;
        self.busy = true;
        let still = self.stream.next(MotionRequest {
            parameters: Arc::clone(&self.parameters),
            restart: std::mem::take(&mut self.lost),
            units,
            max_width: MOTION_WIDTH,
        });
        Some((last, std::mem::take(&mut self.skipped), still))
    }

    /// The picture that was asked for last came, or did not.
    pub(super) fn made(&mut self, is_good: bool) {
        self.busy = false;
        if !is_good {
            let key = self.waiting.iter().position(|unit| unit.key);
            self.lose(key.unwrap_or(self.waiting.len()));
        }
    }

    /// Leaves out the first `frames` that wait; the next one must be a key frame.
    fn lose(&mut self, frames: usize) {
        self.lost = true;
        let gone = self.waiting.drain(..frames);
        self.bytes -= gone.map(|unit| unit.data.len() as u64).sum::<u64>();
    }
}
