//! Opens one camera's directory after any kind of end.
//!
//! A file that the index calls closed, at the length the index knows, is taken as it is. Any other
//! is scanned by its group heads, its torn tail is cut, and so are groups at its end whose
//! hash disagrees (a power cut can leave a file longer than what reached the disk); then it is
//! closed.
//!
//! A disk rarely fails as a whole. What of it cannot be read or repaired, be it a file, an index or a
//! day, is told of and left as it is, and everything else is opened: alerts and the other cameras
//! must not wait for a person with a new disk.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use vong_media::{GopEntry, ReadError, read_file_head, read_gop_head, scan_gops};
use vong_model::CameraId;

use crate::Error;
use crate::camera::{CameraState, ClosedSegment, Segment};
use crate::chain::payload_hash;
use crate::index_file::{self, Fact, Record};
use crate::layout::{self, Day};
use crate::media_file::{read_at, reader};
use crate::retention::Doomed;

/// What was done to the directory.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Files that were open when the process ended; now closed.
    pub(crate) recovered: Vec<ClosedSegment>,
    /// Bytes of torn groups cut off.
    pub(crate) cut_bytes: u64,
    /// Days whose index was written anew.
    pub(crate) rebuilt_days: u64,
    /// Files that are not footage, set aside as `*.bad`.
    pub(crate) set_aside: Vec<PathBuf>,
    /// What could not be read or repaired.
    pub(crate) unreadable: Vec<PathBuf>,
    /// Files that are deleted, says the index, and could not be.
    pub(crate) doomed: Doomed,
}

impl Repairs {
    fn cannot_read(&mut self, path: &Path, error: &Error) {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(path = %path.display(), %error, cause, "footage goes on without it");
        self.unreadable.push(path.to_owned());
    }
}

/// Reads the camera's directory, repairing what must be and can be.
pub(crate) fn open_camera(camera: &CameraId, dir: &Path, repairs: &mut Repairs) -> CameraState {
    let mut state = CameraState::default();
    let mut last: Option<(i64, u64, [u8; 32])> = None;
    let days = match days(dir) {
        Ok((days, unreadable)) => {
            unreadable.iter().for_each(|(day, error)| repairs.cannot_read(day, error));
            days
        }
        Err(error) => {
            repairs.cannot_read(dir, &error);
            return state;
        }
    };
    for (day_dir, mut names) in days {
        let index_path = day_dir.join(layout::INDEX_NAME);
        let day = DayFiles { camera, dir, index_path: &index_path, names: &names };
        let (records, day_key, unreadable) = match day.open(repairs) {
            Ok(opened) => opened,
            Err(error) => {
                repairs.cannot_read(&index_path, &error);
                continue;
            }
        };
        names.retain(|name_ms| !unreadable.contains(name_ms));
        for (number, record) in (0u64..).zip(&records) {
            if let Fact::Gop(gop) = &record.fact {
                // Also of deleted files: the chain goes on from the last group ever written.
                let place = (record.name_ms, gop.offset);
                if last.is_none_or(|(name, offset, _)| (name, offset) < place) {
                    last = Some((record.name_ms, gop.offset, gop.hashes.chained));
                }
                if names.contains(&record.name_ms) {
                    state
                        .segments
                        .entry(record.name_ms)
                        .or_insert_with(|| Segment::new(record.name_ms, gop.start, number))
                        .add(gop, number);
                }
            }
            let segment = state.segments.get_mut(&record.name_ms);
            if let (Fact::Closed { heads }, Some(segment)) = (&record.fact, segment) {
                segment.closed = true;
                segment.heads.clone_from(heads);
            }
        }
        for record in &records {
            if record.fact == Fact::Deleted {
                state.segments.remove(&record.name_ms);
            }
        }
        if let Some(day_key) = day_key {
            state.days.insert(day_key, records.len() as u64);
        }
    }
    state.last_hash = last.map(|(_, _, hash)| hash).unwrap_or_default();
    let names: Vec<i64> = state.segments.keys().copied().collect();
    names.into_iter().for_each(|name_ms| state.note_length(name_ms));
    state
}

/// Day directories and the names of their files, in order; and those that cannot be listed.
pub(crate) type Days = (BTreeMap<PathBuf, BTreeSet<i64>>, Vec<(PathBuf, Error)>);

