//! Turns a topic and a payload into Arrow rows and rejects.
//!
//! Pure: no clock, no task, no disk. Every byte it is given may be hostile; whatever cannot be
//! understood becomes a reject with a reason, so that rows and rejects together account for every
//! message.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

mod batch;
mod config;
mod decoder;
mod dedup;
mod error;
mod hash;
mod ids;
mod json;
mod reason;
mod reference;
mod source;
mod timestamp;
mod topic;

pub use config::{
    FieldConfig, FieldKind, SensorIdConfig, SourceConfig, SourcesFile, Span, TimestampConfig,
    UnknownSensors,
};
pub use decoder::{Decoder, Routed, Subscription, Tally};
pub use dedup::{Deduplicator, Delivery};
pub use error::Error;
pub use hash::message_hash;
pub use reason::RejectReason;
pub use reference::reference;
