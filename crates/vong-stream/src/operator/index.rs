//! The predicate index: which scopes a batch concerns, and which rows each selects.
//!
//! Cost follows matches: a scope whose sensor or metric is not in the batch is never looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{BooleanArray, RecordBatch};
use datafusion::error::Result;
use vong_model::Stream;

use super::codes::{Codes, KeyColumn};
use super::frame::without_nulls;
use crate::plan::{Conjunct, Form, Named};

/// Columns worth indexing, the most selective first.
const PREFERRED: [&str; 5] = ["sensor_id", "camera_id", "source_id", "unit_code", "metric"];

/// Conditions on what rows are about, normalised.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Rules with equal texts select the same rows.
    pub(super) text: String,
    /// Column and the codes it may have; the first one is the indexed one.
    one_of: Vec<(usize, BTreeSet<u32>)>,
    /// Numbers of residual conditions.
    residuals: Vec<usize>,
}

/// Rows a scope selects: `None` is all of them.
pub(super) type Rows = Option<Vec<u32>>;

/// All scopes of one stream.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_code: BTreeMap<usize, HashMap<u32, Vec<usize>>>,
    always: Vec<usize>,
    residuals: Vec<Named>,
    residual_of: HashMap<String, usize>,
}

impl Index {
    /// Normalises a rule's scope.
    pub(super) fn scope(
        &mut self,
        stream: Stream,
        conjuncts: &[Conjunct],
        codes: &mut Codes,
    ) -> Scope {
        let texts: Vec<&str> = conjuncts.iter().map(|c| c.text.as_str()).collect();
        let text = texts.join(" AND ");
        let (mut one_of, mut residuals) = (Vec::new(), Vec::new());
        for conjunct in conjuncts {
            match &conjunct.form {
                Form::OneOf { column, texts } => {
                    let wanted = texts.iter().map(|text| codes.interner.code(text)).collect();
                    one_of.push((*column, wanted));
                }
                Form::Threshold { .. } | Form::Other => residuals.push(self.residual(conjunct)),
            }
        }
        let name = |column: usize| stream.columns().get(column).map_or("", |c| c.name);
        let rank = |column: usize| PREFERRED.iter().position(|p| *p == name(column));
        one_of.sort_by_key(|(column, _)| (rank(*column).unwrap_or(PREFERRED.len()), *column));
        Scope { text, one_of, residuals }
    }

    fn residual(&mut self, conjunct: &Conjunct) -> usize {
        if let Some(found) = self.residual_of.get(&conjunct.text) {
            return *found;
        }
        let Conjunct { text, expr, .. } = conjunct.clone();
        self.residual_of.insert(text.clone(), self.residuals.len());
        self.residuals.push(Named { text, expr });
        self.residuals.len() - 1
    }

    pub(super) fn insert(&mut self, number: usize, scope: &Scope) {
        match scope.one_of.first() {
            Some((column, wanted)) => {
                let by_code = self.by_code.entry(*column).or_default();
                for code in wanted {
                    by_code.entry(*code).or_default().push(number);
                }
            }
            None => self.always.push(number),
        }
    }

    pub(super) fn remove(&mut self, number: usize, scope: &Scope) {
        self.always.retain(|n| *n != number);
        let Some((column, wanted)) = scope.one_of.first() else { return };
        let Some(by_code) = self.by_code.get_mut(column) else { return };
        for code in wanted {
            if let Some(numbers) = by_code.get_mut(code) {
                numbers.retain(|n| *n != number);
                if numbers.is_empty() {
                    by_code.remove(code);
                }
            }
        }
        if by_code.is_empty() {
            self.by_code.remove(column);
        }
    }

