//! A note, written when the log is closed in order, of how much of it is durable.
//!
//! It lets the next start tell damage from an unfinished write even in the last records. It is
//! only ever a lower bound, so an old note is never wrong.

use std::io;
use std::path::Path;

use vong_model::Offset;

use crate::Error;
use crate::disk::Disk;

const NAME: &str = "durable";

/// What was durable at the last orderly close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The newest segment, by first offset.
    pub(crate) segment: Offset,
    /// Bytes of it.
    pub(crate) bytes: u64,
    /// The head; `None` in a note of an older version.
    pub(crate) next: Option<Offset>,
}

pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    epoch: &str,
    (segment, bytes, next): (Offset, u64, Offset),
) -> Result<(), Error> {
    let path = dir.join(NAME);
    let text = format!("vong-log-durable 2 {epoch} {segment} {bytes} {next}");
    let note = format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes()));
    disk.replace(&path, note.as_bytes()).map_err(|e| Error::io("note the durable end", &path, e))
}

/// The note of the log `epoch`; `None` when there is none that can be believed.
pub(crate) fn read(disk: &dyn Disk, dir: &Path, epoch: &str) -> Result<Option<Note>, Error> {
    let path = dir.join(NAME);
    match disk.read(&path) {
        Ok(note) => Ok(std::str::from_utf8(&note).ok().and_then(|note| parse(note, epoch))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read the durable end", &path, e)),
    }
}

fn parse(note: &str, epoch: &str) -> Option<Note> {
    let (text, crc) = note.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
        return None;
    }
    let words: Vec<&str> = text.strip_prefix("vong-log-durable ")?.split(' ').collect();
    let offset = |word: &str| Some(Offset(word.parse().ok()?));
    match words[..] {
        ["1", segment, bytes] => {
            Some(Note { segment: offset(segment)?, bytes: bytes.parse().ok()?, next: None })
        }
        ["2", of, segment, bytes, next] if of == epoch => Some(Note {
            segment: offset(segment)?,
            bytes: bytes.parse().ok()?,
            next: Some(offset(next)?),
        }),
        _ => None,
    }
}
