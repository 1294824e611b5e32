//! The same engine over what was recorded.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use vong_log::{Log, Record};
use vong_model::{EventTime, Offset, Stream};
use vong_sql::rule::RuleDefinition;

use crate::engine::{Counts, Engine};
use crate::outputs::{TransitionRow, causes, text_at};
use crate::tables::{self, Tables};
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

/// Runs rules over the records `from..to`. `progress` is told how far it has come now and then, and
/// may end the run: what was found until then is returned.
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
    mut progress: impl FnMut(Offset) -> ControlFlow<()>,
) -> Result<Backtest, Error> {
    let planner = RulePlanner::new().map_err(|e| Error::Planner(Box::new(e)))?;
    let planner = Arc::new(planner);
    let (mut engine, mut next) = match rules {
        BacktestRules::AsLogged => (Engine::new(planner), log.floor()),
        BacktestRules::Given(rules) => {
            let from = from.max(log.floor());
            (given(&planner, log, (from, to), rules)?, from)
        }
    };
    let mut found = Backtest::default();
    while next < to {
        let records = read_on(log, &mut next)?;
        if records.is_empty() {
            break;
        }
        if progress(next).is_break() {
            break;
        }
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

/// The next records from `next` on, which then stands behind them; none at the end of the log. What
/// is lost is passed over, as the engine does live.
pub(crate) fn read_on(log: &dyn Log, next: &mut Offset) -> Result<Vec<Record>, Error> {
    loop {
        match log.read(*next, READ_BYTES) {
            Ok(records) => {
                *next = records.last().map_or(*next, |last| last.offset.next());
                return Ok(records);
            }
            Err(e) => match e.resume_at().filter(|at| *at > *next) {
                Some(at) => *next = at,
                None => return Err(Error::Read { from: *next, source: Box::new(e) }),
            },
        }
    }
}

/// An engine of these rules with the dimension tables as they were at the start of the range. A
/// table that came later is taken as it first was, so that a rule can be tried on what was before.
fn given(
    planner: &Arc<RulePlanner>,
    log: &dyn Log,
    (from, to): (Offset, Offset),
    rules: &[RuleDefinition],
) -> Result<Engine, Error> {
    let with = |tables| Engine::with_tables(Arc::clone(planner), tables, rules);
    // Most rules need no table, and the log before the range can be long.
    if let Ok(engine) = with(Tables::new()) {
        return Ok(engine);
    }
    let before = tables::in_force_at(log, from)?;
    if let Ok(engine) = with(before.clone()) {
        return Ok(engine);
    }
    let after = tables::first_after(log, (from, to), &before)?;
    with(before.into_iter().chain(after).collect())
}

/// One transition, in the words in which two runs are compared: rule, key, state, event time.
pub type Told = (String, String, String, EventTime);

/// What one run told and the other did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Told live, by the log.
    pub only_live: BTreeSet<Told>,
    pub only_backtest: BTreeSet<Told>,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.only_live.is_empty() && self.only_backtest.is_empty()
    }
}

/// Compares what the engine decided live, caused by the records `from..to`, with `found`; only of
/// rules that `wanted` says. People's acts are left out: a backtest of given rules has none.
///
/// # Errors
/// [`Error::Read`] when the log cannot be read.
pub fn difference(
    log: &dyn Log,
    (from, to): (Offset, Offset),
    found: &[TransitionRow],
    wanted: impl Fn(&str) -> bool,
) -> Result<Difference, Error> {
    let by_engine = |row: &&TransitionRow| row.actor == "engine" && wanted(row.rule_id.as_str());
    let told = |row: &TransitionRow| {
        let (rule, state) = (row.rule_id.to_string(), row.state.to_owned());
        (rule, row.key.clone(), state, row.event_time)
    };
    let again: BTreeSet<Told> = found.iter().filter(by_engine).map(told).collect();
    let live = live(log, from, to, wanted)?;
    Ok(Difference {
        only_live: live.difference(&again).cloned().collect(),
        only_backtest: again.difference(&live).cloned().collect(),
    })
}

fn live(
    log: &dyn Log,
    from: Offset,
    to: Offset,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeSet<Told>, Error> {
    let (mut live, mut next) = (BTreeSet::new(), from.max(log.floor()));
    // A decision stands behind what caused it, so the log is read to its end.
    while next < log.head() {
        let records = read_on(log, &mut next)?;
        if records.is_empty() {
            break;
        }
        for record in records.iter().filter(|r| r.stream == Stream::AlertTransitions) {
            let times = record.batch.column(record.stream.column_index("event_time"));
            let times = times.as_primitive::<TimestampMicrosecondType>();
            for (row, cause) in causes(record).enumerate() {
                let text = |name| text_at(record, name, row).unwrap_or_default();
                let in_range = (from..to).contains(&cause.offset);
                if in_range && text("actor") == "engine" && wanted(text("rule_id")) {
                    let [rule, key, state] =
                        ["rule_id", "key", "state"].map(|name| text(name).to_owned());
                    live.insert((rule, key, state, EventTime(times.value(row))));
                }
            }
        }
    }
    Ok(live)
}

/// The first record appended at or after `at`, by our clock; the head when there is none.
///
/// # Errors
/// [`Error::Read`] when the log cannot be read.
pub fn offset_at(log: &dyn Log, at: EventTime) -> Result<Offset, Error> {
    let (mut low, mut high) = (log.floor(), log.head());
    while low < high {
        let middle = Offset(low.0 + (high.0 - low.0) / 2);
        let read = log.read(middle, 0);
        let records = read.map_err(|e| Error::Read { from: middle, source: Box::new(e) })?;
        match records.first() {
            Some(record) if record.appended_at < at => low = record.offset.next(),
            _ => high = middle,
        }
    }
    Ok(low)
}
