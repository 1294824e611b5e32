//! Slices of event time that windows are put together from.
//!
//! A level is a row of panes of one width. Rows enter the levels whose width no narrower level
//! divides; the others absorb finished panes of a narrower one. So a row costs the same whether one
//! rule or ten thousand read it, and a day's window does not keep a day of narrow panes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use vong_alert::Inputs;
use vong_model::{EventTime, Offset};

use super::cells::{Cells, Wants};

/// The rows of one group.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Seen {
    /// 0: the group is not in this pane.
    rows: u64,
    /// Code of the administrative unit of the first one.
    unit: u32,
    /// First and last record that brought one.
    first: u64,
    last: u64,
}

/// What was seen in one slice of event time, group by group.
#[derive(Clone, Debug)]
pub(super) struct Pane {
    seen: Vec<Seen>,
    /// By slot; a pane that began before a slot was needed lacks it.
    slots: Vec<Cells>,
}

impl Pane {
    pub(super) fn new(slots: &[Wants]) -> Self {
        let slots = slots.iter().map(|wants| Cells::new(*wants)).collect();
        Self { seen: Vec::new(), slots }
    }

    /// Says which groups the rows of a record belong to, that there are so many in all, and in
    /// which unit a row stands.
    pub(super) fn touch(
        &mut self,
        groups: &[u32],
        total: usize,
        offset: Offset,
        unit: impl Fn(usize) -> u32,
    ) {
        self.resize(total);
        for (row, group) in groups.iter().enumerate() {
            let seen = &mut self.seen[*group as usize];
            if seen.rows == 0 {
                (seen.first, seen.unit) = (offset.0, unit(row));
            }
            seen.rows += 1;
            seen.last = offset.0;
        }
    }

    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Cells> {
        self.slots.iter_mut()
    }

    pub(super) fn slot(&self, number: usize) -> Option<&Cells> {
        self.slots.get(number)
    }

    /// Rows of these groups.
    pub(super) fn rows(&self, groups: &[u32]) -> u64 {
        groups.iter().filter_map(|g| self.seen.get(*g as usize)).map(|seen| seen.rows).sum()
    }

    /// Whether any row of these groups is in the pane.
    pub(super) fn has(&self, groups: &[u32]) -> bool {
        groups.iter().any(|g| self.seen.get(*g as usize).is_some_and(|seen| seen.rows > 0))
    }

    /// Records that brought rows of these groups, and the unit of the row that came first.
    pub(super) fn inputs(&self, groups: &[u32]) -> Option<(Inputs, u32)> {
        let mut found: Option<(Inputs, u32)> = None;
        for group in groups {
            let seen = self.seen.get(*group as usize).filter(|seen| seen.rows > 0);
            let Some(seen) = seen else { continue };
            let (from, to) = (Offset(seen.first), Offset(seen.last));
            found = Some(match found {
                None => (Inputs { from, to }, seen.unit),
                Some((known, unit)) => {
                    let unit = if from < known.from { seen.unit } else { unit };
                    (Inputs { from: known.from.min(from), to: known.to.max(to) }, unit)
                }
            });
        }
        found
    }

    fn bytes(&self) -> usize {
        let seen = self.seen.capacity() * size_of::<Seen>();
        seen + self.slots.iter().map(Cells::bytes).sum::<usize>()
    }

    fn resize(&mut self, groups: usize) {
        if self.seen.len() < groups {
            self.seen.resize(groups, Seen::default());
            self.slots.iter_mut().for_each(|slot| slot.resize(groups));
        }
    }

    fn merge(&mut self, other: &Self) {
        self.resize(other.seen.len());
        for (seen, more) in self.seen.iter_mut().zip(&other.seen).filter(|(_, more)| more.rows > 0)
        {
            if seen.rows == 0 || more.first < seen.first {
                (seen.first, seen.unit) = (more.first, more.unit);
            }
            seen.last = seen.last.max(more.last);
            seen.rows += more.rows;
        }
        for (slot, more) in self.slots.iter_mut().zip(&other.slots) {
            slot.merge(more);
        }
    }
}

