//! Which closed parts of a log may go, by age and by size; pure arithmetic.
//!
//! Only whole parts, oldest first, and never one that a reader still needs: what retention would
//! delete but may not is said, so that a reader that fell behind is seen before the disk is full.

use std::time::Duration;

use vong_model::{EventTime, Offset};

use crate::SealedRange;

/// How much of a log is kept at most; without a limit everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// A part may go once its last record is older.
    pub keep_age: Option<Duration>,
    /// The oldest parts may go while all closed parts together are larger.
    pub keep_bytes: Option<u64>,
}

/// What was let go, and what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Everything below was let go.
    pub below: Offset,
    /// Closed parts.
    pub parts: usize,
    pub bytes: u64,
    /// What retention would let go if no reader needed it.
    pub held_back_bytes: u64,
}

impl Retention {
    /// What of `sealed`, oldest first, may go at `now` when readers need everything from
    /// `low_water` on.
    pub fn plan(&self, sealed: &[SealedRange], now: EventTime, low_water: Offset) -> Trimmed {
        let Self { keep_age, keep_bytes } = *self;
        let oldest_kept = keep_age.map(|age| now.saturating_sub(age));
        let mut left: u64 = sealed.iter().map(|part| part.bytes).sum();
        let mut plan = Trimmed::default();
        for SealedRange { first: _, next, bytes, closed_at } in sealed {
            let too_old = oldest_kept.is_some_and(|oldest| *closed_at < oldest);
            let too_much = keep_bytes.is_some_and(|limit| left > limit);
            if !too_old && !too_much {
                break;
            }
            left -= bytes;
            if *next <= low_water {
                plan.below = *next;
                plan.parts += 1;
                plan.bytes += bytes;
            } else {
                plan.held_back_bytes += bytes;
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Parts of ten records and 100 bytes, closed at second 10, 20, …
    fn parts(count: u64) -> Vec<SealedRange> {
        let part = |i: u64| SealedRange {
            first: Offset(10 * i),
            next: Offset(10 * i + 10),
            bytes: 100,
            closed_at: EventTime(10_000_000 * (i as i64 + 1)),
        };
        (0..count).map(part).collect()
    }

    fn check(age_s: Option<u64>, bytes: Option<u64>, now_s: i64, low_water: u64, expected: &str) {
        let retention = Retention { keep_age: age_s.map(Duration::from_secs), keep_bytes: bytes };
        let plan = retention.plan(&parts(5), EventTime(now_s * 1_000_000), Offset(low_water));
        let Trimmed { below, parts, bytes, held_back_bytes } = plan;
        let mut found = format!("{parts} parts, {bytes} bytes, below {below}");
        if held_back_bytes > 0 {
            write!(found, ", {held_back_bytes} held back").unwrap();
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn whole_parts_go_by_age_and_by_size_and_never_past_the_low_water() {
        check(None, None, 1_000, 50, "0 parts, 0 bytes, below 0");
        check(Some(30), None, 55, 50, "2 parts, 200 bytes, below 20");
        check(Some(30), None, 1_000, 50, "5 parts, 500 bytes, below 50");
        check(Some(30), None, 1_000, 19, "1 parts, 100 bytes, below 10, 400 held back");
        check(None, Some(500), 0, 50, "0 parts, 0 bytes, below 0");
        check(None, Some(499), 0, 50, "1 parts, 100 bytes, below 10");
        check(None, Some(250), 0, 50, "3 parts, 300 bytes, below 30");
        check(None, Some(0), 0, 0, "0 parts, 0 bytes, below 0, 500 held back");
        check(Some(30), Some(150), 55, 50, "4 parts, 400 bytes, below 40");
        check(Some(1_000), Some(1_000), 55, 50, "0 parts, 0 bytes, below 0");
    }
}
