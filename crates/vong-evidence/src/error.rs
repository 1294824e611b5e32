//! What can go wrong with evidence.

use std::io;
use std::path::{Path, PathBuf};

use vong_model::EventTime;
use vong_telemetry::{Classify, Kind};

/// A failure of sealing, exporting or reading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The key cannot be used; without it nothing can be sealed or signed.
    #[error("{why}: {}", path.display())]
    Key { path: PathBuf, why: &'static str },
    /// The file of checkpoints is not what was written.
    #[error("{why} in line {line}: {}", path.display())]
    Checkpoints { path: PathBuf, line: usize, why: &'static str },
    #[error("{why}: {}", path.display())]
    Leaves { path: PathBuf, why: &'static str },
    #[error("cannot read the footage")]
    Footage(#[from] vong_footage::Error),
    #[error("cannot write to the log")]
    Log(#[from] vong_log::Error),
    /// The request cannot be met as it stands.
    #[error("{0}")]
    Request(String),
    #[error("nothing was recorded by any of the cameras between {from} and {to}")]
    NothingRecorded { from: EventTime, to: EventTime },
    #[error("another package is being made")]
    Busy,
    /// The disk has no room for the package.
    #[error(
        "the package needs about {needed_bytes} bytes, the disk has {free_bytes} to spare; \
         ask for fewer cameras or a shorter range, or make room"
    )]
    NoRoom { needed_bytes: u64, free_bytes: u64 },
    /// Nothing can be sealed or exported until a person has mended it.
    #[error("evidence is switched off: {0}; see the log of vong and `vong fsck`")]
    Off(String),
    #[error("there is no package '{0}'")]
    UnknownPackage(String),
    /// Not a package at all, or one whose container cannot be opened.
    #[error("{why}: {}", path.display())]
    NotAPackage { path: PathBuf, why: String },
    /// This build was made without the verifier page.
    #[error("the verifier page is not built into this vong; run `make console` and build again")]
    NoVerifierPage,
    #[error("cannot write {what} as JSON")]
    Json {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
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
            Self::Key { .. } | Self::NoVerifierPage | Self::Json { .. } => Kind::Internal,
            Self::Checkpoints { .. } | Self::Leaves { .. } => Kind::Corrupt,
            Self::Footage(source) => source.kind(),
            Self::Log(source) => source.kind(),
            Self::Request(_) | Self::NotAPackage { .. } => Kind::InvalidInput,
            Self::NothingRecorded { .. } | Self::UnknownPackage(_) => Kind::NotFound,
            Self::Busy | Self::NoRoom { .. } => Kind::Exhausted,
            Self::Off(_) => Kind::Unavailable,
        }
    }
}
