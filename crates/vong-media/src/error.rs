//! What can go wrong between frames and boxes.

/// A failure of muxing, reading or cutting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The box does not fit the format's own limits; carries the box name.
    #[error("cannot encode box '{name}'")]
    Encode {
        name: &'static str,
        #[source]
        source: mp4_atom::Error,
    },
    /// A size or count exceeds what the format or our limits allow.
    #[error("{what} is too large: {value}, at most {limit}")]
    TooLarge { what: &'static str, value: u64, limit: u64 },
    /// Bytes that should be ours are not; `at` counts from the start of what was read.
    #[error("malformed {what} at byte {at}")]
    Malformed { what: &'static str, at: u64 },
    /// No frame lies in the asked interval.
    #[error("no footage between {from} and {to}")]
    NoFootage { from: vong_model::EventTime, to: vong_model::EventTime },
    /// The interval is empty or runs backwards.
    #[error("interval from {from} to {to} is empty")]
    EmptyInterval { from: vong_model::EventTime, to: vong_model::EventTime },
}

impl vong_telemetry::Classify for Error {
    fn kind(&self) -> vong_telemetry::Kind {
        use vong_telemetry::Kind;
        match self {
            Self::Encode { .. } => Kind::Internal,
            Self::TooLarge { .. } => Kind::Exhausted,
            Self::Malformed { .. } => Kind::Corrupt,
            Self::NoFootage { .. } => Kind::NotFound,
            Self::EmptyInterval { .. } => Kind::InvalidInput,
        }
    }
}