/// The days of a camera. A file of another day is not footage: a person put it there.
pub(crate) fn days(camera_dir: &Path) -> Result<Days, Error> {
    let (mut days, mut unreadable) = (BTreeMap::new(), Vec::new());
    for day_dir in list(camera_dir)? {
        if !day_dir.is_dir() {
            continue;
        }
        let of_this_day = |name_ms: &i64| day_dir.ends_with(Day::of_name(*name_ms).name());
        let names = match list(&day_dir) {
            Ok(names) => names,
            Err(error) => {
                unreadable.push((day_dir, error));
                continue;
            }
        };
        let names = names.iter().filter_map(|path| layout::name_of_file(path));
        let names = names.filter(of_this_day).collect();
        days.insert(day_dir, names);
    }
    Ok((days, unreadable))
}

pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::io("list", dir, source);
    let entries = std::fs::read_dir(dir).map_err(io)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

struct DayFiles<'a> {
    camera: &'a CameraId,
    dir: &'a Path,
    index_path: &'a Path,
    names: &'a BTreeSet<i64>,
}

/// A day's records, true to its files; the day they are of (none if it is empty); and its files that
/// cannot be read.
type OpenedDay = (Vec<Record>, Option<Day>, BTreeSet<i64>);

impl DayFiles<'_> {
    fn open(&self, repairs: &mut Repairs) -> Result<OpenedDay, Error> {
        let (read, complete) = match index_file::read_all(self.index_path) {
            Ok(read) => read,
            Err(error) => {
                let index = self.index_path.display();
                tracing::error!(%index, %error, "index cannot be read, it is written anew");
                (Vec::new(), false)
            }
        };
        let mut known: BTreeMap<i64, Vec<&Record>> = BTreeMap::new();
        for record in &read {
            known.entry(record.name_ms).or_default().push(record);
        }
        let any_name = self.names.first().or_else(|| known.keys().next()).copied();
        let Some(day) = any_name.map(Day::of_name) else {
            return Ok((Vec::new(), None, BTreeSet::new()));
        };
        let (mut found, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
        for name_ms in self.names.iter().copied() {
            let before = known.get(&name_ms).map(Vec::as_slice).unwrap_or_default();
            match self.open_file(name_ms, before, repairs) {
                Ok(None) => {}
                Ok(Some(after)) => drop(found.insert(name_ms, after)),
                Err(error) => {
                    // What the index knows of it stays there, for the day when it can be read.
                    repairs.cannot_read(&layout::file_path(self.dir, name_ms), &error);
                    unreadable.insert(name_ms);
                }
            }
        }
        let changed = found.iter().any(|(name_ms, after)| {
            let before = known.get(name_ms).map(Vec::as_slice).unwrap_or_default();
            !before.iter().copied().eq(after)
        });
        if complete && !changed {
            return Ok((read, Some(day), unreadable));
        }
        for (name_ms, before) in known {
            found.entry(name_ms).or_insert_with(|| before.into_iter().cloned().collect());
        }
        let records: Vec<Record> = found.into_values().flatten().collect();
        index_file::replace(self.index_path, &records)
            .map_err(|source| Error::io("replace", self.index_path, source))?;
        repairs.rebuilt_days = repairs.rebuilt_days.saturating_add(1);
        Ok((records, Some(day), unreadable))
    }

    /// What the index must say of one file, given what it says; `None` if it says it.
    fn open_file(
        &self,
        name_ms: i64,
        known: &[&Record],
        repairs: &mut Repairs,
    ) -> Result<Option<Vec<Record>>, Error> {
        let path = layout::file_path(self.dir, name_ms);
        if known.iter().any(|record| record.fact == Fact::Deleted) {
            // Retention was interrupted between saying so and doing it.
            if let Err(error) = std::fs::remove_file(&path) {
                let file = path.display();
                tracing::warn!(%file, %error, "deleted footage is still there, trying again");
                let day = (self.camera.clone(), Day::of_name(name_ms));
                repairs.doomed.entry(day).or_default().push(name_ms);
            }
            return Ok(None);
        }
        let metadata = path.metadata().map_err(|source| Error::io("look at", &path, source))?;
        let end = known.iter().filter_map(|record| gop_of(record)).map(GopEntry::end_offset).max();
        let closed = known.iter().any(|record| matches!(record.fact, Fact::Closed { .. }));
        if closed && end == Some(metadata.len()) {
            return Ok(None);
        }
        let found = self.scan(&path, name_ms, metadata.len(), known, repairs)?;
        Ok(Some(found.into_iter().map(|fact| Record { name_ms, fact }).collect()))
    }

    fn scan(
        &self,
        path: &Path,
        name_ms: i64,
        len: u64,
        known: &[&Record],
        repairs: &mut Repairs,
    ) -> Result<Vec<Fact>, Error> {
        let io = |operation, source| Error::io(operation, path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| io("open", source))?;
        let (facts, first) = match read_file_head(&mut reader(&file)) {
            Ok(head) => head,
            Err(ReadError::Source(source)) => return Err(io("read", source)),
            Err(ReadError::Media(_)) => {
                return self.give_up(path, len, known, repairs).map(|()| Vec::new());
            }
        };
        let scan = scan_gops(&mut reader(&file), first, len).map_err(|e| io("read", e))?;
        let mut gops = scan.gops;
        let mut beyond = readable_beyond(&file, scan.valid_end, len, known);
        if beyond.is_empty() {
            drop_unverified_tail(&file, &mut gops).map_err(|source| io("read", source))?;
            let valid_end = gops.last().map_or(0, GopEntry::end_offset);
            if valid_end < len {
                repairs.cut_bytes = repairs.cut_bytes.saturating_add(len.saturating_sub(valid_end));
                file.set_len(valid_end).map_err(|source| io("cut", source))?;
            }
            file.sync_all().map_err(|source| io("sync", source))?;
        } else {
            tracing::error!(file = %path.display(), "footage is damaged in the middle");
        }
        gops.append(&mut beyond);
        let Some(start) = gops.first().map(|gop| gop.start) else {
            std::fs::remove_file(path).map_err(|source| io("delete", source))?;
            return Ok(Vec::new());
        };
        if start != facts.start {
            // Its first group is damaged, or its head: what is there begins with what is there.
            tracing::error!(file = %path.display(), "footage begins elsewhere than its head says");
        }
        let mut segment = Segment::new(name_ms, start, 0);
        gops.iter().for_each(|gop| segment.add(gop, 0));
        repairs.recovered.push(segment.told(self.camera, &facts.parameters));
        Ok(gops.into_iter().map(Fact::Gop).chain([Fact::Closed { heads: None }]).collect())
    }

    /// A file that does not begin like footage: a torn first write is deleted, anything larger or
    /// once known is kept for a person to look at.
    fn give_up(
        &self,
        path: &Path,
        len: u64,
        known: &[&Record],
        repairs: &mut Repairs,
    ) -> Result<(), Error> {
        if known.is_empty() && len < vong_media::MAX_FILE_HEAD as u64 {
            repairs.cut_bytes = repairs.cut_bytes.saturating_add(len);
            return std::fs::remove_file(path).map_err(|source| Error::io("delete", path, source));
        }
        let mut aside = path.as_os_str().to_owned();
        aside.push(".bad");
        let aside = PathBuf::from(aside);
        tracing::error!(camera = %self.camera, file = %aside.display(), "not footage, set aside");
        vong_runtime::fs::rename_durable(path, &aside)
            .map_err(|source| Error::io("set aside", path, source))?;
        repairs.set_aside.push(aside);
        Ok(())
    }
}

