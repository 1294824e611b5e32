//! What the history was at one moment, and stays for as long as somebody looks at it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vong_model::{Offset, Stream};

use crate::FileEntry;

/// A fixed set of files; none of them is deleted while a clone of this lives.
#[derive(Clone, Debug)]
pub struct StoreSnapshot {
    pub(crate) dir: Arc<Path>,
    pub(crate) covered: Offset,
    pub(crate) files: Arc<Vec<Arc<FileEntry>>>,
}

impl StoreSnapshot {
    /// First log offset that is not in these files.
    pub fn covered(&self) -> Offset {
        self.covered
    }

    /// The directory that [`FileEntry::path`] is below.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Files of one stream, oldest commit first.
    pub fn files(&self, stream: Stream) -> Vec<Arc<FileEntry>> {
        let name = stream.name();
        self.files.iter().filter(|file| file.stream == name).map(Arc::clone).collect()
    }

    /// Rows of one stream.
    pub fn rows(&self, stream: Stream) -> u64 {
        let name = stream.name();
        self.files.iter().filter(|file| file.stream == name).map(|file| file.rows).sum()
    }

    /// Every file.
    pub fn all_files(&self) -> &[Arc<FileEntry>] {
        &self.files
    }

    /// Where a file is.
    pub fn path_of(&self, file: &FileEntry) -> PathBuf {
        self.dir.join(&file.path)
    }
}
