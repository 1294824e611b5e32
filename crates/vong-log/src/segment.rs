//! Segment files of a directory, and single reads from one: header, seal, hash.
//!
//! [`Scanner`] walks records, [`survey()`] judges a whole file; both trust nothing.

mod scanner;
mod survey;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vong_model::Offset;

use crate::Error;
use crate::disk::Disk;
use crate::format::{
    self, Bad, Frame, INDEX_EVERY_BYTES, IndexEntry, Kind, RecordHeader, SEAL_TRAILER_BYTES,
    SegmentHeader,
};

pub(crate) use scanner::{Scanner, Step};
pub(crate) use survey::{End, Hole, Question, Survey, survey};

const WINDOW_BYTES: usize = 256 * 1024;
pub(crate) const ADVICE: &str =
    "run `vong fsck`, then restore the file from a backup or move it away";

/// What a bad place in `file` is called.
pub(crate) fn corrupt(file: &Path, position: u64, bad: &Bad) -> Error {
    let file = file.to_path_buf();
    match bad {
        Bad::Version(found) => Error::Version { found: *found, known: format::VERSION, file },
        Bad::What(what) => Error::Corrupt { what: what.clone(), advice: ADVICE, position, file },
    }
}

/// Path of the segment that begins at `first`.
pub(crate) fn path_of(dir: &Path, first: Offset) -> PathBuf {
    dir.join(format!("{:020}.vlog", first.0))
}

/// Segment files of a directory by first offset, oldest first.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Offset, PathBuf)>, Error> {
    let mut found = Vec::new();
    for path in disk.list(dir).map_err(|e| Error::io("list the log directory", dir, e))? {
        if path.extension().is_none_or(|extension| extension != "vlog") {
            continue;
        }
        let first = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let Some(first) = first.filter(|first| *first <= format::MAX_OFFSET) else {
            let bad = Bad::What("file name is not an offset".to_owned());
            return Err(corrupt(&path, 0, &bad));
        };
        found.push((Offset(first), path));
    }
    found.sort();
    Ok(found)
}

/// A segment file and what its first bytes say.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    /// By its name.
    pub(crate) first: Offset,
    pub(crate) path: PathBuf,
    pub(crate) header: Result<SegmentHeader, Bad>,
}

impl SegmentFile {
    /// How much of the segment before counts, if this one says so.
    pub(crate) fn previous_bytes(&self) -> Option<u64> {
        let header = self.header.as_ref().ok()?;
        (header.previous.bytes > 0).then_some(header.previous.bytes)
    }

    /// Why the file cannot be one of the log `epoch`, at this place, whatever is in it.
    pub(crate) fn misplaced(&self, epoch: &[u8; 16]) -> Option<&'static str> {
        let header = self.header.as_ref().ok()?;
        if header.epoch != *epoch {
            return Some("segment belongs to another log");
        }
        let renamed = header.first != self.first;
        renamed.then_some("file name and header disagree on the first offset")
    }
}

/// As [`list`], with the headers. A version that this program does not know is an error: nothing
/// in such a file may be called damage.
pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentFile>, Error> {
    let load = |(first, path): (Offset, PathBuf)| {
        let scanner = Scanner::open(disk, &path, None, &unknown())?;
        let header = scanner.header().clone();
        if let Err(bad @ Bad::Version(_)) = &header {
            return Err(corrupt(&path, 0, bad));
        }
        Ok(SegmentFile { first, path, header })
    };
    list(disk, dir)?.into_iter().map(load).collect()
}

/// The frame of a file about which nothing is known.
pub(crate) fn unknown() -> Frame {
    Frame { version: format::VERSION, epoch: [0; 16] }
}

/// Adds an index entry when the last one lies far enough back.
pub(crate) fn push_index(index: &mut Vec<IndexEntry>, offset: Offset, position: u64) {
    let due = index
        .last()
        .is_none_or(|last| position.saturating_sub(u64::from(last.position)) >= INDEX_EVERY_BYTES);
    if let (true, Ok(position)) = (due, u32::try_from(position)) {
        index.push(IndexEntry { offset, position });
    }
}

/// An intact seal and what it says.
#[derive(Debug)]
pub(crate) struct Seal {
    /// The next segment's first offset.
    pub(crate) next: Offset,
    pub(crate) appended_at: i64,
    pub(crate) index: Vec<IndexEntry>,
    /// The segment, up to and with the seal.
    pub(crate) bytes: u64,
}

/// The seal at the end of a closed segment (its own end, or `end`); `None` if there is no intact one.
pub(crate) fn read_seal(
    disk: &dyn Disk,
    path: &Path,
    end: Option<u64>,
    guess: &Frame,
) -> Result<Option<Seal>, Error> {
    let mut scanner = Scanner::open(disk, path, end, guess)?;
    let bytes = scanner.end();
    let Some(trailer_at) = bytes.checked_sub(SEAL_TRAILER_BYTES as u64) else { return Ok(None) };
    let trailer = scanner.bytes(trailer_at, SEAL_TRAILER_BYTES)?;
    let trailer = trailer.and_then(|trailer| trailer.first_chunk());
    let Some(position) = trailer.and_then(format::seal_position) else { return Ok(None) };
    scanner.seek(u64::from(position));
    match scanner.step()? {
        Step::Record { header, body, position } if header.kind == Kind::Seal => {
            let RecordHeader { offset: next, appended_at, .. } = header;
            let whole = position + header.total_bytes() == bytes;
            let index = format::decode_seal(body).ok().filter(|_| whole);
            Ok(index.map(|index| Seal { next, appended_at, index, bytes }))
        }
        _ => Ok(None),
    }
}

/// Where the last byte between `from` and `to` that is not zero ends; `from` when there is none.
pub(crate) fn written_end(disk: &dyn Disk, path: &Path, from: u64, to: u64) -> Result<u64, Error> {
    let failed = |e| Error::io("read segment", path, e);
    let view = disk.view(path).map_err(failed)?;
    let mut window = vec![0; WINDOW_BYTES];
    let (mut position, mut found) = (from, from);
    while position < to {
        let wanted = usize::try_from(to - position).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
        let Some(part) = window.get_mut(..wanted) else { break };
        view.read_at(part, position).map_err(failed)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            found = position + last as u64 + 1;
        }
        position += wanted as u64;
    }
    Ok(found)
}

/// SHA-256 over the first `length` bytes of a file, or over all when it is shorter; as the state to
/// go on from.
pub(crate) fn hash_prefix(disk: &dyn Disk, path: &Path, length: u64) -> Result<Sha256, Error> {
    let failed = |e| Error::io("read segment", path, e);
    let view = disk.view(path).map_err(failed)?;
    let length = length.min(view.length().map_err(failed)?);
    let mut hasher = Sha256::new();
    let mut window = vec![0; WINDOW_BYTES];
    let mut position = 0_u64;
    while position < length {
        let wanted = usize::try_from(length - position).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
        let Some(part) = window.get_mut(..wanted) else { break };
        view.read_at(part, position).map_err(failed)?;
        hasher.update(&*part);
        position += wanted as u64;
    }
    Ok(hasher)
}
