//! Tells operators when the log or its disk is in trouble: as facts in the log itself, which has
//! space set aside for them, so that a rule can raise the alert.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;
use vong_log::{Entry, Health, Log};
use vong_model::{EventTime, SourceEvent, Stream, source_events};
use vong_runtime::{Clock, Shutdown};

/// What stands in `source_events.source_id` for the disk below the log, and for what is on it.
const DISK: &str = "vong_disk";
const LOG: &str = "vong_log";

/// A disk that was slow or failed a commit is good again when nothing happened for so long.
const QUIET: Duration = Duration::from_secs(60);

/// One fact.
#[derive(Debug, PartialEq, Eq)]
struct Fact {
    source_id: &'static str,
    state: &'static str,
    detail: Option<String>,
}

impl Fact {
    /// Trouble of one moment: nobody says when it is over.
    fn is_passing(&self) -> bool {
        matches!(self.state, "sync_failed" | "disk_slow")
    }
}

/// Writes how the log is at the start, and each change after it, until `stop`.
///
/// # Errors
/// None that ends it: a fact that cannot be written is told on standard error.
pub(crate) async fn run(
    log: Arc<dyn Log>,
    health: watch::Receiver<Health>,
    clock: Arc<dyn Clock>,
    stop: Shutdown,
) -> Result<(), vong_log::Error> {
    run_with(log, health, clock, stop, QUIET).await
}

async fn run_with(
    log: Arc<dyn Log>,
    mut health: watch::Receiver<Health>,
    clock: Arc<dyn Clock>,
    stop: Shutdown,
    quiet: Duration,
) -> Result<(), vong_log::Error> {
    let mut before = None;
    let mut is_passing = false;
    loop {
        let now = health.borrow_and_update().clone();
        let facts = facts(before.as_ref(), &now);
        is_passing |= facts.iter().any(Fact::is_passing);
        note(&*log, &facts, EventTime(clock.now())).await;
        before = Some(now);
        tokio::select! {
            changed = health.changed() => if changed.is_err() { return Ok(()) },
            () = sleep(quiet), if is_passing => {
                is_passing = false;
                if before.as_ref().is_some_and(|now| !now.disk_full) {
                    let good = Fact { source_id: DISK, state: "disk_good", detail: None };
                    note(&*log, &[good], EventTime(clock.now())).await;
                }
            }
            () = stop.requested() => return Ok(()),
        }
    }
}

async fn note(log: &dyn Log, facts: &[Fact], now: EventTime) {
    if facts.is_empty() {
        return;
    }
    let rows: Vec<SourceEvent<'_>> = facts
        .iter()
        .map(|fact| SourceEvent::now(now, fact.source_id, fact.state, fact.detail.as_deref()))
        .collect();
    let entry = Entry::new(Stream::SourceEvents, source_events(&rows));
    if let Err(e) = log.append(vec![entry]).await {
        warn!(error = %e, ?facts, "could not note how the log is");
    }
}

fn facts(before: Option<&Health>, now: &Health) -> Vec<Fact> {
    let mut facts = Vec::new();
    let failures = before.map_or(0, |before| before.sync_failures);
    let disk = |state, detail: Option<String>| Fact { source_id: DISK, state, detail };
    if now.sync_failures > failures {
        let detail = format!("{} commits could not be made durable", now.sync_failures);
        facts.push(disk("sync_failed", Some(detail)));
    } else if now.slow_syncs > before.map_or(0, |before| before.slow_syncs) {
        let detail = format!(
            "a commit took {:.1} s to become durable; whatever was appended meanwhile came as late",
            now.slow_sync_took.as_secs_f64()
        );
        facts.push(disk("disk_slow", Some(detail)));
    } else if before.is_none_or(|before| before.disk_full != now.disk_full) {
        let full = "sensor rows are refused until there is space; alerts and acts are recorded";
        facts.push(match now.disk_full {
            true => disk("disk_full", Some(full.to_owned())),
            false => disk("disk_good", None),
        });
    }
    if before.is_none_or(|before| before.quarantined.len() != now.quarantined.len()) {
        let damage = now.quarantined.iter().map(|damage| format!("{damage:?}"));
        let damage = damage.collect::<Vec<_>>().join("; ");
        let (state, detail) = match damage.is_empty() {
            true => ("log_good", None),
            false => ("log_damaged", Some(damage)),
        };
        facts.push(Fact { source_id: LOG, state, detail });
    }
    facts
}

#[cfg(test)]
mod tests {
    use vong_log::MemLog;
    use vong_model::{Columns, Offset};
    use vong_runtime::SystemClock;

    use super::*;

    fn states(before: Option<&Health>, now: &Health) -> Vec<&'static str> {
        let facts = facts(before, now);
        facts.into_iter().map(|fact| fact.state).collect()
    }

    #[test]
    fn the_start_and_each_change_are_told_once() {
        let good = Health::default();
        let full = Health { disk_full: true, ..Health::default() };
        let failed = Health { sync_failures: 1, ..Health::default() };
        assert_eq!(states(None, &good), ["disk_good", "log_good"]);
        assert_eq!(states(Some(&good), &good), [""; 0]);
        assert_eq!(states(Some(&good), &full), ["disk_full"]);
        assert_eq!(states(Some(&full), &good), ["disk_good"]);
        assert_eq!(states(Some(&good), &failed), ["sync_failed"]);
        let slow_sync_took = Duration::from_secs(5);
        let slow = Health { slow_syncs: 1, slow_sync_took, ..Health::default() };
        assert_eq!(states(Some(&good), &slow), ["disk_slow"]);
        assert_eq!(states(Some(&slow), &slow), [""; 0]);
    }

    #[tokio::test]
    async fn disk_that_was_slow_is_good_again_after_a_quiet_time() {
        let log: Arc<dyn Log> = Arc::new(MemLog::new(Arc::new(SystemClock)));
        let (tell, health) = watch::channel(Health::default());
        let stop = Shutdown::new();
        let (log_again, told) = (Arc::clone(&log), stop.clone());
        let clock = Arc::new(SystemClock);
        let watching = run_with(log_again, health, clock, told, Duration::from_millis(400));
        let story = async {
            sleep(Duration::from_millis(600)).await;
            tell.send_modify(|health| health.slow_syncs += 1);
            sleep(Duration::from_millis(100)).await;
            tell.send_modify(|health| health.slow_syncs += 1);
            sleep(Duration::from_millis(1_200)).await;
            stop.request();
        };
        let (ended, ()) = tokio::join!(watching, story);
        ended.unwrap();
        let mut told = Vec::new();
        for record in log.read(Offset::ZERO, usize::MAX).unwrap() {
            let columns = Columns::new(Stream::SourceEvents, &record.batch);
            let states = columns.keys("state").unwrap();
            let rows = 0..record.batch.num_rows();
            told.extend(rows.filter_map(|row| states.get(row).map(str::to_owned)));
        }
        assert_eq!(told, ["disk_good", "log_good", "disk_slow", "disk_slow", "disk_good"]);
    }
}
