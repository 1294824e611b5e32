//! The city's cameras: drawn from the world, encoded once each, served over RTSP to many viewers.
//!
//! Frame `n` of a camera is a function of seed, camera, scene and anchor. Everything is labelled
//! as simulated in the picture itself.

mod canvas;
mod dice;
mod encoder;
mod error;
mod farm;
mod feed;
mod film;
mod font;
mod nal;
mod picture;
mod reel;
mod request;
mod rtp;
mod scene_file;
mod sdp;
mod street;
mod studio;
mod traffic;
mod vehicle;
mod view;
mod viewer;

pub use error::Error;
pub use farm::{CameraFarm, FarmConfig, FarmHandle};
pub use feed::StreamCounts;
pub use nal::Codec;
pub use reel::{Reel, ReelFrame};
pub use scene_file::{Geometry, LINE_Z_M, ROAD_Z_M};
pub use studio::{CodedFrame, Studio};
pub use traffic::TrueVehicle;

/// What an RTSP server is made of, for other servers than the farm.
pub mod rtsp {
    pub use super::request::{
        Incoming, MAX_BUFFERED_BYTES, Malformed, Request, Response, Status, Wanted, take, transport,
    };
    pub use super::rtp::{Numbering, PAYLOAD_TYPE, payloads, time_after};
    pub use super::sdp::base64;
    pub use super::viewer::{interleave, udp_pair};
}

/// One stream of one camera.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSpec {
    pub camera_id: String,
    pub codec: Codec,
    /// The sub-stream (`/CAM-09/sub`) rather than the main one (`/CAM-09/main`).
    pub sub: bool,
    /// Pixels, even.
    pub width: u32,
    pub height: u32,
    pub fps: u32,
}

impl CameraSpec {
    /// A main stream of the usual size: 640 by 360 at 10 frames a second.
    pub fn new(camera_id: impl Into<String>, codec: Codec) -> Self {
        Self { camera_id: camera_id.into(), codec, sub: false, width: 640, height: 360, fps: 10 }
    }

    /// Path of the stream in its RTSP address.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.camera_id, if self.sub { "sub" } else { "main" })
    }
}

#[cfg(test)]
mod tests;
