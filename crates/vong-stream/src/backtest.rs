//! The same engine over what was recorded.

use std::sync::Arc;

use vong_log::Log;
use vong_model::Offset;
use vong_sql::rule::RuleDefinition;

use crate::engine::{Counts, Engine};
use crate::outputs::TransitionRow;
use crate::{Error, RulePlanner};

/// Bytes of log read at a time.
pub(crate) const READ_BYTES: usize = 4 * 1024 * 1024;

/// Which rules a backtest runs.
#[derive(Clone, Debug)]
pub enum BacktestRules {
    /// Those of the log, from its start: the result equals what happened live.
    AsLogged,
    /// These instead, from the start of the range.
    Given(Vec<RuleDefinition>),
}

/// What a backtest found.
#[derive(Clone, Debug, Default)]
pub struct Backtest {
    /// Transitions caused by records of the range, in order.
    pub transitions: Vec<TransitionRow>,
    pub counts: Counts,
}

/// Runs rules over the records `from..to`.
///
/// With the rules as logged, everything before `from` is read too, because the state of a rule at
/// `from` depends on it; only what the range caused is returned.
///
/// # Errors
/// [`Error::Read`] when the log cannot be read, [`Error::RuleText`] for a rule that cannot be
/// planned.
pub fn backtest(
    log: &dyn Log,
    from: Offset,
    to: Offset,
    rules: &BacktestRules,
) -> Result<Backtest, Error> {
    let planner = RulePlanner::new().map_err(|e| Error::Planner(Box::new(e)))?;
    let planner = Arc::new(planner);
    let (mut engine, mut next) = match rules {
        BacktestRules::AsLogged => (Engine::new(planner), log.floor()),
        BacktestRules::Given(rules) => (Engine::with_rules(planner, rules)?, from.max(log.floor())),
    };
    let mut found = Backtest::default();
    while next < to {
        let records = match log.read(next, READ_BYTES) {
            Ok(records) => records,
            // As the engine does live.
            Err(e) => match e.resume_at().filter(|at| *at > next) {
                Some(at) => {
                    next = at;
                    continue;
                }
                None => return Err(Error::Read { from: next, source: Box::new(e) }),
            },
        };
        let Some(last) = records.last() else { break };
        next = last.offset.next();
        for record in records.iter().take_while(|record| record.offset < to) {
            let outputs = engine.apply(record);
            if record.offset >= from {
                found.transitions.extend(outputs.transitions);
            }
        }
    }
    found.counts = engine.counts();
    Ok(found)
}
