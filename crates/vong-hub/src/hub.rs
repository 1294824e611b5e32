//! The service that follows the log, and the handle by which others see the views.
//!
//! Alerts are applied with every commit; the state views once per tick, so that many small commits
//! cost subscribers one delta. Both ways read the same log, each from its own position.

mod memory;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use vong_log::{Log, Record, Snapshots};
use vong_model::columns::WrongSchema;
use vong_model::{Columns, EventTime, Offset, Stream};
use vong_runtime::Shutdown;

use crate::message::Encoding;
use crate::metrics::HubMetrics;
use crate::table::Table;
use crate::views::{self, Keep, Projection};
use crate::{Delta, Error, Gap, GapReason, Snapshot, Subscription, View};

/// One read of the log takes about this much.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// Deltas kept for subscribers that ask for the same one.
const RECENT_DELTAS: usize = 8;
const NO_WATERMARK: i64 = i64::MIN;

/// How often things are told and how long they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubConfig {
    /// State views (all but alerts) change this often at most.
    pub tick_ms: u64,
    /// Each subscription is marked alive this often.
    pub mark_ms: u64,
    /// How long an alert is shown after it ended, log time.
    pub resolved_keep_s: u64,
    /// How long a clip is shown, log time.
    pub clips_keep_s: u64,
    /// How long a row of a continuous view stays when none of its key follows, in log time.
    pub views_keep_s: u64,
    /// How long a reader may be away and still go on where it was, log time.
    pub resume_s: u64,
    /// Where the views are written down; `None`: each start reads the whole log.
    #[serde(skip)]
    pub snapshots: Option<PathBuf>,
    /// How often they are.
    pub snapshot_every_s: u64,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            tick_ms: 100,
            mark_ms: 1_000,
            resolved_keep_s: 3_600,
            clips_keep_s: 86_400,
            views_keep_s: 86_400,
            resume_s: 900,
            snapshots: None,
            snapshot_every_s: 60,
        }
    }
}

/// Follows the log; see [`Self::run`].
#[derive(Debug)]
pub struct Hub {
    log: Arc<dyn Log>,
    tick: Duration,
    resume: Duration,
    shared: Arc<Shared>,
    ready: watch::Sender<bool>,
    alerts: Follower,
    states: Follower,
    snapshots: Option<Snapshots>,
    snapshot_every: Duration,
}

/// Opens subscriptions; cheap to clone.
#[derive(Clone, Debug)]
pub struct HubHandle {
    shared: Arc<Shared>,
    ready: watch::Receiver<bool>,
}

/// What the hub writes and subscriptions read.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) epoch: Arc<str>,
    pub(crate) mark: Duration,
    pub(crate) metrics: HubMetrics,
    views: [ViewState; View::ALL.len()],
    watermark: AtomicI64,
}

#[derive(Debug)]
struct ViewState {
    view: View,
    table: RwLock<Table>,
    snapshot: Mutex<Option<(u64, Arc<Snapshot>)>>,
    recent: Mutex<VecDeque<Arc<Delta>>>,
    head: watch::Receiver<Offset>,
}

/// What a reader who has everything before a number needs next.
#[derive(Debug)]
pub(crate) enum Since {
    Nothing,
    Delta(Arc<Delta>),
    /// It was away, or slow, for longer than removals are remembered; a snapshot must follow.
    Gap(Gap),
}

/// Some views and how far they have come.
#[derive(Debug)]
struct Follower {
    position: Offset,
    views: Vec<Followed>,
}

#[derive(Debug)]
struct Followed {
    view: View,
    projection: Box<dyn Projection>,
    head: watch::Sender<Offset>,
    /// Changes of which subscribers were told.
    told: u64,
}

impl Hub {
    /// Nothing is read yet; views fill while [`Self::run`] replays the log from its floor.
    pub fn new(config: &HubConfig, log: Arc<dyn Log>, metrics: HubMetrics) -> (Self, HubHandle) {
        let HubConfig {
            tick_ms,
            mark_ms,
            resolved_keep_s,
            clips_keep_s,
            views_keep_s,
            resume_s,
            ..
        } = config;
        let (floor, head) = (log.floor(), log.head());
        let keep = Keep {
            resolved: Duration::from_secs(*resolved_keep_s),
            clips: Duration::from_secs(*clips_keep_s),
            views: Duration::from_secs(*views_keep_s),
        };
        let mut alerts = Follower { position: floor, views: Vec::new() };
        let mut states = Follower { position: floor, views: Vec::new() };
        let views = View::ALL.map(|view| {
            let (sender, receiver) = watch::channel(floor);
            let mut table = Table::new(floor);
            if view == View::Sources {
                table.raise_resume_floor(head); // its counts begin with this process
            }
            let follower = if view == View::Alerts { &mut alerts } else { &mut states };
            let projection = views::projection(view, keep, head);
            follower.views.push(Followed { view, projection, head: sender, told: 0 });
            ViewState {
                view,
                table: RwLock::new(table),
                snapshot: Mutex::default(),
                recent: Mutex::default(),
                head: receiver,
            }
        });
        let shared = Arc::new(Shared {
            epoch: Arc::from(log.epoch()),
            mark: Duration::from_millis((*mark_ms).max(1)),
            metrics,
            views,
            watermark: AtomicI64::new(NO_WATERMARK),
        });
        let (ready, ready_receiver) = watch::channel(false);
        let handle = HubHandle { shared: Arc::clone(&shared), ready: ready_receiver };
        let tick = Duration::from_millis((*tick_ms).max(1));
        let resume = Duration::from_secs(*resume_s);
        let snapshots = config.snapshots.as_deref().map(|dir| memory::snapshots(dir, &*log));
        let snapshot_every = Duration::from_secs(config.snapshot_every_s.max(1));
        let hub =
            Self { log, tick, resume, shared, ready, alerts, states, snapshots, snapshot_every };
        (hub, handle)
    }

