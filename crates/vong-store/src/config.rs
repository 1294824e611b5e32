//! What an operator may set about the history.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the history is and how its files are shaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The directory, made when missing.
    pub dir: PathBuf,
    /// Files of one stream and day are merged once there are this many small ones.
    pub compact_files: usize,
    /// Rows of the largest merged file; a file with at least half of it is not small any more.
    pub compact_rows: usize,
    /// Rows in a Parquet row group: the smallest part a query can skip.
    pub row_group_rows: usize,
    /// Zstandard level, 1 (fast) to 22 (small).
    pub zstd_level: i32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data/history"),
            compact_files: 8,
            compact_rows: 1_000_000,
            row_group_rows: 128 * 1024,
            zstd_level: 3,
        }
    }
}
