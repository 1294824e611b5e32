//! From access units to footage, and from alerts to clips.
//!
//! Knows no socket: cameras push into its sinks. Announces closed segments and filed clips on the log.

mod clip_filing;
mod error;
mod metrics;
mod recorder;

pub use clip_filing::{ClipConfig, ClipFiler};
pub use error::Error;
pub use metrics::{ClipMetrics, RecorderMetrics};
pub use recorder::{Recorder, RecorderHandle, RecorderSink};
