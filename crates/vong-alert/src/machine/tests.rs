//! Cases as lines: `<second> <key> <value>` (true above 50), `window <from>..<to> <key> <value>`,
//! `watermark <second>`, `<act> <key> [until <second>]` at the last second named.

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use vong_model::Offset;

use super::*;

struct Run {
    machine: Machine<String>,
    out: Vec<Transition<String>>,
    ids: BTreeMap<String, AlertId>,
    now: EventTime,
}

fn seconds(text: &str) -> EventTime {
    EventTime(text.parse::<i64>().unwrap() * 1_000_000)
}

impl Run {
    fn new(for_: u64, keep: u64) -> Self {
        let timing =
            Timing { for_: Duration::from_secs(for_), keep_firing_for: Duration::from_secs(keep) };
        let machine = Machine::new(RuleId::from("r"), 1, timing);
        Self { machine, out: Vec::new(), ids: BTreeMap::new(), now: EventTime(0) }
    }

    fn feed(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["watermark", at] => {
                self.now = seconds(at);
                self.machine.advance(self.now, &mut self.out);
            }
            ["window", range, key, value] => {
                let (from, to) = range.split_once("..").unwrap();
                self.observe(key, value, seconds(from), seconds(to));
            }
            ["cancel"] => self.machine.cancel_all(self.now, "rule dropped", &mut self.out),
            ["ack", key] => self.act(key, &Act::Acknowledge),
            ["unshelve", key] => self.act(key, &Act::Unshelve),
            ["comment", key] => self.act(key, &Act::Comment),
            ["shelve", key, "until", at] => {
                self.act(key, &Act::Shelve { until: Some(seconds(at)) });
            }
            [at, key, value] => self.observe(key, value, seconds(at), seconds(at)),
            other => panic!("not a line: {other:?}"),
        }
        for step in &self.out {
            self.ids.insert(step.key.clone(), step.alert_id.clone());
        }
    }

    fn observe(&mut self, key: &str, value: &str, since: EventTime, at: EventTime) {
        let value: f64 = value.parse().unwrap();
        self.now = self.now.max(at);
        let inputs = Inputs { from: Offset(1), to: Offset(1) };
        let seen = Observation { condition: value > 50.0, value: Some(value), since, at, inputs };
        self.machine.observe(&key.to_owned(), &seen, &mut self.out);
    }

    fn act(&mut self, key: &str, act: &Act) {
        let id = self.ids.get(key).cloned().unwrap();
        assert!(self.machine.command(&id, act, ("an", Some("why")), self.now, &mut self.out));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.out {
            let at = step.at.micros() / 1_000_000;
            write!(text, "{at} {} {}", step.key, step.state).unwrap();
            match (&step.actor, &step.reason) {
                (Some(actor), _) => write!(text, " by {actor}").unwrap(),
                (None, Some(reason)) => write!(text, " ({reason})").unwrap(),
                (None, None) => {}
            }
            text.push('\n');
        }
        text
    }
}

fn check(for_: u64, keep: u64, lines: &str, expected: &Expect) {
    let mut run = Run::new(for_, keep);
    lines.split('|').for_each(|line| run.feed(line));
    expected.assert_eq(&run.text());
}

