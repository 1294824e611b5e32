//! What is not recorded, per camera, and when that is told.
//!
//! Sinks and the writer count here; once a second a task looks and puts facts on the log: that a
//! camera's recording began to lose something, and how much it was once footage of it is kept again.
//! The first footage of a camera is told as well: what stood on the log may be from before a restart.
//! The disk may be the very thing that is slow: nothing here waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use parking_lot::Mutex;
use tracing::{error, warn};
use vong_log::{Entry, Log};
use vong_media::Gop;
use vong_model::{CameraId, EventTime, SourceEvent, Stream, UnitCode, columns, source_events};
use vong_runtime::{Clock, Shutdown};

use crate::metrics::RecorderMetrics;

/// Nothing was lost for so long, and something kept: recording is good again.
const QUIET: Duration = Duration::from_secs(5);

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What stands in `source_events.source_id` for the disk that footage lies on.
const SOURCE: &str = "vong_footage";

/// Why something was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The disk did not keep up: too much was waiting for it.
    QueueFull,
    /// There is no space, and nothing that may be deleted.
    DiskFull,
    /// The disk refused for another reason.
    WriteFailed,
    /// The camera sends frames that no key frame begins.
    NoKeyFrame,
    /// A frame larger than any that is kept.
    Oversized,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::DiskFull => "disk_full",
            Self::WriteFailed => "write_failed",
            Self::NoKeyFrame => "no_key_frame",
            Self::Oversized => "oversized",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::QueueFull => "the disk did not keep up",
            Self::DiskFull => "the disk is full",
            Self::WriteFailed => "the disk refused them",
            Self::NoKeyFrame => {
                "the camera sends no key frames; set its key frame interval to 2 seconds and turn \
                 intra refresh off"
            }
            Self::Oversized => "the camera sent a frame of more than 16 MiB",
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
    cameras: BTreeMap<CameraId, Recorded>,
    /// `None` until anything was written or refused.
    disk_full: Option<bool>,
    told_disk_full: Option<bool>,
}

/// How a camera's recording stands.
#[derive(Clone, Debug, Default)]
struct Recorded {
    unit_code: UnitCode,
    /// Something was kept since it was last lost.
    sound: bool,
    /// The log has heard of it since vong was started.
    told: bool,
    loss: Option<Loss>,
}

/// Since recording of the camera was last good.
#[derive(Clone, Debug)]
struct Loss {
    groups: u64,
    frames: u64,
    reason: Reason,
    first: EventTime,
    last: EventTime,
    /// When the newest of what was lost was filmed.
    newest: EventTime,
    told: bool,
}

/// What is remembered of a group that was not recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LostGroup {
    frames: u64,
    start: EventTime,
}

impl From<&Gop> for LostGroup {
    fn from(gop: &Gop) -> Self {
        Self { frames: gop.frames.len() as u64, start: gop.start }
    }
}

/// What was lost at once.
#[derive(Clone, Copy, Debug)]
struct Lost {
    groups: u64,
    frames: u64,
    filmed: EventTime,
    reason: Reason,
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
    pub(crate) fn count(&self, camera: (&CameraId, &UnitCode), group: LostGroup, reason: Reason) {
        self.metrics.gops_dropped.with_label_values(&[reason.as_str()]).inc();
        let LostGroup { frames, start } = group;
        self.lose(camera, Lost { groups: 1, frames, filmed: start, reason });
    }

    /// Frames that were never part of a group were lost, the last of them filmed at `filmed`.
    pub(crate) fn count_frames(
        &self,
        camera: (&CameraId, &UnitCode),
        frames: u64,
        filmed: EventTime,
        reason: Reason,
    ) {
        self.lose(camera, Lost { groups: 0, frames, filmed, reason });
    }

    fn lose(&self, (camera, unit_code): (&CameraId, &UnitCode), lost: Lost) {
        let Lost { groups, frames, filmed, reason } = lost;
        let now = EventTime(self.clock.now());
        let mut state = self.state.lock();
        let recorded = state.cameras.entry(camera.clone()).or_default();
        recorded.unit_code.clone_from(unit_code);
        recorded.sound = false;
        let loss = recorded.loss.get_or_insert(Loss {
            groups: 0,
            frames: 0,
            reason,
            first: now,
            last: now,
            newest: filmed,
            told: false,
        });
        loss.groups = loss.groups.saturating_add(groups);
        loss.frames = loss.frames.saturating_add(frames);
        (loss.reason, loss.last, loss.newest) = (reason, now, loss.newest.max(filmed));
    }

    /// A group that begins at `start` was kept. What was filmed before a loss and written after it
    /// does not show that recording is good again.
    pub(crate) fn kept(&self, (camera, unit_code): (&CameraId, &UnitCode), start: EventTime) {
        let mut state = self.state.lock();
        if !state.cameras.contains_key(camera) {
            state.cameras.insert(camera.clone(), Recorded::default());
        }
        let Some(recorded) = state.cameras.get_mut(camera).filter(|one| !one.sound) else { return };
        recorded.unit_code.clone_from(unit_code);
        recorded.sound = recorded.loss.as_ref().is_none_or(|loss| start > loss.newest);
    }

    /// The camera left the register: should it come back it is a new one.
    pub(crate) fn forget(&self, camera: &CameraId) {
        self.state.lock().cameras.remove(camera);
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
        if state.disk_full != state.told_disk_full {
            state.told_disk_full = state.disk_full;
            let words = "nothing that may be deleted is left to make room: footage is not recorded \
                         until there is space; alerts go on";
            let (word, detail) = match state.disk_full {
                Some(true) => ("disk_full", Some(words.to_owned())),
                Some(false) | None => ("disk_good", None),
            };
            facts.push(Fact { at: now, camera: None, state: word, detail });
        }
        for (camera, recorded) in &mut state.cameras {
            facts.extend(recorded.take_facts(camera, now));
        }
        facts
    }
}

impl Recorded {
    fn take_facts(&mut self, camera: &CameraId, now: EventTime) -> Vec<Fact> {
        let Self { unit_code, sound, told, loss } = self;
        let camera = (camera.clone(), unit_code.clone());
        let fact = |at, state, detail| Fact { at, camera: Some(camera.clone()), state, detail };
        let Some(lost) = loss else {
            // An alert may still stand from before vong was started.
            let news = *sound && !std::mem::replace(told, *told || *sound);
            return news.then(|| fact(now, "recording", None)).into_iter().collect();
        };
        let mut facts = Vec::new();
        *told = true;
        if !std::mem::replace(&mut lost.told, true) {
            let detail = format!("{} are lost so far: {}", lost.amount(), lost.reason.in_words());
            facts.push(fact(lost.first, "recording_lost", Some(detail)));
        }
        if *sound && now.since(lost.last) >= QUIET {
            let detail = format!("{} were lost", lost.amount());
            facts.push(fact(now, "recording_good", Some(detail)));
            *loss = None;
        }
        facts
    }
}

impl Loss {
    fn amount(&self) -> String {
        let Self { groups, frames, .. } = self;
        if *groups == 0 {
            format!("{frames} frames")
        } else {
            format!("{groups} groups ({frames} frames)")
        }
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
        let rows: Vec<SourceEvent<'_>> = disks
            .iter()
            .map(|fact| SourceEvent::now(fact.at, SOURCE, fact.state, fact.detail.as_deref()))
            .collect();
        entries.push(Entry::new(Stream::SourceEvents, source_events(&rows)));
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
        columns::key_column(facts.iter().map(|_| Some("recording"))),
    ];
    RecordBatch::try_new(Stream::CameraEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests;
