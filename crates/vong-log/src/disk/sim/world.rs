//! What a simulated disk holds: for certain, and as programs see it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Faults, Moment};

const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) files: BTreeMap<u64, Node>,
    /// As programs see them.
    pub(super) names: BTreeMap<PathBuf, u64>,
    /// As a crash keeps them for certain.
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    /// What lies between the two.
    pub(super) renaming: Vec<Change>,
    /// Names the next file's bytes.
    pub(super) made: u64,
    pub(super) operations: u64,
    /// The state before each operation, when that is wanted.
    pub(super) history: Option<Vec<Moment>>,
    pub(super) mark: u64,
    pub(super) faults: Faults,
    pub(super) locked: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
pub(super) enum Pending {
    Write { position: u64, bytes: Vec<u8> },
    Cut { length: u64 },
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
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
    pub(super) fn moment(&mut self) -> Moment {
        let history = self.history.take(); // not copied with the rest
        let mut world = self.clone();
        self.history = history;
        (world.locked, world.faults) = (false, Faults::default());
        Moment { mark: world.mark, world }
    }

    /// Counts an operation, keeping what was before it.
    pub(super) fn step(&mut self) {
        self.operations += 1;
        if self.history.is_some() {
            let moment = self.moment();
            self.history.get_or_insert_default().push(moment);
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|n| n.seen.len() as u64).sum()
    }

    pub(super) fn node_of(&mut self, path: &Path) -> io::Result<&mut Node> {
        let id = self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.files.get_mut(id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// An empty file under a name that nobody relies on.
    pub(super) fn make(&mut self, path: &Path) -> io::Result<u64> {
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

    pub(super) fn write(&mut self, id: u64, bytes: &[u8], position: u64) -> io::Result<()> {
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

    pub(super) fn sync(&mut self, id: u64) -> io::Result<()> {
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

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        let id = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_path_buf(), id);
        self.renaming.push(Change::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    pub(super) fn sync_names(&mut self) {
        self.step();
        self.durable_names = self.names.clone();
        self.renaming.clear();
    }

    pub(super) fn crash(&mut self, chance: &mut Chance) {
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
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
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
