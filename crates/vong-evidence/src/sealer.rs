//! Seals every hour of footage once, after it is over, and tells the log.
//!
//! A group belongs to the hour in which its first frame was received. Groups that turn up after their
//! hour was sealed, because a clock was set back, go into the next checkpoint if they are at most an
//! hour older than it; older ones stay with the chain alone.
//!
//! A clock that was ahead leaves checkpoints of hours that are yet to come. They are told of and stay;
//! the hours before them are sealed all the same, each once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use tracing::{error, info, warn};
use vong_footage::Footage;
use vong_log::{Entry, Log};
use vong_model::{CameraId, EventTime, Offset, Stream, columns};
use vong_runtime::{Clock, Shutdown};

use crate::checkpoints::{HOUR, Leaves, hour_of};
use crate::{Checkpoint, Checkpoints, Error, EvidenceMetrics, Key};

/// When an hour counts as over.
#[derive(Clone, Copy, Debug)]
pub struct SealerConfig {
    /// A group that was begun in the hour is complete and durable so long after its end.
    pub grace: Duration,
    /// How often it is looked whether an hour is over.
    pub every: Duration,
}

impl Default for SealerConfig {
    /// Two minutes; a group is at most 30 s long and durable 5 s later.
    fn default() -> Self {
        Self { grace: Duration::from_secs(120), every: Duration::from_secs(20) }
    }
}

/// The service.
#[derive(Clone, Debug)]
pub struct Sealer {
    config: SealerConfig,
    footage: Footage,
    checkpoints: Checkpoints,
    key: Arc<Key>,
    clock: Arc<dyn Clock>,
    metrics: EvidenceMetrics,
}

impl Sealer {
    /// The name in the log under which it remembers which checkpoints it has told.
    pub const CURSOR: &'static str = "evidence-sealer";

    pub fn new(
        config: SealerConfig,
        (footage, checkpoints): (Footage, Checkpoints),
        key: Arc<Key>,
        clock: Arc<dyn Clock>,
        metrics: EvidenceMetrics,
    ) -> Self {
        Self { config, footage, checkpoints, key, clock, metrics }
    }

