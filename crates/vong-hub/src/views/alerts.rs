//! Alerts that need eyes: every one that is not over, and those that ended a short while ago.
//!
//! The state machine has decided already; here its latest step per alert is shown. The end of a
//! shelving stands only in the operator's command, so commands are followed too.
//!
//! Invariant: an alert that fired and that nobody acknowledged is shown until long after its end; one
//! that never fired (pending or suppressed to its end) asked nobody and leaves with its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vong_log::Record;
use vong_model::columns::WrongSchema;
use vong_model::{Columns, Stream};

use super::{Departures, Projection, text_at};
use crate::message::FieldValue;
use crate::table::Table;

pub(crate) const COLUMNS: &[&str] = &[
    "alert_id",
    "rule_id",
    "state",
    "severity",
    "key",
    "sensor_id",
    "camera_id",
    "unit_code",
    "value",
    "title_vi",
    "title_en",
    "action_vi",
    "action_en",
    "started_time_ms",
    "event_time_ms",
    "actor",
    "reason",
    "acknowledged",
    "shelved_until_ms",
];
const STATE: usize = 2;
const ACKNOWLEDGED: usize = 17;

#[derive(Debug)]
pub(crate) struct Alerts {
    keep: Duration,
    departures: Departures,
    /// End of the shelving last asked for, milliseconds, by alert.
    shelve_until: BTreeMap<Arc<str>, FieldValue>,
    /// Alerts shown that have fired.
    fired: BTreeSet<Arc<str>>,
}

impl Alerts {
    pub(crate) fn new(keep: Duration) -> Self {
        Self {
            keep,
            departures: Departures::default(),
            shelve_until: BTreeMap::new(),
            fired: BTreeSet::new(),
        }
    }

    fn commands(&mut self, record: &Record, table: &Table) -> Result<(), WrongSchema> {
        let columns = Columns::new(record.stream, &record.batch);
        let (alerts, actions) = (columns.texts("alert_id")?, columns.keys("action")?);
        let until = columns.times("until_time")?;
        for (row, (alert, until)) in alerts.iter().zip(until).enumerate() {
            let Some(alert) = alert else { continue };
            // Commands about alerts that are not shown are refused or moot, and must not pile up.
            if actions.get(row) == Some("shelve") && table.contains(alert) {
                self.shelve_until.insert(Arc::from(alert), FieldValue::millis(until));
            }
        }
        Ok(())
    }

    fn transitions(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        let columns = Columns::new(record.stream, &record.batch);
        let (alerts, keys) = (columns.texts("alert_id")?, columns.texts("key")?);
        let (rules, states) = (columns.keys("rule_id")?, columns.keys("state")?);
        let (severities, sensors) = (columns.keys("severity")?, columns.keys("sensor_id")?);
        let (cameras, units) = (columns.keys("camera_id")?, columns.keys("unit_code")?);
        let (titles_vi, titles_en) = (columns.texts("title_vi")?, columns.texts("title_en")?);
        let (actions_vi, actions_en) = (columns.texts("action_vi")?, columns.texts("action_en")?);
        let (started, events) = (columns.times("started_time")?, columns.times("event_time")?);
        let (actors, reasons) = (columns.texts("actor")?, columns.texts("reason")?);
        let values: Vec<_> = columns.floats("value")?.iter().collect();
        for row in 0..record.batch.num_rows() {
            let alert = alerts.value(row);
            let state = states.get(row).unwrap_or_default();
            let told_nobody = self.ends_untold(alert, state, table);
            let (acknowledged, shelved_until) = self.step(alert, state, record, table);
            if told_nobody {
                self.departures.cancel(alert);
                table.remove(alert, record.offset, record.appended_at);
                continue;
            }
            let fields = vec![
                FieldValue::text(Some(alert)),
                FieldValue::text(rules.get(row)),
                FieldValue::text(Some(state)),
                FieldValue::text(severities.get(row)),
                FieldValue::text(Some(keys.value(row))),
                FieldValue::text(sensors.get(row)),
                FieldValue::text(cameras.get(row)),
                FieldValue::text(units.get(row)),
                FieldValue::float(values.get(row).copied().flatten()),
                FieldValue::text(Some(titles_vi.value(row))),
                FieldValue::text(Some(titles_en.value(row))),
                FieldValue::text(Some(actions_vi.value(row))),
                FieldValue::text(Some(actions_en.value(row))),
                FieldValue::millis(Some(started.value(row))),
                FieldValue::millis(Some(events.value(row))),
                FieldValue::text(Some(actors.value(row))),
                FieldValue::text(text_at(reasons, row)),
                FieldValue::Bool(acknowledged),
                shelved_until,
            ];
            table.put(alert, record.offset, 1, fields);
        }
        Ok(())
    }

    /// What the step to `state` means for the marks on the alert and for how long it stays.
    fn step(
        &mut self,
        alert: &str,
        state: &str,
        record: &Record,
        table: &Table,
    ) -> (bool, FieldValue) {
        let was = table.field(alert, ACKNOWLEDGED) == Some(&FieldValue::Bool(true));
        if matches!(state, "resolved" | "cancelled") {
            self.departures.schedule(alert, record.appended_at.saturating_add(self.keep));
            self.shelve_until.remove(alert);
            self.fired.remove(alert);
            return (was, FieldValue::Null);
        }
        self.departures.cancel(alert);
        match state {
            "acknowledged" => (true, FieldValue::Null),
            "shelved" => (was, self.shelve_until.get(alert).cloned().unwrap_or(FieldValue::Null)),
            "suppressed" => (was, FieldValue::Null),
            "firing" => {
                self.fired.insert(Arc::from(alert));
                (false, FieldValue::Null) // also when it fires again: it wants an answer
            }
            _ => (false, FieldValue::Null),
        }
    }

    /// Whether the alert that ends was none to anybody: its condition never held for long enough,
    /// or it was kept back from its beginning to its end.
    fn ends_untold(&self, alert: &str, state: &str, table: &Table) -> bool {
        let before = match table.field(alert, STATE) {
            Some(FieldValue::Text(before)) => Some(&**before),
            _ => None,
        };
        match (state, before) {
            ("cancelled", Some("pending") | None) => true,
            ("resolved" | "cancelled", Some("suppressed")) => !self.fired.contains(alert),
            _ => false,
        }
    }
}

impl Projection for Alerts {
    fn apply(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        self.departures.depart(record, table);
        match record.stream {
            Stream::AlertTransitions => self.transitions(record, table),
            Stream::Commands => self.commands(record, table),
            _ => Ok(()),
        }
    }

    fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&(&self.departures, &self.shelve_until, &self.fired))
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), postcard::Error> {
        (self.departures, self.shelve_until, self.fired) = postcard::from_bytes(saved)?;
        Ok(())
    }
}
