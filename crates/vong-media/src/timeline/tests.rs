//! Timelines written as lines of data: `pts received` in, `media wall` out.

use proptest::prelude::*;

use super::*;

/// `input`: `pts@received_ms` separated by spaces, `!` for an interruption.
/// Answer: `media@wall_ms`, with `*` where the wall was anchored.
fn run(input: &str) -> String {
    let mut timeline = Timeline::new();
    let mut out = Vec::new();
    for word in input.split_whitespace() {
        let Some((pts, received)) = word.split_once('@') else {
            timeline.interrupted();
            continue;
        };
        let received = EventTime(received.parse::<i64>().unwrap() * 1_000);
        let stamp = timeline.stamp(pts.parse().unwrap(), received);
        let mark = if stamp.anchored { "*" } else { "" };
        out.push(format!("{}@{}{mark}", stamp.media_90k, stamp.wall.millis()));
    }
    out.join(" ")
}

#[test]
fn even_stream_keeps_its_first_anchor() {
    assert_eq!(run("500@1000 4100@1043 7700@1077"), "0@1000* 3600@1040 7200@1080");
}

#[test]
fn counter_of_32_bits_wraps_without_a_trace() {
    assert_eq!(run("4294965496@1000 1800@1040 5400@1080"), "0@1000* 3600@1040 7200@1080");
}

#[test]
fn counter_jump_is_bridged_by_arrival() {
    assert_eq!(
        run("0@1000 3600@1040 900003600@1080 900007200@1120"),
        "0@1000* 3600@1040 7200@1080* 10800@1120"
    );
    assert_eq!(
        run("900000000@1000 900003600@1040 0@1080 3600@1120"),
        "0@1000* 3600@1040 7200@1080* 10800@1120"
    );
}

#[test]
fn early_frame_moves_the_anchor_at_once_and_late_frames_only_if_they_stay_late() {
    // The counter runs 600 ms ahead of arrival.
    assert_eq!(run("0@1000 90000@1400"), "0@1000* 36000@1400*");
    // One stall of 1 s, then the burst catches up.
    assert_eq!(run("0@1000 3600@2040 90000@2050"), "0@1000* 3600@1040 90000@2000");
    // Late for 2 s: the counter is slow.
    assert_eq!(
        run("0@1000 90000@2600 180000@3600 270000@4600"),
        "0@1000* 90000@2000 180000@3000 270000@4600*"
    );
}

#[test]
fn interruption_starts_a_new_stream() {
    assert_eq!(run("77@1000 3677@1040 ! 5@9000 3605@9040"), "0@1000* 3600@1040 0@9000* 3600@9040");
}

#[test]
fn repeated_timestamp_still_advances() {
    assert_eq!(run("0@0 0@10 0@20 3600@40"), "0@0* 1@0 2@0 3600@40");
}

proptest! {
    #[test]
    fn media_time_rises_whatever_the_camera_says(
        frames in prop::collection::vec((any::<i64>(), any::<i64>()), 1..50)
    ) {
        let mut timeline = Timeline::new();
        let mut last = None;
        for (pts, received) in frames {
            let stamp = timeline.stamp(pts, EventTime(received));
            // Saturation at the very end of u64 is the only place where it may stand still.
            prop_assert!(last.is_none_or(|l| stamp.media_90k > l || l == u64::MAX));
            last = Some(stamp.media_90k);
        }
    }

    #[test]
    fn wall_stays_near_arrival_when_arrival_is_honest(
        steps in prop::collection::vec((1i64..9_000, 0i64..400), 1..200)
    ) {
        let mut timeline = Timeline::new();
        let (mut pts, mut taken) = (0i64, 0i64);
        for (step, delay_ms) in steps {
            pts += step;
            taken += step * 100 / 9;
            let received = EventTime(taken + delay_ms * 1_000);
            let stamp = timeline.stamp(pts, received);
            let off = stamp.wall.micros().abs_diff(received.micros());
            prop_assert!(off <= 501_000, "off by {off} us");
        }
    }
}
