//! What can go wrong with the history.

use std::io;
use std::path::PathBuf;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use vong_model::Offset;
use vong_telemetry::{Classify, Kind};

/// The history could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("parse manifest {}", path.display())]
    ParseManifest {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("manifest has version {found}, this program reads up to {supported}: {}", path.display())]
    ManifestVersion { found: u32, supported: u32, path: PathBuf },
    #[error("history was copied from log '{found}', not from log '{expected}': {}", path.display())]
    OtherLog { found: String, expected: String, path: PathBuf },
    #[error("manifest names a file that is missing or has another size: {}", path.display())]
    FileDamaged { path: PathBuf },
    #[error("commit goes through offset {through}, but history is covered to {covered}")]
    NotAhead { through: Offset, covered: Offset },
    #[error("row of offset {offset} is outside of the committed range {from} to {through}")]
    OutOfRange { offset: Offset, from: Offset, through: Offset },
    #[error("batch of stream '{stream}' does not fit its schema")]
    Shape {
        stream: &'static str,
        #[source]
        source: ArrowError,
    },
    #[error("encode rows of stream '{stream}'")]
    Encode {
        stream: &'static str,
        #[source]
        source: ParquetError,
    },
    #[error("decode {}", path.display())]
    Decode {
        path: PathBuf,
        #[source]
        source: ParquetError,
    },
    #[error("sort rows of stream '{stream}'")]
    Sort {
        stream: &'static str,
        #[source]
        source: ArrowError,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { .. } | Self::Write { .. } => Kind::Unavailable,
            Self::ParseManifest { .. } | Self::FileDamaged { .. } | Self::Decode { .. } => {
                Kind::Corrupt
            }
            Self::ManifestVersion { .. } | Self::OtherLog { .. } => Kind::InvalidInput,
            Self::NotAhead { .. }
            | Self::OutOfRange { .. }
            | Self::Shape { .. }
            | Self::Encode { .. }
            | Self::Sort { .. } => Kind::Internal,
        }
    }
}