    /// Runs until shutdown. What fails is tried again: an hour can be sealed at any time after it.
    pub async fn run(self, log: Arc<dyn Log>, shutdown: Shutdown) -> Result<(), Error> {
        loop {
            let worker = self.clone();
            match tokio::task::spawn_blocking(move || worker.seal_due()).await {
                Ok(Ok(_sealed)) => {}
                Ok(Err(error)) => warn!(%error, "could not seal footage, trying again"),
                Err(error) => warn!(%error, "sealing broke off, trying again"),
            }
            if let Err(error) = self.tell(&*log).await {
                warn!(%error, "could not record checkpoints, trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.every) => {}
                () = shutdown.requested() => return Ok(()),
            }
        }
    }

    /// Seals every hour that is over and not sealed yet, oldest first. Blocks on the disk.
    ///
    /// # Errors
    /// When footage cannot be read or a checkpoint not be written; what was sealed stays sealed.
    pub fn seal_due(&self) -> Result<Vec<Checkpoint>, Error> {
        let now = EventTime(self.clock.now());
        let end = hour_of(now.saturating_sub(self.config.grace));
        let cameras = self.footage.cameras();
        let spans = cameras.iter().filter_map(|camera| self.footage.span(camera));
        let Some(oldest) = spans.map(|(first, _)| first).min() else { return Ok(Vec::new()) };
        self.tell_ahead(now);
        let after_last = self.checkpoints.sealed_until(now).map(|last| last.saturating_add(HOUR));
        let mut hour = hour_of(oldest).max(after_last.unwrap_or(EventTime::MIN));
        let mut sealed = Vec::new();
        while hour < end {
            let open = end.since(hour).as_secs() / HOUR.as_secs();
            self.metrics.unsealed_hours.set(i64::try_from(open).unwrap_or(i64::MAX));
            let (leaves, late) = self.gather(&cameras, hour)?;
            if !leaves.is_empty() {
                sealed.push(self.seal(&leaves, hour, late)?);
            }
            hour = hour.saturating_add(HOUR);
        }
        self.metrics.unsealed_hours.set(0);
        if !sealed.is_empty() {
            self.checkpoints.drop_leaves_before(oldest)?;
        }
        Ok(sealed)
    }

    fn tell_ahead(&self, now: EventTime) {
        let ahead = self.checkpoints.ahead_of(now);
        let gauge = &self.metrics.hours_ahead;
        if ahead > 0 && gauge.get() == 0 {
            error!(
                hours = ahead,
                "hours that are yet to come are sealed: the clock was ahead, or is behind now"
            );
        }
        gauge.set(i64::try_from(ahead).unwrap_or(i64::MAX));
    }

    fn seal(&self, leaves: &Leaves, hour: EventTime, late: u64) -> Result<Checkpoint, Error> {
        let now = EventTime(self.clock.now());
        let checkpoint = self.checkpoints.seal(&self.key, leaves, (hour, now, late))?;
        let Checkpoint { number, groups, .. } = checkpoint;
        self.metrics.checkpoints.inc();
        let in_time = groups.saturating_sub(late);
        self.metrics.groups_sealed.with_label_values(&["own"]).inc_by(in_time);
        self.metrics.groups_sealed.with_label_values(&["next"]).inc_by(late);
        info!(checkpoint = number, %hour, groups, late, "footage sealed");
        Ok(checkpoint)
    }

    /// The groups of the hour, and those of the hour before that its checkpoint does not know.
    fn gather(&self, cameras: &[CameraId], hour: EventTime) -> Result<(Leaves, u64), Error> {
        let before = hour.saturating_sub(HOUR);
        let mut known: BTreeSet<[u8; 32]> = BTreeSet::new();
        for number in self.checkpoints.of_hours(before..=hour) {
            let leaves = self.checkpoints.leaves(number)?.unwrap_or_default();
            known.extend(leaves.into_values().flatten());
        }
        let (mut leaves, mut late) = (Leaves::new(), 0);
        for camera in cameras {
            let mut own = Vec::new();
            for gop in self.footage.gops(camera, before, hour.saturating_add(HOUR))? {
                let (start, chained) = (gop.entry.start, gop.entry.hashes.chained);
                let in_reach = start >= before && start < hour.saturating_add(HOUR);
                if in_reach && !known.contains(&chained) {
                    late += u64::from(start < hour);
                    own.push(chained);
                }
            }
            if !own.is_empty() {
                leaves.insert(camera.clone(), own);
            }
        }
        Ok((leaves, late))
    }

    /// Checkpoints the log does not know yet become records of it. One may be told twice, after a
    /// crash; its number says that it is the same.
    async fn tell(&self, log: &dyn Log) -> Result<(), Error> {
        let told = log.cursor_get(Self::CURSOR)?.map_or(0, |told| told.0);
        let new = self.checkpoints.after(told);
        let Some((last, _)) = new.last() else { return Ok(()) };
        let (now, last) = (EventTime(self.clock.now()), last.number);
        let batch = to_batch(&new, now);
        log.append(vec![Entry::new(Stream::EvidenceEvents, batch)]).await?;
        log.cursor_set(Self::CURSOR, Offset(last))?;
        Ok(())
    }
}

/// Rows of [`Stream::EvidenceEvents`], in its column order.
fn to_batch(checkpoints: &[(Checkpoint, String)], now: EventTime) -> RecordBatch {
    let fact = |(checkpoint, text): &(Checkpoint, String)| Fact {
        at: checkpoint.sealed_at,
        kind: "sealed",
        package_id: None,
        case: None,
        purpose: None,
        actor: "vong".to_owned(),
        cameras: Vec::new(),
        from: checkpoint.hour,
        to: checkpoint.hour.saturating_add(HOUR),
        hash: crate::hex::encode(&checkpoint.hash()),
        detail: Some(text.clone()),
    };
    let facts: Vec<Fact> = checkpoints.iter().map(fact).collect();
    Fact::batch(&facts, now)
}

/// One row of [`Stream::EvidenceEvents`].
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) at: EventTime,
    pub(crate) kind: &'static str,
    pub(crate) package_id: Option<String>,
    pub(crate) case: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) actor: String,
    pub(crate) cameras: Vec<String>,
    pub(crate) from: EventTime,
    pub(crate) to: EventTime,
    pub(crate) hash: String,
    pub(crate) detail: Option<String>,
}

impl Fact {
    pub(crate) fn batch(facts: &[Self], now: EventTime) -> RecordBatch {
        let times = |of: &dyn Fn(&Self) -> EventTime| {
            columns::time_column(facts.iter().map(|fact| Some(of(fact))))
        };
        let texts =
            |of: &dyn Fn(&Self) -> Option<String>| columns::text_column(facts.iter().map(of));
        let columns = vec![
            times(&|fact| fact.at),
            times(&|_| now),
            columns::key_column(facts.iter().map(|fact| Some(fact.kind))),
            texts(&|fact| fact.package_id.clone()),
            texts(&|fact| fact.case.clone()),
            texts(&|fact| fact.purpose.clone()),
            texts(&|fact| Some(fact.actor.clone())),
            texts(&|fact| Some(fact.cameras.join(" "))),
            times(&|fact| fact.from),
            times(&|fact| fact.to),
            texts(&|fact| Some(fact.hash.clone())),
            texts(&|fact| fact.detail.clone()),
        ];
        RecordBatch::try_new(Stream::EvidenceEvents.schema(), columns)
            .expect("columns are made in the schema's order")
    }
}
