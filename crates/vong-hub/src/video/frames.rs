//! The latest frames of one stream, numbered without holes.

use std::collections::VecDeque;
use std::sync::Arc;

use vong_media::{AccessUnit, VideoParameters};

/// What a stream keeps at most; beyond it the oldest frames go, key frame or not.
pub(super) const KEPT_BYTES: usize = 24 * 1024 * 1024;
const KEPT_FRAMES: usize = 2_048;

/// Frames from a key frame on; while somebody watches, also the group before it.
#[derive(Debug, Default)]
pub(super) struct Frames {
    kept: VecDeque<Arc<AccessUnit>>,
    bytes: usize,
    /// Number of the first kept frame.
    first: u64,
    newest_key: Option<u64>,
    key_before: Option<u64>,
    parameters: Option<Arc<VideoParameters>>,
    /// Grows when the stream begins anew: the camera was lost, or its parameters changed.
    stream: u64,
    connected: bool,
}

impl Frames {
    pub(super) fn begin(&mut self, parameters: &Arc<VideoParameters>) {
        if self.connected && self.parameters.as_ref() == Some(parameters) {
            return;
        }
        self.forget_all();
        self.parameters = Some(Arc::clone(parameters));
        self.stream += 1;
        self.connected = true;
    }

    pub(super) fn interrupt(&mut self) {
        self.forget_all();
        self.connected = false;
    }

    /// Keeps `unit`; the group before the newest only when `watched`, for those a little late.
    pub(super) fn push(&mut self, unit: Arc<AccessUnit>, watched: bool) {
        if unit.key {
            self.key_before = self.newest_key.filter(|_| watched);
            self.newest_key = Some(self.next());
            let from = self.key_before.or(self.newest_key);
            while from.is_some_and(|key| self.first < key) {
                self.drop_oldest();
            }
        }
        self.bytes += unit.data.len();
        self.kept.push_back(unit);
        while (self.bytes > KEPT_BYTES || self.kept.len() > KEPT_FRAMES) && self.kept.len() > 1 {
            self.drop_oldest();
        }
    }

    pub(super) fn connected(&self) -> bool {
        self.connected
    }

    /// Whether there is a picture for a newcomer.
    pub(super) fn shows(&self) -> bool {
        self.connected && self.newest_key.is_some()
    }

    /// The stream's number and what its decoder must know.
    pub(super) fn stream(&self) -> (u64, Option<&Arc<VideoParameters>>) {
        (self.stream, self.parameters.as_ref())
    }

    /// The frame a viewer gets who wants number `wanted` (`None`: who wants a start), and its number.
    pub(super) fn frame(&self, wanted: Option<u64>) -> Option<(u64, Arc<AccessUnit>)> {
        let number = match wanted {
            Some(wanted) if wanted >= self.first => wanted,
            _ => self.newest_key?,
        };
        self.at(number)
    }

    /// The newest key frame, unless its number is below `wanted`.
    pub(super) fn key_frame(&self, wanted: Option<u64>) -> Option<(u64, Arc<AccessUnit>)> {
        let number = self.newest_key.filter(|key| wanted.is_none_or(|wanted| *key >= wanted))?;
        self.at(number)
    }

    /// Whether nothing came after frame `number`.
    pub(super) fn is_newest(&self, number: u64) -> bool {
        number + 1 == self.next()
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }

    fn at(&self, number: u64) -> Option<(u64, Arc<AccessUnit>)> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        Some((number, Arc::clone(self.kept.get(place)?)))
    }

    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn forget_all(&mut self) {
        self.first += self.kept.len() as u64;
        self.kept.clear();
        self.bytes = 0;
        (self.newest_key, self.key_before) = (None, None);
    }

    fn drop_oldest(&mut self) {
        if let Some(unit) = self.kept.pop_front() {
            self.bytes -= unit.data.len();
            self.first += 1;
        }
        if self.newest_key.is_some_and(|key| key < self.first) {
            self.newest_key = None;
        }
        if self.key_before.is_some_and(|key| key < self.first) {
            self.key_before = None;
        }
    }
}
