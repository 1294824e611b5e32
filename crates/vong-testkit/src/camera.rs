//! RTSP cameras that fail on purpose: each does what its script says and counts what it sent, so
//! that a test can compare what was received with what there was.
//!
//! Pictures are real ones, filmed once and sent by as many cameras as one process can hold. Every
//! camera has an address of its own on loopback, as cameras in a street have.

mod auth;
mod connection;
mod counts;
mod farm;
mod play;
mod script;

pub use counts::CameraCounts;
pub use farm::{FakeCamera, FakeFarm, loopback};
pub use script::{Answer, AnswerCue, Cue, Fault, Flapping, Login, MetadataFault, Method, Script};
pub use vong_sim::camera::{CameraSpec, Codec, Reel};
