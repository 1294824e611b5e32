//! Sequencer, watermarks, shared rule operator, backtest.

mod plan;

pub use plan::{RulePlan, RulePlanner};
