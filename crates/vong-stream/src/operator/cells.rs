//! Aggregates of all groups of one pane, in a form that can be merged.
//!
//! Invariant: what a cell says depends on which rows it has seen, not on their order or on how they
//! came together: panes may be cut and merged at will.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::Float64Type;
use serde::{Deserialize, Serialize};

use super::exact::Sums;
use crate::plan::Function;

/// Which aggregates of its argument somebody needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wants {
    /// Not every row counts; where every row does, the rows of the pane are the count.
    pub(super) count: bool,
    pub(super) sum: bool,
    pub(super) min: bool,
    pub(super) max: bool,
}

impl Wants {
    pub(super) fn add(&mut self, function: Function) {
        match function {
            Function::Count => {}
            Function::Sum | Function::Avg => self.sum = true,
            Function::Min => self.min = true,
            Function::Max => self.max = true,
        }
    }
}

/// Count, sum, least and greatest of one argument, group by group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Cells {
    wants: Wants,
    counts: Vec<u64>,
    sums: Sums,
    /// NaN: nothing seen.
    least: Vec<f64>,
    /// NaN counts as the greatest of all numbers.
    greatest: Vec<f64>,
}

impl Cells {
    pub(super) fn new(wants: Wants) -> Self {
        Self { wants, counts: vec![], sums: Sums::default(), least: vec![], greatest: vec![] }
    }

    pub(super) fn resize(&mut self, groups: usize) {
        if self.wants.count {
            self.counts.resize(groups, 0);
        }
        if self.wants.sum {
            self.sums.resize(groups);
        }
        if self.wants.min {
            self.least.resize(groups, f64::NAN);
        }
        if self.wants.max {
            self.greatest.resize(groups, f64::NEG_INFINITY);
        }
    }

    /// Adds rows: the group of each, its argument (`None`: every row counts) and whether it counts.
    pub(super) fn add(
        &mut self,
        groups: &[u32],
        argument: Option<&ArrayRef>,
        mask: Option<&BooleanArray>,
    ) {
        let nulls = argument.and_then(|a| a.logical_nulls()).filter(|n| n.null_count() > 0);
        let floats = argument.and_then(|a| a.as_primitive_opt::<Float64Type>());
        let floats = floats.map(|f| f.values());
        if mask.is_none() && nulls.is_none() {
            self.add_rows(groups, floats, 0..groups.len());
            return;
        }
        let counts = |row: &usize| {
            mask.is_none_or(|m| m.value(*row)) && nulls.as_ref().is_none_or(|n| n.is_valid(*row))
        };
        self.add_rows(groups, floats, (0..groups.len()).filter(counts));
    }

    #[inline]
    fn add_rows(
        &mut self,
        groups: &[u32],
        values: Option<&arrow::buffer::ScalarBuffer<f64>>,
        rows: impl Iterator<Item = usize> + Clone,
    ) {
        if self.wants.count {
            for row in rows.clone() {
                self.counts[groups[row] as usize] += 1;
            }
        }
        let Some(values) = values else { return };
        if self.wants.sum {
            for row in rows.clone() {
                self.sums.add(groups[row], values[row]);
            }
        }
        if self.wants.min {
            for row in rows.clone() {
                lower(&mut self.least[groups[row] as usize], values[row]);
            }
        }
        if self.wants.max {
            for row in rows {
                raise(&mut self.greatest[groups[row] as usize], values[row]);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let floats = self.least.capacity() + self.greatest.capacity();
        8 * (self.counts.capacity() + floats) + self.sums.bytes()
    }

    /// Adds what another pane saw; it must have no more groups.
    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sums.merge(&other.sums);
        for (least, more) in self.least.iter_mut().zip(&other.least) {
            lower(least, *more);
        }
        for (greatest, more) in self.greatest.iter_mut().zip(&other.greatest) {
            raise(greatest, *more);
        }
    }

    /// The aggregate over some groups, of which the pane has `rows` rows; `None` where SQL says null.
    pub(super) fn value(&self, function: Function, groups: &[u32], rows: u64) -> Option<f64> {
        let count = if self.wants.count {
            groups.iter().filter_map(|g| self.counts.get(*g as usize)).sum()
        } else {
            rows
        };
        if function == Function::Count {
            return Some(count as f64);
        }
        if count == 0 {
            return None;
        }
        let of = |cells: &[f64], group: &u32| cells.get(*group as usize).copied();
        Some(match function {
            Function::Count => count as f64,
            Function::Sum => self.sums.total(groups),
            Function::Avg => self.sums.total(groups) / count as f64,
            Function::Min => {
                let mut least = f64::NAN;
                groups.iter().filter_map(|g| of(&self.least, g)).for_each(|v| lower(&mut least, v));
                least
            }
            Function::Max => {
                let mut most = f64::NEG_INFINITY;
                groups
                    .iter()
                    .filter_map(|g| of(&self.greatest, g))
                    .for_each(|v| raise(&mut most, v));
                most
            }
        })
    }
}

/// Adding zero turns -0 into 0, so that which of the two came first cannot show.
#[inline]
fn lower(least: &mut f64, value: f64) {
    if value < *least || least.is_nan() {
        *least = value + 0.0;
    }
}

#[inline]
fn raise(greatest: &mut f64, value: f64) {
    if value > *greatest || value.is_nan() {
        *greatest = value + 0.0;
    }
}
