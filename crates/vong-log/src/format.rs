//! Bytes of a segment file, format version 2; version 1 is still read.
//!
//! Limits: a body ≤ 32 MiB · an append ≤ 4,096 records and 64 MiB · a segment ≤ 1 GiB plus one
//! write · offsets are 64 bit · an index entry about every 64 KiB. All integers are little-endian;
//! every structure carries a CRC-32C (polynomial 0x1EDC6F41, RFC 3720 appendix B.4) over itself.
//!
//! ```text
//! segment  = header record* [seal] zero*
//! header   = 128 bytes: magic "VONGSEG\n" · version u32 · header_bytes u32 · max_body u32 ·
//!            max_group u32 · epoch [16] · first_offset u64 · created_at i64 ·
//!            sha256 of the previous segment [32], zero for the first · previous_bytes u64 ·
//!            room u64 · zeros · crc u32
//! record   = 48 bytes: magic "VREC" · kind u8 (1) · stream u8 · group_left u16 · body_bytes u32 ·
//!            body_crc u32 · offset u64 · appended_at i64 · durable u32 · rows u32 · zero u32 ·
//!            crc u32 — then the body
//! seal     = a record of kind 2, offset = the next segment's first; its body: entries u32 ·
//!            (offset u64 · position u32)* · position of this seal u32 · magic "SEAL"
//! ```
//!
//! `previous_bytes` is how much of the file before counts: its hash covers that much, and what lies
//! behind never happened. So a segment may end without a seal (its disk failed or was full), and its
//! successor ends it. `room` is not zero in a segment made of the reserve: so much of the file was
//! set aside, and zeros after its last record are room, not damage.
//!
//! `group_left` counts the records of the same append that follow: a group without its last
//! record never happened. `durable` is how much of the file was synced when this record was
//! handed to the disk: if a later intact record says that a damaged place was durable before it,
//! then no crash can explain the damage.
//!
//! A record's crc also covers, after its 44 bytes, the epoch and the record's position u64: bytes
//! that a sender put into a body, or that a disk put in the wrong place, are never taken for records.
//!
//! Version 1 differs in this: no `previous_bytes` (every segment but the last has a seal, and its
//! hash covers the whole file), no `room`, and a record's crc covers its 44 bytes alone.

use vong_model::{Offset, Stream};

use crate::Error;

pub(crate) const VERSION: u32 = 2;
pub(crate) const HEADER_BYTES: usize = 128;
pub(crate) const RECORD_HEADER_BYTES: usize = 48;
pub(crate) const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
pub(crate) const MAX_GROUP: usize = 4_096;
pub(crate) const MAX_GROUP_BYTES: usize = 64 * 1024 * 1024;
pub(crate) const MAX_SEGMENT_BYTES: u64 = 1024 * 1024 * 1024;
/// Far more than a log will ever hold, and far from where numbers end.
pub(crate) const MAX_OFFSET: u64 = 1 << 62;
pub(crate) const INDEX_EVERY_BYTES: u64 = 64 * 1024;
pub(crate) const SEAL_TRAILER_BYTES: usize = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"VONGSEG\n";
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"VREC";
const SEAL_MAGIC: [u8; 4] = *b"SEAL";

/// One append holds at most [`MAX_GROUP`] entries.
pub(crate) fn check_group(entries: usize) -> Result<(), Error> {
    if entries > MAX_GROUP {
        return Err(Error::TooLarge { what: "entries", found: entries, limit: MAX_GROUP });
    }
    Ok(())
}

pub(crate) fn check_cursor_name(name: &str) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    Err(Error::CursorName { name: name.to_owned() })
}

/// First bytes of every segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) version: u32,
    pub(crate) epoch: [u8; 16],
    pub(crate) first: Offset,
    pub(crate) created_at: i64,
    pub(crate) previous: Previous,
    /// So much of the file was set aside before it was begun; 0 for one that grows.
    pub(crate) room: u64,
}

/// The segment before, as its successor knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Previous {
    /// How much of it counts; 0 when there is none, and in version 1.
    pub(crate) bytes: u64,
    /// Over those bytes.
    pub(crate) sha256: [u8; 32],
}

/// What the records of one segment are checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) version: u32,
    pub(crate) epoch: [u8; 16],
}

impl Frame {
    fn crc(&self, covered: &[u8], position: u64) -> u32 {
        let crc = crc32c::crc32c(covered);
        if self.version < 2 {
            return crc;
        }
        let crc = crc32c::crc32c_append(crc, &self.epoch);
        crc32c::crc32c_append(crc, &position.to_le_bytes())
    }
}

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Version(u32),
    What(String),
}

impl Bad {
    fn what(text: &str) -> Self {
        Self::What(text.to_owned())
    }
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let Self { version, epoch, first, created_at, previous, room } = self;
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&SEGMENT_MAGIC);
        for limit in [*version as usize, HEADER_BYTES, MAX_BODY_BYTES, MAX_GROUP] {
            out.extend_from_slice(&small(limit).to_le_bytes());
        }
        out.extend_from_slice(epoch);
        out.extend_from_slice(&first.0.to_le_bytes());
        out.extend_from_slice(&created_at.to_le_bytes());
        out.extend_from_slice(&previous.sha256);
        out.extend_from_slice(&previous.bytes.to_le_bytes());
        out.extend_from_slice(&room.to_le_bytes());
        out.resize(HEADER_BYTES - 4, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.try_into().expect("the parts above add up to HEADER_BYTES")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Bad> {
        let mut fields = Fields(bytes.get(..HEADER_BYTES).ok_or_else(|| Bad::what("no header"))?);
        let (covered, crc) = split_crc(fields.0);
        if fields.take::<8>() != SEGMENT_MAGIC {
            return Err(Bad::what("not a segment file"));
        }
        let version = fields.u32();
        if crc32c::crc32c(covered) != crc {
            return Err(Bad::what("header checksum differs"));
        }
        if !(1..=VERSION).contains(&version) {
            return Err(Bad::Version(version));
        }
        fields.take::<12>();
        let (epoch, first, created_at) = (fields.take(), Offset(fields.u64()), fields.i64());
        let sha256 = fields.take();
        // Zeros in version 1, which is what they mean.
        let previous = Previous { sha256, bytes: fields.u64() };
        Ok(Self { version, epoch, first, created_at, previous, room: fields.u64() })
    }

    pub(crate) fn frame(&self) -> Frame {
        Frame { version: self.version, epoch: self.epoch }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Batch(Stream),
    Seal,
}

/// What stands before each body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    pub(crate) group_left: u16,
    pub(crate) body_bytes: u32,
    pub(crate) body_crc: u32,
    pub(crate) offset: Offset,
    pub(crate) appended_at: i64,
    pub(crate) durable: u32,
    pub(crate) rows: u32,
}

