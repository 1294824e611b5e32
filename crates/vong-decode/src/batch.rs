//! Builders of the two kinds of rows decoding makes: readings and rejects.
//!
//! A builder is reused from batch to batch. Ids are known to the decoder by number, so a row costs
//! a few integers; an id's text is copied once a batch, into that batch's dictionary.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, DictionaryArray, Float64Array, Int32Array, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;
use vong_model::{EventTime, Stream};

use crate::reason::RejectReason;

/// Rejected payloads are kept up to here.
const PAYLOAD_KEPT_BYTES: usize = 64 * 1024;
/// Topics are kept up to here; MQTT allows 65,535 bytes.
const TOPIC_KEPT_BYTES: usize = 1_024;
/// Details are kept up to here.
const DETAIL_KEPT_BYTES: usize = 1_024;

/// The rows of one batch of messages.
#[derive(Debug, Default)]
pub(crate) struct DecodedBatch {
    pub readings: ReadingsBuilder,
    pub rejects: RejectsBuilder,
}

impl DecodedBatch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The non-empty batches, with the streams they belong to; both builders are empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<(Stream, RecordBatch)> {
        let Self { readings, rejects } = self;
        let mut taken = Vec::with_capacity(2);
        if !readings.is_empty() {
            taken.push((Stream::Readings, readings.take()));
        }
        if !rejects.is_empty() {
            taken.push((Stream::RejectedEvents, rejects.take()));
        }
        taken
    }
}

/// An id as the decoder knows it: its number and its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<'a> {
    pub(crate) number: usize,
    pub(crate) text: &'a str,
}

/// One row of `readings`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) event_time: EventTime,
    pub(crate) arrival_time: EventTime,
    pub(crate) source: Id<'a>,
    pub(crate) sensor: Id<'a>,
    pub(crate) metric: Id<'a>,
    pub(crate) value: f64,
    pub(crate) unit: Option<Id<'a>>,
    pub(crate) unit_code: Option<Id<'a>>,
    pub(crate) clock_ahead: bool,
    pub(crate) message_hash: u64,
}

/// Collects rows of [`Stream::Readings`].
#[derive(Debug, Default)]
pub(crate) struct ReadingsBuilder {
    event_time: Vec<i64>,
    arrival_time: Vec<i64>,
    source: KeyColumn,
    sensor: KeyColumn,
    metric: KeyColumn,
    value: Vec<f64>,
    unit: KeyColumn,
    unit_code: KeyColumn,
    quality: KeyColumn,
    message_hash: Vec<u64>,
}

const GOOD: Id<'static> = Id { number: 0, text: "good" };
const CLOCK_AHEAD: Id<'static> = Id { number: 1, text: "clock_ahead" };

impl ReadingsBuilder {
    pub(crate) fn len(&self) -> usize {
        self.value.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    pub(crate) fn push(&mut self, row: &Reading<'_>) {
        let Reading { event_time, arrival_time, source, sensor, metric, value, .. } = row;
        self.event_time.push(event_time.micros());
        self.arrival_time.push(arrival_time.micros());
        self.source.push(Some(*source));
        self.sensor.push(Some(*sensor));
        self.metric.push(Some(*metric));
        self.value.push(*value);
        self.unit.push(row.unit);
        self.unit_code.push(row.unit_code);
        self.quality.push(Some(if row.clock_ahead { CLOCK_AHEAD } else { GOOD }));
        self.message_hash.push(row.message_hash);
    }

    /// The rows so far, as one batch of [`Stream::Readings`]; the builder is empty afterwards.
    pub(crate) fn take(&mut self) -> RecordBatch {
        let rows = self.len();
        let columns: Vec<ArrayRef> = vec![
            times(&mut self.event_time),
            times(&mut self.arrival_time),
            self.source.take(),
            self.sensor.take(),
            self.metric.take(),
            Arc::new(Float64Array::from(replace(&mut self.value, rows))),
            self.unit.take(),
            self.unit_code.take(),
            self.quality.take(),
            Arc::new(UInt64Array::from(replace(&mut self.message_hash, rows))),
        ];
        RecordBatch::try_new(Stream::Readings.schema(), columns)
            .expect("columns are built as the schema lists them")
    }
}

/// Takes the content and leaves room for as much again.
fn replace<T>(column: &mut Vec<T>, rows: usize) -> Vec<T> {
    std::mem::replace(column, Vec::with_capacity(rows))
}

fn times(column: &mut Vec<i64>) -> ArrayRef {
    let rows = column.len();
    Arc::new(TimestampMicrosecondArray::from(replace(column, rows)).with_timezone("UTC"))
}

/// A dictionary column under construction.
///
/// `codes` maps the decoder's number of an id to its code in this batch's dictionary.
#[derive(Debug, Default)]
struct KeyColumn {
    keys: Vec<i32>,
    codes: Vec<i32>,
    used: Vec<usize>,
    values: StringBuilder,
    nulls: bool,
}

const NO_CODE: i32 = -1;

impl KeyColumn {
    #[inline]
    fn push(&mut self, id: Option<Id<'_>>) {
        let code = match id {
            Some(id) => self.code(id),
            None => {
                self.nulls = true;
                NO_CODE
            }
        };
        self.keys.push(code);
    }

