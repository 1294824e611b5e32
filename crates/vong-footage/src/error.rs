//! What can go wrong with footage on disk.

use std::io;
use std::path::{Path, PathBuf};

use vong_media::ReadError;
use vong_model::{CameraId, EventTime};
use vong_telemetry::{Classify, Kind};

/// A failure of the footage directory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "disk of the footage has {free_bytes} bytes left, {min_free_bytes} of them are for others"
    )]
    DiskFull { free_bytes: u64, min_free_bytes: u64 },
    #[error("footage directory is in use by another process: {}", dir.display())]
    InUse { dir: PathBuf },
    #[error("footage of camera '{camera}' is already being written")]
    WriterTaken { camera: CameraId },
    #[error("no footage of camera '{camera}'")]
    UnknownCamera { camera: CameraId },
    #[error("cannot write footage of camera '{camera}'")]
    Encode {
        camera: CameraId,
        #[source]
        source: vong_media::Error,
    },
    #[error("cannot lay out a clip of camera '{camera}'")]
    Clip {
        camera: CameraId,
        #[source]
        source: vong_media::Error,
    },
    #[error("clip from {from} to {to} is longer than {limit_s} s")]
    ClipTooLong { from: EventTime, to: EventTime, limit_s: u32 },
    #[error("footage is damaged: {}", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: vong_media::Error,
    },
    #[error("index and footage contradict each other: {}", path.display())]
    Contradiction { path: PathBuf },
    #[error("list of holds is damaged: {}", path.display())]
    Holds {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("what is on hold is not known, its list is damaged: {}", path.display())]
    HoldsUnknown { path: PathBuf },
    #[error("no hold {id}")]
    UnknownHold { id: u64 },
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
    }

    pub(crate) fn read(path: &Path, error: ReadError<io::Error>) -> Self {
        match error {
            ReadError::Source(source) => Self::io("read", path, source),
            ReadError::Media(source) => Self::Damaged { path: path.to_owned(), source },
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Kind::NotFound,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Exhausted,
                _ => Kind::Unavailable,
            },
            Self::DiskFull { .. } => Kind::Exhausted,
            Self::InUse { .. } => Kind::Unavailable,
            Self::WriterTaken { .. } => Kind::Internal,
            Self::UnknownCamera { .. } | Self::UnknownHold { .. } => Kind::NotFound,
            Self::Encode { source, .. } | Self::Clip { source, .. } => source.kind(),
            Self::ClipTooLong { .. } => Kind::InvalidInput,
            Self::Damaged { .. }
            | Self::Contradiction { .. }
            | Self::Holds { .. }
            | Self::HoldsUnknown { .. } => Kind::Corrupt,
        }
    }
}
