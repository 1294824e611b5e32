//! Holes inside a group of pictures.
//!
//! A frame lasts until the next one comes, so a group whose camera fell silent for some seconds, or
//! whose frames were lost on the way, has no end in its frame table: one frame of it lasts long. Its
//! picture was on screen meanwhile, but nothing was recorded. What is long is told by the other frames
//! of the group: a camera that sends a frame every two seconds has no holes.

use vong_model::EventTime;

use crate::timeline::{TICKS_PER_SECOND, wall_after};

/// A frame may last so many times as long as its group's median.
const MOST_MEDIANS: u32 = 2;

/// When a group that began at `start` was recorded, oldest first, given how long its frames last,
/// 1/90000 s: in one piece, unless a frame lasts over a second and over twice the (lower) median.
/// Such a frame was there for as long as the median; the rest is a hole.
pub fn covered(start: EventTime, durations_90k: &[u32]) -> Vec<(EventTime, EventTime)> {
    let mut sorted = durations_90k.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len().saturating_sub(1) / 2;
    let Some(median) = sorted.get(middle).copied() else { return Vec::new() };
    let long = TICKS_PER_SECOND.max(median.saturating_mul(MOST_MEDIANS));
    let mut spans = Vec::new();
    let (mut from, mut at) = (0u64, 0u64);
    for duration in durations_90k {
        let end = at.saturating_add(u64::from(*duration));
        if *duration > long {
            spans.push((from, at.saturating_add(u64::from(median))));
            from = end;
        }
        at = end;
    }
    if from < at {
        spans.push((from, at));
    }
    let wall = |(from, to)| (wall_after(start, from), wall_after(start, to));
    spans.into_iter().map(wall).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations and spans in milliseconds.
    fn check(durations: &[u32], expected: &[(i64, i64)]) {
        let ticks: Vec<u32> = durations.iter().map(|ms| ms * 90).collect();
        let spans = covered(EventTime(5_000_000), &ticks);
        let spans: Vec<_> =
            spans.iter().map(|(from, to)| (from.millis() - 5_000, to.millis() - 5_000)).collect();
        assert_eq!(spans, expected, "{durations:?}");
    }

    #[test]
    fn a_frame_far_longer_than_the_others_is_a_hole() {
        check(&[40, 40, 40], &[(0, 120)]);
        check(&[40, 5_000, 40, 40], &[(0, 80), (5_040, 5_120)]);
        check(&[40, 40, 9_000], &[(0, 80 + 40)]);
        check(&[5_000, 40], &[(0, 40), (5_000, 5_040)]);
        check(&[40, 3_000, 3_000, 40, 40], &[(0, 80), (3_040, 3_080), (6_040, 6_120)]);
        // Not over a second; not over twice the others; nothing to compare with; nothing at all.
        check(&[40, 1_000, 40], &[(0, 1_080)]);
        check(&[2_000, 2_000, 4_000], &[(0, 8_000)]);
        check(&[2_000, 2_000, 4_100], &[(0, 6_000)]);
        check(&[9_000], &[(0, 9_000)]);
        check(&[], &[]);
    }
}
