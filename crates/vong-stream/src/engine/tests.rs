//! Rules and rows in, transitions out.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use vong_model::{EventTime, Offset, Stream};

mod equality;
mod nab;
mod table_changes;

use super::*;
use crate::testing::{Row, SECOND, Story, readings, rule_change, rule_sql, watermark};

const HIGH: &str = "SELECT sensor_id, value FROM readings WHERE metric = 'level' AND value > 50";
const SLOW: &str = "SELECT sensor_id, avg(value) AS mean FROM readings WHERE metric = 'speed' \
                    GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds') \
                    HAVING avg(value) < 10";
const SILENT: &str = "SELECT sensor_id FROM readings WHERE metric = 'level'";

fn check(rules: &[(&str, &str, &str)], lines: &str, expected: &Expect) {
    let mut story = Story::new();
    for (rule_id, clauses, select) in rules {
        story.rule(rule_id, clauses, select);
    }
    lines.split('|').for_each(|line| story.line(line));
    expected.assert_eq(&story.text());
}

#[test]
fn stateless_rule_fires_off_the_row_and_late_rows_do_not_count() {
    check(
        &[("high", "", HIGH)],
        "10 a level 80 | 10 b speed 80 | 11 a level 20 | watermark 15 | 12 a level 90 | 16 a level 60",
        &expect![[r#"
            10 high sensor_id=a firing 80
            11 high sensor_id=a resolved 20
            16 high sensor_id=a firing 60
            late 1
        "#]],
    );
}

#[test]
fn for_is_passed_by_watermark_or_by_a_row_of_the_key() {
    check(
        &[("high", "FOR INTERVAL '5 seconds' KEEP FIRING FOR INTERVAL '3 seconds'", HIGH)],
        "10 a level 80 | 10 b level 70 | 12 b level 10 | 16 a level 90 | watermark 14 | 17 a level 1 \
         | watermark 19 | 18 b level 99 | watermark 20 | watermark 25",
        &expect![[r#"
            10 high sensor_id=a pending 80
            10 high sensor_id=b pending 70
            12 high sensor_id=b cancelled 10
            15 high sensor_id=a firing 80
            20 high sensor_id=a resolved 90
            late 1
        "#]],
    );
}

#[test]
fn window_rule_speaks_when_the_watermark_closes_the_window() {
    check(
        &[("slow", "", SLOW)],
        "10 a speed 4 | 12 a speed 8 | 13 b speed 30 | 21 a speed 5 | watermark 19.9 | watermark 20 \
         | 25 b speed 1 | 26 a speed 50 | watermark 35 | watermark 61",
        &expect![[r#"
            20 slow sensor_id=a firing 6
            30 slow sensor_id=a resolved 27.5
            30 slow sensor_id=b firing 1
            40 slow sensor_id=b resolved
        "#]],
    );
}

#[test]
fn for_of_a_window_rule_counts_the_time_windows_cover() {
    check(
        &[("slow", "FOR INTERVAL '20 seconds'", SLOW)],
        "10 a speed 4 | 20 a speed 4 | 12 b speed 4 | watermark 25 | watermark 40 | watermark 80",
        &expect![[r#"
            20 slow sensor_id=a pending 4
            20 slow sensor_id=b pending 4
            30 slow sensor_id=a firing 4
            30 slow sensor_id=b cancelled
            40 slow sensor_id=a resolved
        "#]],
    );
}

#[test]
fn silence_is_noticed_and_ended_by_the_next_row() {
    check(
        &[("silent", "NO DATA FOR INTERVAL '20 seconds'", SILENT)],
        "10 a level 1 | 11 b level 1 | 25 b level 1 | watermark 29 | watermark 33 | 34 a level 1 \
         | 60 b speed 1 | watermark 60 | 80 a level 1",
        &expect![[r#"
            30 silent sensor_id=a firing
            34 silent sensor_id=a resolved
            45 silent sensor_id=b firing
            54 silent sensor_id=a firing
            80 silent sensor_id=a resolved
        "#]],
    );
}

#[test]
fn a_device_with_a_fast_clock_raises_nothing_but_is_not_silent() {
    check(
        &[("high", "", HIGH), ("silent", "NO DATA FOR INTERVAL '20 seconds'", SILENT)],
        "10 a level 1 | 325 a level 99 ahead | watermark 40 | watermark 46",
        &expect![[r#"
            45 silent sensor_id=a firing
        "#]],
    );
}

#[test]
fn camera_facts_have_a_clock_of_their_own() {
    let lost = "SELECT camera_id FROM camera_events WHERE state IN ('lost', 'refused')";
    check(
        &[("lost", "FOR INTERVAL '5 seconds'", lost)],
        "camera 10 C1 lost | camera 11 C2 refused | watermark readings 99 | camera 13 C2 connected \
         | watermark camera_events 14 | watermark camera_events 15 | watermark camera_events 25 \
         | camera 20 C1 connected",
        &expect![[r#"
            10 lost camera_id=C1 pending
            11 lost camera_id=C2 pending
            13 lost camera_id=C2 cancelled
            15 lost camera_id=C1 firing
            20 lost camera_id=C1 resolved
        "#]],
    );
}

/// The select of a rule that is shipped.
fn shipped(file: &str) -> String {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/rules").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let select = text.split_once("\nAS ").unwrap().1;
    select.trim_end().trim_end_matches(';').to_owned()
}

#[test]
fn a_lost_camera_stays_an_alert_whatever_else_is_said_of_it() {
    let (lost, recording) = (shipped("camera_lost.sql"), shipped("recording_lost.sql"));
    check(
        &[("lost", "FOR INTERVAL '5 seconds'", &lost), ("recording", "", &recording)],
        "camera 9 C1 recording_lost | camera 10 C1 lost | camera 15 C1 recording_good \
         | watermark camera_events 16 | camera 17 C1 timestamps_jumped | camera 18 C2 lost \
         | watermark camera_events 25 | camera 30 C1 connected | camera 31 C2 removed",
        &expect![[r#"
            9 recording camera_id=C1 firing
            10 lost camera_id=C1 pending
            15 recording camera_id=C1 resolved
            15 lost camera_id=C1 firing
            18 lost camera_id=C2 pending
            23 lost camera_id=C2 firing
            30 lost camera_id=C1 resolved
            31 lost camera_id=C2 resolved
        "#]],
    );
}

#[test]
fn operators_acts_are_part_of_the_story() {
    check(
        &[("high", "", HIGH)],
        "10 a level 80 | ack high a | ack high a | 11 a level 81 | 12 a level 1 | 13 a level 80 \
         | shelve high a 20 | 14 a level 1 | 15 a level 80 | watermark 21",
        &expect![[r#"
            10 high sensor_id=a firing 80
            10 high sensor_id=a acknowledged 80 by an
            12 high sensor_id=a resolved 1
            13 high sensor_id=a firing 80
            13 high sensor_id=a shelved 80 by an
            14 high sensor_id=a resolved 1
            15 high sensor_id=a shelved 80
            20 high sensor_id=a firing 80
        "#]],
    );
}

#[test]
fn rules_come_and_go_without_touching_others() {
    let mut story = Story::new();
    story.rule("high", "", HIGH);
    story.rule(
        "other",
        "",
        "SELECT sensor_id, value FROM readings WHERE metric = 'level' AND value > 70",
    );
    story.line("10 a level 80");
    story.line("disable high");
    story.line("11 a level 90");
    story.line("enable high");
    story.line("12 a level 85");
    story.rule("high", "", "SELECT sensor_id, value FROM readings WHERE value > 1000");
    story.line("13 a level 2000");
    story.line("drop other");
    expect![[r#"
        10 high sensor_id=a firing 80
        10 other sensor_id=a firing 80
        10 high sensor_id=a cancelled 80
        12 high sensor_id=a firing 85
        12 high sensor_id=a cancelled 85
        13 high sensor_id=a firing 2000
        13 other sensor_id=a cancelled 2000
    "#]]
    .assert_eq(&story.text());
}

#[test]
fn a_window_rule_begins_with_the_first_window_it_sees_whole() {
    let mut story = Story::new();
    story.line("11 a speed 1");
    story.rule("slow", "", SLOW);
    story.line("12 a speed 1");
    story.line("watermark 20");
    story.line("22 a speed 1");
    story.line("watermark 30");
    expect![[r#"
        30 slow sensor_id=a firing 1
    "#]]
    .assert_eq(&story.text());
}

#[test]
fn a_hopping_window_overlaps_its_neighbours() {
    let busy = "SELECT sensor_id, sum(value) AS total FROM readings GROUP BY sensor_id, \
                hop(event_time, INTERVAL '5 seconds', INTERVAL '15 seconds') HAVING sum(value) > 9";
    check(
        &[("busy", "", busy)],
        "1 a x 4 | 7 a x 4 | 12 a x 4 | 13 b x 1 | watermark 9 | watermark 15 | watermark 20 \
         | watermark 40",
        &expect![[r#"
            15 busy sensor_id=a firing 12
            20 busy sensor_id=a resolved 8
        "#]],
    );
}

#[test]
fn an_alert_keeps_others_of_its_unit_back() {
    let flood = "SELECT sensor_id, value FROM readings WHERE metric = 'level' AND value > 50";
    let slow = "SELECT sensor_id, value FROM readings WHERE metric = 'speed' AND value < 10";
    let mut story = Story::new();
    story.rule("flood", "", flood);
    story.rule("slow", "INHIBITED BY flood", slow);
    // Sensors whose name ends in 1 stand in one unit; b2 stands nowhere.
    let lines = "10 a1 speed 5 | 11 w1 level 80 | 12 c1 speed 3 | 12 b2 speed 3 | 13 c1 speed 30 \
                 | 14 w1 level 10 | 15 w1 level 90 | 16 a1 speed 50 | watermark 60";
    lines.split('|').for_each(|line| story.line(line));
    story.rule("late_comer", "INHIBITED BY flood", slow);
    story.line("70 d1 speed 1");
    story.line("71 w1 level 1");
    expect![[r#"
        10 slow sensor_id=a1 firing 5
        11 flood sensor_id=w1 firing 80
        12 slow sensor_id=c1 suppressed 3
        12 slow sensor_id=b2 firing 3
        13 slow sensor_id=c1 resolved 30
        14 flood sensor_id=w1 resolved 10
        15 flood sensor_id=w1 firing 90
        11 slow sensor_id=a1 suppressed 5
        14 slow sensor_id=a1 firing 5
        15 slow sensor_id=a1 suppressed 5
        16 slow sensor_id=a1 resolved 50
        70 late_comer sensor_id=d1 suppressed 1
        70 slow sensor_id=d1 suppressed 1
        71 flood sensor_id=w1 resolved 1
    "#]]
    .assert_eq(&story.text());
}

#[test]
fn a_rule_across_sources_is_asked_again_and_again() {
    let pump_off = "SELECT w.unit_code, max(w.value) AS level FROM readings w JOIN readings p \
                    ON p.unit_code = w.unit_code WHERE w.metric = 'level' AND w.value > 3 \
                    AND p.metric = 'pump' AND p.value = 0 GROUP BY w.unit_code";
    check(
        &[("pump_off", "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '30 seconds'", pump_off)],
        "5 w1 level 4 | 12 p1 pump 1 | watermark 20 | 24 p1 pump 0 | 25 w2 level 9 | watermark 30 \
         | watermark 35 | 36 w1 level 5 | watermark 40 | watermark 61 | watermark 75",
        &expect![[r#"
            30 pump_off unit_code=00101 firing 4
            60 pump_off unit_code=00101 resolved
        "#]],
    );
}

#[test]
fn a_row_far_ahead_closes_no_window_of_those_that_follow() {
    let all = "SELECT sensor_id, median(value) AS v FROM readings GROUP BY sensor_id, \
               tumble(event_time, INTERVAL '10 seconds') HAVING median(value) < 10";
    check(
        &[("slow", "", SLOW), ("all", "", all)],
        "10 a speed 50 | watermark 1 | 4 b speed 3 | watermark 10",
        &expect![[r#"
            10 all sensor_id=b firing 3
            10 slow sensor_id=b firing 3
        "#]],
    );
}

#[test]
fn rules_that_inhibit_each_other_in_a_ring_are_not_in_force() {
    let mut engine = Engine::new(Arc::new(RulePlanner::new().unwrap()));
    for (offset, (name, by)) in (0..).zip([("a", "b"), ("b", "c"), ("c", "a")]) {
        let sql = rule_sql(name, &format!("INHIBITED BY {by}"), HIGH);
        let batch = rule_change("create", name, 1, &sql);
        let (appended_at, stream) = (EventTime(0), Stream::RuleChanges);
        engine.apply(&Record { offset: Offset(offset), appended_at, stream, batch });
    }
    assert_eq!((engine.rules().len(), engine.counts().refused_rules), (2, 1));
}

#[test]
fn a_row_is_judged_with_those_before_it() {
    let jump = "SELECT sensor_id, value - mean AS above FROM (SELECT sensor_id, value, avg(value) \
                OVER (PARTITION BY sensor_id ORDER BY event_time RANGE BETWEEN INTERVAL \
                '10 seconds' PRECEDING AND CURRENT ROW) AS mean FROM readings \
                WHERE metric = 'level') WHERE value > 1.5 * mean";
    check(
        &[("jump", "", jump)],
        "10 a level 2 | 12 a level 2 | 16 a level 8 | 14 a level 2 | 15 b level 9 | watermark 16 \
         | watermark 17 | 18 a speed 99 | 27 a level 4 | watermark 30 | 31 b level 9 | watermark 40",
        &expect![[r#"
            16 jump sensor_id=a firing 4.5
            27 jump sensor_id=a resolved 0
        "#]],
    );
}

#[test]
fn a_session_ends_with_a_pause() {
    let long = "SELECT sensor_id, count(*) AS n, max(value) FROM readings GROUP BY sensor_id, \
                session(event_time, INTERVAL '5 seconds', INTERVAL '20 seconds') HAVING count(*) > 2";
    check(
        &[("long", "", long)],
        "10 a x 1 | 12 a x 7 | 16 a x 1 | 11 b x 1 | watermark 18 | watermark 21 | watermark 25 \
         | 30 a x 1 | watermark 33 | 40 c x 1 | 44 c x 1 | 48 c x 1 | 52 c x 1 | 56 c x 1 | 60 c x 1 \
         | watermark 90",
        &expect![[r#"
            21 long sensor_id=a firing 3
            26 long sensor_id=a resolved
            60 long sensor_id=c firing 5
            65 long sensor_id=c resolved 1
        "#]],
    );
}

#[test]
fn several_keys_and_filters_in_aggregates() {
    let jam = "SELECT sensor_id, avg(value) FILTER (WHERE metric = 'speed') s FROM readings \
               WHERE metric IN ('speed', 'occupancy') \
               GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds') \
               HAVING avg(value) FILTER (WHERE metric = 'speed') < 20 \
               AND avg(value) FILTER (WHERE metric = 'occupancy') > 0.5";
    let by_two = "SELECT sensor_id, metric, max(value) m, count(*) FROM readings \
                  GROUP BY sensor_id, metric, tumble(event_time, INTERVAL '10 seconds') \
                  HAVING metric <> 'occupancy' AND count(*) > 1";
    let whole = "SELECT count(*) n FROM readings GROUP BY tumble(event_time, INTERVAL '10 seconds') \
                 HAVING count(*) > 3";
    check(
        &[("jam", "", jam), ("by_two", "", by_two), ("whole", "", whole)],
        "10 a speed 5 | 11 a occupancy 0.9 | 12 b speed 5 | 13 b occupancy 0.1 | 14 a speed 7 \
         | 15 a occupancy 0.8 | watermark 20 | watermark 30",
        &expect![[r#"
            20 by_two sensor_id=a,metric=speed firing 7
            20 jam sensor_id=a firing 6
            20 whole all firing 6
            30 by_two sensor_id=a,metric=speed resolved
            30 jam sensor_id=a resolved
            30 whole all resolved
        "#]],
    );
}

/// What a watermark or a group of rows is, before it is cut into records.
#[derive(Clone, Debug)]
enum Item {
    Row(Row),
    Watermark(i64),
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let row = (0..40i64, 0..4u8, 0..2u8, 0..100u8, 0..20u8).prop_map(|(t, s, m, v, a)| {
        let metric = if m == 0 { "level" } else { "speed" };
        let sensor = format!("S-{s}");
        let mut row = Row::new(t * SECOND / 2, &sensor, metric, f64::from(v) + 0.1);
        row.ahead = a == 0;
        Item::Row(row)
    });
    let mark = (0..5i64).prop_map(|t| Item::Watermark(t * SECOND));
    proptest::collection::vec(prop_oneof![8 => row, 1 => mark], 1..120).prop_map(|items| {
        // Time goes on: rows scatter around a clock, watermarks follow it.
        let mut watermark = 0;
        let count = items.len() as i64;
        let mut out = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            let base = 60 * SECOND * place as i64 / count;
            out.push(match item {
                Item::Row(mut row) => {
                    row.at_us += base;
                    Item::Row(row)
                }
                Item::Watermark(by) => {
                    watermark = watermark.max(base + by);
                    Item::Watermark(watermark)
                }
            });
        }
        out
    })
}

const RULES: [(&str, &str, &str); 15] = [
    ("a_high", "FOR INTERVAL '2 seconds'", HIGH),
    (
        "b_high",
        "KEEP FIRING FOR INTERVAL '4 seconds'",
        "SELECT value FROM readings WHERE value > 80",
    ),
    ("c_slow", "", SLOW),
    (
        "d_sum",
        "FOR INTERVAL '5 seconds'",
        "SELECT sensor_id, metric, sum(value) FROM readings GROUP BY sensor_id, metric, \
         tumble(event_time, INTERVAL '5 seconds') HAVING sum(value) > 100",
    ),
    ("e_silent", "NO DATA FOR INTERVAL '7 seconds'", SILENT),
    (
        "f_odd",
        "",
        "SELECT value FROM readings WHERE source_id LIKE 'S%' AND value BETWEEN 10 AND 60",
    ),
    (
        "g_hop",
        "",
        "SELECT sensor_id, avg(value) FROM readings WHERE metric = 'level' GROUP BY sensor_id, \
         hop(event_time, INTERVAL '2 seconds', INTERVAL '6 seconds') HAVING avg(value) > 40",
    ),
    (
        "h_all",
        "",
        "SELECT sum(value) FROM readings GROUP BY tumble(event_time, INTERVAL '7 seconds') \
         HAVING sum(value) > 200",
    ),
    (
        "i_ward",
        "",
        "SELECT unit_code, metric, sum(value) / count(*) FROM readings WHERE value < 90 \
         GROUP BY unit_code, metric, tumble(event_time, INTERVAL '14 seconds') \
         HAVING sum(value) / count(*) > 30 AND metric = 'level'",
    ),
    (
        "j_two",
        "",
        "SELECT sensor_id, avg(value) FILTER (WHERE metric = 'speed') FROM readings \
         GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds') \
         HAVING avg(value) FILTER (WHERE metric = 'speed') < 50 \
         AND max(value) FILTER (WHERE metric = 'level') > 50",
    ),
    (
        "k_median",
        "",
        "SELECT sensor_id, median(value) FROM readings GROUP BY sensor_id, \
         hop(event_time, INTERVAL '5 seconds', INTERVAL '10 seconds') HAVING median(value) > 60",
    ),
    (
        "l_jump",
        "",
        "SELECT sensor_id, value FROM readings WHERE metric = 'level' QUALIFY value > 1.2 * \
         avg(value) OVER (PARTITION BY sensor_id ORDER BY event_time RANGE BETWEEN INTERVAL \
         '10 seconds' PRECEDING AND CURRENT ROW)",
    ),
    (
        "m_least",
        "KEEP FIRING FOR INTERVAL '3 seconds'",
        "SELECT sensor_id, value FROM readings QUALIFY value > 10 + min(value) OVER (PARTITION BY \
         sensor_id ORDER BY event_time ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
    ),
    (
        "n_session",
        "",
        "SELECT sensor_id, sum(value) FROM readings GROUP BY sensor_id, session(event_time, \
         INTERVAL '3 seconds') HAVING sum(value) > 80",
    ),
    (
        "o_asked",
        "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '15 seconds'",
        "SELECT a.sensor_id, avg(a.value - b.value) FROM readings a JOIN readings b ON a.sensor_id = \
         b.sensor_id AND b.event_time < a.event_time WHERE a.metric = 'level' AND b.metric = 'speed' \
         GROUP BY a.sensor_id HAVING avg(a.value - b.value) > 5",
    ),
];

/// Runs items with rows cut into records after each of `cuts` (a cyclic list of lengths).
fn run(items: &[Item], cuts: &[usize]) -> Vec<(i64, String, String, String, Option<u64>, String)> {
    let rows = run_rules(&RULES, items, cuts).into_iter();
    rows.map(|r| {
        let (value, id) = (r.value.map(f64::to_bits), r.alert_id.to_string());
        (r.event_time.micros(), r.rule_id.to_string(), r.key, r.state.to_owned(), value, id)
    })
    .collect()
}

fn run_rules(rules: &[(&str, &str, &str)], items: &[Item], cuts: &[usize]) -> Vec<TransitionRow> {
    let mut story = Story::new();
    for (rule_id, clauses, select) in rules {
        story.rule(rule_id, clauses, select);
    }
    // Whatever the rules, rows come at the same offsets.
    story.skip_to(100);
    let mut cuts = cuts.iter().cycle();
    let mut open: Vec<Row> = Vec::new();
    let mut room = *cuts.next().unwrap();
    for item in items {
        match item {
            Item::Row(row) => {
                open.push(row.clone());
                if open.len() >= room {
                    story.feed(Stream::Readings, readings(&std::mem::take(&mut open)));
                    room = *cuts.next().unwrap();
                }
            }
            Item::Watermark(at) => {
                if !open.is_empty() {
                    story.feed(Stream::Readings, readings(&std::mem::take(&mut open)));
                }
                story.feed(Stream::Watermarks, watermark("readings", *at));
            }
        }
    }
    if !open.is_empty() {
        story.feed(Stream::Readings, readings(&open));
    }
    story.out.transitions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn how_rows_are_cut_into_records_changes_nothing(
        items in items(),
        cuts in proptest::collection::vec(1..20usize, 1..5),
    ) {
        prop_assert_eq!(run(&items, &[1]), run(&items, &cuts));
    }

    #[test]
    fn a_rule_finds_alone_what_it_finds_among_others(
        items in items(),
        cuts in proptest::collection::vec(1..20usize, 1..5),
    ) {
        let mut together = run_rules(&RULES, &items, &cuts);
        // Places among the transitions of one record are shared.
        together.iter_mut().for_each(|row| row.cause.ordinal = 0);
        for rule in RULES {
            let mut alone = run_rules(&[rule], &items, &cuts);
            alone.iter_mut().for_each(|row| row.cause.ordinal = 0);
            let among: Vec<_> =
                together.iter().filter(|row| row.rule_id.as_str() == rule.0).cloned().collect();
            prop_assert_eq!(alone, among);
        }
    }
}

#[test]
fn a_thousand_rules_find_exactly_what_each_would_find_alone() {
    let planner = Arc::new(RulePlanner::new().unwrap());
    let mut engine = Engine::new(planner);
    let mut offset = 0;
    let mut feed = |engine: &mut Engine, stream, batch| {
        let record = Record { offset: Offset(offset), appended_at: EventTime(0), stream, batch };
        offset += 1;
        engine.apply(&record)
    };
    for number in 0..1_000 {
        let rule_id = format!("r{number:04}");
        let select = match number % 2 {
            0 => format!(
                "SELECT value FROM readings WHERE metric = 'm{}' AND value > {number}",
                number % 10
            ),
            _ => format!(
                "SELECT sensor_id, max(value) FROM readings WHERE metric = 'm{}' GROUP BY sensor_id, \
                 tumble(event_time, INTERVAL '10 seconds') HAVING max(value) > {number}",
                number % 10
            ),
        };
        let sql = rule_sql(&rule_id, "", &select);
        feed(&mut engine, Stream::RuleChanges, rule_change("create", &rule_id, 1, &sql));
    }
    assert_eq!(engine.rules().len(), 1_000);
    let rows: Vec<Row> = (0..500)
        .map(|i| {
            Row::new(
                i * 10_000,
                &format!("S-{}", i % 50),
                &format!("m{}", i % 10),
                (i * 2) as f64 + 0.5,
            )
        })
        .collect();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut outputs = feed(&mut engine, Stream::Readings, readings(&rows));
    outputs.extend(feed(&mut engine, Stream::Watermarks, watermark("readings", 20 * SECOND)));
    for row in &outputs.transitions {
        if row.state == "firing" {
            *found.entry(row.rule_id.to_string()).or_default() += 1;
        }
    }
    for number in 0..1_000_usize {
        let of_metric = rows.iter().filter(|r| r.metric == format!("m{}", number % 10));
        let keys: BTreeSet<&str> =
            of_metric.filter(|r| r.value > number as f64).map(|r| r.sensor.as_str()).collect();
        // Every sensor's values only grow, so each alert of a stateless rule fires once too.
        let got = found.get(&format!("r{number:04}")).copied().unwrap_or(0);
        assert_eq!(got, keys.len(), "rule {number}");
    }
}
