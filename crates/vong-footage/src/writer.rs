//! Writes one camera's groups: one write per group, a new file about every minute.
//!
//! Order of effects: media, then index, then memory. A group is given out only once all three have
//! it; if one fails the ones before are undone, and the group is not counted as recorded.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vong_media::{
    FileFacts, Gop, GopEntry, TICKS_PER_SECOND, VideoParameters, encode_file_head, encode_gop_head,
    ticks_between, wall_after,
};
use vong_model::{CameraId, EventTime};
use vong_runtime::UnixMicros;
use vong_telemetry::{Classify as _, Kind};

use crate::Error;
use crate::camera::{CameraStore, ClosedSegment, Segment};
use crate::chain::{Link, payload_hash};
use crate::footage::Shared;
use crate::index_file::{self, Fact};
use crate::layout::{self, Day};

/// A group that starts this far from where the last one ended starts a new file, so that inside a
/// file wall time is start plus media time.
const SEAMLESS_90K: u64 = TICKS_PER_SECOND as u64 / 1_000;

/// Writes the footage of one camera; there is one per camera at a time. Blocks on the disk.
#[derive(Debug)]
pub struct CameraWriter {
    shared: Arc<Shared>,
    store: Arc<CameraStore>,
    open: Option<OpenFile>,
    closed: Vec<ClosedSegment>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    path: PathBuf,
    name_ms: i64,
    slot: i64,
    start: EventTime,
    parameters: Arc<VideoParameters>,
    len: u64,
    media_90k: u64,
    sequence: u32,
    synced_at: UnixMicros,
}

impl CameraWriter {
    pub(crate) fn new(shared: Arc<Shared>, store: Arc<CameraStore>) -> Self {
        Self { shared, store, open: None, closed: Vec::new() }
    }

    pub fn camera(&self) -> &CameraId {
        &self.store.camera
    }

    /// Writes one group. Starts a new file where the minute ends, where parameters change and where
    /// the group does not follow the one before it.
    ///
    /// On error the group is lost and counted, unless it was only not made durable in time (then its
    /// file is looked at again at the next start); the next one may be pushed all the same.
    pub fn push(&mut self, gop: &Gop) -> Result<(), Error> {
        let result = self.try_push(gop);
        let dropped = |reason| self.shared.metrics.gops_dropped.with_label_values(&[reason]).inc();
        match result {
            Ok(true) => {
                self.shared.metrics.gops_written.inc();
                self.shared.metrics.bytes_written.inc_by(gop.payload_len());
                self.sync_if_due()
            }
            Ok(false) => {
                dropped("no_key_frame");
                Ok(())
            }
            Err(error) => {
                let full = error.kind() == Kind::Exhausted;
                dropped(if full { "disk_full" } else { "write_failed" });
                Err(error)
            }
        }
    }

    /// Ends the current file, if there is one: the camera was lost, or the process stops.
    pub fn close(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let OpenFile { file, path, name_ms, parameters, .. } = open;
        file.sync_data().map_err(|source| Error::io("sync", &path, source))?;
        let segment = self.store.state.lock().segments.get(&name_ms).cloned();
        let heads = segment.and_then(|segment| self.store.copy_heads(&segment, &file));
        let mut state = self.store.state.lock();
        // Only a durable file may be called closed: nobody looks for a torn tail in it again.
        self.store.append(&mut state, name_ms, vec![Fact::Closed { heads: heads.clone() }])?;
        state.note_length(name_ms);
        if let Some(segment) = state.segments.get_mut(&name_ms) {
            segment.closed = true;
            segment.heads = heads;
            self.closed.push(segment.told(&self.store.camera, &parameters));
        }
        drop(state);
        let index = layout::index_path(&self.store.dir, Day::of_name(name_ms));
        index_file::sync(&index).map_err(|source| Error::io("sync", &index, source))?;
        self.shared.metrics.files_closed.inc();
        Ok(())
    }

