//! A closed window: one row a key, as the conditions of its rules see it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::filter;
use arrow::datatypes::Int32Type;
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use vong_alert::Inputs;

use super::keys::Key;
use super::rule::Sink;
use super::window::{Pane, WindowRule};
use crate::plan::GroupColumn;

/// What one closed window says, before any rule looks at it.
pub(super) struct Closed {
    pub(super) start: i64,
    pub(super) end: i64,
    /// Local keys present, in order.
    pub(super) keys: Vec<u32>,
    pub(super) columns: Vec<Option<ArrayRef>>,
    pub(super) key_columns: Option<Vec<ArrayRef>>,
    pub(super) inputs: Option<Inputs>,
}

impl Closed {
    pub(super) fn of(
        pane: Option<Pane>,
        (start, end): (i64, i64),
        local_keys: &[u32],
    ) -> Result<Self> {
        let mut closed =
            Self { start, end, keys: vec![], columns: vec![], key_columns: None, inputs: None };
        let Some(pane) = pane else { return Ok(closed) };
        let Pane { accumulators, present, inputs, .. } = pane;
        let keys = present.iter().zip(local_keys).filter(|(present, _)| **present);
        closed.keys = keys.map(|(_, key)| *key).collect();
        closed.inputs = Some(inputs);
        let all = closed.keys.len() == present.len();
        let mask = BooleanArray::from(present);
        for accumulator in accumulators {
            closed.columns.push(match accumulator {
                None => None,
                Some(mut accumulator) => {
                    let column = accumulator.evaluate(EmitTo::All)?;
                    Some(if all { column } else { filter(&column, &mask)? })
                }
            });
        }
        Ok(closed)
    }

    /// The rows the rule's condition sees.
    pub(super) fn batch(&self, rule: &WindowRule) -> Result<Option<RecordBatch>> {
        let count = self.keys.len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(rule.plan.schema.fields().len());
        for group in &rule.plan.groups {
            columns.push(match group {
                GroupColumn::WindowStart => {
                    let start = TimestampMicrosecondArray::from_value(self.start, count);
                    Arc::new(start.with_timezone("UTC"))
                }
                GroupColumn::Key(place) => {
                    let real = self.key_columns.as_ref().and_then(|keys| keys.get(*place));
                    real.map_or_else(|| blank(count), Arc::clone)
                }
            });
        }
        for slot in &rule.slots {
            match self.columns.get(*slot).and_then(Option::as_ref) {
                Some(column) => columns.push(Arc::clone(column)),
                None => return Ok(None),
            }
        }
        Ok(Some(RecordBatch::try_new(Arc::clone(&rule.plan.schema), columns)?))
    }
}

/// A key column nobody reads.
pub(super) fn blank(count: usize) -> ArrayRef {
    let values = Arc::new(StringArray::from(vec![""]));
    Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; count]), values))
}

pub(super) fn key_columns(keys: &[u32], out: &Sink<'_>) -> Vec<ArrayRef> {
    let keys: Vec<&Key> = keys.iter().map(|key| out.space.key(*key)).collect();
    (0..out.space.columns().len())
        .map(|place| {
            let texts = keys.iter().map(|key| key.value_at(place));
            Arc::new(texts.collect::<DictionaryArray<Int32Type>>()) as ArrayRef
        })
        .collect()
}
