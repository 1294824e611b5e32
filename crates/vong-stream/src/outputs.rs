//! What the engine decides, as rows of `alert_transitions`, `late_events` and `view_rows`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use serde::{Deserialize, Serialize};
use vong_log::{Entry, Record};
use vong_model::columns::{key_column, text_column};
use vong_model::{AlertId, EventTime, Offset, RuleId, Severity, Stream};

use crate::operator::{Decided, Step};
use crate::view_rows::ViewRows;
use crate::{ENGINE_VERSION, Error};

/// The record and the place among the rows it caused: identity and order of an output row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    pub offset: Offset,
    pub ordinal: u32,
}

/// One row of `alert_transitions`, columns as documented there.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionRow {
    pub event_time: EventTime,
    pub cause_time: EventTime,
    pub alert_id: AlertId,
    pub rule_id: RuleId,
    pub rule_version: u32,
    pub state: &'static str,
    pub severity: Severity,
    pub key: String,
    pub sensor_id: Option<String>,
    pub camera_id: Option<String>,
    pub unit_code: Option<String>,
    pub value: Option<f64>,
    pub started_time: EventTime,
    pub title_vi: String,
    pub title_en: String,
    pub action_vi: String,
    pub action_en: String,
    pub actor: String,
    pub reason: Option<String>,
    pub input_from_offset: Offset,
    pub input_to_offset: Offset,
    pub cause: Cause,
}

/// Rows of one record that came after the watermark had passed them.
#[derive(Clone, Debug)]
pub(crate) struct LateRows {
    pub(crate) batch: RecordBatch,
    pub(crate) rows: Vec<u32>,
    pub(crate) watermark: EventTime,
    pub(crate) cause: Offset,
}

/// Rows of one entry of the log, about: a backlog of decisions is cut into such pieces.
const ROWS_AN_ENTRY: usize = 4_096;

impl LateRows {
    /// How many rows each source brought too late.
    pub(crate) fn by_source(&self) -> BTreeMap<String, u64> {
        let column = self.batch.column(Stream::Readings.column_index("source_id"));
        let mut counts = BTreeMap::new();
        let Some(sources) = column.as_dictionary_opt::<Int32Type>() else { return counts };
        let Some(names) = sources.values().as_string_opt::<i32>() else { return counts };
        for row in &self.rows {
            if let Some(entry) = sources.key(*row as usize).filter(|entry| *entry < names.len()) {
                *counts.entry(names.value(entry).to_owned()).or_default() += 1;
            }
        }
        counts
    }
}

/// What one record caused.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    pub transitions: Vec<TransitionRow>,
    pub(crate) late: Vec<LateRows>,
    pub views: Vec<ViewRows>,
}

/// The last of our decisions that the log holds, of each kind.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Logged {
    pub(crate) transitions: Option<Cause>,
    pub(crate) late: Option<Cause>,
    pub(crate) views: Option<Cause>,
}

impl Logged {
    /// Takes in a record of the log; false when it is none of our decisions.
    pub(crate) fn saw(&mut self, record: &Record) -> bool {
        let place = match record.stream {
            Stream::AlertTransitions => &mut self.transitions,
            Stream::LateEvents => &mut self.late,
            Stream::ViewRows => &mut self.views,
            _ => return false,
        };
        *place = (*place).max(last_cause(record));
        true
    }

    /// Takes in decisions that were just appended.
    pub(crate) fn wrote(&mut self, outputs: &Outputs) {
        let last = outputs.transitions.last().map(|row| row.cause);
        self.transitions = self.transitions.max(last);
        self.late = self.late.max(outputs.last_late());
        self.views = self.views.max(outputs.views.last().map(ViewRows::last));
    }
}

impl Outputs {
    pub fn is_empty(&self) -> bool {
        self.transitions.is_empty() && self.late.is_empty() && self.views.is_empty()
    }

    /// Number of late rows.
    pub fn late_count(&self) -> usize {
        self.late.iter().map(|late| late.rows.len()).sum()
    }

    /// Adds what a later record caused.
    pub fn extend(&mut self, more: Self) {
        let Self { transitions, late, views } = more;
        self.transitions.extend(transitions);
        self.late.extend(late);
        self.views.extend(views);
    }

