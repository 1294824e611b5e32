//! The rows of a frame, window by window.
//!
//! Invariant: every row is in exactly one span, and rows of a span are in log order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use datafusion::error::Result;

/// Rows of one window within a frame.
pub(super) enum Span {
    All,
    Slice(usize, usize),
    Rows(UInt32Array),
}

impl Span {
    pub(super) fn cut(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Self::All => Arc::clone(array),
            Self::Slice(from, len) => array.slice(*from, *len),
            Self::Rows(rows) => take(array, rows, None)?,
        })
    }
}

/// The earliest and the latest instant.
pub(super) fn range(times: &[i64], sorted: bool) -> Option<(i64, i64)> {
    let (first, last) = (*times.first()?, *times.last()?);
    if sorted {
        return Some((first, last));
    }
    Some(times.iter().fold((first, last), |(min, max), t| (min.min(*t), max.max(*t))))
}

/// The windows the instants fall in, by start, each with its rows in log order.
pub(super) fn spans(times: &[i64], width_us: i64) -> Vec<(i64, Span)> {
    let start_of = |time: i64| vong_sql::functions::window_start(time, width_us);
    let sorted = times.is_sorted();
    let Some((min, max)) = range(times, sorted) else { return Vec::new() };
    let (first, last) = (start_of(min), start_of(max));
    if first == last {
        return vec![(first, Span::All)];
    }
    if sorted {
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(time) = times.get(from) {
            let start = start_of(*time);
            let end = start.saturating_add(width_us);
            let len = times[from..].partition_point(|t| *t < end);
            out.push((start, Span::Slice(from, len)));
            from += len;
        }
        return out;
    }
    let mut rows: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, time) in (0_u32..).zip(times) {
        rows.entry(start_of(*time)).or_default().push(row);
    }
    rows.into_iter().map(|(start, rows)| (start, Span::Rows(UInt32Array::from(rows)))).collect()
}
