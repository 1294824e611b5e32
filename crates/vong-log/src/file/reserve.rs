//! Who may still write when the disk is full, and on what.
//!
//! A file of zeros is kept beside the segments. When a write finds no space it becomes the segment
//! written next, so that no other program can take that space first: blocks written over need no
//! new ones (on file systems that write in place). Bulk data is refused from then on; what people
//! and the engine decide goes on. Invariant: bulk data is taken only while a reserve stands.

use std::path::{Path, PathBuf};

use vong_model::Stream;
use vong_model::streams::RecordKind;

/// How often a full disk is asked again, at most.
const ASK_EVERY_MICROS: u64 = 1_000_000;

/// How much an append matters while the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// What devices send: it comes again, or its sender keeps it until we take it.
    Bulk,
    /// What keeps rules moving: half of the reserve is for it.
    Clockwork,
    /// What a person or the engine decided: all of the reserve is for it.
    Act,
}

impl Urgency {
    /// Of one append, which is written whole or not at all: a single bulk entry makes it bulk,
    /// otherwise the most urgent entry counts.
    pub(super) fn of(streams: impl Iterator<Item = Stream>) -> Self {
        let mut most = Self::Clockwork;
        for stream in streams {
            match Self::of_stream(stream) {
                Self::Bulk => return Self::Bulk,
                urgency => most = most.max(urgency),
            }
        }
        most
    }

    fn of_stream(stream: Stream) -> Self {
        match stream.kind() {
            // These are written together with what the engine decided, and only by it.
            RecordKind::Data if matches!(stream, Stream::LateEvents | Stream::ViewRows) => {
                Self::Clockwork
            }
            RecordKind::Data => Self::Bulk,
            RecordKind::Watermark | RecordKind::Source => Self::Clockwork,
            RecordKind::Rule | RecordKind::Command | RecordKind::Alert | RecordKind::Config => {
                Self::Act
            }
        }
    }

    /// Whether it may be written with `used` of `room` bytes of the reserve gone.
    fn fits(self, used: u64, room: u64) -> bool {
        match self {
            Self::Bulk => false,
            Self::Clockwork => used < room / 2,
            Self::Act => true,
        }
    }
}

/// What is known about space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) reserve_bytes: u64,
    /// A reserve stands beside the segments.
    pub(super) is_ready: bool,
    /// Nothing that can wait is taken.
    pub(super) is_full: bool,
    asked_at: Option<i64>,
}

impl Space {
    pub(super) fn new(reserve_bytes: u64, is_full: bool) -> Self {
        Self { reserve_bytes, is_ready: false, is_full, asked_at: None }
    }

    /// Whether a full disk should be asked for space now; notes that it was.
    pub(super) fn may_ask(&mut self, now: i64) -> bool {
        let due = self.asked_at.is_none_or(|asked_at| asked_at.abs_diff(now) >= ASK_EVERY_MICROS);
        if due {
            self.asked_at = Some(now);
        }
        due
    }

    /// The disk was found full at `now`.
    pub(super) fn fill(&mut self, now: i64) {
        self.is_full = true;
        self.asked_at = Some(now);
    }

    /// Whether an append of `urgency` is taken, with `segment` = bytes used and room of the segment
    /// that is written, if it is a reserve.
    pub(super) fn takes(&self, urgency: Urgency, segment: Option<(u64, u64)>) -> bool {
        if !self.is_full {
            return true;
        }
        match segment {
            Some((used, room)) => urgency.fits(used, room),
            // No reserve: the last bytes of the disk are for what matters.
            None => urgency > Urgency::Bulk,
        }
    }
}

/// Where the reserve of a log lies.
pub(super) fn path_of(dir: &Path) -> PathBuf {
    dir.join("reserve")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bulk_entry_makes_an_append_bulk_and_otherwise_the_most_urgent_counts() {
        let check = |streams: &[Stream], expected| {
            assert_eq!(Urgency::of(streams.iter().copied()), expected, "{streams:?}");
        };
        check(&[Stream::Readings], Urgency::Bulk);
        check(&[Stream::Commands, Stream::RejectedEvents], Urgency::Bulk);
        check(&[Stream::LateEvents, Stream::AlertTransitions], Urgency::Act);
        check(&[Stream::ViewRows], Urgency::Clockwork);
        check(&[Stream::Watermarks, Stream::SourceEvents], Urgency::Clockwork);
        check(&[Stream::RuleChanges], Urgency::Act);
        check(&[Stream::ConfigChanges, Stream::Watermarks], Urgency::Act);
    }

    #[test]
    fn clockwork_leaves_half_of_the_reserve_to_acts() {
        let mut space = Space::new(1_000, false);
        assert!(space.takes(Urgency::Bulk, None));
        space.fill(0);
        assert!(!space.takes(Urgency::Bulk, Some((128, 1_000))));
        assert!(space.takes(Urgency::Clockwork, Some((499, 1_000))));
        assert!(!space.takes(Urgency::Clockwork, Some((500, 1_000))));
        assert!(space.takes(Urgency::Act, Some((999, 1_000))));
        assert!(space.takes(Urgency::Clockwork, None) && !space.takes(Urgency::Bulk, None));
    }

    #[test]
    fn full_disk_is_asked_once_a_second_whichever_way_the_clock_jumps() {
        let mut space = Space::new(1_000, false);
        space.fill(5_000_000);
        assert!(!space.may_ask(5_999_999));
        assert!(space.may_ask(6_000_000));
        assert!(!space.may_ask(6_500_000));
        assert!(space.may_ask(1_000_000), "the clock was set back");
    }
}
