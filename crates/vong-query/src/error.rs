//! What can go wrong with a query or with archiving.

use std::io;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use vong_model::{AccessDenied, Offset};
use vong_sql::Place;
use vong_telemetry::{Classify, Kind, Retry};

/// A query that cannot be answered, or history that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Denied(#[from] AccessDenied),
    #[error(transparent)]
    Sql(#[from] vong_sql::Error),
    #[error("{waiting} queries are waiting already, the limit is {limit}")]
    Busy { waiting: usize, limit: usize },
    #[error("no turn came within {wait_s} s: {running} queries are running")]
    NoTurn { wait_s: u64, running: usize },
    #[error("query took longer than {deadline_s} s")]
    Deadline { deadline_s: u64 },
    #[error("answer has more than {limit} rows")]
    TooManyRows { limit: u64 },
    #[error("answer has more than {limit} bytes")]
    TooManyBytes { limit: u64 },
    #[error("query needs more memory than there is: {detail}")]
    Memory { detail: String },
    #[error("{rows} rows of the log are not in the history yet, the limit is {limit}")]
    TailTooLong { rows: usize, limit: usize },
    #[error("log ends at offset {found}, though it said it reaches {head}")]
    LogEndsEarly { found: Offset, head: Offset },
    #[error("read the log")]
    Log(#[source] vong_log::Error),
    #[error("change the history")]
    Store(#[source] vong_store::Error),
    #[error("arrange rows of the log")]
    Tail(#[source] ArrowError),
    #[error("run the query")]
    Run(#[source] Box<DataFusionError>),
    #[error("write the answer as {format}")]
    Format {
        format: &'static str,
        #[source]
        source: ArrowError,
    },
    #[error("start the query pool")]
    Pool(#[source] io::Error),
    #[error("query was stopped before its end")]
    Stopped,
}

impl Error {
    /// Where in the SQL text the fault is, when it is there.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Sql(e) => e.place(),
            _ => None,
        }
    }

    /// What to do about it, when that is known; a whole sentence.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Sql(e) => return e.hint(),
            Self::Busy { .. } | Self::NoTurn { .. } => "Try again in a moment.",
            Self::Deadline { .. } => "Ask for a shorter time range, or aggregate.",
            Self::TooManyRows { .. } | Self::TooManyBytes { .. } => "Aggregate, or add LIMIT.",
            Self::Memory { .. } => "Group by fewer keys, or ask for a shorter time range.",
            Self::TailTooLong { .. } => "Archiving is behind; see the process log.",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(_) => Kind::Unauthorized,
            Self::Sql(e) => e.kind(),
            Self::Busy { .. }
            | Self::NoTurn { .. }
            | Self::Deadline { .. }
            | Self::TooManyRows { .. }
            | Self::TooManyBytes { .. }
            | Self::Memory { .. } => Kind::Exhausted,
            Self::TailTooLong { .. } => Kind::Unavailable,
            Self::Log(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Stopped => Kind::Cancelled,
            Self::LogEndsEarly { .. }
            | Self::Tail(_)
            | Self::Run(_)
            | Self::Format { .. }
            | Self::Pool(_) => Kind::Internal,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Busy { .. } | Self::NoTurn { .. } | Self::TailTooLong { .. } => Retry::Later,
            Self::Log(e) => e.retry(),
            Self::Store(e) => e.retry(),
            _ => Retry::Never,
        }
    }
}
