//! Deletes footage: by age, then by size, oldest first; never a held file, never one being written.
//! On a full disk the oldest goes before its time, so that what happens now is recorded.
//!
//! Order of effects: the index says of every file that it is deleted, then that is made durable, once
//! for each day, then the files go. A file that vanished without a word would be a loss.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vong_model::{CameraId, EventTime};
use vong_telemetry::{Classify as _, Kind};

use crate::age::AgeClock;
use crate::camera::{CameraState, CameraStore};
use crate::footage::Shared;
use crate::index_file::{self, Fact};
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
    /// How far `max_bytes` is exceeded, held footage aside, because what is left may not be deleted.
    pub over_bytes: u64,
    /// How far the clock is ahead of what is believed of it; nothing is deleted by age on its word.
    pub age_held_back: Duration,
}

/// What sweeps remember, and what keeps them apart: two at once would delete twice as much as is
/// needed.
#[derive(Debug)]
pub(crate) struct Retention {
    pub(crate) age: AgeClock,
    /// Files that the index calls deleted and that are still there.
    pub(crate) doomed: Doomed,
    /// That the clock is ahead was told.
    told: bool,
}

pub(crate) type Doomed = BTreeMap<(CameraId, Day), Vec<i64>>;

/// Freed in one go on a full disk, bytes, so that it is not full again with the next group.
const ROOM_BYTES: u64 = 256 << 20;

/// What neither a full disk nor a limit in bytes can have: should another program fill the disk, or
/// a limit be set too low, the last hour is still there.
const LAST_HOUR: Duration = Duration::from_secs(3_600);

/// Ahead of what is believed by more than this, a clock is told of.
const WORTH_TELLING: Duration = Duration::from_secs(2 * 3_600);

impl Retention {
    pub(crate) fn new(age: AgeClock, doomed: Doomed) -> Self {
        Self { age, doomed, told: false }
    }

    fn tell(&mut self, behind: Duration) {
        if behind > WORTH_TELLING && !self.told {
            tracing::error!(
                ahead_s = behind.as_secs(),
                "the clock is ahead of the footage: was it set, or the machine off? \
                 footage is deleted by age at twice the pace of time until it is caught up"
            );
        }
        self.told = behind > WORTH_TELLING;
    }
}

pub(crate) fn sweep(shared: &Shared) -> Result<Sweep, Error> {
    shared.holds.lock().known()?; // else it would delete what is on hold
    run(shared, &mut shared.retention.lock(), 0)
}

pub(crate) fn make_room(shared: &Shared) -> Result<Sweep, Error> {
    if shared.holds.lock().known().is_err() {
        return Ok(Sweep::default()); // the disk stays full, and that is told
    }
    let mut retention = shared.retention.lock();
    let missing = shared.config.min_free_bytes.saturating_sub(shared.free_bytes()?);
    *shared.looked.lock() = None;
    // On a small disk a tenth of what there is: nobody wants all of it gone at once.
    let room = ROOM_BYTES.min(shared.totals().1 / 10);
    run(shared, &mut retention, missing.saturating_add(room).max(1))
}

/// Deletes what is too old or too much, and oldest files until `needed` bytes are gone.
fn run(shared: &Shared, retention: &mut Retention, needed: u64) -> Result<Sweep, Error> {
    let wall = EventTime(shared.clock.now());
    let believed = retention.age.now(&*shared.clock);
    let behind = wall.since(believed);
    retention.tell(behind);
    shared.metrics.age_held_back.set(i64::try_from(behind.as_secs()).unwrap_or(i64::MAX));
    let mut kept = Kept::of(shared, wall);
    let mut sweep = Sweep { kept_bytes: kept.all, age_held_back: behind, ..Sweep::default() };
    let mut queues = Queues::of(shared);
    while let Some((queue, file)) = queues.pop() {
        let (store, class) = queue;
        let limits = shared.config.limits_of(class);
        let too_much = kept.is_too_much(shared, class, limits);
        let missing = sweep.deleted_bytes < needed;
        let Some(reason) = reason(&file, (wall, believed), limits, (too_much, missing)) else {
            continue; // nothing newer of this camera need go either
        };
        match mark(shared, store, &file, wall) {
            Ok(true) => {
                shared.metrics.files_deleted.with_label_values(&[reason]).inc();
                sweep.deleted.push(layout::relative_path(&store.camera, file.name_ms));
                sweep.deleted_bytes = sweep.deleted_bytes.saturating_add(file.bytes);
                kept.less(class, file.bytes);
                let day = (store.camera.clone(), Day::of_name(file.name_ms));
                retention.doomed.entry(day).or_default().push(file.name_ms);
            }
            Ok(false) => sweep.held_files = sweep.held_files.saturating_add(1),
            Err(error) => {
                // The other cameras' disks or indexes may be sound.
                shared.metrics.delete_failures.inc();
                tracing::warn!(camera = %store.camera, %error, "could not delete footage");
                continue;
            }
        }
        queues.push_next(file);
    }
    unlink(shared, &mut retention.doomed);
    sweep.kept_bytes = kept.all;
    sweep.over_bytes = kept.free.saturating_sub(limit(shared.config.max_bytes));
    shared.metrics.bytes_kept.set(i64::try_from(sweep.kept_bytes).unwrap_or(i64::MAX));
    Ok(sweep)
}

