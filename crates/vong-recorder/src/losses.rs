//! What is not recorded, per camera, and when that is told.
//!
//! Sinks and the writer count here; once a second a task looks and puts facts on the log: that a
//! camera's recording began to lose groups, and, when none was lost for a while, how many it was.
//! The disk may be the very thing that is slow: nothing here waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use parking_lot::Mutex;
use tracing::{error, warn};
use vong_log::{Entry, Log};
use vong_media::Gop;
use vong_model::{CameraId, EventTime, Stream, UnitCode, columns};
use vong_runtime::{Clock, Shutdown};

use crate::metrics::RecorderMetrics;

/// Nothing was lost for so long: recording is good again.
const QUIET: Duration = Duration::from_secs(5);

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What stands in `source_events.source_id` for the disk that footage lies on.
const SOURCE: &str = "vong_footage";

/// Why a group was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The disk did not keep up: too much was waiting for it.
    QueueFull,
    /// There is no space, and nothing that may be deleted.
    DiskFull,
    /// The disk refused for another reason.
    WriteFailed,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::DiskFull => "disk_full",
            Self::WriteFailed => "write_failed",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::QueueFull => "the disk did not keep up",
            Self::DiskFull => "the disk is full",
            Self::WriteFailed => "the disk refused them",
        }
    }
}

/// Counts losses; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Losses {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    metrics: RecorderMetrics,
}

#[derive(Debug, Default)]
struct State {
    cameras: BTreeMap<CameraId, Loss>,
    /// `None` until anything was written or refused.
    disk_full: Option<bool>,
    told_disk_full: bool,
}

/// Since recording of the camera was last good.
#[derive(Clone, Debug)]
struct Loss {
    unit_code: UnitCode,
    groups: u64,
    frames: u64,
    reason: Reason,
    first: EventTime,
    last: EventTime,
    told: bool,
}

/// One row of `camera_events` or, without a camera, of `source_events`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    pub(crate) at: EventTime,
    pub(crate) camera: Option<(CameraId, UnitCode)>,
    pub(crate) state: &'static str,
    pub(crate) detail: Option<String>,
}

impl Losses {
    pub(crate) fn new(clock: Arc<dyn Clock>, metrics: RecorderMetrics) -> Self {
        Self { state: Arc::default(), clock, metrics }
    }

    /// One group was lost.
    pub(crate) fn count(&self, camera: &CameraId, unit_code: &UnitCode, gop: &Gop, reason: Reason) {
        self.metrics.gops_dropped.with_label_values(&[reason.as_str()]).inc();
        let now = EventTime(self.clock.now());
        let mut state = self.state.lock();
        let loss = state.cameras.entry(camera.clone()).or_insert_with(|| Loss {
            unit_code: unit_code.clone(),
            groups: 0,
            frames: 0,
            reason,
            first: now,
            last: now,
            told: false,
        });
        loss.groups = loss.groups.saturating_add(1);
        loss.frames = loss.frames.saturating_add(gop.frames.len() as u64);
        (loss.reason, loss.last) = (reason, now);
    }

    /// Whether the disk takes footage.
    pub(crate) fn disk_is_full(&self, full: bool) {
        self.state.lock().disk_full = Some(full);
        self.metrics.disk_full.set(i64::from(full));
    }

    /// What has to be told at `now`, each once.
    pub(crate) fn take_facts(&self, now: EventTime) -> Vec<Fact> {
        let mut state = self.state.lock();
        let mut facts = Vec::new();
        if let Some(full) = state.disk_full.filter(|full| *full != state.told_disk_full) {
            state.told_disk_full = full;
            let words = "nothing that may be deleted is left to make room: footage is not recorded \
                         until there is space; alerts go on";
            let (word, detail) =
                if full { ("disk_full", Some(words.to_owned())) } else { ("disk_good", None) };
            facts.push(Fact { at: now, camera: None, state: word, detail });
        }
        state.cameras.retain(|camera, loss| {
            let over = now.since(loss.last) >= QUIET;
            let fact = |at, state, detail| Fact {
                at,
                camera: Some((camera.clone(), loss.unit_code.clone())),
                state,
                detail: Some(detail),
            };
            let Loss { groups, frames, reason, first, told, .. } = loss;
            if !*told {
                *told = true;
                let words = reason.in_words();
                let detail = format!("{groups} groups ({frames} frames) are lost so far: {words}");
                facts.push(fact(*first, "recording_lost", detail));
            }
            if over {
                let detail = format!("{groups} groups ({frames} frames) were lost");
                facts.push(fact(now, "recording_good", detail));
            }
            !over
        });
        facts
    }
}

