//! Which groups an event brings to disk.

use expect_test::{Expect, expect};

use super::*;
use crate::testing::{at, gop};

/// Orders: a number is the group of that second, `!n` an alert to be recorded until second n.
/// What is written comes back as seconds, `|` is where the event was over.
fn check(limits: RingLimits, orders: &str, expected: Expect) {
    let mut ring = Ring::new(limits);
    let mut told = Vec::new();
    let second = |gop: &Gop| ((gop.start.micros() - at(0).micros()) / 1_000_000).to_string();
    for order in orders.split_whitespace() {
        match order.strip_prefix('!') {
            Some(until) => told.extend(ring.record(at(until.parse().unwrap())).iter().map(second)),
            None => match ring.push(gop(order.parse().unwrap(), 4)) {
                Next::Write(gop) => told.push(second(&gop)),
                Next::Over => told.push("|".to_owned()),
                Next::Wait => {}
            },
        }
    }
    expected.assert_eq(&told.join(" "));
}

const SECONDS: RingLimits = RingLimits { keep: Duration::from_secs(3), bytes: 1_000_000 };

#[test]
fn event_brings_what_waited_and_what_follows_until_its_end() {
    check(SECONDS, "0 1 2 3 4 5 6 7 8", expect![""]);
    check(SECONDS, "0 1 2 3 4 5 6 !9 7 8 9 10", expect!["3 4 5 6 7 8 |"]);
    check(SECONDS, "0 1 !5", expect!["0 1"]);
}

#[test]
fn overlapping_events_share_footage_and_none_is_written_twice() {
    check(SECONDS, "5 6 !9 7 !11 8 9 10 11 12", expect!["5 6 7 8 9 10 |"]);
    check(SECONDS, "5 6 !11 7 !9 8 9 10 11 12", expect!["5 6 7 8 9 10 |"]);
    check(
        SECONDS,
        "5 !7 6 7 8 !10 9 10 11 12 13 14 15 16 !17",
        expect!["5 6 | 7 8 9 | 13 14 15 16"],
    );
}

#[test]
fn alert_that_comes_late_still_gets_what_waits() {
    check(SECONDS, "5 6 7 8 !6 9", expect!["5 6 7 8 |"]);
}

#[test]
fn bytes_are_bounded() {
    let small = RingLimits { keep: Duration::from_secs(60), bytes: 350 };
    check(small, "0 1 2 3 4 5 6 7 !9", expect!["5 6 7"]);
    let mut ring = Ring::new(small);
    (0..8).for_each(|n| drop(ring.push(gop(n, 4))));
    assert_eq!((ring.bytes(), ring.take_let_go(), ring.take_let_go()), (300, 5, 0));
    // A group that is larger than all there is goes by.
    ring.push(gop(8, 400));
    assert_eq!(ring.bytes(), 0);
}
