//! `EXPLAIN ALERT 'id'`: the steps of one alert, the rows behind it and its footage, as one query.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use vong_model::{AlertId, Principal, Stream};

use crate::app::App;
use crate::error::Problem;

/// Rows of the answer; a window over a whole city can have millions behind it.
const MOST_ROWS: usize = 10_000;

/// What says the most about a row of each stream that rules read.
const TELLING: [(Stream, &[&str]); 6] = [
    (Stream::Readings, &["metric", "value", "unit"]),
    (Stream::CameraEvents, &["state", "detail"]),
    (Stream::SourceEvents, &["state", "detail"]),
    (Stream::VideoSegments, &["file", "frames"]),
    (Stream::VehicleCounts, &["line", "count", "speed"]),
    (Stream::VideoEvents, &["kind", "state", "subject", "value"]),
];

/// What the alert is about and which records are behind it.
struct Behind {
    /// As in `sensor_id=TL-012,metric=speed`.
    key: String,
    from: u64,
    to: u64,
}

/// The statement that answers for this alert.
///
/// # Errors
/// `not_found` when no step of such an alert is known.
pub(crate) async fn statement(
    app: &App,
    caller: &Principal,
    alert_id: &AlertId,
) -> Result<String, Problem> {
    let id = quoted(alert_id.as_str());
    let asked = format!(
        "SELECT CAST(key AS TEXT), min(input_from_offset), max(input_to_offset) \
         FROM alert_transitions WHERE alert_id = {id} GROUP BY key"
    );
    let mut found = app.query.execute(caller, &asked).await.map_err(|e| Problem::from_error(&e))?;
    let mut behind = None;
    while let Some(batch) = found.next().await {
        let batch = batch.map_err(|e| Problem::from_error(&e))?;
        behind = behind.or_else(|| read(&batch));
    }
    let behind = behind.ok_or_else(|| {
        Problem::not_found(format!("no alert '{alert_id}' is known"))
            .with_hint("SELECT alert_id, rule_id, key FROM alerts")
    })?;
    Ok(written(&id, &behind))
}

fn read(batch: &RecordBatch) -> Option<Behind> {
    let key = cast(batch.columns().first()?, &DataType::Utf8).ok()?;
    let key = key.as_string_opt::<i32>()?;
    let offset =
        |place: usize| batch.columns().get(place)?.as_primitive_opt::<UInt64Type>().cloned();
    let (from, to) = (offset(1)?, offset(2)?);
    let is_there = batch.num_rows() > 0 && !key.is_null(0);
    is_there.then(|| Behind { key: key.value(0).to_owned(), from: from.value(0), to: to.value(0) })
}

fn written(id: &str, behind: &Behind) -> String {
    let mut parts = vec![format!(
        "SELECT 'step' AS part, event_time AS at, log_offset, concat_ws(' ', state, severity, \
         CAST(value AS TEXT), 'by', actor, reason) AS what FROM alert_transitions WHERE alert_id = {id}"
    )];
    let keys: Vec<(&str, &str)> =
        behind.key.split(',').filter_map(|part| part.split_once('=')).collect();
    for (stream, telling) in TELLING {
        let has = |name: &str| stream.columns().iter().any(|column| column.name == name);
        if !keys.iter().all(|(name, _)| has(name)) {
            continue;
        }
        let about = keys.iter().map(|(name, value)| match *value {
            "null" => format!(" AND {name} IS NULL"),
            value => format!(" AND {name} = {}", quoted(value)),
        });
        let telling = telling.iter().map(|name| format!("CAST({name} AS TEXT)"));
        parts.push(format!(
            "SELECT 'row', event_time, log_offset, concat_ws(' ', '{}', {}) FROM {} WHERE log_offset \
             BETWEEN {} AND {}{}",
            stream.name(),
            telling.collect::<Vec<_>>().join(", "),
            stream.name(),
            behind.from,
            behind.to,
            about.collect::<String>()
        ));
    }
    parts.push(format!(
        "SELECT 'clip', from_time, log_offset, concat_ws(' ', camera_id, url) FROM clips WHERE \
         alert_id = {id}"
    ));
    format!("{} ORDER BY part DESC, at, log_offset LIMIT {MOST_ROWS}", parts.join(" UNION ALL "))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