/// Puts facts about losses on the log.
#[derive(Debug)]
pub struct LossWriter {
    losses: Losses,
    log: Arc<dyn Log>,
    metrics: RecorderMetrics,
}

impl LossWriter {
    pub(crate) fn new(losses: Losses, log: Arc<dyn Log>, metrics: RecorderMetrics) -> Self {
        Self { losses, log, metrics }
    }

    /// Runs until shutdown; what the log does not take is offered again.
    ///
    /// # Errors
    /// None that ends it.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), vong_log::Error> {
        let mut waiting = Vec::new();
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = shutdown.requested() => true,
            };
            waiting.extend(self.losses.take_facts(EventTime(self.losses.clock.now())));
            if !waiting.is_empty() {
                match self.log.append(entries(&waiting)).await {
                    Ok(_) => waiting.clear(),
                    Err(e) => {
                        self.metrics.facts_failed.inc();
                        warn!(error = %e, facts = waiting.len(), "what is not recorded could not be told");
                    }
                }
            }
            if stopping {
                if !waiting.is_empty() {
                    error!(facts = waiting.len(), "facts about footage lost at shutdown");
                }
                return Ok(());
            }
        }
    }
}

fn entries(facts: &[Fact]) -> Vec<Entry> {
    let (cameras, disks): (Vec<_>, Vec<_>) = facts.iter().partition(|fact| fact.camera.is_some());
    let mut entries = Vec::new();
    if !cameras.is_empty() {
        entries.push(Entry::new(Stream::CameraEvents, camera_events(&cameras)));
    }
    if !disks.is_empty() {
        entries.push(Entry::new(Stream::SourceEvents, source_events(&disks)));
    }
    entries
}

/// Rows of [`Stream::CameraEvents`], in its column order.
fn camera_events(facts: &[&Fact]) -> RecordBatch {
    let of = |fact: &&Fact| fact.camera.clone().unwrap_or_default();
    let cameras: Vec<(CameraId, UnitCode)> = facts.iter().map(of).collect();
    let columns = vec![
        columns::time_column(facts.iter().map(|fact| Some(fact.at))),
        columns::time_column(facts.iter().map(|fact| Some(fact.at))),
        columns::key_column(cameras.iter().map(|(camera, _)| Some(camera.as_str()))),
        columns::key_column(facts.iter().map(|fact| Some(fact.state))),
        columns::text_column(facts.iter().map(|fact| fact.detail.as_deref())),
        columns::key_column(cameras.iter().map(|(_, unit)| Some(unit.as_str()))),
    ];
    RecordBatch::try_new(Stream::CameraEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

/// Rows of [`Stream::SourceEvents`], in its column order.
fn source_events(facts: &[&Fact]) -> RecordBatch {
    let columns = vec![
        columns::time_column(facts.iter().map(|fact| Some(fact.at))),
        columns::time_column(facts.iter().map(|fact| Some(fact.at))),
        columns::key_column(facts.iter().map(|_| Some(SOURCE))),
        columns::key_column(facts.iter().map(|_| None::<&str>)),
        columns::key_column(facts.iter().map(|fact| Some(fact.state))),
        columns::text_column(facts.iter().map(|fact| fact.detail.as_deref())),
        columns::key_column(facts.iter().map(|_| None::<&str>)),
    ];
    RecordBatch::try_new(Stream::SourceEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests;
