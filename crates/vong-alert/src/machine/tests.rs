//! Cases as lines: `<second> <key> <value>` (true above 50), `window <from>..<to> <key> <value>`,
//! `watermark <second>`, `inhibit <key> <rule or -> <second>`, `<act> <key> [until <second>]` at the
//! last second named. The severity is shown where it is not that of the rule, `medium`.

mod handling;
mod laws;
mod model;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use vong_model::{Comparison, Limit, Offset};

use super::*;
use crate::transition::Inputs;

struct Run {
    machine: Machine<String>,
    out: Vec<Transition<String>>,
    ids: BTreeMap<String, AlertId>,
    now: EventTime,
}

fn seconds(text: &str) -> EventTime {
    EventTime(text.parse::<i64>().unwrap() * 1_000_000)
}

fn span(text: &str) -> Duration {
    Duration::from_secs(text.parse().unwrap())
}

/// As in `for=5 keep=3 cooldown=60 limit=2/60 high>70:2:3`; the last: for 2 s, lower after 3 s.
fn policy(words: &str) -> Policy {
    let mut policy = Policy::new(Severity::Medium, Timing::default());
    for word in words.split_whitespace() {
        if let Some((severity, rest)) = word.split_once('>') {
            let mut parts = rest.split(':');
            policy.ladder.push(Rung {
                severity: severity.parse().unwrap(),
                comparison: Comparison::Greater,
                bound: parts.next().unwrap().parse().unwrap(),
                for_: parts.next().map(span).unwrap_or_default(),
                lower_after: parts.next().map(span).unwrap_or_default(),
            });
            continue;
        }
        match word.split_once('=').unwrap() {
            ("for", text) => policy.timing.for_ = span(text),
            ("keep", text) => policy.timing.keep_firing_for = span(text),
            ("cooldown", text) => policy.cooldown = span(text),
            ("limit", text) => {
                let (alerts, per) = text.split_once('/').unwrap();
                let alerts = alerts.parse().unwrap();
                policy.limit = Some(Limit { alerts, per: span(per) });
            }
            other => panic!("not a clause: {other:?}"),
        }
    }
    policy
}

impl Run {
    fn new(policy: Policy) -> Self {
        let machine = Machine::new(RuleId::from("r"), 1, policy);
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
            ["inhibit", key, rule, at] => {
                let rule = Some(RuleId::from(*rule)).filter(|rule| rule.as_str() != "-");
                let key = (*key).to_owned();
                self.machine.inhibit(&key, rule.as_ref(), seconds(at), &mut self.out);
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
            if step.severity != Severity::Medium {
                write!(text, " {}", step.severity).unwrap();
            }
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

fn check(clauses: &str, lines: &str, expected: &Expect) -> Machine<String> {
    let mut run = Run::new(policy(clauses));
    lines.split('|').for_each(|line| run.feed(line));
    expected.assert_eq(&run.text());
    run.machine
}

#[test]
fn fires_at_once_without_for_and_resolves_when_clear() {
    check(
        "",
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
        "for=5",
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
        "for=5",
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
        "keep=5",
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
        "for=20",
        "window 0..10 a 80 | window 10..20 a 80 | window 20..30 a 1",
        &expect![[r#"
        10 a pending
        20 a firing
        30 a resolved (condition cleared)
    "#]],
    );
    check(
        "for=20",
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
        "",
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
        "",
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
        "",
        "0 a 80 | shelve a until 10 | 2 a 10 | watermark 10 | 11 a 80",
        &expect![[r#"
        0 a firing
        0 a shelved by an
        2 a resolved (condition cleared)
        11 a firing
    "#]],
    );
    check(
        "",
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
        "",
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
        "for=5",
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
