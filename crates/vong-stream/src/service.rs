//! Follows the log on a thread of its own: sequencer and engine side by side, their decisions
//! appended to the same log.
//!
//! Invariant: every decision is appended exactly once. What the engine decides again during a
//! replay is compared with what the log holds, by cause; only what lies past it is new.

mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};
use vong_log::{Entry, Log, Record};
use vong_model::view::ViewTables;
use vong_model::{Offset, Stream};
use vong_runtime::channel::{Capacity, Receiver, Sender, WhenFull, bounded};
use vong_runtime::{Clock, Shutdown, UnixMicros};
use vong_sql::rule::ExplainStatement;
use vong_telemetry::{Classify, Retry};

use crate::Error;
use crate::backtest::READ_BYTES;
use crate::engine::{Counts, Engine};
use crate::metrics::StreamMetrics;
use crate::operator::RuleStatus;
use crate::outputs::{LateRows, Logged, Outputs};
use crate::plan::RulePlanner;
use crate::sequencer::{Sequencer, SequencerConfig};
use memory::Memory;

pub use memory::SnapshotConfig;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(250);
/// Pause before an append that failed for want of space is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Entries appended at a time: a long backlog of decisions is cut, because the log bounds a group.
const ENTRIES_AN_APPEND: usize = 256;

/// Questions that may wait for the engine.
const QUESTIONS: Capacity = Capacity::items(16);

/// Settings of sequencer and engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamConfig {
    pub sequencer: SequencerConfig,
    /// `None`: each start reads the whole log.
    pub snapshots: Option<SnapshotConfig>,
}

/// The engine as a service: one per log.
#[derive(Debug)]
pub struct EngineService {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    config: StreamConfig,
    metrics: StreamMetrics,
    planner: Arc<RulePlanner>,
    shared: Arc<Shared>,
    questions: Receiver<Question>,
}

#[derive(Debug)]
struct Shared {
    caught_up: watch::Sender<bool>,
    applied: watch::Sender<Offset>,
    questions: Sender<Question>,
    rules: RwLock<Vec<RuleStatus>>,
    counts: RwLock<Counts>,
    views: watch::Sender<ViewTables>,
    planner: Arc<RulePlanner>,
}

/// A question to the running engine, and where its answer goes.
#[derive(Debug)]
struct Question {
    statement: ExplainStatement,
    answer: oneshot::Sender<Option<Vec<String>>>,
}

/// Looks into a running engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    shared: Arc<Shared>,
}

impl EngineHandle {
    /// Whether the log was read to its end once since the start.
    pub fn is_caught_up(&self) -> bool {
        *self.shared.caught_up.borrow()
    }

    /// Waits until the log was read to its end once.
    pub async fn caught_up(&self) {
        // An error means the service is gone with its sender; waiting longer would not help.
        drop(self.shared.caught_up.subscribe().wait_for(|caught_up| *caught_up).await);
    }

    /// Every record below this offset was applied.
    pub fn applied(&self) -> Offset {
        *self.shared.applied.borrow()
    }

    /// Waits until every record below this offset was applied.
    pub async fn wait_applied(&self, to: Offset) {
        // An error means the service is gone with its sender; waiting longer would not help.
        drop(self.shared.applied.subscribe().wait_for(|applied| *applied >= to).await);
    }

    /// How the engine runs a rule, or what holds a stream's watermark, in lines. `None` for a rule
    /// that is not in force, and for questions about one alert, which history answers.
    ///
    /// # Errors
    /// [`Error::Gone`] when the engine is not running.
    pub async fn explain(&self, statement: ExplainStatement) -> Result<Option<Vec<String>>, Error> {
        let (answer, answered) = oneshot::channel();
        let question = Question { statement, answer };
        self.shared.questions.send(question).await.map_err(|_gone| Error::Gone)?;
        answered.await.map_err(|_gone| Error::Gone)
    }

    /// Every rule with its open alerts, by name; at most a second old, and never older than the
    /// last change of a rule that was applied.
    pub fn rules(&self) -> Vec<RuleStatus> {
        self.shared.rules.read().clone()
    }

    /// The continuous views, as the engine knows them now and later.
    pub fn views(&self) -> watch::Receiver<ViewTables> {
        self.shared.views.subscribe()
    }

    /// What was read since the start.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.read()
    }

    /// Plans rules as the engine does, to refuse a bad one before it is logged.
    pub fn planner(&self) -> &RulePlanner {
        &self.shared.planner
    }
}

