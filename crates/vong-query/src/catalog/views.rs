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

pub(super) const ALL: [View; 1] = [ALERTS];

pub(super) fn find(name: &str) -> Option<&'static View> {
    static VIEWS: [View; 1] = ALL;
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
