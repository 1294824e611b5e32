//! Sequencer, watermarks, shared operator of rules and views, backtest.
//!
//! Alerts are a function of the log: the engine reads nothing else, so that live, after a restart
//! and in a backtest the same records give the same alerts, to the byte.

mod alarm_report;
mod backtest;
mod cost;
mod desk;
mod engine;
mod error;
mod metrics;
mod operator;
mod outputs;
mod plan;
mod sequencer;
mod service;
mod tables;
mod view_rows;

pub use alarm_report::{AlarmReport, Label, LabelReport};
pub use backtest::{Backtest, BacktestRules, Difference, Told, backtest, difference, offset_at};
pub use cost::{RuleBudget, RuleCost};
pub use desk::{RULE_FILES, RuleChanged, RuleDesk};
pub use engine::{Counts, ENGINE_VERSION, Engine};
pub use error::Error;
pub use metrics::StreamMetrics;
pub use operator::{
    Decided, FoundRows, Key, Operator, Pushed, RuleMeta, RuleStatus, Step, Stopwatch, Unusable,
};
pub use outputs::{Cause, Outputs, TransitionRow};
pub use plan::{RulePlan, RulePlanner};
pub use sequencer::{Sequencer, SequencerConfig};
pub use service::{EngineHandle, EngineService, SnapshotConfig, StreamConfig};
pub use view_rows::ViewRows;

#[cfg(test)]
mod testing;
