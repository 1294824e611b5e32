//! Judges each segment of a directory by its neighbours: where it must end, what it lost.
//!
//! The start of the log and `fsck` both ask here, so that they never disagree.

use std::ops::Range;

use vong_model::Offset;

use crate::Error;
use crate::damage::Damage;
use crate::disk::Disk;
use crate::durable::Note;
use crate::format::{Bad, Frame, MAX_SEGMENT_BYTES, RECORD_HEADER_BYTES, RecordHeader, VERSION};
use crate::segment::{self, End, Hole, Question, SegmentFile, Survey};

/// What each intact record is also checked with.
pub(crate) type Check = fn(&RecordHeader, &[u8]) -> Result<(), String>;

/// A segment and all that is wrong with it.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) survey: Survey,
    pub(crate) damage: Vec<Damage>,
    /// The offset after it: what its successor begins at, or must begin at.
    pub(crate) next: Offset,
}

/// Takes every intact record as it is.
pub(crate) fn trusting(_header: &RecordHeader, _body: &[u8]) -> Result<(), String> {
    Ok(())
}

/// A segment that has a successor: all of it was durable before that one was begun.
pub(crate) fn closed(
    disk: &dyn Disk,
    file: &SegmentFile,
    successor: &SegmentFile,
    epoch: [u8; 16],
    check: Check,
) -> Result<Inspected, Error> {
    let SegmentFile { first, path, .. } = file;
    let (end, next) = (end_of(disk, file, successor, epoch)?, successor.first);
    let guess = Frame { version: VERSION, epoch };
    let question = Question { path, first: *first, guess, end, durable: u64::MAX };
    let survey = segment::survey(disk, &question, check)?;
    let mut damage = header_damage(file, &epoch, next);
    damage.extend(survey.holes.iter().map(|hole| of_hole(file, hole, next)));
    let at = |position, what: String, lost| Damage { file: path.clone(), position, what, lost };
    let seal_needed = end.is_none() && successor.header.is_ok();
    match &survey.end {
        End::Lost { position, what } => {
            damage.push(at(*position, what.clone(), survey.next.min(next)..next));
        }
        _ if survey.next > next => {
            let what = format!("goes on to offset {}, the next begins at {next}", survey.next);
            damage.push(at(survey.good_bytes, what, next..next));
        }
        _ if survey.next < next => {
            let what = format!("ends before offset {}, the next begins at {next}", survey.next);
            damage.push(at(survey.good_bytes, what, survey.next..next));
        }
        _ if seal_needed && !survey.sealed => {
            let what = "a later segment exists but this one has no seal".to_owned();
            damage.push(at(survey.good_bytes, what, next..next));
        }
        _ => {}
    }
    Ok(Inspected { survey, damage, next })
}

/// How much of `file` counts, as far as its successor says so.
pub(crate) fn end_of(
    disk: &dyn Disk,
    file: &SegmentFile,
    successor: &SegmentFile,
    epoch: [u8; 16],
) -> Result<Option<u64>, Error> {
    let Some(end) = successor.previous_bytes() else { return Ok(None) };
    let guess = Frame { version: VERSION, epoch };
    let seal = segment::read_seal(disk, &file.path, None, &guess)?;
    // Sealed well before the next begins: a file between them is missing, and that one was meant.
    Ok(if seal.is_some_and(|seal| seal.next < successor.first) { None } else { Some(end) })
}

/// The last segment: its end may be torn, what `note` promises may not.
pub(crate) fn last(
    disk: &dyn Disk,
    file: &SegmentFile,
    note: Option<&Note>,
    epoch: [u8; 16],
    check: Check,
) -> Result<Inspected, Error> {
    let SegmentFile { first, path, .. } = file;
    let promised = note.filter(|note| note.segment == *first);
    let durable = promised.map_or(0, |note| note.bytes);
    let guess = Frame { version: VERSION, epoch };
    let question = Question { path, first: *first, guess, end: None, durable };
    let survey = segment::survey(disk, &question, check)?;
    let next = next_after(&survey, promised.and_then(|note| note.next), durable);
    let mut damage = header_damage(file, &epoch, next);
    damage.extend(survey.holes.iter().map(|hole| of_hole(file, hole, next)));
    let rest = survey.next..next;
    let file = path.clone();
    match &survey.end {
        End::Lost { position, what } => {
            damage.push(Damage { file, position: *position, what: what.clone(), lost: rest });
        }
        _ if !rest.is_empty() => {
            let what = "no record can be found".to_owned();
            damage.push(Damage { file, position: survey.good_bytes, what, lost: rest });
        }
        _ => {}
    }
    Ok(Inspected { survey, damage, next })
}

/// The first offset that was never given out, or a later one: offsets are not used twice.
fn next_after(survey: &Survey, noted: Option<Offset>, durable: u64) -> Offset {
    let noted = noted.unwrap_or(survey.next);
    if noted > survey.next {
        return noted;
    }
    // How many records stood there nobody knows: pass as many offsets as there can have been.
    let bytes = match &survey.end {
        End::Lost { position, .. } => survey.file_bytes.max(durable).saturating_sub(*position),
        _ if survey.header.is_none() && survey.records == 0 => MAX_SEGMENT_BYTES,
        _ => return survey.next,
    };
    Offset(survey.next.0 + bytes / RECORD_HEADER_BYTES as u64 + 1)
}

/// Whether a segment after `newest` was there once and is not any more: the offsets it held.
pub(crate) fn missing_end(
    note: Option<&Note>,
    newest: Offset,
    next: Offset,
) -> Option<Range<Offset>> {
    let note = note.filter(|note| note.segment > newest)?;
    Some(next..note.next?).filter(|lost| !lost.is_empty())
}

fn header_damage(file: &SegmentFile, epoch: &[u8; 16], next: Offset) -> Vec<Damage> {
    let what = match &file.header {
        Err(Bad::What(what)) => what.clone(),
        Err(Bad::Version(found)) => format!("format version {found}"), // refused when it was loaded
        Ok(_) => match file.misplaced(epoch) {
            Some(what) => what.to_owned(),
            None => return Vec::new(),
        },
    };
    // A segment of another place keeps none of its records; one with a bad header may keep all.
    let lost = if file.header.is_ok() { file.first..next } else { next..next };
    vec![Damage { file: file.path.clone(), position: 0, what, lost }]
}

fn of_hole(file: &SegmentFile, hole: &Hole, next: Offset) -> Damage {
    let Hole { position, what, lost } = hole.clone();
    let lost = lost.start.min(next)..lost.end.min(next);
    Damage { file: file.path.clone(), position, what, lost }
}
