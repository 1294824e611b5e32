//! Why a message, or one field of it, was refused: a closed list.

use std::fmt;

/// The values of `rejected_events.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// The payload is not the JSON it should be.
    MalformedJson,
    /// A value that must be there is not, or is null.
    MissingField,
    /// A value is there but of another type.
    WrongType,
    /// A number outside the range its field allows.
    OutOfRange,
    /// The timestamp cannot be read in the configured format.
    BadTimestamp,
    /// The timestamp lies further back than `max_age`.
    TimeTooOld,
    /// The timestamp lies further ahead than `max_ahead`.
    TimeInFuture,
    /// No configured source takes this topic.
    UnknownTopic,
    /// The sensor is not registered and the source takes only registered ones.
    UnknownSensor,
    /// The message is larger than the broker's `max_packet`.
    TooLarge,
}

impl RejectReason {
    pub const ALL: [Self; 10] = [
        Self::MalformedJson,
        Self::MissingField,
        Self::WrongType,
        Self::OutOfRange,
        Self::BadTimestamp,
        Self::TimeTooOld,
        Self::TimeInFuture,
        Self::UnknownTopic,
        Self::UnknownSensor,
        Self::TooLarge,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::BadTimestamp => "bad_timestamp",
            Self::TimeTooOld => "time_too_old",
            Self::TimeInFuture => "time_in_future",
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownSensor => "unknown_sensor",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vong_model::Stream;

    #[test]
    fn the_list_is_the_one_the_stream_documents() {
        let column = Stream::RejectedEvents.columns().iter().find(|c| c.name == "reason").unwrap();
        let documented = column.doc.trim_start_matches("One of a closed list: ");
        let ours: Vec<&str> = RejectReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(documented.trim_end_matches('.'), ours.join(", "));
    }
}
