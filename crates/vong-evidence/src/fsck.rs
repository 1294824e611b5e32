//! Verifies checkpoints: their order, their signatures, their leaves, and that the footage that is
//! still there is what was sealed. Changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vong_model::EventTime;

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

/// A check under way: checkpoints first, then every group that is on the disk.
#[derive(Debug)]
pub struct Fsck {
    dir: PathBuf,
    checkpoints: Vec<Checkpoint>,
    /// The checkpoint whose leaves, and the next one's, were asked for last.
    near: (Option<usize>, BTreeSet<[u8; 32]>),
    report: FsckReport,
}

impl Fsck {
    /// Verifies the checkpoints in `evidence` with the public key in `keys`.
    ///
    /// # Errors
    /// When the disk refuses; what is wrong is in the report.
    pub fn begin(evidence: &Path, keys: &Path) -> Result<Self, Error> {
        let mut check = Self {
            dir: evidence.to_owned(),
            checkpoints: Vec::new(),
            near: (None, BTreeSet::new()),
            report: FsckReport::default(),
        };
        let path = evidence.join(FILE_NAME);
        let Some(text) = read_text(&path)? else { return Ok(check) };
        let all = match checkpoints::read(&path, &text) {
            Ok((all, _whole)) => all,
            Err(damage) => {
                check.report.problems.push(damage.to_string());
                return Ok(check);
            }
        };
        check.report.checkpoints = all.len() as u64;
        let key = Key::load_public(keys)?;
        for number in checkpoints::foreign(&all, &key) {
            check.report.problems.push(format!("checkpoint {number} does not carry our signature"));
        }
        check.checkpoints = all.into_iter().map(|(checkpoint, _)| checkpoint).collect();
        for checkpoint in &check.checkpoints {
            check_leaves(evidence, checkpoint, &mut check.report)?;
        }
        Ok(check)
    }

    /// Looks for a group under the checkpoint of its hour, or the next. Fast when groups come by
    /// camera and time.
    pub fn group(&mut self, start: EventTime, chained: &[u8; 32]) {
        let hour = checkpoints::hour_of(start);
        let at = self.checkpoints.partition_point(|checkpoint| checkpoint.hour < hour);
        if at == self.checkpoints.len() {
            self.report.groups_unsealed += 1;
            return;
        }
        if self.near.0 != Some(at) {
            let mut known = BTreeSet::new();
            for checkpoint in self.checkpoints.iter().skip(at).take(2) {
                if let Ok(Some(leaves)) = leaves_of(&self.dir, checkpoint.number) {
                    known.extend(leaves.into_values().flatten());
                } // damage was told when the check began
            }
            self.near = (Some(at), known);
        }
        if self.near.1.contains(chained) {
            self.report.groups_sealed += 1;
        } else {
            self.report.groups_unknown += 1;
        }
    }

    pub fn finish(self) -> FsckReport {
        self.report
    }
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
