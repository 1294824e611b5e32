//! The store: one writer, any number of snapshots.
//!
//! Order of effects in every change: data files durable, then the manifest durable, then visible
//! to new snapshots, then old files deleted once no snapshot holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use parking_lot::{Mutex, RwLock};
use tracing::{info, warn};
use vong_model::{EventTime, Offset, Stream};

use crate::data_file::{days, sorted, with_log_place, write};
use crate::manifest::{Manifest, absolute, path_of};
use crate::{Error, FileEntry, StoreConfig, StoreMetrics, StoreSnapshot};

/// The records of one stream, each with its offset.
pub type StreamRows = (Stream, Vec<(Offset, RecordBatch)>);

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    pub rows: u64,
    pub files: usize,
    pub bytes: u64,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub files_before: usize,
    pub files_after: usize,
    pub rows: u64,
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub files: usize,
    pub rows: u64,
}

/// The history; a cheap handle. All its methods block on disk.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    dir: Arc<Path>,
    metrics: Option<StoreMetrics>,
    /// Held by the one who changes the history.
    writer: Mutex<Writer>,
    current: RwLock<StoreSnapshot>,
}

/// What only the writer knows.
#[derive(Debug)]
pub(crate) struct Writer {
    log_epoch: String,
    next_file: u64,
    /// Out of the manifest, perhaps still read by a snapshot.
    doomed: Vec<Arc<FileEntry>>,
}

impl Store {
    /// Opens the history in `config.dir`, made from the log with lineage `log_epoch`.
    ///
    /// Removes files that a crash left without a manifest entry.
    pub fn open(
        config: StoreConfig,
        log_epoch: &str,
        metrics: Option<StoreMetrics>,
    ) -> Result<Self, Error> {
        let dir: Arc<Path> = Arc::from(config.dir.as_path());
        std::fs::create_dir_all(&dir)
            .map_err(|source| Error::Write { path: dir.to_path_buf(), source })?;
        let manifest = match Manifest::load(&dir)? {
            Some(manifest) => manifest,
            None => Manifest::empty(log_epoch),
        };
        let path = dir.to_path_buf();
        if manifest.log_epoch != log_epoch {
            let (found, expected) = (manifest.log_epoch, log_epoch.to_owned());
            return Err(Error::OtherLog { found, expected, path });
        }
        check_files(&dir, &manifest)?;
        let orphans = remove_orphans(&dir, &manifest)?;
        let Manifest { version: _, log_epoch, covered, next_file, files } = manifest;
        info!(dir = %path.display(), files = files.len(), covered, orphans, "history opened");
        let files = Arc::new(files.into_iter().map(Arc::new).collect());
        let current = StoreSnapshot { dir: Arc::clone(&dir), covered: Offset(covered), files };
        let writer = Writer { log_epoch, next_file, doomed: Vec::new() };
        let (writer, current) = (Mutex::new(writer), RwLock::new(current));
        let store = Self { inner: Arc::new(Inner { config, dir, metrics, writer, current }) };
        store.inner.report(&store.snapshot());
        Ok(store)
    }

    /// The history as it is now.
    pub fn snapshot(&self) -> StoreSnapshot {
        self.inner.current.read().clone()
    }

    /// First log offset that is not in the history.
    pub fn covered(&self) -> Offset {
        self.inner.current.read().covered
    }

    /// Adds every record from `covered()` up to, not including, `through`.
    ///
    /// Durable and visible once this returns; on an error the history is unchanged.
    pub fn commit(&self, through: Offset, data: Vec<StreamRows>) -> Result<Committed, Error> {
        let mut writer = self.inner.writer.lock();
        let from = self.covered();
        if through <= from {
            return Err(Error::NotAhead { through, covered: from });
        }
        let mut added = Vec::new();
        for (stream, records) in data {
            added.extend(self.write_stream(&mut writer, stream, from..through, records)?);
        }
        let committed = Committed {
            rows: added.iter().map(|file| file.rows).sum(),
            files: added.len(),
            bytes: added.iter().map(|file| file.bytes).sum(),
        };
        self.inner.publish(&mut writer, through, &BTreeSet::new(), added)?;
        if let Some(metrics) = &self.inner.metrics {
            metrics.commits.inc();
            metrics.rows.inc_by(committed.rows);
        }
        Ok(committed)
    }

