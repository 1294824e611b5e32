//! What is known of one camera's footage: its files in memory, their groups in the day's index.
//!
//! Memory holds one [`Segment`] per file, some hundred bytes a minute; the groups of a file are
//! fixed-size records read from the index when they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use vong_media::{Codec, GopEntry, VideoParameters, read_file_head, scan_gops};
use vong_model::{CameraId, EventTime};
use vong_telemetry::{Classify as _, Kind};

use crate::heads_file::{self, Heads};
use crate::holds::Hold;
use crate::index_file::{self, Fact, Record};
use crate::layout::{self, Day};
use crate::media_file::reader;
use crate::{Error, FootageMetrics};

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
    /// Where its heads lie in the day's copies.
    pub(crate) heads: Option<Range<u64>>,
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
            heads: None,
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

    /// From the first recorded instant to the last. Clocks that were set back aside, files are in the
    /// order of their names.
    pub(crate) fn span(&self) -> Option<(EventTime, EventTime)> {
        let (_, first) = self.segments.first_key_value()?;
        let (_, last) = self.segments.last_key_value()?;
        Some((first.start, last.end.max(first.end)))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of files that a hold in force keeps.
    pub(crate) fn held_bytes(&self, camera: &CameraId, holds: &[Hold], now: EventTime) -> u64 {
        let mut held: BTreeMap<i64, u64> = BTreeMap::new();
        for hold in holds.iter().filter(|hold| hold.request.camera_id == *camera) {
            let (earliest, latest) = self.names_near(hold.request.from, hold.request.to);
            if earliest > latest {
                continue;
            }
            let near = self.segments.range(earliest..=latest).map(|(_, segment)| segment);
            let kept = near.filter(|file| hold.protects(camera, (file.start, file.end), now));
            held.extend(kept.map(|file| (file.name_ms, file.bytes)));
        }
        held.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// One camera's directory.
#[derive(Debug)]
pub(crate) struct CameraStore {
    pub(crate) camera: CameraId,
    pub(crate) dir: PathBuf,
    pub(crate) state: Mutex<CameraState>,
    pub(crate) metrics: FootageMetrics,
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

    /// The groups of a file, in order. Where its index cannot be read, those that the file tells of
    /// itself; what neither knows is missing, and counted.
    pub(crate) fn gops(&self, segment: &Segment) -> Result<Vec<GopEntry>, Error> {
        let path = layout::index_path(&self.dir, Day::of_name(segment.name_ms));
        let (records, whole) = match index_file::read_range(&path, segment.records.clone()) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::io("read", &path, error)); // retention took its day
            }
            Err(error) => {
                tracing::warn!(index = %path.display(), %error, "reading the footage itself");
                (Vec::new(), false)
            }
        };
        let own = records.into_iter().filter(|record| record.name_ms == segment.name_ms);
        let mut gops: Vec<GopEntry> = own
            .filter_map(|record| match record.fact {
                Fact::Gop(gop) => Some(gop),
                Fact::Closed { .. } | Fact::Deleted => None,
            })
            .collect();
        if !whole {
            self.metrics.damage.with_label_values(&["index"]).inc();
            let known: BTreeSet<u64> = gops.iter().map(|gop| gop.offset).collect();
            match self.scan(segment) {
                Ok(found) => {
                    let missing = found.into_iter().filter(|gop| !known.contains(&gop.offset));
                    gops.extend(missing);
                    gops.sort_by_key(|gop| gop.offset);
                }
                Err(error) if error.kind() == Kind::NotFound => return Err(error),
                Err(error) => {
                    // The rest of the camera's footage must not be lost for it.
                    self.metrics.damage.with_label_values(&["file"]).inc();
                    tracing::warn!(camera = %self.camera, %error, "footage cannot be read");
                }
            }
        }
        Ok(gops)
    }

    /// Copies the heads of a file that ends to those of its day; gives where they lie.
    pub(crate) fn copy_heads(&self, segment: &Segment, footage: &File) -> Option<Range<u64>> {
        let path = layout::heads_path(&self.dir, Day::of_name(segment.name_ms));
        let groups = self.gops(segment).ok()?;
        heads_file::append(&path, footage, &groups).unwrap_or_else(|error| {
            // Clips of it take longer to lay out, and nothing else.
            tracing::warn!(file = %path.display(), %error, "heads of footage are not copied");
            None
        })
    }

    /// The heads of a closed file with these `groups`, if there is a copy of them.
    pub(crate) fn heads(&self, segment: &Segment, groups: &[GopEntry]) -> Option<Heads> {
        let path = layout::heads_path(&self.dir, Day::of_name(segment.name_ms));
        Heads::read(&path, segment.heads.as_ref()?, groups)
    }

    /// The groups of a file by their own heads, up to the first that is damaged.
    fn scan(&self, segment: &Segment) -> Result<Vec<GopEntry>, Error> {
        let path = layout::file_path(&self.dir, segment.name_ms);
        let file = File::open(&path).map_err(|source| Error::io("open", &path, source))?;
        let (_facts, first) =
            read_file_head(&mut reader(&file)).map_err(|error| Error::read(&path, error))?;
        let scan = scan_gops(&mut reader(&file), first, segment.bytes)
            .map_err(|source| Error::io("read", &path, source))?;
        Ok(scan.gops)
    }
}
