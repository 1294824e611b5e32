//! Copies of the heads of a camera's day, file behind file: what a clip must know of its groups
//! before its first byte is read in one piece, and not from all over the footage.
//!
//! A cache, made when a file is closed and never made durable by itself. The index says where each
//! file's copy lies; it is used only if it begins when the file does, and of each group only if it
//! says what the index says. Format version 1, numbers big-endian:
//!
//! ```text
//! header  "VONGHDS" version:u8 reserved:8          16 bytes
//! copy    crc32c:u32 of what follows; head of a footage file, then those of its groups, in order
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use vong_media::{Frame, GopEntry, VideoParameters, parse_file_head, parse_gop_head};

use crate::media_file::read_at;

const HEADER: [u8; 16] = *b"VONGHDS\x01\0\0\0\0\0\0\0\0";

const CHECKSUM_LEN: usize = 4;

/// A minute of footage has some tens of kilobytes of heads. More than this is read group by group.
const MAX_COPY: u64 = 4 << 20;

/// Copies the heads of `groups`, all that `footage` holds, to the end of the day's copies; gives
/// where they lie. `None` if they are too large.
pub(crate) fn append(
    path: &Path,
    footage: &File,
    groups: &[GopEntry],
) -> io::Result<Option<Range<u64>>> {
    let first = groups.first().map_or(0, |group| group.offset);
    let heads = groups.iter().map(|group| (group.offset, u64::from(group.head_len)));
    let wanted = || std::iter::once((0, first)).chain(heads.clone());
    let len = wanted().fold(0, |sum: u64, (_, len)| sum.saturating_add(len));
    if len > MAX_COPY {
        return Ok(None);
    }
    let mut copy = vec![0; CHECKSUM_LEN];
    for (offset, len) in wanted() {
        copy.extend_from_slice(&read_at(footage, offset, usize::try_from(len).unwrap_or(0))?);
    }
    let (checksum, heads) = copy.split_at_mut(CHECKSUM_LEN);
    checksum.copy_from_slice(&crc32c::crc32c(heads).to_be_bytes());
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let end = file.metadata()?.len();
    if end < HEADER.len() as u64 {
        file.write_all_at(&HEADER, 0)?;
    }
    let start = end.max(HEADER.len() as u64);
    file.write_all_at(&copy, start)?;
    Ok(Some(start..start.saturating_add(copy.len() as u64)))
}

/// The heads of a copy, if they are as they were written.
fn sound(copy: &Bytes) -> Option<Bytes> {
    let (checksum, heads) = copy.split_first_chunk::<CHECKSUM_LEN>()?;
    (crc32c::crc32c(heads).to_be_bytes() == *checksum).then(|| copy.slice_ref(heads))
}

/// The heads of one footage file.
pub(crate) struct Heads {
    pub(crate) parameters: Arc<VideoParameters>,
    bytes: Bytes,
    /// Where the head of each group starts.
    starts: Vec<usize>,
}

impl Heads {
    /// Reads the copy at `range`, which must be of a file with these `groups`; `None` if it is not.
    pub(crate) fn read(path: &Path, range: &Range<u64>, groups: &[GopEntry]) -> Option<Self> {
        let len = range.end.checked_sub(range.start).filter(|len| *len <= MAX_COPY)?;
        let file = File::open(path).ok()?;
        if *read_at(&file, 0, HEADER.len()).ok()? != HEADER {
            return None;
        }
        let bytes = read_at(&file, range.start, usize::try_from(len).ok()?).ok()?;
        let bytes = sound(&bytes)?;
        let (facts, first) = parse_file_head(&bytes).ok()?;
        // The day's copies may have been lost and begun anew: another file's may lie here.
        if facts.start != groups.first()?.start {
            return None;
        }
        let mut at = usize::try_from(first).ok()?;
        let mut starts = Vec::with_capacity(groups.len());
        for group in groups {
            starts.push(at);
            at = at.checked_add(usize::try_from(group.head_len).ok()?)?;
        }
        (at == bytes.len()).then_some(Self { parameters: facts.parameters, bytes, starts })
    }

    /// The frame table of `group`, number `number` of the file, if the copy is of it.
    pub(crate) fn frames(&self, number: usize, group: &GopEntry) -> Option<Vec<Frame>> {
        let start = *self.starts.get(number)?;
        let end = start.checked_add(usize::try_from(group.head_len).ok()?)?;
        let (found, frames) = parse_gop_head(self.bytes.get(start..end)?, group.offset).ok()?;
        (found == *group).then_some(frames)
    }
}
