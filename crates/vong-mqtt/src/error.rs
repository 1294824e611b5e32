//! What can go wrong between a broker and the log.

use std::io;
use std::path::PathBuf;

use vong_telemetry::{Classify, Kind, Retry};

/// The operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("broker '{broker}' has no source")]
    NoSource { broker: String },
    #[error("broker '{broker}': {problem}")]
    Config { broker: String, problem: &'static str },
    #[error("cannot reach {host}:{port}")]
    Reach { host: String, port: u16, source: io::Error },
    #[error("no answer from {host}:{port} within {seconds} s")]
    NoAnswer { host: String, port: u16, seconds: u64 },
    #[error("cannot read {what}: {}", path.display())]
    ReadFile { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot use TLS: {problem}: {}", path.display())]
    Tls { problem: String, path: PathBuf },
    #[error("broker refused the connection: {reason}")]
    Refused { reason: String },
    #[error("broker ended the connection: {reason}")]
    Ended { reason: String },
    #[error("broker spoke no MQTT: {problem}")]
    Protocol { problem: String },
    #[error("connection broke")]
    Broke { source: io::Error },
    #[error("broker has been silent for {seconds} s")]
    Silent { seconds: u64 },
    #[error("cannot append to the log")]
    Append { source: vong_log::Error },
    #[error("cannot read the log's tail")]
    ReadTail { source: vong_log::Error },
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Broke { source }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSource { .. }
            | Self::Config { .. }
            | Self::ReadFile { .. }
            | Self::Tls { .. } => Kind::InvalidInput,
            Self::Refused { .. } => Kind::Unauthorized,
            Self::Reach { .. }
            | Self::NoAnswer { .. }
            | Self::Ended { .. }
            | Self::Protocol { .. }
            | Self::Broke { .. }
            | Self::Silent { .. } => Kind::Unavailable,
            Self::Append { source } | Self::ReadTail { source } => source.kind(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::NoSource { .. } | Self::Config { .. } => Retry::Never,
            Self::Append { source } | Self::ReadTail { source } => source.retry(),
            // Certificates, passwords and rights are repaired while we run.
            _ => Retry::Later,
        }
    }
}

impl Error {
    /// The error and its causes, as one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(e) = cause {
            line.push_str(": ");
            line.push_str(&e.to_string());
            cause = e.source();
        }
        line
    }
}
