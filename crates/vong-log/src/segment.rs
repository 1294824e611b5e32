//! Reads one segment file: record by record, verifying everything, trusting nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vong_model::Offset;

use crate::Error;
use crate::format::{
    self, Bad, HEADER_BYTES, INDEX_EVERY_BYTES, IndexEntry, Kind, RECORD_HEADER_BYTES,
    RecordHeader, SEAL_TRAILER_BYTES, SegmentHeader,
};

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
pub(crate) fn list(dir: &Path) -> Result<Vec<(Offset, PathBuf)>, Error> {
    let failed = |e| Error::io("list the log directory", dir, e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "vlog") {
            continue;
        }
        let first = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let Some(first) = first else {
            let bad = Bad::What("file name is not an offset".to_owned());
            return Err(corrupt(&path, 0, &bad));
        };
        found.push((Offset(first), path));
    }
    found.sort();
    Ok(found)
}

/// One step of a [`Scanner`].
#[derive(Debug)]
pub(crate) enum Step<'a> {
    Record { position: u64, header: RecordHeader, body: &'a [u8] },
    End,
    Bad { position: u64, bad: Bad },
}

/// Walks the records of a file through a window of bytes.
#[derive(Debug)]
pub(crate) struct Scanner {
    path: PathBuf,
    file: File,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl Scanner {
    /// Starts at byte `from`; bytes from `end` on (the file's own end if `None`) do not exist.
    pub(crate) fn open(path: &Path, from: u64, end: Option<u64>) -> Result<Self, Error> {
        let failed = |e| Error::io("open segment", path, e);
        let file = File::open(path).map_err(failed)?;
        let end = match end {
            Some(end) => end,
            None => file.metadata().map_err(failed)?.len(),
        };
        let path = path.to_path_buf();
        Ok(Self { path, file, position: from, end, window: Vec::new(), window_at: 0 })
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn header(&mut self) -> Result<SegmentHeader, Error> {
        let found = self.bytes(0, HEADER_BYTES)?.map(SegmentHeader::decode);
        let short = || Err(Bad::What("file ends inside its header".to_owned()));
        found.unwrap_or_else(short).map_err(|bad| corrupt(&self.path, 0, &bad))
    }

    /// The record at the current position; moves past it unless it is bad.
    pub(crate) fn step(&mut self) -> Result<Step<'_>, Error> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let bad = |what: &str| Ok(Step::Bad { position, bad: Bad::What(what.to_owned()) });
        let header = match self.bytes(position, RECORD_HEADER_BYTES)? {
            None => return bad("record header cut short"),
            Some(bytes) => match RecordHeader::decode(bytes) {
                Ok(header) => header,
                Err(bad) => return Ok(Step::Bad { position, bad }),
            },
        };
        let body_at = position + RECORD_HEADER_BYTES as u64;
        let next = position + header.total_bytes();
        let Some(body) = self.bytes(body_at, header.body_bytes as usize)? else {
            return bad("record body cut short");
        };
        if crc32c::crc32c(body) != header.body_crc {
            return bad("record body checksum differs");
        }
        self.position = next;
        // Asked for again because the borrow above ends before `position` moves; served from memory.
        let body = self.bytes(body_at, header.body_bytes as usize)?.unwrap_or_default();
        Ok(Step::Record { position, header, body })
    }

    /// `length` bytes at `position`; `None` when the file ends before.
    fn bytes(&mut self, position: u64, length: usize) -> Result<Option<&[u8]>, Error> {
        let wanted_end = position.saturating_add(length as u64);
        if wanted_end > self.end {
            return Ok(None);
        }
        let window_end = self.window_at + self.window.len() as u64;
        if position < self.window_at || wanted_end > window_end {
            let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
            self.window.resize(WINDOW_BYTES.max(length).min(left), 0);
            self.window_at = position;
            self.file
                .read_exact_at(&mut self.window, position)
                .map_err(|e| Error::io("read segment", &self.path, e))?;
        }
        let start = usize::try_from(position - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).and_then(|rest| rest.get(..length)))
    }
}

/// What a whole walk over a segment found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) header: SegmentHeader,
    /// Bytes up to the end of the last complete group.
    pub(crate) good_bytes: u64,
    pub(crate) file_bytes: u64,
    /// The offset after the last complete group.
    pub(crate) next: Offset,
    pub(crate) records: u64,
    pub(crate) rows: u64,
    pub(crate) appended_at: i64,
    pub(crate) index: Vec<IndexEntry>,
    pub(crate) sealed: bool,
    /// Where and why the walk could not go on.
    pub(crate) bad: Option<(u64, Bad)>,
}

