//! What can go wrong with a log. Cheap to clone: one failed commit is told to many waiters.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::error::ArrowError;
use vong_model::{Offset, Stream};
use vong_telemetry::{Classify, Kind, Retry};

/// Why the log could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The batch is not one of its stream: nothing was written.
    #[error("cannot append to stream '{}': {detail}", stream.name())]
    Schema { stream: Stream, detail: String },
    /// One append holds more than the format allows.
    #[error("cannot append {found} {what}, the limit is {limit}")]
    TooLarge { what: &'static str, found: usize, limit: usize },
    /// The records asked for were deleted by retention.
    #[error("cannot read offset {from}, the log now begins at {floor}")]
    Trimmed { from: Offset, floor: Offset },
    /// Another process works on the directory.
    #[error("log directory is held by another process: {}", dir.display())]
    Locked { dir: PathBuf },
    /// Bytes contradict their own checks, at a place where a crash cannot have caused it.
    #[error("damaged log at byte {position}: {what}; {advice}: {}", file.display())]
    Corrupt { what: String, advice: &'static str, position: u64, file: PathBuf },
    /// Written by another version of this program.
    #[error("segment has format version {found}, this program reads {known}: {}", file.display())]
    Version { found: u32, known: u32, file: PathBuf },
    /// The records asked for were there once and cannot be read; those before and behind can.
    #[error("offsets {from}..{until} of the log are damaged at byte {position}: {what}; run `vong fsck`, restore the file from a backup, or read on from {until}: {}", file.display())]
    Damaged { from: Offset, until: Offset, what: String, position: u64, file: PathBuf },
    /// No space left; appends work again as soon as there is.
    #[error("no space left for the log: {}", path.display())]
    DiskFull { path: PathBuf, source: Arc<io::Error> },
    /// The disk failed to make this append durable. It may be tried again: the file it was written
    /// to is given up, a new one takes over.
    #[error("commit could not be made durable, its segment is given up: {}", path.display())]
    Sync { path: PathBuf, source: Arc<io::Error> },
    /// The file system refused.
    #[error("cannot {operation}: {}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// Arrow could not write the batch.
    #[error("cannot encode a batch of stream '{}'", stream.name())]
    Encode { stream: Stream, source: Arc<ArrowError> },
    /// A configured value makes no sense.
    #[error("log setting '{key}' must be {expected}")]
    Config { key: &'static str, expected: &'static str },
    /// A cursor's name could not be a file name everywhere.
    #[error("cursor name '{name}' must be 1 to 64 of a-z, 0-9, '-' and '_'")]
    CursorName { name: String },
    /// The log was closed while the append waited.
    #[error("log is closed")]
    Closed,
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if is_full(&source) {
            return Self::DiskFull { path, source: Arc::new(source) };
        }
        Self::Io { operation, path, source: Arc::new(source) }
    }

    pub(crate) fn no_space(path: &Path) -> Self {
        let source = Arc::new(io::Error::from(io::ErrorKind::StorageFull));
        Self::DiskFull { path: path.to_path_buf(), source }
    }

    /// Where a reader may go on that accepts the loss of the records it asked for, and says so.
    pub fn resume_at(&self) -> Option<Offset> {
        match self {
            Self::Trimmed { floor, .. } => Some(*floor),
            Self::Damaged { until, .. } => Some(*until),
            _ => None,
        }
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Schema { .. }
            | Self::TooLarge { .. }
            | Self::Config { .. }
            | Self::CursorName { .. } => Kind::InvalidInput,
            Self::Trimmed { .. } => Kind::NotFound,
            Self::Locked { .. } | Self::Io { .. } | Self::Sync { .. } => Kind::Unavailable,
            Self::Corrupt { .. } | Self::Damaged { .. } | Self::Version { .. } => Kind::Corrupt,
            Self::DiskFull { .. } => Kind::Exhausted,
            Self::Encode { .. } => Kind::Internal,
            Self::Closed => Kind::Cancelled,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // A full disk empties and a flaky one answers again, in a new file if need be.
            Self::DiskFull { .. } | Self::Sync { .. } | Self::Io { .. } | Self::Locked { .. } => {
                Retry::Later
            }
            _ => Retry::Never,
        }
    }
}
