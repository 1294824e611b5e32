//! Remembers the messages of late, so that one delivered twice is stored once.

use std::collections::HashSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, UInt64Type};

use crate::decoder::Routed;
use crate::hash;

/// What the transport said about a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The broker says it has sent this message before.
    pub redelivered: bool,
    /// The broker kept it for new subscribers: it may be old.
    pub retained: bool,
}

/// A bounded memory of `(source, message hash)`.
///
/// Keeps two generations and drops the older one when the newer is full, so that it always knows
/// at least the last `capacity / 2` distinct messages and never more than `capacity`.
#[derive(Clone, Debug)]
pub struct Deduplicator {
    newer: HashSet<u64, hash::Rehash>,
    older: HashSet<u64, hash::Rehash>,
    generation: usize,
}

impl Deduplicator {
    pub fn new(capacity: usize) -> Self {
        let generation = capacity.div_ceil(2).max(1);
        Self { newer: HashSet::default(), older: HashSet::default(), generation }
    }

    /// Whether this message was seen before and must not be stored again; remembers it.
    ///
    /// Equal bytes are one message where the payload carries its own time. Where it does not, a
    /// sensor that says `0` twice has measured twice: then only a delivery the broker itself calls
    /// a repetition, or a retained one, counts as seen.
    pub fn is_repeat(&mut self, routed: &Routed, delivery: Delivery) -> bool {
        let seen_before = !self.remember(routed.source_hash(), routed.message_hash());
        seen_before && (routed.carries_time() || delivery.redelivered || delivery.retained)
    }

    /// Remembers what a logged batch of `readings` or `rejected_events` holds; other batches hold
    /// nothing to remember.
    pub fn seed(&mut self, batch: &RecordBatch) {
        let sources = batch.column_by_name("source_id");
        let hashes = batch.column_by_name("message_hash");
        let (Some(sources), Some(hashes)) = (sources, hashes) else { return };
        let Some(hashes) = hashes.as_primitive_opt::<UInt64Type>() else { return };
        let Some(sources) = sources.as_dictionary_opt::<Int32Type>() else { return };
        let Some(names) = sources.values().as_string_opt::<i32>() else { return };
        let source_hashes: Vec<u64> =
            names.iter().map(|n| hash::of_topic(n.unwrap_or(""))).collect();
        for (key, message_hash) in sources.keys().iter().zip(hashes.values()) {
            let code = key.and_then(|k| usize::try_from(k).ok());
            if let Some(source_hash) = code.and_then(|c| source_hashes.get(c)) {
                self.remember(*source_hash, *message_hash);
            }
        }
    }

    /// How many messages are remembered.
    pub fn len(&self) -> usize {
        self.newer.len().saturating_add(self.older.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if it was not known.
    fn remember(&mut self, source_hash: u64, message_hash: u64) -> bool {
        let key = hash::join(source_hash, message_hash);
        // A repetition is not remembered anew: it must not push out messages seen once.
        if self.newer.contains(&key) || self.older.contains(&key) {
            return false;
        }
        if self.newer.len() >= self.generation {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_latest_half_is_never_forgotten() {
        let mut dedup = Deduplicator::new(100);
        for hash in 0..10_000u64 {
            assert!(dedup.remember(1, hash), "{hash} is new");
            assert!(!dedup.remember(1, hash.saturating_sub(49)), "{hash} - 49 is known");
            assert!(dedup.len() <= 100);
        }
        assert!(dedup.remember(1, 0), "long forgotten");
        assert!(dedup.remember(2, 9_999), "another source's message");
    }
}
