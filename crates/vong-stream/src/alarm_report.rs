//! What a list of alert transitions would mean for the people who must answer them.
//!
//! Measures and limits are those of alarm management in the process industries (EEMUA 191 and
//! ISA-18.2): about one alarm in ten minutes is what one operator can handle; more than ten in ten
//! minutes is a flood, which lasts until fewer than five come in ten minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use vong_model::EventTime;

use crate::outputs::TransitionRow;

/// The span in which alarms are counted.
const SLICE: Duration = Duration::from_secs(600);
const SLICE_US: i64 = 600_000_000;
/// Alarms one operator can handle in a slice.
const BUDGET: f64 = 1.0;
/// More than this for each operator in a slice begins a flood; fewer than the second ends it.
const FLOOD_BEGINS: f64 = 10.0;
const FLOOD_ENDS: f64 = 5.0;
/// Sources named in a report.
const WORST: usize = 10;

/// A span in which something is known to have happened to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// A value of the alert's key, as in `TL-012`.
    pub key: String,
    pub from: EventTime,
    /// The last instant, included.
    pub to: EventTime,
}

/// The figures of one list of transitions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmReport {
    /// Event time from the first to the last transition, hours.
    pub hours: f64,
    pub operators: u32,
    /// Alerts that fired, each once.
    pub alerts: usize,
    /// Times an operator was asked for attention: a raise asks again.
    pub alarms: usize,
    pub alarms_per_hour: f64,
    pub alarms_per_operator_and_10_minutes: f64,
    /// Whether the average stays within one alarm in ten minutes for each operator.
    pub within_budget: bool,
    /// The most alarms in one slice of ten minutes.
    pub worst_10_minutes: usize,
    pub flood_minutes: u64,
    /// Rule, key and alarms of those that cause most, the worst first.
    pub worst_sources: Vec<(String, String, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelReport>,
}

/// How alerts met what is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelReport {
    /// Labelled windows with an alarm of their key.
    pub hit: usize,
    pub missed: usize,
    /// Alarms of labelled keys outside every window of theirs.
    pub false_alarms: usize,
    pub false_alarms_per_day: f64,
}

impl AlarmReport {
    /// The figures of `transitions` in any order. `labels`: what is known to have happened.
    pub fn of(transitions: &[TransitionRow], operators: u32, labels: &[Label]) -> Self {
        let operators = operators.max(1);
        let alarms: Vec<&TransitionRow> =
            transitions.iter().filter(|row| row.state == "firing").collect();
        let times = transitions.iter().map(|row| row.event_time.micros());
        let span = times.clone().min().zip(times.max()).map_or(0, |(first, last)| last - first);
        let hours = span as f64 / 3.6e9;
        let mut slices: BTreeMap<i64, usize> = BTreeMap::new();
        for alarm in &alarms {
            *slices.entry(alarm.event_time.micros().div_euclid(SLICE_US)).or_default() += 1;
        }
        let per_slice = alarms.len() as f64 / (hours * 6.0).max(1.0) / f64::from(operators);
        Self {
            hours,
            operators,
            alerts: alarms.iter().map(|row| &row.alert_id).collect::<BTreeSet<_>>().len(),
            alarms: alarms.len(),
            alarms_per_hour: alarms.len() as f64 / hours.max(1.0 / 6.0),
            alarms_per_operator_and_10_minutes: per_slice,
            within_budget: per_slice <= BUDGET,
            worst_10_minutes: slices.values().copied().max().unwrap_or(0),
            flood_minutes: flood_slices(&slices, operators) * SLICE.as_secs() / 60,
            worst_sources: worst(&alarms),
            labels: (!labels.is_empty()).then(|| LabelReport::of(&alarms, labels, hours)),
        }
    }
}

/// Slices of ten minutes that are part of a flood.
fn flood_slices(slices: &BTreeMap<i64, usize>, operators: u32) -> u64 {
    let of_each = |slice: i64| {
        let alarms = slices.get(&slice).copied().unwrap_or(0);
        alarms as f64 / f64::from(operators)
    };
    let (mut flooded, mut last) = (0, i64::MIN);
    for slice in slices.keys().filter(|slice| of_each(**slice) > FLOOD_BEGINS) {
        let mut at = (*slice).max(last);
        while at == *slice || of_each(at) >= FLOOD_ENDS {
            flooded += u64::from(at >= last);
            at += 1;
            last = at;
        }
    }
    flooded
}

