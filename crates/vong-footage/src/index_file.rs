//! The index of one camera's day: an append-only file of fixed-size records.
//!
//! A cache and a second witness: everything in it can be rebuilt from the media files, except that
//! a file was deleted on purpose. Format version 1, all numbers big-endian:
//!
//! ```text
//! header  "VONGIDX" version:u8 reserved:8          16 bytes
//! record  kind:u8 key:u8 reserved:u16 frames:u32 name_ms:i64 start_us:i64 camera_us:i64
//!         media_90k:u64 duration_90k:u64 offset:u64 head_len:u32 payload_len:u32 lost:u32
//!         reserved:u32 payload:32 previous:32 chained:32 reserved:u32 crc32c:u32    176 bytes
//! ```
//! The record of a closed file has in `offset` and `payload_len` where the copy of its heads lies
//! (see `heads_file.rs`), or 0.
//!
//! A record is of use only whole and with a right checksum; reading stops at the first that is not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use vong_media::{GopEntry, GopHashes};
use vong_model::EventTime;
use vong_runtime::fs::replace_file;

use crate::media_file::read_at;

const HEADER: [u8; HEADER_LEN] = *b"VONGIDX\x01\0\0\0\0\0\0\0\0";
const HEADER_LEN: usize = 16;
pub(crate) const RECORD_LEN: usize = 176;
const CRC_AT: usize = RECORD_LEN - 4;

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The file it is about.
    pub(crate) name_ms: i64,
    pub(crate) fact: Fact,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A group was written.
    Gop(GopEntry),
    /// The file is complete and durable.
    Closed {
        /// Where its heads lie in the day's copies, if they do.
        heads: Option<Range<u64>>,
    },
    /// The file was deleted by retention.
    Deleted,
}

/// Reads all usable records; the flag says whether that was all there was.
///
/// A missing file reads as empty and incomplete.
pub(crate) fn read_all(path: &Path) -> io::Result<(Vec<Record>, bool)> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), false)),
        Err(error) => return Err(error),
    };
    let Some(body) = bytes.strip_prefix(&HEADER) else { return Ok((Vec::new(), false)) };
    let mut records = Vec::with_capacity(body.len() / RECORD_LEN);
    let mut rest = body;
    while let Some((chunk, after)) = rest.split_first_chunk::<RECORD_LEN>() {
        let Some(record) = decode(chunk) else { return Ok((records, false)) };
        records.push(record);
        rest = after;
    }
    Ok((records, rest.is_empty()))
}

/// Reads the records numbered `range` that are sound; the flag says whether that was all of them.
pub(crate) fn read_range(path: &Path, range: Range<u64>) -> io::Result<(Vec<Record>, bool)> {
    let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let bytes =
        read_at(&File::open(path)?, position(range.start), count.saturating_mul(RECORD_LEN))?;
    let (chunks, _torn) = bytes.as_chunks::<RECORD_LEN>();
    let records: Vec<Record> = chunks.iter().filter_map(decode).collect();
    let whole = records.len() == count;
    Ok((records, whole))
}

/// Appends records after the `existing` ones, beginning the file anew if there are none. On failure
/// the file is as before, or holds a torn record that the next append overwrites.
pub(crate) fn append(path: &Path, existing: u64, records: &[Record]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(records.len().saturating_mul(RECORD_LEN));
    for record in records {
        bytes.extend_from_slice(&encode(record));
    }
    // What nobody knows of must not come to stand behind what is written now.
    let anew = existing == 0;
    let file = OpenOptions::new().create(true).truncate(anew).write(true).open(path)?;
    if anew {
        file.write_all_at(&HEADER, 0)?;
    }
    file.write_all_at(&bytes, position(existing))
}

/// Makes the index durable.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_data()
}

/// Replaces the whole index, durably.
pub(crate) fn replace(path: &Path, records: &[Record]) -> io::Result<()> {
    let mut bytes = HEADER.to_vec();
    for record in records {
        bytes.write_all(&encode(record))?;
    }
    replace_file(path, &bytes)
}