    /// Files that were completed since the last call; each is told once.
    pub fn take_closed(&mut self) -> Vec<ClosedSegment> {
        std::mem::take(&mut self.closed)
    }

    /// From here on the disk takes what it is given and fails to sync it.
    #[cfg(test)]
    pub(crate) fn break_disk(&mut self) {
        if let Some(open) = &mut self.open {
            open.file = OpenOptions::new().write(true).open("/dev/null").expect("it is there");
        }
    }

    /// True if it was written, false if nothing can be decoded from it.
    fn try_push(&mut self, gop: &Gop) -> Result<bool, Error> {
        let slot = self.shared.slot(&self.store.camera, gop.start);
        if self.open.as_ref().is_some_and(|open| !open.continues_with(gop, slot)) {
            self.close()?;
        }
        let mut head = Vec::new();
        let mut open = match self.open.take() {
            Some(open) => open,
            None if !gop.key => return Ok(false),
            None => {
                let (open, file_head) = self.create(gop, slot)?;
                head = file_head;
                open
            }
        };
        let room = self.shared.check_room();
        let result = room.and_then(|()| self.write(&mut open, &head, gop));
        if result.is_ok() || open.undo().is_ok() {
            // A file in which nothing was written yet must not stay behind.
            if open.sequence == 0 {
                drop(std::fs::remove_file(&open.path)); // at worst found empty at the next start
            } else {
                self.open = Some(open);
            }
        }
        result.map(|()| true)
    }

    fn create(&self, gop: &Gop, slot: i64) -> Result<(OpenFile, Vec<u8>), Error> {
        let facts = FileFacts {
            camera_id: self.store.camera.as_str().to_owned(),
            start: gop.start,
            parameters: Arc::clone(&gop.parameters),
        };
        let head = encode_file_head(&facts).map_err(|source| self.encode_error(source))?;
        let (name_ms, file, path) = create_file(&self.store.dir, gop.start)?;
        let open = OpenFile {
            file,
            path,
            name_ms,
            slot,
            start: gop.start,
            parameters: Arc::clone(&gop.parameters),
            len: 0,
            media_90k: 0,
            sequence: 0,
            synced_at: self.shared.clock.now(),
        };
        Ok((open, head.to_vec()))
    }

    fn write(&mut self, open: &mut OpenFile, head: &[u8], gop: &Gop) -> Result<(), Error> {
        let payload = payload_hash(gop.data.iter().map(AsRef::as_ref));
        let link = Link {
            camera: &self.store.camera,
            sample_entry: &gop.parameters.sample_entry,
            start: gop.start,
            camera_time: gop.camera_time,
            lost_packets: gop.lost_packets,
            key: gop.key,
            frames: &gop.frames,
        };
        // Only this writer moves the camera's last hash, so it need not be held meanwhile.
        let previous = self.store.state.lock().last_hash;
        let hashes = link.hashes(previous, payload);
        let sequence = open.sequence.saturating_add(1);
        let gop_head = encode_gop_head(gop, &hashes, sequence, open.media_90k)
            .map_err(|source| self.encode_error(source))?;
        let offset = open.len.saturating_add(head.len() as u64);
        // Frames go to the disk from where they were received, not by way of a copy.
        let heads = [head, &gop_head].into_iter();
        let pieces = heads.chain(gop.data.iter().map(AsRef::as_ref));
        let io = |source| Error::io("write", &open.path, source);
        write_at(&open.file, open.len, pieces).map_err(io)?;
        let entry = GopEntry {
            offset,
            head_len: u32::try_from(gop_head.len()).unwrap_or(u32::MAX),
            payload_len: u32::try_from(gop.payload_len()).unwrap_or(u32::MAX),
            media_time_90k: open.media_90k,
            duration_90k: gop.duration_90k(),
            frames: u32::try_from(gop.frames.len()).unwrap_or(u32::MAX),
            lost_packets: gop.lost_packets,
            key: gop.key,
            start: gop.start,
            camera_time: gop.camera_time,
            hashes,
        };
        let mut state = self.store.state.lock();
        let record = self.store.append(&mut state, open.name_ms, vec![Fact::Gop(entry)])?;
        let segment = state
            .segments
            .entry(open.name_ms)
            .or_insert_with(|| Segment::new(open.name_ms, gop.start, record));
        segment.add(&entry, record);
        state.note_length(open.name_ms);
        state.last_hash = hashes.chained;
        drop(state);
        open.len = entry.end_offset();
        open.media_90k = open.media_90k.saturating_add(entry.duration_90k);
        open.sequence = sequence;
        Ok(())
    }

