//! What is known of one camera's footage: its files in memory, their groups in the day's index.
//!
//! Memory holds one [`Segment`] per file, some hundred bytes a minute; the groups of a file are
//! fixed-size records read from the index when they are asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use vong_media::{Codec, GAP_TOLERANCE, Gap, GopEntry, VideoParameters};
use vong_model::{CameraId, EventTime};

use crate::Error;
use crate::index_file::{self, Fact, Record};
use crate::layout::{self, Day};

/// A complete footage file, as the log tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedSegment {
    pub camera_id: CameraId,
    /// Path below the footage directory.
    pub file: String,
    /// Instant of the first frame.
    pub start: EventTime,
    /// Instant after the last frame.
    pub end: EventTime,
    pub codec: Codec,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    pub frames: u32,
    pub gops: u32,
    /// Size of the file.
    pub bytes: u64,
    pub lost_packets: u64,
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) name_ms: i64,
    pub(crate) start: EventTime,
    pub(crate) end: EventTime,
    /// Up to here the file holds whole groups.
    pub(crate) bytes: u64,
    pub(crate) frames: u32,
    pub(crate) gops: u32,
    pub(crate) lost_packets: u64,
    /// No more is written to it.
    pub(crate) closed: bool,
    /// Its records in the day's index; other files' may lie between.
    pub(crate) records: Range<u64>,
}

impl Segment {
    pub(crate) fn new(name_ms: i64, start: EventTime, record: u64) -> Self {
        Self {
            name_ms,
            start,
            end: start,
            bytes: 0,
            frames: 0,
            gops: 0,
            lost_packets: 0,
            closed: false,
            records: record..record,
        }
    }

    pub(crate) fn add(&mut self, gop: &GopEntry, record: u64) {
        self.end = gop.end();
        self.bytes = gop.end_offset();
        self.frames = self.frames.saturating_add(gop.frames);
        self.gops = self.gops.saturating_add(1);
        self.lost_packets = self.lost_packets.saturating_add(u64::from(gop.lost_packets));
        self.records.end = record.saturating_add(1);
    }

    pub(crate) fn told(&self, camera: &CameraId, parameters: &VideoParameters) -> ClosedSegment {
        ClosedSegment {
            camera_id: camera.clone(),
            file: layout::relative_path(camera, self.name_ms),
            start: self.start,
            end: self.end,
            codec: parameters.codec,
            width: parameters.width,
            height: parameters.height,
            frames: self.frames,
            gops: self.gops,
            bytes: self.bytes,
            lost_packets: self.lost_packets,
        }
    }
}

/// All files of one camera, by name.
#[derive(Debug, Default)]
pub(crate) struct CameraState {
    pub(crate) segments: BTreeMap<i64, Segment>,
    /// Records in each day's index.
    pub(crate) days: BTreeMap<Day, u64>,
    /// Of the last group written.
    pub(crate) last_hash: [u8; 32],
    /// The longest file so far: how far before an instant a file that holds it can begin.
    pub(crate) longest: Duration,
    /// A writer exists.
    pub(crate) writing: bool,
}

impl CameraState {
    /// Files that hold something of `[from, to)`, oldest first.
    pub(crate) fn overlapping(&self, from: EventTime, to: EventTime) -> Vec<Segment> {
        let (earliest, latest) = self.names_near(from, to);
        if earliest > latest {
            return Vec::new();
        }
        let near = self.segments.range(earliest..=latest);
        let mut found: Vec<Segment> = near
            .map(|(_, segment)| segment)
            .filter(|segment| segment.start < to && segment.end > from)
            .cloned()
            .collect();
        found.sort_by_key(|segment| (segment.start, segment.name_ms));
        found
    }

    /// At most `most` of the files that hold something of `[from, to)`, by name, behind `after`.
    pub(crate) fn some_overlapping(
        &self,
        after: Option<i64>,
        (from, to): (EventTime, EventTime),
        most: usize,
    ) -> Vec<Segment> {
        let (earliest, latest) = self.names_near(from, to);
        let earliest = after.map_or(earliest, |after| earliest.max(after.saturating_add(1)));
        if earliest > latest {
            return Vec::new();
        }
        let near = self.segments.range(earliest..=latest).map(|(_, segment)| segment);
        let inside = near.filter(|segment| segment.start < to && segment.end > from);
        inside.take(most).cloned().collect()
    }

    /// Files with names outside of this hold nothing of `[from, to)`.
    fn names_near(&self, from: EventTime, to: EventTime) -> (i64, i64) {
        // A name may be later than the start by the few milliseconds that made it unique.
        let slack = self.longest.saturating_add(Duration::from_secs(2));
        let latest = to.saturating_add(Duration::from_secs(2)).millis();
        (from.saturating_sub(slack).millis(), latest)
    }

    pub(crate) fn note_length(&mut self, name_ms: i64) {
        if let Some(segment) = self.segments.get(&name_ms) {
            self.longest = self.longest.max(segment.end.since(segment.start));
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).fold(0, u64::saturating_add)
    }
}

/// One camera's directory.
#[derive(Debug)]
pub(crate) struct CameraStore {
    pub(crate) camera: CameraId,
    pub(crate) dir: PathBuf,
    pub(crate) state: Mutex<CameraState>,
}

impl CameraStore {
    /// Appends to the index of the file's day; gives the number of the first record appended.
    pub(crate) fn append(
        &self,
        state: &mut CameraState,
        name_ms: i64,
        facts: Vec<Fact>,
    ) -> Result<u64, Error> {
        let day = Day::of_name(name_ms);
        let path = layout::index_path(&self.dir, day);
        let existing = state.days.get(&day).copied().unwrap_or(0);
        let records: Vec<Record> = facts.into_iter().map(|fact| Record { name_ms, fact }).collect();
        index_file::append(&path, existing, &records)
            .map_err(|source| Error::io("append to", &path, source))?;
        state.days.insert(day, existing.saturating_add(records.len() as u64));
        Ok(existing)
    }

    /// The groups of a file, in order.
    pub(crate) fn gops(&self, segment: &Segment) -> Result<Vec<GopEntry>, Error> {
        let path = layout::index_path(&self.dir, Day::of_name(segment.name_ms));
        let records = index_file::read_range(&path, segment.records.clone())
            .map_err(|source| Error::io("read", &path, source))?;
        let own = records.into_iter().filter(|record| record.name_ms == segment.name_ms);
        Ok(own
            .filter_map(|record| match record.fact {
                Fact::Gop(gop) => Some(gop),
                Fact::Closed | Fact::Deleted => None,
            })
            .collect())
    }

    /// What of `[from, to)` was not recorded. Files have no holes inside.
    pub(crate) fn gaps(&self, from: EventTime, to: EventTime) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut covered = from;
        let mut note = |covered: EventTime, start: EventTime| {
            if start.since(covered) > GAP_TOLERANCE {
                gaps.push(Gap { from: covered, to: start });
            }
        };
        for segment in self.state.lock().overlapping(from, to) {
            note(covered, segment.start);
            covered = covered.max(segment.end);
        }
        note(covered, to);
        gaps
    }
}
