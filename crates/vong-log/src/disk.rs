//! What the log asks of a disk, as a seam: tests put a disk here that is full, fails or forgets.
//!
//! Nothing else in this crate touches the file system.

#[cfg(test)]
pub(crate) mod sim;

use std::any::Any;
use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use vong_runtime::fs::{rename_durable, replace_file, sync_directory};

/// Zeros are written in pieces of this size.
const PIECE_BYTES: usize = 256 * 1024;

/// Held as long as this process works on a directory.
pub(crate) type Lock = Box<dyn Any + Send + Sync>;

/// A file system, as far as a log needs one.
pub(crate) trait Disk: Send + Sync + Debug + 'static {
    /// Takes `dir`, making it if it is not there, until the lock is dropped; `None`: another has it.
    fn lock(&self, dir: &Path) -> io::Result<Option<Lock>>;
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn view(&self, path: &Path) -> io::Result<Box<dyn DiskView>>;
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Creates or replaces a file, durably, whole or not at all.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    /// Creates or replaces a file of zeros whose space is taken, not only promised; durably.
    fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()>;
    /// Renames a synced file, durably, over what was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removals in `dir` survive a power cut once this returns.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file open for writing.
pub(crate) trait DiskFile: Send + Debug {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Everything written so far survives a power cut once this returns. When it fails nobody knows
    /// what the disk holds of it, and asking again proves nothing.
    fn sync(&mut self) -> io::Result<()>;
    /// Forgets everything from `length` on.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// A file open for reading.
pub(crate) trait DiskView: Send + Debug {
    fn length(&self) -> io::Result<u64>;
    /// Fills `into` exactly.
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<()>;
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn lock(&self, dir: &Path) -> io::Result<Option<Lock>> {
        std::fs::create_dir_all(dir)?;
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(dir.join("LOCK"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))), // the operating system frees it with the process
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn view(&self, path: &Path) -> io::Result<Box<dyn DiskView>> {
        Ok(Box::new(File::open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        replace_file(path, content)
    }

    fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_os_string();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let made = fill(&temporary, bytes).and_then(|()| rename_durable(&temporary, path));
        if made.is_err() {
            drop(std::fs::remove_file(&temporary)); // gives back what little space it got
        }
        made
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        rename_durable(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        sync_directory(dir)
    }
}

/// Zeros are written, not asked for: a file system that only notes a length has set nothing aside.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let zeros = vec![0; PIECE_BYTES];
    let mut position = 0_u64;
    while position < bytes {
        let wanted = usize::try_from(bytes - position).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let piece = zeros.get(..wanted).unwrap_or_default();
        file.write_all_at(piece, position)?;
        position += piece.len() as u64;
    }
    file.sync_all()
}

impl DiskFile for File {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_at(bytes, position)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data() // fdatasync: includes the new length, not the times
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

impl DiskView for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<()> {
        self.read_exact_at(into, position)
    }
}
