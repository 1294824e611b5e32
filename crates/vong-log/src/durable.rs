//! A note, written when the log is closed in order, of how much of the open segment is durable.
//!
//! It lets the next start tell damage from an unfinished write even in the last records. It is
//! only ever a lower bound, so an old note is never wrong.

use std::io;
use std::path::Path;

use vong_model::Offset;
use vong_runtime::fs::replace_file;

use crate::Error;

const NAME: &str = "durable";

pub(crate) fn write(dir: &Path, segment: Offset, bytes: u64) -> Result<(), Error> {
    let path = dir.join(NAME);
    let text = format!("vong-log-durable 1 {segment} {bytes}");
    let note = format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes()));
    replace_file(&path, note.as_bytes()).map_err(|e| Error::io("note the durable end", &path, e))
}

/// Bytes of `segment` that were durable at the last orderly close; 0 when nothing is known.
pub(crate) fn read(dir: &Path, segment: Offset) -> Result<u64, Error> {
    let path = dir.join(NAME);
    let note = match std::fs::read_to_string(&path) {
        Ok(note) => note,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            return Ok(0);
        }
        Err(e) => return Err(Error::io("read the durable end", &path, e)),
    };
    Ok(parse(&note).filter(|(of, _)| *of == segment).map_or(0, |(_, bytes)| bytes))
}

fn parse(note: &str) -> Option<(Offset, u64)> {
    let (text, crc) = note.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
        return None;
    }
    let mut words = text.strip_prefix("vong-log-durable 1 ")?.split(' ');
    let segment = words.next()?.parse().ok()?;
    Some((Offset(segment), words.next()?.parse().ok()?))
}