impl RecordHeader {
    /// Appends the header of a record that will stand at `position` of its file.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>, frame: &Frame, position: u64) {
        let Self { kind, group_left, body_bytes, body_crc, offset, appended_at, durable, rows } =
            self;
        let start = out.len();
        out.extend_from_slice(&RECORD_MAGIC);
        let (kind, stream) = match kind {
            Kind::Batch(stream) => (1, stream.id()),
            Kind::Seal => (2, 0),
        };
        out.extend_from_slice(&[kind, stream]);
        out.extend_from_slice(&group_left.to_le_bytes());
        out.extend_from_slice(&body_bytes.to_le_bytes());
        out.extend_from_slice(&body_crc.to_le_bytes());
        out.extend_from_slice(&offset.0.to_le_bytes());
        out.extend_from_slice(&appended_at.to_le_bytes());
        out.extend_from_slice(&durable.to_le_bytes());
        out.extend_from_slice(&rows.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let crc = frame.crc(out.get(start..).unwrap_or_default(), position);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &[u8], frame: &Frame, position: u64) -> Result<Self, Bad> {
        let mut fields =
            Fields(bytes.get(..RECORD_HEADER_BYTES).ok_or_else(|| Bad::what("record cut short"))?);
        let (covered, crc) = split_crc(fields.0);
        if fields.take::<4>() != RECORD_MAGIC {
            return Err(Bad::what("no record begins here"));
        }
        if frame.crc(covered, position) != crc {
            return Err(Bad::what("record header checksum differs"));
        }
        let [kind, stream] = fields.take();
        let kind = match (kind, Stream::from_id(stream)) {
            (1, Some(stream)) => Kind::Batch(stream),
            (2, _) => Kind::Seal,
            _ => return Err(Bad::What(format!("unknown record kind {kind} of stream {stream}"))),
        };
        let header = Self {
            kind,
            group_left: u16::from_le_bytes(fields.take()),
            body_bytes: fields.u32(),
            body_crc: fields.u32(),
            offset: Offset(fields.u64()),
            appended_at: fields.i64(),
            durable: fields.u32(),
            rows: fields.u32(),
        };
        if header.body_bytes as usize > MAX_BODY_BYTES {
            return Err(Bad::what("record longer than the format allows"));
        }
        Ok(header)
    }

    /// Header and body together.
    pub(crate) fn total_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }
}

/// Where in a segment a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) offset: Offset,
    pub(crate) position: u32,
}

/// The body of a seal at `position`.
pub(crate) fn encode_seal(index: &[IndexEntry], position: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + index.len() * 12);
    out.extend_from_slice(&small(index.len()).to_le_bytes());
    for IndexEntry { offset, position } in index {
        out.extend_from_slice(&offset.0.to_le_bytes());
        out.extend_from_slice(&position.to_le_bytes());
    }
    out.extend_from_slice(&position.to_le_bytes());
    out.extend_from_slice(&SEAL_MAGIC);
    out
}

/// Position of the seal, from the last [`SEAL_TRAILER_BYTES`] of a file; `None` if it has none.
pub(crate) fn seal_position(trailer: &[u8; SEAL_TRAILER_BYTES]) -> Option<u32> {
    let mut fields = Fields(trailer);
    let position = fields.u32();
    (fields.take::<4>() == SEAL_MAGIC).then_some(position)
}

/// The index in the body of a seal whose checksum was verified.
pub(crate) fn decode_seal(body: &[u8]) -> Result<Vec<IndexEntry>, Bad> {
    let short = || Bad::what("seal cut short");
    let (count, rest) = body.split_first_chunk::<4>().ok_or_else(short)?;
    let entries = u32::from_le_bytes(*count) as usize;
    let wanted = entries.checked_mul(12).ok_or_else(short)?;
    let rest = rest.get(..wanted).ok_or_else(short)?;
    let entry = |chunk: &[u8]| {
        let mut fields = Fields(chunk);
        IndexEntry { offset: Offset(fields.u64()), position: fields.u32() }
    };
    Ok(rest.chunks_exact(12).map(entry).collect())
}

/// Reads fixed-size fields from a slice whose length was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N], // callers check the length of the whole structure first
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }
}

fn split_crc(structure: &[u8]) -> (&[u8], u32) {
    match structure.split_last_chunk::<4>() {
        Some((covered, crc)) => (covered, u32::from_le_bytes(*crc)),
        None => (structure, 0),
    }
}

/// A count that the limits above keep far below 4 GiB.
pub(crate) fn small(count: usize) -> u32 {
    u32::try_from(count).expect("the format's limits keep counts below 4 GiB")
}

#[cfg(test)]
mod tests;
