//! Frames filmed ahead, for servers that send the same pictures for many cameras: drawn and encoded
//! once, then only copied.

use std::sync::Arc;

use bytes::Bytes;
use vong_runtime::UnixMicros;

use super::encoder::Encoder;
use super::nal::{Codec, ParameterSets};
use super::picture::Painter;
use super::{CameraSpec, Error, sdp};
use crate::scene::{RoadState, Scene};

/// An empty street at an arbitrary, fixed hour: a reel is the same in every run.
const ANCHOR: UnixMicros = 1_700_000_000_000_000;

/// One coded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReelFrame {
    pub key: bool,
    /// NAL units without start codes; parameter sets first in a key frame.
    pub nals: Vec<Bytes>,
}

/// Some seconds of one camera; starts with a key frame, so that it can be played in a circle.
#[derive(Clone, Debug)]
pub struct Reel {
    pub codec: Codec,
    pub fps: u32,
    /// Never empty.
    pub frames: Vec<ReelFrame>,
    sets: ParameterSets,
}

impl Reel {
    /// Draws and encodes the first `frames` frames of `spec`.
    ///
    /// # Errors
    /// [`Error::OpenEncoder`], [`Error::Encode`]; the latter also when no frame was asked for.
    pub fn film(spec: &CameraSpec, seed: u64, frames: u64) -> Result<Self, Error> {
        let mut painter = Painter::new(spec, seed, Arc::new(EmptyStreet), ANCHOR);
        let mut encoder = Encoder::open(spec)?;
        let mut filmed = Vec::new();
        for n in 0..frames {
            let encoded = encoder.encode(n, painter.picture(n), n == 0)?;
            filmed.push(ReelFrame { key: encoded.key, nals: encoded.nals });
        }
        let sets = filmed.first().and_then(|first| ParameterSets::of(spec.codec, &first.nals));
        let sets =
            sets.ok_or(Error::Encode { frame: 0, source: ffmpeg_next::Error::InvalidData })?;
        Ok(Self { codec: spec.codec, fps: spec.fps.max(1), frames: filmed, sets })
    }

    /// The video part of the description of a camera that plays this reel.
    pub fn video_track(&self) -> String {
        sdp::video_track(self.codec, &self.sets, self.fps)
    }
}

#[derive(Debug)]
struct EmptyStreet;

impl Scene for EmptyStreet {
    fn road(&self, _camera_id: &str, _at_s: f64) -> RoadState {
        RoadState::EMPTY
    }

    fn is_frozen(&self, _camera_id: &str, _at_s: f64) -> bool {
        false
    }

    fn is_offline(&self, _camera_id: &str, _at_s: f64) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reel_starts_with_a_key_frame_and_is_the_same_each_time() {
        let spec = CameraSpec { width: 160, height: 90, ..CameraSpec::new("R", Codec::H264) };
        let (one, two) = (Reel::film(&spec, 1, 5).unwrap(), Reel::film(&spec, 1, 5).unwrap());
        assert!(one.frames[0].key && !one.frames[1].key);
        assert_eq!(one.frames, two.frames);
        assert!(one.video_track().contains("H264/90000"));
        assert!(Reel::film(&spec, 1, 0).is_err());
    }
}