#[test]
fn fires_at_once_without_for_and_resolves_when_clear() {
    check(
        0,
        0,
        "0 a 80 | 1 a 90 | 2 a 20 | 3 a 20",
        &expect![[r#"
        0 a firing
        2 a resolved (condition cleared)
    "#]],
    );
}

#[test]
fn for_is_passed_by_the_watermark_or_by_a_row_of_the_key() {
    check(
        5,
        0,
        "0 a 80 | 0 b 80 | 6 a 80 | watermark 4 | watermark 5",
        &expect![[r#"
        0 a pending
        0 b pending
        5 a firing
        5 b firing
    "#]],
    );
}

#[test]
fn cleared_before_for_is_cancelled() {
    check(
        5,
        0,
        "0 a 80 | 3 a 10 | watermark 20",
        &expect![[r#"
        0 a pending
        3 a cancelled (condition cleared before FOR)
    "#]],
    );
}

#[test]
fn keeps_firing_through_a_short_clearing() {
    check(
        0,
        5,
        "0 a 80 | 1 a 10 | 3 a 80 | 4 a 10 | watermark 8 | watermark 9",
        &expect![[r#"
        0 a firing
        9 a resolved (condition stayed clear)
    "#]],
    );
}

#[test]
fn windows_count_the_time_they_cover() {
    check(
        20,
        0,
        "window 0..10 a 80 | window 10..20 a 80 | window 20..30 a 1",
        &expect![[r#"
        10 a pending
        20 a firing
        30 a resolved (condition cleared)
    "#]],
    );
    check(
        20,
        0,
        "window 0..10 a 80 | window 10..20 a 1",
        &expect![[r#"
        10 a pending
        20 a cancelled (condition cleared before FOR)
    "#]],
    );
}

#[test]
fn acknowledged_is_silent_until_cleared_and_then_arms_again() {
    check(
        0,
        0,
        "0 a 80 | ack a | ack a | 1 a 85 | 2 a 10 | 3 a 80",
        &expect![[r#"
        0 a firing
        0 a acknowledged by an
        2 a resolved (condition cleared)
        3 a firing
    "#]],
    );
}

#[test]
fn shelved_keys_stay_shelved_over_episodes_and_return_at_the_end() {
    check(
        0,
        0,
        "0 a 80 | shelve a until 10 | 2 a 10 | 4 a 80 | watermark 10",
        &expect![[r#"
        0 a firing
        0 a shelved by an
        2 a resolved (condition cleared)
        4 a shelved (why)
        10 a firing (shelving ended)
    "#]],
    );
    check(
        0,
        0,
        "0 a 80 | shelve a until 10 | 2 a 10 | watermark 10 | 11 a 80",
        &expect![[r#"
        0 a firing
        0 a shelved by an
        2 a resolved (condition cleared)
        11 a firing
    "#]],
    );
    check(
        0,
        0,
        "0 a 80 | shelve a until 10 | unshelve a | comment a | watermark 20",
        &expect![[r#"
        0 a firing
        0 a shelved by an
        0 a firing by an
        0 a firing by an
    "#]],
    );
}

#[test]
fn old_rows_do_not_reopen_or_close() {
    check(
        0,
        0,
        "5 a 80 | 3 a 10 | 6 a 10 | 4 a 80 | watermark 7 | 8 a 80",
        &expect![[r#"
        5 a firing
        6 a resolved (condition cleared)
        8 a firing
    "#]],
    );
}

#[test]
fn a_dropped_rule_cancels_what_is_open() {
    check(
        5,
        0,
        "0 a 80 | 1 b 80 | cancel | watermark 60",
        &expect![[r#"
        0 a pending
        1 b pending
        1 a cancelled (rule dropped)
        1 b cancelled (rule dropped)
    "#]],
    );
}

#[test]
fn ids_depend_on_every_part() {
    let rule = RuleId::from("r");
    let base = alert_id(&rule, 1, &"k", EventTime(5));
    assert_eq!(base.as_str().len(), 40);
    assert_ne!(base, alert_id(&RuleId::from("q"), 1, &"k", EventTime(5)));
    assert_ne!(base, alert_id(&rule, 2, &"k", EventTime(5)));
    assert_ne!(base, alert_id(&rule, 1, &"l", EventTime(5)));
    assert_ne!(base, alert_id(&rule, 1, &"k", EventTime(6)));
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    let row = (0..60u32, 0..3u8, 0..2u8).prop_map(|(t, k, v)| format!("{t} k{k} {}", v * 100));
    let mark = (0..60u32).prop_map(|t| format!("watermark {t}"));
    proptest::collection::vec(prop_oneof![4 => row, 1 => mark], 0..60)
}

proptest! {
    #[test]
    fn every_episode_is_one_legal_path(lines in lines(), for_ in 0..6u64, keep in 0..6u64) {
        let mut run = Run::new(for_, keep);
        // Late rows never get here, and watermarks never go back: both are the engine's promise.
        let mut watermark = EventTime(0);
        for line in &lines {
            let second = line.split_whitespace().find_map(|w| w.parse::<i64>().ok()).unwrap();
            let at = EventTime(second * 1_000_000);
            if at >= watermark {
                run.feed(line);
                watermark = if line.starts_with('w') { at } else { watermark };
            }
        }
        let mut last: BTreeMap<AlertId, State> = BTreeMap::new();
        let mut open: BTreeMap<String, AlertId> = BTreeMap::new();
        for step in &run.out {
            let before = last.insert(step.alert_id.clone(), step.state);
            let legal = match (before, step.state) {
                (None, State::Pending) => for_ > 0,
                (None, State::Firing) => for_ == 0,
                (Some(State::Pending), State::Firing | State::Cancelled)
                | (Some(State::Firing), State::Resolved) => true,
                _ => false,
            };
            prop_assert!(legal, "{before:?} -> {step:?}");
            match step.state {
                State::Resolved | State::Cancelled => {
                    prop_assert_eq!(open.remove(&step.key), Some(step.alert_id.clone()));
                }
                _ => {
                    let other = open.insert(step.key.clone(), step.alert_id.clone());
                    prop_assert!(other.is_none_or(|id| id == step.alert_id));
                }
            }
        }
        prop_assert_eq!(run.machine.open_count(), open.len());
    }
}
