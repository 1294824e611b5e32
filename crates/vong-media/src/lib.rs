//! Access units to fragmented MP4, key-frame index, 90 kHz timeline, clip arithmetic; pure.
//!
//! Knows no file, no clock and no decoder: bytes and numbers in, bytes and numbers out. Whatever it
//! reads may come from a disk that lost power, so nothing here panics on outside bytes.
#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)]

mod access_unit;

pub use access_unit::{AccessUnit, AccessUnitSink, Codec, VideoParameters};
