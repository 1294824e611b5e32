//! A disk in memory that keeps only what was synced: for tests.
//!
//! It remembers each write, cut and change of a name since the last sync. A crash keeps any of
//! them: writes are torn into sectors of which each got there or did not, in any order; what a
//! file grew by without its bytes having got there is zeros or old rubbish; names change in order,
//! up to some point. It can be full, go away, and fail, slow down or hold back syncs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Disk, DiskFile, DiskView, Lock};

const SECTOR: usize = 512;

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

#[derive(Clone, Debug, Default)]
struct World {
    files: BTreeMap<u64, Node>,
    /// What programs see, and what a crash keeps for certain.
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    renaming: Vec<Change>,
    made: u64,
    operations: u64,
    /// The state before each operation, when that is wanted.
    history: Option<Vec<Moment>>,
    mark: u64,
    faults: Faults,
    locked: bool,
}

#[derive(Clone, Debug, Default)]
struct Node {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write { position: u64, bytes: Vec<u8> },
    Cut { length: u64 },
}

#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
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

/// A source of decisions: SplitMix64 (G. Steele, D. Lea, C. Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() % bound.max(1) as u64).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

impl World {
    fn moment(&mut self) -> Moment {
        let history = self.history.take(); // not copied with the rest
        let mut world = self.clone();
        self.history = history;
        (world.locked, world.faults) = (false, Faults::default());
        Moment { mark: world.mark, world }
    }

    /// Counts an operation, keeping what was before it.
    fn step(&mut self) {
        self.operations += 1;
        if self.history.is_some() {
            let moment = self.moment();
            self.history.get_or_insert_default().push(moment);
        }
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|n| n.seen.len() as u64).sum()
    }

    fn node_of(&mut self, path: &Path) -> io::Result<&mut Node> {
        let id = self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.files.get_mut(id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// An empty file under a name that nobody relies on.
    fn make(&mut self, path: &Path) -> io::Result<u64> {
        self.step();
        if self.faults.refuses_files {
            return Err(io::Error::other("no such device"));
        }
        self.made += 1;
        let id = self.made;
        self.files.insert(id, Node::default());
        self.names.insert(path.to_path_buf(), id);
        self.renaming.push(Change::Link(path.to_path_buf(), id));
        Ok(id)
    }

    fn write(&mut self, id: u64, bytes: &[u8], position: u64) -> io::Result<()> {
        self.step();
        let end = position + bytes.len() as u64;
        let length = self.files.get(&id).map_or(0, |node| node.seen.len() as u64);
        let free = self.faults.capacity.map(|capacity| capacity.saturating_sub(self.used()));
        let grows = end.saturating_sub(length);
        let short = free.is_some_and(|free| grows > free);
        // What fits is written before the disk says that it is full.
        let inside = (bytes.len() as u64).saturating_sub(grows);
        let fits = if short { inside + free.unwrap_or(0) } else { u64::MAX };
        let fits = usize::try_from(fits).unwrap_or(usize::MAX).min(bytes.len());
        let node = self.files.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        let write = Pending::Write { position, bytes: bytes[..fits].to_vec() };
        write.apply(&mut node.seen);
        node.pending.push(write);
        if short { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        self.step();
        let fails = self.faults.failing_syncs > 0;
        let seed = self.operations;
        let node = self.files.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        if fails {
            self.faults.failing_syncs -= 1;
            // The pages count as clean now: what did not get there never will.
            node.crash(&mut Chance(seed));
            return Err(io::Error::other("input/output error"));
        }
        node.durable = node.seen.clone();
        node.pending.clear();
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        let id = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_path_buf(), id);
        self.renaming.push(Change::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn sync_names(&mut self) {
        self.step();
        self.durable_names = self.names.clone();
        self.renaming.clear();
    }

    fn crash(&mut self, chance: &mut Chance) {
        let kept = chance.below(self.renaming.len() + 1);
        for change in self.renaming.drain(..).take(kept) {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
        let Self { files, names, .. } = self;
        files.retain(|id, _| names.values().any(|named| named == id));
        for node in files.values_mut() {
            node.crash(chance);
        }
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(path, id) => {
                names.insert(path, id);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
            Self::Remove(path) => {
                names.remove(&path);
            }
        }
    }
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { position, bytes: written } => {
                let start = usize::try_from(*position).expect("test files are small");
                let end = start + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(written);
            }
            Self::Cut { length } => {
                bytes.resize(usize::try_from(*length).expect("test files are small"), 0);
            }
        }
    }

    /// Parts that reach the disk by themselves.
    fn sectors(self) -> Vec<Self> {
        let Self::Write { position, bytes } = self else { return vec![self] };
        let mut sectors = Vec::new();
        let (mut at, mut rest) = (position, &bytes[..]);
        while !rest.is_empty() {
            let to_border = SECTOR - usize::try_from(at).expect("test files are small") % SECTOR;
            let (sector, more) = rest.split_at(to_border.min(rest.len()));
            sectors.push(Self::Write { position: at, bytes: sector.to_vec() });
            at += sector.len() as u64;
            rest = more;
        }
        sectors
    }
}

impl Node {
    /// Keeps what was synced, and any of what was not.
    fn crash(&mut self, chance: &mut Chance) {
        let mut bytes = self.durable.clone();
        let mut parts: Vec<Pending> =
            std::mem::take(&mut self.pending).into_iter().flat_map(Pending::sectors).collect();
        // All, nothing, all up to a point, or each by itself.
        match chance.below(4) {
            0 => {}
            1 => parts.clear(),
            2 => parts.truncate(chance.below(parts.len() + 1)),
            _ => parts.retain(|_| chance.one_in(2)),
        }
        let rubbish = chance.one_in(3);
        for part in parts {
            let before = bytes.len();
            part.apply(&mut bytes);
            if let (true, Pending::Write { position, .. }) = (rubbish, &part) {
                let hole_end = usize::try_from(*position).expect("test files are small");
                spoil(bytes.get_mut(before..hole_end).unwrap_or_default(), chance);
            }
        }
        let before = bytes.len();
        if before < self.seen.len() && chance.one_in(4) {
            bytes.resize(self.seen.len(), 0); // the length got there, the bytes did not
            if rubbish {
                spoil(&mut bytes[before..], chance);
            }
        }
        self.seen = bytes.clone();
        self.durable = bytes;
    }
}

fn spoil(bytes: &mut [u8], chance: &mut Chance) {
    for byte in bytes {
        *byte = chance.draw().to_le_bytes()[0];
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
