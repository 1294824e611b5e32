//! One checkpoint: what was received in an hour, in one signed text.

use sha2::{Digest, Sha256};
use vong_model::EventTime;

use crate::signed::Fields;

const KIND: &str = "vong checkpoint 1";

/// The Merkle root over the chained hashes of the groups of all cameras received in an hour.
///
/// An hour is sealed once, after it is over. A group that is found afterwards (its camera's clock or
/// ours was set back) is in the next checkpoint. Hours in which nothing was recorded have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Counts up from 1.
    pub number: u64,
    /// Start of the hour, our clock, UTC.
    pub hour: EventTime,
    pub sealed_at: EventTime,
    pub cameras: u64,
    pub groups: u64,
    /// How many of them were received before this hour and missed its own checkpoint.
    pub late: u64,
    /// Merkle root, RFC 6962.
    pub root: [u8; 32],
    /// Hash of the checkpoint before; zeros in the first.
    pub previous: [u8; 32],
}

impl Checkpoint {
    pub(crate) fn text(&self) -> String {
        let Self { number, hour, sealed_at, cameras, groups, late, root, previous } = self;
        let (root, previous) = (crate::hex::encode(root), crate::hex::encode(previous));
        format!(
            "{KIND}\nnumber {number}\nhour_us {}\nsealed_us {}\ncameras {cameras}\ngroups {groups}\n\
             late {late}\nroot {root}\nprevious {previous}\n",
            hour.micros(),
            sealed_at.micros()
        )
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields = Fields::of(text, KIND)?;
        let checkpoint = Self {
            number: fields.number("number")?,
            hour: EventTime(fields.number("hour_us")?),
            sealed_at: EventTime(fields.number("sealed_us")?),
            cameras: fields.number("cameras")?,
            groups: fields.number("groups")?,
            late: fields.number("late")?,
            root: fields.hash("root")?,
            previous: fields.hash("previous")?,
        };
        (checkpoint.text() == text).then_some(checkpoint)
    }

    /// What the next checkpoint names.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text()).into()
    }
}
