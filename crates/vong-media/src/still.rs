//! Pictures out of coded frames, for screens and people that cannot decode them.
//!
//! Decoding itself lives elsewhere, in a process of its own; this is what its customers ask for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use vong_model::CameraId;

use crate::{GopLimits, VideoParameters};

/// Most bytes of the units of one request: a group of pictures as large as it may grow, less what
/// the decoder's parameters take.
pub const STILL_BYTES: u64 = GopLimits::BYTES - (64 << 10);

/// Most units of one request: those of the longest group.
pub const STILL_UNITS: usize = GopLimits::FRAMES;

/// Most units of one [`MotionRequest`]: of the largest pictures, on a busy machine, they are decoded
/// long before the worker is taken for hung.
pub const MOTION_UNITS: usize = 8;

/// One picture that is asked for.
#[derive(Clone, Debug)]
pub struct StillRequest {
    /// Whose frames these are: what brings the decoder down is held against this camera alone.
    pub camera: CameraId,
    pub parameters: Arc<VideoParameters>,
    /// Access units from a key frame on, as in [`crate::AccessUnit::data`]; the last one is shown.
    /// At most [`STILL_UNITS`], of [`STILL_BYTES`] in all.
    pub units: Vec<Bytes>,
    /// Pixels; a wider picture is made smaller.
    pub max_width: u32,
}

/// The frames that follow in a stream that somebody looks at.
#[derive(Clone, Debug)]
pub struct MotionRequest {
    pub parameters: Arc<VideoParameters>,
    /// The first unit is a key frame, and nothing before it is gone on from.
    pub restart: bool,
    /// Access units, the next ones of the stream; the last one is shown. At most [`MOTION_UNITS`],
    /// of [`STILL_BYTES`] in all.
    pub units: Vec<Bytes>,
    /// Pixels; a wider picture is made smaller.
    pub max_width: u32,
}

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StillError {
    /// The frames cannot be decoded.
    #[error("frames cannot be decoded")]
    Undecodable,
    /// Too much is asked for at once, or the decoder has just failed: ask again later.
    #[error("decoder is busy or starting")]
    Busy,
}

/// A picture on its way, as JPEG.
pub type Still = Pin<Box<dyn Future<Output = Result<Bytes, StillError>> + Send>>;

/// A camera's frames as motion JPEG, decoded whole and in order; ends by being dropped.
pub trait MotionJpeg: Send + Sync + fmt::Debug {
    /// The newest picture after these units, which with reordering is of an earlier one; no bytes
    /// where the decoder holds all back. After an error only a request that restarts goes on.
    fn next(&self, request: MotionRequest) -> Still;
}

/// Makes stills, and motion JPEG of the few cameras that somebody looks at.
pub trait StillMaker: Send + Sync + fmt::Debug {
    fn jpeg(&self, request: StillRequest) -> Still;

    /// `None` while as many cameras as the machine should bear are decoded whole.
    fn motion(&self, camera: &CameraId) -> Option<Box<dyn MotionJpeg>>;

    /// Whether [`Self::motion`] would give one now.
    fn has_free_motion(&self) -> bool;
}
