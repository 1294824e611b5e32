//! Views: questions that everybody asks, under a name.

/// A named query with its documentation.
#[derive(Debug)]
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) sql: &'static str,
    /// `(column, doc)` of columns that are not explained by the stream behind the view.
    pub(super) columns: &'static [(&'static str, &'static str)],
}

pub(super) const ALL: [View; 2] = [ALERTS, READINGS_1M];

pub(super) fn find(name: &str) -> Option<&'static View> {
    static VIEWS: [View; 2] = ALL;
    VIEWS.iter().find(|view| view.name == name)
}

/// Transitions of one alert are ordered by their cause, not by time: several can share an instant.
const ALERTS: View = View {
    name: "alerts",
    doc: "One row per alert: its latest state, and when and by whom it was acknowledged.",
    sql: "\
SELECT alert_id,
  last_value(rule_id ORDER BY cause_offset, cause_ordinal) AS rule_id,
  last_value(rule_version ORDER BY cause_offset, cause_ordinal) AS rule_version,
  last_value(state ORDER BY cause_offset, cause_ordinal) AS state,
  last_value(severity ORDER BY cause_offset, cause_ordinal) AS severity,
  last_value(key ORDER BY cause_offset, cause_ordinal) AS key,
  last_value(sensor_id ORDER BY cause_offset, cause_ordinal) AS sensor_id,
  last_value(camera_id ORDER BY cause_offset, cause_ordinal) AS camera_id,
  last_value(unit_code ORDER BY cause_offset, cause_ordinal) AS unit_code,
  last_value(value ORDER BY cause_offset, cause_ordinal) AS value,
  last_value(title_vi ORDER BY cause_offset, cause_ordinal) AS title_vi,
  last_value(title_en ORDER BY cause_offset, cause_ordinal) AS title_en,
  last_value(action_vi ORDER BY cause_offset, cause_ordinal) AS action_vi,
  last_value(action_en ORDER BY cause_offset, cause_ordinal) AS action_en,
  min(started_time) AS started_time,
  last_value(event_time ORDER BY cause_offset, cause_ordinal) AS event_time,
  min(event_time) FILTER (WHERE state = 'firing') AS fired_time,
  min(event_time) FILTER (WHERE state = 'acknowledged') AS acknowledged_time,
  first_value(actor ORDER BY cause_offset, cause_ordinal) FILTER (WHERE state = 'acknowledged') AS acknowledged_by,
  min(event_time) FILTER (WHERE state IN ('resolved', 'cancelled')) AS ended_time,
  last_value(actor ORDER BY cause_offset, cause_ordinal) AS actor,
  last_value(reason ORDER BY cause_offset, cause_ordinal) AS reason,
  count(*) AS transitions,
  max(log_offset) AS log_offset
FROM alert_transitions GROUP BY alert_id",
    columns: &[
        ("fired_time", "When it first fired; null while it is only pending."),
        ("acknowledged_time", "When somebody first acknowledged it; null when nobody did."),
        ("acknowledged_by", "Who first acknowledged it."),
        ("ended_time", "When it was resolved or cancelled; null while it is open."),
        ("transitions", "Steps so far."),
    ],
};

const READINGS_1M: View = View {
    name: "readings_1m",
    doc: "Readings of good quality by sensor, metric and minute of event time.",
    sql: "\
SELECT tumble(event_time, INTERVAL '1 minute') AS window_start,
  sensor_id, metric, unit, unit_code,
  count(*) AS readings,
  avg(value) AS avg_value,
  min(value) AS min_value,
  max(value) AS max_value,
  last_value(value ORDER BY event_time, log_offset) AS last_value
FROM readings WHERE quality = 'good'
GROUP BY tumble(event_time, INTERVAL '1 minute'), sensor_id, metric, unit, unit_code",
    columns: &[
        ("window_start", "First instant of the minute."),
        ("readings", "Number of readings in the minute."),
        ("avg_value", "Mean of the values, each reading counted once."),
        ("min_value", "Smallest value."),
        ("max_value", "Largest value."),
        ("last_value", "Value of the latest reading by event time."),
    ],
};
