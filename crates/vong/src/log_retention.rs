//! Lets go of old parts of the log, once history, engine, live views and clips have what they need
//! of them.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use vong_log::{Log, Retention, Snapshots};
use vong_model::{EventTime, Offset};
use vong_recorder::ClipFiler;
use vong_runtime::{Clock, Shutdown};
use vong_store::Store;

/// How often old parts are looked for.
const EVERY: Duration = Duration::from_secs(60);

/// Those who read the log, and may have to read it again.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) store: Store,
    /// Of the engine and of the live views: a restart reads on from them.
    pub(crate) snapshots: [Snapshots; 2],
}

impl Readers {
    /// The least offset that somebody still needs.
    fn low_water(&self, log: &dyn Log) -> Result<Offset, vong_log::Error> {
        let restarts = self.snapshots.iter().map(|s| s.low_water().unwrap_or(Offset::ZERO));
        let clips = log.cursor_get(ClipFiler::CURSOR)?.unwrap_or(Offset::ZERO);
        let others = [self.store.covered(), clips];
        Ok(restarts.chain(others).min().unwrap_or(Offset::ZERO))
    }
}

/// Looks for old parts until `stop`.
///
/// # Errors
/// None that ends it: what cannot be let go is told on standard error and tried again.
pub(crate) async fn run(
    log: Arc<dyn Log>,
    readers: Readers,
    keep: Retention,
    clock: Arc<dyn Clock>,
    stop: Shutdown,
) -> Result<(), vong_log::Error> {
    let readers = Arc::new(readers);
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.requested() => return Ok(()),
        }
        let (log, readers, now) = (Arc::clone(&log), Arc::clone(&readers), clock.now());
        let trim = move || {
            let low_water = readers.low_water(&*log)?;
            log.retain(&keep, EventTime(now), low_water)
        };
        match tokio::task::spawn_blocking(trim).await {
            Ok(Ok(trimmed)) => {
                if trimmed.parts > 0 {
                    let (parts, below) = (trimmed.parts, trimmed.below.0);
                    info!(parts, bytes = trimmed.bytes, below, "let go of old parts of the log");
                }
                if trimmed.held_back_bytes > 0 {
                    let bytes = trimmed.held_back_bytes;
                    warn!(bytes, "old parts of the log are still needed by a reader");
                }
            }
            Ok(Err(e)) => warn!(error = %e, "could not let go of old parts of the log"),
            Err(e) => warn!(error = %e, "could not look for old parts of the log"),
        }
    }
}

#[cfg(test)]
mod tests {
    use vong_log::MemLog;
    use vong_runtime::ManualClock;
    use vong_store::StoreConfig;

    use super::*;

    #[test]
    fn the_slowest_reader_decides() {
        let dir = tempfile::tempdir().unwrap();
        let log = MemLog::new(Arc::new(ManualClock::new(0)));
        let config = StoreConfig { dir: dir.path().join("history"), ..StoreConfig::default() };
        let store = Store::open(config, log.epoch(), None).unwrap();
        let of = |name: &str| Snapshots::new(&dir.path().join(name), log.epoch(), 1);
        let readers = Readers { store, snapshots: [of("engine"), of("views")] };
        assert_eq!(readers.low_water(&log).unwrap(), Offset::ZERO);
        log.cursor_set(ClipFiler::CURSOR, Offset(9)).unwrap();
        for (next, which) in [(5, 0), (7, 0), (3, 1), (4, 1)] {
            readers.snapshots[which].write(Offset(next), &(), b"").unwrap();
        }
        assert_eq!(readers.low_water(&log).unwrap(), Offset::ZERO, "history has nothing yet");
    }
}
