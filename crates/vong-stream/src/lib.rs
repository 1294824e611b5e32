//! Sequencer, watermarks, shared rule operator, backtest.
//!
//! Alerts are a function of the log: the engine reads nothing else, so that live, after a restart
//! and in a backtest the same records give the same alerts, to the byte.

mod error;
mod operator;
mod plan;

pub use error::Error;
pub use operator::{Key, Operator, Pushed, RuleMeta, RuleStatus, Step};
pub use plan::{RulePlan, RulePlanner};
