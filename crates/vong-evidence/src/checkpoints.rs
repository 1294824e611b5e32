//! The checkpoints of an installation on disk, and proofs out of them.
//!
//! ```text
//! <dir>/checkpoints.txt        signed texts one below the other, only ever appended to; kept for good
//! <dir>/leaves/<number>.leaves "vong-leaves-1\n", then per camera: id length u16 | id | groups u32 |
//!                              32 bytes a group; big-endian; gone once none of its footage is left
//! ```
//! Leaves are durable before the checkpoint that names their root. Limits: 1 MiB for a signed text,
//! 65,535 bytes for an id.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::ops::{Bound, RangeInclusive};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use vong_model::{CameraId, EventTime};

use crate::key::{Key, PublicKey};
use crate::merkle::{Hash, Tree};
use crate::signed::{Signed, read_text};
use crate::{Checkpoint, Error};

pub(crate) const FILE_NAME: &str = "checkpoints.txt";
const LEAVES_DIR: &str = "leaves";
const LEAVES_HEAD: &[u8] = b"vong-leaves-1\n";

/// The chained hashes under one checkpoint: by camera, in order of their time.
pub(crate) type Leaves = BTreeMap<CameraId, Vec<Hash>>;

/// All checkpoints of an installation; cheap to clone.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Vec<(Checkpoint, Signed)>,
    /// Numbers by hour: a clock that was once ahead leaves hours behind later ones.
    by_hour: BTreeMap<EventTime, Vec<u64>>,
    /// Bytes of the file that are whole checkpoints.
    len: u64,
    /// The tree asked for last: proofs of one clip come from few hours.
    tree: Option<(u64, Arc<(Leaves, Tree)>)>,
}

/// What the checkpoints say of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Sealed(Seal),
    /// Its hour is not over, or not sealed yet.
    NotYet,
    /// Its hour is sealed, and without it: it was put in or replaced since, or the server's clock was
    /// set back. Names the checkpoint of the hour; an hour without footage has none.
    NotUnderItsSeal(Option<u64>),
    /// Its hour is sealed, but what was sealed is not kept any more.
    LeavesGone,
}

/// Proof that a group was known when its hour was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Number of the checkpoint.
    pub checkpoint: u64,
    /// Place of the group's leaf, from 0.
    pub index: u64,
    /// Audit path, lowest first.
    pub path: Vec<[u8; 32]>,
}

impl Checkpoints {
    /// Opens the directory, making it if need be; cuts what an interrupted append left.
    ///
    /// # Errors
    /// When a checkpoint is damaged or the last one is not signed with `key`: sealing on would hide
    /// it. `vong fsck` says more.
    pub fn open(dir: &Path, key: &PublicKey) -> Result<Self, Error> {
        let leaves = dir.join(LEAVES_DIR);
        std::fs::create_dir_all(&leaves).map_err(|e| Error::io("create", &leaves, e))?;
        let path = dir.join(FILE_NAME);
        let text = read_text(&path)?.unwrap_or_default();
        let (all, whole) = read(&path, &text)?;
        if let Some((_, signed)) = all.last()
            && (signed.key != *key || !signed.is_genuine())
        {
            let why = "checkpoint of another key: bring that key back, or move this directory away \
                       and begin anew; it ends";
            return Err(Error::Checkpoints { path, line: text.lines().count(), why });
        }
        if whole < text.len() {
            let file = OpenOptions::new().write(true).open(&path);
            let file = file.map_err(|source| Error::io("open", &path, source))?;
            let cut = file.set_len(whole as u64).and_then(|()| file.sync_all());
            cut.map_err(|source| Error::io("cut", &path, source))?;
        }
        let mut by_hour: BTreeMap<EventTime, Vec<u64>> = BTreeMap::new();
        for (checkpoint, _) in &all {
            by_hour.entry(checkpoint.hour).or_default().push(checkpoint.number);
        }
        let state = Mutex::new(State { all, by_hour, len: whole as u64, tree: None });
        Ok(Self { shared: Arc::new(Shared { dir: dir.to_owned(), state }) })
    }

    pub fn last(&self) -> Option<Checkpoint> {
        self.shared.state.lock().all.last().map(|(checkpoint, _)| *checkpoint)
    }

    /// The latest hour up to `now` that is sealed. Later ones are the doing of a clock that was ahead.
    pub(crate) fn sealed_until(&self, now: EventTime) -> Option<EventTime> {
        let state = self.shared.state.lock();
        state.by_hour.range(..=now).next_back().map(|(hour, _)| *hour)
    }

    /// How many hours after `now` are sealed.
    pub(crate) fn ahead_of(&self, now: EventTime) -> u64 {
        let state = self.shared.state.lock();
        state.by_hour.range((Bound::Excluded(now), Bound::Unbounded)).count() as u64
    }

