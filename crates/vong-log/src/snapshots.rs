//! Where a reader of the log keeps what it made of it, so that a restart need not read all of it.
//!
//! A snapshot is a function of the log up to its offset: it may be deleted and is made again. Two
//! are kept, so that one that a failing disk has spoilt costs time and not state. Its notes are
//! JSON, which any later version reads; the state is for the version that wrote it alone.
//!
//! File: `VONGSNAP`, then little-endian: format (u32), CRC32C of all that follows (u32), length of
//! the heading (u32), heading (JSON: version, epoch, offset, notes), state.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;
use vong_model::Offset;

const MAGIC: &[u8; 8] = b"VONGSNAP";
const FORMAT: u32 = 1;
const PREFIX: usize = MAGIC.len() + 12;
const KEPT: usize = 2;
const EXTENSION: &str = "snapshot";

#[derive(Debug, Serialize, Deserialize)]
struct Heading<N> {
    version: u32,
    /// The log's: offsets mean something within one alone.
    epoch: String,
    next: Offset,
    notes: N,
}

/// A snapshot that was found.
#[derive(Debug)]
pub struct Found<N> {
    /// The first record that is not in it.
    pub next: Offset,
    pub notes: N,
    /// `None`: another version wrote it.
    pub state: Option<Vec<u8>>,
}

/// The snapshots of one reader of one log.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: PathBuf,
    epoch: String,
    version: u32,
}

impl Snapshots {
    /// `epoch`: the log's; `version`: of the form and the meaning of the reader's state.
    pub fn new(dir: &Path, epoch: &str, version: u32) -> Self {
        Self { dir: dir.to_owned(), epoch: epoch.to_owned(), version }
    }

    /// Those that are good for a log from `floor` to `head`, the newest first; others are named in
    /// the process's own log and passed over.
    pub fn find<N: DeserializeOwned>(
        &self,
        floor: Offset,
        head: Offset,
    ) -> impl Iterator<Item = Found<N>> {
        let mut names = self.names();
        names.reverse();
        names.into_iter().filter_map(move |(_, path)| match self.read(&path, floor, head) {
            Ok(found) => Some(found),
            Err(why) => {
                warn!(file = %path.display(), why, "passed over a snapshot");
                None
            }
        })
    }

    /// The least offset from which a restart may read the log: that of the oldest snapshot, when
    /// there are as many as are kept.
    pub fn low_water(&self) -> Option<Offset> {
        let names = self.names();
        names.first().filter(|_| names.len() >= KEPT).map(|(offset, _)| *offset)
    }

    /// Writes a snapshot durably, forgets those that are too old and returns its size in bytes.
    ///
    /// # Errors
    /// Whatever the file system says; the snapshots that were there are still there.
    pub fn write<N: Serialize>(&self, next: Offset, notes: &N, state: &[u8]) -> io::Result<u64> {
        std::fs::create_dir_all(&self.dir)?;
        let (version, epoch) = (self.version, self.epoch.clone());
        let bytes = encode(&Heading { version, epoch, next, notes }, state)?;
        let path = self.dir.join(format!("{:020}.{}.{EXTENSION}", next.0, self.tag()));
        vong_runtime::fs::replace_file(&path, &bytes)?;
        // What is said to stand behind this one is of a log that was longer once.
        let (ahead, mut names): (Vec<_>, Vec<_>) =
            self.names().into_iter().partition(|(offset, _)| *offset > next);
        names.truncate(names.len().saturating_sub(KEPT));
        for (_, old) in ahead.into_iter().chain(names) {
            std::fs::remove_file(old)?;
        }
        Ok(bytes.len() as u64)
    }

    /// What tells the files of this log from those of a log that stood here before.
    fn tag(&self) -> String {
        format!("{:08x}", crc32c::crc32c(self.epoch.as_bytes()))
    }

    /// Offset and path of each file of this log, by offset.
    fn names(&self) -> Vec<(Offset, PathBuf)> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        let ending = format!(".{}.{EXTENSION}", self.tag());
        let named = entries.filter_map(|entry| {
            let path = entry.path();
            let offset = path.file_name()?.to_str()?.strip_suffix(&ending)?.parse().ok()?;
            Some((Offset(offset), path))
        });
        let mut names: Vec<_> = named.collect();
        names.sort();
        names
    }

    fn read<N: DeserializeOwned>(
        &self,
        path: &Path,
        floor: Offset,
        head: Offset,
    ) -> Result<Found<N>, String> {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let (Heading { version, epoch, next, notes }, state) = decode(&bytes)?;
        if epoch != self.epoch {
            return Err("it is of another log".to_owned());
        }
        if next < floor || next > head {
            let (next, floor, head) = (next.0, floor.0, head.0);
            return Err(format!("it ends at offset {next}, the log goes from {floor} to {head}"));
        }
        let state = state.filter(|_| version == self.version).map(<[u8]>::to_vec);
        Ok(Found { next, notes, state })
    }
}

