//! Verifies a log directory, byte by byte, and explains what it finds. Changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow::buffer::Buffer;
use sha2::Digest;
use vong_model::Offset;

use crate::damage::Damage;
use crate::disk::{Disk, RealDisk};
use crate::file::hex;
use crate::format::{Kind, Previous, RecordHeader};
use crate::inspect::{self, Inspected};
use crate::segment::{self, End, SegmentFile, Survey};
use crate::{Error, codec, cursor, durable};

/// What a log directory holds and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lineage of the log, hexadecimal; empty when there is no segment.
    pub epoch: String,
    pub segments: Vec<SegmentReport>,
    /// Bytes at the end of the last segment that the next start will cut: a write that a crash (or
    /// a process at work right now) left unfinished.
    pub unfinished_bytes: u64,
    /// What no crash explains.
    pub problems: Vec<Damage>,
}

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    pub file: PathBuf,
    pub first: Offset,
    pub next: Offset,
    pub records: u64,
    pub rows: u64,
    /// That count.
    pub bytes: u64,
    /// Behind them: what was never acknowledged before the segment was ended.
    pub ignored_bytes: u64,
    pub state: SegmentState,
}

impl fmt::Display for SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, first, next, records, rows, bytes, ignored_bytes, state } = self;
        write!(f, "{state:>6}  offsets {first}..{next}  {records} records  {rows} rows  ")?;
        write!(f, "{bytes} bytes")?;
        if *ignored_bytes > 0 {
            write!(f, " and {ignored_bytes} that do not count")?;
        }
        write!(f, "  {}", file.display())
    }
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// By its own seal.
    Sealed,
    /// Where its successor says: its disk failed or was full, or it is damaged.
    Ended,
    /// It grows.
    Open,
}

impl fmt::Display for SegmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sealed => "sealed",
            Self::Ended => "ended",
            Self::Open => "open",
        })
    }
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, segments, unfinished_bytes, problems } = self;
        writeln!(f, "epoch {epoch}")?;
        for segment in segments {
            writeln!(f, "{segment}")?;
        }
        if *unfinished_bytes > 0 {
            writeln!(
                f,
                "{unfinished_bytes} bytes of an unfinished write: the next start cuts them"
            )?;
        }
        for problem in problems {
            writeln!(f, "{problem}\n        {}", problem.advice())?;
        }
        match problems.len() {
            0 => writeln!(f, "sound"),
            1 => writeln!(f, "1 problem"),
            n => writeln!(f, "{n} problems"),
        }
    }
}

/// Reads every byte of every segment below `dir`: checksums, order of offsets, groups, seals,
/// the chain of hashes, and that every body decodes; then the cursors.
///
/// # Errors
/// Only when the directory cannot be read, or was written by a later program; damage is in the
/// report.
pub fn fsck(dir: &Path) -> Result<Report, Error> {
    fsck_on(&RealDisk, dir)
}

pub(crate) fn fsck_on(disk: &dyn Disk, dir: &Path) -> Result<Report, Error> {
    let files = segment::load(disk, dir)?;
    let mut report = Report::default();
    let known = files.iter().rev().find_map(|file| Some(file.header.as_ref().ok()?.epoch));
    let epoch = known.unwrap_or_default();
    if known.is_some() {
        report.epoch = hex(&epoch);
    }
    for (file, successor) in files.iter().zip(files.iter().skip(1)) {
        let inspected = inspect::closed(disk, file, successor, epoch, decodes)?;
        let looks_whole = inspected.damage.is_empty() && inspected.survey.next == successor.first;
        report.add(file, inspected, inspect::end_of(disk, file, successor, epoch)?);
        if looks_whole {
            check_chain(&mut report, disk, file, successor)?;
        }
    }
    if let Some(last) = files.last() {
        check_last(&mut report, disk, dir, last, epoch)?;
    }
    check_cursors(&mut report, disk, dir)?;
    Ok(report)
}

