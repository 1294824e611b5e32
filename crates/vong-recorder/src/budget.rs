//! How many bytes of frames may wait for the disk, shared by all cameras.
//!
//! Groups of pictures differ a hundredfold in size, so the queue of the recorder is bounded by
//! bytes: whoever hands a group over takes its bytes first, and the writer gives them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Cheap to clone; all clones share one count.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: Arc<AtomicU64>,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: Arc::default() }
    }

    /// Takes `bytes` if that many are left. A group larger than all there is gets in alone.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let taken = self.used.try_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            let after = used.saturating_add(bytes);
            (used == 0 || after <= self.limit).then_some(after)
        });
        taken.is_ok()
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_and_come_back() {
        let budget = Budget::new(100);
        assert!(budget.take(60) && budget.take(40));
        assert!(!budget.clone().take(1));
        budget.give_back(60);
        assert!(budget.take(60) && !budget.take(1));
        budget.give_back(100);
        assert_eq!(budget.used(), 0);
        assert!(budget.take(1_000), "a giant gets in alone");
        assert!(!budget.take(1));
        budget.give_back(1_000);
        assert!(budget.take(1));
    }
}
