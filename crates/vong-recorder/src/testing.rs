//! Groups of pictures for tests.

use std::sync::Arc;

use bytes::Bytes;
use vong_media::{Codec, Frame, Gop, VideoParameters};
use vong_model::EventTime;

/// 2026-11-22T10:00:00Z.
const T0_US: i64 = 1_795_341_600_000_000;

pub(crate) fn at(seconds: i64) -> EventTime {
    EventTime(T0_US + seconds * 1_000_000)
}

/// The group of second `n`: 25 frames of `size` bytes.
pub(crate) fn gop(n: i64, size: u32) -> Gop {
    let parameters = VideoParameters {
        codec: Codec::H264,
        width: 640,
        height: 360,
        rfc6381: "avc1.64001f".to_owned(),
        sample_entry: Bytes::from_static(&[0, 0, 0, 8, b'a', b'v', b'c', b'1']),
    };
    Gop {
        parameters: Arc::new(parameters),
        start: at(n),
        camera_time: None,
        key: true,
        lost_packets: 0,
        frames: vec![Frame { duration_90k: 3_600, size }; 25],
        data: vec![Bytes::from(vec![n as u8; size as usize]); 25],
    }
}
