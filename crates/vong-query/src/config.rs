//! What an operator may set about queries.

use serde::{Deserialize, Serialize};

/// Limits of analyst SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryConfig {
    /// Threads of the query pool.
    pub threads: usize,
    /// Queries that run at the same time.
    pub concurrent: usize,
    /// Queries that may wait for their turn; the next one is refused.
    pub waiting: usize,
    /// Longest wait for a turn.
    pub wait_s: u64,
    /// Longest run, slow reading of the answer included.
    pub deadline_s: u64,
    /// Largest answer.
    pub max_rows: u64,
    /// Largest answer, as Arrow memory.
    pub max_bytes: u64,
    /// Memory of all queries together for sorting, grouping and joining.
    pub memory_bytes: usize,
    /// Degree of parallelism inside one query.
    pub partitions: usize,
    /// Most rows that may be in the log but not yet in the history; more, and queries are refused
    /// until archiving catches up.
    pub max_tail_rows: usize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            threads: 2,
            concurrent: 4,
            waiting: 32,
            wait_s: 10,
            deadline_s: 60,
            max_rows: 5_000_000,
            max_bytes: 1024 * 1024 * 1024,
            memory_bytes: 512 * 1024 * 1024,
            partitions: 2,
            max_tail_rows: 10_000_000,
        }
    }
}
