//! Verifies a log directory, byte by byte, and explains what it finds. Changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow::buffer::Buffer;
use sha2::Digest;
use vong_model::Offset;

use crate::file::hex;
use crate::format::{Bad, Kind};
use crate::segment::{self, Survey};
use crate::{Error, codec};

/// What a log directory holds and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lineage of the log, hexadecimal; empty when there is no segment.
    pub epoch: String,
    pub segments: Vec<SegmentReport>,
    /// Bytes at the end of the last segment that the next start will cut: a write that a crash (or
    /// a process at work right now) left unfinished.
    pub unfinished_bytes: u64,
    pub problems: Vec<Problem>,
}

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    pub file: PathBuf,
    pub first: Offset,
    pub next: Offset,
    pub records: u64,
    pub rows: u64,
    pub bytes: u64,
    pub sealed: bool,
}

/// Something no crash explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// Byte position in the file.
    pub position: u64,
    pub what: String,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, segments, unfinished_bytes, problems } = self;
        writeln!(f, "epoch {epoch}")?;
        for SegmentReport { file, first, next, records, rows, bytes, sealed } in segments {
            let state = if *sealed { "sealed" } else { "open" };
            writeln!(
                f,
                "{state:>6}  offsets {first}..{next}  {records} records  {rows} rows  {bytes} bytes  {}",
                file.display()
            )?;
        }
        if *unfinished_bytes > 0 {
            writeln!(
                f,
                "{unfinished_bytes} bytes of an unfinished write: the next start cuts them"
            )?;
        }
        for Problem { file, position, what } in problems {
            writeln!(f, "damaged at byte {position}: {what}: {}", file.display())?;
        }
        match problems.len() {
            0 => writeln!(f, "sound"),
            n => writeln!(f, "{n} problems: restore the files named above from a backup"),
        }
    }
}

/// Reads every byte of every segment below `dir`: checksums, order of offsets, groups, seals,
/// the chain of hashes, and that every body decodes.
///
/// # Errors
/// Only when the directory cannot be read; damage is in the report.
pub fn fsck(dir: &Path) -> Result<Report, Error> {
    let files = segment::list(dir)?;
    let mut report = Report::default();
    let mut before: Option<Before> = None;
    for (index, (first, path)) in files.iter().enumerate() {
        let last = index + 1 == files.len();
        match segment::survey(path, decode) {
            Ok(survey) => {
                before = check_segment(&mut report, before, (*first, path), survey, last)?
            }
            Err(Error::Corrupt { what, position, file, .. }) => {
                report.problems.push(Problem { file, position, what });
                before = None;
            }
            Err(error @ Error::Version { .. }) => {
                let (file, what) = (path.clone(), error.to_string());
                report.problems.push(Problem { file, position: 0, what });
                before = None;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// What the next segment must fit to.
struct Before {
    next: Offset,
    sha256: [u8; 32],
    epoch: [u8; 16],
}

fn decode(_position: u64, header: &crate::format::RecordHeader, body: &[u8]) -> Result<(), Bad> {
    let Kind::Batch(stream) = header.kind else { return Ok(()) };
    let batch = codec::from_ipc(stream, Buffer::from(body))
        .map_err(|e| Bad::What(format!("record body does not decode: {e}")))?;
    if batch.num_rows() as u64 != u64::from(header.rows) {
        return Err(Bad::What("record header and body disagree on the number of rows".to_owned()));
    }
    Ok(())
}

fn check_segment(
    report: &mut Report,
    before: Option<Before>,
    (first, path): (Offset, &Path),
    survey: Survey,
    last: bool,
) -> Result<Option<Before>, Error> {
    let Survey { header, good_bytes, file_bytes, next, records, rows, sealed, bad, .. } = survey;
    let mut problem = |position: u64, what: &str| {
        let (file, what) = (path.to_path_buf(), what.to_owned());
        report.problems.push(Problem { file, position, what });
    };
    if header.first != first {
        problem(0, "file name and header disagree on the first offset");
    }
    if let Some(before) = before {
        if header.first != before.next {
            problem(
                0,
                &format!("begins at {}, the one before ends at {}", header.first, before.next),
            );
        }
        if header.previous_sha256 != before.sha256 {
            problem(0, "the segment before it is not the one it was written after");
        }
        if header.epoch != before.epoch {
            problem(0, "segment belongs to another log");
        }
    }
    match &bad {
        Some((position, Bad::What(what))) if !last || segment::durable_before(path, *position)? => {
            problem(*position, what);
        }
        Some((position, Bad::Version(_))) => problem(*position, "another format version"),
        _ if last => report.unfinished_bytes = file_bytes - good_bytes,
        None if !sealed => problem(good_bytes, "a later segment exists but this one has no seal"),
        _ => {}
    }
    if report.epoch.is_empty() {
        report.epoch = hex(&header.epoch);
    }
    let (file, first, bytes) = (path.to_path_buf(), header.first, file_bytes);
    report.segments.push(SegmentReport { file, first, next, records, rows, bytes, sealed });
    let sha256 = segment::hash_prefix(path, file_bytes)?.finalize().into();
    Ok((!last).then_some(Before { next, sha256, epoch: header.epoch }))
}
