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
    /// Row of the frame that is the span's row `number`.
    pub(super) fn row(&self, number: usize) -> usize {
        match self {
            Self::All => number,
            Self::Slice(from, _) => from + number,
            Self::Rows(rows) => rows.values().get(number).map_or(0, |row| *row as usize),
        }
    }

    pub(super) fn cut(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Self::All => Arc::clone(array),
            Self::Slice(from, len) => array.slice(*from, *len),
            Self::Rows(rows) => take(array, rows, None)?,
        })
    }
}

/// What is known of the instants of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) first: i64,
    pub(super) last: i64,
    sorted: bool,
}

impl Times {
    /// `None` for no instants.
    pub(super) fn of(times: &[i64]) -> Option<Self> {
        let (first, last) = (*times.first()?, *times.last()?);
        if is_sorted(times) {
            return Some(Self { first, last, sorted: true });
        }
        let (first, last) =
            times.iter().fold((first, last), |(min, max), t| (min.min(*t), max.max(*t)));
        Some(Self { first, last, sorted: false })
    }
}

/// One pass without a branch: the sign of each step, and of each instant moved up so far that it is
/// not negative unless the step could have overflowed.
fn is_sorted(times: &[i64]) -> bool {
    const FAR: i64 = 1 << 62;
    let steps = times.iter().zip(times.iter().skip(1));
    let signs = steps.fold(0, |signs, (a, b)| signs | b.wrapping_sub(*a) | a.wrapping_add(FAR));
    let last = times.last().map_or(0, |last| last.wrapping_add(FAR));
    signs | last >= 0 || times.is_sorted()
}

/// The windows the instants fall in, by start, each with its rows in log order.
pub(super) fn spans(times: &[i64], width_us: i64) -> Vec<(i64, Span)> {
    Times::of(times).map_or_else(Vec::new, |known| spans_of(times, known, width_us))
}

/// As [`spans`], of instants that were looked at before.
pub(super) fn spans_of(times: &[i64], known: Times, width_us: i64) -> Vec<(i64, Span)> {
    let start_of = |time: i64| vong_sql::functions::window_start(time, width_us);
    let sorted = known.sorted;
    let (first, last) = (start_of(known.first), start_of(known.last));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_seen_also_at_the_ends_of_time() {
        let far = 1_i64 << 62;
        for times in [
            vec![1, 2, 2, 9],
            vec![3, 1],
            vec![i64::MIN, i64::MAX],
            vec![i64::MAX, i64::MIN],
            vec![far, far + 1],
            vec![far + 1, far],
            vec![-far - 1, 0, far],
            vec![0, i64::MAX, i64::MIN],
            vec![7],
        ] {
            assert_eq!(is_sorted(&times), times.is_sorted(), "{times:?}");
        }
    }
}
