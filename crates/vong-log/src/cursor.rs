//! Durable named cursors: one small file each, replaced whole.
//!
//! A cursor belongs to one epoch; one that names another is not there.

use std::io;
use std::path::{Path, PathBuf};

use vong_model::Offset;

use crate::disk::Disk;
use crate::format::{Bad, check_cursor_name};
use crate::{Error, segment};

pub(crate) fn get(
    disk: &dyn Disk,
    dir: &Path,
    epoch: &str,
    name: &str,
) -> Result<Option<Offset>, Error> {
    check_cursor_name(name)?;
    let path = path_of(dir, name);
    let bytes = match disk.read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read cursor", &path, e)),
    };
    let Some((of, offset)) = std::str::from_utf8(&bytes).ok().and_then(parse) else {
        return Err(segment::corrupt(&path, 0, &Bad::What("cursor checksum differs".to_owned())));
    };
    Ok((of == epoch).then_some(offset))
}

pub(crate) fn set(
    disk: &dyn Disk,
    dir: &Path,
    epoch: &str,
    (name, offset): (&str, Offset),
) -> Result<(), Error> {
    check_cursor_name(name)?;
    let path = path_of(dir, name);
    let text = format!("vong-cursor 1 {epoch} {offset}");
    let text = format!("{text} {:08x}\n", crc32c::crc32c(text.as_bytes()));
    let write = || {
        disk.make_dir(&directory(dir))?;
        disk.replace(&path, text.as_bytes())
    };
    write().map_err(|e| Error::io("write cursor", &path, e))
}

/// Where the cursors of a log lie.
pub(crate) fn directory(dir: &Path) -> PathBuf {
    dir.join("cursors")
}

fn path_of(dir: &Path, name: &str) -> PathBuf {
    directory(dir).join(name)
}

fn parse(text: &str) -> Option<(&str, Offset)> {
    let (body, crc) = text.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(body.as_bytes()) {
        return None;
    }
    let (epoch, offset) = body.strip_prefix("vong-cursor 1 ")?.split_once(' ')?;
    Some((epoch, Offset(offset.parse().ok()?)))
}
