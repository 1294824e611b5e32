//! Copies closed parts of the log into the history, merges small files, applies retention.
//!
//! Memory: one read of about `read_bytes` of the log at a time becomes one commit. The log is not
//! trimmed here: whoever owns all its readers decides that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};
use vong_log::{Log, Record};
use vong_model::{EventTime, Offset, Stream};
use vong_runtime::{Clock, Shutdown};
use vong_store::{Store, StreamRows};

use crate::{ArchiverMetrics, Error};

/// How archiving is paced and what is kept how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiverConfig {
    /// Log bytes of one commit, about.
    pub read_bytes: usize,
    /// Closed log parts are looked for this often.
    pub every_s: u64,
    /// Days to keep, by stream; a stream that is not named is kept for ever.
    pub keep_days: BTreeMap<String, u64>,
}

impl Default for ArchiverConfig {
    fn default() -> Self {
        Self { read_bytes: 32 * 1024 * 1024, every_s: 2, keep_days: BTreeMap::new() }
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Committed up to this offset; there may be more.
    Committed(Offset),
    /// Merged files; there may be more.
    Merged,
    /// Nothing left to do for now.
    Idle,
}

/// The service that keeps the history; clones share their work's state in store and log.
#[derive(Clone, Debug)]
pub struct Archiver {
    config: ArchiverConfig,
    log: Arc<dyn Log>,
    store: Store,
    clock: Arc<dyn Clock>,
    metrics: ArchiverMetrics,
}

impl Archiver {
    pub fn new(
        config: ArchiverConfig,
        log: Arc<dyn Log>,
        store: Store,
        clock: Arc<dyn Clock>,
        metrics: ArchiverMetrics,
    ) -> Self {
        Self { config, log, store, clock, metrics }
    }

    /// Works until `shutdown`; failed steps are retried with a growing pause.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let every = Duration::from_secs(self.config.every_s.max(1));
        let mut failures = 0_u32;
        while !shutdown.is_requested() {
            let worker = self.clone();
            let step = tokio::task::spawn_blocking(move || worker.step());
            let pause = match step.await.map_err(|_panicked| Error::Stopped)? {
                Ok(Progress::Committed(_) | Progress::Merged) => {
                    failures = 0;
                    continue;
                }
                Ok(Progress::Idle) => {
                    failures = 0;
                    every
                }
                Err(e) => {
                    failures = failures.saturating_add(1);
                    self.metrics.failures.inc();
                    let cause = std::error::Error::source(&e).map(ToString::to_string);
                    warn!(error = %e, cause, failures, "archiving failed, will retry");
                    every * failures.min(30)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.requested() => {}
            }
        }
        Ok(())
    }

    /// One commit, or one merge, or retention. Blocks on disk.
    pub fn step(&self) -> Result<Progress, Error> {
        let covered = self.store.covered();
        let closed = self.log.sealed().last().map_or(Offset::ZERO, |range| range.next);
        self.metrics.behind.set(i64::try_from(closed.0.saturating_sub(covered.0)).unwrap_or(0));
        if covered < closed {
            return self.copy(covered, closed).map(Progress::Committed);
        }
        if self.store.compact().map_err(Error::Store)?.is_some() {
            return Ok(Progress::Merged);
        }
        self.apply_retention()?;
        self.store.sweep();
        Ok(Progress::Idle)
    }

    /// Copies records from `from`, at most to `closed`; returns how far it came.
    fn copy(&self, from: Offset, closed: Offset) -> Result<Offset, Error> {
        let records = match self.log.read(from, self.config.read_bytes) {
            Ok(records) => records,
            Err(e) => {
                let Some(through) = e.resume_at().filter(|at| *at > from) else {
                    return Err(Error::Log(e));
                };
                return self.skip_lost(from, through, &e);
            }
        };
        let mut through = from;
        let mut streams: BTreeMap<Stream, Vec<_>> = BTreeMap::new();
        for record in records.into_iter().filter(|record| record.offset < closed) {
            let Record { offset, appended_at: _, stream, batch } = record;
            through = offset.next();
            streams.entry(stream).or_default().push((offset, batch));
        }
        if through == from {
            return Err(Error::LogEndsEarly { found: from, head: closed });
        }
        let data: Vec<StreamRows> = streams.into_iter().collect();
        self.store.commit(through, data).map_err(Error::Store)?;
        Ok(through)
    }

    /// Retention or damage was faster than the archive: say so, count it, go on.
    fn skip_lost(
        &self,
        from: Offset,
        through: Offset,
        why: &vong_log::Error,
    ) -> Result<Offset, Error> {
        let lost = through.0.saturating_sub(from.0);
        error!(%from, %through, lost, error = %why, "log records were lost before they were archived");
        self.metrics.lost.inc_by(lost);
        self.store.commit(through, Vec::new()).map_err(Error::Store)?;
        Ok(through)
    }

    fn apply_retention(&self) -> Result<(), Error> {
        let now = EventTime(self.clock.now());
        for (name, days) in &self.config.keep_days {
            let Some(stream) = Stream::from_name(name) else { continue };
            let keep = Duration::from_secs(days.saturating_mul(86_400));
            let removed =
                self.store.remove_older(stream, now.saturating_sub(keep)).map_err(Error::Store)?;
            if removed.files > 0 {
                info!(
                    stream = name,
                    files = removed.files,
                    rows = removed.rows,
                    "history aged out"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
