//! Reading: from the tail in memory, or from a file, record by record, with every check.
//!
//! A bad place is never passed over: the reader who asks for what it held is told which offsets are
//! lost and why; the one who asks for what lies behind it gets that.

use std::io;
use std::ops::Range;

use arrow::buffer::Buffer;
use vong_model::{EventTime, Offset};

use super::{Sealed, Shared, State};
use crate::codec;
use crate::damage::Damage;
use crate::format::{HEADER_BYTES, Kind, RecordHeader};
use crate::segment::{self, Scanner, Step};
use crate::{Error, Record};

/// The part of one segment in which an offset is to be found.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// First offset of the segment.
    first: Offset,
    /// The offset after its last one.
    next: Offset,
    /// Byte to begin at, and the offset of the record there.
    start: (u64, Offset),
    end: u64,
}

/// What a reader wants.
#[derive(Clone, Copy, Debug)]
struct Wish {
    from: Offset,
    max_bytes: usize,
}

impl Shared {
    pub(super) fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>, Error> {
        let place = {
            let state = self.state.read();
            let floor = state.floor();
            if from < floor {
                return Err(Error::Trimmed { from, floor });
            }
            if from >= state.head {
                return Ok(Vec::new());
            }
            if state.tail.first().is_some_and(|first| first <= from) {
                return Ok(state.tail.read(from, max_bytes));
            }
            Place::of(&state, from)
        };
        // Without the lock: appends and other readers go on while this one waits for the disk.
        let read = self.read_file(place, Wish { from, max_bytes });
        let floor = self.state.read().floor();
        match read {
            Ok(Found::Records(records)) => Ok(records),
            _ if from < floor => Err(Error::Trimmed { from, floor }), // trimmed meanwhile
            Ok(Found::Damage(damage)) => {
                self.quarantine(place.first, &damage);
                // What was found at the start says more than where its traces end.
                let known = self.quarantine.lock().of(place.first, from);
                Err(known.unwrap_or(damage).error())
            }
            Err(error) => Err(error),
        }
    }

    fn read_file(&self, place: Place, wish: Wish) -> Result<Found, Error> {
        let path = segment::path_of(&self.dir, place.first);
        let whole = |what: &str| {
            let lost = place.first..place.next;
            Ok(Found::Damage(Damage {
                file: path.clone(),
                position: 0,
                what: what.to_owned(),
                lost,
            }))
        };
        let scanner = match Scanner::open(&*self.disk, &path, Some(place.end), &self.frame) {
            Ok(scanner) => scanner,
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return whole("segment file is missing");
            }
            Err(error) => return Err(error),
        };
        if let Ok(header) = scanner.header()
            && (header.epoch, header.first) != (self.frame.epoch, place.first)
        {
            return whole("segment is not the one that was written here");
        }
        let (position, expected) = place.start;
        let mut walk = Walk { scanner, place, expected, records: Vec::new(), bytes: 0 };
        walk.scanner.seek(position);
        match walk.run(wish)? {
            Ended::Enough => Ok(Found::Records(walk.records)),
            Ended::Lost { position, what, lost } => {
                Ok(Found::Damage(Damage { file: path, position, what, lost }))
            }
        }
    }
}

impl Place {
    /// Where to begin to find `from`, which lies between floor and head.
    fn of(state: &State, from: Offset) -> Self {
        let before = state.sealed.partition_point(|segment| segment.next <= from);
        let (first, next, end, index) = match state.sealed.get(before) {
            Some(Sealed { first, next, bytes, index, .. }) => (*first, *next, *bytes, &index[..]),
            None => {
                let active = &state.active;
                (active.first, state.head, active.durable_bytes, &active.index[..])
            }
        };
        let entry = index.partition_point(|entry| entry.offset <= from).checked_sub(1);
        let start = entry
            .and_then(|entry| index.get(entry))
            .map_or((HEADER_BYTES as u64, first), |e| (u64::from(e.position), e.offset));
        Self { first, next, start, end }
    }
}

enum Found {
    Records(Vec<Record>),
    Damage(Damage),
}

enum Ended {
    Enough,
    Lost { position: u64, what: String, lost: Range<Offset> },
}

struct Walk {
    scanner: Scanner,
    place: Place,
    /// The offset that comes next.
    expected: Offset,
    records: Vec<Record>,
    bytes: usize,
}

impl Walk {
    fn run(&mut self, wish: Wish) -> Result<Ended, Error> {
        loop {
            let (position, what) = match self.step(wish)? {
                Stepped::On => continue,
                Stepped::Enough => return Ok(Ended::Enough),
                Stepped::Bad { position, what } => (position, what),
            };
            if !self.records.is_empty() {
                return Ok(Ended::Enough); // whoever reads on here will be told
            }
            let behind = self.scanner.find_intact(position + 1, self.expected)?;
            let behind = behind.filter(|(_, header)| header.offset <= self.place.next);
            let until = behind.map_or(self.place.next, |(_, header)| header.offset);
            match behind {
                Some((at, _)) if until <= wish.from => {
                    self.expected = until;
                    self.scanner.seek(at);
                }
                _ => return Ok(Ended::Lost { position, what, lost: self.expected..until }),
            }
        }
    }

    fn step(&mut self, wish: Wish) -> Result<Stepped, Error> {
        let Self { scanner, place, expected, records, bytes } = self;
        if *expected >= place.next {
            return Ok(Stepped::Enough);
        }
        let end = scanner.end();
        let (position, header, body) = match scanner.step()? {
            Step::Record { position, header, body } => (position, header, body),
            Step::Bad { position, what } => return Ok(Stepped::Bad { position, what }),
            Step::End => {
                let what = format!("segment ends before offset {expected}");
                return Ok(Stepped::Bad { position: end, what });
            }
        };
        let RecordHeader { kind, offset, appended_at, rows, .. } = header;
        let Kind::Batch(stream) = kind else {
            let what = format!("segment is sealed before offset {expected}");
            return Ok(Stepped::Bad { position, what });
        };
        if offset != *expected {
            let what = format!("record says offset {offset}, expected {expected}");
            return Ok(Stepped::Bad { position, what });
        }
        if offset >= wish.from {
            if !records.is_empty() && bytes.saturating_add(body.len()) > wish.max_bytes {
                return Ok(Stepped::Enough);
            }
            *bytes = bytes.saturating_add(body.len());
            let batch = match codec::from_ipc(stream, Buffer::from(body)) {
                Ok(batch) if batch.num_rows() as u64 == u64::from(rows) => batch,
                Ok(_) => return Ok(Stepped::bad(position, "record has another number of rows")),
                Err(e) => return Ok(Stepped::bad(position, &format!("record body: {e}"))),
            };
            let appended_at = EventTime::from_micros(appended_at);
            records.push(Record { offset, appended_at, stream, batch });
        }
        *expected = offset.next();
        Ok(Stepped::On)
    }
}

enum Stepped {
    On,
    Enough,
    Bad { position: u64, what: String },
}

impl Stepped {
    fn bad(position: u64, what: &str) -> Self {
        Self::Bad { position, what: what.to_owned() }
    }
}