impl EngineService {
    /// # Errors
    /// [`Error::Planner`] when the SQL session cannot be built.
    pub fn new(
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        config: StreamConfig,
        metrics: StreamMetrics,
    ) -> Result<(Self, EngineHandle), Error> {
        let planner = Arc::new(RulePlanner::new().map_err(|e| Error::Planner(Box::new(e)))?);
        let (asked, questions) = bounded("engine/questions", QUESTIONS, WhenFull::Wait);
        let shared = Arc::new(Shared {
            caught_up: watch::Sender::new(false),
            applied: watch::Sender::new(Offset(0)),
            questions: asked,
            rules: RwLock::default(),
            counts: RwLock::default(),
            views: watch::Sender::default(),
            planner: Arc::clone(&planner),
        });
        let handle = EngineHandle { shared: Arc::clone(&shared) };
        Ok((Self { log, clock, config, metrics, planner, shared, questions }, handle))
    }

    /// Runs until `shutdown`, on a thread of its own.
    ///
    /// # Errors
    /// What stopped the engine; the log then holds no decision twice and none is half written.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let (done, ended) = oneshot::channel();
        let thread = vong_runtime::thread::spawn("vong-engine", move || {
            let result = self.run_here(&shutdown);
            // Nobody waits any more when the process is going down hard.
            drop(done.send(result));
        });
        thread.map_err(Error::Thread)?;
        match ended.await {
            Ok(result) => result,
            Err(_gone) => Err(Error::Thread(std::io::Error::other("the engine thread panicked"))),
        }
    }

    fn run_here(self, shutdown: &Shutdown) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(Error::Thread)?;
        let mut memory = Memory::of(&self);
        let mut follower = Follower::new(self);
        if let Some(memory) = &mut memory {
            memory.recall(&mut follower);
        }
        let ended = runtime.block_on(follower.run(shutdown, memory.as_mut()));
        if let Some(memory) = memory.as_mut().filter(|_| ended.is_ok() && follower.is_settled()) {
            memory.keep_last(&follower);
        }
        ended
    }
}

/// The running state.
struct Follower {
    service: EngineService,
    engine: Engine,
    sequencer: Sequencer,
    next: Offset,
    published_at: UnixMicros,
    rules_changed: bool,
    /// Rows that came too late since the start, by source.
    late: BTreeMap<String, u64>,
    /// Decided, not in the log yet.
    pending: Outputs,
    logged: Logged,
}

impl Follower {
    fn new(service: EngineService) -> Self {
        let mut engine = Engine::new(Arc::clone(&service.planner));
        engine.measure(vong_runtime::processor_time);
        let sequencer = Sequencer::new(service.config.sequencer.clone());
        let next = service.log.floor();
        Self {
            service,
            engine,
            sequencer,
            next,
            published_at: 0,
            rules_changed: false,
            late: BTreeMap::new(),
            pending: Outputs::default(),
            logged: Logged::default(),
        }
    }

    /// The log holds everything that was decided.
    fn is_settled(&self) -> bool {
        self.pending.is_empty() && *self.service.shared.caught_up.borrow()
    }

