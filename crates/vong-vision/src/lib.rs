//! What cameras' pictures tell: their health, the traffic they see, pictures for screens.
//!
//! Decoding happens in a worker process with limits, because what comes from a camera may bring a
//! decoder down; everything that judges pictures is pure and runs on small grey pictures in vong
//! itself. By default only key frames are decoded. Frames never enter the log, findings do.
//!
//! Nothing here can disturb intake or recording: sinks never block, and a worker that is gone means
//! that pictures are not looked at, which is counted and told.

mod blame;
mod client;
mod decode;
mod detect;
mod episode;
mod error;
mod findings;
mod follow;
pub mod health;
mod jpeg;
mod luma;
mod metrics;
mod model;
mod motion;
mod nal;
pub mod offline;
mod protocol;
pub mod scene;
mod sink;
mod stills;
pub mod traffic;
mod vision;
mod watch;
mod worker;

pub use client::WorkerCommand;
pub use error::Error;
pub use findings::{
    Count, Event, EventKind, EventState, Finding, FindingSender, FindingWriter, Of,
};
pub use luma::Luma;
pub use metrics::VisionMetrics;
pub use model::{Detection, PictureModel, Rgb};
pub use stills::Stills;
pub use vision::{CameraSinks, Vision};
pub use worker::run as run_worker;

#[cfg(test)]
mod tests;
