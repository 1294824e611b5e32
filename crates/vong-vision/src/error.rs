//! What can go wrong between coded frames and findings.

use vong_telemetry::{Classify, Kind};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bytes from a camera that are not what they should be; carries which part of them.
    #[error("malformed {what}")]
    Malformed { what: &'static str },
    /// The decoder made no sound picture of the frames.
    #[error("frames give no picture: {why}")]
    Undecodable { why: String },
    #[error("could not {action}")]
    Codec {
        action: &'static str,
        #[source]
        source: ffmpeg_next::Error,
    },
    /// The other side of the pipe spoke another protocol, or nonsense.
    #[error("pipe between vong and its vision worker: {what}")]
    Protocol { what: &'static str },
    #[error("pipe between vong and its vision worker broke")]
    Pipe(#[source] std::io::Error),
    #[error("could not start the vision worker")]
    Start(#[source] std::io::Error),
    /// Text of a scene file that does not hold; says where and what to do.
    #[error("{0}")]
    Scene(String),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Malformed { .. } | Self::Undecodable { .. } => Kind::Corrupt,
            Self::Codec { .. } | Self::Protocol { .. } => Kind::Internal,
            Self::Pipe(_) | Self::Start(_) => Kind::Unavailable,
            Self::Scene(_) => Kind::InvalidInput,
        }
    }
}
