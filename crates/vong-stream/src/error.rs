//! What can go wrong between the log and the alerts.

use datafusion::error::DataFusionError;
use vong_model::{Offset, RuleId, Stream};
use vong_sql::rule::Purpose;
use vong_telemetry::{Classify, Kind};

use crate::operator::Unusable;

/// A failure of the engine, the sequencer or a backtest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("set up the rule planner")]
    Planner(#[source] Box<vong_sql::Error>),
    #[error("read rule '{rule_id}' of the log at offset {offset}")]
    Rule {
        rule_id: RuleId,
        offset: Offset,
        #[source]
        source: Box<vong_sql::Error>,
    },
    #[error(
        "rule '{rule_id}' of the log at offset {offset} is not in force: rules inhibit each other in \
         a ring: {}; take one INHIBITED BY out",
        ring.iter().map(RuleId::as_str).collect::<Vec<_>>().join(" -> ")
    )]
    InhibitionRing { rule_id: RuleId, offset: Offset, ring: Vec<RuleId> },
    #[error("there is no rule '{rule_id}'")]
    NoSuchRule { rule_id: RuleId, did_you_mean: Option<String> },
    #[error(
        "rules would inhibit each other in a ring: {}; take one INHIBITED BY out",
        ring.iter().map(RuleId::as_str).collect::<Vec<_>>().join(" -> ")
    )]
    Ring { ring: Vec<RuleId> },
    #[error("'{rule_id}' is {}", match is {
        Purpose::Alert => "an alert rule, not a view",
        Purpose::View => "a continuous view, not a rule",
    })]
    OtherPurpose { rule_id: RuleId, is: Purpose },
    #[error("the engine is not running")]
    Gone,
    #[error("rule text is not one CREATE ALERT RULE statement")]
    NotARule,
    #[error("read rule")]
    RuleText(#[source] Box<vong_sql::Error>),
    #[error("evaluate the rules of stream '{}'", stream.name())]
    Compute {
        stream: Stream,
        #[source]
        source: Box<DataFusionError>,
    },
    #[error("build rows of stream '{}'", stream.name())]
    Rows {
        stream: Stream,
        #[source]
        source: arrow::error::ArrowError,
    },
    #[error("read the log from offset {from}")]
    Read {
        from: Offset,
        #[source]
        source: Box<vong_log::Error>,
    },
    #[error("append what the engine decided")]
    Append(#[source] Box<vong_log::Error>),
    #[error("the engine's snapshot is of no use")]
    Snapshot(#[source] Unusable),
    #[error("start the engine thread")]
    Thread(#[source] std::io::Error),
}

impl Error {
    pub(crate) fn compute(stream: Stream, source: DataFusionError) -> Self {
        Self::Compute { stream, source: Box::new(source) }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Planner(e) | Self::RuleText(e) | Self::Rule { source: e, .. } => e.kind(),
            Self::NotARule
            | Self::InhibitionRing { .. }
            | Self::Ring { .. }
            | Self::OtherPurpose { .. } => Kind::InvalidInput,
            Self::NoSuchRule { .. } => Kind::NotFound,
            Self::Gone => Kind::Unavailable,
            Self::Compute { .. } | Self::Rows { .. } | Self::Snapshot(_) | Self::Thread(_) => {
                Kind::Internal
            }
            Self::Read { source, .. } => source.kind(),
            Self::Append(source) => source.kind(),
        }
    }
}
