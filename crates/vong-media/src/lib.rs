//! Access units to fragmented MP4, key-frame index, 90 kHz timeline, clip arithmetic; pure.
//!
//! Knows no file, no clock and no decoder: bytes and numbers in, bytes and numbers out. Whatever it
//! reads may come from a disk that lost power, so nothing here panics on outside bytes.
#![warn(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

mod access_unit;
mod boxes;
mod error;
mod gop;
mod live;
mod timeline;

pub use access_unit::{AccessUnit, AccessUnitSink, Codec, VideoParameters};
pub use boxes::init_segment;
pub use error::Error;
pub use gop::{DroppedFrames, Frame, GUESSED_DURATION_90K, Gop, GopBuilder, GopLimits};
pub use live::{LiveFragment, LiveFragmenter};
pub use timeline::{Stamp, TICKS_PER_SECOND, Timeline, ticks, ticks_between, wall_after};
