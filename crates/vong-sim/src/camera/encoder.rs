//! Pictures to H.264 or H.265, one encoder per stream: no B frames, nothing held back, a key frame
//! every GOP and whenever asked for, parameter sets before each key frame.
//!
//! One thread and fixed settings, so the same pictures give the same bytes.

use ffmpeg_next as ffmpeg;

use ffmpeg::codec::encoder::video::Encoder as VideoEncoder;
use ffmpeg::format::Pixel;
use ffmpeg::{Dictionary, Packet, Rational, frame, picture};

use super::canvas::Canvas;
use super::nal::{self, Codec};
use super::{CameraSpec, Error};

/// Seconds between key frames.
pub(crate) const GOP_S: u32 = 2;

/// Everything encoded of one picture.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) key: bool,
    /// NAL units without start codes, in order; parameter sets first in a key frame.
    pub(crate) nals: Vec<bytes::Bytes>,
}

/// One stream's encoder.
pub(crate) struct Encoder {
    codec: Codec,
    inner: VideoEncoder,
    frame: frame::Video,
    packet: Packet,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl Encoder {
    pub(crate) fn open(spec: &CameraSpec) -> Result<Self, Error> {
        let failed = |source| Error::OpenEncoder { path: spec.path(), source };
        ffmpeg::init().map_err(failed)?;
        ffmpeg::util::log::set_level(ffmpeg::util::log::Level::Error);
        let name = match spec.codec {
            Codec::H264 => "libx264",
            Codec::H265 => "libx265",
        };
        let codec = ffmpeg::encoder::find_by_name(name)
            .ok_or(ffmpeg::Error::EncoderNotFound)
            .map_err(failed)?;
        let mut context =
            ffmpeg::codec::Context::new_with_codec(codec).encoder().video().map_err(failed)?;
        let fps = i32::try_from(spec.fps.max(1)).unwrap_or(i32::MAX);
        context.set_width(spec.width & !1);
        context.set_height(spec.height & !1);
        context.set_format(Pixel::YUV420P);
        context.set_time_base(Rational(1, fps));
        context.set_frame_rate(Some(Rational(fps, 1)));
        context.set_gop(spec.fps.max(1) * GOP_S);
        context.set_max_b_frames(0);
        context.set_threading(ffmpeg::threading::Config::count(1));
        let inner = context.open_as_with(codec, options(spec)).map_err(failed)?;
        let frame = frame::Video::new(Pixel::YUV420P, spec.width & !1, spec.height & !1);
        Ok(Self { codec: spec.codec, inner, frame, packet: Packet::empty() })
    }

    /// Encodes `canvas` as frame `n`, as a key frame if `key`; frame numbers must rise.
    pub(crate) fn encode(&mut self, n: u64, canvas: &Canvas, key: bool) -> Result<Encoded, Error> {
        for (index, (plane, row_bytes)) in canvas.planes().into_iter().enumerate() {
            let stride = self.frame.stride(index);
            let rows = self.frame.data_mut(index).chunks_exact_mut(stride);
            for (to, from) in rows.zip(plane.chunks_exact(row_bytes)) {
                if let Some(to) = to.get_mut(..row_bytes) {
                    to.copy_from_slice(from);
                }
            }
        }
        self.frame.set_pts(i64::try_from(n).ok());
        self.frame.set_kind(if key { picture::Type::I } else { picture::Type::None });
        let failed = |source| Error::Encode { frame: n, source };
        self.inner.send_frame(&self.frame).map_err(failed)?;
        self.inner.receive_packet(&mut self.packet).map_err(failed)?;
        let nals = self.packet.data().map(|d| nal::split(self.codec, d)).unwrap_or_default();
        Ok(Encoded { key: self.packet.is_key(), nals })
    }
}

fn options(spec: &CameraSpec) -> Dictionary<'static> {
    let gop = spec.fps.max(1) * GOP_S;
    // About 400 kb/s for 640 by 360; other sizes in proportion, never starved.
    let kilobits = (spec.width * spec.height / 576).clamp(120, 4_000);
    let mut options = Dictionary::new();
    options.set("preset", "ultrafast");
    options.set("tune", "zerolatency");
    options.set("forced-idr", "1");
    match spec.codec {
        Codec::H264 => {
            options.set("crf", "27");
            let params = format!(
                "keyint={gop}:min-keyint=1:scenecut=0:open-gop=0:threads=1:sliced-threads=0:\
                 vbv-maxrate={kilobits}:vbv-bufsize={}",
                kilobits * 2
            );
            options.set("x264-params", &params);
        }
        Codec::H265 => {
            let params = format!(
                "keyint={gop}:min-keyint=1:scenecut=0:open-gop=0:bframes=0:repeat-headers=1:\
                 pools=none:frame-threads=1:wpp=0:log-level=none:info=0:ctu=16:crf=30:\
                 vbv-maxrate={kilobits}:vbv-bufsize={}",
                kilobits * 2
            );
            options.set("x265-params", &params);
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::canvas::Paint;

    fn encoded(spec: &CameraSpec, frames: u64, forced: Option<u64>) -> Vec<Encoded> {
        let mut encoder = Encoder::open(spec).unwrap();
        let mut canvas = Canvas::new(spec.width, spec.height);
        let frame = |n: u64| {
            let x = i32::try_from(n).unwrap() * 5;
            canvas.rectangle((x, 40), (x + 30, 90), Paint::rgb(200, 80, 40));
            encoder.encode(n, &canvas, forced == Some(n)).unwrap()
        };
        (0..frames).map(frame).collect()
    }

    fn keys(spec: &CameraSpec, forced: Option<u64>) -> Vec<u64> {
        let frames = encoded(spec, 50, forced);
        (0..).zip(&frames).filter(|(_, frame)| frame.key).map(|(n, _)| n).collect()
    }

    #[test]
    fn key_frame_every_gop_and_when_forced() {
        for codec in [Codec::H264, Codec::H265] {
            let spec = CameraSpec::new("CAM-01", codec);
            assert_eq!(keys(&spec, None), [0, 20, 40], "{codec:?}");
            assert_eq!(keys(&spec, Some(7)), [0, 7, 27, 47], "{codec:?}");
        }
    }

    #[test]
    fn key_frames_carry_their_parameter_sets() {
        for codec in [Codec::H264, Codec::H265] {
            for unit in encoded(&CameraSpec::new("CAM-01", codec), 41, None) {
                assert_eq!(nal::ParameterSets::of(codec, &unit.nals).is_some(), unit.key);
            }
        }
    }

    #[test]
    fn same_pictures_give_the_same_bytes() {
        for codec in [Codec::H264, Codec::H265] {
            let spec = CameraSpec::new("CAM-01", codec);
            let nals = || encoded(&spec, 30, None).into_iter().map(|e| e.nals).collect::<Vec<_>>();
            assert_eq!(nals(), nals(), "{codec:?}");
        }
    }
}
