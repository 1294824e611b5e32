//! The footage directory: writing, index, clips, holds, retention, fsck.
//!
//! A camera's footage is a row of fMP4 files of about a minute that any player opens. They are the
//! truth; the index beside them is a cache and a second witness. After any kind of end at most the
//! group being written is lost. Knows nothing of RTSP and HTTP; blocks on the disk, so call it from
//! threads that may block.

mod age;
mod camera;
mod chain;
mod clip;
mod config;
mod error;
mod footage;
mod fsck;
mod heads_file;
mod holds;
mod index_file;
mod layout;
mod listing;
mod media_file;
mod metrics;
mod outlook;
mod recover;
mod retention;
mod writer;

pub use camera::ClosedSegment;
pub use chain::{Link, payload_hash};
pub use clip::{Clip, ClipGroup};
pub use config::{ClassLimits, FootageConfig};
pub use error::Error;
pub use footage::{Footage, Opened, RecordedGop};
pub use fsck::{Depth, FsckReport, Problem, ProblemKind, fsck, fsck_with};
pub use holds::{Hold, HoldRequest};
pub use listing::{GopFilter, GopListing, ListedGop};
pub use metrics::FootageMetrics;
pub use outlook::{ClassOutlook, Outlook};
pub use retention::Sweep;
pub use vong_media::{ClipForm, Gap};
pub use writer::CameraWriter;

#[cfg(test)]
mod tests;
