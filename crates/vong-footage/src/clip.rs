//! A clip: generated boxes and ranges of footage files, read as if it were one file.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use vong_media::{
    ClipForm, ClipGop, ClipPlan, Frame, Gap, GopEntry, Piece, VideoParameters, plan_clip,
    read_file_head, read_gop_head,
};
use vong_model::EventTime;

use crate::Error;
use crate::camera::{CameraStore, Segment};
use crate::heads_file::Heads;
use crate::layout;
use crate::media_file::{read_at, reader};

/// Files kept open for the life of a clip, so that retention cannot take them away half-read;
/// files beyond that are opened when they are read.
const KEPT_OPEN: usize = 64;

/// A clip, laid out; holds no frames. Reading blocks on the disk.
#[derive(Debug)]
pub struct Clip {
    plan: ClipPlan,
    /// Where each piece starts in the clip.
    starts: Vec<u64>,
    files: Vec<ClipFile>,
    /// As many as the plan's.
    groups: Vec<ClipGroup>,
    damaged: Vec<Gap>,
    etag: String,
}

/// A recorded group in a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipGroup {
    /// Path of the file it was recorded to, below the footage directory.
    pub file: Arc<str>,
    pub entry: GopEntry,
    /// As recorded, whatever the clip shows of them.
    pub frames: Vec<Frame>,
    pub parameters: Arc<VideoParameters>,
    /// Media time of its first frame in the clip, 1/90000 s.
    pub media_90k: u64,
}

#[derive(Debug)]
struct ClipFile {
    path: PathBuf,
    open: Option<File>,
}

impl ClipFile {
    fn with<T>(&self, read: impl FnOnce(&File) -> Result<T, Error>) -> Result<T, Error> {
        match &self.open {
            Some(file) => read(file),
            None => {
                let file = File::open(&self.path);
                read(&file.map_err(|source| Error::io("open", &self.path, source))?)
            }
        }
    }
}

impl Clip {
    pub(crate) fn open(
        store: &CameraStore,
        from: EventTime,
        to: EventTime,
        form: ClipForm,
    ) -> Result<Self, Error> {
        let segments = store.state.lock().overlapping(from, to);
        let mut gather = Gather::new(form);
        for segment in &segments {
            gather.add(store, segment, from, to)?;
        }
        let Gather { form: _, files, parameters, mut gops, entries, damaged } = gather;
        let plan = plan_clip(form, &parameters, &gops, from, to)
            .map_err(|source| Error::Clip { camera: store.camera.clone(), source })?;
        let mut starts = Vec::with_capacity(plan.pieces.len());
        let mut at = 0u64;
        for piece in &plan.pieces {
            starts.push(at);
            at = at.saturating_add(piece.len());
        }
        let etag = etag(&plan, &files);
        let mut groups = Vec::with_capacity(plan.gops.len());
        for planned in &plan.gops {
            if let (Some((file, entry)), Some(given)) =
                (entries.get(planned.index), gops.get_mut(planned.index))
            {
                let description = usize::try_from(given.description).unwrap_or(usize::MAX);
                let Some(parameters) = parameters.get(description) else { continue };
                groups.push(ClipGroup {
                    file: Arc::clone(file),
                    entry: *entry,
                    frames: std::mem::take(&mut given.frames),
                    parameters: Arc::clone(parameters),
                    media_90k: planned.media_90k,
                });
            }
        }
        Ok(Self { plan, starts, files, groups, damaged, etag })
    }

    /// Bytes of the whole clip.
    pub fn total_len(&self) -> u64 {
        self.plan.total_len
    }

