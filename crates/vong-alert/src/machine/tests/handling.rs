//! Ladder, cooldown, limit and inhibition, each as a story.

use super::*;

#[test]
fn a_raise_asks_for_attention_again_and_a_lowering_does_not() {
    check(
        "high>70 critical>90",
        "0 a 60 | ack a | 1 a 75 | ack a | 2 a 95 | ack a | 3 a 75 | 4 a 60 | 5 a 10",
        &expect![[r#"
            0 a firing
            0 a acknowledged by an
            1 a firing high (severity raised to high)
            1 a acknowledged high by an
            2 a firing critical (severity raised to critical)
            2 a acknowledged critical by an
            3 a acknowledged high (severity lowered to high)
            4 a acknowledged (severity lowered to medium)
            5 a resolved (condition cleared)
        "#]],
    );
}

#[test]
fn rungs_go_up_and_down_by_timers_of_their_own() {
    check(
        "high>70:5:3",
        "0 a 80 | watermark 4 | 4 a 60 | 5 a 80 | watermark 20 | 21 a 60 | 22 a 80 | 23 a 60 \
         | watermark 30",
        &expect![[r#"
            0 a firing
            10 a firing high (severity raised to high)
            26 a firing (severity lowered to medium)
        "#]],
    );
    check(
        "for=5 high>70:5 critical>90:9",
        "0 a 95 | 3 a 75 | 4 a 95 | watermark 12 | 13 a 95",
        &expect![[r#"
            0 a pending
            5 a firing high
            13 a firing critical (severity raised to critical)
        "#]],
    );
    check(
        "keep=60 high>70:0:5",
        "0 a 80 | 10 a 20 | watermark 80",
        &expect![[r#"
            0 a firing high
            15 a firing (severity lowered to medium)
            70 a resolved (condition stayed clear)
        "#]],
    );
    check(
        "high>70:10",
        "window 0..10 a 80 | window 10..20 a 60",
        &expect![[r#"
            10 a firing high
            20 a firing (severity lowered to medium)
        "#]],
    );
}

#[test]
fn after_a_resolved_alert_the_next_waits_for_the_cooldown() {
    check(
        "cooldown=60",
        "0 a 80 | 5 a 10 | 20 a 80 | 30 a 10 | 40 a 80 | 50 b 80 | watermark 65 | 66 a 10 \
         | watermark 127 | 130 a 80",
        &expect![[r#"
            0 a firing
            5 a resolved (condition cleared)
            20 a pending
            30 a cancelled (condition cleared during COOLDOWN)
            40 a pending
            50 b firing
            65 a firing
            66 a resolved (condition cleared)
            130 a firing
        "#]],
    );
}

#[test]
fn what_is_over_the_limit_is_suppressed_until_it_ends() {
    let machine = check(
        "limit=2/60",
        "0 a 80 | 1 b 80 | 2 c 80 | 3 c 10 | 4 a 10 | 5 a 80 | 60 d 80",
        &expect![[r#"
            0 a firing
            1 b firing
            2 c suppressed (over the limit of 2 per 1 minute)
            3 c resolved (condition cleared)
            4 a resolved (condition cleared)
            5 a suppressed (over the limit of 2 per 1 minute)
            60 d firing
        "#]],
    );
    assert_eq!(machine.kept_back(), 2);
    assert_eq!(machine.open_count(), 3);
    let state = |key: &str| machine.status(&key.to_owned()).map(|status| status.state);
    assert_eq!(state("a"), Some(State::Suppressed));
    assert_eq!(state("c"), None);
}

#[test]
fn places_under_the_limit_go_by_event_time_not_by_who_is_looked_at_first() {
    check(
        "for=5 limit=1/60",
        "1 b 80 | 0 a 80 | 6 b 80 | watermark 10",
        &expect![[r#"
            1 b pending
            0 a pending
            6 b suppressed (over the limit of 1 per 1 minute)
            5 a firing
        "#]],
    );
    // The end of the cooldown is certain before the row of the same instant is looked at.
    check(
        "cooldown=5 limit=1/10",
        "0 b 80 | 5 b 10 | 6 b 80 | 10 a 80 | watermark 10",
        &expect![[r#"
            0 b firing
            5 b resolved (condition cleared)
            6 b pending
            10 a suppressed (over the limit of 1 per 10 seconds)
            10 b firing
        "#]],
    );
}

#[test]
fn an_alert_of_another_rule_keeps_those_of_this_one_back() {
    let machine = check(
        "",
        "0 a 80 | ack a | inhibit a flood 5 | watermark 5 | 7 a 85 | 8 b 90 | inhibit b flood 9 \
         | watermark 9 | 9 b 10 | inhibit a - 10 | watermark 10",
        &expect![[r#"
            0 a firing
            0 a acknowledged by an
            5 a suppressed (inhibited by flood)
            8 b firing
            9 b suppressed (inhibited by flood)
            9 b resolved (condition cleared)
            10 a firing (inhibition ended)
        "#]],
    );
    assert_eq!(machine.inhibited_by(&"a".to_owned()), None);
    assert_eq!(machine.inhibited_by(&"b".to_owned()), Some(&RuleId::from("flood")));
    let status = machine.status(&"a".to_owned()).unwrap();
    assert_eq!((status.value, status.started), (Some(85.0), EventTime(0)));
}

#[test]
fn an_inhibition_that_ends_over_a_clear_condition_raises_nothing() {
    check(
        "keep=5",
        "inhibit a flood 0 | 1 a 80 | 2 a 10 | inhibit a - 3 | watermark 4 | 5 a 80 | 6 a 10 \
         | watermark 20",
        &expect![[r#"
            1 a suppressed (inhibited by flood)
            5 a firing (inhibition ended)
            11 a resolved (condition stayed clear)
        "#]],
    );
    check(
        "keep=9",
        "inhibit a flood 0 | 1 a 80 | 2 a 10 | inhibit a - 3 | watermark 4 | shelve a until 8 \
         | 5 a 80 | watermark 8",
        &expect![[r#"
            1 a suppressed (inhibited by flood)
            4 a shelved by an
            8 a firing (shelving ended)
        "#]],
    );
}

#[test]
fn inhibition_shelf_and_ladder_meet() {
    check(
        "",
        "inhibit a flood 0 | 1 a 80 | shelve a until 10 | watermark 10 | inhibit a storm 11 \
         | inhibit a - 12 | watermark 12",
        &expect![[r#"
            1 a suppressed (inhibited by flood)
            1 a shelved by an
            10 a suppressed (inhibited by flood)
            11 a suppressed (inhibited by storm)
            12 a firing (inhibition ended)
        "#]],
    );
    check(
        "high>70",
        "inhibit a flood 0 | 1 a 60 | ack a | 2 a 80 | inhibit a - 3 | watermark 3",
        &expect![[r#"
            1 a suppressed (inhibited by flood)
            2 a suppressed high (inhibited by flood; severity raised to high)
            3 a firing high (inhibition ended)
        "#]],
    );
    check(
        "high>70",
        "0 a 60 | shelve a until 10 | comment a | 2 a 80 | watermark 10",
        &expect![[r#"
            0 a firing
            0 a shelved by an
            0 a shelved by an
            2 a shelved high (severity raised to high)
            10 a firing high (shelving ended)
        "#]],
    );
}

#[test]
fn alerts_kept_back_and_then_let_go_take_their_place_under_the_limit_then() {
    check(
        "limit=1/60",
        "inhibit a flood 0 | inhibit b flood 0 | 1 a 80 | 2 b 80 | inhibit a - 70 | inhibit b - 70 \
         | watermark 70",
        &expect![[r#"
            1 a suppressed (inhibited by flood)
            2 b suppressed (inhibited by flood)
            70 a firing (inhibition ended)
            70 b suppressed (over the limit of 1 per 1 minute)
        "#]],
    );
}

#[test]
fn a_rule_costs_little_and_a_quiet_key_nothing() {
    assert!(size_of::<Machine<u32>>() <= 200, "{}", size_of::<Machine<u32>>());
    let mut run = Run::new(policy("cooldown=5 limit=1/10 high>70"));
    "0 a 80 | 1 a 10 | inhibit a flood 2 | 3 a 20 | inhibit a - 4 | watermark 9"
        .split('|')
        .for_each(|line| run.feed(line));
    assert!(run.machine.is_idle());
    assert_eq!(run.machine.tracks.len(), 0);
    assert_eq!(run.machine.open_count(), 0);
}
