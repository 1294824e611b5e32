//! Footage of a camera that is recorded only around alerts.
//!
//! Its last seconds wait in memory, whole groups, bounded in time and bytes. When an alert fires,
//! all of them go to disk, and so does what follows until the post-roll is over. A further alert
//! meanwhile only moves that end: overlapping events share one stretch of footage.

use std::collections::VecDeque;
use std::time::Duration;

use vong_media::Gop;
use vong_model::EventTime;

/// How much waits in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// Older groups are let go.
    pub keep: Duration,
    /// Beyond this the oldest groups are let go, bytes of one camera.
    pub bytes: u64,
}

/// What becomes of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// To disk.
    Write(Box<Gop>),
    /// It waits, or nobody will want it.
    Wait,
    /// It waits, and what was written before it is complete: the event is over.
    Over,
}

/// One camera's.
#[derive(Debug)]
pub(crate) struct Ring {
    limits: RingLimits,
    groups: VecDeque<Gop>,
    bytes: u64,
    /// Groups that begin before this go to disk.
    until: Option<EventTime>,
    /// Groups let go although they were young enough, for want of bytes.
    let_go: u64,
}

impl Ring {
    pub(crate) fn new(limits: RingLimits) -> Self {
        Self { limits, groups: VecDeque::new(), bytes: 0, until: None, let_go: 0 }
    }

    /// Takes the next group of the camera.
    pub(crate) fn push(&mut self, gop: Gop) -> Next {
        if self.until.is_some_and(|until| gop.start < until) {
            return Next::Write(Box::new(gop));
        }
        let over = self.until.take().is_some();
        let newest = gop.end();
        self.bytes = self.bytes.saturating_add(gop.payload_len());
        self.groups.push_back(gop);
        while let Some(oldest) = self.groups.front() {
            let is_old = newest.since(oldest.end()) > self.limits.keep;
            if !is_old && self.bytes <= self.limits.bytes {
                break;
            }
            self.let_go = self.let_go.saturating_add(u64::from(!is_old));
            self.bytes = self.bytes.saturating_sub(oldest.payload_len());
            self.groups.pop_front();
        }
        if over { Next::Over } else { Next::Wait }
    }

    /// Records until `until`; gives back what waited, oldest first.
    pub(crate) fn record(&mut self, until: EventTime) -> Vec<Gop> {
        self.until = Some(self.until.map_or(until, |now| now.max(until)));
        self.bytes = 0;
        self.groups.drain(..).collect()
    }

    /// The camera was lost; whether an event was being recorded.
    pub(crate) fn interrupted(&self) -> bool {
        self.until.is_some()
    }

    /// Groups let go for want of bytes since the last call.
    pub(crate) fn take_let_go(&mut self) -> u64 {
        std::mem::take(&mut self.let_go)
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
