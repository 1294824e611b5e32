//! Verifies a footage directory and says what is wrong, changing nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use vong_media::{GopEntry, read_file_head, read_gop_head, scan_gops};
use vong_model::CameraId;

use crate::Error;
use crate::chain::{Link, payload_hash};
use crate::index_file::{self, Fact};
use crate::layout;
use crate::media_file::{read_at, reader};
use crate::recover;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Indexes and the heads of groups.
    Structure,
    /// Every byte, against the hashes taken when it was received.
    Hashes,
}

/// What was verified and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    pub cameras: u64,
    pub files: u64,
    pub gops: u64,
    /// Bytes of frames whose hash was verified.
    pub verified_bytes: u64,
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    pub what: ProblemKind,
}

/// Kinds of things that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The index is missing, torn or damaged; opening the directory rebuilds it.
    IndexDamaged,
    /// The file was not closed, as after a crash or while recording; opening repairs it.
    NotClosed,
    /// The index knows the file, the disk does not, and retention did not delete it.
    FileMissing,
    /// The disk does not give the file, the index or the day.
    Unreadable,
    /// The file does not begin like footage of this camera.
    NotFootage,
    /// A group known to the index is not in the file, or the other way round.
    IndexDisagrees,
    /// A group's frames are not what was received; carries its number in the file, from 0.
    FramesChanged { gop: u32 },
    /// A group's facts are not what its hash was taken over, or the group before it is another
    /// one; carries its number in the file, from 0.
    ChainBroken { gop: u32 },
    /// Another group says that it came after the same one: one of the two was not recorded then, or
    /// put in since; carries its number in the file, from 0.
    ChainForked { gop: u32 },
}

/// Verifies the directory `dir`. May run beside a writer: a growing file is reported as not closed.
pub fn fsck(dir: &Path, depth: Depth) -> Result<FsckReport, Error> {
    fsck_with(dir, depth, &mut |_camera, _gop| {})
}

/// As [`fsck`]; shows every group that is on the disk to `seen`, by camera and file.
pub fn fsck_with(
    dir: &Path,
    depth: Depth,
    seen: &mut dyn FnMut(&CameraId, &GopEntry),
) -> Result<FsckReport, Error> {
    let mut report = FsckReport::default();
    for camera_dir in recover::list(dir)? {
        let name = camera_dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(camera) = layout::camera_of_dir(name).filter(|_| camera_dir.is_dir()) else {
            continue;
        };
        report.cameras += 1;
        let mut check = CameraCheck {
            camera: &camera,
            depth,
            report: &mut report,
            chained: BTreeSet::new(),
            links: Vec::new(),
            seen: &mut *seen,
        };
        check.days(&camera_dir);
    }
    Ok(report)
}

struct CameraCheck<'a> {
    camera: &'a CameraId,
    depth: Depth,
    report: &'a mut FsckReport,
    /// Of every group, deleted ones included.
    chained: BTreeSet<[u8; 32]>,
    /// What every group says came before it, oldest first.
    links: Vec<Came>,
    seen: &'a mut dyn FnMut(&CameraId, &GopEntry),
}

struct Came {
    path: PathBuf,
    gop: u32,
    after: [u8; 32],
}

