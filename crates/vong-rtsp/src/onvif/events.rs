//! From what a camera tells again and again to what is new: one row per change of state.
//!
//! Cameras repeat every property when a client connects and some at every frame. A row is written
//! when the value behind a topic and source differs from the last one, and never more than a few a
//! second.

use std::collections::BTreeMap;
use std::time::Duration;

use vong_model::EventTime;

use super::metadata::Notification;

/// Topics and sources of one camera that are remembered.
const MAX_SUBJECTS: usize = 256;
/// Rows of one camera in [`WINDOW`].
const MAX_ROWS: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);

/// What becomes of a notification.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// A row of `video_events`.
    Row { state: &'static str, subject: String, value: Option<f64>, detail: String },
    /// Nothing new.
    Known,
    /// Left out, and why (label of a metric).
    Dropped(&'static str),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct EventFilter {
    values: BTreeMap<String, String>,
    window: Option<(EventTime, u32)>,
}

impl EventFilter {
    pub(crate) fn take(&mut self, notification: &Notification, now: EventTime) -> Told {
        let Notification { topic, operation, source, data, time: _ } = notification;
        let place: Vec<String> = source.iter().map(|(_name, value)| value.clone()).collect();
        let subject = if place.is_empty() {
            topic.clone()
        } else {
            format!("{topic} [{}]", place.join(", "))
        };
        let words: Vec<String> =
            data.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let detail = words.join(" ");
        let said = format!("{detail} {}", if operation == "Deleted" { "deleted" } else { "" });
        if self.values.get(&subject) == Some(&said) {
            return Told::Known;
        }
        if !self.values.contains_key(&subject) && self.values.len() >= MAX_SUBJECTS {
            return Told::Dropped("too_many_subjects");
        }
        if !self.has_room(now) {
            return Told::Dropped("too_many_rows");
        }
        let first = self.values.insert(subject.clone(), said).is_none();
        let value = data.first().and_then(|(_name, value)| value.parse().ok());
        let state = state(operation, data);
        // A property that is off when we come is no news: it neither began nor ended.
        if first && operation == "Initialized" && state == "ended" {
            return Told::Known;
        }
        Told::Row { state, subject, value: value.filter(|v: &f64| v.is_finite()), detail }
    }

    fn has_room(&mut self, now: EventTime) -> bool {
        let (begun, rows) = self.window.unwrap_or((now, 0));
        let over = now.since(begun) >= WINDOW;
        let (begun, rows) = if over { (now, 0) } else { (begun, rows) };
        self.window = Some((begun, rows.saturating_add(1)));
        rows < MAX_ROWS
    }
}

/// A property that is false, inactive or gone has ended; anything else began.
fn state(operation: &str, data: &[(String, String)]) -> &'static str {
    let off = data.first().is_some_and(|(_name, value)| {
        ["false", "0", "inactive", "off"].iter().any(|word| value.eq_ignore_ascii_case(word))
    });
    if off || operation == "Deleted" { "ended" } else { "began" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn motion(operation: &str, value: &str) -> Notification {
        Notification {
            topic: "Motion".into(),
            operation: operation.into(),
            source: vec![("Source".into(), "V1".into())],
            data: vec![("IsMotion".into(), value.into())],
            time: String::new(),
        }
    }

    #[test]
    fn only_changes_become_rows() {
        let mut filter = EventFilter::default();
        let mut states = Vec::new();
        for (operation, value) in [
            ("Initialized", "false"),
            ("Changed", "true"),
            ("Changed", "true"),
            ("Changed", "false"),
            ("Initialized", "false"),
        ] {
            states.push(match filter.take(&motion(operation, value), EventTime(0)) {
                Told::Row { state, subject, .. } => format!("{subject} {state}"),
                other => format!("{other:?}"),
            });
        }
        assert_eq!(states, ["Known", "Motion [V1] began", "Known", "Motion [V1] ended", "Known"]);
    }

    #[test]
    fn numbers_are_values() {
        let mut filter = EventFilter::default();
        let mut counted = motion("Changed", "17");
        counted.data = vec![("Count".into(), "17".into())];
        let told = filter.take(&counted, EventTime(0));
        assert!(matches!(told, Told::Row { value: Some(17.0), state: "began", .. }), "{told:?}");
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut filter = EventFilter::default();
        let mut rows = 0;
        let mut dropped = std::collections::BTreeSet::new();
        for n in 0..2_000_i64 {
            let mut one = motion("Changed", "true");
            one.source = vec![("Source".into(), n.to_string())];
            match filter.take(&one, EventTime(n * 100_000)) {
                Told::Row { .. } => rows += 1,
                Told::Dropped(reason) => drop(dropped.insert(reason)),
                Told::Known => {}
            }
        }
        assert_eq!(rows, MAX_SUBJECTS);
        assert_eq!(dropped.into_iter().collect::<Vec<_>>(), ["too_many_rows", "too_many_subjects"]);
    }
}
