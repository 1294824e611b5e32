//! Latest-value views, snapshot and numbered deltas, slow-client policy; transport-free.
//!
//! The hub follows the log and keeps five keyed views of it ([`View`]). A [`Subscription`] gives a
//! snapshot, then deltas whose numbers join without holes; a number is a log offset, and state
//! *at* `seq` holds every record *before* `seq`. Invariants: nothing is shown that is not durable;
//! snapshot plus deltas equals the view; a slow reader gets fewer, larger deltas and costs the
//! others nothing, because readers pull and the hub keeps no queue for anyone.
//!
//! [`VideoHub`] hands camera frames to live viewers in the same spirit.

mod error;
mod hub;
mod message;
mod metrics;
mod subscription;
mod table;
mod video;
mod views;

pub use error::Error;
pub use hub::{Hub, HubConfig, HubHandle};
pub use message::{Delta, FieldValue, Gap, GapReason, Mark, Op, Row, Snapshot, Update, View};
pub use metrics::HubMetrics;
pub use subscription::Subscription;
pub use video::{
    Shedding, TileId, TileMode, Verdict, VideoEvent, VideoHub, VideoSink, VideoStream, VideoWall,
};
