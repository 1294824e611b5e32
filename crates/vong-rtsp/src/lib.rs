//! RTSP intake: one supervised session per camera stream, with reconnect, and the camera's facts
//! on the log.
//!
//! `retina` speaks the protocol; this crate adds what it leaves to its user: back-off, a pace of
//! connection attempts, the networks cameras may be in, silence detection, both clocks, and facts.
//! A camera that misbehaves can stop only itself.

mod backoff;
mod camera_clock;
mod error;
mod facts;
mod gate;
mod intake;
mod login;
mod metadata_track;
mod metrics;
mod networks;
mod offer;
pub mod onvif;
mod probe;
mod session;
mod teller;
mod unread;
mod watch;

pub use backoff::Backoff;
pub use camera_clock::CameraClock;
pub use error::Error;
pub use facts::{
    About, CameraFact, CameraState, Fact, FactSender, FactWriter, OnvifFact, fact_channel,
};
pub use gate::ConnectGate;
pub use intake::{CameraStream, IntakeGround, RtspIntake, StreamKind};
pub use login::Login;
pub use metrics::RtspMetrics;
pub use networks::{Networks, NoNetwork, PRIVATE};
pub use offer::{Offer, Track};
pub use probe::{ProbeRequest, probe};
pub use session::Transport;
