//! The rows of one batch that one scope selects, and expressions evaluated on them once.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};
use vong_alert::Inputs;

use super::codes::KeyColumn;
use crate::plan::Named;

/// Selected rows, in log order.
#[derive(Debug)]
pub(super) struct Frame {
    /// Only the columns that were asked for hold what belongs to the rows.
    pub(super) batch: RecordBatch,
    /// Row of the whole batch; `None`: all of them.
    rows: Option<Vec<u32>>,
    pub(super) times: ScalarBuffer<i64>,
    /// Administrative units, where the stream has them and the key does not name them.
    pub(super) units: Option<KeyColumn>,
    pub(super) inputs: Inputs,
}

impl Frame {
    pub(super) fn new(
        whole: &RecordBatch,
        rows: Option<Vec<u32>>,
        needed: &BTreeSet<usize>,
        event_time: usize,
        inputs: Inputs,
    ) -> Result<Self> {
        let batch = match &rows {
            None => whole.clone(),
            Some(rows) => gather(whole, rows, needed)?,
        };
        let times = batch.column(event_time).as_primitive::<TimestampMicrosecondType>();
        let times = times.values().clone();
        Ok(Self { batch, rows, times, units: None, inputs })
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Row of the whole batch.
    pub(super) fn row(&self, index: usize) -> u32 {
        match &self.rows {
            Some(rows) => rows.get(index).copied().unwrap_or_default(),
            None => u32::try_from(index).unwrap_or(u32::MAX),
        }
    }
}

/// Takes `rows` of the needed columns. The others get a slice of the right type and length whose
/// content nobody reads: that costs nothing, and expressions keep the column numbers of the stream.
fn gather(whole: &RecordBatch, rows: &[u32], needed: &BTreeSet<usize>) -> Result<RecordBatch> {
    let indices = UInt32Array::from(rows.to_vec());
    let columns = whole.columns().iter().enumerate().map(|(place, column)| {
        if needed.contains(&place) {
            take(column, &indices, None)
        } else {
            Ok(column.slice(0, rows.len()))
        }
    });
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(whole.schema(), columns)?)
}

/// Distinct expressions of one scope; each is evaluated at most once a batch.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    by_text: HashMap<String, usize>,
    all: Vec<Named>,
    values: Vec<Option<ArrayRef>>,
}

impl Expressions {
    /// Number of the expression; equal texts share one.
    pub(super) fn add(&mut self, named: &Named) -> usize {
        if let Some(found) = self.by_text.get(&named.text) {
            return *found;
        }
        let number = self.all.len();
        self.by_text.insert(named.text.clone(), number);
        self.all.push(named.clone());
        self.values.push(None);
        number
    }

    /// Text of the expression of this number.
    pub(super) fn text(&self, number: usize) -> &str {
        self.all.get(number).map_or("", |named| &named.text)
    }

    pub(super) fn forget(&mut self) {
        self.values.iter_mut().for_each(|value| *value = None);
    }

    pub(super) fn get(&mut self, number: usize, frame: &Frame) -> Result<&ArrayRef> {
        let (Some(named), Some(value)) = (self.all.get(number), self.values.get_mut(number)) else {
            return Err(DataFusionError::Internal("no such expression".to_owned()));
        };
        if value.is_none() {
            let evaluated = named.expr.evaluate(&frame.batch)?;
            *value = Some(evaluated.into_array(frame.len())?);
        }
        value.as_ref().ok_or_else(|| DataFusionError::Internal("just evaluated".to_owned()))
    }

    pub(super) fn mask(&mut self, number: usize, frame: &Frame) -> Result<BooleanArray> {
        Ok(without_nulls(self.get(number, frame)?))
    }
}

/// A condition's answer, unknown counted as false.
pub(super) fn without_nulls(array: &ArrayRef) -> BooleanArray {
    let answer = array.as_boolean();
    match answer.nulls() {
        Some(nulls) if nulls.null_count() > 0 => {
            BooleanArray::new(answer.values() & nulls.inner(), None)
        }
        _ => BooleanArray::new(answer.values().clone(), None),
    }
}

/// The number at `row` of any numeric array.
pub(super) fn number_at(array: &ArrayRef, row: usize) -> Option<f64> {
    if array.is_null(row) {
        return None;
    }
    if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
        return Some(floats.value(row));
    }
    let one = array.slice(row, 1);
    let float = arrow::compute::cast(&one, &arrow::datatypes::DataType::Float64).ok()?;
    let float = float.as_primitive_opt::<Float64Type>()?;
    (!float.is_null(0)).then(|| float.value(0))
}
