//! How much is on its way to a page, and for how long it has taken nothing.

use std::time::Duration;

use tokio::time::Instant;
use vong_wire::video::WINDOW_BYTES;

/// Payload bytes sent and taken since the connection began.
#[derive(Debug, Default)]
pub(super) struct Flow {
    sent: u64,
    taken: u64,
    shut_since: Option<Instant>,
}

impl Flow {
    /// Whether another picture may be sent.
    pub(super) fn is_open(&self) -> bool {
        self.sent - self.taken < WINDOW_BYTES
    }

    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        self.sent += bytes as u64;
        if !self.is_open() {
            self.shut_since.get_or_insert(now);
        }
    }

    /// The page has taken `taken` bytes in all; false when that cannot be.
    pub(super) fn taken(&mut self, taken: u64, now: Instant) -> bool {
        if taken > self.sent || taken < self.taken {
            return false;
        }
        let moved = taken > self.taken;
        self.taken = taken;
        if self.is_open() {
            self.shut_since = None;
        } else if moved {
            self.shut_since = Some(now);
        }
        true
    }

    /// For how long the window has been full without anything being taken.
    pub(super) fn shut_for(&self, now: Instant) -> Duration {
        self.shut_since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_window_shuts_until_something_is_taken() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let half = WINDOW_BYTES / 2;
        let halves = |n| usize::try_from(n * half).unwrap();
        let mut flow = Flow::default();
        flow.sent(halves(1), at(0));
        assert!(flow.is_open());
        flow.sent(halves(3), at(1));
        assert!(!flow.is_open());
        assert_eq!(flow.shut_for(at(5)), Duration::from_secs(4));
        assert!(flow.taken(half, at(5)), "something, too little to open");
        assert_eq!((flow.is_open(), flow.shut_for(at(6))), (false, Duration::from_secs(1)));
        assert!(flow.taken(3 * half, at(6)));
        assert_eq!((flow.is_open(), flow.shut_for(at(9))), (true, Duration::ZERO));
    }

    #[test]
    fn nobody_takes_more_than_was_sent_or_gives_back() {
        let now = Instant::now();
        let mut flow = Flow::default();
        flow.sent(100, now);
        assert!(!flow.taken(101, now));
        assert!(flow.taken(100, now));
        assert!(!flow.taken(99, now));
    }
}
