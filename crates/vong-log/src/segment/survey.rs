//! Judges a whole segment file: what is intact, what a crash cut short, what is damaged.
//!
//! The line between a torn write and damage is what was durable: a bad place that lies in bytes
//! known to be synced is damage, whatever lies behind the last synced byte may be torn. What is
//! known comes from the caller and from later intact records, which say how much was synced when
//! they were written.

use std::ops::Range;
use std::path::Path;

use vong_model::Offset;

use super::{Scanner, Step, push_index};
use crate::Error;
use crate::disk::Disk;
use crate::format::{Frame, HEADER_BYTES, IndexEntry, Kind, RecordHeader, SegmentHeader};

/// What is to be judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) path: &'a Path,
    /// First offset, by the file's name.
    pub(crate) first: Offset,
    /// What records are checked with when the header is damaged.
    pub(crate) guess: Frame,
    /// So much of the file counts; `None`: all of it.
    pub(crate) end: Option<u64>,
    /// Bytes before this were durable; `u64::MAX` for a segment that has a successor.
    pub(crate) durable: u64,
}

/// What a whole walk over a segment found.
#[derive(Debug)]
pub(crate) struct Survey {
    /// `None` when it is damaged.
    pub(crate) header: Option<SegmentHeader>,
    /// Bytes up to the end of the last complete group.
    pub(crate) good_bytes: u64,
    pub(crate) file_bytes: u64,
    /// The offset after the last complete group.
    pub(crate) next: Offset,
    pub(crate) records: u64,
    pub(crate) rows: u64,
    pub(crate) appended_at: i64,
    pub(crate) index: Vec<IndexEntry>,
    pub(crate) sealed: bool,
    /// Damaged places that were passed.
    pub(crate) holes: Vec<Hole>,
    pub(crate) end: End,
}

/// A damaged place with intact records behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) position: u64,
    pub(crate) what: String,
    /// Empty when no record was hit.
    pub(crate) lost: Range<Offset>,
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Clean,
    /// A crash can explain the rest.
    Torn {
        why: String,
    },
    /// Nothing intact follows, and it was durable: offsets from [`Survey::next`] on are lost.
    Lost {
        position: u64,
        what: String,
    },
}

/// Walks a whole segment. `each` sees every intact record, also of a group that turns out torn; what
/// it objects to is a hole.
pub(crate) fn survey(
    disk: &dyn Disk,
    question: &Question<'_>,
    each: impl FnMut(&RecordHeader, &[u8]) -> Result<(), String>,
) -> Result<Survey, Error> {
    let Question { path, first, guess, end, durable } = *question;
    let scanner = Scanner::open(disk, path, end, &guess)?;
    let header = scanner.header().as_ref().ok().cloned();
    let found = Survey {
        good_bytes: scanner.end().min(HEADER_BYTES as u64),
        file_bytes: scanner.file_bytes(),
        next: first,
        records: 0,
        rows: 0,
        appended_at: header.as_ref().map_or(i64::MIN, |header| header.created_at),
        index: Vec::new(),
        sealed: false,
        holes: Vec::new(),
        end: End::Clean,
        header,
    };
    let walk = Walk {
        scanner,
        wanted_end: end,
        durable,
        evidence: None,
        group: Group::default(),
        found,
        each,
    };
    walk.run()
}

struct Walk<F> {
    scanner: Scanner,
    wanted_end: Option<u64>,
    durable: u64,
    /// [`Self::durable`] and what later records add to it, once that was looked for.
    evidence: Option<u64>,
    group: Group,
    found: Survey,
    each: F,
}

impl<F: FnMut(&RecordHeader, &[u8]) -> Result<(), String>> Walk<F> {
    fn run(mut self) -> Result<Survey, Error> {
        loop {
            let (position, what) = match self.step()? {
                Walked::Record => continue,
                Walked::End => break,
                Walked::Bad { position, what } => (position, what),
            };
            if !self.pass(position, what)? {
                return Ok(self.found);
            }
        }
        self.finish();
        Ok(self.found)
    }