    /// A strong validator, quotes included: equal tags mean equal bytes, of the head by its length
    /// and a checksum. Asking later for an interval that was still being recorded gives another one.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    pub fn content_type(&self) -> &'static str {
        "video/mp4"
    }

    /// Wall clock of the first frame shown.
    pub fn start(&self) -> EventTime {
        self.plan.start
    }

    /// Wall clock after the last frame shown.
    pub fn end(&self) -> EventTime {
        self.plan.end
    }

    /// What a player plays, 1/90000 s.
    pub fn duration_90k(&self) -> u64 {
        self.plan.duration_90k
    }

    /// Frames shown.
    pub fn frames(&self) -> u64 {
        self.plan.frames
    }

    /// Media time of the first frame shown, 1/90000 s.
    pub fn edit_start_90k(&self) -> u64 {
        self.plan.edit_start_90k
    }

    /// The groups it is made of, in order. Their frames stand one after the other at the end of the
    /// file; in [`ClipForm::WholeGroups`] all of them.
    pub fn groups(&self) -> &[ClipGroup] {
        &self.groups
    }

    /// What of the asked interval was not recorded (or not yet).
    pub fn gaps(&self) -> &[Gap] {
        &self.plan.gaps
    }

    /// Recorded groups that the disk does not give any more as they were, and that are therefore not in
    /// it, oldest first: what there is of them lies inside [`Self::gaps`].
    pub fn damaged(&self) -> &[Gap] {
        &self.damaged
    }

    /// The bytes of `range`, fewer only where the clip ends. Memory use is the range's length:
    /// ask for some hundred kilobytes at a time.
    pub fn read_range(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let end = range.end.min(self.plan.total_len);
        let len = usize::try_from(end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut out = Vec::with_capacity(len);
        let mut at = range.start;
        let mut index = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        while at < end {
            let (Some(piece), Some(start)) = (self.plan.pieces.get(index), self.starts.get(index))
            else {
                break;
            };
            let inside = at.saturating_sub(*start);
            let wanted = piece.len().saturating_sub(inside).min(end.saturating_sub(at));
            self.read_piece(piece, inside, wanted, &mut out)?;
            at = at.saturating_add(wanted);
            index = index.saturating_add(1);
        }
        Ok(Bytes::from(out))
    }

    fn read_piece(
        &self,
        piece: &Piece,
        inside: u64,
        wanted: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let len = usize::try_from(wanted).unwrap_or(usize::MAX);
        match piece {
            Piece::Generated(bytes) => {
                let from = usize::try_from(inside).unwrap_or(usize::MAX);
                let part = bytes.get(from..from.saturating_add(len)).unwrap_or_default();
                out.extend_from_slice(part);
                Ok(())
            }
            Piece::File { file, offset, len: _ } => {
                let index = usize::try_from(*file).unwrap_or(usize::MAX);
                let file = self.files.get(index).expect("the plan numbers only files it was given");
                let bytes = file.with(|open| {
                    read_at(open, offset.saturating_add(inside), len)
                        .map_err(|source| Error::io("read", &file.path, source))
                })?;
                if bytes.len() < len {
                    return Err(Error::Contradiction { path: file.path.clone() });
                }
                out.extend_from_slice(&bytes);
                Ok(())
            }
        }
    }
}

/// Collects what the layout of a clip needs from the files it touches.
#[derive(Debug)]
struct Gather {
    form: ClipForm,
    files: Vec<ClipFile>,
    parameters: Vec<Arc<VideoParameters>>,
    gops: Vec<ClipGop>,
    /// As many as `gops`: file as told in the log, and what the index knows.
    entries: Vec<(Arc<str>, GopEntry)>,
    /// Groups left out.
    damaged: Vec<Gap>,
}

impl Gather {
    fn new(form: ClipForm) -> Self {
        Self {
            form,
            files: Vec::new(),
            parameters: Vec::new(),
            gops: Vec::new(),
            entries: Vec::new(),
            damaged: Vec::new(),
        }
    }

