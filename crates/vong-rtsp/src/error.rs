//! Why a camera delivers nothing.

use std::time::Duration;

use vong_telemetry::{Classify, Kind};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("camera address is no rtsp:// address")]
    Address(#[source] url::ParseError),
    #[error("camera did not answer {step} within {}s", limit.as_secs())]
    Timeout { step: &'static str, limit: Duration },
    #[error("camera refused {step}: {status}")]
    Refused {
        step: &'static str,
        status: u16,
        #[source]
        source: retina::Error,
    },
    #[error("could not reach camera at {step}")]
    Connect {
        step: &'static str,
        #[source]
        source: retina::Error,
    },
    #[error("camera offers no H.264 or H.265 video, only {offered}")]
    NoVideo { offered: String },
    #[error("stream broke")]
    Stream(#[source] retina::Error),
    #[error("camera ended the stream")]
    Ended,
    #[error("no picture for {}s", .0.as_secs())]
    Silent(Duration),
    #[error("reading the stream panicked (a bug; the message is in the process log)")]
    Panicked,
    #[error("stream parameters cannot be understood")]
    Parameters(#[source] retina::Error),
}

impl Error {
    /// Whether the camera answered and said no: a person must act, waiting will not help.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Refused { .. } | Self::NoVideo { .. })
    }

    /// The error and what caused it, one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(inner.to_string().lines().next().unwrap_or_default());
            cause = inner.source();
        }
        text
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Address(_) | Self::NoVideo { .. } => Kind::InvalidInput,
            Self::Refused { status: 401 | 403, .. } => Kind::Unauthorized,
            Self::Refused { status: 404, .. } => Kind::NotFound,
            Self::Parameters(_) => Kind::Corrupt,
            Self::Panicked => Kind::Internal,
            Self::Refused { .. }
            | Self::Timeout { .. }
            | Self::Connect { .. }
            | Self::Stream(_)
            | Self::Ended
            | Self::Silent(_) => Kind::Unavailable,
        }
    }
}