/// Walks a whole segment; `each` sees every record of it, also of a group that turns out torn.
pub(crate) fn survey(
    path: &Path,
    mut each: impl FnMut(u64, &RecordHeader, &[u8]) -> Result<(), Bad>,
) -> Result<Survey, Error> {
    let mut scanner = Scanner::open(path, HEADER_BYTES as u64, None)?;
    let header = scanner.header()?;
    let mut found = Survey {
        good_bytes: HEADER_BYTES as u64,
        file_bytes: scanner.end(),
        next: header.first,
        records: 0,
        rows: 0,
        appended_at: header.created_at,
        index: Vec::new(),
        sealed: false,
        bad: None,
        header,
    };
    let mut group = Group::default();
    loop {
        let (position, header, body) = match scanner.step()? {
            Step::Record { position, header, body } => (position, header, body),
            Step::End => break,
            Step::Bad { position, bad } => {
                found.bad = Some((position, bad));
                break;
            }
        };
        let order = if found.sealed { Err(after_seal()) } else { group.check(&header, found.next) };
        if let Err(bad) = order.and_then(|()| each(position, &header, body)) {
            found.bad = Some((position, bad));
            break;
        }
        if header.kind == Kind::Seal {
            found.sealed = true;
            found.good_bytes = position + header.total_bytes();
            continue;
        }
        group.add(position, &header);
        if header.group_left == 0 {
            found.take(&mut group, position + header.total_bytes());
        }
    }
    Ok(found)
}

fn after_seal() -> Bad {
    Bad::What("record after the seal".to_owned())
}

impl Survey {
    fn take(&mut self, group: &mut Group, end: u64) {
        let Group { count, rows, first_position, appended_at, .. } = std::mem::take(group);
        push_index(&mut self.index, self.next, first_position);
        self.good_bytes = end;
        self.next = Offset(self.next.0 + count);
        self.records += count;
        self.rows += rows;
        self.appended_at = appended_at;
    }
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

/// The records of one append seen so far.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    rows: u64,
    left: u16,
    first_position: u64,
    appended_at: i64,
}

impl Group {
    fn check(&self, header: &RecordHeader, next: Offset) -> Result<(), Bad> {
        let expected = Offset(next.0 + self.count);
        if header.offset != expected {
            let found = header.offset;
            return Err(Bad::What(format!("record says offset {found}, expected {expected}")));
        }
        let continues =
            header.kind != Kind::Seal && header.group_left.checked_add(1) == Some(self.left);
        if self.count > 0 && !continues {
            return Err(Bad::What("append without its last record".to_owned()));
        }
        Ok(())
    }

    fn add(&mut self, position: u64, header: &RecordHeader) {
        if self.count == 0 {
            self.first_position = position;
        }
        self.count += 1;
        self.rows += u64::from(header.rows);
        self.left = header.group_left;
        self.appended_at = header.appended_at;
    }
}

/// Looks after a bad place at `position` for an intact record that was written when the bad place
/// was already durable. If there is one, a crash cannot have caused the damage.
pub(crate) fn durable_before(path: &Path, position: u64) -> Result<bool, Error> {
    let failed = |e| Error::io("read segment", path, e);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len().saturating_sub(position);
    let mut rest = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut rest, position).map_err(failed)?;
    for start in 1..rest.len() {
        let Some(bytes) = rest.get(start..) else { break };
        let Ok(header) = RecordHeader::decode(bytes) else { continue };
        let body = bytes
            .get(RECORD_HEADER_BYTES..)
            .and_then(|after| after.get(..header.body_bytes as usize));
        let intact = body.is_some_and(|body| crc32c::crc32c(body) == header.body_crc);
        if intact && u64::from(header.durable) > position {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The seal of a closed segment: what the next one starts with, and the index. `None` if unsealed.
pub(crate) fn read_seal(path: &Path) -> Result<Option<(RecordHeader, Vec<IndexEntry>)>, Error> {
    let failed = |e: io::Error| Error::io("read segment", path, e);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let Some(trailer_at) = length.checked_sub(SEAL_TRAILER_BYTES as u64) else { return Ok(None) };
    let mut trailer = [0; SEAL_TRAILER_BYTES];
    file.read_exact_at(&mut trailer, trailer_at).map_err(failed)?;
    let Some(position) = format::seal_position(&trailer) else { return Ok(None) };
    let mut scanner = Scanner::open(path, u64::from(position), Some(length))?;
    match scanner.step()? {
        Step::Record { header, body, .. } if header.kind == Kind::Seal => {
            let index = format::decode_seal(body)
                .map_err(|bad| corrupt(path, u64::from(position), &bad))?;
            Ok(Some((header, index)))
        }
        _ => Ok(None),
    }
}

/// SHA-256 over the first `length` bytes of a file, as the state to go on from.
pub(crate) fn hash_prefix(path: &Path, length: u64) -> Result<Sha256, Error> {
    let failed = |e| Error::io("read segment", path, e);
    let file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut window = vec![0; WINDOW_BYTES];
    let mut position = 0_u64;
    while position < length {
        let wanted = usize::try_from(length - position).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
        let Some(part) = window.get_mut(..wanted) else { break };
        file.read_exact_at(part, position).map_err(failed)?;
        hasher.update(&*part);
        position += wanted as u64;
    }
    Ok(hasher)
}
