//! Merging small files: many commits a day would otherwise mean many files to open per query.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vong_model::Stream;

use crate::data_file::{DAY_US, read, sorted, write};
use crate::manifest::path_of;
use crate::store::{Compacted, Inner};
use crate::{Error, FileEntry, StoreConfig, StoreSnapshot};

/// Files that are to become one.
struct Merge {
    stream: Stream,
    day: i64,
    files: Vec<Arc<FileEntry>>,
}

/// Picks small files of about one size, of the stream and day that has most of them.
///
/// Only files of one size class are merged, so that a row is rewritten once per class and not once
/// per merge: a log-structured merge tree with `compact_files` files per level.
fn plan(config: &StoreConfig, snapshot: &StoreSnapshot) -> Option<Merge> {
    let limit = config.compact_rows.max(2) as u64;
    let fan_in = config.compact_files.max(2);
    let mut small: BTreeMap<(Stream, i64, u32), Vec<Arc<FileEntry>>> = BTreeMap::new();
    for file in snapshot.all_files().iter().filter(|file| file.rows < limit / 2) {
        let Some(stream) = file.stream() else { continue };
        let day = file.min_time_us.div_euclid(DAY_US);
        let class = file.rows.max(1).ilog(fan_in as u64);
        small.entry((stream, day, class)).or_default().push(Arc::clone(file));
    }
    let ((stream, day, _class), mut files) =
        small.into_iter().max_by_key(|(_, files)| files.len())?;
    if files.len() < fan_in {
        return None;
    }
    files.sort_by_key(|file| file.rows);
    let mut rows = 0;
    files.retain(|file| {
        rows += file.rows;
        rows <= limit
    });
    (files.len() >= 2).then_some(Merge { stream, day, files })
}

/// Reads and sorts without the writer's lock, then swaps old for new under it.
pub(crate) fn compact(inner: &Inner, snapshot: &StoreSnapshot) -> Result<Option<Compacted>, Error> {
    let Some(Merge { stream, day, files }) = plan(&inner.config, snapshot) else {
        return Ok(None);
    };
    let mut batches = Vec::new();
    for file in &files {
        batches.extend(read(&snapshot.path_of(file))?);
    }
    let rows =
        sorted(stream, &batches).map_err(|source| Error::Sort { stream: stream.name(), source })?;
    drop(batches);
    let number = inner.lock_writer().take_number();
    let path = path_of(stream, day, number);
    let merged = write(&inner.config, snapshot.dir(), path, stream, &rows)?;
    drop(rows);

    let done = Compacted { files_before: files.len(), files_after: 1, rows: merged.rows };
    let old: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    drop(files);
    let mut writer = inner.lock_writer();
    let current = inner.current();
    let still_there = current.all_files().iter().filter(|f| old.contains(&f.path)).count();
    if still_there != old.len() {
        // Retention took one of them meanwhile; the merged file is an orphan, removed at once.
        let path = snapshot.path_of(&merged);
        std::fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
        return Ok(None);
    }
    let covered = current.covered();
    drop(current);
    inner.publish(&mut writer, covered, &old, vec![merged])?;
    Ok(Some(done))
}
