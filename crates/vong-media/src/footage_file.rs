//! The footage file: an fMP4 that any player opens, with our facts beside the media.
//!
//! ```text
//! ftyp | uuid (file facts) | moov          once
//! uuid (group facts) | moof | mdat         per group, appended by one write
//! ```
//!
//! Media time starts at 0 and runs without a hole, so the wall clock of any frame is the file's
//! start plus its media time. The facts make the index a cache: it can be rebuilt from the file.
//!
//! Format version 1. Limits: a head of 64 KiB, a frame table of 1 MiB, 100,000 frames in a group.

use std::sync::Arc;

use bytes::Bytes;
use vong_model::EventTime;

use crate::boxes::{self, Fragment, HEADER_LEN, KEY_FLAGS, Movie};
use crate::read::Reader;
use crate::timeline::wall_after;
use crate::{Codec, Error, Frame, Gop, VideoParameters};

/// Version written in both kinds of facts.
pub const FORMAT_VERSION: u8 = 1;
/// The most bytes before the first group.
pub const MAX_FILE_HEAD: usize = 64 << 10;
/// The most bytes from a group's facts to its first frame.
pub const MAX_GOP_HEAD: usize = 1 << 20;
/// The most frames in a group.
pub(crate) const MAX_GOP_FRAMES: usize = 100_000;

/// Names of our boxes (ISO/IEC 14496-12, 4.2: user extended type), random.
const FILE_FACTS: [u8; 16] = *b"\x5b\x1e\xc2\x4f\x0d\x7a\x4a\x11\x9c\x3e\x76\x6f\x6e\x67\x01\xf1";
const GOP_FACTS: [u8; 16] = *b"\x5b\x1e\xc2\x4f\x0d\x7a\x4a\x11\x9c\x3e\x76\x6f\x6e\x67\x02\xf2";
const GOP_FACTS_LEN: usize = 120;
const NO_TIME: i64 = i64::MIN;

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub camera_id: String,
    /// Wall clock of media time 0.
    pub start: EventTime,
    pub parameters: Arc<VideoParameters>,
}

/// SHA-256 values of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GopHashes {
    /// Of the frames' bytes, in order.
    pub payload: [u8; 32],
    /// `chained` of the camera's group before this one; zeros for the first.
    pub previous: [u8; 32],
    /// Of everything known about the group, `payload` and `previous` included.
    pub chained: [u8; 32],
}

/// One group as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GopEntry {
    /// Where its facts start in the file.
    pub offset: u64,
    /// From there to its first frame.
    pub head_len: u32,
    /// Bytes of its frames.
    pub payload_len: u32,
    /// Since the start of the file.
    pub media_time_90k: u64,
    pub duration_90k: u64,
    pub frames: u32,
    /// RTP packets lost before or inside.
    pub lost_packets: u32,
    /// Starts at a key frame.
    pub key: bool,
    /// Wall clock of its first frame, ours.
    pub start: EventTime,
    /// The same by the camera's clock.
    pub camera_time: Option<EventTime>,
    pub hashes: GopHashes,
}

impl GopEntry {
    /// Where its first frame starts in the file.
    pub fn payload_offset(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.head_len))
    }

    /// Where the next group starts in the file.
    pub fn end_offset(&self) -> u64 {
        self.payload_offset().saturating_add(u64::from(self.payload_len))
    }

    /// Wall clock after its last frame.
    pub fn end(&self) -> EventTime {
        wall_after(self.start, self.duration_90k)
    }
}

/// The bytes before the first group.
pub fn encode_file_head(facts: &FileFacts) -> Result<Bytes, Error> {
    let FileFacts { camera_id, start, parameters } = facts;
    let movie = Movie {
        descriptions: std::slice::from_ref(parameters),
        media_duration_90k: 0,
        edit: None,
        fragmented: true,
    };
    let mut body = vec![FORMAT_VERSION, codec_byte(parameters.codec), 0, 0];
    body.extend(parameters.width.to_be_bytes());
    body.extend(parameters.height.to_be_bytes());
    body.extend(start.micros().to_be_bytes());
    put_text(&mut body, "camera id", camera_id)?;
    put_text(&mut body, "codec string", &parameters.rfc6381)?;
    body.extend((parameters.sample_entry.len() as u64).to_be_bytes());
    body.extend_from_slice(&parameters.sample_entry);
    let head = boxes::encoded("moov", |buf| {
        boxes::fragmented_ftyp(buf)?;
        put_uuid(buf, FILE_FACTS, &body);
        movie.encode(buf, boxes::empty_tables)
    })?;
    check_limit("file head", head.len(), MAX_FILE_HEAD)?;
    Ok(Bytes::from(head))
}