    fn code(&mut self, id: Id<'_>) -> i32 {
        match self.codes.get(id.number) {
            Some(code) if *code != NO_CODE => *code,
            _ => self.define(id),
        }
    }

    #[cold]
    fn define(&mut self, id: Id<'_>) -> i32 {
        if self.codes.len() <= id.number {
            self.codes.resize(id.number.saturating_add(1), NO_CODE);
        }
        let code = i32::try_from(self.used.len()).expect("a batch has fewer than 2^31 rows");
        self.values.append_value(id.text);
        self.used.push(id.number);
        if let Some(place) = self.codes.get_mut(id.number) {
            *place = code;
        }
        code
    }

    fn take(&mut self) -> ArrayRef {
        let rows = self.keys.len();
        for number in self.used.drain(..) {
            if let Some(place) = self.codes.get_mut(number) {
                *place = NO_CODE;
            }
        }
        let nulls = std::mem::take(&mut self.nulls)
            .then(|| NullBuffer::from_iter(self.keys.iter().map(|k| *k != NO_CODE)));
        let mut keys = replace(&mut self.keys, rows);
        if nulls.is_some() {
            keys.iter_mut().for_each(|k| *k = (*k).max(0)); // under a null any valid code will do
        }
        let mut values: StringArray = self.values.finish();
        if values.is_empty() && rows > 0 {
            values = StringArray::from(vec![""]); // all null: code 0 must still exist
        }
        let keys = Int32Array::new(keys.into(), nulls);
        let column = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values));
        Arc::new(column.expect("every code was defined by this column"))
    }
}

/// One row of `rejected_events`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reject<'a> {
    pub(crate) arrival_time: EventTime,
    pub(crate) source: Id<'a>,
    pub(crate) topic: &'a str,
    pub(crate) reason: RejectReason,
    pub(crate) detail: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) message_hash: u64,
}

/// Collects rows of [`Stream::RejectedEvents`].
#[derive(Debug, Default)]
pub(crate) struct RejectsBuilder {
    arrival_time: Vec<i64>,
    source: KeyColumn,
    topic: StringBuilder,
    reason: KeyColumn,
    detail: StringBuilder,
    payload: BinaryBuilder,
    message_hash: Vec<u64>,
    by_reason: [u64; RejectReason::ALL.len()],
}

impl RejectsBuilder {
    pub(crate) fn len(&self) -> usize {
        self.message_hash.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.message_hash.is_empty()
    }

    /// Bytes of payload collected, for those who bound a batch.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload.values_slice().len()
    }

    /// How many rejects of each reason were pushed since this was last asked.
    pub(crate) fn take_counts(&mut self) -> impl Iterator<Item = (RejectReason, u64)> + use<> {
        let counts = std::mem::take(&mut self.by_reason);
        RejectReason::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn push(&mut self, row: &Reject<'_>) {
        let Reject { arrival_time, source, topic, reason, detail, payload, message_hash } = row;
        self.arrival_time.push(arrival_time.micros());
        self.source.push(Some(*source));
        self.topic.append_value(cut(topic, TOPIC_KEPT_BYTES));
        self.reason.push(Some(Id { number: *reason as usize, text: reason.as_str() }));
        self.detail.append_value(cut(detail, DETAIL_KEPT_BYTES));
        self.payload.append_value(payload.get(..PAYLOAD_KEPT_BYTES).unwrap_or(payload));
        self.message_hash.push(*message_hash);
        if let Some(count) = self.by_reason.get_mut(*reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// The rows so far, as one batch of [`Stream::RejectedEvents`]; empty afterwards.
    pub(crate) fn take(&mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            times(&mut self.arrival_time),
            self.source.take(),
            Arc::new(self.topic.finish()),
            self.reason.take(),
            Arc::new(self.detail.finish()),
            Arc::new(self.payload.finish()),
            Arc::new(UInt64Array::from(std::mem::take(&mut self.message_hash))),
        ];
        RecordBatch::try_new(Stream::RejectedEvents.schema(), columns)
            .expect("columns are built as the schema lists them")
    }
}

/// The longest beginning of `text` that has at most `limit` bytes.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}