    fn step(&mut self) -> Result<Walked, Error> {
        let Self { scanner, group, found, each, .. } = self;
        let (position, header, body) = match scanner.step()? {
            Step::Record { position, header, body } => (position, header, body),
            Step::End => return Ok(Walked::End),
            Step::Bad { position, what } => return Ok(Walked::Bad { position, what }),
        };
        if found.sealed {
            return Ok(Walked::Bad { position, what: "record after the seal".to_owned() });
        }
        if let Err(what) = group.check(&header, found.next) {
            return Ok(Walked::Bad { position, what });
        }
        let end = position + header.total_bytes();
        if header.kind == Kind::Seal {
            found.sealed = true;
            found.good_bytes = end;
            return Ok(Walked::Record);
        }
        if let Err(what) = each(&header, body) {
            let lost = header.offset..header.offset.next();
            found.holes.push(Hole { position, what, lost });
        }
        group.add(position, &header);
        if header.group_left == 0 {
            found.take(group, end);
        }
        Ok(Walked::Record)
    }

    /// Goes on behind a bad place if it is damage; false when the walk ends here.
    fn pass(&mut self, position: u64, what: String) -> Result<bool, Error> {
        let expected = self.expected();
        let evidence = self.evidence(position, expected)?;
        if position >= evidence {
            self.found.end = End::Torn { why: what };
            return Ok(false);
        }
        // Durable, so the group before it was whole once.
        self.found.take(&mut self.group, position);
        let Some((at, header)) = self.scanner.find_intact(position + 1, expected)? else {
            self.found.end = End::Lost { position, what };
            return Ok(false);
        };
        self.found.holes.push(Hole { position, what, lost: expected..header.offset });
        self.found.next = header.offset;
        self.scanner.seek(at);
        if at > evidence {
            // Part of the last write, whose beginning is not there: none of it ever happened.
            self.found.end = End::Torn { why: "append without its first record".to_owned() };
            return Ok(false);
        }
        Ok(true)
    }

    fn expected(&self) -> Offset {
        Offset(self.found.next.0 + self.group.count)
    }

    /// How many bytes are known to have been durable, by whoever says the most.
    fn evidence(&mut self, position: u64, expected: Offset) -> Result<u64, Error> {
        if self.durable == u64::MAX {
            return Ok(u64::MAX);
        }
        if let Some(evidence) = self.evidence {
            return Ok(evidence);
        }
        let (mut evidence, mut from) = (self.durable, position + 1);
        while let Some((at, header)) = self.scanner.find_intact(from, expected)? {
            evidence = evidence.max(u64::from(header.durable).min(at));
            from = at + header.total_bytes();
        }
        self.evidence = Some(evidence);
        Ok(evidence)
    }

    fn finish(&mut self) {
        let Self { scanner, wanted_end, durable, group, found, .. } = self;
        let short = wanted_end.is_some_and(|wanted| scanner.end() < wanted)
            || (*durable != u64::MAX && found.good_bytes < *durable);
        let unfinished = group.count > 0;
        found.end = if short || (unfinished && *durable == u64::MAX) {
            found.take(group, scanner.end());
            End::Lost { position: scanner.end(), what: "file is too short".to_owned() }
        } else if unfinished {
            End::Torn { why: "append without its last record".to_owned() }
        } else {
            End::Clean
        };
    }
}

enum Walked {
    Record,
    End,
    Bad { position: u64, what: String },
}

impl Survey {
    fn take(&mut self, group: &mut Group, end: u64) {
        let Group { count, rows, first_position, appended_at, .. } = std::mem::take(group);
        if count == 0 {
            return;
        }
        push_index(&mut self.index, self.next, first_position);
        self.good_bytes = end;
        self.next = Offset(self.next.0 + count);
        self.records += count;
        self.rows += rows;
        self.appended_at = appended_at;
    }
}

/// The records of one append seen so far.
#[derive(Debug, Default)]
struct Group {
    count: u64,
    rows: u64,
    left: u16,
    first_position: u64,
    appended_at: i64,
}

impl Group {
    fn check(&self, header: &RecordHeader, next: Offset) -> Result<(), String> {
        let expected = Offset(next.0 + self.count);
        if header.offset != expected {
            return Err(format!("record says offset {}, expected {expected}", header.offset));
        }
        let continues =
            header.kind != Kind::Seal && header.group_left.checked_add(1) == Some(self.left);
        if self.count > 0 && !continues {
            return Err("append without its last record".to_owned());
        }
        Ok(())
    }

    fn add(&mut self, position: u64, header: &RecordHeader) {
        if self.count == 0 {
            self.first_position = position;
        }
        self.count += 1;
        self.rows += u64::from(header.rows);
        self.left = header.group_left;
        self.appended_at = header.appended_at;
    }
}
