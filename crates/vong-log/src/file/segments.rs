//! Which segments there are: the closed ones, the one that grows, and how old ones are let go.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use vong_model::Offset;

use super::Shared;
use crate::format::{HEADER_BYTES, IndexEntry};
use crate::tail::Tail;
use crate::{Error, segment};

#[derive(Debug)]
pub(super) struct State {
    pub(super) sealed: VecDeque<Sealed>,
    pub(super) active: Active,
    pub(super) head: Offset,
    pub(super) tail: Tail,
}

/// A closed segment: by a seal, or by what its successor says of it.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) first: Offset,
    pub(super) next: Offset,
    /// So much of the file counts.
    pub(super) bytes: u64,
    /// When its last record was written.
    pub(super) closed_at: i64,
    pub(super) index: Arc<[IndexEntry]>,
}

/// The segment that grows.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) first: Offset,
    pub(super) durable_bytes: u64,
    pub(super) index: Vec<IndexEntry>,
}

impl Active {
    /// One without a record; its file need not be there yet.
    pub(super) fn new(first: Offset) -> Self {
        Self { first, durable_bytes: HEADER_BYTES as u64, index: Vec::new() }
    }
}

impl State {
    pub(super) fn floor(&self) -> Offset {
        self.sealed.front().map_or(self.active.first, |oldest| oldest.first)
    }
}

impl Shared {
    /// Deletes closed segments that lie wholly below `below`.
    pub(super) fn trim(&self, below: Offset) -> Result<(), Error> {
        let _one_at_a_time = self.trimming.lock();
        loop {
            let oldest = {
                let mut state = self.state.write();
                if state.sealed.front().is_none_or(|oldest| oldest.next > below) {
                    return Ok(());
                }
                // Readers are told first: from here on the segment is trimmed, not missing.
                state.sealed.pop_front()
            };
            let Some(oldest) = oldest else { return Ok(()) };
            if let Err(error) = self.delete(&oldest) {
                // Still there, so it still counts: a later one must not go before it.
                self.state.write().sealed.push_front(oldest);
                return Err(error);
            }
            self.forget_below_floor();
        }
    }

    /// Durable before the next is deleted, so that a crash leaves no hole.
    fn delete(&self, oldest: &Sealed) -> Result<(), Error> {
        let path = segment::path_of(&self.dir, oldest.first);
        match self.disk.remove(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {} // was missing before
            removed => removed.map_err(|e| Error::io("delete segment", &path, e))?,
        }
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(|e| Error::io("sync the log directory", &self.dir, e))
    }

    fn forget_below_floor(&self) {
        let floor = {
            let mut state = self.state.write();
            let floor = state.floor();
            state.tail.drop_below(floor);
            floor
        };
        self.metrics.floor.set(i64::try_from(floor.0).unwrap_or(i64::MAX));
        self.metrics.segments.dec();
        self.quarantine.lock().drop_below(floor);
        self.show_quarantine();
    }
}
