//! The footage directory: who writes, what is there, what is kept.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};
use vong_media::{ClipForm, GopEntry};
use vong_model::{CameraId, EventTime};
use vong_runtime::{Clock, UnixMicros};

use crate::age::AgeClock;
use crate::camera::{CameraState, CameraStore};
use crate::clip::Clip;
use crate::holds::{Hold, HoldRequest, Holds};
use crate::listing::{GopFilter, GopListing};
use crate::outlook::{self, Outlook};
use crate::recover::{self, Repairs};
use crate::retention::{self, Retention, Sweep};
use crate::writer::{self, CameraWriter};
use crate::{ClosedSegment, Error, FootageConfig, FootageMetrics, layout};

/// How long what the disk said is believed.
const LOOK_EVERY_US: i64 = 1_000_000;

/// The footage directory, opened; cheap to clone.
///
/// All methods block on the disk.
#[derive(Clone, Debug)]
pub struct Footage {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: FootageConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: FootageMetrics,
    pub(crate) cameras: RwLock<BTreeMap<CameraId, Arc<CameraStore>>>,
    pub(crate) holds: Mutex<Holds>,
    /// Held while a sweep is under way.
    pub(crate) retention: Mutex<Retention>,
    /// Which class of footage a camera's is.
    pub(crate) class_of: RwLock<BTreeMap<CameraId, String>>,
    /// When the disk was asked how much is free, and what it said.
    pub(crate) looked: Mutex<Option<(UnixMicros, u64)>>,
    /// Keeps other processes out while it lives.
    _lock: File,
}

/// What was found and repaired when the directory was opened.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// Files that were being written when the process ended, now complete.
    pub recovered: Vec<ClosedSegment>,
    pub files: u64,
    pub bytes: u64,
    /// Bytes of torn groups cut off.
    pub cut_bytes: u64,
    /// Day indexes written anew.
    pub rebuilt_days: u64,
    /// Files that are not footage, renamed to `*.bad`.
    pub set_aside: Vec<PathBuf>,
    /// Files, days and cameras that could not be read: left as they are, and not known of until they
    /// can be read at a later start.
    pub unreadable: Vec<PathBuf>,
}

/// One recorded group and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedGop {
    /// Path below the footage directory.
    pub file: String,
    pub entry: GopEntry,
}

impl Footage {
    /// Opens the directory, making it if need be, and repairs what an interrupted run left. One file
    /// that cannot be read or repaired is told of and does without: the others are recorded to.
    pub fn open(
        config: FootageConfig,
        clock: Arc<dyn Clock>,
        metrics: FootageMetrics,
    ) -> Result<(Self, Opened), Error> {
        std::fs::create_dir_all(&config.dir)
            .map_err(|source| Error::io("create", &config.dir, source))?;
        let lock = lock(&config)?;
        let holds = Holds::open(config.dir.join(layout::HOLDS_NAME));
        let mut repairs = Repairs::default();
        let mut cameras = BTreeMap::new();
        for dir in recover::list(&config.dir)? {
            let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(camera) = layout::camera_of_dir(name).filter(|_| dir.is_dir()) else {
                continue;
            };
            let state = Mutex::new(recover::open_camera(&camera, &dir, &mut repairs));
            let store =
                CameraStore { camera: camera.clone(), dir, state, metrics: metrics.clone() };
            cameras.insert(camera, Arc::new(store));
        }
        metrics.bytes_cut.inc_by(repairs.cut_bytes);
        let Repairs { recovered, cut_bytes, rebuilt_days, set_aside, unreadable, doomed } = repairs;
        metrics.unreadable_files.set(i64::try_from(unreadable.len()).unwrap_or(i64::MAX));
        let ends = cameras.values().flat_map(|store| store.state.lock().span()).map(|(_, end)| end);
        let age = AgeClock::open(config.dir.join(layout::AGE_NAME), ends.max(), &*clock);
        let shared = Shared {
            config,
            clock,
            metrics,
            cameras: RwLock::new(cameras),
            holds: Mutex::new(holds),
            retention: Mutex::new(Retention::new(age, doomed)),
            class_of: RwLock::default(),
            looked: Mutex::new(None),
            _lock: lock,
        };
        let (files, bytes) = shared.totals();
        let opened =
            Opened { recovered, files, bytes, cut_bytes, rebuilt_days, set_aside, unreadable };
        Ok((Self { shared: Arc::new(shared) }, opened))
    }