    /// Merges small files of one stream and day, the fullest day first; at most one merge per call.
    ///
    /// Returns `None` when nothing needs merging. Does not hold up commits while it reads and sorts.
    pub fn compact(&self) -> Result<Option<Compacted>, Error> {
        let done = crate::compact::compact(&self.inner, &self.snapshot())?;
        if done.is_some() {
            self.sweep(); // the snapshot above held the merged files until here
            if let Some(metrics) = &self.inner.metrics {
                metrics.compactions.inc();
            }
        }
        Ok(done)
    }

    /// Removes files of `stream` that hold only rows older than `older_than`.
    pub fn remove_older(&self, stream: Stream, older_than: EventTime) -> Result<Removed, Error> {
        let mut writer = self.inner.writer.lock();
        let snapshot = self.snapshot();
        let old: Vec<_> = snapshot
            .files(stream)
            .into_iter()
            .filter(|file| file.max_time() < older_than)
            .collect();
        if old.is_empty() {
            return Ok(Removed::default());
        }
        let removed = Removed { files: old.len(), rows: old.iter().map(|f| f.rows).sum() };
        let paths = old.iter().map(|file| file.path.clone()).collect();
        let covered = snapshot.covered;
        drop((old, snapshot)); // or they would themselves keep the files from being deleted
        self.inner.publish(&mut writer, covered, &paths, Vec::new())?;
        if let Some(metrics) = &self.inner.metrics {
            metrics.removed_rows.inc_by(removed.rows);
        }
        Ok(removed)
    }

    /// Deletes files that left the manifest and that no snapshot reads any more.
    pub fn sweep(&self) -> usize {
        self.inner.sweep(&mut self.inner.writer.lock())
    }

    /// One file per day of the records' rows.
    pub(crate) fn write_stream(
        &self,
        writer: &mut Writer,
        stream: Stream,
        range: std::ops::Range<Offset>,
        records: Vec<(Offset, RecordBatch)>,
    ) -> Result<Vec<FileEntry>, Error> {
        let shape = |source| Error::Shape { stream: stream.name(), source };
        let mut batches = Vec::with_capacity(records.len());
        for (offset, batch) in &records {
            if !range.contains(offset) {
                let (from, through) = (range.start, range.end);
                return Err(Error::OutOfRange { offset: *offset, from, through });
            }
            if batch.num_rows() > 0 {
                batches.push(with_log_place(stream, *offset, batch).map_err(shape)?);
            }
        }
        drop(records);
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sorted(stream, &batches)
            .map_err(|source| Error::Sort { stream: stream.name(), source })?;
        drop(batches);
        let mut files = Vec::new();
        for (day, rows) in by_day(&rows).map_err(shape)? {
            let path = path_of(stream, day, writer.take_number());
            files.push(write(&self.inner.config, &self.inner.dir, path, stream, &rows)?);
        }
        Ok(files)
    }
}

impl Writer {
    pub(crate) fn take_number(&mut self) -> u64 {
        let number = self.next_file;
        self.next_file += 1;
        number
    }
}

