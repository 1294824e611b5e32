//! One tile of a page: what it asked for, and what its payloads are.

use std::sync::Arc;

use bytes::Bytes;
use vong_hub::{TileMode, VideoStream};
use vong_media::{AccessUnit, Codec, LiveFragmenter, VideoParameters, init_segment};
use vong_model::CameraId;
use vong_wire::video::{
    HEADER_BYTES, PictureHeader, VideoCodec, VideoForm, VideoMode, VideoServerMessage,
    VideoStreamName, VideoTile,
};

use super::motion::Motion;
use super::stills::{LARGE_WIDTH, Place, TILE_WIDTH};

#[derive(Debug)]
pub(super) struct Tile {
    pub(super) asked: VideoTile,
    pub(super) camera: CameraId,
    /// What is shown, which need not be what was asked for.
    pub(super) stream: VideoStream,
    pub(super) picture: Picture,
    /// Number of the last `setup`.
    pub(super) setup: u32,
}

/// What a page has to carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// It could not keep up.
    pub(super) shedding: bool,
    /// It has many tiles.
    pub(super) crowded: bool,
}

/// What the payloads are.
#[derive(Debug)]
pub(super) enum Picture {
    /// No `setup` was sent yet.
    Unknown,
    Frames,
    Fragments(LiveFragmenter),
    /// `busy`: one is being made; key frames meanwhile are left out.
    Stills {
        parameters: Arc<VideoParameters>,
        busy: bool,
    },
    Motion(Motion),
    /// Nothing can be shown until the parameters change.
    Unplayable,
}

impl Tile {
    pub(super) fn new(asked: VideoTile) -> Self {
        let camera = CameraId::from(asked.camera_id.as_str());
        let stream = stream_of(asked.stream);
        Self { asked, camera, stream, picture: Picture::Unknown, setup: 0 }
    }

    /// How much the hub has to give; `None`: nothing.
    pub(super) fn mode(&self, load: Load) -> Option<TileMode> {
        let Load { shedding, crowded } = load;
        let key_only = matches!(self.picture, Picture::Stills { .. } | Picture::Unplayable);
        match self.asked.mode {
            VideoMode::Off => None,
            VideoMode::Key => Some(TileMode::Key),
            VideoMode::Full if key_only || self.is_shed(shedding) => Some(TileMode::Key),
            VideoMode::Full if crowded && !self.asked.keep => Some(TileMode::Steady),
            VideoMode::Full => Some(TileMode::Full),
        }
    }

    /// Whether it gets less than it asked for because the page is slow.
    pub(super) fn is_shed(&self, shedding: bool) -> bool {
        shedding && self.asked.mode == VideoMode::Full && !self.asked.keep
    }

    /// Whether it gets all frames as JPEG where its page cannot decode them.
    pub(super) fn wants_motion(&self) -> bool {
        wants_motion(&self.asked)
    }

    /// Whether it stays as it is when the page asks for `asked`.
    pub(super) fn goes_on_as(&self, asked: &VideoTile) -> bool {
        let is_jpeg = matches!(self.picture, Picture::Stills { .. } | Picture::Motion(_));
        (&self.asked.camera_id, self.asked.stream) == (&asked.camera_id, asked.stream)
            && self.asked.mode != VideoMode::Off
            && asked.mode != VideoMode::Off
            && !(is_jpeg && self.wants_motion() != wants_motion(asked))
    }

    /// Begins with `parameters` as `picture`; `None` when they cannot be shown so.
    pub(super) fn begin(
        &mut self,
        parameters: &VideoParameters,
        picture: Picture,
        setup: u32,
    ) -> Option<VideoServerMessage> {
        let (form, data) = match &picture {
            Picture::Frames => {
                (VideoForm::Frames, crate::clip_facts::hex(parameters.decoder_configuration()?))
            }
            Picture::Fragments(_) => {
                (VideoForm::Fragments, crate::clip_facts::hex(&init_segment(parameters).ok()?))
            }
            Picture::Stills { .. } => (VideoForm::Stills, String::new()),
            Picture::Motion(_) => (VideoForm::MotionJpeg, String::new()),
            Picture::Unknown | Picture::Unplayable => return None,
        };
        (self.picture, self.setup) = (picture, setup);
        Some(VideoServerMessage::Setup {
            tile: self.asked.tile,
            setup,
            camera_id: self.camera.to_string(),
            stream: match self.stream {
                VideoStream::Main => VideoStreamName::Main,
                VideoStream::Sub => VideoStreamName::Sub,
            },
            form,
            codec: codec_name(parameters.codec),
            codecs: parameters.rfc6381.clone(),
            width: parameters.width,
            height: parameters.height,
            data,
        })
    }

    /// The still that this tile wants.
    pub(super) fn place(&self) -> Place {
        let max_width = if self.asked.keep { LARGE_WIDTH } else { TILE_WIDTH };
        Place { camera: self.camera.clone(), stream: self.stream, max_width }
    }

    pub(super) fn header(&self, unit: &AccessUnit, skipped: u64) -> PictureHeader {
        PictureHeader {
            key: unit.key,
            tile: self.asked.tile,
            setup: self.setup,
            skipped: u32::try_from(skipped).unwrap_or(u32::MAX),
            pts_90k: unit.pts_90k,
            received_us: unit.received_at.0,
            camera_us: unit.camera_time.map(|time| time.0),
        }
    }
}

fn wants_motion(asked: &VideoTile) -> bool {
    asked.keep && asked.mode == VideoMode::Full
}

/// Header and payload in one message.
pub(super) fn picture(header: &PictureHeader, payload: &[u8]) -> Bytes {
    let mut message = Vec::with_capacity(HEADER_BYTES + payload.len());
    message.extend_from_slice(&header.encode());
    message.extend_from_slice(payload);
    Bytes::from(message)
}

pub(super) fn stream_of(name: VideoStreamName) -> VideoStream {
    match name {
        VideoStreamName::Main => VideoStream::Main,
        VideoStreamName::Sub => VideoStream::Sub,
    }
}

pub(super) fn codec_name(codec: Codec) -> VideoCodec {
    match codec {
        Codec::H264 => VideoCodec::H264,
        Codec::H265 => VideoCodec::H265,
    }
}
