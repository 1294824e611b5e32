//! Verifies checkpoints: their order, their signatures, their leaves, and that the footage that is
//! still there is what was sealed. Changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use vong_model::{CameraId, EventTime};

use crate::checkpoints::{self, FILE_NAME, Leaves, leaves_path, read_leaves};
use crate::merkle::Tree;
use crate::signed::read_text;
use crate::{Checkpoint, Error, Key};

/// What was verified and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsckReport {
    pub checkpoints: u64,
    /// Those whose leaves are still kept, and lead to the root that was signed.
    pub with_leaves: u64,
    /// Groups still on the disk that are under a checkpoint.
    pub groups_sealed: u64,
    /// Groups of sealed hours that no checkpoint knows: a clock was set back by more than an hour, or
    /// somebody put them there.
    pub groups_unknown: u64,
    /// Groups of hours that are not sealed yet.
    pub groups_unsealed: u64,
    /// One sentence each.
    pub problems: Vec<String>,
}

/// Verifies `evidence`, the directory of checkpoints, with the public key in `keys`, against
/// `groups`: camera, start and chained hash of every group on the disk, by camera and time.
///
/// # Errors
/// When the disk refuses; what is wrong is in the report.
pub fn fsck(
    evidence: &Path,
    keys: &Path,
    groups: impl IntoIterator<Item = (CameraId, EventTime, [u8; 32])>,
) -> Result<FsckReport, Error> {
    let mut report = FsckReport::default();
    let path = evidence.join(FILE_NAME);
    let Some(text) = read_text(&path)? else { return Ok(report) };
    let all = match checkpoints::read(&path, &text) {
        Ok((all, _whole)) => all,
        Err(damage) => {
            report.problems.push(damage.to_string());
            return Ok(report);
        }
    };
    report.checkpoints = all.len() as u64;
    let key = Key::load_public(keys)?;
    for number in checkpoints::foreign(&all, &key) {
        report.problems.push(format!("checkpoint {number} does not carry our signature"));
    }
    let all: Vec<Checkpoint> = all.into_iter().map(|(checkpoint, _)| checkpoint).collect();
    for checkpoint in &all {
        check_leaves(evidence, checkpoint, &mut report)?;
    }
    check_groups(evidence, &all, groups, &mut report)?;
    Ok(report)
}

fn check_leaves(dir: &Path, of: &Checkpoint, report: &mut FsckReport) -> Result<(), Error> {
    match leaves_of(dir, of.number) {
        Ok(None) => {}
        Ok(Some(leaves)) => {
            if Tree::new(leaves.values().flatten()).root() == of.root {
                report.with_leaves += 1;
            } else {
                let number = of.number;
                report.problems.push(format!("the leaves of checkpoint {number} were changed"));
            }
        }
        Err(Error::Leaves { path, why }) => {
            report.problems.push(format!("{why}: {}", path.display()));
        }
        Err(other) => return Err(other),
    }
    Ok(())
}

fn leaves_of(dir: &Path, number: u64) -> Result<Option<Leaves>, Error> {
    read_leaves(&leaves_path(dir, number))
}

fn check_groups(
    dir: &Path,
    all: &[Checkpoint],
    groups: impl IntoIterator<Item = (CameraId, EventTime, [u8; 32])>,
    report: &mut FsckReport,
) -> Result<(), Error> {
    // Groups come by camera and time, so that few leaves are read more than once a camera.
    let mut near: (Option<usize>, BTreeSet<[u8; 32]>) = (None, BTreeSet::new());
    for (_camera, start, chained) in groups {
        let hour = checkpoints::hour_of(start);
        let at = all.partition_point(|checkpoint| checkpoint.hour < hour);
        if at == all.len() {
            report.groups_unsealed += 1;
            continue;
        }
        if near.0 != Some(at) {
            let mut known = BTreeSet::new();
            for checkpoint in all.iter().skip(at).take(2) {
                if let Ok(Some(leaves)) = leaves_of(dir, checkpoint.number) {
                    known.extend(leaves.into_values().flatten());
                }
            }
            near = (Some(at), known);
        }
        if near.1.contains(&chained) {
            report.groups_sealed += 1;
        } else {
            report.groups_unknown += 1;
        }
    }
    Ok(())
}
