//! Alerts as a function of the log.
//!
//! Invariant: [`Engine::apply`] reads its record and its own state, nothing else: no clock, no
//! randomness, no other thread. The same records in the same order give the same outputs.

mod saved;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{TimestampMicrosecondType, UInt32Type};
use serde::{Deserialize, Serialize};
use tracing::warn;
use vong_alert::Act;
use vong_log::Record;
use vong_model::view::ViewTable;
use vong_model::{AlertId, EventTime, Offset, RuleId, Stream};
use vong_sql::rule::{RuleDefinition, RuleStatement, inhibition_order, parse_one};

use crate::Error;
use crate::operator::{Operator, Pushed, RuleMeta, RuleStatus, Step, Stopwatch};
use crate::outputs::{LateRows, Outputs, TransitionRow, instants, text_at};
use crate::plan::{RulePlan, RulePlanner, Uses};
use crate::tables::Tables;
use crate::view_rows::ViewRows;

pub(crate) use saved::{SavedEngine, SavedRule};

/// Version of the engine's semantics, stamped on every transition. Raise it with any change that
/// can make the same log give other alerts.
pub const ENGINE_VERSION: u32 = 3;

/// Commands remembered, so that one sent twice is done once: a limit of ours.
const REMEMBERED_COMMANDS: usize = 10_000;

/// A rule as the log has it, in force or not.
#[derive(Clone, Debug)]
struct Known {
    version: u32,
    definition: RuleDefinition,
    by: String,
    enabled: bool,
}

/// What was read so far, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub records: u64,
    /// Rows that took part in rules.
    pub rows: u64,
    pub late: u64,
    pub clock_ahead: u64,
    /// Records on which some rule failed.
    pub failed: u64,
    /// Rule changes that could not be put in force.
    pub refused_rules: u64,
    /// Changes of dimension tables that could not be read.
    pub refused_tables: u64,
}

/// The engine: feed it records in log order.
#[derive(Debug)]
pub struct Engine {
    planner: Arc<RulePlanner>,
    operator: Operator,
    known: BTreeMap<RuleId, Known>,
    views: BTreeMap<String, ViewTable>,
    /// Dimension tables in force, and what each rule in force reads of them.
    tables: Tables,
    uses: BTreeMap<RuleId, Uses>,
    commands: BTreeSet<String>,
    command_order: VecDeque<String>,
    counts: Counts,
    obeys_log: bool,
}

impl Engine {
    /// An engine whose rules come from the log's `rule_changes`.
    pub fn new(planner: Arc<RulePlanner>) -> Self {
        Self {
            planner,
            operator: Operator::new(),
            known: BTreeMap::new(),
            views: BTreeMap::new(),
            tables: Tables::new(),
            uses: BTreeMap::new(),
            commands: BTreeSet::new(),
            command_order: VecDeque::new(),
            counts: Counts::default(),
            obeys_log: true,
        }
    }

    /// An engine with these rules, in version 1, that ignores the log's rules and commands: to try
    /// rules on what was recorded.
    ///
    /// # Errors
    /// [`Error::RuleText`] for the first rule that cannot be planned.
    pub fn with_rules(planner: Arc<RulePlanner>, rules: &[RuleDefinition]) -> Result<Self, Error> {
        Self::with_tables(planner, Tables::new(), rules)
    }

    /// An engine with these tables and rules, in version 1, that ignores the log's rules and
    /// commands: to try rules on what was recorded. Tables change as the log says.
    ///
    /// # Errors
    /// [`Error::RuleText`] for the first rule that cannot be planned.
    pub(crate) fn with_tables(
        planner: Arc<RulePlanner>,
        tables: Tables,
        rules: &[RuleDefinition],
    ) -> Result<Self, Error> {
        let mut engine = Self { obeys_log: false, ..Self::new(planner) };
        for table in tables.values() {
            engine.planner.set_table(table).map_err(|e| Error::Planner(Box::new(e)))?;
        }
        engine.tables = tables;
        for definition in rules {
            let refused = |e| Error::RuleText(Box::new(e));
            let plan = engine.planner.plan(definition).map_err(refused)?;
            let (definition, by) = (definition.clone(), String::new());
            engine.run(Known { version: 1, definition, by, enabled: true }, &plan)?;
        }
        Ok(engine)
    }

    /// From now on the time that rules take is measured; nothing is decided by it.
    pub fn measure(&mut self, stopwatch: Stopwatch) {
        self.operator.measure(stopwatch);
    }

