//! Recorded groups in bulk, for those who ask in SQL: a few files at a time, straight from the index.
//!
//! What is listed can be played: a file that retention takes while it is being listed is left out.
//! Groups recorded meanwhile may or may not be in the list.

use std::collections::BTreeSet;
use std::sync::Arc;

use vong_media::GopEntry;
use vong_model::{CameraId, EventTime};

use crate::camera::CameraStore;
use crate::footage::Shared;
use crate::holds::Hold;
use crate::{Error, layout};

/// Files looked at in one step: at 60 s a file and 2 s a group about 2,000 groups.
const FILES_A_STEP: usize = 64;

/// Which groups to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GopFilter {
    /// `None` is every camera.
    pub cameras: Option<BTreeSet<CameraId>>,
    /// Groups that end at or before this are left out.
    pub from: EventTime,
    /// Groups that start at or after this are left out.
    pub to: EventTime,
}

impl GopFilter {
    /// Everything there is.
    pub fn all() -> Self {
        Self { cameras: None, from: EventTime(i64::MIN), to: EventTime(i64::MAX) }
    }
}

/// One recorded group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGop {
    pub camera_id: CameraId,
    /// Path below the footage directory.
    pub file: Arc<str>,
    pub entry: GopEntry,
    /// A hold in force keeps its file from being deleted.
    pub held: bool,
}

/// Groups camera by camera, and of one camera file by file.
#[derive(Debug)]
pub struct GopListing {
    filter: GopFilter,
    holds: Vec<Hold>,
    now: EventTime,
    /// Cameras still to come, the next one last.
    stores: Vec<Arc<CameraStore>>,
    /// The last file of that camera that was listed.
    after: Option<i64>,
    /// Files looked at so far.
    files: u64,
}

impl GopListing {
    pub(crate) fn new(shared: &Shared, filter: GopFilter) -> Self {
        let cameras = shared.cameras.read();
        let wanted = |store: &&Arc<CameraStore>| {
            filter.cameras.as_ref().is_none_or(|cameras| cameras.contains(&store.camera))
        };
        let stores = cameras.values().rev().filter(wanted).map(Arc::clone).collect();
        drop(cameras);
        let now = EventTime(shared.clock.now());
        let holds = shared.holds.lock().list().to_vec();
        Self { filter, holds, now, stores, after: None, files: 0 }
    }

    /// The next groups, perhaps none of this step; `None` when there are no more. Blocks on the
    /// disk.
    pub fn next_step(&mut self) -> Result<Option<Vec<ListedGop>>, Error> {
        let Some(store) = self.stores.last().map(Arc::clone) else { return Ok(None) };
        let GopFilter { cameras: _, from, to } = self.filter;
        let segments = store.state.lock().some_overlapping(self.after, (from, to), FILES_A_STEP);
        if segments.len() < FILES_A_STEP {
            self.stores.pop();
            self.after = None;
        } else {
            self.after = segments.last().map(|segment| segment.name_ms);
        }
        self.files = self.files.saturating_add(segments.len() as u64);
        let mut found = Vec::new();
        for segment in segments {
            let gops = match store.gops(&segment) {
                Ok(gops) => gops,
                Err(_) if !store.state.lock().segments.contains_key(&segment.name_ms) => continue,
                Err(error) => return Err(error),
            };
            if !store.state.lock().segments.contains_key(&segment.name_ms) {
                continue;
            }
            let span = (segment.start, segment.end);
            let held = self.holds.iter().any(|hold| hold.protects(&store.camera, span, self.now));
            let file: Arc<str> = layout::relative_path(&store.camera, segment.name_ms).into();
            let inside = gops.into_iter().filter(|gop| gop.start < to && gop.end() > from);
            found.extend(inside.map(|entry| ListedGop {
                camera_id: store.camera.clone(),
                file: Arc::clone(&file),
                entry,
                held,
            }));
        }
        Ok(Some(found))
    }

    /// Files looked at so far: what listing has cost.
    pub fn files(&self) -> u64 {
        self.files
    }
}
