//! What is estimated, and what is refused with which words.

use expect_test::{Expect, expect};
use vong_sql::rule::{RuleStatement, parse_one};

use super::*;
use crate::RulePlanner;
use crate::testing::rule_sql;

fn check(clauses: &str, select: &str, others: f64, expected: &Expect) {
    let RuleStatement::Create(rule) = parse_one(&rule_sql("r", clauses, select)).unwrap() else {
        panic!("not a rule")
    };
    let plan = RulePlanner::new().unwrap().plan(&rule).unwrap();
    let shown = match RuleBudget::default().check(&rule, &plan, others) {
        Ok(cost) => cost.lines().join("\n"),
        Err(e) => e.to_string(),
    };
    expected.assert_eq(&shown);
}

const ASKED: &str = "SELECT w.sensor_id FROM readings w JOIN readings p ON p.sensor_id = \
                     w.sensor_id AND p.value > w.value";

#[test]
fn questions_cost_what_they_read_how_often() {
    let one = "SELECT sensor_id, max(value) FROM readings GROUP BY sensor_id";
    let often = "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '5 minutes'";
    check(
        often,
        one,
        0.0,
        &expect![[r#"
        estimate: 16 MiB of memory at most: 300 thousand rows of the last 300 s
        estimate: 30 thousand rows a second: 300 thousand rows at each asking, every 10 s; the stretch is 300 s of 1000 readings a second"#]],
    );
    check(
        often,
        ASKED,
        0.0,
        &expect![[r#"
        estimate: 16 MiB of memory at most: 300 thousand rows of the last 300 s
        estimate: 120 thousand rows a second: 1.2 million rows at each asking, every 10 s; the stretch is 300 s of 1000 readings a second"#]],
    );
    check(
        often,
        ASKED,
        200_000.0,
        &expect![
            "the rule would handle 120 thousand rows a second: 1.2 million rows at each asking, every 10 s; the stretch is 300 s of 1000 readings a second; all rules with EVERY may handle 250 thousand (rules.asked_rows_per_s), of which others take 200 thousand: ask less often (EVERY), about less (OVER LAST), or read each stream once at line 1, column 137"
        ],
    );
    check(
        "EVERY INTERVAL '1 second' OVER LAST INTERVAL '1 hour'",
        one,
        0.0,
        &expect![
            "the rule would handle 3.6 million rows a second: 3.6 million rows at each asking, every 1 s; the stretch is 3600 s of 1000 readings a second; all rules with EVERY may handle 250 thousand (rules.asked_rows_per_s), of which others take 0: ask less often (EVERY), about less (OVER LAST), or read each stream once at line 1, column 132"
        ],
    );
    let rare = "SELECT camera_id FROM camera_events WHERE state = 'lost'";
    check(
        "EVERY INTERVAL '1 second' OVER LAST INTERVAL '1 hour'",
        rare,
        0.0,
        &expect![[r#"
        estimate: 2 MiB of memory at most: 36 thousand rows of the last 3600 s
        estimate: 36 thousand rows a second: 36 thousand rows at each asking, every 1 s; the stretch is 3600 s of 1000 readings a second"#]],
    );
}

#[test]
fn what_puts_every_row_together_with_every_other_is_refused() {
    let often = "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '5 minutes'";
    let product = "SELECT w.sensor_id FROM readings w JOIN readings p ON p.value > w.value";
    check(
        often,
        product,
        0.0,
        &expect![
            "the rule would handle 9.0 billion rows a second: 90.0 billion rows at each asking, every 10 s; the stretch is 300 s of 1000 readings a second; all rules with EVERY may handle 250 thousand (rules.asked_rows_per_s), of which others take 0: say with = in JOIN … ON what the rows of both sides have in common at line 1, column 137"
        ],
    );
    let equal = "SELECT w.sensor_id FROM readings w, readings p WHERE w.sensor_id = p.sensor_id";
    check(
        often,
        equal,
        0.0,
        &expect![[r#"
        estimate: 16 MiB of memory at most: 300 thousand rows of the last 300 s
        estimate: 120 thousand rows a second: 1.2 million rows at each asking, every 10 s; the stretch is 300 s of 1000 readings a second"#]],
    );
    let one = "SELECT sensor_id FROM readings WHERE value > (SELECT avg(value) FROM readings)";
    check(
        often,
        one,
        0.0,
        &expect![[r#"
        estimate: 16 MiB of memory at most: 300 thousand rows of the last 300 s
        estimate: 60 thousand rows a second: 600 thousand rows at each asking, every 10 s; the stretch is 300 s of 1000 readings a second"#]],
    );
}

#[test]
fn state_is_windows_by_keys() {
    let window = |window: &str, scope: &str, aggregate: &str| {
        format!(
            "SELECT sensor_id, {aggregate} FROM readings WHERE {scope} GROUP BY sensor_id, {window} \
             HAVING {aggregate} > 3"
        )
    };
    let minute = "tumble(event_time, INTERVAL '1 minute')";
    let day = "hop(event_time, INTERVAL '1 minute', INTERVAL '1 day')";
    check(
        "",
        &window(minute, "true", "avg(value)"),
        0.0,
        &expect!["estimate: 1 MiB of memory at most: 2 panes of 10 thousand keys"],
    );
    check(
        "",
        &window(day, "true", "avg(value)"),
        0.0,
        &expect![
            "the rule can hold 989 MiB: 1441 panes of 10 thousand keys; a rule may hold 256 MiB (rules.memory_mib): make the window shorter or its slide longer, look back less far, or name the sensors at line 1, column 79"
        ],
    );
    check(
        "",
        &window(day, "sensor_id IN ('a', 'b')", "avg(value)"),
        0.0,
        &expect!["estimate: 203 KiB of memory at most: 1441 panes of 2 keys"],
    );
    check(
        "",
        &window(minute, "true", "median(value)"),
        0.0,
        &expect![
            "estimate: 2 MiB of memory at most: an aggregate that keeps each of 120 thousand values, of windows that overlap 2 times"
        ],
    );
    check(
        "",
        &window(day, "true", "median(value)"),
        0.0,
        &expect![
            "the rule can hold 1900196 MiB: an aggregate that keeps each of 124.5 billion values, of windows that overlap 1441 times; a rule may hold 256 MiB (rules.memory_mib): make the window shorter or its slide longer, look back less far, or name the sensors at line 1, column 79"
        ],
    );
}

#[test]
fn state_is_how_far_a_frame_looks_back() {
    let frame = |frame: &str| {
        format!(
            "SELECT sensor_id, value FROM readings QUALIFY value > avg(value) OVER (PARTITION BY \
             sensor_id ORDER BY event_time {frame} PRECEDING AND CURRENT ROW)"
        )
    };
    check(
        "",
        &frame("RANGE BETWEEN INTERVAL '10 minutes'"),
        0.0,
        &expect!["estimate: 32 MiB of memory at most: 600 thousand rows in 1 frames"],
    );
    check(
        "",
        &frame("RANGE BETWEEN INTERVAL '1 day'"),
        0.0,
        &expect![
            "the rule can hold 4614 MiB: 86.4 million rows in 1 frames; a rule may hold 256 MiB (rules.memory_mib): make the window shorter or its slide longer, look back less far, or name the sensors at line 1, column 79"
        ],
    );
    check(
        "",
        &frame("ROWS BETWEEN 100000"),
        0.0,
        &expect![
            "the rule can hold 53406 MiB: 1.0 billion rows in 1 frames; a rule may hold 256 MiB (rules.memory_mib): make the window shorter or its slide longer, look back less far, or name the sensors at line 1, column 79"
        ],
    );
    check(
        "",
        "SELECT sensor_id, value FROM readings WHERE value > 3",
        0.0,
        &expect!["estimate: 2 MiB of memory at most: 10 thousand keys"],
    );
}
