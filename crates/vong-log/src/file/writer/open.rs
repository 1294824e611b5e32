//! The segment being written, and what a failure leaves of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use vong_model::Offset;

use super::chain::ChainHash;
use crate::Error;
use crate::disk::DiskFile;
use crate::error::is_full;
use crate::format::{HEADER_BYTES, Previous, SegmentHeader};
use crate::metrics::LogMetrics;

#[derive(Debug)]
pub(super) struct Open {
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) first: Offset,
    /// So much of it is durable.
    pub(super) position: u64,
    pub(super) created_at: i64,
    /// What its header says of the segment before.
    pub(super) previous: Previous,
    /// A reserve: it must not grow past this.
    pub(super) room: Option<u64>,
    /// Over what is durable, for the segment that will follow.
    pub(super) chain: ChainHash,
}

/// Nothing was acknowledged.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: Error,
    /// Nothing may be written to this file any more.
    pub(super) is_final: bool,
}

impl Open {
    /// A segment of which there is only the header.
    pub(super) fn begun(path: PathBuf, file: Box<dyn DiskFile>, header: &SegmentHeader) -> Self {
        let SegmentHeader { first, created_at, previous, .. } = *header;
        let position = HEADER_BYTES as u64;
        let chain = ChainHash::new(Sha256::new_with_prefix(header.encode()));
        Self { path, file, first, position, created_at, previous, room: None, chain }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.position <= HEADER_BYTES as u64
    }

    /// Puts `bytes` at the end; durable once this returns. Says how long the disk took for that.
    pub(super) fn write(&mut self, bytes: &[u8], metrics: &LogMetrics) -> Result<Duration, Failed> {
        if self.room.is_some_and(|room| self.position + bytes.len() as u64 > room) {
            return Err(Failed { error: Error::no_space(&self.path), is_final: false });
        }
        if let Err(source) = self.file.write_at(bytes, self.position) {
            let error = Error::io("write segment", &self.path, source);
            return Err(Failed { error, is_final: !self.take_back() });
        }
        let started = Instant::now();
        if let Err(source) = self.file.sync() {
            let path = self.path.clone();
            let error = if is_full(&source) {
                Error::io("sync segment", &path, source)
            } else {
                Error::Sync { path, source: Arc::new(source) }
            };
            return Err(Failed { error, is_final: true });
        }
        let took = started.elapsed();
        metrics.sync_seconds.observe(took.as_secs_f64());
        self.position += bytes.len() as u64;
        Ok(took)
    }

    /// Takes the part of a write that got there back, so that the next one starts clean; false when
    /// that is not possible.
    fn take_back(&mut self) -> bool {
        if let Some(room) = &mut self.room {
            *room = self.position; // full where it should have had space: not to be relied on
            return true;
        }
        match self.file.cut(self.position) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, file = %self.path.display(), "cannot take a write back");
                false
            }
        }
    }

    /// Cuts off what a reserve set aside and did not use.
    pub(super) fn give_room_back(&mut self) -> io::Result<()> {
        self.file.cut(self.position)
    }
}