/// Where a level has its panes from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Finer {
    level: usize,
    /// Panes that begin before this are fed by rows: the narrower level was not there yet.
    from: i64,
    /// Panes of the narrower level up to here are in.
    absorbed_to: i64,
}

#[derive(Debug)]
pub(super) struct Level {
    pub(super) width_us: i64,
    finer: Option<Finer>,
    panes: BTreeMap<i64, Pane>,
}

/// A pane written down; its cells in the order of the slots that were asked for.
#[derive(Debug, Serialize, Deserialize)]
struct SavedPane {
    start: i64,
    seen: Vec<Seen>,
    cells: Vec<Option<Cells>>,
}

/// A level written down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedLevel {
    width_us: i64,
    finer: Option<Finer>,
    panes: Vec<SavedPane>,
}

/// All levels over one set of groups and slots.
#[derive(Debug, Default)]
pub(super) struct Levels {
    levels: Vec<Level>,
}

fn start_of(instant_us: i64, width_us: i64) -> i64 {
    vong_sql::functions::window_start(instant_us, width_us)
}

impl Levels {
    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().flat_map(|level| level.panes.values()).map(Pane::bytes).sum()
    }

    /// The level of this width. `seen_to`: latest event time of any row so far.
    pub(super) fn level(&mut self, width_us: i64, seen_to: Option<EventTime>) -> usize {
        if let Some(known) = self.levels.iter().position(|l| l.width_us == width_us) {
            return known;
        }
        // The first pane that no row has entered yet.
        let fresh = |width_us: i64| match seen_to {
            None => i64::MIN,
            Some(seen_to) => start_of(seen_to.micros(), width_us).saturating_add(width_us),
        };
        let finer_than = |wide: i64, narrow: i64| wide > narrow && wide % narrow == 0;
        let candidates = self.levels.iter().enumerate();
        let candidates = candidates.filter(|(_, l)| finer_than(width_us, l.width_us));
        let widest = candidates.max_by_key(|(_, l)| l.width_us).map(|(number, _)| number);
        let from = fresh(width_us);
        let finer = widest.map(|level| Finer { level, from, absorbed_to: from });
        let number = self.levels.len();
        for level in &mut self.levels {
            if level.finer.is_none() && finer_than(level.width_us, width_us) {
                let from = fresh(level.width_us);
                level.finer = Some(Finer { level: number, from, absorbed_to: from });
            }
        }
        self.levels.push(Level { width_us, finer, panes: BTreeMap::new() });
        number
    }

    /// Everything, of the slots in `kept` alone.
    pub(super) fn save(&self, kept: &[usize]) -> Vec<SavedLevel> {
        let cells = |pane: &Pane| kept.iter().map(|slot| pane.slots.get(*slot).cloned()).collect();
        let pane = |(start, pane): (&i64, &Pane)| SavedPane {
            start: *start,
            seen: pane.seen.clone(),
            cells: cells(pane),
        };
        let level = |level: &Level| SavedLevel {
            width_us: level.width_us,
            finer: level.finer,
            panes: level.panes.iter().map(pane).collect(),
        };
        self.levels.iter().map(level).collect()
    }

    /// Levels read back. `place_of`: where each of the slots that was written down stands now.
    pub(super) fn load(
        saved: Vec<SavedLevel>,
        wants: &[Wants],
        place_of: &[Option<usize>],
    ) -> Self {
        let pane = |saved: SavedPane| {
            let SavedPane { start, seen, cells } = saved;
            let mut pane = Pane::new(wants);
            pane.slots.iter_mut().for_each(|slot| slot.resize(seen.len()));
            for (cells, place) in cells.into_iter().zip(place_of) {
                if let (Some(cells), Some(slot)) =
                    (cells, place.and_then(|p| pane.slots.get_mut(p)))
                {
                    *slot = cells;
                }
            }
            pane.seen = seen;
            (start, pane)
        };
        let level = |saved: SavedLevel| Level {
            width_us: saved.width_us,
            finer: saved.finer,
            panes: saved.panes.into_iter().map(pane).collect(),
        };
        Self { levels: saved.into_iter().map(level).collect() }
    }

    /// Levels that rows enter, and from which instant on they do not: number, width, end.
    pub(super) fn fed(&self) -> impl Iterator<Item = (usize, i64, i64)> {
        let fed = |level: &Level| level.finer.map_or(i64::MAX, |finer| finer.from);
        self.levels.iter().enumerate().map(move |(n, l)| (n, l.width_us, fed(l)))
    }

    /// Width of a level's panes and how many of them are kept.
    pub(super) fn kept(&self, level: usize) -> (i64, usize) {
        self.levels.get(level).map_or((0, 0), |level| (level.width_us, level.panes.len()))
    }

    /// The pane that begins at `start`.
    pub(super) fn pane(&mut self, level: usize, start: i64, slots: &[Wants]) -> Option<&mut Pane> {
        let panes = &mut self.levels.get_mut(level)?.panes;
        Some(match panes.entry(start) {
            Entry::Occupied(pane) => pane.into_mut(),
            Entry::Vacant(place) => place.insert(Pane::new(slots)),
        })
    }

    /// Start of the first pane of a level that is still kept, from `start` on.
    pub(super) fn next_pane(&self, level: usize, start: i64) -> Option<i64> {
        let panes = &self.levels.get(level)?.panes;
        panes.range(start..).next().map(|(start, _)| *start)
    }

    /// Everything between two borders of panes, as one pane; `None` when nothing was seen.
    pub(super) fn between(
        &self,
        level: usize,
        (start, end): (i64, i64),
        slots: &[Wants],
    ) -> Option<Cow<'_, Pane>> {
        let level = self.levels.get(level)?;
        if start.saturating_add(level.width_us) == end {
            return level.panes.get(&start).map(Cow::Borrowed);
        }
        let mut merged: Option<Pane> = None;
        for (_, pane) in level.panes.range(start..end) {
            merged.get_or_insert_with(|| Pane::new(slots)).merge(pane);
        }
        merged.map(Cow::Owned)
    }

    /// Panes that end at or before the watermark are finished: wider levels take them in.
    pub(super) fn absorb(&mut self, watermark: EventTime, slots: &[Wants]) {
        let mut order: Vec<usize> = (0..self.levels.len()).collect();
        order.sort_by_key(|number| self.levels[*number].width_us);
        for number in order {
            let Level { width_us, finer: Some(finer), .. } = self.levels[number] else { continue };
            let narrow = self.levels[finer.level].width_us;
            let done = start_of(watermark.micros(), narrow);
            if done <= finer.absorbed_to {
                continue;
            }
            let mut panes = std::mem::take(&mut self.levels[number].panes);
            let finished = self.levels[finer.level].panes.range(finer.absorbed_to..done);
            for (start, pane) in finished {
                let wide = panes.entry(start_of(*start, width_us));
                wide.or_insert_with(|| Pane::new(slots)).merge(pane);
            }
            self.levels[number].panes = panes;
            if let Some(finer) = self.levels[number].finer.as_mut() {
                finer.absorbed_to = done;
            }
        }
    }

    /// Forgets finished panes that no window needs: of a level, those before what `needed` says.
    pub(super) fn forget(&mut self, watermark: EventTime, needed: impl Fn(usize) -> Option<i64>) {
        for number in 0..self.levels.len() {
            let readers = self.levels.iter().filter_map(|l| l.finer);
            let absorbed = readers.filter(|f| f.level == number).map(|f| f.absorbed_to).min();
            let level = &mut self.levels[number];
            let done = start_of(watermark.micros(), level.width_us);
            let keep_from = needed(number).into_iter().chain(absorbed).fold(done, i64::min);
            level.panes = level.panes.split_off(&keep_from);
        }
    }
}
