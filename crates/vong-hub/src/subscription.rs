//! One reader of one view. It pulls; between two pulls everything folds.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use vong_model::Offset;
use vong_telemetry::Gauge;

use crate::hub::{Shared, Since};
use crate::message::{Gap, GapReason, Mark, Update, View};

/// Snapshot, deltas and marks of one view, joined without holes.
///
/// The first update is a snapshot; or, for a reader that comes back, the delta since it left
/// (or just a mark if it missed nothing), or a gap and then a snapshot. From there each delta's `from` is where the last
/// snapshot or delta ended, and each mark's `seq` is too. A reader that does not pull for longer than
/// removals are remembered gets a gap and a snapshot again.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    view: View,
    ready: watch::Receiver<bool>,
    head: watch::Receiver<Offset>,
    marks: Interval,
    phase: Phase,
    open: Gauge,
}

#[derive(Clone, Debug)]
enum Phase {
    Begin { since: Option<(Arc<str>, Offset)> },
    SnapshotDue,
    Follow { position: Offset, mark_due: bool },
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Subscription {
    pub(crate) fn new(
        shared: Arc<Shared>,
        ready: watch::Receiver<bool>,
        view: View,
        since: Option<(&str, Offset)>,
    ) -> Self {
        let mut marks = interval_at(Instant::now() + shared.mark, shared.mark);
        marks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let since = since.map(|(epoch, seq)| (Arc::from(epoch), seq));
        let open = shared.metrics.subscribers(view);
        open.inc();
        let head = shared.head(view);
        Self { shared, view, ready, head, marks, phase: Phase::Begin { since }, open }
    }

    pub fn view(&self) -> View {
        self.view
    }

    /// The next update, once there is one; `None` when the hub has ended. Cancel-safe. Waits while
    /// the hub still replays the log.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            match self.phase.clone() {
                Phase::Begin { since } => {
                    self.ready.wait_for(|ready| *ready).await.ok()?;
                    if let Some(update) = self.begin(since) {
                        return Some(update);
                    }
                }
                Phase::SnapshotDue => return Some(self.snapshot()),
                Phase::Follow { position, mark_due: true } => {
                    self.phase = Phase::Follow { position, mark_due: false };
                    let watermark = self.shared.watermark();
                    return Some(Update::Mark(Mark { seq: position, watermark }));
                }
                Phase::Follow { position, mark_due: false } => {
                    if let Some(update) = self.follow(position).await? {
                        return Some(update);
                    }
                }
            }
        }
    }

    fn begin(&mut self, since: Option<(Arc<str>, Offset)>) -> Option<Update> {
        let Some((epoch, from)) = since else {
            self.phase = Phase::SnapshotDue;
            return None;
        };
        if epoch != self.shared.epoch {
            let to = self.shared.snapshot(self.view).seq;
            return Some(self.gap(Gap { from, to, why: GapReason::Epoch }));
        }
        // A reader that missed nothing is told so by a mark at once.
        self.phase = Phase::Follow { position: from, mark_due: true };
        self.advance(from, false)
    }

    fn snapshot(&mut self) -> Update {
        self.head.mark_unchanged();
        let snapshot = self.shared.snapshot(self.view);
        self.shared.metrics.snapshot(self.view);
        self.phase = Phase::Follow { position: snapshot.seq, mark_due: false };
        Update::Snapshot(snapshot)
    }

    /// Waits for a change or for the time of a mark. The outer `None`: the hub has ended.
    async fn follow(&mut self, position: Offset) -> Option<Option<Update>> {
        tokio::select! {
            biased;
            changed = self.head.changed() => {
                changed.ok()?;
                Some(self.advance(position, false))
            }
            _ = self.marks.tick() => {
                self.phase = Phase::Follow { position, mark_due: true };
                // Carries the number forward also when nothing changed, so that a quiet view can
                // be resumed from here; the mark follows.
                Some(self.advance(position, true))
            }
        }
    }

    fn advance(&mut self, from: Offset, mark_due: bool) -> Option<Update> {
        match self.shared.since(self.view, from) {
            Since::Nothing => None,
            Since::Delta(delta) => {
                self.shared.metrics.delta(self.view);
                self.phase = Phase::Follow { position: delta.to, mark_due };
                Some(Update::Delta(delta))
            }
            Since::Gap(gap) => Some(self.gap(gap)),
        }
    }

    fn gap(&mut self, gap: Gap) -> Update {
        self.shared.metrics.gap(gap.why);
        self.phase = Phase::SnapshotDue;
        Update::Gap(gap)
    }
}