/// Why a file must go; `None` if it need not.
fn reason(
    file: &Candidate,
    (wall, believed): (EventTime, EventTime),
    limits: ClassLimits,
    (too_much, missing): (bool, bool),
) -> Option<&'static str> {
    let days = Some(limits.keep_days).filter(|days| *days > 0);
    let keep = days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    if keep.is_some_and(|keep| believed.since(file.end) > keep) {
        return Some("age");
    }
    if wall.since(file.end) <= LAST_HOUR {
        return None;
    }
    match (too_much, missing) {
        (true, _) => Some("size"),
        (false, true) => Some("disk_full"),
        (false, false) => None,
    }
}

/// 0 is no limit.
fn limit(bytes: u64) -> u64 {
    if bytes == 0 { u64::MAX } else { bytes }
}

/// How much there is. What is on hold does not count against limits: it cannot be deleted, and all
/// else would have to go for it.
#[derive(Debug, Default)]
struct Kept {
    all: u64,
    /// Not on hold.
    free: u64,
    /// Not on hold, by class.
    free_of: BTreeMap<String, u64>,
}

impl Kept {
    fn of(shared: &Shared, wall: EventTime) -> Self {
        let holds = shared.holds.lock().list().to_vec();
        let mut kept = Self::default();
        for store in shared.cameras.read().values() {
            let of_class = kept.free_of.entry(shared.class_of(&store.camera)).or_default();
            let state = store.state.lock();
            let all = state.bytes();
            let free = all.saturating_sub(state.held_bytes(&store.camera, &holds, wall));
            *of_class = of_class.saturating_add(free);
            kept.all = kept.all.saturating_add(all);
            kept.free = kept.free.saturating_add(free);
        }
        kept
    }

    fn is_too_much(&self, shared: &Shared, class: &str, limits: ClassLimits) -> bool {
        let of_class = self.free_of.get(class).copied().unwrap_or_default();
        self.free > limit(shared.config.max_bytes) || of_class > limit(limits.max_bytes)
    }

    fn less(&mut self, class: &str, bytes: u64) {
        self.all = self.all.saturating_sub(bytes);
        self.free = self.free.saturating_sub(bytes);
        if let Some(of_class) = self.free_of.get_mut(class) {
            *of_class = of_class.saturating_sub(bytes);
        }
    }
}

/// A complete file that could go. Ordered by its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    end: EventTime,
    name_ms: i64,
    start: EventTime,
    bytes: u64,
    /// Place of its camera.
    camera: usize,
}

/// The oldest file of each camera: only as many are looked at as are deleted.
struct Queues {
    cameras: Vec<(Arc<CameraStore>, String)>,
    oldest: BinaryHeap<Reverse<Candidate>>,
}

impl Queues {
    fn of(shared: &Shared) -> Self {
        let stores = shared.cameras.read();
        let cameras: Vec<_> = stores
            .values()
            .map(|store| (Arc::clone(store), shared.class_of(&store.camera)))
            .collect();
        drop(stores);
        let mut queues = Self { cameras, oldest: BinaryHeap::new() };
        (0..queues.cameras.len()).for_each(|camera| queues.push(camera, None));
        queues
    }

    fn pop(&mut self) -> Option<(&(Arc<CameraStore>, String), Candidate)> {
        let Reverse(file) = self.oldest.pop()?;
        self.cameras.get(file.camera).map(|queue| (queue, file))
    }

    fn push_next(&mut self, after: Candidate) {
        self.push(after.camera, Some(after.name_ms));
    }

