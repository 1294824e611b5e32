//! Analyst SQL over history and the live tail of the log, as one table per stream.
//!
//! Invariant: a query sees one moment. The moment is an offset, fixed when the query starts: rows
//! below the store's `covered` come from its files, rows from there to the offset from the log,
//! each exactly once, also while the [`Archiver`] commits and merges.
//!
//! Heavy plans run on threads of their own, never on the runtime that serves sockets; rows, bytes,
//! time and memory are bounded on the stream of results.

mod archiver;
mod catalog;
mod config;
mod engine;
mod error;
pub mod format;
mod gops;
mod metrics;
mod registry;
mod results;
mod table;
mod tail;
#[cfg(test)]
mod testing;
mod watch;

pub use archiver::{Archiver, ArchiverConfig, Progress};
pub use catalog::{Dimensions, is_taken};
pub use config::QueryConfig;
pub use engine::{QueryEngine, Sources};
pub use error::Error;
pub use format::{Format, encode, encode_batch};
pub use gops::gop_columns;
pub use metrics::{ArchiverMetrics, QueryMetrics};
pub use results::QueryStream;