    /// Scopes that select rows of `batch`, in order of their number, with the rows.
    pub(super) fn select<'a>(
        &self,
        batch: &RecordBatch,
        codes: &mut Codes,
        scope: impl Fn(usize) -> Option<&'a Scope>,
    ) -> Result<Vec<(usize, Rows)>> {
        let mut hits: BTreeMap<usize, Rows> =
            self.always.iter().map(|number| (*number, None)).collect();
        for (column, by_code) in &self.by_code {
            let column = codes.column(batch, *column);
            for (code, rows) in partition(&column, by_code) {
                for number in by_code.get(&code).into_iter().flatten() {
                    join(hits.entry(*number), &rows);
                }
            }
        }
        let mut masks: Vec<Option<BooleanArray>> = vec![None; self.residuals.len()];
        let mut selected = Vec::with_capacity(hits.len());
        for (number, mut rows) in hits {
            let Some(scope) = scope(number) else { continue };
            for (column, wanted) in scope.one_of.iter().skip(1) {
                let column = codes.column(batch, *column);
                keep(&mut rows, batch.num_rows(), |row| wanted.contains(&column.code(row)));
            }
            for residual in &scope.residuals {
                let mask = self.mask(*residual, batch, &mut masks)?;
                keep(&mut rows, batch.num_rows(), |row| mask.value(row));
            }
            if rows.as_ref().is_none_or(|rows| !rows.is_empty()) {
                selected.push((number, rows));
            }
        }
        Ok(selected)
    }

    fn mask(
        &self,
        number: usize,
        batch: &RecordBatch,
        masks: &mut [Option<BooleanArray>],
    ) -> Result<BooleanArray> {
        let (Some(named), Some(mask)) = (self.residuals.get(number), masks.get_mut(number)) else {
            return Ok(BooleanArray::from(vec![false; batch.num_rows()]));
        };
        if mask.is_none() {
            let answer = named.expr.evaluate(batch)?.into_array(batch.num_rows())?;
            *mask = Some(without_nulls(&answer));
        }
        Ok(mask.clone().unwrap_or_else(|| BooleanArray::from(vec![false; batch.num_rows()])))
    }
}

fn join(hit: std::collections::btree_map::Entry<'_, usize, Rows>, rows: &Rows) {
    use std::collections::btree_map::Entry;
    match hit {
        Entry::Vacant(hit) => {
            hit.insert(rows.clone());
        }
        // A list of several texts: back into log order.
        Entry::Occupied(mut hit) => match (hit.get_mut(), rows) {
            (Some(known), Some(more)) => {
                known.extend_from_slice(more);
                known.sort_unstable();
            }
            (known, _) => *known = None,
        },
    }
}

fn keep(rows: &mut Rows, count: usize, holds: impl Fn(usize) -> bool) {
    match rows {
        Some(rows) => rows.retain(|row| holds(*row as usize)),
        None => {
            let all = 0..u32::try_from(count).unwrap_or(u32::MAX);
            let kept: Vec<u32> = all.filter(|row| holds(*row as usize)).collect();
            *rows = (kept.len() < count).then_some(kept);
        }
    }
}

/// Splits the rows by code, for the codes some scope wants.
fn partition(column: &KeyColumn, wanted: &HashMap<u32, Vec<usize>>) -> Vec<(u32, Rows)> {
    const UNWANTED: u32 = u32::MAX;
    let mut slots: Vec<u32> = Vec::new();
    let mut slot_of_code: HashMap<u32, u32> = HashMap::new();
    let slot_of_entry: Vec<u32> = column
        .dictionary()
        .iter()
        .map(|code| {
            if wanted.get(code).is_none_or(Vec::is_empty) {
                return UNWANTED;
            }
            *slot_of_code.entry(*code).or_insert_with(|| {
                slots.push(*code);
                u32::try_from(slots.len() - 1).unwrap_or(UNWANTED)
            })
        })
        .collect();
    if slots.is_empty() {
        return Vec::new();
    }
    let slot_of = |entry: i32| {
        usize::try_from(entry).ok().and_then(|e| slot_of_entry.get(e)).copied().unwrap_or(UNWANTED)
    };
    let entries = column.entries();
    let only = slot_of_entry.iter().all(|slot| *slot == 0);
    if only && !column.has_nulls() {
        return slots.into_iter().map(|code| (code, None)).collect();
    }
    let mut lists: Vec<Vec<u32>> = vec![Vec::new(); slots.len()];
    let nulls = column.has_nulls();
    for (row, entry) in (0_u32..).zip(entries) {
        let slot = slot_of(*entry);
        if slot == UNWANTED || (nulls && column.code(row as usize) == super::codes::NULL) {
            continue;
        }
        if let Some(list) = lists.get_mut(slot as usize) {
            list.push(row);
        }
    }
    let found = slots.into_iter().zip(lists).filter(|(_, list)| !list.is_empty());
    found.map(|(code, list)| (code, (list.len() < entries.len()).then_some(list))).collect()
}
