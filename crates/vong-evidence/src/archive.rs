//! ZIP archives, stored and in one spelling only: names in UTF-8, no times, no comments, ZIP64 where
//! it is needed. Because the spelling is fixed, a reader can say whether a single bit beside the
//! files was changed. Any unzip program opens them.
//!
//! Format: APPNOTE.TXT 6.3.10, sections 4.3 and 4.4.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const END_LEN: u64 = 22;
/// Names are UTF-8.
const UTF8: u16 = 0x0800;
/// 1980-01-01, the first day ZIP knows.
const NO_DATE: u16 = 0x0021;
const WIDE: u64 = 0xffff_ffff;
const MOST_ENTRIES: u64 = 10_000;

/// A file inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveEntry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    crc: u32,
    /// Of its local header.
    offset: u64,
}

impl ArchiveEntry {
    fn wide(&self) -> bool {
        self.bytes >= WIDE
    }

    fn local_header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (size, extra) = if self.wide() { (WIDE, 20) } else { (self.bytes, 0) };
        put32(&mut out, LOCAL);
        self.common(&mut out, size);
        put16(&mut out, self.name.len() as u64);
        put16(&mut out, extra);
        out.extend_from_slice(self.name.as_bytes());
        if self.wide() {
            put16(&mut out, 1);
            put16(&mut out, 16);
            put64(&mut out, self.bytes);
            put64(&mut out, self.bytes);
        }
        out
    }

    fn central_header(&self) -> Vec<u8> {
        let far = self.offset >= WIDE;
        let mut extra = Vec::new();
        if self.wide() {
            put64(&mut extra, self.bytes);
            put64(&mut extra, self.bytes);
        }
        if far {
            put64(&mut extra, self.offset);
        }
        let mut out = Vec::new();
        put32(&mut out, CENTRAL);
        put16(&mut out, 45);
        self.common(&mut out, self.bytes.min(WIDE));
        put16(&mut out, self.name.len() as u64);
        put16(&mut out, if extra.is_empty() { 0 } else { extra.len() as u64 + 4 });
        out.extend([0; 10]); // no comment, first disk, no attributes
        put32(&mut out, u32::try_from(self.offset).unwrap_or(u32::MAX));
        out.extend_from_slice(self.name.as_bytes());
        if !extra.is_empty() {
            put16(&mut out, 1);
            put16(&mut out, extra.len() as u64);
            out.append(&mut extra);
        }
        out
    }

    fn common(&self, out: &mut Vec<u8>, size: u64) {
        put16(out, 45);
        put16(out, u64::from(UTF8));
        put16(out, 0); // stored
        put16(out, 0);
        put16(out, u64::from(NO_DATE));
        put32(out, self.crc);
        put32(out, u32::try_from(size).unwrap_or(u32::MAX));
        put32(out, u32::try_from(size).unwrap_or(u32::MAX));
    }
}

fn put16(out: &mut Vec<u8>, value: u64) {
    out.extend(u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

/// What stands behind the last file.
fn trailer(entries: &[ArchiveEntry], at: u64) -> Vec<u8> {
    let mut out: Vec<u8> = entries.iter().flat_map(ArchiveEntry::central_header).collect();
    let (count, len) = (entries.len() as u64, out.len() as u64);
    if at >= WIDE {
        let end_64 = at + len;
        put32(&mut out, END_64);
        put64(&mut out, 44);
        put16(&mut out, 45);
        put16(&mut out, 45);
        out.extend([0; 8]);
        for value in [count, count, len, at] {
            put64(&mut out, value);
        }
        put32(&mut out, LOCATOR_64);
        put32(&mut out, 0);
        put64(&mut out, end_64);
        put32(&mut out, 1);
    }
    put32(&mut out, END);
    put32(&mut out, 0);
    put16(&mut out, count);
    put16(&mut out, count);
    put32(&mut out, u32::try_from(len).unwrap_or(u32::MAX));
    put32(&mut out, u32::try_from(at).unwrap_or(u32::MAX));
    put16(&mut out, 0);
    out
}

/// Writes an archive into an empty file.
#[derive(Debug)]
pub struct ArchiveWriter<'a> {
    file: &'a File,
    entries: Vec<ArchiveEntry>,
    at: u64,
}

impl<'a> ArchiveWriter<'a> {
    pub fn new(file: &'a File) -> Self {
        Self { file, entries: Vec::new(), at: 0 }
    }

    /// Adds a file of exactly `bytes` bytes, which `fill` writes.
    pub fn add<E: From<io::Error>>(
        &mut self,
        name: &str,
        bytes: u64,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut entry = ArchiveEntry { name: name.to_owned(), bytes, crc: 0, offset: self.at };
        let start = self.at + entry.local_header().len() as u64;
        let mut body = Body { file: self.file, at: start, crc: crc32fast::Hasher::new() };
        fill(&mut body)?;
        let Body { at: end, crc, .. } = body;
        if end - start != bytes {
            let told = format!("{name} was to have {bytes} bytes and has {}", end - start);
            return Err(io::Error::other(told).into());
        }
        entry.crc = crc.finalize();
        self.file.write_all_at(&entry.local_header(), entry.offset)?;
        self.at = end;
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the directory; the archive is complete, but not yet synced.
    pub fn finish(self) -> io::Result<()> {
        self.file.write_all_at(&trailer(&self.entries, self.at), self.at)
    }
}

struct Body<'a> {
    file: &'a File,
    at: u64,
    crc: crc32fast::Hasher,
}

impl Write for Body<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.crc.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive opened for reading.
#[derive(Debug)]
pub struct ArchiveReader {
    file: File,
    /// With the offset of its first byte.
    entries: Vec<(ArchiveEntry, u64)>,
    as_written: bool,
}

impl ArchiveReader {
    /// Reads the directory of an archive whose files are stored, not compressed; says why if it
    /// cannot.
    pub fn open(file: File) -> Result<Self, String> {
        let len = file.metadata().map_err(|e| e.to_string())?.len();
        let (count, at, end) = find_end(&file, len)?;
        if count > MOST_ENTRIES {
            return Err(format!("{count} files, more than {MOST_ENTRIES}"));
        }
        let mut entries = Vec::new();
        let mut next = at;
        for _ in 0..count {
            let (entry, used) = read_central(&file, next)?;
            let local = read(&file, entry.offset, 30)?;
            if u32_at(&local, 0) != Some(LOCAL) {
                return Err(format!("no file begins where '{}' should", entry.name));
            }
            let lens = u16_at(&local, 26).zip(u16_at(&local, 28));
            let (name, extra) = lens.ok_or("torn local header")?;
            let lens = 30 + u64::from(name) + u64::from(extra);
            let start = entry.offset.saturating_add(lens);
            if start.checked_add(entry.bytes).is_none_or(|end| end > len) {
                return Err(format!("'{}' is cut off", entry.name));
            }
            entries.push((entry, start));
            next = next.saturating_add(used);
        }
        let as_written = end == len && is_as_written(&file, &entries, len);
        Ok(Self { file, entries, as_written })
    }

    pub(crate) fn entries(&self) -> &[(ArchiveEntry, u64)] {
        &self.entries
    }

    /// Whether every byte beside the files is as [`ArchiveWriter`] writes it.
    pub fn is_as_written(&self) -> bool {
        self.as_written
    }

    /// Names of the files inside, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(entry, _)| entry.name.as_str())
    }

    pub(crate) fn read_at(&self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, start)
    }
}