    async fn run(
        &mut self,
        shutdown: &Shutdown,
        mut memory: Option<&mut Memory>,
    ) -> Result<(), Error> {
        let mut head = self.service.log.watch();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.read_to_head(shutdown)?;
        if shutdown.is_requested() {
            return Ok(());
        }
        self.sequencer.resume(self.service.clock.now());
        self.append(Vec::new(), shutdown).await?;
        // Also when there was nothing to read behind a snapshot.
        self.publish(self.engine.counts(), self.service.log.head());
        self.service.shared.caught_up.send_replace(true);
        info!(records = self.engine.counts().records, "engine caught up with the log");
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                changed = head.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    head.borrow_and_update();
                }
                Some(question) = self.service.questions.recv() => self.answer(question),
                _ = tick.tick() => {}
            }
            self.read_to_head(shutdown)?;
            let decisions = self.sequencer.decide(self.service.clock.now())?;
            self.append(decisions, shutdown).await?;
            if let Some(memory) = memory.as_mut() {
                memory.keep(self);
            }
        }
    }

    /// Applies everything durable so far.
    fn read_to_head(&mut self, shutdown: &Shutdown) -> Result<(), Error> {
        let head = self.service.log.head();
        while self.next < head && !shutdown.is_requested() {
            let records = match self.service.log.read(self.next, READ_BYTES) {
                Ok(records) => records,
                // Lost records are lost for every reader; alerts must go on behind them.
                Err(e) => match e.resume_at().filter(|at| *at > self.next) {
                    Some(at) => {
                        error!(error = &e as &dyn std::error::Error, "engine skips lost records");
                        self.service.metrics.lost(at.0 - self.next.0);
                        self.next = at;
                        continue;
                    }
                    None => return Err(Error::Read { from: self.next, source: Box::new(e) }),
                },
            };
            if records.is_empty() {
                break;
            }
            let before = self.engine.counts();
            for record in &records {
                self.apply(record);
            }
            self.publish(before, head);
        }
        Ok(())
    }

    fn apply(&mut self, record: &Record) {
        self.next = record.offset.next();
        if self.logged.saw(record) {
            self.pending.forget(self.logged);
            return;
        }
        self.rules_changed |= record.stream == Stream::RuleChanges;
        self.sequencer.observe(record);
        let outputs = self.engine.apply(record);
        for (source, rows) in outputs.late.iter().flat_map(LateRows::by_source) {
            self.service.metrics.late(&source, rows);
            *self.late.entry(source).or_default() += rows;
        }
        self.pending.extend(outputs);
    }

    fn answer(&self, Question { statement, answer }: Question) {
        let lines = match &statement {
            ExplainStatement::Rule { rule_id } => self.engine.explain(rule_id),
            ExplainStatement::Window { stream } => {
                let now = self.service.clock.now();
                let watermark = self.engine.watermark(*stream);
                let mut lines = self.sequencer.explain(*stream, now, watermark);
                let late = self.late.iter().filter(|_| *stream == Stream::Readings);
                lines.extend(late.map(|(source, rows)| {
                    format!("source {source}: {rows} rows were late since the start (late_events)")
                }));
                Some(lines)
            }
            ExplainStatement::Alert { .. } => None,
        };
        // Nobody waits any more when the asker went away.
        drop(answer.send(lines));
    }

    fn publish(&mut self, before: Counts, head: Offset) {
        let Shared { applied, rules, counts, views, .. } = self.service.shared.as_ref();
        let now = self.engine.counts();
        self.service.metrics.applied(before, now);
        self.service.metrics.lag(head.0.saturating_sub(self.next.0));
        *counts.write() = now;
        let at = self.service.clock.now();
        // A list of thousands of rules is not rebuilt with every record.
        let stale = at.saturating_sub(self.published_at) >= 1_000_000 || at < self.published_at;
        if stale || self.rules_changed || !*self.service.shared.caught_up.borrow() {
            let in_force = self.engine.rules();
            views.send_if_modified(|known| {
                let changed = known.as_ref() != self.engine.views();
                if changed {
                    *known = Arc::new(self.engine.views().clone());
                }
                changed
            });
            self.service.metrics.in_force(&in_force);
            *rules.write() = in_force;
            self.published_at = at;
            self.rules_changed = false;
        }
        // Last, so that whoever waited for an offset sees what it changed.
        applied.send_replace(self.next);
    }

    /// Appends what was decided, in order; waits while the disk is full.
    async fn append(&mut self, decisions: Vec<Entry>, shutdown: &Shutdown) -> Result<(), Error> {
        // The log may hold it already, appended in an earlier life after what was read here.
        self.pending.forget(self.logged);
        let outputs = std::mem::take(&mut self.pending);
        let mut entries = outputs.entries()?;
        entries.extend(decisions);
        if entries.is_empty() {
            return Ok(());
        }
        for some in entries.chunks(ENTRIES_AN_APPEND) {
            self.append_some(some, shutdown).await?;
        }
        self.service.metrics.decided(&outputs);
        self.logged.wrote(&outputs);
        Ok(())
    }

    async fn append_some(&self, entries: &[Entry], shutdown: &Shutdown) -> Result<(), Error> {
        loop {
            match self.service.log.append(entries.to_vec()).await {
                Ok(_) => return Ok(()),
                Err(e) if e.retry() == Retry::Later && !shutdown.is_requested() => {
                    warn!(error = %e, "engine waits for the log");
                    tokio::time::sleep(RETRY).await;
                }
                Err(e) => return Err(Error::Append(Box::new(e))),
            }
        }
    }
}

#[cfg(test)]
mod tests;
