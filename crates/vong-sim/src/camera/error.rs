//! What can go wrong in drawing, encoding and serving the cameras.

use std::net::SocketAddr;

use vong_telemetry::{Classify, Kind};

/// A failure of the camera farm.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("camera stream {path} is given twice")]
    DuplicateStream { path: String },
    #[error("cannot open the encoder of camera stream {path}")]
    OpenEncoder {
        path: String,
        #[source]
        source: ffmpeg_next::Error,
    },
    #[error("cannot encode frame {frame}")]
    Encode {
        frame: u64,
        #[source]
        source: ffmpeg_next::Error,
    },
    #[error("cannot serve cameras on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start thread {name}")]
    StartThread {
        name: String,
        #[source]
        source: std::io::Error,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::DuplicateStream { .. } => Kind::InvalidInput,
            Error::OpenEncoder { .. } | Error::Encode { .. } => Kind::Internal,
            Error::Listen { .. } => Kind::Unavailable,
            Error::StartThread { .. } => Kind::Exhausted,
        }
    }
}