/// Number of entries, offset of the directory, and where the archive ends.
fn find_end(file: &File, len: u64) -> Result<(u64, u64, u64), String> {
    let from = len.saturating_sub(END_LEN + 65_535);
    let tail = read(file, from, len - from)?;
    let last = tail.len().saturating_sub(21);
    let place = (0..last).rev().find(|place| u32_at(&tail, *place) == Some(END));
    let place = place.ok_or("not a ZIP archive")?;
    let fields = u16_at(&tail, place + 10).zip(u32_at(&tail, place + 16));
    let (count, at) = fields.ok_or("torn end of archive")?;
    let end_at = from + place as u64;
    if u64::from(at) < WIDE {
        return Ok((u64::from(count), u64::from(at), end_at + END_LEN));
    }
    let locator = read(file, end_at.saturating_sub(20), 20)?;
    let end_64 = u64_at(&locator, 8).filter(|_| u32_at(&locator, 0) == Some(LOCATOR_64));
    let record = read(file, end_64.ok_or("no ZIP64 locator")?, 56)?;
    let fields = u64_at(&record, 32).zip(u64_at(&record, 48));
    let (count, at) =
        fields.filter(|_| u32_at(&record, 0) == Some(END_64)).ok_or("no ZIP64 end")?;
    Ok((count, at, end_at + END_LEN))
}

fn read_central(file: &File, at: u64) -> Result<(ArchiveEntry, u64), String> {
    let head = read(file, at, 46)?;
    let field = |place| u16_at(&head, place).map(u64::from).ok_or("torn directory");
    if u32_at(&head, 0) != Some(CENTRAL) {
        return Err("the directory of the archive is damaged".to_owned());
    }
    let (method, name_len, extra_len, comment) = (field(10)?, field(28)?, field(30)?, field(32)?);
    let rest = read(file, at.saturating_add(46), name_len + extra_len)?;
    let (name, extra) = rest.split_at(usize::try_from(name_len).unwrap_or(0).min(rest.len()));
    let name = String::from_utf8(name.to_vec()).map_err(|_why| "a name is not UTF-8")?;
    if method != 0 {
        return Err(format!("'{name}' is compressed: unpack the archive and verify the folder"));
    }
    let value = |place| u32_at(&head, place).map(u64::from).ok_or("torn directory");
    let (crc, mut bytes, mut offset) = (u32_at(&head, 16).unwrap_or(0), value(24)?, value(42)?);
    let mut wide = 4;
    for (field, skip) in [(&mut bytes, 8), (&mut offset, 0)] {
        if *field == WIDE {
            *field = u64_at(extra, wide).ok_or("torn ZIP64 field")?;
            wide += 8 + skip;
        }
    }
    Ok((ArchiveEntry { name, bytes, crc, offset }, 46 + name_len + extra_len + comment))
}

/// Compares everything beside the files with what would be written.
fn is_as_written(file: &File, entries: &[(ArchiveEntry, u64)], len: u64) -> bool {
    let mut at = 0;
    for (entry, start) in entries {
        let header = entry.local_header();
        let same = read(file, at, header.len() as u64).is_ok_and(|found| found == header);
        if entry.offset != at || !same || at + header.len() as u64 != *start {
            return false;
        }
        at = start + entry.bytes;
    }
    let plain: Vec<ArchiveEntry> = entries.iter().map(|(entry, _)| entry.clone()).collect();
    let trailer = trailer(&plain, at);
    at + trailer.len() as u64 == len
        && read(file, at, trailer.len() as u64).is_ok_and(|found| found == trailer)
}

fn read(file: &File, at: u64, len: u64) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; usize::try_from(len).map_err(|e| e.to_string())?];
    file.read_exact_at(&mut bytes, at).map_err(|e| format!("the archive is cut off: {e}"))?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
