//! What can be wrong with a source's configuration.

use vong_telemetry::{Classify, Kind};

/// A source cannot be compiled as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("source '{source_id}': topic '{topic}' {problem}")]
    Topic { source_id: String, topic: String, problem: &'static str },
    #[error("source '{source_id}': pointer '{pointer}' {problem}")]
    Pointer { source_id: String, pointer: String, problem: &'static str },
    #[error("source '{source_id}': timestamp format '{format}' {problem}")]
    TimestampFormat { source_id: String, format: String, problem: String },
    #[error("source '{source_id}': {problem}")]
    Source { source_id: String, problem: String },
    #[error("source '{source_id}', metric '{metric}': {problem}")]
    Field { source_id: String, metric: String, problem: &'static str },
    #[error("sources '{first}' and '{second}' can both match one topic")]
    Overlap { first: String, second: String },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Topic { .. }
            | Self::Pointer { .. }
            | Self::TimestampFormat { .. }
            | Self::Source { .. }
            | Self::Field { .. }
            | Self::Overlap { .. } => Kind::InvalidInput,
        }
    }
}
