//! Access units to fragmented MP4, key-frame index, 90 kHz timeline, clip arithmetic; pure.
//!
//! Knows no file, no clock and no decoder: bytes and numbers in, bytes and numbers out. Whatever it
//! reads may come from a disk that lost power, so nothing here panics on outside bytes.
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

mod access_unit;
mod boxes;
mod clip;
mod decoder_configuration;
mod error;
mod footage_file;
mod gop;
mod holes;
mod live;
mod read;
mod scan;
mod still;
mod timeline;

pub use access_unit::{AccessUnit, AccessUnitSink, Codec, VideoParameters};
pub use boxes::init_segment;
pub use clip::{
    ClipForm, ClipGop, ClipPlan, GAP_TOLERANCE, Gap, MAX_CLIP_FRAMES, Piece, PlannedGop, plan_clip,
};
pub use error::Error;
pub use footage_file::{
    FORMAT_VERSION, FileFacts, GopEntry, GopHashes, MAX_FILE_HEAD, MAX_GOP_HEAD, encode_file_head,
    encode_gop_head, parse_file_head, parse_gop_head,
};
pub use gop::{DroppedFrames, Frame, GUESSED_DURATION_90K, Gop, GopBuilder, GopLimits};
pub use holes::covered;
pub use live::{LiveFragment, LiveFragmenter};
pub use scan::{ReadError, Scan, read_file_head, read_gop_head, scan_gops};
pub use still::{
    MOTION_UNITS, MotionJpeg, MotionRequest, STILL_BYTES, STILL_UNITS, Still, StillError,
    StillMaker, StillRequest,
};
pub use timeline::{Stamp, TICKS_PER_SECOND, Timeline, ticks, ticks_between, wall_after};