impl CameraCheck<'_> {
    /// What cannot be read is named, and the rest verified.
    fn days(&mut self, camera_dir: &Path) {
        let Ok((days, unreadable)) = recover::days(camera_dir) else {
            return self.problem(camera_dir, ProblemKind::Unreadable);
        };
        unreadable.iter().for_each(|(day, _)| self.problem(day, ProblemKind::Unreadable));
        for (day_dir, names) in days {
            self.day(&day_dir, &names);
        }
        self.chain();
    }

    fn day(&mut self, day_dir: &Path, names: &BTreeSet<i64>) {
        let index_path = day_dir.join(layout::INDEX_NAME);
        let (records, complete) = match index_file::read_all(&index_path) {
            Ok(read) => read,
            Err(_unreadable) => {
                self.problem(&index_path, ProblemKind::Unreadable);
                (Vec::new(), true)
            }
        };
        if !complete {
            self.problem(&index_path, ProblemKind::IndexDamaged);
        }
        let mut known: BTreeMap<i64, Known> = BTreeMap::new();
        for record in records {
            let known = known.entry(record.name_ms).or_default();
            match record.fact {
                Fact::Gop(gop) => known.gops.push(gop),
                Fact::Closed { .. } => known.closed = true,
                Fact::Deleted => known.deleted = true,
            }
        }
        for name_ms in names {
            known.entry(*name_ms).or_default();
        }
        for (name_ms, known) in known {
            let path = day_dir.join(format!("{name_ms}.mp4"));
            if names.contains(&name_ms) {
                if self.file(&path, &known).is_err() {
                    self.problem(&path, ProblemKind::Unreadable);
                }
            } else {
                if !known.deleted {
                    self.problem(&path, ProblemKind::FileMissing);
                }
                self.chained.extend(known.gops.iter().map(|gop| gop.hashes.chained));
            }
        }
    }

    fn file(&mut self, path: &Path, known: &Known) -> Result<(), Error> {
        self.report.files += 1;
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let len = file.metadata().map_err(|source| Error::io("look at", path, source))?.len();
        if !known.closed {
            self.problem(path, ProblemKind::NotClosed);
        }
        let Ok((facts, first)) = read_file_head(&mut reader(&file)) else {
            self.problem(path, ProblemKind::NotFootage);
            return Ok(());
        };
        if facts.camera_id != self.camera.as_str() {
            self.problem(path, ProblemKind::NotFootage);
        }
        let scan = scan_gops(&mut reader(&file), first, len)
            .map_err(|source| Error::io("read", path, source))?;
        let grows = !known.closed && scan.gops.starts_with(&known.gops);
        if (scan.gops != known.gops || scan.torn.is_some()) && !grows {
            self.problem(path, ProblemKind::IndexDisagrees);
        }
        for (number, gop) in (0u32..).zip(&scan.gops) {
            self.gop(path, &file, &facts.parameters.sample_entry, (number, gop))?;
        }
        Ok(())
    }

    fn gop(
        &mut self,
        path: &Path,
        file: &File,
        sample_entry: &[u8],
        (number, gop): (u32, &GopEntry),
    ) -> Result<(), Error> {
        self.report.gops += 1;
        (self.seen)(self.camera, gop);
        let (_, frames) = read_gop_head(&mut reader(file), gop.offset)
            .map_err(|error| Error::read(path, error))?;
        let link = Link {
            camera: self.camera,
            sample_entry,
            start: gop.start,
            camera_time: gop.camera_time,
            lost_packets: gop.lost_packets,
            key: gop.key,
            frames: &frames,
        };
        if link.hashes(gop.hashes.previous, gop.hashes.payload) == gop.hashes {
            let after = gop.hashes.previous;
            self.links.push(Came { path: path.to_owned(), gop: number, after });
        } else {
            self.problem(path, ProblemKind::ChainBroken { gop: number });
        }
        self.chained.insert(gop.hashes.chained);
        if self.depth == Depth::Hashes {
            let len = usize::try_from(gop.payload_len).unwrap_or(usize::MAX);
            let payload = read_at(file, gop.payload_offset(), len)
                .map_err(|source| Error::io("read", path, source))?;
            if payload_hash([payload.as_ref()]) == gop.hashes.payload {
                self.report.verified_bytes += payload.len() as u64;
            } else {
                self.problem(path, ProblemKind::FramesChanged { gop: number });
            }
        }
        Ok(())
    }

    /// Every group but the oldest must come after one that is known, and after each comes one only.
    /// The order of names does not matter: a clock may have been set back.
    fn chain(&mut self) {
        let links = std::mem::take(&mut self.links);
        let mut after = BTreeSet::new();
        for link in &links {
            if !after.insert(link.after) {
                self.problem(&link.path, ProblemKind::ChainForked { gop: link.gop });
            }
        }
        for Came { path, gop, after } in links.into_iter().skip(1) {
            if !self.chained.contains(&after) {
                self.problem(&path, ProblemKind::ChainBroken { gop });
            }
        }
    }

    fn problem(&mut self, path: &Path, what: ProblemKind) {
        self.report.problems.push(Problem { path: path.to_owned(), what });
    }
}

#[derive(Default)]
struct Known {
    gops: Vec<GopEntry>,
    closed: bool,
    deleted: bool,
}
