//! Opening a directory: who holds it, what is in it, and where a crash cut it short.
//!
//! Only the last segment may end in an unfinished write, because each segment is sealed and synced
//! before the next begins. Whatever else is wrong is an error that names the place.

use std::collections::VecDeque;
use std::fmt::Write;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vong_model::Offset;

use super::{Active, Sealed, State};
use crate::disk::Disk;
use crate::format::{Bad, HEADER_BYTES, SegmentHeader};
use crate::segment::{self, Survey};
use crate::tail::Tail;
use crate::{Error, LogConfig, durable};

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// True when there was no log before.
    pub created: bool,
    /// Segment files found.
    pub segments: usize,
    /// Records found in the open segment.
    pub records_in_last: u64,
    /// What was cut from its end.
    pub cut: Option<Cut>,
}

/// The unfinished write at the end of a log: never acknowledged, now removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub file: PathBuf,
    /// Size of the file from now on.
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
    /// Over the active segment so far.
    pub(super) sha256: Sha256,
    pub(super) appended_at: i64,
    pub(super) created_at: i64,
}

/// Takes the directory for this process, creating it if needed.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    std::fs::create_dir_all(dir).map_err(|e| Error::io("create the log directory", dir, e))?;
    let path = dir.join("LOCK");
    let failed = |e| Error::io("lock the log directory", &path, e);
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

pub(super) fn open(
    disk: &dyn Disk,
    config: &LogConfig,
    now: i64,
    seed: u64,
) -> Result<Opened, Error> {
    let files = segment::list(&config.dir)?;
    let segments = files.len();
    let Some(((last_first, last), closed)) = files.split_last() else {
        let header = SegmentHeader {
            epoch: new_epoch(seed, now),
            first: Offset::ZERO,
            created_at: now,
            previous_sha256: [0; 32],
        };
        let recovery = Recovery { created: true, ..Recovery::default() };
        return begin(disk, config, &header, VecDeque::new(), recovery);
    };
    let mut sealed = VecDeque::with_capacity(closed.len());
    let mut epoch = None;
    for (index, (first, path)) in closed.iter().enumerate() {
        let next = files.get(index + 1).map_or(*last_first, |(next, _)| *next);
        sealed.push_back(open_sealed(path, *first, next, &mut epoch)?);
    }
    let survey = segment::survey(last, |_, _, _| Ok(()))?;
    same_lineage(last, *last_first, &survey.header, &mut epoch)?;
    let cut = repair(&config.dir, last, &survey)?;
    let recovery = Recovery { created: false, segments, records_in_last: survey.records, cut };
    if survey.sealed {
        let sha256 = segment::hash_prefix(last, survey.good_bytes)?.finalize().into();
        let Survey { header, next, good_bytes, index, .. } = survey;
        let first = header.first;
        sealed.push_back(Sealed { first, next, bytes: good_bytes, index: index.into() });
        let header =
            SegmentHeader { first: next, created_at: now, previous_sha256: sha256, ..header };
        return begin(disk, config, &header, sealed, recovery);
    }
    let sha256 = segment::hash_prefix(last, survey.good_bytes)?;
    let Survey { header, next, good_bytes, index, appended_at, .. } = survey;
    let active = Active { first: header.first, durable_bytes: good_bytes, index };
    let state = State { sealed, active, head: next, tail: Tail::new(config.tail_bytes) };
    let SegmentHeader { epoch, created_at, .. } = header;
    Ok(Opened { epoch, state, recovery, sha256, appended_at, created_at })
}

/// Starts the segment that `header` describes, after everything in `sealed`.
fn begin(
    disk: &dyn Disk,
    config: &LogConfig,
    header: &SegmentHeader,
    sealed: VecDeque<Sealed>,
    recovery: Recovery,
) -> Result<Opened, Error> {
    let path = segment::path_of(&config.dir, header.first);
    let bytes = header.encode();
    disk.create(&path, &bytes).map_err(|e| Error::io("create segment", &path, e))?;
    let SegmentHeader { epoch, first, created_at, .. } = *header;
    let active = Active { first, durable_bytes: HEADER_BYTES as u64, index: Vec::new() };
    let state = State { sealed, active, head: first, tail: Tail::new(config.tail_bytes) };
    let sha256 = Sha256::new_with_prefix(bytes);
    Ok(Opened { epoch, state, recovery, sha256, appended_at: created_at, created_at })
}

fn open_sealed(
    path: &Path,
    first: Offset,
    next: Offset,
    epoch: &mut Option<[u8; 16]>,
) -> Result<Sealed, Error> {
    let mut scanner = segment::Scanner::open(path, 0, None)?;
    same_lineage(path, first, &scanner.header()?, epoch)?;
    let bytes = scanner.end();
    let damaged = |what: String| segment::corrupt(path, bytes, &Bad::What(what));
    let Some((seal, index)) = segment::read_seal(path)? else {
        return Err(damaged("a later segment exists but this one has no seal".to_owned()));
    };
    if seal.offset != next {
        let end = seal.offset;
        return Err(damaged(format!(
            "segment ends before offset {end}, the next begins at {next}"
        )));
    }
    Ok(Sealed { first, next, bytes, index: index.into() })
}

fn same_lineage(
    path: &Path,
    first: Offset,
    header: &SegmentHeader,
    epoch: &mut Option<[u8; 16]>,
) -> Result<(), Error> {
    let damaged = |what: &str| Err(segment::corrupt(path, 0, &Bad::What(what.to_owned())));
    if header.first != first {
        return damaged("file name and header disagree on the first offset");
    }
    if *epoch.get_or_insert(header.epoch) != header.epoch {
        return damaged("segment belongs to another log");
    }
    Ok(())
}

/// Cuts what a crash left behind the last complete group; refuses when it was no crash.
fn repair(dir: &Path, path: &Path, survey: &Survey) -> Result<Option<Cut>, Error> {
    let Survey { good_bytes, file_bytes, bad, .. } = survey;
    let promised = durable::read(dir, survey.header.first)?;
    if promised > *good_bytes {
        let short = || (*good_bytes, Bad::What("file is too short".into()));
        let (at, bad) = bad.clone().unwrap_or_else(short);
        return Err(segment::corrupt(path, at, &bad));
    }
    if good_bytes == file_bytes {
        return Ok(None);
    }
    let why = match bad {
        None => "append without its last record".to_owned(),
        Some((at, bad)) => {
            if matches!(bad, Bad::Version(_)) || segment::durable_before(path, *at)? {
                return Err(segment::corrupt(path, *at, bad));
            }
            let Bad::What(why) = bad else { return Err(segment::corrupt(path, *at, bad)) };
            why.clone()
        }
    };
    let cut =
        Cut { file: path.to_path_buf(), at: *good_bytes, bytes: file_bytes - good_bytes, why };
    tracing::warn!(
        bytes = cut.bytes,
        at = cut.at,
        why = %cut.why,
        file = %cut.file.display(),
        "cut an unfinished write from the end of the log"
    );
    let failed = |e| Error::io("cut segment", path, e);
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    file.set_len(*good_bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?; // before anything is written where the cut bytes were
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