    fn add(
        &mut self,
        store: &CameraStore,
        segment: &Segment,
        from: EventTime,
        to: EventTime,
    ) -> Result<(), Error> {
        let entries = store.gops(segment)?;
        let wanted = needed(&entries, from, to);
        let needed = entries.get(wanted.clone()).unwrap_or_default();
        if needed.is_empty() {
            return Ok(());
        }
        let path = layout::file_path(&store.dir, segment.name_ms);
        let open = match File::open(&path) {
            Ok(open) => open,
            // Retention took it between our look at the list and now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                self.leave_out(needed, &Error::io("open", &path, source));
                return Ok(());
            }
        };
        // Evidence goes by the footage alone.
        let may_copy = self.form != ClipForm::WholeGroups && holds(&open, needed);
        let copy = may_copy.then(|| store.heads(segment, &entries)).flatten();
        let heads = FileHeads { open: &open, path: &path, copy };
        let parameters = match heads.parameters() {
            Ok(parameters) => parameters,
            Err(error) => {
                self.leave_out(needed, &error);
                return Ok(());
            }
        };
        let description = self.describe(parameters);
        let file = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let told: Arc<str> = layout::relative_path(&store.camera, segment.name_ms).into();
        for (number, entry) in wanted.zip(needed) {
            let frames = match heads.frames(number, entry) {
                Ok(frames) => frames,
                Err(error) => {
                    self.leave_out(std::slice::from_ref(entry), &error);
                    continue;
                }
            };
            self.entries.push((Arc::clone(&told), *entry));
            self.gops.push(ClipGop {
                file,
                description,
                start: entry.start,
                key: entry.key,
                payload_offset: entry.payload_offset(),
                frames,
            });
        }
        let open = (self.files.len() < KEPT_OPEN).then_some(open);
        self.files.push(ClipFile { path, open });
        Ok(())
    }

    /// One damaged group must not keep the others from whoever needs them.
    fn leave_out(&mut self, groups: &[GopEntry], error: &Error) {
        tracing::warn!(groups = groups.len(), %error, "damaged footage is left out of a clip");
        self.damaged.extend(groups.iter().map(|gop| Gap { from: gop.start, to: gop.end() }));
    }

    fn describe(&mut self, parameters: Arc<VideoParameters>) -> u32 {
        let known = self.parameters.iter().position(|known| *known == parameters);
        let index = known.unwrap_or_else(|| {
            self.parameters.push(parameters);
            self.parameters.len().saturating_sub(1)
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}

/// What a file says of itself and of its groups: by the copy as far as that goes, else by the file.
struct FileHeads<'a> {
    open: &'a File,
    path: &'a Path,
    copy: Option<Heads>,
}

impl FileHeads<'_> {
    fn parameters(&self) -> Result<Arc<VideoParameters>, Error> {
        if let Some(copy) = &self.copy {
            return Ok(Arc::clone(&copy.parameters));
        }
        let head = read_file_head(&mut reader(self.open));
        head.map(|(facts, _first)| facts.parameters).map_err(|error| Error::read(self.path, error))
    }

    /// The frame table of group `number` of the file, if its head is still what the index knows.
    fn frames(&self, number: usize, entry: &GopEntry) -> Result<Vec<Frame>, Error> {
        if let Some(frames) = self.copy.as_ref().and_then(|copy| copy.frames(number, entry)) {
            return Ok(frames);
        }
        let found = read_gop_head(&mut reader(self.open), entry.offset);
        let (found, frames) = found.map_err(|error| Error::read(self.path, error))?;
        if found != *entry {
            return Err(Error::Contradiction { path: self.path.to_owned() });
        }
        Ok(frames)
    }
}

/// Whether the file is as long as these groups need it.
fn holds(open: &File, groups: &[GopEntry]) -> bool {
    let end = groups.last().map_or(0, GopEntry::end_offset);
    open.metadata().is_ok_and(|metadata| metadata.len() >= end)
}

/// The groups of one file that a clip of `[from, to)` needs: back to a key frame.
fn needed(entries: &[GopEntry], from: EventTime, to: EventTime) -> Range<usize> {
    let Some(mut first) = entries.iter().position(|gop| gop.end() > from && gop.start < to) else {
        return 0..0;
    };
    while first > 0 && entries.get(first).is_some_and(|gop| !gop.key) {
        first = first.saturating_sub(1);
    }
    let end = entries.partition_point(|gop| gop.start < to);
    first..end
}

/// Footage is only ever appended to, so the ranges say what their bytes are. The generated head
/// follows from them and from what was asked; of an hour it is half a megabyte, so that a checksum
/// must do.
fn etag(plan: &ClipPlan, files: &[ClipFile]) -> String {
    let mut hash = Sha256::new();
    let mut before = None;
    for piece in &plan.pieces {
        match piece {
            Piece::Generated(bytes) => {
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(crc32c::crc32c(bytes).to_be_bytes());
            }
            Piece::File { file, offset, len } => {
                if before != Some(*file) {
                    let place = usize::try_from(*file).ok().and_then(|index| files.get(index));
                    let path = place.map(|file| file.path.as_os_str().as_encoded_bytes());
                    hash.update(path.unwrap_or_default());
                    before = Some(*file);
                }
                hash.update(offset.to_be_bytes());
                hash.update(len.to_be_bytes());
            }
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