    /// Takes one record in and says what it causes.
    pub fn apply(&mut self, record: &Record) -> Outputs {
        self.counts.records += 1;
        let mut steps = Vec::new();
        let mut outputs = Outputs::default();
        let done = match record.stream {
            Stream::Watermarks => self.watermarks(record, &mut steps),
            Stream::RuleChanges if self.obeys_log => {
                self.rule_changes(record, &mut steps);
                Ok(())
            }
            Stream::ConfigChanges => {
                self.table_changes(record, &mut steps);
                Ok(())
            }
            Stream::Commands if self.obeys_log => {
                self.commands(record, &mut steps);
                Ok(())
            }
            stream if stream.feeds_rules() => {
                self.rows(record, &mut steps).map(|late| outputs.late.extend(late))
            }
            _ => Ok(()),
        };
        if let Err(e) = done {
            self.failed(record, &e);
        }
        let numbered = (0_u32..).zip(steps.iter().filter(|step| step.transition().is_some()));
        outputs.transitions = numbered
            .filter_map(|(ordinal, step)| TransitionRow::new(step, record, ordinal))
            .collect();
        match ViewRows::of(&steps, record) {
            Ok(views) => outputs.views = views,
            Err(e) => self.failed(record, &e),
        }
        outputs
    }

    fn failed(&mut self, record: &Record, error: &Error) {
        self.counts.failed += 1;
        warn!(offset = record.offset.0, error = error as &dyn std::error::Error, "rule failed");
    }

    /// Every view that was not dropped, as queries see it.
    pub fn views(&self) -> &BTreeMap<String, ViewTable> {
        &self.views
    }

    /// Every rule the log knows, by name, also those that are switched off.
    pub fn rules(&mut self) -> Vec<RuleStatus> {
        let mut rules = self.operator.status();
        for status in &mut rules {
            if let Some(known) = self.known.get(status.rule.rule_id()) {
                status.by.clone_from(&known.by);
            }
        }
        let off = self.known.values().filter(|known| !known.enabled).map(|known| RuleStatus {
            rule: Arc::new(RuleMeta {
                version: known.version,
                definition: known.definition.clone(),
            }),
            enabled: false,
            by: known.by.clone(),
            kind: "",
            open: 0,
            transitions: 0,
            last_fired: None,
            rows: 0,
            matches: 0,
            busy_us: 0,
            memory_bytes: 0,
        });
        rules.extend(off);
        rules.sort_by(|a, b| a.rule.rule_id().cmp(b.rule.rule_id()));
        rules
    }

    /// How a rule is run; `None` when it is not in force.
    pub fn explain(&self, rule_id: &RuleId) -> Option<Vec<String>> {
        self.operator.explain(rule_id)
    }