    /// Forgets everything that the log holds already.
    pub(crate) fn forget(&mut self, logged: Logged) {
        let Logged { transitions, late, views } = logged;
        if let Some(known) = views {
            self.views.iter_mut().for_each(|rows| rows.forget(known));
            self.views.retain(|rows| !rows.is_empty());
        }
        self.transitions.retain(|row| transitions.is_none_or(|known| row.cause > known));
        for rows in &mut self.late {
            let cause = rows.cause;
            let mut ordinal = 0;
            rows.rows.retain(|_| {
                let place = Cause { offset: cause, ordinal };
                ordinal += 1;
                late.is_none_or(|known| place > known)
            });
        }
        self.late.retain(|rows| !rows.rows.is_empty());
    }

    fn last_late(&self) -> Option<Cause> {
        let last = self.late.last()?;
        let ordinal = u32::try_from(last.rows.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Some(Cause { offset: last.cause, ordinal })
    }

    /// The rows as entries for the log, transitions first.
    ///
    /// # Errors
    /// [`Error::Rows`] when the rows do not fit the stream's schema: a bug.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for rows in self.transitions.chunks(ROWS_AN_ENTRY) {
            entries.push(Entry::new(Stream::AlertTransitions, transition_batch(rows)?));
        }
        // All late rows of one record stay in one entry: a crash leaves all of them or none.
        let (mut batches, mut count) = (Vec::new(), 0);
        for (place, late) in self.late.iter().enumerate() {
            batches.push(late_batch(late)?);
            count += late.rows.len();
            if count >= ROWS_AN_ENTRY || place + 1 == self.late.len() {
                let whole = concat_batches(&Stream::LateEvents.schema(), &batches);
                let whole =
                    whole.map_err(|e| Error::Rows { stream: Stream::LateEvents, source: e })?;
                entries.push(Entry::new(Stream::LateEvents, whole));
                (batches, count) = (Vec::new(), 0);
            }
        }
        let (mut batches, mut count) = (Vec::new(), 0);
        for batch in ViewRows::batches(&self.views, ROWS_AN_ENTRY) {
            let batch = batch?;
            count += batch.num_rows();
            batches.push(batch);
            if count >= ROWS_AN_ENTRY {
                entries.push(view_entry(&batches)?);
                (batches, count) = (Vec::new(), 0);
            }
        }
        if !batches.is_empty() {
            entries.push(view_entry(&batches)?);
        }
        Ok(entries)
    }
}

impl TransitionRow {
    pub(crate) fn new(step: &Step, record: &Record, ordinal: u32) -> Option<Self> {
        let Decided::Transition { transition, unit_code } = &step.decided else { return None };
        let rule = &step.rule;
        let definition = &rule.definition;
        let key = &transition.key;
        Some(Self {
            event_time: transition.at,
            cause_time: record.appended_at,
            alert_id: transition.alert_id.clone(),
            rule_id: definition.rule_id.clone(),
            rule_version: rule.version,
            state: transition.state.as_str(),
            severity: transition.severity,
            key: key.to_string(),
            sensor_id: key.value_of("sensor_id").map(str::to_owned),
            camera_id: key.value_of("camera_id").map(str::to_owned),
            unit_code: unit_code.as_deref().map(str::to_owned),
            value: transition.value,
            started_time: transition.started,
            title_vi: definition.title_vi.clone(),
            title_en: definition.title_en.clone(),
            action_vi: definition.action_vi.clone(),
            action_en: definition.action_en.clone(),
            actor: transition.actor.clone().unwrap_or_else(|| "engine".to_owned()),
            reason: transition.reason.as_deref().map(str::to_owned),
            input_from_offset: transition.inputs.from,
            input_to_offset: transition.inputs.to,
            cause: Cause { offset: record.offset, ordinal },
        })
    }
}

/// The greatest cause among the rows of a record of decisions.
pub(crate) fn last_cause(record: &Record) -> Option<Cause> {
    causes(record).max()
}

/// The cause of each row of a record of decisions.
pub(crate) fn causes(record: &Record) -> impl Iterator<Item = Cause> {
    let column = |name| record.batch.column(record.stream.column_index(name));
    let offsets = column("cause_offset").as_primitive::<arrow::datatypes::UInt64Type>();
    let ordinals = column("cause_ordinal").as_primitive::<arrow::datatypes::UInt32Type>();
    let causes = offsets.values().iter().zip(ordinals.values());
    causes.map(|(offset, ordinal)| Cause { offset: Offset(*offset), ordinal: *ordinal })
}

/// Rows of several views, and of several records, as one entry: a small record each would cost more
/// than its rows.
fn view_entry(batches: &[RecordBatch]) -> Result<Entry, Error> {
    let stream = Stream::ViewRows;
    let whole = match batches {
        [only] => only.clone(),
        several => concat_batches(&stream.schema(), several)
            .map_err(|source| Error::Rows { stream, source })?,
    };
    Ok(Entry::new(stream, whole))
}