fn gop_of(record: &Record) -> Option<&GopEntry> {
    match &record.fact {
        Fact::Gop(gop) => Some(gop),
        Fact::Closed { .. } | Fact::Deleted => None,
    }
}

/// Groups the index knows behind the place where scanning stopped, if their heads are still there:
/// then the place is damaged, not the end, and nothing may be cut.
fn readable_beyond(file: &File, valid_end: u64, len: u64, known: &[&Record]) -> Vec<GopEntry> {
    let later =
        known.iter().filter_map(|record| gop_of(record)).filter(|gop| gop.offset > valid_end);
    let whole = later.filter(|gop| gop.end_offset() <= len);
    whole
        .filter(|gop| {
            let found = read_gop_head(&mut reader(file), gop.offset);
            found.is_ok_and(|(found, _frames)| found == **gop)
        })
        .copied()
        .collect()
}

/// Drops groups from the end until one is met whose bytes are what was received.
fn drop_unverified_tail(file: &File, gops: &mut Vec<GopEntry>) -> std::io::Result<()> {
    while let Some(gop) = gops.last() {
        let len = usize::try_from(gop.payload_len).unwrap_or(usize::MAX);
        let payload = read_at(file, gop.payload_offset(), len)?;
        if payload_hash([payload.as_ref()]) == gop.hashes.payload {
            break;
        }
        gops.pop();
    }
    Ok(())
}