    /// The one writer of a camera. A second one is refused until the first is dropped.
    pub fn writer(&self, camera: &CameraId) -> Result<CameraWriter, Error> {
        let store = self.shared.store_or_new(camera)?;
        let mut state = store.state.lock();
        if state.writing {
            return Err(Error::WriterTaken { camera: camera.clone() });
        }
        state.writing = true;
        drop(state);
        Ok(CameraWriter::new(Arc::clone(&self.shared), store))
    }

    /// The footage of `[from, to)` as one MP4: exact to the frame, readable by range, nothing
    /// copied. Works while the camera is being recorded; the group being received is not in it.
    ///
    /// Errors: unknown camera, nothing recorded in the interval, longer than the configured limit.
    pub fn clip(
        &self,
        camera: &CameraId,
        from: EventTime,
        to: EventTime,
        form: ClipForm,
    ) -> Result<Clip, Error> {
        let limit_s = self.shared.config.max_clip_s;
        if to.since(from) > Duration::from_secs(u64::from(limit_s)) {
            return Err(Error::ClipTooLong { from, to, limit_s });
        }
        let clip = Clip::open(&*self.shared.store(camera)?, from, to, form)?;
        self.shared.metrics.clips_opened.inc();
        let damaged = self.shared.metrics.damage.with_label_values(&["group"]);
        damaged.inc_by(clip.damaged().len() as u64);
        Ok(clip)
    }

    /// The longest clip that is given out.
    pub fn longest_clip(&self) -> Duration {
        Duration::from_secs(u64::from(self.shared.config.max_clip_s))
    }

    /// The groups that hold something of `[from, to)`, oldest first.
    pub fn gops(
        &self,
        camera: &CameraId,
        from: EventTime,
        to: EventTime,
    ) -> Result<Vec<RecordedGop>, Error> {
        let store = self.shared.store(camera)?;
        let segments = store.state.lock().overlapping(from, to);
        let mut found = Vec::new();
        for segment in segments {
            let file = layout::relative_path(camera, segment.name_ms);
            let inside = store.gops(&segment)?.into_iter();
            let inside = inside.filter(|gop| gop.start < to && gop.end() > from);
            found.extend(inside.map(|entry| RecordedGop { file: file.clone(), entry }));
        }
        Ok(found)
    }

    /// The groups `filter` lets through, a few files at a time, for lists over hours and cameras.
    pub fn list(&self, filter: GopFilter) -> GopListing {
        GopListing::new(&self.shared, filter)
    }

    /// Cameras with footage or a writer.
    pub fn cameras(&self) -> Vec<CameraId> {
        self.shared.cameras.read().keys().cloned().collect()
    }

    /// From the first recorded instant of a camera to the last.
    pub fn span(&self, camera: &CameraId) -> Option<(EventTime, EventTime)> {
        let store = self.shared.store(camera).ok()?;
        let state = store.state.lock();
        state.span()
    }

    /// Keeps the footage of an interval, recorded or still to come, from being deleted. Durable
    /// once it returns.
    pub fn hold(&self, request: HoldRequest) -> Result<Hold, Error> {
        let now = EventTime(self.shared.clock.now());
        self.shared.holds.lock().add(request, now)
    }

    /// Ends a hold.
    pub fn release(&self, hold_id: u64) -> Result<Hold, Error> {
        self.shared.holds.lock().remove(hold_id)
    }

    /// All holds, expired ones included, oldest first. None while their list cannot be read; see
    /// [`Self::holds_known`].
    pub fn holds(&self) -> Vec<Hold> {
        self.shared.holds.lock().list().to_vec()
    }

    /// An error while the list of holds is damaged: then nothing is deleted, held or released.
    pub fn holds_known(&self) -> Result<(), Error> {
        self.shared.holds.lock().known()
    }

    /// Deletes what need not be kept: by age, then by size, oldest first, never a held file and
    /// never one being written. To be called every minute or so.
    pub fn sweep(&self) -> Result<Sweep, Error> {
        retention::sweep(&self.shared)
    }

    /// Says which class a camera's footage is of, for retention; of none where it is not named.
    pub fn set_classes(&self, class_of: BTreeMap<CameraId, String>) {
        *self.shared.class_of.write() = class_of;
    }

