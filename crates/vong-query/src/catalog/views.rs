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

pub(super) const ALL: [View; 2] = [ALERTS, REVIEWS];

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

/// What a reviewer decides is a command whose action says what: the latest one counts.
const REVIEWS: View = View {
    name: "reviews",
    doc: "One row per alert with clips: what a reviewer decided about what they show.",
    sql: "\
SELECT a.alert_id, a.rule_id, a.state, a.severity, a.key, a.sensor_id, a.camera_id, a.unit_code,
  a.value, a.title_vi, a.title_en, a.fired_time, c.clips,
  d.decision, d.decided_by, d.decided_time, d.note
FROM alerts a
JOIN (SELECT alert_id, count(*) AS clips FROM clips GROUP BY alert_id) c ON c.alert_id = a.alert_id
LEFT JOIN (
  SELECT alert_id,
    substr(last_value(CAST(action AS VARCHAR) ORDER BY log_offset), 8) AS decision,
    last_value(actor ORDER BY log_offset) AS decided_by,
    last_value(arrival_time ORDER BY log_offset) AS decided_time,
    last_value(reason ORDER BY log_offset) AS note
  FROM commands
  WHERE CAST(action AS VARCHAR) IN ('review_violation', 'review_none', 'review_needs_more')
  GROUP BY alert_id
) d ON d.alert_id = a.alert_id",
    columns: &[
        ("fired_time", "When it first fired."),
        ("clips", "How many clips were filed for it."),
        ("decision", "`violation`, `none` or `needs_more`; null until somebody decided."),
        ("decided_by", "Who decided last."),
        ("decided_time", "When it was decided last."),
        ("note", "In the reviewer's words."),
    ],
};