    fn sync_if_due(&mut self) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let now = self.shared.clock.now();
        let every = i64::from(self.shared.config.sync_every_s).saturating_mul(1_000_000);
        if now.saturating_sub(open.synced_at) >= every {
            if let Err(source) = open.file.sync_data() {
                // The system forgets a failed sync: the next one would succeed without the bytes. The
                // file ends here and is never called closed, so that it is scanned at the next start;
                // what follows goes to another one.
                let path = open.path.clone();
                self.open = None;
                return Err(Error::io("sync", &path, source));
            }
            open.synced_at = now;
        }
        Ok(())
    }

    fn encode_error(&self, source: vong_media::Error) -> Error {
        Error::Encode { camera: self.store.camera.clone(), source }
    }
}

impl Drop for CameraWriter {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(camera = %self.store.camera, %error, "footage file left open");
        }
        self.store.state.lock().writing = false;
    }
}

impl OpenFile {
    fn continues_with(&self, gop: &Gop, slot: i64) -> bool {
        let end = wall_after(self.start, self.media_90k);
        let seamless = ticks_between(end, gop.start).unsigned_abs() <= SEAMLESS_90K;
        let due = gop.key && slot != self.slot;
        self.parameters == gop.parameters && seamless && !due
    }

    /// Takes back what a failed write left behind the last whole group.
    fn undo(&self) -> io::Result<()> {
        self.file.set_len(self.len)
    }
}

/// Writes `pieces` one behind the other, in one call of the system where it takes them.
fn write_at<'a>(
    mut file: &File,
    offset: u64,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> io::Result<()> {
    let mut pieces: Vec<IoSlice<'_>> =
        pieces.filter(|piece| !piece.is_empty()).map(IoSlice::new).collect();
    file.seek(SeekFrom::Start(offset))?;
    let mut rest = pieces.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the file named by `start`, or by the next free millisecond.
fn create_file(camera_dir: &Path, start: EventTime) -> Result<(i64, File, PathBuf), Error> {
    let mut name_ms = start.millis();
    loop {
        let path = layout::file_path(camera_dir, name_ms);
        let dir = layout::day_dir(camera_dir, Day::of_name(name_ms));
        if !dir.try_exists().map_err(|source| Error::io("look for", &dir, source))? {
            std::fs::create_dir_all(&dir).map_err(|source| Error::io("create", &dir, source))?;
            vong_runtime::fs::sync_directory(camera_dir)
                .map_err(|source| Error::io("sync", camera_dir, source))?;
        }
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                vong_runtime::fs::sync_directory(&dir)
                    .map_err(|source| Error::io("sync", &dir, source))?;
                return Ok((name_ms, file, path));
            }
            // The clock was set back, or two streams began in one millisecond.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                name_ms = name_ms.saturating_add(1);
            }
            Err(source) => return Err(Error::io("create", &path, source)),
        }
    }
}

/// Number of the file-long interval `at` lies in, for a camera whose files begin `phase` late.
pub(crate) fn slot(at: EventTime, length: Duration, phase: Duration) -> i64 {
    let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
    at.saturating_sub(phase).micros().div_euclid(length)
}
