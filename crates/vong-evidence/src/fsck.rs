//! Verifies checkpoints: their order, their signatures, their leaves, and that the footage that is
//! still there is what was sealed. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Numbers by hour.
    by_hour: BTreeMap<EventTime, Vec<u64>>,
    /// The latest sealed hour that is not yet to come.
    until: Option<EventTime>,
    /// The hour whose leaves, and the next one's, were asked for last.
    near: (Option<EventTime>, BTreeSet<[u8; 32]>),
    report: FsckReport,
}

impl Fsck {
    /// Verifies the checkpoints in `evidence` with the public key in `keys`; hours after `now` cannot
    /// have been sealed rightly.
    ///
    /// # Errors
    /// When the disk refuses; what is wrong is in the report.
    pub fn begin(evidence: &Path, keys: &Path, now: EventTime) -> Result<Self, Error> {
        let mut check = Self {
            dir: evidence.to_owned(),
            by_hour: BTreeMap::new(),
            until: None,
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
        match Key::load_public(keys) {
            Ok(key) => {
                for number in checkpoints::foreign(&all, &key) {
                    let foreign = format!("checkpoint {number} does not carry our signature");
                    check.report.problems.push(foreign);
                }
            }
            Err(error) => check.report.problems.push(format!("no key to verify with: {error}")),
        }
        for (checkpoint, _) in &all {
            check.by_hour.entry(checkpoint.hour).or_default().push(checkpoint.number);
            check_leaves(evidence, checkpoint, &mut check.report);
        }
        check.until = check.by_hour.range(..=now).next_back().map(|(hour, _)| *hour);
        Ok(check)
    }

    /// Looks for a group under the checkpoint of its hour, or the next. Fast when groups come by
    /// camera and time.
    pub fn group(&mut self, start: EventTime, chained: &[u8; 32]) {
        let hour = checkpoints::hour_of(start);
        if self.near.0 != Some(hour) {
            let mut known = BTreeSet::new();
            let near = self.by_hour.range(hour..=hour.saturating_add(checkpoints::HOUR));
            for number in near.flat_map(|(_, numbers)| numbers) {
                if let Ok(Some(leaves)) = leaves_of(&self.dir, *number) {
                    known.extend(leaves.into_values().flatten());
                } // damage was told when the check began
            }
            self.near = (Some(hour), known);
        }
        if self.near.1.contains(chained) {
            self.report.groups_sealed += 1;
        } else if self.until.is_some_and(|until| hour <= until) {
            self.report.groups_unknown += 1;
        } else {
            self.report.groups_unsealed += 1;
        }
    }

    pub fn finish(self) -> FsckReport {
        let mut report = self.report;
        if report.groups_unknown > 0 {
            report.problems.push(format!(
                "{} groups of sealed hours are under no checkpoint: they were put there or replaced, \
                 or the clock was set back by more than an hour",
                report.groups_unknown
            ));
        }
        report
    }
}

fn check_leaves(dir: &Path, of: &Checkpoint, report: &mut FsckReport) {
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
        Err(error) => report.problems.push(error.to_string()),
    }
}

fn leaves_of(dir: &Path, number: u64) -> Result<Option<Leaves>, Error> {
    read_leaves(&leaves_path(dir, number))
}