    /// The watermark of a stream, once there was one.
    pub fn watermark(&self, stream: Stream) -> Option<EventTime> {
        self.operator.watermark(stream)
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn rows(&mut self, record: &Record, steps: &mut Vec<Step>) -> Result<Option<LateRows>, Error> {
        let watermark = self.operator.watermark(record.stream);
        let pushed = self.operator.push(record.stream, &record.batch, record.offset, steps)?;
        let Pushed { rows, late, ahead } = pushed;
        self.counts.rows += rows as u64;
        self.counts.clock_ahead += ahead.len() as u64;
        self.counts.late += late.len() as u64;
        let is_reading = record.stream == Stream::Readings;
        Ok(watermark.filter(|_| is_reading && !late.is_empty()).map(|watermark| LateRows {
            batch: record.batch.clone(),
            rows: late,
            watermark,
            cause: record.offset,
        }))
    }

    fn watermarks(&mut self, record: &Record, steps: &mut Vec<Step>) -> Result<(), Error> {
        let Some(watermarks) = instants(record, "watermark") else { return Ok(()) };
        for (row, watermark) in watermarks.values().iter().enumerate() {
            let stream = text_at(record, "stream", row).and_then(Stream::from_name);
            let Some(stream) = stream.filter(|s| s.feeds_rules()) else { continue };
            self.operator.advance(stream, EventTime(*watermark), record.offset, steps)?;
        }
        Ok(())
    }

    fn rule_changes(&mut self, record: &Record, steps: &mut Vec<Step>) {
        for row in 0..record.batch.num_rows() {
            if let Err(e) = self.rule_change(record, row, steps) {
                self.counts.refused_rules += 1;
                warn!(error = &e as &dyn std::error::Error, "rule of the log is not in force");
            }
        }
    }

    fn rule_change(
        &mut self,
        record: &Record,
        row: usize,
        steps: &mut Vec<Step>,
    ) -> Result<(), Error> {
        let text = |name| text_at(record, name, row).unwrap_or_default();
        let rule_id = RuleId::from(text("rule_id"));
        let versions = record.batch.column(Stream::RuleChanges.column_index("version"));
        let version = versions.as_primitive_opt::<UInt32Type>().map_or(0, |v| v.value(row));
        let at = record.appended_at;
        if matches!(text("action"), "create" | "alter" | "drop") {
            self.views.remove(rule_id.as_str());
        }
        self.uses.remove(&rule_id);
        match text("action") {
            "create" | "alter" => {
                self.operator.remove(&rule_id, at, "rule changed", steps);
                self.known.remove(&rule_id);
                let definition = definition(text("sql"), &rule_id, record.offset)?;
                let by = text("actor").to_owned();
                self.put(Known { version, definition, by, enabled: true }, record.offset)
            }
            "drop" => {
                self.operator.remove(&rule_id, at, "rule dropped", steps);
                self.known.remove(&rule_id);
                Ok(())
            }
            "disable" => {
                self.operator.remove(&rule_id, at, "rule disabled", steps);
                if let Some(known) = self.known.get_mut(&rule_id) {
                    (known.enabled, known.version) = (false, version);
                    text("actor").clone_into(&mut known.by);
                }
                Ok(())
            }
            "enable" => match self.known.get(&rule_id).cloned() {
                Some(known) => {
                    self.operator.remove(&rule_id, at, "rule enabled again", steps);
                    let by = text("actor").to_owned();
                    self.put(Known { enabled: true, version, by, ..known }, record.offset)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn put(&mut self, known: Known, offset: Offset) -> Result<(), Error> {
        let rule_id = known.definition.rule_id.clone();
        let planned = self.planner.plan(&known.definition);
        let plan = planned.map_err(|e| Error::Rule {
            rule_id: rule_id.clone(),
            offset,
            source: Box::new(e),
        })?;
        if let Err(ring) = inhibition_order(self.in_force_with(&known.definition)) {
            let ring = ring.into_iter().cloned().collect();
            return Err(Error::InhibitionRing { rule_id, offset, ring });
        }
        self.run(known, &plan)
    }

    fn run(&mut self, known: Known, plan: &RulePlan) -> Result<(), Error> {
        let Known { version, definition, .. } = known.clone();
        let rule_id = definition.rule_id.clone();
        if let Some(layout) = plan.layout() {
            let table = ViewTable { layout: layout.clone(), sql: definition.sql.clone() };
            self.views.insert(rule_id.to_string(), table);
        }
        self.operator.add(Arc::new(RuleMeta { version, definition }), plan)?;
        self.uses.insert(rule_id.clone(), Uses::of(plan));
        self.known.insert(rule_id, known);
        Ok(())
    }

    fn in_force_with<'a>(
        &'a self,
        new: &'a RuleDefinition,
    ) -> impl Iterator<Item = &'a RuleDefinition> {
        let others = self.known.values().filter(|known| known.enabled);
        let others = others.map(|known| &known.definition);
        others.filter(|other| other.rule_id != new.rule_id).chain([new])
    }

    fn commands(&mut self, record: &Record, steps: &mut Vec<Step>) {
        for row in 0..record.batch.num_rows() {
            let text = |name| text_at(record, name, row);
            if !self.is_new(text("command_id").unwrap_or_default()) {
                continue;
            }
            let until = record.batch.column(Stream::Commands.column_index("until_time"));
            let until = until.as_primitive_opt::<TimestampMicrosecondType>();
            let until = until.and_then(|u| u.iter().nth(row).flatten()).map(EventTime);
            let act = match text("action") {
                Some("acknowledge") => Act::Acknowledge,
                Some("shelve") => Act::Shelve { until },
                Some("unshelve") => Act::Unshelve,
                Some("comment") => Act::Comment,
                _ => continue,
            };
            let alert = AlertId::from(text("alert_id").unwrap_or_default());
            let by = (text("actor").unwrap_or_default(), text("reason"));
            self.operator.command(&alert, &act, by, record.appended_at, steps);
        }
    }

    fn is_new(&mut self, command_id: &str) -> bool {
        if command_id.is_empty() {
            return true;
        }
        if !self.commands.insert(command_id.to_owned()) {
            return false;
        }
        self.command_order.push_back(command_id.to_owned());
        if self.command_order.len() > REMEMBERED_COMMANDS
            && let Some(oldest) = self.command_order.pop_front()
        {
            self.commands.remove(&oldest);
        }
        true
    }
}

fn definition(sql: &str, rule_id: &RuleId, offset: Offset) -> Result<RuleDefinition, Error> {
    match parse_one(sql) {
        Ok(RuleStatement::Create(definition)) => Ok(*definition),
        Ok(_) => Err(Error::NotARule),
        Err(e) => Err(Error::Rule { rule_id: rule_id.clone(), offset, source: Box::new(e) }),
    }
}

mod table_changes;
#[cfg(test)]
mod tests;
