//! Tells operators when the log or its disk is in trouble: as facts in the log itself, which has
//! space set aside for them, so that a rule can raise the alert.

use std::sync::Arc;

use arrow::array::RecordBatch;
use tokio::sync::watch;
use tracing::warn;
use vong_log::{Entry, Health, Log};
use vong_model::{EventTime, Stream, columns};
use vong_runtime::{Clock, Shutdown};

/// What stands in `source_events.source_id` for the disk below the log, and for what is on it.
const DISK: &str = "vong_disk";
const LOG: &str = "vong_log";

/// One fact.
#[derive(Debug, PartialEq, Eq)]
struct Fact {
    source_id: &'static str,
    state: &'static str,
    detail: Option<String>,
}

/// Writes how the log is at the start, and each change after it, until `stop`.
///
/// # Errors
/// None that ends it: a fact that cannot be written is told on standard error.
pub(crate) async fn run(
    log: Arc<dyn Log>,
    mut health: watch::Receiver<Health>,
    clock: Arc<dyn Clock>,
    stop: Shutdown,
) -> Result<(), vong_log::Error> {
    let mut before = None;
    loop {
        let now = health.borrow_and_update().clone();
        let facts = facts(before.as_ref(), &now);
        if !facts.is_empty() {
            let batch = to_batch(&facts, EventTime(clock.now()));
            if let Err(e) = log.append(vec![Entry::new(Stream::SourceEvents, batch)]).await {
                warn!(error = %e, ?facts, "could not note how the log is");
            }
        }
        before = Some(now);
        tokio::select! {
            changed = health.changed() => if changed.is_err() { return Ok(()) },
            () = stop.requested() => return Ok(()),
        }
    }
}

fn facts(before: Option<&Health>, now: &Health) -> Vec<Fact> {
    let mut facts = Vec::new();
    let failures = before.map_or(0, |before| before.sync_failures);
    let disk = |state, detail: Option<String>| Fact { source_id: DISK, state, detail };
    if now.sync_failures > failures {
        let detail = format!("{} commits could not be made durable", now.sync_failures);
        facts.push(disk("sync_failed", Some(detail)));
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

/// Rows of [`Stream::SourceEvents`], in its column order.
fn to_batch(facts: &[Fact], now: EventTime) -> RecordBatch {
    let columns = vec![
        columns::time_column(facts.iter().map(|_| Some(now))),
        columns::time_column(facts.iter().map(|_| Some(now))),
        columns::key_column(facts.iter().map(|fact| Some(fact.source_id))),
        columns::key_column(facts.iter().map(|_| None::<&str>)),
        columns::key_column(facts.iter().map(|fact| Some(fact.state))),
        columns::text_column(facts.iter().map(|fact| fact.detail.as_deref())),
        columns::key_column(facts.iter().map(|_| None::<&str>)),
    ];
    RecordBatch::try_new(Stream::SourceEvents.schema(), columns)
        .expect("columns are made in the schema's order")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(before: Option<&Health>, now: &Health) -> Vec<&'static str> {
        let facts = facts(before, now);
        assert_eq!(to_batch(&facts, EventTime(1)).num_rows(), facts.len());
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
    }
}
