//! Damage to the log: named by file, byte and the offsets it costs; never passed over in silence.
//!
//! A damaged segment is quarantined: it stays where it is, nothing is written to it again, what is
//! intact in it is read on, and whoever asks for what is lost gets [`Error::Damaged`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use vong_model::Offset;

use crate::Error;

/// One damaged place that no crash explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub file: PathBuf,
    /// Byte position in the file.
    pub position: u64,
    pub what: String,
    /// Offsets that cannot be read because of it; empty when no record was hit.
    pub lost: Range<Offset>,
}

impl Damage {
    pub(crate) fn error(&self) -> Error {
        let Self { file, position, what, lost } = self;
        let (from, until) = (lost.start, lost.end);
        Error::Damaged { from, until, what: what.clone(), position: *position, file: file.clone() }
    }

    /// What a person may do about it.
    pub fn advice(&self) -> &'static str {
        if self.lost.is_empty() {
            "every record can still be read; restore the file from a backup to mend it"
        } else {
            "restore the file from a backup of this log, or let readers go on behind the lost offsets"
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, position, what, lost } = self;
        write!(f, "damaged at byte {position}: {what}; ")?;
        if lost.is_empty() {
            write!(f, "no offset is lost")?;
        } else {
            write!(f, "offsets {}..{} are lost", lost.start, lost.end)?;
        }
        write!(f, ": {}", file.display())
    }
}

/// The damage known so far, by segment.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    by_segment: BTreeMap<Offset, Vec<Damage>>,
}

impl Quarantine {
    /// Notes damage of the segment that begins at `first`; false when it was known.
    pub(crate) fn add(&mut self, first: Offset, damage: Damage) -> bool {
        let known = self.by_segment.entry(first).or_default();
        // The same place may be met again under another name: by size at the start, by byte later.
        let covered = |one: &Damage| {
            one.position == damage.position
                || (!damage.lost.is_empty()
                    && one.lost.start <= damage.lost.start
                    && damage.lost.end <= one.lost.end)
        };
        if known.iter().any(covered) {
            return false;
        }
        known.push(damage);
        true
    }

    /// What is known of the place that holds `offset`.
    pub(crate) fn of(&self, first: Offset, offset: Offset) -> Option<Damage> {
        self.by_segment.get(&first)?.iter().find(|one| one.lost.contains(&offset)).cloned()
    }

    /// Forgets segments that begin below `floor`: they are gone.
    pub(crate) fn drop_below(&mut self, floor: Offset) {
        self.by_segment = self.by_segment.split_off(&floor);
    }

    pub(crate) fn segments(&self) -> usize {
        self.by_segment.len()
    }

    pub(crate) fn lost_offsets(&self) -> u64 {
        let lost = |damage: &Damage| damage.lost.end.0.saturating_sub(damage.lost.start.0);
        self.by_segment.values().flatten().map(lost).sum()
    }

    /// Oldest segment first.
    pub(crate) fn all(&self) -> Vec<Damage> {
        self.by_segment.values().flatten().cloned().collect()
    }
}
