//! What the follower remembers over a restart: when it is written down, and how it is found again.
//!
//! Writing costs the engine's thread the encoding alone; a thread of its own waits for the disk. It
//! is done so seldom that the engine spends at most a fiftieth of its time on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use vong_log::{Found, Snapshots};
use vong_model::Offset;
use vong_runtime::UnixMicros;

use super::{EngineService, Follower};
use crate::ENGINE_VERSION;
use crate::engine::{Engine, SavedEngine, SavedRule};
use crate::metrics::StreamMetrics;
use crate::outputs::{Logged, Outputs};
use crate::sequencer::{SavedSequencer, Sequencer};

/// Of the form of the state; raise it with any change of that.
const FORMAT: u32 = 1;

/// How many times as long as the last one took the next snapshot waits at least.
const REST: i64 = 50;

/// Where the engine keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotConfig {
    pub dir: PathBuf,
    /// Least time between two.
    pub every: Duration,
}

/// State of the version that wrote it; the rules stand in the notes.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    engine: SavedEngine,
    sequencer: SavedSequencer,
    late: BTreeMap<String, u64>,
    logged: Logged,
}

/// Writes snapshots now and then.
#[derive(Debug)]
pub(super) struct Memory {
    snapshots: Snapshots,
    every_us: i64,
    /// Our clock, from which on the next one is due.
    due: UnixMicros,
    /// Where the last one ended.
    written: Offset,
    writing: Option<JoinHandle<()>>,
    metrics: StreamMetrics,
}

impl Memory {
    pub(super) fn of(service: &EngineService) -> Option<Self> {
        let SnapshotConfig { dir, every } = service.config.snapshots.as_ref()?;
        let every_us = i64::try_from(every.as_micros()).unwrap_or(i64::MAX);
        Some(Self {
            snapshots: Snapshots::new(dir, service.log.epoch(), FORMAT * 1_000 + ENGINE_VERSION),
            every_us,
            due: service.clock.now().saturating_add(every_us),
            written: Offset::ZERO,
            writing: None,
            metrics: service.metrics.clone(),
        })
    }

    /// Finds the newest snapshot that can be gone on from.
    pub(super) fn recall(&mut self, follower: &mut Follower) {
        let log = Arc::clone(&follower.service.log);
        let mut rules = None;
        let found = self.snapshots.find::<Vec<SavedRule>>(log.floor(), log.head());
        for Found { next, notes, state } in found {
            match state.map(|state| follower.load(next, &notes, &state)) {
                Some(Ok(())) => {
                    info!(offset = next.0, "engine goes on from its snapshot");
                    self.written = next;
                    return;
                }
                Some(Err(e)) => warn!(error = &*e, "passed over a snapshot of the engine"),
                None => warn!("passed over a snapshot of another version of the engine"),
            }
            rules = rules.or(Some(notes));
        }
        // A log that still has its beginning has all rules; of a trimmed one they are lost.
        if let Some(rules) = rules.filter(|_| log.floor() > Offset::ZERO) {
            warn!("engine takes its rules from a snapshot and reads what is left of the log");
            follower.engine = Engine::load_rules(Arc::clone(&follower.service.planner), &rules);
        }
    }

    /// Writes a snapshot when one is due. Everything decided so far must be in the log.
    pub(super) fn keep(&mut self, follower: &Follower) {
        let now = follower.service.clock.now();
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        if now < self.due || busy || follower.next == self.written {
            return;
        }
        let Some((rules, state)) = self.encode(follower) else { return };
        let spent = follower.service.clock.now().saturating_sub(now);
        self.due = now.saturating_add(self.every_us.max(spent.saturating_mul(REST)));
        let (snapshots, metrics) = (self.snapshots.clone(), self.metrics.clone());
        let next = follower.next;
        let write = move || write(&snapshots, (next, &rules), &state, &metrics);
        match vong_runtime::thread::spawn("vong-snapshot", write) {
            Ok(writing) => self.writing = Some(writing),
            Err(e) => warn!(error = &e as &dyn std::error::Error, "no snapshot of the engine"),
        }
    }

    /// Writes the last snapshot of this life, so that the next begins at once.
    pub(super) fn keep_last(&mut self, follower: &Follower) {
        if let Some(writing) = self.writing.take() {
            // It panicked or it is done; either way the last one follows.
            drop(writing.join());
        }
        if follower.next > self.written
            && let Some((rules, state)) = self.encode(follower)
        {
            write(&self.snapshots, (follower.next, &rules), &state, &self.metrics);
        }
    }

    fn encode(&mut self, follower: &Follower) -> Option<(Vec<SavedRule>, Vec<u8>)> {
        match follower.save() {
            Ok(state) => {
                self.written = follower.next;
                Some((follower.engine.save_rules(), state))
            }
            Err(e) => {
                warn!(error = &*e, "no snapshot of the engine");
                None
            }
        }
    }
}

impl Drop for Memory {
    /// A file that is half written is of no use to anybody.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            // If it panicked, there is one snapshot less.
            drop(writing.join());
        }
    }
}

fn write(
    snapshots: &Snapshots,
    (next, rules): (Offset, &Vec<SavedRule>),
    state: &[u8],
    metrics: &StreamMetrics,
) {
    match snapshots.write(next, rules, state) {
        Ok(bytes) => metrics.snapshot(next, bytes),
        // The log has everything: only the next restart takes longer.
        Err(e) => warn!(error = &e as &dyn std::error::Error, "no snapshot of the engine"),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Follower {
    fn save(&self) -> Result<Vec<u8>, Failure> {
        let saved = Saved {
            engine: self.engine.save()?,
            sequencer: self.sequencer.save(),
            late: self.late.clone(),
            logged: self.logged,
        };
        Ok(postcard::to_stdvec(&saved)?)
    }

    fn load(&mut self, next: Offset, rules: &[SavedRule], state: &[u8]) -> Result<(), Failure> {
        let saved: Saved = postcard::from_bytes(state)?;
        let planner = Arc::clone(&self.service.planner);
        self.engine = Engine::load(planner, rules, saved.engine)?;
        let config = self.service.config.sequencer.clone();
        self.sequencer = Sequencer::load(config, saved.sequencer);
        self.next = next;
        self.late = saved.late;
        self.logged = saved.logged;
        self.pending = Outputs::default();
        Ok(())
    }
}