impl Inner {
    pub(crate) fn lock_writer(&self) -> parking_lot::MutexGuard<'_, Writer> {
        self.writer.lock()
    }

    pub(crate) fn current(&self) -> StoreSnapshot {
        self.current.read().clone()
    }

    /// Replaces the manifest: without `removed`, with `added`.
    pub(crate) fn publish(
        &self,
        writer: &mut Writer,
        covered: Offset,
        removed: &BTreeSet<String>,
        added: Vec<FileEntry>,
    ) -> Result<(), Error> {
        let before = self.current();
        let (gone, mut files): (Vec<_>, Vec<_>) =
            before.files.iter().map(Arc::clone).partition(|file| removed.contains(&file.path));
        files.extend(added.into_iter().map(Arc::new));
        let manifest = Manifest {
            version: crate::manifest::VERSION,
            log_epoch: writer.log_epoch.clone(),
            covered: covered.0,
            next_file: writer.next_file,
            files: files.iter().map(|file| file.as_ref().clone()).collect(),
        };
        manifest.publish(&self.dir)?; // durable once this returns,
        let after = StoreSnapshot { dir: Arc::clone(&self.dir), covered, files: Arc::new(files) };
        self.report(&after);
        *self.current.write() = after; // so only now may anybody see it
        drop(before);
        writer.doomed.extend(gone);
        self.sweep(writer);
        Ok(())
    }

    fn sweep(&self, writer: &mut Writer) -> usize {
        let doomed = std::mem::take(&mut writer.doomed);
        let (free, used): (Vec<_>, Vec<_>) =
            doomed.into_iter().partition(|file| Arc::strong_count(file) == 1);
        writer.doomed = used;
        let mut deleted = 0;
        for file in free {
            let path = absolute(&self.dir, &file);
            match std::fs::remove_file(&path) {
                Ok(()) => deleted += 1,
                // The next start removes it: nothing names it any more.
                Err(e) => warn!(path = %path.display(), error = %e, "old history file stays"),
            }
        }
        deleted
    }

    fn report(&self, snapshot: &StoreSnapshot) {
        let Some(metrics) = &self.metrics else { return };
        let bytes: u64 = snapshot.files.iter().map(|file| file.bytes).sum();
        metrics.files.set(i64::try_from(snapshot.files.len()).unwrap_or(i64::MAX));
        metrics.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        metrics.covered.set(i64::try_from(snapshot.covered.0).unwrap_or(i64::MAX));
    }
}

/// Splits rows by UTC day; commonly all are of one.
fn by_day(rows: &RecordBatch) -> Result<BTreeMap<i64, RecordBatch>, arrow::error::ArrowError> {
    let day_of_row = days(rows);
    let distinct: BTreeSet<i64> = day_of_row.iter().copied().collect();
    let mut parts = BTreeMap::new();
    for day in &distinct {
        let part = if distinct.len() == 1 {
            rows.clone()
        } else {
            let mask: BooleanArray = day_of_row.iter().map(|d| Some(d == day)).collect();
            filter_record_batch(rows, &mask)?
        };
        parts.insert(*day, part);
    }
    Ok(parts)
}

/// Every file the manifest names is there with its size; content is for `fsck`.
fn check_files(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
    for entry in &manifest.files {
        let path = absolute(dir, entry);
        match std::fs::metadata(&path) {
            Ok(found) if found.len() == entry.bytes => {}
            _ => return Err(Error::FileDamaged { path }),
        }
    }
    Ok(())
}

fn remove_orphans(dir: &Path, manifest: &Manifest) -> Result<usize, Error> {
    let orphans = orphans(dir, manifest)?;
    for path in &orphans {
        std::fs::remove_file(path).map_err(|source| Error::Write { path: path.clone(), source })?;
    }
    Ok(orphans.len())
}

/// Parquet files in stream directories that no manifest entry names.
pub(crate) fn orphans(dir: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>, Error> {
    let named: BTreeSet<PathBuf> = manifest.files.iter().map(|f| absolute(dir, f)).collect();
    let mut orphans = Vec::new();
    for stream in Stream::ALL {
        for day in list(&dir.join(stream.name()))? {
            for path in list(&day)? {
                let ours = path.extension().is_some_and(|e| e == "parquet");
                if ours && !named.contains(&path) {
                    orphans.push(path);
                }
            }
        }
    }
    Ok(orphans)
}

/// What is in a directory, sorted; nothing when it is missing or not a directory.
fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let read = |source| Error::Read { path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(read(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(read)?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
