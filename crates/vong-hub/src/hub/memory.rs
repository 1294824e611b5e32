//! The views written down and read back, so that a restart shows at once what is open, also when the
//! log no longer holds how it came about.

use std::path::Path;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use vong_log::{Found, Log, Snapshots};
use vong_model::Offset;

use super::{Followed, Hub};
use crate::View;
use crate::table::Table;

/// Of the form of the state and the meaning of the views; raise it with any change of either.
const VERSION: u32 = 1;

/// All views as of one offset.
#[derive(Debug, Serialize, Deserialize)]
struct Saved<T> {
    watermark: i64,
    views: Vec<SavedView<T>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedView<T> {
    name: String,
    table: T,
    projection: Vec<u8>,
}

/// The snapshots of the views of `log`.
pub(super) fn snapshots(dir: &Path, log: &dyn Log) -> Snapshots {
    Snapshots::new(dir, log.epoch(), VERSION)
}

impl Hub {
    /// Goes on from the newest snapshot that is any good; from the floor of the log without one.
    pub(super) fn recall(&mut self, snapshots: &Snapshots) {
        for Found { next, notes: (), state } in snapshots.find(self.log.floor(), self.log.head()) {
            let Some(state) = state else {
                warn!("passed over a snapshot of the live views of another version");
                continue;
            };
            match postcard::from_bytes(&state).and_then(|saved| self.load(saved, next)) {
                Ok(()) => {
                    info!(offset = next.0, "live views go on from their snapshot");
                    return;
                }
                Err(e) => warn!(error = %e, "passed over a snapshot of the live views"),
            }
        }
    }

    /// All views, written down, and the offset they stand at; every follower must have come to it.
    pub(super) fn save(&self) -> (Offset, Result<Vec<u8>, postcard::Error>) {
        (self.states.position, self.state())
    }

    fn state(&self) -> Result<Vec<u8>, postcard::Error> {
        let all = || self.alerts.views.iter().chain(&self.states.views);
        let tables: Vec<_> = all().map(|of| self.shared.state(of.view).table.read()).collect();
        let views = all().zip(&tables).map(|(Followed { view, projection, .. }, table)| {
            let (name, projection) = (view.name().to_owned(), projection.save()?);
            Ok(SavedView { name, table: &**table, projection })
        });
        let views = views.collect::<Result<Vec<SavedView<&Table>>, postcard::Error>>()?;
        let watermark = self.shared.watermark.load(Ordering::Relaxed);
        postcard::to_stdvec(&Saved { watermark, views })
    }

    fn load(&mut self, saved: Saved<Table>, next: Offset) -> Result<(), postcard::Error> {
        let Self { shared, alerts, states, log, .. } = self;
        for SavedView { name, table, projection } in saved.views {
            let mut all = alerts.views.iter_mut().chain(&mut states.views);
            let Some(of) = all.find(|of| of.view.name() == name) else { continue };
            of.projection.load(&projection)?;
            let mut place = shared.state(of.view).table.write();
            *place = table;
            if of.view == View::Sources {
                place.raise_resume_floor(log.head()); // its counts begin with this process
            }
        }
        shared.watermark.store(saved.watermark, Ordering::Relaxed);
        (alerts.position, states.position) = (next, next);
        Ok(())
    }
}

/// The log has everything: without a snapshot only the next start takes longer.
pub(super) fn write(snapshots: &Snapshots, next: Offset, state: Result<Vec<u8>, postcard::Error>) {
    let written = state.map_err(std::io::Error::other);
    let written = written.and_then(|state| snapshots.write(next, &(), &state));
    if let Err(e) = written {
        warn!(error = &e as &dyn std::error::Error, "no snapshot of the live views");
    }
}