    /// Replays the log, then follows it until `shutdown`.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        if let Some(snapshots) = self.snapshots.clone() {
            self.recall(&snapshots);
        }
        let from = self.states.position;
        let mut head = self.log.watch();
        let until = *head.borrow_and_update();
        tokio::select! {
            replayed = self.replay(until) => replayed?,
            () = shutdown.requested() => return Ok(()),
        }
        self.ready.send_replace(true);
        tracing::info!(records = until.0.saturating_sub(from.0), "live views are up to date");
        let mut tick = tokio::time::interval(self.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let first = tokio::time::Instant::now() + self.snapshot_every;
        let mut keep = tokio::time::interval_at(first, self.snapshot_every);
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                _ = keep.tick() => {
                    let until = *head.borrow();
                    self.write_down(until).await?;
                }
                changed = head.changed() => {
                    changed.map_err(|_closed| Error::LogClosed)?;
                    let until = *head.borrow_and_update();
                    self.alerts.catch_up(&self.log, &self.shared, until, self.resume).await?;
                }
                _ = tick.tick() => {
                    let until = *head.borrow();
                    let lag = until.0.saturating_sub(self.states.position.0);
                    self.shared.metrics.lag_records.set(i64::try_from(lag).unwrap_or(i64::MAX));
                    self.states.catch_up(&self.log, &self.shared, until, self.resume).await?;
                }
            }
        }
        let until = self.log.head();
        self.write_down(until).await
    }
}

impl Hub {
    /// Brings both followers to the same offset and writes the views down as they are there.
    async fn write_down(&mut self, until: Offset) -> Result<(), Error> {
        let Some(snapshots) = self.snapshots.clone() else { return Ok(()) };
        for follower in [&mut self.alerts, &mut self.states] {
            follower.catch_up(&self.log, &self.shared, until, self.resume).await?;
        }
        let (next, state) = self.save();
        let write = move || memory::write(&snapshots, next, state);
        tokio::task::spawn_blocking(write).await.map_err(|_ended| Error::ReaderGone)
    }

    /// Brings both followers to `until` with one pass over the log.
    async fn replay(&mut self, until: Offset) -> Result<(), Error> {
        let Self { log, shared, alerts, states, resume, .. } = self;
        while states.position < until {
            let read = read(log, states.position).await?;
            for follower in [&mut *alerts, &mut *states] {
                follower.take(&read, shared, *resume)?;
            }
        }
        alerts.publish(shared);
        states.publish(shared);
        Ok(())
    }
}

/// What a read of the log gave.
#[derive(Debug)]
enum Read {
    Records(Vec<Record>),
    /// Retention was faster, or damage was; from here on the log can be read.
    Lost(Offset),
}

async fn read(log: &Arc<dyn Log>, from: Offset) -> Result<Read, Error> {
    let log = Arc::clone(log);
    let read = move || log.read(from, READ_BYTES); // older records come from disk
    match tokio::task::spawn_blocking(read).await.map_err(|_ended| Error::ReaderGone)? {
        Ok(records) => Ok(Read::Records(records)),
        Err(source) => match source.resume_at().filter(|at| *at > from) {
            Some(at) => {
                tracing::warn!(error = %source, "live views go on behind lost records");
                Ok(Read::Lost(at))
            }
            None => Err(Error::ReadLog { from, source }),
        },
    }
}

impl Follower {
    /// Applies everything before `until`, then tells subscribers once.
    async fn catch_up(
        &mut self,
        log: &Arc<dyn Log>,
        shared: &Shared,
        until: Offset,
        resume: Duration,
    ) -> Result<(), Error> {
        if self.position >= until {
            return Ok(());
        }
        while self.position < until {
            let read = read(log, self.position).await?;
            self.take(&read, shared, resume)?;
        }
        self.publish(shared);
        Ok(())
    }

    fn take(&mut self, read: &Read, shared: &Shared, resume: Duration) -> Result<(), Error> {
        match read {
            Read::Records(records) => self.apply(records, shared, resume),
            Read::Lost(at) => {
                self.skip_to(*at, shared);
                Ok(())
            }
        }
    }

