//! A keyed view: latest fields per key, and what changed since any number.
//!
//! Every row, and every field of it, knows the offset of the record that last changed it; an index
//! by that offset answers "what changed since `s`" at a cost of what changed. Removed keys leave a
//! tombstone for a while. Thus one structure serves a fast reader, a slow one and one that comes
//! back, without a queue for any.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, Offset};

use crate::message::{FieldValue, Op, Row};

/// How many numbers remember their count of changes; 15 minutes of ticks.
const HISTORY: usize = 9_000;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    slots: BTreeMap<Arc<str>, Slot>,
    by_rev: BTreeSet<(Offset, Arc<str>)>,
    live: usize,
    /// State holds every record before this.
    applied: Offset,
    /// Source changes ever; grows with each.
    changes: u64,
    /// `(applied, changes)` at each number where changes had come.
    history: VecDeque<(Offset, u64)>,
    /// Nobody can go on from before this: removals from then are forgotten.
    resume_floor: Offset,
    tombstones: VecDeque<(EventTime, Offset, Arc<str>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Slot {
    rev: Offset,
    /// When the key last began to exist.
    created: Offset,
    removed: bool,
    fields: Vec<(FieldValue, Offset)>,
}

impl Table {
    /// A view that is empty at `floor`, and knows nothing before it.
    pub(crate) fn new(floor: Offset) -> Self {
        Self {
            slots: BTreeMap::new(),
            by_rev: BTreeSet::new(),
            live: 0,
            applied: floor,
            changes: 0,
            history: VecDeque::from([(floor, 0)]),
            resume_floor: floor,
            tombstones: VecDeque::new(),
        }
    }

    pub(crate) fn applied(&self) -> Offset {
        self.applied
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn resume_floor(&self) -> Offset {
        self.resume_floor
    }

    /// Nobody may go on from before `floor`.
    pub(crate) fn raise_resume_floor(&mut self, floor: Offset) {
        self.resume_floor = self.resume_floor.max(floor);
    }

    /// A field of a row that exists.
    pub(crate) fn field(&self, key: &str, column: usize) -> Option<&FieldValue> {
        let slot = self.slots.get(key).filter(|slot| !slot.removed)?;
        slot.fields.get(column).map(|(value, _)| value)
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.slots.get(key).is_some_and(|slot| !slot.removed)
    }

    /// Gives `key` all its fields as of the record at `rev`; counts `folded` source changes.
    pub(crate) fn put(&mut self, key: &str, rev: Offset, folded: u64, fields: Vec<FieldValue>) {
        self.changes = self.changes.saturating_add(folded);
        let fresh = |fields: Vec<FieldValue>| -> Vec<(FieldValue, Offset)> {
            fields.into_iter().map(|value| (value, rev)).collect()
        };
        let Some(slot) = self.slots.get_mut(key) else {
            let key: Arc<str> = Arc::from(key);
            let slot = Slot { rev, created: rev, removed: false, fields: fresh(fields) };
            self.slots.insert(Arc::clone(&key), slot);
            self.by_rev.insert((rev, key));
            self.live += 1;
            return;
        };
        let before = slot.rev;
        if slot.removed {
            *slot = Slot { rev, created: rev, removed: false, fields: fresh(fields) };
            self.live += 1;
        } else {
            // A row written down before its view had the last of its columns.
            for value in fields.get(slot.fields.len()..).unwrap_or_default() {
                slot.fields.push((value.clone(), rev));
                slot.rev = rev;
            }
            for ((have, have_rev), value) in slot.fields.iter_mut().zip(fields) {
                if *have != value {
                    (*have, *have_rev) = (value, rev);
                    slot.rev = rev;
                }
            }
        }
        let after = slot.rev;
        self.moved(key, before, after);
    }

    /// Takes `key` away by the record at `rev`, at log time `at`.
    pub(crate) fn remove(&mut self, key: &str, rev: Offset, at: EventTime) {
        let Some(slot) = self.slots.get_mut(key).filter(|slot| !slot.removed) else { return };
        let before = slot.rev;
        slot.rev = rev;
        slot.removed = true;
        slot.fields = Vec::new();
        self.live -= 1;
        self.changes = self.changes.saturating_add(1);
        self.tombstones.push_back((at, rev, Arc::from(key)));
        self.moved(key, before, rev);
    }

    fn moved(&mut self, key: &str, before: Offset, after: Offset) {
        if before == after {
            return;
        }
        if let Some((_, key)) = self.by_rev.take(&(before, Arc::from(key))) {
            self.by_rev.insert((after, key));
        }
    }

    /// Forgets removals up to log time `until`: whoever was away longer gets a snapshot.
    pub(crate) fn forget_removed(&mut self, until: EventTime) {
        while let Some((at, rev, key)) = self.tombstones.front()
            && *at <= until
        {
            if self.slots.get(key).is_some_and(|slot| slot.removed && slot.rev == *rev) {
                self.slots.remove(key);
                self.by_rev.remove(&(*rev, Arc::clone(key)));
            }
            self.resume_floor = self.resume_floor.max(rev.next());
            self.tombstones.pop_front();
        }
    }

    /// Every record before `applied` is in.
    pub(crate) fn advance(&mut self, applied: Offset) {
        self.applied = self.applied.max(applied);
        if self.history.back().is_some_and(|(_, changes)| *changes == self.changes) {
            return;
        }
        self.history.push_back((self.applied, self.changes));
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// All rows, by key.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let live = self.slots.iter().filter(|(_, slot)| !slot.removed);
        live.map(|(key, slot)| slot.row(key)).collect()
    }

    /// What changed by records at `since` or later, in order, and how many source changes that was.
    pub(crate) fn changed_since(&self, since: Offset) -> (Vec<Op>, u64) {
        let from = (since, Arc::from(""));
        let ops: Vec<Op> = self
            .by_rev
            .range(from..)
            .filter_map(|(_, key)| self.slots.get(key).map(|slot| slot.op(key, since)))
            .collect();
        let before = self.history.partition_point(|(applied, _)| *applied <= since);
        let before = before.checked_sub(1).and_then(|i| self.history.get(i));
        let folded = before.map_or(0, |(_, changes)| self.changes.saturating_sub(*changes));
        let n = folded.max(ops.len() as u64);
        (ops, n)
    }
}

impl Slot {
    fn row(&self, key: &Arc<str>) -> Row {
        let fields = self.fields.iter().map(|(value, _)| value.clone()).collect();
        Row { key: Arc::clone(key), rev: self.rev, fields }
    }

    fn op(&self, key: &Arc<str>, since: Offset) -> Op {
        if self.removed {
            return Op::Remove { key: Arc::clone(key), rev: self.rev };
        }
        if self.created >= since {
            return Op::Put(self.row(key));
        }
        let changed = self.fields.iter().enumerate().filter(|(_, (_, rev))| *rev >= since);
        let changes = changed.map(|(column, (value, _))| (column, value.clone())).collect();
        Op::Patch { key: Arc::clone(key), rev: self.rev, changes }
    }
}

#[cfg(test)]
mod tests;
