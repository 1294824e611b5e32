//! RTSP intake: one supervised session per camera stream, with reconnect, and the camera's facts
//! on the log.
//!
//! `retina` speaks the protocol; this crate adds what it leaves to its user: back-off, a limit on
//! simultaneous connection attempts, silence detection, both clocks, and facts.
//! A camera that misbehaves can stop only itself.

mod backoff;
mod camera_clock;
mod error;
mod facts;
mod intake;
mod metrics;
mod session;

pub use backoff::Backoff;
pub use camera_clock::CameraClock;
pub use error::Error;
pub use facts::{CameraFact, CameraState, FactSender, FactWriter};
pub use intake::{CameraStream, ConnectGate, RtspIntake};
pub use metrics::RtspMetrics;
pub use session::{Login, Transport};