/// The bytes from a group's facts to its first frame; the frames must follow.
///
/// `sequence` rises from 1 within the file; `media_time_90k` counts from the file's start.
pub fn encode_gop_head(
    gop: &Gop,
    hashes: &GopHashes,
    sequence: u32,
    media_time_90k: u64,
) -> Result<Bytes, Error> {
    check_limit("group", gop.frames.len(), MAX_GOP_FRAMES)?;
    let mut body = vec![FORMAT_VERSION, u8::from(gop.key), 0, 0];
    body.extend(gop.lost_packets.to_be_bytes());
    body.extend(gop.start.micros().to_be_bytes());
    body.extend(gop.camera_time.map_or(NO_TIME, EventTime::micros).to_be_bytes());
    body.extend(hashes.previous);
    body.extend(hashes.payload);
    body.extend(hashes.chained);
    debug_assert_eq!(body.len(), GOP_FACTS_LEN, "the reader counts on it");
    let mut head = Vec::with_capacity(gop.frames.len().saturating_mul(8).saturating_add(512));
    put_uuid(&mut head, GOP_FACTS, &body);
    let fragment =
        Fragment { sequence, media_time_90k, frames: &gop.frames, key: gop.key, description: 1 };
    fragment.encode_head(&mut head)?;
    check_limit("group head", head.len(), MAX_GOP_HEAD)?;
    Ok(Bytes::from(head))
}

/// Reads what [`encode_file_head`] wrote from the first bytes of a file: the facts, and where the
/// first group starts. More bytes than the head are welcome, [`MAX_FILE_HEAD`] always suffice.
pub fn parse_file_head(bytes: &[u8]) -> Result<(FileFacts, u64), Error> {
    let mut reader = Reader::new(bytes);
    let mut facts = None;
    for name in [b"ftyp", b"uuid", b"moov"] {
        let at = position(bytes, &reader);
        let malformed = Error::Malformed { what: "file head", at };
        match reader.sized_box(MAX_FILE_HEAD) {
            Some((found, mut body)) if found == *name => {
                if name == b"uuid" {
                    facts = Some(parse_file_facts(&mut body).ok_or(malformed)?);
                }
            }
            _ => return Err(malformed),
        }
    }
    let end = position(bytes, &reader);
    facts.map(|facts| (facts, end)).ok_or(Error::Malformed { what: "file head", at: end })
}

fn parse_file_facts(body: &mut Reader<'_>) -> Option<FileFacts> {
    (body.array()? == FILE_FACTS && body.u8()? == FORMAT_VERSION).then_some(())?;
    let codec = match body.u8()? {
        1 => Codec::H264,
        2 => Codec::H265,
        _ => return None,
    };
    body.u16()?;
    let (width, height) = (body.u32()?, body.u32()?);
    let start = EventTime(body.i64()?);
    let camera_id = body.text()?.to_owned();
    let rfc6381 = body.text()?.to_owned();
    let entry_len = usize::try_from(body.u64()?).ok()?;
    let sample_entry = Bytes::copy_from_slice(body.bytes(entry_len)?);
    let parameters = VideoParameters { codec, width, height, rfc6381, sample_entry };
    Some(FileFacts { camera_id, start, parameters: Arc::new(parameters) })
}

/// Length of a group's head, judged from its first bytes; `None` while more are needed.
/// 256 bytes always suffice.
pub(crate) fn gop_head_len(bytes: &[u8]) -> Option<Result<usize, Error>> {
    let malformed = || Error::Malformed { what: "group head", at: 0 };
    let mut reader = Reader::new(bytes);
    let uuid_len = reader.u32()?;
    let name = reader.array::<4>()?;
    let expected = GOP_FACTS_LEN.saturating_add(24);
    if name != *b"uuid" || usize::try_from(uuid_len).ok() != Some(expected) {
        return Some(Err(malformed()));
    }
    reader.bytes(expected.saturating_sub(8))?;
    let moof_len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    let name = reader.array::<4>()?;
    let total = expected.saturating_add(moof_len).saturating_add(8);
    if name != *b"moof" || moof_len < 8 || total > MAX_GOP_HEAD {
        return Some(Err(malformed()));
    }
    Some(Ok(total))
}

/// Reads a whole group head, `head`, that starts at `offset` of its file: its index entry and its
/// frame table. Does not look at the frames.
pub fn parse_gop_head(head: &[u8], offset: u64) -> Result<(GopEntry, Vec<Frame>), Error> {
    parse_gop(head, offset).ok_or(Error::Malformed { what: "group head", at: offset })
}

