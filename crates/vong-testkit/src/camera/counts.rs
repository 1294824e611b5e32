//! What a camera did, counted as it happens.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one camera since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CameraCounts {
    pub connections: u64,
    pub describes: u64,
    pub plays: u64,
    /// Requests refused for a missing, wrong or stale log-in.
    pub unauthorized: u64,
    /// Frames handed to the connection whole.
    pub frames: u64,
    pub packets: u64,
    /// Packets left out on purpose.
    pub packets_dropped: u64,
    pub bytes: u64,
    pub reports: u64,
    pub torn_down: u64,
}

/// The same, while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) connections: AtomicU64,
    pub(crate) describes: AtomicU64,
    pub(crate) plays: AtomicU64,
    pub(crate) unauthorized: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) packets: AtomicU64,
    pub(crate) packets_dropped: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) reports: AtomicU64,
    pub(crate) torn_down: AtomicU64,
}

impl Counting {
    pub(crate) fn now(&self) -> CameraCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CameraCounts {
            connections: of(&self.connections),
            describes: of(&self.describes),
            plays: of(&self.plays),
            unauthorized: of(&self.unauthorized),
            frames: of(&self.frames),
            packets: of(&self.packets),
            packets_dropped: of(&self.packets_dropped),
            bytes: of(&self.bytes),
            reports: of(&self.reports),
            torn_down: of(&self.torn_down),
        }
    }
}

/// Adds one; gives the number before.
pub(crate) fn tick(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed)
}
