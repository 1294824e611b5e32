//! The hashes of a group: taken when it is received, each over the one before it, so that nothing
//! can be changed, left out or put in later without every later hash disagreeing.
//!
//! ```text
//! payload = SHA-256(frames' bytes)
//! chained = SHA-256("vong-gop-v1\0" | previous | len camera id : u16 | camera id
//!                   | SHA-256(sample entry) | start µs : i64 | camera time µs or i64::MIN : i64
//!                   | lost packets : u32 | key : u8 | frames : u32
//!                   | (duration 1/90000 s : u32, bytes : u32) per frame | payload)
//! ```
//! All numbers big-endian.

use sha2::{Digest, Sha256};
use vong_media::{Frame, GopHashes};
use vong_model::{CameraId, EventTime};

/// What the chained hash is taken over, beside the hashes.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub camera: &'a CameraId,
    pub sample_entry: &'a [u8],
    pub start: EventTime,
    pub camera_time: Option<EventTime>,
    pub lost_packets: u32,
    pub key: bool,
    pub frames: &'a [Frame],
}

impl Link<'_> {
    /// The three hashes of the group, given those of the group before and of its frames.
    pub fn hashes(&self, previous: [u8; 32], payload: [u8; 32]) -> GopHashes {
        let Self { camera, sample_entry, start, camera_time, lost_packets, key, frames } = self;
        let id = camera.as_str().as_bytes();
        let mut hash = Sha256::new();
        hash.update(b"vong-gop-v1\0");
        hash.update(previous);
        hash.update(u16::try_from(id.len()).unwrap_or(u16::MAX).to_be_bytes());
        hash.update(id);
        hash.update(Sha256::digest(sample_entry));
        hash.update(start.micros().to_be_bytes());
        hash.update(camera_time.map_or(i64::MIN, EventTime::micros).to_be_bytes());
        hash.update(lost_packets.to_be_bytes());
        hash.update([u8::from(*key)]);
        hash.update(u32::try_from(frames.len()).unwrap_or(u32::MAX).to_be_bytes());
        for frame in *frames {
            hash.update(frame.duration_90k.to_be_bytes());
            hash.update(frame.size.to_be_bytes());
        }
        hash.update(payload);
        GopHashes { payload, previous, chained: hash.finalize().into() }
    }
}

/// SHA-256 of byte strings one after the other.
pub fn payload_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