    fn push(&mut self, camera: usize, after: Option<i64>) {
        let Some((store, _class)) = self.cameras.get(camera) else { return };
        if let Some(file) = next_complete(&store.state.lock(), camera, after) {
            self.oldest.push(Reverse(file));
        }
    }
}

fn next_complete(state: &CameraState, camera: usize, after: Option<i64>) -> Option<Candidate> {
    // A file whose end could not be written stays open in memory; once the camera has a newer one it
    // is as complete as it will ever be.
    let newest = state.segments.keys().next_back().copied();
    let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut files = state.segments.range((behind, Bound::Unbounded)).map(|(_, segment)| segment);
    let file = files.find(|segment| segment.closed || Some(segment.name_ms) != newest)?;
    let (end, name_ms, start, bytes) = (file.end, file.name_ms, file.start, file.bytes);
    Some(Candidate { end, name_ms, start, bytes, camera })
}

/// Has the index say that the file is deleted, and forgets it; false if a hold protects it.
fn mark(
    shared: &Shared,
    store: &CameraStore,
    file: &Candidate,
    wall: EventTime,
) -> Result<bool, Error> {
    // Kept until the file is forgotten: a hold is either seen here, or finds no footage any more.
    let holds = shared.holds.lock();
    let span = (file.start, file.end);
    if holds.list().iter().any(|hold| hold.protects(&store.camera, span, wall)) {
        return Ok(false);
    }
    let mut state = store.state.lock();
    let marked = store.append(&mut state, file.name_ms, vec![Fact::Deleted]);
    match marked {
        // Not even the word fits on the disk: then the deed comes first, and makes room for it.
        Err(error) if error.kind() == Kind::Exhausted => {
            remove(&layout::file_path(&store.dir, file.name_ms))?;
            store.append(&mut state, file.name_ms, vec![Fact::Deleted])?;
        }
        other => drop(other?),
    }
    state.segments.remove(&file.name_ms);
    Ok(true)
}

/// Deletes what the index durably calls deleted. What fails is tried again with the next sweep.
fn unlink(shared: &Shared, doomed: &mut Doomed) {
    for ((camera, day), names) in std::mem::take(doomed) {
        let Ok(store) = shared.store(&camera) else { continue };
        let index = layout::index_path(&store.dir, day);
        if let Err(error) = index_file::sync(&index) {
            shared.metrics.delete_failures.inc_by(names.len() as u64);
            tracing::warn!(index = %index.display(), %error, "footage is not deleted yet");
            doomed.insert((camera, day), names);
            continue;
        }
        let mut left = names;
        left.retain(|name_ms| match remove(&layout::file_path(&store.dir, *name_ms)) {
            Ok(()) => false,
            Err(error) => {
                shared.metrics.delete_failures.inc();
                tracing::warn!(%camera, %error, "could not delete footage, trying again");
                true
            }
        });
        if !left.is_empty() {
            doomed.insert((camera, day), left);
        } else if let Err(error) = drop_day_if_empty(&store, day) {
            tracing::warn!(%camera, %error, "could not remove a day without footage");
        }
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("delete", path, error))
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
    // Before the index, without which nobody would look at the day again.
    remove(&layout::heads_path(&store.dir, day))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HoldRequest;
    use crate::tests::fixture::{Site, at, camera, gops, parameters, push_all, units};

    #[test]
    fn a_hold_that_comes_while_a_sweep_is_under_way_is_seen() {
        let site = Site::new();
        let (footage, _) = site.open();
        let mut writer = footage.writer(&camera()).unwrap();
        push_all(&mut writer, &gops(&parameters(1), &units(0..250)));
        site.clock.advance(Duration::from_secs(90 * 86_400));
        let shared = footage.shared();
        let mut queues = Queues::of(shared);
        let ((store, _class), oldest) = queues.pop().unwrap();
        // The sweep has chosen the file, and somebody needs it.
        let request = HoldRequest {
            camera_id: camera(),
            from: oldest.start,
            to: at(999_000),
            case: "7".to_owned(),
            reason: "accident".to_owned(),
            until: None,
        };
        let hold = footage.hold(request).unwrap();
        let wall = EventTime(shared.clock.now());
        assert!(!mark(shared, store, &oldest, wall).unwrap());
        footage.release(hold.hold_id).unwrap();
        assert!(mark(shared, store, &oldest, wall).unwrap());
    }
}
