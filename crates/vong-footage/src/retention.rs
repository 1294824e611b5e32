//! Deletes footage: by age, then by size, oldest first; never a held file, never one being written.
//! On a full disk the oldest goes before its time, so that what happens now is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vong_model::{CameraId, EventTime};

use crate::camera::{CameraStore, Segment};
use crate::footage::Shared;
use crate::holds::Hold;
use crate::index_file::Fact;
use crate::layout::{self, Day};
use crate::{ClassLimits, Error};

/// What a sweep did and what it left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Paths below the footage directory.
    pub deleted: Vec<String>,
    pub deleted_bytes: u64,
    /// Files past their time that a hold keeps.
    pub held_files: u64,
    /// All footage after the sweep.
    pub kept_bytes: u64,
    /// How far `max_bytes` is exceeded because what is left may not be deleted.
    pub over_bytes: u64,
}

/// Freed in one go on a full disk, bytes, so that it is not full again with the next group.
const ROOM_BYTES: u64 = 256 << 20;

/// What a full disk cannot have: should another program fill it, the last hour is still there.
const LAST_HOUR: Duration = Duration::from_secs(3_600);

struct Candidate {
    store: Arc<CameraStore>,
    segment: Segment,
    class: String,
}

pub(crate) fn sweep(shared: &Shared) -> Result<Sweep, Error> {
    run(shared, 0)
}

pub(crate) fn make_room(shared: &Shared) -> Result<Sweep, Error> {
    let missing = shared.config.min_free_bytes.saturating_sub(shared.free_bytes()?);
    *shared.looked.lock() = None;
    // On a small disk a tenth of what there is: nobody wants all of it gone at once.
    let room = ROOM_BYTES.min(shared.totals().1 / 10);
    run(shared, missing.saturating_add(room).max(1))
}

/// Deletes what is too old or too much, and oldest files until `needed` bytes are gone.
fn run(shared: &Shared, needed: u64) -> Result<Sweep, Error> {
    let now = EventTime(shared.clock.now());
    let holds = shared.holds.lock().list().to_vec();
    let candidates = candidates(shared);
    let mut kept_of = kept_by_class(shared);
    let mut sweep = Sweep { kept_bytes: shared.totals().1, ..Sweep::default() };
    let limit = limit(shared.config.max_bytes);
    let mut touched = BTreeSet::new();
    for Candidate { store, segment, class } in candidates {
        let limits = shared.config.limits_of(&class);
        let kept = kept_of.entry(class).or_default();
        let Some(reason) =
            reason(&segment, now, limits, (*kept, sweep.kept_bytes, limit)).or_else(|| {
                let is_old = now.since(segment.end) > LAST_HOUR;
                (is_old && sweep.deleted_bytes < needed).then_some("disk_full")
            })
        else {
            continue; // a later camera may keep its footage for less long
        };
        if is_held(&holds, &store.camera, &segment, now) {
            sweep.held_files = sweep.held_files.saturating_add(1);
            continue;
        }
        delete(&store, &segment)?;
        shared.metrics.files_deleted.with_label_values(&[reason]).inc();
        sweep.deleted.push(layout::relative_path(&store.camera, segment.name_ms));
        sweep.deleted_bytes = sweep.deleted_bytes.saturating_add(segment.bytes);
        sweep.kept_bytes = sweep.kept_bytes.saturating_sub(segment.bytes);
        *kept = kept.saturating_sub(segment.bytes);
        touched.insert((store.camera.clone(), Day::of_name(segment.name_ms)));
    }
    for (camera, day) in touched {
        drop_day_if_empty(&*shared.store(&camera)?, day)?;
    }
    sweep.over_bytes = sweep.kept_bytes.saturating_sub(limit);
    shared.metrics.bytes_kept.set(i64::try_from(sweep.kept_bytes).unwrap_or(i64::MAX));
    Ok(sweep)
}

/// Why a file must go; `None` if it need not.
fn reason(
    segment: &Segment,
    now: EventTime,
    limits: ClassLimits,
    (kept_of_class, kept, limit_of_all): (u64, u64, u64),
) -> Option<&'static str> {
    let days = Some(limits.keep_days).filter(|days| *days > 0);
    let keep = days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    if keep.is_some_and(|keep| now.since(segment.end) > keep) {
        return Some("age");
    }
    let too_much = kept > limit_of_all || kept_of_class > limit(limits.max_bytes);
    too_much.then_some("size")
}

/// 0 is no limit.
fn limit(bytes: u64) -> u64 {
    if bytes == 0 { u64::MAX } else { bytes }
}

fn kept_by_class(shared: &Shared) -> BTreeMap<String, u64> {
    let mut kept: BTreeMap<String, u64> = BTreeMap::new();
    for store in shared.cameras.read().values() {
        let class = shared.class_of(&store.camera);
        let of_class = kept.entry(class).or_default();
        *of_class = of_class.saturating_add(store.state.lock().bytes());
    }
    kept
}

/// All complete files, oldest first over all cameras.
fn candidates(shared: &Shared) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for store in shared.cameras.read().values() {
        let class = shared.class_of(&store.camera);
        let state = store.state.lock();
        // A file whose end could not be written stays open in memory; once the camera has a newer
        // one it is as complete as it will ever be.
        let newest = state.segments.keys().next_back().copied();
        let complete = state
            .segments
            .values()
            .filter(|segment| segment.closed || Some(segment.name_ms) != newest);
        candidates.extend(complete.map(|segment| Candidate {
            store: Arc::clone(store),
            segment: segment.clone(),
            class: class.clone(),
        }));
    }
    candidates.sort_by_key(|candidate| (candidate.segment.end, candidate.segment.name_ms));
    candidates
}

fn is_held(holds: &[Hold], camera: &CameraId, segment: &Segment, now: EventTime) -> bool {
    holds.iter().any(|hold| hold.protects(camera, (segment.start, segment.end), now))
}

/// First the index says so, then it happens: a file that vanished without a word is a loss.
fn delete(store: &CameraStore, segment: &Segment) -> Result<(), Error> {
    let mut state = store.state.lock();
    store.append(&mut state, segment.name_ms, vec![Fact::Deleted])?;
    state.segments.remove(&segment.name_ms);
    drop(state);
    let path = layout::file_path(&store.dir, segment.name_ms);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("delete", &path, error))
        }
        _ => Ok(()),
    }
}

/// Removes a day without files, unless it is the camera's last: the chain of hashes goes on from
/// the last group in its index.
fn drop_day_if_empty(store: &CameraStore, day: Day) -> Result<(), Error> {
    let mut state = store.state.lock();
    let has_files = state.segments.keys().any(|name_ms| Day::of_name(*name_ms) == day);
    let is_last = state.days.keys().next_back() == Some(&day);
    if has_files || is_last {
        return Ok(());
    }
    state.days.remove(&day);
    let index = layout::index_path(&store.dir, day);
    std::fs::remove_file(&index).map_err(|source| Error::io("delete", &index, source))?;
    let dir = layout::day_dir(&store.dir, day);
    match std::fs::remove_dir(&dir) {
        // A person has put something there, or a damaged file was set aside.
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other.map_err(|source| Error::io("delete", &dir, source)),
    }
}