fn worst(alarms: &[&TransitionRow]) -> Vec<(String, String, usize)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for alarm in alarms {
        *counts.entry((alarm.rule_id.as_str(), alarm.key.as_str())).or_default() += 1;
    }
    let named = counts.into_iter().map(|((rule, key), n)| (rule.to_owned(), key.to_owned(), n));
    let mut worst: Vec<_> = named.collect();
    worst.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
    worst.truncate(WORST);
    worst
}

impl LabelReport {
    fn of(alarms: &[&TransitionRow], labels: &[Label], hours: f64) -> Self {
        let names = |alarm: &TransitionRow, key: &str| {
            alarm.key.split(',').any(|part| part.split_once('=').is_some_and(|(_, v)| v == key))
        };
        let inside = |alarm: &TransitionRow, label: &Label| {
            names(alarm, &label.key) && (label.from..=label.to).contains(&alarm.event_time)
        };
        let hit = labels.iter().filter(|l| alarms.iter().any(|a| inside(a, l))).count();
        let keys: BTreeSet<&str> = labels.iter().map(|label| label.key.as_str()).collect();
        let known = alarms.iter().filter(|alarm| keys.iter().any(|key| names(alarm, key)));
        let wrong = known.filter(|alarm| !labels.iter().any(|label| inside(alarm, label))).count();
        let days = (hours / 24.0).max(1.0 / 24.0);
        let (missed, per_day) = (labels.len() - hit, wrong as f64 / days);
        Self { hit, missed, false_alarms: wrong, false_alarms_per_day: per_day }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Story;

    const HIGH: &str = "SELECT sensor_id, value FROM readings WHERE metric = 'x' AND value > 50";

    /// Alarms of sensors at these minutes.
    fn alarms(minutes: &[(&str, f64)]) -> Vec<TransitionRow> {
        let mut story = Story::new();
        story.rule("high", "", HIGH);
        for (number, (sensor, minute)) in minutes.iter().enumerate() {
            let at = minute * 60.0 + number as f64 * 0.01;
            story.line(&format!("{at} {sensor} x 80"));
            story.line(&format!("{} {sensor} x 1", at + 0.001));
        }
        story.out.transitions
    }

    #[test]
    fn load_and_worst_sources_are_counted() {
        let rows = alarms(&[("a", 1.0), ("b", 2.0), ("a", 15.0), ("a", 61.0)]);
        let report = AlarmReport::of(&rows, 2, &[]);
        assert_eq!((report.alerts, report.alarms, report.worst_10_minutes), (4, 4, 2));
        assert!((report.alarms_per_hour - 4.0).abs() < 0.1, "{report:?}");
        assert!(report.within_budget && report.flood_minutes == 0);
        let worst = ("high".to_owned(), "sensor_id=a".to_owned(), 3);
        assert_eq!(report.worst_sources.first(), Some(&worst));
    }

    #[test]
    fn a_flood_begins_above_ten_and_ends_below_five() {
        let mut minutes = vec![("a", 5.0); 11];
        minutes.extend([("b", 15.0); 6]);
        minutes.extend([("c", 25.0); 4]);
        minutes.extend([("d", 35.0); 6]);
        let rows = alarms(&minutes);
        assert_eq!(AlarmReport::of(&rows, 1, &[]).flood_minutes, 20);
        assert_eq!(AlarmReport::of(&rows, 2, &[]).flood_minutes, 0);
        assert!(!AlarmReport::of(&rows, 1, &[]).within_budget);
    }

    #[test]
    fn labels_are_hit_missed_or_there_is_a_false_alarm() {
        let rows = alarms(&[("a", 1.0), ("a", 30.0), ("b", 40.0), ("c", 1_000.0)]);
        let minute = |minute: i64| EventTime(minute * 60_000_000);
        let label =
            |key: &str, from, to| Label { key: key.to_owned(), from: minute(from), to: minute(to) };
        let labels = [label("a", 0, 5), label("a", 100, 110), label("b", 35, 45)];
        let found = AlarmReport::of(&rows, 1, &labels).labels.unwrap();
        assert_eq!((found.hit, found.missed, found.false_alarms), (2, 1, 1));
    }
}