    fn apply(
        &mut self,
        records: &[Record],
        shared: &Shared,
        resume: Duration,
    ) -> Result<(), Error> {
        let Some(last) = records.last() else { return Ok(()) };
        let next = last.offset.next();
        for Followed { view, projection, .. } in &mut self.views {
            let mut table = shared.state(*view).table.write();
            for record in records {
                projection
                    .apply(record, &mut table)
                    .map_err(|source| Error::Record { offset: record.offset, source })?;
            }
            table.forget_removed(last.appended_at.saturating_sub(resume));
            table.advance(next); // under the same lock: rows and number always fit
        }
        for record in records.iter().filter(|record| record.stream == Stream::Watermarks) {
            shared
                .advance_watermark(record)
                .map_err(|source| Error::Record { offset: record.offset, source })?;
        }
        self.position = next;
        Ok(())
    }

    /// What lies before `floor` is lost to this follower.
    fn skip_to(&mut self, floor: Offset, shared: &Shared) {
        for Followed { view, .. } in &self.views {
            shared.state(*view).table.write().raise_resume_floor(floor);
        }
        self.position = self.position.max(floor);
    }

    /// Wakes the subscribers of those views that changed.
    fn publish(&mut self, shared: &Shared) {
        for Followed { view, head, told, .. } in &mut self.views {
            let (changes, rows) = {
                let table = shared.state(*view).table.read();
                (table.changes(), table.len())
            };
            if changes != *told {
                shared.metrics.applied(*view, changes.saturating_sub(*told), rows);
                *told = changes;
                head.send_replace(self.position);
            }
        }
    }
}

impl Shared {
    fn state(&self, view: View) -> &ViewState {
        let state = self.views.get(view.index());
        state.expect("the array has one place per view")
    }

    pub(crate) fn head(&self, view: View) -> watch::Receiver<Offset> {
        self.state(view).head.clone()
    }

    pub(crate) fn watermark(&self) -> Option<EventTime> {
        let micros = self.watermark.load(Ordering::Relaxed);
        (micros != NO_WATERMARK).then(|| EventTime::from_micros(micros))
    }

    fn advance_watermark(&self, record: &Record) -> Result<(), WrongSchema> {
        let columns = Columns::new(record.stream, &record.batch);
        let (streams, watermarks) = (columns.keys("stream")?, columns.times("watermark")?);
        for row in 0..record.batch.num_rows() {
            if streams.get(row) == Some(Stream::Readings.name()) {
                self.watermark.fetch_max(watermarks.value(row), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// The view now; one snapshot serves all until a change is published.
    pub(crate) fn snapshot(&self, view: View) -> Arc<Snapshot> {
        let state = self.state(view);
        let mut cached = state.snapshot.lock();
        let table = state.table.read();
        if let Some((changes, snapshot)) = &*cached
            && *changes == table.changes()
        {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(Snapshot {
            view,
            epoch: Arc::clone(&self.epoch),
            seq: table.applied(),
            rows: table.rows(),
            encoding: Encoding::default(),
        });
        *cached = Some((table.changes(), Arc::clone(&snapshot)));
        snapshot
    }

    /// What changed since `from`. Equal questions share one answer.
    pub(crate) fn since(&self, view: View, from: Offset) -> Since {
        let state = self.state(view);
        let table = state.table.read();
        let to = table.applied();
        let gap = |why| Since::Gap(Gap { from, to, why });
        if from > to {
            return gap(GapReason::Epoch); // we never gave out that number
        }
        if from < table.resume_floor() {
            return gap(GapReason::Retention);
        }
        if from == to {
            return Since::Nothing;
        }
        let mut recent = state.recent.lock();
        if let Some(delta) = recent.iter().find(|delta| delta.from == from && delta.to == to) {
            return Since::Delta(Arc::clone(delta));
        }
        let (ops, n) = table.changed_since(from);
        let encoding = Encoding::default();
        let delta = Arc::new(Delta { view: state.view, from, to, n, ops, encoding });
        if recent.len() >= RECENT_DELTAS {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&delta));
        Since::Delta(delta)
    }
}

impl HubHandle {
    /// Follows `view`; `since` is the epoch and number where the reader was before.
    pub fn subscribe(&self, view: View, since: Option<(&str, Offset)>) -> Subscription {
        Subscription::new(Arc::clone(&self.shared), self.ready.clone(), view, since)
    }

    /// The view now; empty before [`Self::is_ready`].
    pub fn snapshot(&self, view: View) -> Arc<Snapshot> {
        self.shared.snapshot(view)
    }

    /// Whether the views have caught up with the log as it was at the start.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Resolves when [`Self::is_ready`]; false when the hub ended before.
    pub async fn ready(&self) -> bool {
        self.ready.clone().wait_for(|ready| *ready).await.is_ok()
    }

    /// Identity of the log the numbers belong to.
    pub fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    /// Event time up to which readings are decided.
    pub fn watermark(&self) -> Option<EventTime> {
        self.shared.watermark()
    }

    /// How often marks come.
    pub fn mark_every(&self) -> Duration {
        self.shared.mark
    }
}

#[cfg(test)]
mod tests;
