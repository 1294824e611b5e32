//! From access units to footage, and from alerts to clips.
//!
//! Knows no socket: cameras push into its sinks. Announces closed segments, losses and filed clips on
//! the log.

mod budget;
mod clip_filing;
mod error;
mod losses;
mod metrics;
mod recorder;
mod ring;
mod sink;
#[cfg(test)]
mod testing;

pub use clip_filing::{ClipConfig, ClipFiler};
pub use error::Error;
pub use losses::LossWriter;
pub use metrics::{ClipMetrics, RecorderMetrics};
pub use recorder::{Recorder, RecorderConfig};
pub use ring::RingLimits;
pub use sink::{RecorderHandle, RecorderSink};