fn decodes(header: &RecordHeader, body: &[u8]) -> Result<(), String> {
    let Kind::Batch(stream) = header.kind else { return Ok(()) };
    let batch = codec::from_ipc(stream, Buffer::from(body))
        .map_err(|e| format!("record body does not decode: {e}"))?;
    if batch.num_rows() as u64 != u64::from(header.rows) {
        return Err("record header and body disagree on the number of rows".to_owned());
    }
    Ok(())
}

impl Report {
    /// Adds a segment of which `end` bytes count, if its successor says so.
    fn add(&mut self, file: &SegmentFile, inspected: Inspected, end: Option<u64>) {
        let Inspected { survey, damage, next } = inspected;
        let Survey { records, rows, sealed, file_bytes, .. } = survey;
        let bytes = end.map_or(file_bytes, |end| end.min(file_bytes));
        let state = match (sealed, end) {
            (true, _) => SegmentState::Sealed,
            (false, Some(_)) => SegmentState::Ended,
            (false, None) => SegmentState::Open,
        };
        let (file, first, ignored_bytes) = (file.path.clone(), file.first, file_bytes - bytes);
        let report =
            SegmentReport { file, first, next, records, rows, bytes, ignored_bytes, state };
        self.segments.push(report);
        self.problems.extend(damage);
    }
}

/// Whether `file` is, byte by byte, what its successor was written after.
fn check_chain(
    report: &mut Report,
    disk: &dyn Disk,
    file: &SegmentFile,
    successor: &SegmentFile,
) -> Result<(), Error> {
    let Ok(header) = &successor.header else { return Ok(()) };
    let Previous { bytes, sha256 } = header.previous;
    let bytes = if bytes == 0 { u64::MAX } else { bytes };
    let found: [u8; 32] = segment::hash_prefix(disk, &file.path, bytes)?.finalize().into();
    if found != sha256 {
        let what = "its bytes are not those that the next segment was written after".to_owned();
        let lost = successor.first..successor.first;
        report.problems.push(Damage { file: file.path.clone(), position: 0, what, lost });
    }
    Ok(())
}

fn check_last(
    report: &mut Report,
    disk: &dyn Disk,
    dir: &Path,
    last: &SegmentFile,
    epoch: [u8; 16],
) -> Result<(), Error> {
    let note = durable::read(disk, dir, &hex(&epoch))?;
    let inspected = inspect::last(disk, last, note.as_ref(), epoch, decodes)?;
    if inspected.damage.is_empty() {
        report.unfinished_bytes = unfinished(disk, last, &inspected.survey)?;
    }
    let next = inspected.next;
    report.add(last, inspected, None);
    if let Some(lost) = inspect::missing_end(note.as_ref(), last.first, next) {
        let (file, what) =
            (segment::path_of(dir, lost.start), "segment file is missing".to_owned());
        report.problems.push(Damage { file, position: 0, what, lost });
    }
    Ok(())
}

fn unfinished(disk: &dyn Disk, last: &SegmentFile, survey: &Survey) -> Result<u64, Error> {
    let Survey { header, good_bytes, file_bytes, end, .. } = survey;
    let has_room = header.as_ref().is_some_and(|header| header.room > 0);
    if !has_room || matches!(end, End::Lost { .. }) {
        return Ok(file_bytes.saturating_sub(*good_bytes));
    }
    let written = segment::written_end(disk, &last.path, *good_bytes, *file_bytes)?;
    Ok(written.saturating_sub(*good_bytes))
}

fn check_cursors(report: &mut Report, disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let Ok(files) = disk.list(&cursor::directory(dir)) else { return Ok(()) }; // no cursor was set
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match cursor::get(disk, dir, &report.epoch, name) {
            Ok(_) | Err(Error::CursorName { .. }) => {} // a file that is not a cursor
            Err(Error::Corrupt { what, position, file, .. }) => {
                let what = format!("{what} (without the file, its reader begins anew)");
                let lost = Offset::ZERO..Offset::ZERO;
                report.problems.push(Damage { file, position, what, lost });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
