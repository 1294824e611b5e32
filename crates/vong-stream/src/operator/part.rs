//! Which rows concern which rules: late rows, and rows of clocks that run ahead, concern only some.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::error::Result;

use super::frame::Frame;
use super::keys::KeySpace;
use super::selection::Selection;

/// Which rules of a selection see the rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) lane: bool,
    pub(super) silences: bool,
    pub(super) windows: bool,
}

impl Part {
    pub(super) const ALL: Self = Self { lane: true, silences: true, windows: true };
    pub(super) const SILENCES: Self = Self { lane: false, silences: true, windows: false };
    pub(super) const ALL_BUT_SILENCES: Self = Self { silences: false, ..Self::ALL };
    pub(super) const LANE: Self = Self { lane: true, silences: false, windows: false };
    pub(super) const ALL_BUT_LANE: Self = Self { lane: false, ..Self::ALL };

    pub(super) fn concerns(self, selection: &Selection) -> bool {
        (self.lane && !(selection.lane.is_empty() && selection.views.is_empty()))
            || (self.silences && !selection.silences.is_empty())
            || (self.windows && selection.has_windows())
    }
}

impl Part {
    /// Whether a selection that sees some rows twice, for two kinds of rules, counts them now.
    pub(super) fn counts(self, selection: &Selection) -> bool {
        let seen_before = (!self.silences && self.windows && !selection.silences.is_empty())
            || (!self.lane && self.windows && !selection.lane.is_empty());
        !seen_before
    }
}

/// Remembers where each key stands; the last row of a key wins, whatever the batches.
pub(super) fn saw_units(frame: &Frame, keys: &[u32], space: &KeySpace) {
    let Some(units) = frame.units.as_ref() else { return };
    for (row, key) in keys.iter().enumerate() {
        space.saw_unit(*key, units.code(row));
    }
}

/// A device whose clock runs ahead is not silent: its rows are heard at the time they came.
pub(super) fn by_arrival(
    batch: &RecordBatch,
    ahead: &[u32],
    event_time: usize,
) -> Result<RecordBatch> {
    let arrival = batch.schema().index_of("arrival_time")?;
    let times = |column: usize| batch.column(column).as_primitive::<TimestampMicrosecondType>();
    let mut heard = times(event_time).values().to_vec();
    for row in ahead {
        if let Some(time) = heard.get_mut(*row as usize) {
            *time = times(arrival).value(*row as usize);
        }
    }
    let mut columns = batch.columns().to_vec();
    let heard =
        TimestampMicrosecondArray::from(heard).with_timezone_opt(times(event_time).timezone());
    if let Some(column) = columns.get_mut(event_time) {
        *column = Arc::new(heard);
    }
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
