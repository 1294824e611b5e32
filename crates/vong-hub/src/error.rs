//! What ends the hub.

use vong_model::Offset;
use vong_model::columns::WrongSchema;
use vong_telemetry::{Classify, Kind};

/// Why the hub cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the log at offset {from}")]
    ReadLog { from: Offset, source: vong_log::Error },
    /// The log checks schemas when it takes a batch, so this is a bug.
    #[error("cannot understand the log record at offset {offset}")]
    Record { offset: Offset, source: WrongSchema },
    #[error("log reader ended before it answered")]
    ReaderGone,
    #[error("log was closed while the hub follows it")]
    LogClosed,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::ReadLog { source, .. } => source.kind(),
            Self::Record { .. } | Self::ReaderGone => Kind::Internal,
            Self::LogClosed => Kind::Cancelled,
        }
    }
}
