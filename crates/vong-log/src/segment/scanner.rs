//! Walks the records of one file through a window of bytes, and finds the next intact one after a
//! bad place.

use std::path::{Path, PathBuf};

use vong_model::Offset;

use super::WINDOW_BYTES;
use crate::Error;
use crate::disk::{Disk, DiskView};
use crate::format::{
    Bad, Frame, HEADER_BYTES, RECORD_HEADER_BYTES, RECORD_MAGIC, RecordHeader, SegmentHeader,
};

/// One step of a [`Scanner`].
#[derive(Debug)]
pub(crate) enum Step<'a> {
    Record { position: u64, header: RecordHeader, body: &'a [u8] },
    End,
    Bad { position: u64, what: String },
}

/// A walk over one segment file.
#[derive(Debug)]
pub(crate) struct Scanner {
    path: PathBuf,
    view: Box<dyn DiskView>,
    header: Result<SegmentHeader, Bad>,
    frame: Frame,
    position: u64,
    file_bytes: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl Scanner {
    /// Starts at the first record; bytes from `end` on (the file's own end if `None`) do not exist.
    /// `guess` is what records are checked with when the file's header is damaged.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        end: Option<u64>,
        guess: &Frame,
    ) -> Result<Self, Error> {
        let failed = |e| Error::io("open segment", path, e);
        let view = disk.view(path).map_err(failed)?;
        let file_bytes = view.length().map_err(failed)?;
        let mut scanner = Self {
            path: path.to_path_buf(),
            view,
            header: Err(Bad::What("file ends inside its header".to_owned())),
            frame: *guess,
            position: HEADER_BYTES as u64,
            file_bytes,
            end: end.map_or(file_bytes, |end| end.min(file_bytes)),
            window: Vec::new(),
            window_at: 0,
        };
        if scanner.end >= HEADER_BYTES as u64 {
            let mut bytes = [0; HEADER_BYTES]; // by itself: the records asked for may lie far away
            scanner.view.read_at(&mut bytes, 0).map_err(failed)?;
            scanner.header = SegmentHeader::decode(&bytes);
        }
        match &scanner.header {
            Ok(header) => scanner.frame = header.frame(),
            Err(_) => scanner.guess_version()?,
        }
        Ok(scanner)
    }

    /// A file without its header is of the version in which its first record makes sense.
    fn guess_version(&mut self) -> Result<(), Error> {
        let position = self.position;
        let older = Frame { version: 1, ..self.frame };
        if let Some(bytes) = self.bytes(position, RECORD_HEADER_BYTES)?
            && RecordHeader::decode(bytes, &older, position).is_ok()
        {
            self.frame = older;
        }
        Ok(())
    }

    pub(crate) fn header(&self) -> &Result<SegmentHeader, Bad> {
        &self.header
    }

    /// The bytes that exist for this walk.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The bytes of the file, whether they count or not.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(crate) fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// The record at the current position; moves past it unless it is bad.
    pub(crate) fn step(&mut self) -> Result<Step<'_>, Error> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let bad = |what: &str| Ok(Step::Bad { position, what: what.to_owned() });
        let frame = self.frame;
        let header = match self.bytes(position, RECORD_HEADER_BYTES)? {
            None => return bad("record header cut short"),
            Some(bytes) => match RecordHeader::decode(bytes, &frame, position) {
                Ok(header) => header,
                Err(Bad::What(what)) => return Ok(Step::Bad { position, what }),
                Err(Bad::Version(_)) => return bad("record of another version"),
            },
        };
        let body_at = position + RECORD_HEADER_BYTES as u64;
        let Some(body) = self.bytes(body_at, header.body_bytes as usize)? else {
            return bad("record body cut short");
        };
        if crc32c::crc32c(body) != header.body_crc {
            return bad("record body checksum differs");
        }
        self.position = position + header.total_bytes();
        // Asked for again because the borrow above ends before `position` moves; served from memory.
        let body = self.bytes(body_at, header.body_bytes as usize)?.unwrap_or_default();
        Ok(Step::Record { position, header, body })
    }

    /// The next intact record at or after byte `from` whose offset is not below `least`.
    pub(crate) fn find_intact(
        &mut self,
        from: u64,
        least: Offset,
    ) -> Result<Option<(u64, RecordHeader)>, Error> {
        let mut from = from;
        while let Some(position) = self.find_magic(from)? {
            if let Some(header) = self.intact(position)?
                && header.offset >= least
            {
                return Ok(Some((position, header)));
            }
            from = position + 1;
        }
        Ok(None)
    }

    fn intact(&mut self, position: u64) -> Result<Option<RecordHeader>, Error> {
        let frame = self.frame;
        let bytes = self.ahead(position)?;
        let Ok(header) = RecordHeader::decode(bytes, &frame, position) else { return Ok(None) };
        let body_at = position + RECORD_HEADER_BYTES as u64;
        let body = self.bytes(body_at, header.body_bytes as usize)?;
        Ok(body.filter(|body| crc32c::crc32c(body) == header.body_crc).map(|_| header))
    }

    fn find_magic(&mut self, from: u64) -> Result<Option<u64>, Error> {
        let mut at = from;
        loop {
            let window = self.ahead(at)?;
            if window.len() < RECORD_HEADER_BYTES {
                return Ok(None);
            }
            let found = window.windows(RECORD_MAGIC.len()).position(|four| four == RECORD_MAGIC);
            if let Some(found) = found {
                return Ok(Some(at + found as u64));
            }
            at += (window.len() - (RECORD_MAGIC.len() - 1)) as u64;
        }
    }

    /// What is at hand from `at` on: a record header's length at least, unless the file ends.
    fn ahead(&mut self, at: u64) -> Result<&[u8], Error> {
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + RECORD_HEADER_BYTES as u64 > window_end {
            let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
            return Ok(self.bytes(at, left.min(WINDOW_BYTES))?.unwrap_or_default());
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).unwrap_or_default())
    }

    /// `length` bytes at `position`; `None` when the walk ends before.
    pub(crate) fn bytes(&mut self, position: u64, length: usize) -> Result<Option<&[u8]>, Error> {
        let wanted_end = position.saturating_add(length as u64);
        if wanted_end > self.end {
            return Ok(None);
        }
        let window_end = self.window_at + self.window.len() as u64;
        if position < self.window_at || wanted_end > window_end {
            let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
            self.window.resize(WINDOW_BYTES.max(length).min(left), 0);
            self.window_at = position;
            self.view
                .read_at(&mut self.window, position)
                .map_err(|e| Error::io("read segment", &self.path, e))?;
        }
        let start = usize::try_from(position - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).and_then(|rest| rest.get(..length)))
    }
}
