//! Why a camera delivers nothing.

use std::net::IpAddr;
use std::time::Duration;

use vong_telemetry::{Classify, Kind};

use crate::login::{Login, presentable};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("camera address is no rtsp:// address: {0}")]
    Address(String),
    #[error("camera name '{name}' has no address: {why}")]
    Name { name: String, why: String },
    #[error(
        "camera address {address} is in none of the networks cameras may be in ({allowed}); \
         if it is one of yours, add its network to video.networks"
    )]
    OutsideNetworks { address: IpAddr, allowed: String },
    #[error("camera did not answer {step} within {}s", limit.as_secs())]
    Timeout { step: &'static str, limit: Duration },
    #[error(
        "camera wants a log-in that is missing or wrong ({step}: {status}); see camera-logins.toml"
    )]
    Login {
        step: &'static str,
        status: u16,
        #[source]
        source: retina::Error,
    },
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
    #[error(
        "camera offers no H.264 or H.265 video, only {offered}; set its stream to H.264 or H.265"
    )]
    NoVideo { offered: String },
    #[error(
        "camera sends B-frames, which cannot be recorded in their order; \
         set its H.264 profile to Baseline, or B-frames to 0"
    )]
    BFrames,
    #[error("camera's metadata cannot be read and is left off for an hour")]
    Metadata(#[source] retina::Error),
    #[error(
        "camera sent {mib} MiB of metadata without an end; its metadata is left off for an hour"
    )]
    MetadataEndless { mib: u64 },
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
        match self {
            Self::Address(_)
            | Self::OutsideNetworks { .. }
            | Self::NoVideo { .. }
            | Self::BFrames
            | Self::Login { .. } => true,
            // 453 and 5xx: too much at once, which passes.
            Self::Refused { status, .. } => !matches!(status, 453 | 500..),
            Self::Name { .. }
            | Self::Timeout { .. }
            | Self::Connect { .. }
            | Self::Stream(_)
            | Self::Metadata(_)
            | Self::MetadataEndless { .. }
            | Self::Ended
            | Self::Silent(_)
            | Self::Panicked
            | Self::Parameters(_) => false,
        }
    }

    /// Whether the camera answered that it has too much to do.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { status: 453 | 503, .. })
    }

    /// Whether the log-in was refused.
    pub fn is_login(&self) -> bool {
        matches!(self, Self::Login { .. })
    }

    /// Whether the camera described itself, and then what was asked of it failed.
    pub(crate) fn is_after_description(&self) -> bool {
        match self {
            Self::Timeout { step, .. }
            | Self::Login { step, .. }
            | Self::Refused { step, .. }
            | Self::Connect { step, .. } => matches!(*step, "SETUP" | "PLAY"),
            _ => false,
        }
    }

    /// Whether the metadata track, not the picture, ended the session.
    pub(crate) fn is_of_metadata(&self) -> bool {
        matches!(self, Self::Metadata(_) | Self::MetadataEndless { .. })
    }

    /// The error and what caused it, one line without `login`, whatever the camera put into it.
    pub fn chain(&self, login: Option<&Login>) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(inner.to_string().lines().next().unwrap_or_default());
            cause = inner.source();
        }
        presentable(&text, login)
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Address(_)
            | Self::NoVideo { .. }
            | Self::BFrames
            | Self::OutsideNetworks { .. } => Kind::InvalidInput,
            Self::Login { .. } => Kind::Unauthorized,
            Self::Refused { status: 404, .. } => Kind::NotFound,
            Self::Parameters(_) => Kind::Corrupt,
            Self::Panicked => Kind::Internal,
            Self::Refused { .. }
            | Self::Name { .. }
            | Self::Timeout { .. }
            | Self::Connect { .. }
            | Self::Stream(_)
            | Self::Metadata(_)
            | Self::MetadataEndless { .. }
            | Self::Ended
            | Self::Silent(_) => Kind::Unavailable,
        }
    }
}
