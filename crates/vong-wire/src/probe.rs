//! Bodies of `POST /api/v1/cameras/probe`: is this camera usable, and what to do if not.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which camera to look at. `Debug` shows no log-in.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CameraProbeRequest {
    /// `rtsp://…`, without a log-in.
    pub url: String,
    pub username: Option<String>,
    pub password: Option<String>,
    /// RTP in datagrams instead of inside the connection.
    pub udp: bool,
    /// How long to watch, 1 to 60 seconds; 5 when left out.
    pub seconds: Option<u64>,
}

impl fmt::Debug for CameraProbeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CameraProbeRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CameraProbe {
    /// Pictures came that can be recorded.
    pub usable: bool,
    /// A browser without H.265 shows them on a wall.
    pub plays_in_browser: bool,
    /// The address that was connected to.
    pub address: Option<String>,
    /// It answered.
    pub reachable: bool,
    /// `accepted`, `refused`, or `untried` where it did not come to that.
    pub login: String,
    /// What it offers, as in `video h264`, in its order.
    pub tracks: Vec<String>,
    pub audio: bool,
    pub metadata: bool,
    pub video: Option<ProbedVideo>,
    /// How far the camera's clock is ahead of ours; left out where it does not tell.
    pub clock_offset_ms: Option<i64>,
    /// The error, where it is not usable.
    pub trouble: Option<String>,
    /// What to know and what to do, most important first; never empty.
    pub advice: Vec<Advice>,
}

/// The picture as it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbedVideo {
    /// `h264` or `h265`.
    pub codec: String,
    /// The codec string of RFC 6381.
    pub rfc6381: String,
    pub width: u32,
    pub height: u32,
    /// Frames a second, measured.
    pub fps: f64,
    /// Seconds between key frames; left out where fewer than two came.
    pub key_interval_s: Option<f64>,
    pub kilobits_per_s: f64,
    pub frames: u64,
    pub lost_packets: u64,
    /// Times at which the frames' own times jumped.
    pub jumps: u64,
}

/// One thing to know or do, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Advice {
    pub vi: String,
    pub en: String,
}