    /// Deletes for a disk that is full: what a sweep would delete, then the oldest of all, until
    /// recording has room for some minutes. Never a held file, never the last hour. Waits for a sweep
    /// that is under way.
    pub fn make_room(&self) -> Result<Sweep, Error> {
        retention::make_room(&self.shared)
    }

    /// How much there is, how fast it grows and when the disk will be full.
    pub fn outlook(&self) -> Outlook {
        let outlook = outlook::of(&self.shared);
        let hours = outlook.days_until_full.filter(|days| days.is_finite()).map(|days| days * 24.0);
        let metrics = &self.shared.metrics;
        metrics.hours_until_full.set(hours.map_or(-1, whole));
        metrics.bytes_a_day.set(outlook.bytes_per_day.map_or(0, whole));
        outlook
    }
}

#[cfg(test)]
impl Footage {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn shared_metrics(&self) -> &FootageMetrics {
        &self.shared.metrics
    }
}

impl Shared {
    pub(crate) fn store(&self, camera: &CameraId) -> Result<Arc<CameraStore>, Error> {
        let cameras = self.cameras.read();
        let store = cameras.get(camera).map(Arc::clone);
        store.ok_or_else(|| Error::UnknownCamera { camera: camera.clone() })
    }

    fn store_or_new(&self, camera: &CameraId) -> Result<Arc<CameraStore>, Error> {
        let mut cameras = self.cameras.write();
        if let Some(store) = cameras.get(camera) {
            return Ok(Arc::clone(store));
        }
        let dir = self.config.dir.join(layout::camera_dir_name(camera));
        std::fs::create_dir_all(&dir).map_err(|source| Error::io("create", &dir, source))?;
        let state = Mutex::new(CameraState::default());
        let metrics = self.metrics.clone();
        let store = Arc::new(CameraStore { camera: camera.clone(), dir, state, metrics });
        cameras.insert(camera.clone(), Arc::clone(&store));
        Ok(store)
    }

    /// Which file-long interval of this camera `at` lies in. Cameras change files at different
    /// seconds, so that the disk is not asked for everything at once.
    pub(crate) fn slot(&self, camera: &CameraId, at: EventTime) -> i64 {
        let length = Duration::from_secs(u64::from(self.config.segment_s.max(1)));
        let digest: [u8; 32] = Sha256::digest(camera.as_str()).into();
        let spread = u32::from(digest[0]) << 8 | u32::from(digest[1]);
        writer::slot(at, length, length.saturating_mul(spread) / 65_536)
    }

    /// The class of a camera's footage; empty for none.
    pub(crate) fn class_of(&self, camera: &CameraId) -> String {
        self.class_of.read().get(camera).cloned().unwrap_or_default()
    }

    /// Refuses to write into what is left to others. Asks the disk at most once a second.
    pub(crate) fn check_room(&self) -> Result<(), Error> {
        let min_free_bytes = self.config.min_free_bytes;
        if min_free_bytes == 0 {
            return Ok(());
        }
        let now = self.clock.now();
        let mut looked = self.looked.lock();
        let known = looked.filter(|(at, _)| (0..LOOK_EVERY_US).contains(&now.saturating_sub(*at)));
        let free_bytes = match known {
            Some((_, free_bytes)) => free_bytes,
            None => self.free_bytes()?,
        };
        // What is full is looked at again with every group: somebody may be making room.
        *looked =
            (free_bytes > min_free_bytes).then_some((known.map_or(now, |(at, _)| at), free_bytes));
        if free_bytes <= min_free_bytes {
            return Err(Error::DiskFull { free_bytes, min_free_bytes });
        }
        Ok(())
    }

    pub(crate) fn free_bytes(&self) -> Result<u64, Error> {
        let dir = &self.config.dir;
        vong_runtime::fs::free_bytes(dir)
            .map_err(|source| Error::io("ask the disk of", dir, source))
    }

    /// Files and their bytes.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.cameras.read().values().fold((0, 0), |(files, bytes), store| {
            let state = store.state.lock();
            (files + state.segments.len() as u64, bytes + state.bytes())
        })
    }
}

/// For a gauge, which holds whole numbers; saturates.
#[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
fn whole(value: f64) -> i64 {
    value as i64
}

fn lock(config: &FootageConfig) -> Result<File, Error> {
    let path = config.dir.join(layout::LOCK_NAME);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| Error::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse { dir: config.dir.clone() }),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::io("lock", &path, source)),
    }
}