fn position(record: u64) -> u64 {
    record.saturating_mul(RECORD_LEN as u64).saturating_add(HEADER_LEN as u64)
}

fn encode(record: &Record) -> [u8; RECORD_LEN] {
    let mut out = Vec::with_capacity(RECORD_LEN);
    let (kind, gop) = match &record.fact {
        Fact::Gop(gop) => (1u8, *gop),
        Fact::Closed { heads } => (2, place_of(heads.as_ref())),
        Fact::Deleted => (3, place_of(None)),
    };
    out.extend([kind, u8::from(gop.key), 0, 0]);
    out.extend(gop.frames.to_be_bytes());
    out.extend(record.name_ms.to_be_bytes());
    out.extend(gop.start.micros().to_be_bytes());
    out.extend(gop.camera_time.map_or(i64::MIN, EventTime::micros).to_be_bytes());
    out.extend(gop.media_time_90k.to_be_bytes());
    out.extend(gop.duration_90k.to_be_bytes());
    out.extend(gop.offset.to_be_bytes());
    out.extend(gop.head_len.to_be_bytes());
    out.extend(gop.payload_len.to_be_bytes());
    out.extend(gop.lost_packets.to_be_bytes());
    out.extend([0; 4]);
    out.extend(gop.hashes.payload);
    out.extend(gop.hashes.previous);
    out.extend(gop.hashes.chained);
    out.extend([0; 4]);
    let crc = crc32c::crc32c(&out);
    out.extend(crc.to_be_bytes());
    out.try_into().unwrap_or([0; RECORD_LEN])
}

/// A record of no group, with the place of a copy of heads.
fn place_of(heads: Option<&Range<u64>>) -> GopEntry {
    let len = heads.and_then(|heads| heads.end.checked_sub(heads.start));
    let len = len.and_then(|len| u32::try_from(len).ok());
    GopEntry {
        offset: heads.filter(|_| len.is_some()).map_or(0, |heads| heads.start),
        head_len: 0,
        payload_len: len.unwrap_or(0),
        media_time_90k: 0,
        duration_90k: 0,
        frames: 0,
        lost_packets: 0,
        key: false,
        start: EventTime(0),
        camera_time: None,
        hashes: GopHashes::default(),
    }
}

fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Record> {
    let (body, crc) = bytes.split_at_checked(CRC_AT)?;
    (crc32c::crc32c(body).to_be_bytes() == *crc).then_some(())?;
    let mut rest = body;
    let [kind, key, ..] = take::<4>(&mut rest)?;
    let frames = u32::from_be_bytes(take(&mut rest)?);
    let name_ms = i64::from_be_bytes(take(&mut rest)?);
    let start = EventTime(i64::from_be_bytes(take(&mut rest)?));
    let camera_time = i64::from_be_bytes(take(&mut rest)?);
    let media_time_90k = u64::from_be_bytes(take(&mut rest)?);
    let duration_90k = u64::from_be_bytes(take(&mut rest)?);
    let offset = u64::from_be_bytes(take(&mut rest)?);
    let head_len = u32::from_be_bytes(take(&mut rest)?);
    let payload_len = u32::from_be_bytes(take(&mut rest)?);
    let lost_packets = u32::from_be_bytes(take(&mut rest)?);
    take::<4>(&mut rest)?;
    let hashes = GopHashes {
        payload: take(&mut rest)?,
        previous: take(&mut rest)?,
        chained: take(&mut rest)?,
    };
    let fact = match kind {
        1 => Fact::Gop(GopEntry {
            offset,
            head_len,
            payload_len,
            media_time_90k,
            duration_90k,
            frames,
            lost_packets,
            key: key == 1,
            start,
            camera_time: Some(camera_time).filter(|t| *t != i64::MIN).map(EventTime),
            hashes,
        }),
        2 => {
            let end = offset.saturating_add(u64::from(payload_len));
            Fact::Closed { heads: (offset > 0).then_some(offset..end) }
        }
        3 => Fact::Deleted,
        _ => return None,
    };
    Some(Record { name_ms, fact })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests;
