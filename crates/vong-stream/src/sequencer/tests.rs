//! Watermarks by hand. Lines: `<arrival s> <sensor> <event s> [ahead]`, `tick <s>`, `resume <s>`.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use vong_model::Offset;

use super::*;
use crate::testing::{Row, SECOND, readings};

struct Run {
    sequencer: Sequencer,
    next: u64,
    out: String,
}

impl Run {
    fn new() -> Self {
        let sequencer = Sequencer::new(SequencerConfig::default());
        Self { sequencer, next: 0, out: String::new() }
    }

    fn feed(&mut self, stream: Stream, batch: arrow::array::RecordBatch, at_us: i64) {
        let offset = Offset(self.next);
        self.next += 1;
        let record = Record { offset, appended_at: EventTime(at_us), stream, batch };
        self.sequencer.observe(&record);
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let us = |text: &str| (text.parse::<f64>().unwrap() * SECOND as f64) as i64;
        match words.as_slice() {
            ["tick", at] => self.tick(us(at)),
            ["resume", at] => self.sequencer.resume(us(at)),
            [arrival, sensor, event, rest @ ..] => {
                let mut row = Row::new(us(event), sensor, "m", 1.0);
                row.ahead = !rest.is_empty();
                self.feed(Stream::Readings, readings(&[row]), us(arrival));
            }
            other => panic!("not a line: {other:?}"),
        }
    }

    fn tick(&mut self, now_us: i64) {
        for entry in self.sequencer.decide(now_us).unwrap() {
            let record = Record {
                offset: Offset(self.next),
                appended_at: EventTime(now_us),
                stream: entry.stream,
                batch: entry.batch.clone(),
            };
            for row in 0..entry.batch.num_rows() {
                let text = |name| text_at(&record, name, row).unwrap_or("-").to_owned();
                let now = now_us as f64 / SECOND as f64;
                match entry.stream {
                    Stream::Watermarks => {
                        let at = instants(&record, "watermark").unwrap().value(row);
                        let at = at as f64 / SECOND as f64;
                        writeln!(self.out, "{now}: {} {at} {}", text("stream"), text("reason"))
                    }
                    _ => writeln!(
                        self.out,
                        "{now}: {} {} {} ({})",
                        text("source_id"),
                        text("sensor_id"),
                        text("state"),
                        text("detail")
                    ),
                }
                .unwrap();
            }
            self.feed(entry.stream, entry.batch, now_us);
        }
    }
}

fn check(lines: &str, expected: &Expect) {
    let mut run = Run::new();
    lines.split('|').for_each(|line| run.line(line));
    expected.assert_eq(&run.out);
}

#[test]
fn the_slowest_source_that_speaks_holds_but_not_for_ever() {
    check(
        "10 a 10 | 10 b 7 | tick 10 | 12 a 12 | tick 12 | 40 a 40 | 40 b 9 | tick 40",
        &expect![[r#"
            10: readings 5 data
            40: readings 28 data
        "#]],
    );
}

#[test]
fn a_silent_source_holds_nothing_and_when_all_are_silent_time_goes_on() {
    check(
        "10 a 10 | 10 b 10 | tick 10 | 15 a 15 | tick 15 | 20.5 a 20 | tick 20.5 | tick 30 | tick 31 | tick 32 \
         | 33 b 33 | tick 33",
        &expect![[r#"
            10: readings 8 data
            20.5: b - idle (silent for 10 s)
            20.5: readings 18 data
            30: source_events 28 idle
            31: a - idle (silent for 10 s)
            31: readings 28.5 idle
            31: source_events 29 idle
            32: readings 29.5 idle
            32: source_events 30 idle
            33: b - alive (-)
            33: readings 31 data
            33: source_events 31 idle
        "#]],
    );
}

#[test]
fn a_clock_that_runs_ahead_moves_nothing_and_is_named_once() {
    check(
        "10 a1 10 | tick 10 | 11 a2 311 ahead | tick 11 | 12 a2 312 ahead | tick 12 | 13 a2 13 | tick 13 | tick 14",
        &expect![[r#"
            10: readings 8 data
            11: a a2 clock_ahead (ahead by 300 s)
            12: source_events 10 idle
            13: a a2 clock_good (-)
            13: readings 11 data
            13: source_events 11 idle
            14: source_events 12 idle
        "#]],
    );
}

#[test]
fn a_source_slightly_ahead_is_held_to_our_clock() {
    check(
        "10 a 30 | tick 10",
        &expect![[r#"
        10: readings 8 data
    "#]],
    );
}

#[test]
fn watermarks_are_rare_enough() {
    check(
        "10 a 10 | tick 10 | 10.1 a 10.1 | tick 10.1 | 10.3 a 10.3 | tick 10.3",
        &expect![[r#"
        10: readings 8 data
        10.3: readings 8.3 data
    "#]],
    );
}

#[test]
fn time_spent_away_is_nobodys_silence() {
    check(
        "10 a 10 | tick 10 | resume 100 | tick 100 | 101 a 11 | tick 101",
        &expect![[r#"
        10: readings 8 data
        101: readings 9 data
    "#]],
    );
}

#[test]
fn streams_timed_by_us_follow_our_clock() {
    check(
        "10 a1 10 | tick 10 | 10.5 a2 400 ahead | tick 10.5 | tick 11 | tick 12",
        &expect![[r#"
        10: readings 8 data
        10.5: a a2 clock_ahead (ahead by 389 s)
        11: source_events 9 idle
        12: source_events 10 idle
    "#]],
    );
}

#[test]
fn a_source_that_stays_silent_is_idle_then_dead_then_alive_again() {
    let mut run = Run::new();
    for line in ["100 a1 100", "tick 101", "tick 112", "tick 650", "tick 701", "tick 900"] {
        run.line(line);
    }
    run.line("910 a1 910");
    run.line("tick 911");
    let sources: Vec<&str> = run.out.lines().filter(|line| !line.contains("readings")).collect();
    expect![[r#"
        112: a - idle (silent for 12 s)
        650: source_events 648 idle
        701: a - dead (silent for 601 s)
        701: source_events 699 idle
        900: source_events 898 idle
        911: a - alive (-)
        911: source_events 909 idle"#]]
    .assert_eq(&sources.join("\n"));
}
