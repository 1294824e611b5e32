//! Rows that continuous views found, on their way to the stream `view_rows`.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::array::{TimestampMicrosecondArray, UInt32Array, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use vong_log::Record;
use vong_model::view::Layout;
use vong_model::{EventTime, RuleId, Stream};

use crate::Error;
use crate::operator::{Decided, RuleMeta, Step};
use crate::outputs::{Cause, batch};

/// Rows of one view that one record caused.
#[derive(Clone, Debug)]
pub struct ViewRows {
    rule: Arc<RuleMeta>,
    layout: Arc<Layout>,
    /// Event time of each row, microseconds.
    times: Vec<i64>,
    /// With the layout's schema.
    rows: RecordBatch,
    cause: Cause,
    cause_time: EventTime,
}

impl ViewRows {
    /// What the views among these steps found, in order; rows that follow on are put together.
    pub(crate) fn of(steps: &[Step], record: &Record) -> Result<Vec<Self>, Error> {
        let mut all: Vec<Self> = Vec::new();
        let mut parts: Vec<RecordBatch> = Vec::new();
        let mut ordinal = 0_u32;
        for step in steps {
            let Decided::Rows(found) = &step.decided else { continue };
            let known = all.last_mut().filter(|last| Arc::ptr_eq(&last.rule, &step.rule));
            match known {
                Some(last) => {
                    last.times.extend_from_slice(&found.times);
                    parts.push(found.rows.clone());
                }
                None => {
                    finish(&mut all, &mut parts)?;
                    parts.push(found.rows.clone());
                    all.push(Self {
                        rule: Arc::clone(&step.rule),
                        layout: Arc::clone(&found.layout),
                        times: found.times.clone(),
                        rows: found.rows.clone(),
                        cause: Cause { offset: record.offset, ordinal },
                        cause_time: record.appended_at,
                    });
                }
            }
            ordinal = ordinal.saturating_add(u32::try_from(found.times.len()).unwrap_or(u32::MAX));
        }
        finish(&mut all, &mut parts)?;
        Ok(all)
    }

    /// The view that found them.
    pub fn view(&self) -> &RuleId {
        self.rule.rule_id()
    }

    /// The rows, with the view's own columns.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// When each became known, microseconds of event time.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Forgets the rows up to this place.
    pub(crate) fn forget(&mut self, known: Cause) {
        let count = self.times.len();
        let gone = if self.cause.offset < known.offset {
            count
        } else if self.cause.offset > known.offset || self.cause.ordinal > known.ordinal {
            0
        } else {
            count.min((known.ordinal - self.cause.ordinal) as usize + 1)
        };
        if gone > 0 {
            *self = self.part(gone, count - gone);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Place of the last row.
    pub(crate) fn last(&self) -> Cause {
        let more = u32::try_from(self.times.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Cause { ordinal: self.cause.ordinal.saturating_add(more), ..self.cause }
    }

    /// As batches of the stream, each of at most `most` rows of one view.
    pub(crate) fn batches(
        all: &[Self],
        most: usize,
    ) -> impl Iterator<Item = Result<RecordBatch, Error>> {
        all.iter().flat_map(move |own| {
            let count = own.times.len();
            let starts = (0..count).step_by(most.max(1));
            starts.map(move |from| own.part(from, most.min(count - from)).batch())
        })
    }

    fn part(&self, from: usize, count: usize) -> Self {
        let ordinal = u32::try_from(from).unwrap_or(u32::MAX);
        let ordinal = self.cause.ordinal.saturating_add(ordinal);
        Self {
            rows: self.rows.slice(from, count),
            times: self.times.get(from..from + count).unwrap_or_default().to_vec(),
            cause: Cause { ordinal, ..self.cause },
            ..self.clone()
        }
    }

    fn batch(&self) -> Result<RecordBatch, Error> {
        let count = self.times.len();
        let [texts, floats, ints] = self.layout.pack(&self.rows).map_err(wrong)?;
        let times = TimestampMicrosecondArray::from(self.times.clone()).with_timezone("UTC");
        let caused = TimestampMicrosecondArray::from_value(self.cause_time.micros(), count);
        let ordinals = self.cause.ordinal..;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(times),
            Arc::new(caused.with_timezone("UTC")),
            same(self.view().as_str(), count)?,
            Arc::new(UInt32Array::from_value(self.rule.version, count)),
            same(&self.layout.to_string(), count)?,
            texts,
            floats,
            ints,
            Arc::new(UInt64Array::from_value(self.cause.offset.0, count)),
            Arc::new(UInt32Array::from_iter_values(ordinals.take(count))),
        ];
        batch(Stream::ViewRows, columns)
    }
}

/// Puts the parts of the last view together.
fn finish(all: &mut [ViewRows], parts: &mut Vec<RecordBatch>) -> Result<(), Error> {
    if let (Some(last), true) = (all.last_mut(), parts.len() > 1) {
        last.rows = concat_batches(&last.layout.schema(), parts.iter()).map_err(wrong)?;
    }
    parts.clear();
    Ok(())
}

/// One text in every row.
fn same(text: &str, count: usize) -> Result<ArrayRef, Error> {
    let keys = Int32Array::from_value(0, count);
    let texts = Arc::new(StringArray::from(vec![text]));
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, texts).map_err(wrong)?))
}

fn wrong(source: ArrowError) -> Error {
    Error::Rows { stream: Stream::ViewRows, source }
}
