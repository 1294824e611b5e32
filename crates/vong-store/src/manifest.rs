//! The manifest: one JSON file that names every file of the history.
//!
//! Version 1. Unknown keys are an error: a newer program wrote them, and meant something.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, Offset, Stream};
use vong_runtime::fs::replace_file;

use crate::Error;

pub(crate) const FILE_NAME: &str = "MANIFEST.json";
pub(crate) const VERSION: u32 = 1;

/// One Parquet file: rows of one stream and one UTC day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name of the stream.
    pub stream: String,
    /// Below the history's directory, `/` between parts.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    /// Smallest and largest log offset of its rows.
    pub first_offset: u64,
    pub last_offset: u64,
    /// Smallest and largest value of the stream's first column, microseconds since 1970.
    pub min_time_us: i64,
    pub max_time_us: i64,
    /// Of the whole file, hexadecimal.
    pub sha256: String,
}

impl FileEntry {
    /// The stream, unless a newer program named one that is not known here.
    pub fn stream(&self) -> Option<Stream> {
        Stream::from_name(&self.stream)
    }

    pub fn max_time(&self) -> EventTime {
        EventTime(self.max_time_us)
    }
}

/// What the history is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    /// Lineage of the log the rows come from.
    pub(crate) log_epoch: String,
    /// First offset that is not in the history.
    pub(crate) covered: u64,
    /// Number of the next file.
    pub(crate) next_file: u64,
    pub(crate) files: Vec<FileEntry>,
}

impl Manifest {
    pub(crate) fn empty(log_epoch: &str) -> Self {
        let log_epoch = log_epoch.to_owned();
        Self { version: VERSION, log_epoch, covered: 0, next_file: 1, files: Vec::new() }
    }

    pub(crate) fn covered(&self) -> Offset {
        Offset(self.covered)
    }

    /// The manifest in `dir`, or `None` when there is none yet.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(FILE_NAME);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path, source }),
        };
        // The version is read alone first: a newer format may not parse as ours.
        let version = serde_json::from_slice::<VersionOnly>(&text)
            .map_err(|source| Error::ParseManifest { path: path.clone(), source })?;
        if version.version > VERSION {
            let (found, supported) = (version.version, VERSION);
            return Err(Error::ManifestVersion { found, supported, path });
        }
        let manifest = serde_json::from_slice(&text)
            .map_err(|source| Error::ParseManifest { path, source })?;
        Ok(Some(manifest))
    }

    /// Makes this manifest the history, durably.
    pub(crate) fn publish(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(FILE_NAME);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::ParseManifest { path: path.clone(), source })?;
        replace_file(&path, &text).map_err(|source| Error::Write { path, source })
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// `<stream>/<UTC day>/<number>.parquet`.
pub(crate) fn path_of(stream: Stream, day: i64, number: u64) -> String {
    let midnight = EventTime(day.saturating_mul(crate::data_file::DAY_US)).to_string();
    let day = midnight.split('T').next().unwrap_or_default();
    format!("{}/{day}/{number:012}.parquet", stream.name())
}

pub(crate) fn absolute(dir: &Path, entry: &FileEntry) -> PathBuf {
    dir.join(&entry.path)
}
