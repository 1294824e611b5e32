//! What a camera delivers: parameters, then access units (coded frames) in decoding order.
//!
//! Streams with B-frames are outside this product: presentation order is decoding order.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use vong_model::EventTime;

/// How the pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    H264,
    H265,
}

impl Codec {
    /// The word used in SQL and metrics: `h264` or `h265`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a decoder must know before the first frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VideoParameters {
    pub codec: Codec,
    /// Pixels, as displayed.
    pub width: u32,
    /// Pixels, as displayed.
    pub height: u32,
    /// The codec string of RFC 6381, as in `avc1.64001f`.
    pub rfc6381: String,
    /// The whole `stsd` entry box, its header included: `avc1` or `hvc1` (ISO/IEC 14496-15).
    pub sample_entry: Bytes,
}

/// One coded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Presentation time in 1/90000 s as the camera counts it; may jump when the camera restarts.
    pub pts_90k: i64,
    /// When it was read whole, by our clock; see [`AccessUnitSink::is_prompt`].
    pub received_at: EventTime,
    /// When it was taken, by the camera's clock, if the camera says so (RTCP sender reports).
    pub camera_time: Option<EventTime>,
    /// Decoding may start here.
    pub key: bool,
    /// RTP packets lost just before this frame.
    pub lost_packets: u32,
    /// NAL units, each behind its length in 4 bytes, big-endian.
    pub data: Bytes,
}

/// Where a camera's frames go: a recorder, a live hub. Called from the camera's task, so it never
/// blocks; what it cannot take it drops and counts.
pub trait AccessUnitSink: Send + Sync {
    /// Called before the first frame and again whenever the parameters change.
    fn parameters(&mut self, parameters: &Arc<VideoParameters>);

    fn access_unit(&mut self, unit: &AccessUnit);

    /// Whether somebody waits for the frames. Those of a camera that is only recorded may be handed
    /// on a tenth of a second later, several at once, which costs far less.
    fn is_prompt(&self) -> bool {
        false
    }

    /// The camera was lost; the next frame belongs to a new stream, its `pts_90k` unrelated.
    fn interrupted(&mut self);
}
