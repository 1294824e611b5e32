//! A disk in memory that keeps only what was synced: for tests.
//!
//! It remembers each write, cut and change of a name since the last sync. A crash keeps any of
//! them: writes are torn into sectors of which each got there or did not, in any order; what a
//! file grew by without its bytes having got there is zeros or old rubbish; names change in order,
//! up to some point. It can be full, go away, and fail, slow down or hold back syncs.

mod world;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Disk, DiskFile, DiskView, Lock};

pub(crate) use world::Chance;
use world::{Change, Pending, World};

/// A handle; clones are one disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk {
    world: Arc<Mutex<World>>,
    opened: Arc<Condvar>,
}

/// What the disk is told to do wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// All files together hold at most this much.
    pub(crate) capacity: Option<u64>,
    /// So many syncs of files fail from now on; the bytes are then as after a crash.
    pub(crate) failing_syncs: u32,
    /// Making new files fails, as on a disk that went away.
    pub(crate) refuses_files: bool,
    /// Each sync of a file takes so long.
    pub(crate) sync_takes: Duration,
    /// Syncs of files wait until this is false again.
    pub(crate) holds_syncs: bool,
    pub(crate) waiting: u32,
}

/// A disk as it was before one of its operations.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    world: World,
    /// What the test had last said with [`SimDisk::mark`].
    pub(crate) mark: u64,
}

impl SimDisk {
    /// Keeps the state before each operation from now on.
    pub(crate) fn record(&self) {
        self.world.lock().history = Some(Vec::new());
    }

    /// Every recorded moment, and the present one.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        let mut world = self.world.lock();
        let mut moments = world.history.take().unwrap_or_default();
        moments.push(world.moment());
        moments
    }

    /// Says how far the test is, for the moments that follow.
    pub(crate) fn mark(&self, mark: u64) {
        self.world.lock().mark = mark;
    }

    pub(crate) fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        let changed = change(&mut self.world.lock().faults);
        self.opened.notify_all();
        changed
    }

    /// Waits until a sync is being held back.
    pub(crate) fn wait_for_held_sync(&self) {
        let mut world = self.world.lock();
        while world.faults.waiting == 0 {
            self.opened.wait(&mut world);
        }
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        self.world.lock().used()
    }

    /// Changes bytes behind everybody's back.
    pub(crate) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world.lock();
        let node = world.node_of(path).expect("the file is there");
        change(&mut node.seen);
        node.durable = node.seen.clone();
        node.pending.clear();
    }

    /// A copy that no longer shares anything with this one.
    pub(crate) fn copy(&self) -> Self {
        let mut world = self.world.lock().clone();
        (world.locked, world.history) = (false, None);
        Self { world: Arc::new(Mutex::new(world)), opened: Arc::default() }
    }
}

impl Moment {
    /// The disk after a power cut at this moment; `seed` says what got there.
    pub(crate) fn crash(&self, seed: u64) -> SimDisk {
        let mut world = self.world.clone();
        world.crash(&mut Chance(seed));
        SimDisk { world: Arc::new(Mutex::new(world)), opened: Arc::default() }
    }

    /// The disk after the process died at this moment and the machine did not.
    pub(crate) fn kill(&self) -> SimDisk {
        SimDisk { world: Arc::new(Mutex::new(self.world.clone())), opened: Arc::default() }
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".new");
    PathBuf::from(name)
}

impl SimDisk {
    /// As the real disk: a sibling, synced, renamed over the name, the name synced.
    fn put(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let temporary = temporary(path);
        let put = || {
            let id = self.world.lock().make(&temporary)?;
            self.world.lock().write(id, content, 0)?;
            self.world.lock().sync(id)?;
            self.world.lock().rename(&temporary, path)
        };
        if let Err(error) = put() {
            let mut world = self.world.lock();
            world.names.remove(&temporary);
            world.renaming.push(Change::Remove(temporary));
            return Err(error);
        }
        self.world.lock().sync_names();
        Ok(())
    }
}

impl Disk for SimDisk {
    fn lock(&self, _dir: &Path) -> io::Result<Option<Lock>> {
        let free = !std::mem::replace(&mut self.world.lock().locked, true);
        Ok(free.then(|| Box::new(Held(self.clone())) as Lock))
    }

    fn make_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let world = self.world.lock();
        Ok(world.names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.world.lock().node_of(path)?.seen.clone())
    }

    fn view(&self, path: &Path) -> io::Result<Box<dyn DiskView>> {
        let mut world = self.world.lock();
        world.node_of(path)?;
        let id = world.names[path];
        Ok(Box::new(SimFile { disk: self.clone(), id }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world.lock();
        world.node_of(path)?;
        let id = world.names[path];
        Ok(Box::new(SimFile { disk: self.clone(), id }))
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.put(path, content)
    }

    fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.put(path, &vec![0; usize::try_from(bytes).expect("test files are small")])
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.rename(from, to)?;
        world.sync_names();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.step();
        world.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        world.renaming.push(Change::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.world.lock().sync_names();
        Ok(())
    }
}

struct Held(SimDisk);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.world.lock().locked = false;
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: u64,
}

impl DiskFile for SimFile {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.disk.world.lock().write(self.id, bytes, position)
    }

    fn sync(&mut self) -> io::Result<()> {
        let takes = self.disk.faults(|faults| faults.sync_takes);
        std::thread::sleep(takes);
        let mut world = self.disk.world.lock();
        if world.faults.holds_syncs {
            world.faults.waiting += 1;
            self.disk.opened.notify_all();
            while world.faults.holds_syncs {
                self.disk.opened.wait(&mut world);
            }
            world.faults.waiting -= 1;
        }
        world.sync(self.id)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut world = self.disk.world.lock();
        world.step();
        let node = world.files.get_mut(&self.id).ok_or(io::ErrorKind::NotFound)?;
        let cut = Pending::Cut { length };
        cut.apply(&mut node.seen);
        node.pending.push(cut);
        Ok(())
    }
}

impl DiskView for SimFile {
    fn length(&self) -> io::Result<u64> {
        let world = self.disk.world.lock();
        let node = world.files.get(&self.id).ok_or(io::ErrorKind::NotFound)?;
        Ok(node.seen.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<()> {
        let world = self.disk.world.lock();
        let node = world.files.get(&self.id).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(position).expect("test files are small");
        let bytes = node.seen.get(start..start + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
