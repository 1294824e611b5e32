//! Verifies a history directory and explains what is wrong with it; changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use vong_model::Stream;

use crate::data_file::{LOG_OFFSET, hex_sha256, read};
use crate::manifest::{Manifest, absolute};
use crate::store::orphans;
use crate::{Error, FileEntry};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The manifest names it, the disk does not have it.
    Missing(PathBuf),
    /// Its bytes are not those that were written.
    Checksum(PathBuf),
    /// It cannot be decoded, though its bytes are those that were written.
    Unreadable(PathBuf),
    /// The manifest describes other rows than it holds.
    Contradiction { path: PathBuf, what: &'static str },
    /// No manifest entry names it: left by a crash, harmless, removed at the next start.
    Orphan(PathBuf),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "file is missing: {}", path.display()),
            Self::Checksum(path) => write!(f, "bytes were changed: {}", path.display()),
            Self::Unreadable(path) => write!(f, "cannot be decoded: {}", path.display()),
            Self::Contradiction { path, what } => {
                write!(f, "manifest contradicts its {what}: {}", path.display())
            }
            Self::Orphan(path) => {
                write!(f, "left by a crash, removed at the next start: {}", path.display())
            }
        }
    }
}

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub files: usize,
    pub rows: u64,
    pub bytes: u64,
    pub covered: u64,
    pub findings: Vec<Finding>,
}

impl Report {
    /// Nothing was lost; orphans do not count.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| matches!(finding, Finding::Orphan(_)))
    }
}

/// Reads every file of the history in `dir`.
pub fn fsck(dir: &Path) -> Result<Report, Error> {
    let Some(manifest) = Manifest::load(dir)? else { return Ok(Report::default()) };
    let mut report = Report { covered: manifest.covered().0, ..Report::default() };
    for entry in &manifest.files {
        report.files += 1;
        report.rows += entry.rows;
        report.bytes += entry.bytes;
        report.findings.extend(check(dir, entry, manifest.covered));
    }
    report.findings.extend(orphans(dir, &manifest)?.into_iter().map(Finding::Orphan));
    Ok(report)
}

fn check(dir: &Path, entry: &FileEntry, covered: u64) -> Option<Finding> {
    let path = absolute(dir, entry);
    let Ok(bytes) = std::fs::read(&path) else { return Some(Finding::Missing(path)) };
    if hex_sha256(&bytes) != entry.sha256 {
        return Some(Finding::Checksum(path));
    }
    drop(bytes);
    let Ok(batches) = read(&path) else { return Some(Finding::Unreadable(path)) };
    let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
    if rows as u64 != entry.rows {
        return Some(Finding::Contradiction { path, what: "row count" });
    }
    if Stream::from_name(&entry.stream).is_none() {
        return Some(Finding::Contradiction { path, what: "stream" });
    }
    let offsets = batches.iter().filter_map(|b| b.column_by_name(LOG_OFFSET));
    let offsets = offsets.filter_map(|c| c.as_primitive_opt::<UInt64Type>());
    let mut range: Option<(u64, u64)> = None;
    for offset in offsets.flat_map(|column| column.values().iter().copied()) {
        let (low, high) = range.unwrap_or((offset, offset));
        range = Some((low.min(offset), high.max(offset)));
    }
    if range != Some((entry.first_offset, entry.last_offset)) || entry.last_offset >= covered {
        return Some(Finding::Contradiction { path, what: "offsets" });
    }
    None
}