fn parse_gop(head: &[u8], offset: u64) -> Option<(GopEntry, Vec<Frame>)> {
    let mut reader = Reader::new(head);
    let (name, mut facts) = reader.sized_box(MAX_GOP_HEAD)?;
    (name == *b"uuid" && facts.array()? == GOP_FACTS && facts.u8()? == FORMAT_VERSION)
        .then_some(())?;
    let key = facts.u8()? & 1 == 1;
    facts.u16()?;
    let lost_packets = facts.u32()?;
    let start = EventTime(facts.i64()?);
    let camera_time = Some(facts.i64()?).filter(|t| *t != NO_TIME).map(EventTime);
    let (previous, payload, chained) = (facts.array()?, facts.array()?, facts.array()?);
    let (name, moof) = reader.sized_box(MAX_GOP_HEAD)?;
    let moof_len = (moof.remaining() as u64).saturating_add(HEADER_LEN);
    let table = (name == *b"moof").then(|| parse_moof(moof))??;
    let mdat_len = reader.u32()?;
    (reader.array()? == *b"mdat" && reader.remaining() == 0).then_some(())?;
    let payload_len = mdat_len.checked_sub(u32::try_from(HEADER_LEN).ok()?)?;
    let sum = table.frames.iter().try_fold(0u32, |sum, frame| sum.checked_add(frame.size))?;
    let offset_ok = u64::try_from(table.data_offset).ok()? == moof_len.saturating_add(HEADER_LEN);
    (sum == payload_len && offset_ok && table.key == key && !table.frames.is_empty())
        .then_some(())?;
    let entry = GopEntry {
        offset,
        head_len: u32::try_from(head.len()).ok()?,
        payload_len,
        media_time_90k: table.media_time_90k,
        duration_90k: table.frames.iter().map(|frame| u64::from(frame.duration_90k)).sum(),
        frames: u32::try_from(table.frames.len()).ok()?,
        lost_packets,
        key,
        start,
        camera_time,
        hashes: GopHashes { payload, previous, chained },
    };
    Some((entry, table.frames))
}

#[derive(Default)]
struct FrameTable {
    media_time_90k: u64,
    data_offset: i32,
    key: bool,
    frames: Vec<Frame>,
}

/// Reads a `moof` of the one shape we write: one track, one run, duration and size per frame.
fn parse_moof(mut moof: Reader<'_>) -> Option<FrameTable> {
    let (name, _sequence) = moof.sized_box(MAX_GOP_HEAD)?;
    (name == *b"mfhd").then_some(())?;
    let (name, mut traf) = moof.sized_box(MAX_GOP_HEAD)?;
    (name == *b"traf" && moof.remaining() == 0).then_some(())?;
    let (name, _defaults) = traf.sized_box(MAX_GOP_HEAD)?;
    (name == *b"tfhd").then_some(())?;
    let (name, mut tfdt) = traf.sized_box(MAX_GOP_HEAD)?;
    (name == *b"tfdt" && tfdt.u32()? == 1 << 24).then_some(())?;
    let media_time_90k = tfdt.u64()?;
    let (name, mut trun) = traf.sized_box(MAX_GOP_HEAD)?;
    (name == *b"trun" && traf.remaining() == 0).then_some(())?;
    // Version 0 or 1, data offset, duration and size always, flags of the first frame or not.
    let flags = trun.u32()? & 0x00ff_ffff;
    let with_first_flags = match flags {
        0x301 => false,
        0x305 => true,
        _ => return None,
    };
    let count = usize::try_from(trun.u32()?).ok()?;
    let data_offset = trun.array().map(i32::from_be_bytes)?;
    let key = if with_first_flags { trun.u32()? == KEY_FLAGS } else { false };
    (count <= MAX_GOP_FRAMES && trun.remaining() == count.checked_mul(8)?).then_some(())?;
    let mut frames = Vec::with_capacity(count);
    for _ in 0..count {
        frames.push(Frame { duration_90k: trun.u32()?, size: trun.u32()? });
    }
    Some(FrameTable { media_time_90k, data_offset, key, frames })
}

fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::H264 => 1,
        Codec::H265 => 2,
    }
}

fn put_text(body: &mut Vec<u8>, what: &'static str, text: &str) -> Result<(), Error> {
    let len = u16::try_from(text.len()).map_err(|_too_long| Error::TooLarge {
        what,
        value: text.len() as u64,
        limit: u64::from(u16::MAX),
    })?;
    body.extend(len.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
    Ok(())
}

fn put_uuid(buf: &mut Vec<u8>, name: [u8; 16], body: &[u8]) {
    let size = u32::try_from(body.len().saturating_add(24)).unwrap_or(u32::MAX);
    buf.extend(size.to_be_bytes());
    buf.extend_from_slice(b"uuid");
    buf.extend(name);
    buf.extend_from_slice(body);
}

fn check_limit(what: &'static str, value: usize, limit: usize) -> Result<(), Error> {
    if value > limit {
        return Err(Error::TooLarge { what, value: value as u64, limit: limit as u64 });
    }
    Ok(())
}

fn position(bytes: &[u8], reader: &Reader<'_>) -> u64 {
    bytes.len().saturating_sub(reader.remaining()) as u64
}

#[cfg(test)]
mod tests;
