//! History tables: Parquet files by stream and day, made visible by one manifest.
//!
//! Invariant: the manifest alone says what the history is. It is replaced as a whole, after every
//! file it names is durable; so a crash at any moment leaves the old history or the new one, and
//! at worst some files nobody names, which the next start removes.
//!
//! Limits: one writer; a file holds rows of one stream and one UTC day; a compacted file holds at
//! most [`StoreConfig::compact_rows`] rows; offsets below [`StoreSnapshot::covered`] are all in
//! (or were removed by retention), none at or above it is.

mod compact;
mod config;
mod data_file;
mod error;
mod fsck;
mod manifest;
mod metrics;
mod snapshot;
mod store;

pub use config::StoreConfig;
pub use data_file::{LOG_OFFSET, LOG_ROW, stored_schema};
pub use error::Error;
pub use fsck::{Finding, Report, fsck};
pub use manifest::FileEntry;
pub use metrics::StoreMetrics;
pub use snapshot::StoreSnapshot;
pub use store::{Committed, Compacted, Removed, Store, StreamRows};