    /// The checkpoints of the hours in `hours`, earliest hour first.
    pub(crate) fn of_hours(&self, hours: RangeInclusive<EventTime>) -> Vec<u64> {
        self.shared.state.lock().by_hour.range(hours).flat_map(|(_, of)| of).copied().collect()
    }

    /// Those with a number above `number`, each with its whole signed text.
    pub fn after(&self, number: u64) -> Vec<(Checkpoint, String)> {
        let state = self.shared.state.lock();
        let later = state.all.iter().filter(|(checkpoint, _)| checkpoint.number > number);
        later.map(|(checkpoint, signed)| (*checkpoint, signed.render())).collect()
    }

    /// Appends the checkpoint over `leaves`. Durable once it returns.
    pub(crate) fn seal(
        &self,
        key: &Key,
        leaves: &Leaves,
        (hour, sealed_at, late): (EventTime, EventTime, u64),
    ) -> Result<Checkpoint, Error> {
        let previous = self.last();
        let tree = Tree::new(leaves.values().flatten());
        let checkpoint = Checkpoint {
            number: previous.map_or(1, |before| before.number.saturating_add(1)),
            hour,
            sealed_at,
            cameras: leaves.len() as u64,
            groups: leaves.values().map(|of| of.len() as u64).sum(),
            late,
            root: tree.root(),
            previous: previous.map(|before| before.hash()).unwrap_or_default(),
        };
        self.write_leaves(checkpoint.number, leaves)?; // a root must never be without its leaves
        let signed = Signed::new(checkpoint.text(), key);
        let path = self.shared.dir.join(FILE_NAME);
        let text = signed.render();
        let mut state = self.shared.state.lock();
        let append = |len: u64| -> std::io::Result<()> {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            // What an append left that failed half-way must not stand between two checkpoints.
            file.set_len(len)?;
            file.write_all_at(text.as_bytes(), len)?;
            file.sync_all()?;
            vong_runtime::fs::sync_directory(&self.shared.dir)
        };
        append(state.len).map_err(|source| Error::io("append to", &path, source))?;
        state.len = state.len.saturating_add(text.len() as u64);
        state.by_hour.entry(hour).or_default().push(checkpoint.number);
        state.all.push((checkpoint, signed));
        Ok(checkpoint)
    }

    /// Where the group of `camera` that was received at `start` stands `now`: under the checkpoint of
    /// its hour, or of the next one if it came late.
    ///
    /// # Errors
    /// When leaves are damaged or the disk refuses.
    pub fn prove(
        &self,
        camera: &CameraId,
        (start, now): (EventTime, EventTime),
        chained: &[u8; 32],
    ) -> Result<Standing, Error> {
        let hour = hour_of(start);
        let mut gone = false;
        for number in self.of_hours(hour..=hour.saturating_add(HOUR)) {
            let Some(sealed) = self.tree(number)? else {
                gone = true;
                continue;
            };
            let (leaves, tree) = &*sealed;
            let Some(own) = leaves.get(camera) else { continue };
            let Some(at) = own.iter().position(|hash| hash == chained) else { continue };
            let earlier = leaves.range::<CameraId, _>(..camera);
            let before = earlier.map(|(_, hashes)| hashes.len()).sum::<usize>();
            let (index, path) = (before + at, tree.path(before + at));
            return Ok(Standing::Sealed(Seal { checkpoint: number, index: index as u64, path }));
        }
        Ok(match self.sealed_until(now) {
            Some(until) if hour <= until && gone => Standing::LeavesGone,
            Some(until) if hour <= until => {
                Standing::NotUnderItsSeal(self.of_hours(hour..=hour).first().copied())
            }
            _ => Standing::NotYet,
        })
    }

    /// The signed text of a checkpoint.
    pub(crate) fn signed(&self, number: u64) -> Option<String> {
        let state = self.shared.state.lock();
        let found = state.all.iter().find(|(checkpoint, _)| checkpoint.number == number);
        found.map(|(_, signed)| signed.render())
    }

