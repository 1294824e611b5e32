//! What can go wrong with a model or a picture.

use std::path::PathBuf;

use vong_telemetry::{Classify, Kind};

/// Why there is no detector, or no detections.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there, or may not be read.
    #[error("could not read the detector's model {path}; `cargo xtask model` makes it")]
    Read {
        /// The file that was looked for.
        path: PathBuf,
        /// Why it could not be read.
        source: std::io::Error,
    },
    /// The file is no ONNX model, is damaged, or is another model.
    #[error("not the detector's model: {why}; make it again with `cargo xtask model`: {path}")]
    Model {
        /// The file that was read.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The network could not be computed, although the model was accepted.
    #[error("could not compute the detector's network: {why}")]
    Compute {
        /// What the computation said.
        why: String,
    },
    /// The bytes of a picture are not what its size says.
    #[error("a picture of {width} x {height} has {expected} bytes, this one has {found}")]
    Picture {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Three times columns times rows.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Kind::NotFound
            }
            Self::Read { .. } => Kind::Unavailable,
            Self::Model { .. } => Kind::Corrupt,
            Self::Compute { .. } => Kind::Internal,
            Self::Picture { .. } => Kind::InvalidInput,
        }
    }
}
