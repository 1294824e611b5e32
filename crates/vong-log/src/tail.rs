//! The latest records, decoded, in memory: followers read here and touch no disk.
//!
//! Bounded by bytes; the newest record is always kept, however large.

use std::collections::VecDeque;

use vong_model::Offset;

use crate::Record;

/// A window on the end of the log.
#[derive(Debug)]
pub(crate) struct Tail {
    records: VecDeque<(usize, Record)>,
    bytes: usize,
    limit_bytes: usize,
}

impl Tail {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { records: VecDeque::new(), bytes: 0, limit_bytes }
    }

    /// First offset held; `None` when nothing is.
    pub(crate) fn first(&self) -> Option<Offset> {
        self.records.front().map(|(_, record)| record.offset)
    }

    /// Adds the record that follows; `bytes` is what it weighs. What has no room any more goes to
    /// `dropped`: freeing it takes longer than anything else here.
    pub(crate) fn push(&mut self, bytes: usize, record: Record, dropped: &mut Vec<Record>) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.records.push_back((bytes, record));
        while self.bytes > self.limit_bytes && self.records.len() > 1 {
            if let Some((weight, record)) = self.records.pop_front() {
                self.bytes = self.bytes.saturating_sub(weight);
                dropped.push(record);
            }
        }
    }

    /// Forgets everything below `floor`.
    pub(crate) fn drop_below(&mut self, floor: Offset) {
        while self.records.front().is_some_and(|(_, record)| record.offset < floor) {
            if let Some((dropped, _)) = self.records.pop_front() {
                self.bytes = self.bytes.saturating_sub(dropped);
            }
        }
    }

    /// Records from `from`, which must not lie before [`Self::first`], up to about `max_bytes`.
    pub(crate) fn read(&self, from: Offset, max_bytes: usize) -> Vec<Record> {
        let Some(first) = self.first() else { return Vec::new() };
        let skip = usize::try_from(from.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        let mut taken = 0_usize;
        let mut found = Vec::new();
        for (bytes, record) in self.records.iter().skip(skip) {
            if !found.is_empty() && taken.saturating_add(*bytes) > max_bytes {
                break;
            }
            taken = taken.saturating_add(*bytes);
            found.push(record.clone());
        }
        found
    }
}