fn transition_batch(rows: &[TransitionRow]) -> Result<RecordBatch, Error> {
    let columns: Vec<ArrayRef> = vec![
        times(rows, |r| r.event_time),
        times(rows, |r| r.cause_time),
        texts(rows, |r| Some(r.alert_id.as_str())),
        ids(rows, |r| Some(r.rule_id.as_str())),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.rule_version))),
        ids(rows, |r| Some(r.state)),
        ids(rows, |r| Some(r.severity.as_str())),
        texts(rows, |r| Some(&r.key)),
        ids(rows, |r| r.sensor_id.as_deref()),
        ids(rows, |r| r.camera_id.as_deref()),
        ids(rows, |r| r.unit_code.as_deref()),
        Arc::new(rows.iter().map(|r| r.value).collect::<Float64Array>()),
        times(rows, |r| r.started_time),
        texts(rows, |r| Some(&r.title_vi)),
        texts(rows, |r| Some(&r.title_en)),
        texts(rows, |r| Some(&r.action_vi)),
        texts(rows, |r| Some(&r.action_en)),
        texts(rows, |r| Some(&r.actor)),
        texts(rows, |r| r.reason.as_deref()),
        offsets(rows, |r| r.input_from_offset),
        offsets(rows, |r| r.input_to_offset),
        offsets(rows, |r| r.cause.offset),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|r| r.cause.ordinal))),
        Arc::new(UInt32Array::from_value(ENGINE_VERSION, rows.len())),
    ];
    batch(Stream::AlertTransitions, columns)
}

fn late_batch(late: &LateRows) -> Result<RecordBatch, Error> {
    let count = late.rows.len();
    let indices = UInt32Array::from(late.rows.clone());
    let mut columns = Vec::with_capacity(9);
    for name in ["event_time", "arrival_time", "source_id", "sensor_id", "metric", "value"] {
        let column = late.batch.column(Stream::Readings.column_index(name));
        let taken = take(column, &indices, None);
        columns.push(taken.map_err(|source| Error::Rows { stream: Stream::LateEvents, source })?);
    }
    let watermark = TimestampMicrosecondArray::from_value(late.watermark.micros(), count);
    columns.push(Arc::new(watermark.with_timezone("UTC")));
    columns.push(Arc::new(UInt64Array::from_value(late.cause.0, count)));
    let ordinals = 0..u32::try_from(count).unwrap_or(u32::MAX);
    columns.push(Arc::new(UInt32Array::from_iter_values(ordinals)));
    batch(Stream::LateEvents, columns)
}

pub(crate) fn batch(stream: Stream, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
    RecordBatch::try_new(stream.schema(), columns).map_err(|source| Error::Rows { stream, source })
}

/// Instants of a record's column; `None` where the column is not one.
pub(crate) fn instants(record: &Record, name: &str) -> Option<TimestampMicrosecondArray> {
    let column = record.batch.column(record.stream.column_index(name));
    column.as_primitive_opt::<TimestampMicrosecondType>().cloned()
}

/// The text of an id or text column at `row`.
pub(crate) fn text_at<'a>(record: &'a Record, name: &str, row: usize) -> Option<&'a str> {
    let column = record.batch.column(record.stream.column_index(name));
    if let Some(ids) = column.as_dictionary_opt::<Int32Type>() {
        let texts = ids.values().as_string_opt::<i32>()?;
        return ids.key(row).filter(|entry| *entry < texts.len()).map(|entry| texts.value(entry));
    }
    let texts = column.as_string_opt::<i32>()?;
    (!texts.is_null(row)).then(|| texts.value(row))
}

fn times(rows: &[TransitionRow], of: impl Fn(&TransitionRow) -> EventTime) -> ArrayRef {
    let micros = rows.iter().map(|row| of(row).micros());
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

fn offsets(rows: &[TransitionRow], of: impl Fn(&TransitionRow) -> Offset) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| of(row).0)))
}

fn texts<'a>(
    rows: &'a [TransitionRow],
    of: impl Fn(&'a TransitionRow) -> Option<&'a str>,
) -> ArrayRef {
    text_column(rows.iter().map(of))
}

fn ids<'a>(
    rows: &'a [TransitionRow],
    of: impl Fn(&'a TransitionRow) -> Option<&'a str>,
) -> ArrayRef {
    key_column(rows.iter().map(of))
}
