//! Finds the groups of a footage file by their heads, without reading a frame.
//!
//! Stops at the first byte that is not a whole, well-formed group: everything from there on is the
//! torn tail of an interrupted write. Reads at most [`MAX_GOP_HEAD`] bytes at a time and moves
//! forward with every group, so a hostile file costs no more than its length.

use bytes::Bytes;

use crate::footage_file::{
    FileFacts, GopEntry, MAX_FILE_HEAD, MAX_GOP_HEAD, gop_head_len, parse_file_head, parse_gop_head,
};
use crate::{Error, Frame};

/// First guess at how long a group head is.
const HEAD_GUESS: usize = 4 << 10;

/// What a scan found.
#[derive(Debug)]
pub struct Scan {
    pub gops: Vec<GopEntry>,
    /// Where the last whole group ends: the length the file should be cut to.
    pub valid_end: u64,
    /// Why it did not reach the end of the file; `None` if it did.
    pub torn: Option<Error>,
}

/// A file could not be read, or is not ours.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E: std::error::Error + 'static> {
    #[error("cannot read footage")]
    Source(#[source] E),
    #[error("footage is not well-formed")]
    Media(#[source] Error),
}

/// Facts of the file and where its first group starts.
///
/// `read(offset, len)` gives the bytes there, fewer only at the end of the file.
pub fn read_file_head<E: std::error::Error + 'static>(
    read: &mut impl FnMut(u64, usize) -> Result<Bytes, E>,
) -> Result<(FileFacts, u64), ReadError<E>> {
    let mut bytes = read(0, HEAD_GUESS).map_err(ReadError::Source)?;
    if bytes.len() == HEAD_GUESS && parse_file_head(&bytes).is_err() {
        bytes = read(0, MAX_FILE_HEAD).map_err(ReadError::Source)?;
    }
    parse_file_head(&bytes).map_err(ReadError::Media)
}

/// Index entry and frame table of the group at `offset`.
pub fn read_gop_head<E: std::error::Error + 'static>(
    read: &mut impl FnMut(u64, usize) -> Result<Bytes, E>,
    offset: u64,
) -> Result<(GopEntry, Vec<Frame>), ReadError<E>> {
    let torn = || ReadError::Media(Error::Malformed { what: "group head", at: offset });
    let mut bytes = read(offset, HEAD_GUESS).map_err(ReadError::Source)?;
    let len = gop_head_len(&bytes).ok_or_else(torn)?.map_err(|_elsewhere| torn())?;
    debug_assert!(len <= MAX_GOP_HEAD, "checked where the length is read");
    if len > bytes.len() {
        bytes = read(offset, len).map_err(ReadError::Source)?;
    }
    let head = bytes.get(..len).ok_or_else(torn)?;
    parse_gop_head(head, offset).map_err(ReadError::Media)
}

/// All whole groups from `offset`, the start of a group, to `file_len`.
pub fn scan_gops<E: std::error::Error + 'static>(
    read: &mut impl FnMut(u64, usize) -> Result<Bytes, E>,
    offset: u64,
    file_len: u64,
) -> Result<Scan, E> {
    let mut scan = Scan { gops: Vec::new(), valid_end: offset, torn: None };
    while scan.valid_end < file_len {
        match read_gop_head(read, scan.valid_end) {
            Ok((gop, _frames)) if gop.end_offset() <= file_len => {
                scan.valid_end = gop.end_offset();
                scan.gops.push(gop);
            }
            Ok((gop, _frames)) => {
                scan.torn = Some(Error::Malformed { what: "group", at: gop.offset });
                break;
            }
            Err(ReadError::Media(torn)) => {
                scan.torn = Some(torn);
                break;
            }
            Err(ReadError::Source(error)) => return Err(error),
        }
    }
    Ok(scan)
}