fn encode<N: Serialize>(heading: &Heading<N>, state: &[u8]) -> io::Result<Vec<u8>> {
    let heading = serde_json::to_vec(heading)?;
    let length = u32::try_from(heading.len()).map_err(io::Error::other)?;
    let mut body = Vec::with_capacity(PREFIX + heading.len() + state.len());
    body.extend_from_slice(MAGIC);
    body.extend_from_slice(&FORMAT.to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(&heading);
    body.extend_from_slice(state);
    let crc = crc32c::crc32c(&body[MAGIC.len() + 8..]);
    body[MAGIC.len() + 4..MAGIC.len() + 8].copy_from_slice(&crc.to_le_bytes());
    Ok(body)
}

/// The heading, and the state when its form is known.
fn decode<N: DeserializeOwned>(bytes: &[u8]) -> Result<(Heading<N>, Option<&[u8]>), String> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
        four.map(u32::from_le_bytes).ok_or_else(|| "it is cut short".to_owned())
    };
    if !bytes.starts_with(MAGIC) {
        return Err("it is no snapshot".to_owned());
    }
    let (format, crc) = (number(MAGIC.len())?, number(MAGIC.len() + 4)?);
    let length = number(MAGIC.len() + 8)? as usize;
    if crc32c::crc32c(&bytes[MAGIC.len() + 8..]) != crc {
        return Err("its checksum is wrong".to_owned());
    }
    let end = PREFIX.saturating_add(length);
    let heading = bytes.get(PREFIX..end).ok_or("it is cut short")?;
    let heading = serde_json::from_slice(heading).map_err(|e| e.to_string())?;
    Ok((heading, bytes.get(end..).filter(|_| format == FORMAT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshots(dir: &Path) -> Snapshots {
        Snapshots::new(dir, "one", 1)
    }

    fn offsets(snapshots: &Snapshots, floor: u64, head: u64) -> Vec<u64> {
        let found = snapshots.find::<String>(Offset(floor), Offset(head));
        found.map(|found| found.next.0).collect()
    }

    #[test]
    fn the_newest_two_are_kept_and_found_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = snapshots(dir.path());
        assert_eq!(snapshots.low_water(), None);
        for next in [5, 50, 500] {
            snapshots.write(Offset(next), &"notes", &next.to_le_bytes()).unwrap();
        }
        assert_eq!(offsets(&snapshots, 0, 1_000), [500, 50]);
        assert_eq!(snapshots.low_water(), Some(Offset(50)));
        assert_eq!(offsets(&snapshots, 0, 499), [50], "what the log does not hold is no use");
        assert_eq!(offsets(&snapshots, 51, 1_000), [500]);
        let newest = snapshots.find::<String>(Offset(0), Offset(1_000)).next().unwrap();
        assert_eq!(newest.state.unwrap(), 500_u64.to_le_bytes());
        let of_another = Snapshots { version: 2, ..snapshots };
        let newest = of_another.find::<String>(Offset(0), Offset(1_000)).next().unwrap();
        assert_eq!((newest.notes.as_str(), newest.state), ("notes", None));
    }

    #[test]
    fn what_another_log_or_a_longer_one_left_behind_does_not_push_new_ones_out() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Snapshots::new(dir.path(), "old", 1), snapshots(dir.path()));
        for next in [800, 900] {
            old.write(Offset(next), &"", b"").unwrap();
            new.write(Offset(next), &"", b"").unwrap();
        }
        for next in [5, 6] {
            new.write(Offset(next), &"", b"").unwrap();
        }
        assert_eq!(offsets(&new, 0, 1_000), [6, 5]);
        assert_eq!((new.low_water(), old.low_water()), (Some(Offset(5)), Some(Offset(800))));
    }

    #[test]
    fn spoilt_files_and_files_of_other_logs_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = snapshots(dir.path());
        for next in [1, 2] {
            snapshots.write(Offset(next), &"notes", b"state").unwrap();
        }
        let (_, newest) = snapshots.names().pop().unwrap();
        let whole = std::fs::read(&newest).unwrap();
        for place in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[place] ^= 0x10;
            std::fs::write(&newest, &spoilt).unwrap();
            let found: Vec<Found<String>> = snapshots.find(Offset(0), Offset(9)).collect();
            // The format alone is not covered: another one gives the notes and no state.
            let states = found.iter().filter(|found| found.state.is_some()).count();
            assert_eq!(states, 1, "byte {place}");
        }
        for length in 0..whole.len() {
            std::fs::write(&newest, &whole[..length]).unwrap();
            assert_eq!(offsets(&snapshots, 0, 9), [1], "cut at {length}");
        }
        std::fs::write(&newest, &whole).unwrap();
        let of_other = Snapshots::new(dir.path(), "two", 1);
        assert_eq!(offsets(&of_other, 0, 9), [0_u64; 0]);
    }
}
