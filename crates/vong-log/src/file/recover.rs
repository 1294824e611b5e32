//! Opening a directory: who holds it, what is in it, where a crash cut it short, what is damaged.
//!
//! Only the last segment may end in an unfinished write: each was ended, durably, before the next
//! began. Damage never keeps the log from opening as long as one segment says which log it is: it is
//! quarantined, and the log goes on behind it in a new segment.

use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use vong_model::Offset;

use super::{Active, Sealed, State};
use crate::damage::{Damage, Quarantine};
use crate::disk::{Disk, Lock};
use crate::durable::Note;
use crate::format::{Bad, Frame, HEADER_BYTES, Previous, SegmentHeader, VERSION};
use crate::inspect::{self, Inspected};
use crate::segment::{self, End, Seal, SegmentFile, Survey};
use crate::tail::Tail;
use crate::{Error, LogConfig, durable};

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// True when there was no log before.
    pub created: bool,
    /// Segment files found.
    pub segments: usize,
    /// Records found in the newest of them.
    pub records_in_last: u64,
    /// What was cut from its end.
    pub cut: Option<Cut>,
    /// What no crash explains; damage inside sealed segments is found later, by readers and `fsck`.
    pub quarantined: Vec<Damage>,
}

/// The unfinished write at the end of a log: never acknowledged, now removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub file: PathBuf,
    /// What counts of the file from now on.
    pub at: u64,
    pub bytes: u64,
    /// Why the log ends there.
    pub why: String,
}

/// A log as found on disk.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) epoch: [u8; 16],
    pub(super) state: State,
    pub(super) recovery: Recovery,
    pub(super) quarantine: Quarantine,
    pub(super) appended_at: i64,
    pub(super) resume: Resume,
}

/// Where writing goes on.
#[derive(Debug)]
pub(super) enum Resume {
    /// In the last segment, `position` bytes into it, whose hash so far is `sha256`.
    Open { header: SegmentHeader, position: u64, room: Option<u64>, sha256: Sha256 },
    /// In a new segment, which follows this one.
    Begin(Previous),
}

/// Takes the directory for this process, creating it if needed.
pub(super) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Lock, Error> {
    let lock = disk.lock(dir).map_err(|e| Error::io("lock the log directory", dir, e))?;
    lock.ok_or_else(|| Error::Locked { dir: dir.to_path_buf() })
}

pub(super) fn open(
    disk: &dyn Disk,
    config: &LogConfig,
    now: i64,
    seed: u64,
) -> Result<Opened, Error> {
    let files = segment::load(disk, &config.dir)?;
    let Some((last, closed)) = files.split_last() else {
        return create(disk, config, now, seed);
    };
    let epoch = epoch_of(&files, last)?;
    if let Some(what) = last.misplaced(&epoch) {
        // Writing on here could give out offsets twice; a person must say which file is right.
        return Err(segment::corrupt(&last.path, 0, &Bad::What(what.to_owned())));
    }
    let note = durable::read(disk, &config.dir, &hex(&epoch))?;
    let mut found = Found {
        disk,
        dir: &config.dir,
        epoch,
        sealed: VecDeque::with_capacity(files.len()),
        quarantine: Quarantine::default(),
    };
    for (file, successor) in closed.iter().zip(files.iter().skip(1)) {
        found.closed(file, successor)?;
    }
    let mut opened = found.last(last, note.as_ref(), config.tail_bytes)?;
    opened.recovery.segments = files.len();
    for damage in &opened.recovery.quarantined {
        tracing::error!(%damage, advice = damage.advice(), "a log segment is quarantined");
    }
    Ok(opened)
}

/// Which log the directory holds: as its newest readable header says.
fn epoch_of(files: &[SegmentFile], last: &SegmentFile) -> Result<[u8; 16], Error> {
    let mut headers = files.iter().rev().filter_map(|file| file.header.as_ref().ok());
    match (headers.next(), &last.header) {
        (Some(header), _) => Ok(header.epoch),
        (None, Err(bad)) => Err(segment::corrupt(&last.path, 0, bad)),
        (None, Ok(header)) => Ok(header.epoch),
    }
}