    /// Lets go of the leaves of hours that ended before `oldest`, the first instant of any footage
    /// that is left; gives how many. The checkpoints stay.
    pub(crate) fn drop_leaves_before(&self, oldest: EventTime) -> Result<u64, Error> {
        let old: Vec<u64> = {
            let state = self.shared.state.lock();
            // The next hour's may prove a group of this one.
            let old = state.all.iter().filter(|(of, _)| of.hour.saturating_add(HOUR * 2) <= oldest);
            old.map(|(checkpoint, _)| checkpoint.number).collect()
        };
        let mut dropped = 0;
        for number in old {
            let path = leaves_path(&self.shared.dir, number);
            match std::fs::remove_file(&path) {
                Ok(()) => dropped += 1,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::io("delete", &path, source)),
            }
        }
        Ok(dropped)
    }

    /// Leaves of a checkpoint; `None` if they are gone.
    pub(crate) fn leaves(&self, number: u64) -> Result<Option<Leaves>, Error> {
        read_leaves(&leaves_path(&self.shared.dir, number))
    }

    fn tree(&self, number: u64) -> Result<Option<Arc<(Leaves, Tree)>>, Error> {
        if let Some((known, tree)) = &self.shared.state.lock().tree
            && *known == number
        {
            return Ok(Some(Arc::clone(tree)));
        }
        let Some(leaves) = self.leaves(number)? else { return Ok(None) };
        let tree = Tree::new(leaves.values().flatten());
        let made = Arc::new((leaves, tree));
        self.shared.state.lock().tree = Some((number, Arc::clone(&made)));
        Ok(Some(made))
    }

    fn write_leaves(&self, number: u64, leaves: &Leaves) -> Result<(), Error> {
        let mut bytes = LEAVES_HEAD.to_vec();
        for (camera, hashes) in leaves {
            let id = camera.as_str().as_bytes();
            bytes.extend(u16::try_from(id.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(id);
            bytes.extend(u32::try_from(hashes.len()).unwrap_or(u32::MAX).to_be_bytes());
            hashes.iter().for_each(|hash| bytes.extend_from_slice(hash));
        }
        let path = leaves_path(&self.shared.dir, number);
        vong_runtime::fs::replace_file(&path, &bytes)
            .map_err(|source| Error::io("write", &path, source))
    }
}

pub(crate) const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Start of the hour `at` lies in, UTC.
pub(crate) fn hour_of(at: EventTime) -> EventTime {
    const MICROS: i64 = 3_600_000_000;
    EventTime(at.micros().div_euclid(MICROS).saturating_mul(MICROS))
}

pub(crate) fn leaves_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(LEAVES_DIR).join(format!("{number}.leaves"))
}

/// The checkpoints of a file, and how many of its bytes are whole ones.
pub(crate) fn read(path: &Path, text: &str) -> Result<(Vec<(Checkpoint, Signed)>, usize), Error> {
    let mut all: Vec<(Checkpoint, Signed)> = Vec::new();
    let (mut begun, mut at) = (0, 0);
    for (line, content) in (1..).zip(text.split_inclusive('\n')) {
        at += content.len();
        if !content.starts_with("signed ") || !content.ends_with('\n') {
            continue;
        }
        let fault = |why| Error::Checkpoints { path: path.to_owned(), line, why };
        let record = text.get(begun..at).unwrap_or_default();
        let signed = Signed::parse(record).ok_or_else(|| fault("unreadable signature"))?;
        let checkpoint =
            Checkpoint::parse(&signed.text).ok_or_else(|| fault("unreadable checkpoint"))?;
        let before = all.last().map(|(before, _)| before);
        let number = before.map_or(1, |before| before.number.saturating_add(1));
        let previous = before.map(Checkpoint::hash).unwrap_or_default();
        if checkpoint.number != number || checkpoint.previous != previous {
            return Err(fault("checkpoint does not follow the one before it"));
        }
        all.push((checkpoint, signed));
        begun = at;
    }
    // What no signature ends is an append that was interrupted: it fits into one checkpoint.
    if text.len() - begun > 4_096 {
        let why = "text without a signature";
        let line = text.lines().count();
        return Err(Error::Checkpoints { path: path.to_owned(), line, why });
    }
    Ok((all, begun))
}

pub(crate) fn read_leaves(path: &Path) -> Result<Option<Leaves>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io("read", path, source)),
    };
    let damaged = || Error::Leaves { path: path.to_owned(), why: "not a file of leaves" };
    parse_leaves(&bytes).map(Some).ok_or_else(damaged)
}

fn parse_leaves(bytes: &[u8]) -> Option<Leaves> {
    let mut rest = bytes.strip_prefix(LEAVES_HEAD)?;
    let mut leaves = Leaves::new();
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let (id, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let (count, after) = after.split_first_chunk::<4>()?;
        let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
        let (hashes, after) = after.split_at_checked(count.checked_mul(32)?)?;
        let hashes = hashes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
        let camera = CameraId::from(std::str::from_utf8(id).ok()?);
        if leaves.insert(camera, hashes).is_some() {
            return None;
        }
        rest = after;
    }
    Some(leaves)
}

/// Which of the checkpoints of `file` carry a signature that is not that of `key`.
pub(crate) fn foreign(all: &[(Checkpoint, Signed)], key: &PublicKey) -> Vec<u64> {
    let foreign = all.iter().filter(|(_, signed)| signed.key != *key || !signed.is_genuine());
    foreign.map(|(checkpoint, _)| checkpoint.number).collect()
}
