//! What the writer does when there is no space, and when there is again; who may write meanwhile is
//! decided in [`reserve`].

use super::open::Open;
use super::{Append, Shared, Writer};
use crate::file::reserve::{self, Space};
use crate::{Error, segment};

impl Writer {
    /// Refuses what has no place while the disk is full, and gives back the rest.
    pub(super) fn admit(&mut self, batch: Vec<Append>) -> Vec<Append> {
        if self.space.is_full && self.space.may_ask(self.clock.now()) {
            self.set_aside_reserve();
        }
        let segment = self.open.as_ref().and_then(|open| Some((open.position, open.room?)));
        let space = self.space;
        let takes = |append: &Append| space.takes(append.urgency, segment);
        let (taken, refused): (Vec<_>, Vec<_>) = batch.into_iter().partition(takes);
        if !refused.is_empty() {
            self.refuse(refused, &Error::no_space(&self.shared.dir));
        }
        taken
    }

    /// Sees to it that a reserve stands; what was full is full no longer once it does.
    pub(in crate::file) fn set_aside_reserve(&mut self) {
        let Shared { disk, dir, .. } = &*self.shared;
        let path = reserve::path_of(dir);
        let bytes = self.space.reserve_bytes;
        let stands = disk.view(&path).and_then(|file| file.length()).is_ok_and(|n| n == bytes);
        let made = if bytes == 0 || stands { Ok(()) } else { disk.allocate(&path, bytes) };
        match made.map_err(|e| Error::io("set the log's reserve aside", &path, e)) {
            Ok(()) => {
                self.space.is_ready = bytes > 0;
                self.leave_reserve();
            }
            Err(error @ Error::DiskFull { .. }) => {
                if !self.space.is_full {
                    tracing::error!(%error, "the disk is full: the log takes no bulk data");
                }
                self.space.fill(self.clock.now());
            }
            Err(error) => {
                tracing::error!(%error, "the log works without its reserve");
                self.leave_reserve();
            }
        }
        self.show_space();
    }

    /// There is space again.
    fn leave_reserve(&mut self) {
        if !self.space.is_full {
            return;
        }
        self.space.is_full = false;
        tracing::info!("there is space again: the log takes everything");
        match self.open.take() {
            Some(mut open) if open.room.is_some() => {
                if let Err(error) = open.give_room_back() {
                    tracing::warn!(%error, "the unused part of the reserve stays on the disk");
                }
                self.end(open);
            }
            open => self.open = open,
        }
    }

    /// The disk is full: from now on the reserve is the segment that is written.
    pub(super) fn turn_to_reserve(&mut self) {
        tracing::error!(
            dir = %self.shared.dir.display(),
            "the disk is full: the log takes no bulk data until there is space"
        );
        self.space.fill(self.clock.now());
        if std::mem::take(&mut self.space.is_ready) {
            if let Some(open) = self.open.take() {
                self.end(open);
            }
            match self.begin_in_reserve() {
                Ok(open) => self.open = Some(open),
                Err(error) => {
                    tracing::error!(%error, "the log cannot use its reserve");
                    // A file that failed once is not written again: the next reserve is another.
                    let Shared { disk, dir, .. } = &*self.shared;
                    drop(disk.remove(&reserve::path_of(dir)));
                }
            }
        }
        self.show_space();
    }

    fn begin_in_reserve(&self) -> Result<Open, Error> {
        let header = self.header(self.space.reserve_bytes);
        let Shared { disk, dir, .. } = &*self.shared;
        let (reserve, path) = (reserve::path_of(dir), segment::path_of(dir, self.next));
        let take = || {
            let mut file = disk.open(&reserve)?;
            file.write_at(&header.encode(), 0)?;
            file.sync()?; // before the rename: a segment always has its header
            disk.rename(&reserve, &path)?;
            Ok(file)
        };
        let file = take().map_err(|e| Error::io("write into the log's reserve", &reserve, e))?;
        let mut open = Open::begun(path, file, &header);
        open.room = Some(header.room);
        Ok(open)
    }

    pub(super) fn show_space(&self) {
        let Space { reserve_bytes, is_ready, is_full, .. } = self.space;
        let left = match self.open.as_ref().and_then(|open| Some((open.position, open.room?))) {
            Some((used, room)) => room.saturating_sub(used),
            None if is_ready => reserve_bytes,
            None => 0,
        };
        let Shared { health, metrics, .. } = &*self.shared;
        health.send_if_modified(|health| {
            std::mem::replace(&mut health.disk_full, is_full) != is_full
        });
        metrics.disk_full.set(i64::from(is_full));
        metrics.reserve_bytes.set(i64::try_from(left).unwrap_or(i64::MAX));
    }
}