fn create(disk: &dyn Disk, config: &LogConfig, now: i64, seed: u64) -> Result<Opened, Error> {
    let epoch = new_epoch(seed, now);
    let header = SegmentHeader {
        version: VERSION,
        epoch,
        first: Offset::ZERO,
        created_at: now,
        previous: Previous::default(),
        room: 0,
    };
    let path = segment::path_of(&config.dir, header.first);
    let bytes = header.encode();
    disk.replace(&path, &bytes).map_err(|e| Error::io("create segment", &path, e))?;
    let (position, sha256) = (HEADER_BYTES as u64, Sha256::new_with_prefix(bytes));
    Ok(Opened {
        epoch,
        state: State {
            sealed: VecDeque::new(),
            active: Active::new(Offset::ZERO),
            head: Offset::ZERO,
            tail: Tail::new(config.tail_bytes),
        },
        recovery: Recovery { created: true, ..Recovery::default() },
        quarantine: Quarantine::default(),
        appended_at: now,
        resume: Resume::Open { header, position, room: None, sha256 },
    })
}

/// What was found so far, oldest segment first.
struct Found<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    epoch: [u8; 16],
    sealed: VecDeque<Sealed>,
    quarantine: Quarantine,
}

impl Found<'_> {
    /// Takes a segment that has a successor: by its seal when that is sound, by all its records
    /// otherwise.
    fn closed(&mut self, file: &SegmentFile, successor: &SegmentFile) -> Result<(), Error> {
        let SegmentFile { first, path, header } = file;
        let next = successor.first;
        let end = inspect::end_of(self.disk, file, successor, self.epoch)?;
        let in_place = header.is_ok() && file.misplaced(&self.epoch).is_none();
        let guess = Frame { version: VERSION, epoch: self.epoch };
        let seal = segment::read_seal(self.disk, path, end, &guess)?;
        if let Some(seal) = seal.filter(|seal| in_place && seal.next <= next) {
            let Seal { next: sealed_to, appended_at: closed_at, index, bytes } = seal;
            let (first, index) = (*first, index.into());
            self.sealed.push_back(Sealed { first, next: sealed_to, bytes, closed_at, index });
            self.missing(sealed_to..next, closed_at);
            return Ok(());
        }
        let Inspected { survey, damage, next } =
            inspect::closed(self.disk, file, successor, self.epoch, inspect::trusting)?;
        let Survey { file_bytes, appended_at: closed_at, index, .. } = survey;
        let bytes = end.map_or(file_bytes, |end| end.min(file_bytes));
        let (first, index) = (*first, index.into());
        self.sealed.push_back(Sealed { first, next, bytes, closed_at, index });
        for damage in damage {
            self.quarantine.add(first, damage);
        }
        Ok(())
    }

    /// Notes that a file which held these offsets is not there.
    fn missing(&mut self, lost: Range<Offset>, closed_at: i64) {
        if lost.is_empty() {
            return;
        }
        let Range { start: first, end: next } = lost;
        let file = segment::path_of(self.dir, first);
        let what = "segment file is missing".to_owned();
        self.quarantine.add(first, Damage { file, position: 0, what, lost });
        let index = Vec::new().into();
        self.sealed.push_back(Sealed { first, next, bytes: 0, closed_at, index });
    }

    /// Takes the newest segment, mends its torn end, and says where to go on.
    fn last(
        mut self,
        file: &SegmentFile,
        note: Option<&Note>,
        tail_bytes: usize,
    ) -> Result<Opened, Error> {
        settle(self.disk, self.dir, &file.path)?;
        let Inspected { survey, damage, next } =
            inspect::last(self.disk, file, note, self.epoch, inspect::trusting)?;
        let missing = inspect::missing_end(note, file.first, next);
        let damaged = !damage.is_empty() || missing.is_some();
        for damage in damage {
            self.quarantine.add(file.first, damage);
        }
        // What is quarantined stays as it is.
        let cut = if damaged || survey.sealed { None } else { repair(self.disk, file, &survey)? };
        let records_in_last = survey.records;
        let appended_at = survey.appended_at;
        let head = missing.as_ref().map_or(next, |lost| lost.end);
        let (active, resume) = match survey.header.clone() {
            Some(header) if !damaged && !survey.sealed && header.version == VERSION => {
                self.go_on(file, header, survey)?
            }
            _ => (Active::new(head), Resume::Begin(self.end(file, survey, next, head)?)),
        };
        self.missing(missing.unwrap_or(head..head), appended_at);
        let Self { epoch, sealed, quarantine, .. } = self;
        let quarantined = quarantine.all();
        let recovery = Recovery { created: false, segments: 0, records_in_last, cut, quarantined };
        let state = State { sealed, active, head, tail: Tail::new(tail_bytes) };
        Ok(Opened { epoch, state, recovery, quarantine, appended_at, resume })
    }

    /// The last segment is the one to write on in.
    fn go_on(
        &self,
        file: &SegmentFile,
        header: SegmentHeader,
        survey: Survey,
    ) -> Result<(Active, Resume), Error> {
        let Survey { good_bytes: position, file_bytes, index, .. } = survey;
        let sha256 = segment::hash_prefix(self.disk, &file.path, position)?;
        let active = Active { first: header.first, durable_bytes: position, index };
        let room = (header.room > 0).then_some(file_bytes);
        Ok((active, Resume::Open { header, position, room, sha256 }))
    }

    /// The last segment takes no more: one that begins at `head` follows it.
    fn end(
        &mut self,
        file: &SegmentFile,
        survey: Survey,
        next: Offset,
        head: Offset,
    ) -> Result<Previous, Error> {
        let Survey { header, good_bytes: bytes, appended_at: closed_at, index, .. } = survey;
        if head == file.first {
            // Without a record: its successor takes its name.
            return Ok(header.map_or_else(Previous::default, |header| header.previous));
        }
        let sha256 = segment::hash_prefix(self.disk, &file.path, bytes)?.finalize().into();
        let (first, index) = (file.first, index.into());
        self.sealed.push_back(Sealed { first, next, bytes, closed_at, index });
        Ok(Previous { bytes, sha256 })
    }
}

