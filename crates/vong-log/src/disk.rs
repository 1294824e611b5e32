//! The few things the writer asks of a disk, as a seam: tests put a failing disk here.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use vong_runtime::fs::replace_file;

/// Makes and opens files.
pub(crate) trait Disk: Send + Debug {
    /// Creates a file with `content`, durably, whole or not at all.
    fn create(&self, path: &Path, content: &[u8]) -> io::Result<()>;
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
}

/// A file open for writing.
pub(crate) trait DiskFile: Send + Debug {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Everything written so far survives a power cut once this returns.
    fn sync(&mut self) -> io::Result<()>;
    /// Forgets everything from `length` on.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// The machine's own file system.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        replace_file(path, content)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }
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