/// A process that was killed may have left bytes, and a name, that the system holds and the disk
/// does not: they must be durable before anyone reads them as records.
fn settle(disk: &dyn Disk, dir: &Path, path: &Path) -> Result<(), Error> {
    let mut file = disk.open(path).map_err(|e| Error::io("open segment", path, e))?;
    let settled = file.sync().and_then(|()| disk.sync_dir(dir));
    let path = path.to_path_buf();
    settled.map_err(|source| Error::Sync { path, source: Arc::new(source) })
}

/// Removes what a crash left behind the last complete group.
fn repair(disk: &dyn Disk, file: &SegmentFile, survey: &Survey) -> Result<Option<Cut>, Error> {
    let SegmentFile { path, .. } = file;
    let Survey { header, good_bytes, file_bytes, end, .. } = survey;
    let has_room = header.as_ref().is_some_and(|header| header.room > 0);
    let written = if has_room {
        segment::written_end(disk, path, *good_bytes, *file_bytes)?
    } else {
        *file_bytes
    };
    if written <= *good_bytes {
        return Ok(None);
    }
    let why = match end {
        End::Torn { why } => why.clone(),
        End::Clean | End::Lost { .. } => "bytes behind the last record".to_owned(),
    };
    let cut = Cut { file: path.clone(), at: *good_bytes, bytes: written - good_bytes, why };
    tracing::warn!(
        bytes = cut.bytes,
        at = cut.at,
        why = %cut.why,
        file = %cut.file.display(),
        "cut an unfinished write from the end of the log"
    );
    let remove = || {
        let mut file = disk.open(path)?;
        if has_room {
            // Keeps the space: the disk may still be full.
            let zeros = vec![0; usize::try_from(cut.bytes).unwrap_or(usize::MAX)];
            file.write_at(&zeros, cut.at)?;
        } else {
            file.cut(cut.at)?;
        }
        file.sync() // before anything is written where the cut bytes were
    };
    remove().map_err(|e| Error::io("cut segment", path, e))?;
    Ok(Some(cut))
}

fn new_epoch(seed: u64, now: i64) -> [u8; 16] {
    let mut hasher = Sha256::new_with_prefix(b"vong log epoch");
    hasher.update(seed.to_le_bytes());
    hasher.update(now.to_le_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut epoch = [0; 16];
    for (to, from) in epoch.iter_mut().zip(digest) {
        *to = from;
    }
    epoch
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
