//! Windows whose condition one row decides: their alert need not wait for the end of the window.
//!
//! `max(x) > c` holds from the first row with `x > c` on, whatever follows, so that row raises the
//! alert and the end of the window finds it open. Only tumbling windows, because the windows of a hop
//! overlap and a row would speak for several at once.
//!
//! A row costs one comparison with the least threshold of any rule that wants its group. While the
//! rules below a number have all been told, the threshold stands above it: a storm costs one look at
//! each rule for each key and movement of the watermark.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::Float64Type;
use datafusion::error::Result;
use vong_alert::Observation;
use vong_model::EventTime;

use super::{Codes, Expressions, Family, Frame, KeySpace, NULL, Sink, Slot, Step, WindowClass};
use crate::operator::classes::Classes;
use crate::operator::tuples::Tuples;
use crate::plan::{Bound, Function, Test, WindowPlan};

/// Which side of a threshold a number must be on, as the sign that turns it into "above".
type Sign = f64;

/// The aggregate and the bound that a single row can meet for its whole window.
pub(in crate::operator) fn deciding(plan: &WindowPlan) -> Option<(usize, Bound)> {
    let [(aggregate, Test::Bound(bound))] = plan.tests.as_deref()? else { return None };
    let is_rule = plan.view.is_none();
    let tumbles = plan.width_us == plan.slide_us;
    let is_value = plan.value.is_none() || plan.value_of == Some(*aggregate);
    let function = plan.shared.as_ref()?.get(*aggregate)?.function;
    let grows = match bound {
        Bound::Above { .. } => function == Function::Max,
        Bound::Below { .. } => function == Function::Min,
    };
    (is_rule && tumbles && is_value && grows).then_some((*aggregate, *bound))
}

/// A rule and its threshold, turned by the lane's sign.
#[derive(Clone, Copy, Debug)]
struct Place {
    than: f64,
    bound: Bound,
    window: usize,
    rule: usize,
}

/// What is known of one group.
#[derive(Clone, Debug)]
struct Group {
    /// Least threshold of any rule that wants it.
    least: f64,
    /// Least threshold of a rule that was not told yet, for rows between the two instants.
    left: f64,
    from: i64,
    to: i64,
    /// Classes that want it, and its key in each; `None`: not looked up yet.
    keys: Option<Box<[(usize, u32)]>>,
}

/// Rules that look at the same number.
#[derive(Debug)]
struct Lane {
    sign: Sign,
    argument: usize,
    masks: Vec<usize>,
    /// By class, the easiest to meet first.
    rules: BTreeMap<usize, Vec<Place>>,
    groups: Vec<Group>,
}

/// All such rules of a family.
#[derive(Debug)]
pub(super) struct Early {
    lanes: Vec<Lane>,
}

/// What a lane looks its groups up in.
struct Known<'a> {
    tuples: &'a Tuples,
    classes: &'a Classes,
    spaces: &'a mut [KeySpace],
    codes: &'a Codes,
}

impl Family {
    /// Raises what the rows decide. `row_of`: the row of the whole batch.
    pub(super) fn push_early(
        &mut self,
        frame: &Frame,
        groups: &[u32],
        row_of: impl Fn(usize) -> u32,
        (spaces, codes): (&mut [KeySpace], &Codes),
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        if self.early.is_none() {
            self.early = Some(self.find_early());
        }
        let Self { early, windows, tuples, classes, expressions, .. } = self;
        let mut known = Known { tuples, classes, spaces, codes };
        for lane in early.iter_mut().flat_map(|early| &mut early.lanes) {
            lane.grow(&known);
            let numbers = Numbers::of(lane, expressions, frame)?;
            for (row, group) in groups.iter().enumerate() {
                let number = numbers.values[row] * lane.sign;
                let time = frame.times[row];
                if lane.is_silent(*group, number, time) || !numbers.counts(row) {
                    continue;
                }
                let row = Row { frame, row, group: *group, time, number, of_batch: row_of(row) };
                lane.tell(&row, windows, &mut known, steps);
            }
        }
        Ok(())
    }

    /// What was told may be over, and other windows begin.
    pub(super) fn look_again(&mut self) {
        for lane in self.early.iter_mut().flat_map(|early| &mut early.lanes) {
            lane.groups.iter_mut().for_each(|group| (group.from, group.to) = (0, 0));
        }
    }

    fn find_early(&self) -> Early {
        let mut lanes: Vec<Lane> = Vec::new();
        for (window, of_window) in self.windows.iter().enumerate() {
            for (rule, of_rule) in of_window.rules.iter().enumerate() {
                let Some((aggregate, bound)) = of_rule.deciding() else { continue };
                let output = of_rule.reads().0.get(aggregate).and_then(|o| self.outputs.get(*o));
                let Some(output) = output else { continue };
                let Some(slot) = output.slot.and_then(|slot| self.slots.get(slot)) else {
                    continue;
                };
                let Slot { argument: Some(argument), masks, .. } = slot else { continue };
                let (sign, than) = match bound {
                    Bound::Above { than, .. } => (1.0, than),
                    Bound::Below { than, .. } => (-1.0, -than),
                };
                let same = |lane: &Lane| {
                    lane.sign == sign && lane.argument == *argument && lane.masks == *masks
                };
                let known = lanes.iter().position(same).unwrap_or_else(|| {
                    let (rules, groups) = (BTreeMap::new(), Vec::new());
                    let (argument, masks) = (*argument, masks.clone());
                    lanes.push(Lane { sign, argument, masks, rules, groups });
                    lanes.len() - 1
                });
                let place = Place { than, bound, window, rule };
                lanes[known].rules.entry(output.class).or_default().push(place);
            }
        }
        for rules in lanes.iter_mut().flat_map(|lane| lane.rules.values_mut()) {
            rules.sort_by(|a, b| a.than.total_cmp(&b.than));
        }
        Early { lanes }
    }
}

/// The numbers of a frame's rows, and which of them count.
struct Numbers {
    values: arrow::buffer::ScalarBuffer<f64>,
    nulls: Option<arrow::buffer::NullBuffer>,
    masks: Vec<BooleanArray>,
}

impl Numbers {
    fn of(lane: &Lane, expressions: &mut Expressions, frame: &Frame) -> Result<Self> {
        let argument: ArrayRef = std::sync::Arc::clone(expressions.get(lane.argument, frame)?);
        let masks = lane.masks.iter().map(|mask| expressions.mask(*mask, frame));
        let masks = masks.collect::<Result<_>>()?;
        let values = argument.as_primitive::<Float64Type>().values().clone();
        Ok(Self { values, nulls: argument.logical_nulls(), masks })
    }

    fn counts(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
            && self.masks.iter().all(|mask| mask.value(row))
    }
}

/// A row that may decide something; `number` is turned by the lane's sign.
struct Row<'a> {
    frame: &'a Frame,
    row: usize,
    group: u32,
    time: i64,
    number: f64,
    of_batch: u32,
}

impl Lane {
    /// Makes room for groups that are new.
    fn grow(&mut self, known: &Known<'_>) {
        for group in self.groups.len()..known.tuples.len() {
            let tuple = u32::try_from(group).map_or(&[][..], |group| known.tuples.tuple(group));
            let wanting =
                self.rules.iter().filter(|(class, _)| known.classes.get(**class).wants(tuple));
            let thresholds = wanting.filter_map(|(_, rules)| rules.first()).map(|rule| rule.than);
            let least = thresholds.min_by(f64::total_cmp).unwrap_or(f64::INFINITY);
            self.groups.push(Group { least, left: least, from: 0, to: 0, keys: None });
        }
    }

    /// Whether no rule needs to hear of the number; NaN decides nothing before its window ends.
    #[inline]
    fn is_silent(&self, group: u32, number: f64, time: i64) -> bool {
        let Some(group) = self.groups.get(group as usize) else { return true };
        if number.is_nan() || number < group.least {
            return true;
        }
        (group.from..group.to).contains(&time) && number < group.left
    }

    /// Tells every rule whose threshold the row passes and that does not know yet.
    fn tell(
        &mut self,
        row: &Row<'_>,
        windows: &mut [WindowClass],
        known: &mut Known<'_>,
        steps: &mut Vec<Step>,
    ) {
        let Self { rules, groups, sign, .. } = self;
        let Some(group) = groups.get_mut(row.group as usize) else { return };
        let keys = group.keys.take().unwrap_or_else(|| keys_of(row.group, rules, known));
        let (mut left, mut from, mut to) = (f64::INFINITY, i64::MIN, i64::MAX);
        for (class, key) in &keys {
            for place in rules.get(class).into_iter().flatten() {
                if row.number < place.than {
                    left = left.min(place.than);
                    break;
                }
                let Some(window) = windows.get_mut(place.window) else { continue };
                let start = vong_sql::functions::window_start(row.time, window.width_us);
                from = from.max(start);
                to = to.min(start.saturating_add(window.width_us));
                if !place.bound.holds(row.number * *sign)
                    || !told(row, (window, place), (*key, start), known, steps)
                {
                    left = left.min(place.than);
                }
            }
        }
        group.keys = Some(keys);
        (group.left, group.from, group.to) = (left, from, to);
    }
}

/// Classes that want a group, and its key in each.
fn keys_of(
    group: u32,
    rules: &BTreeMap<usize, Vec<Place>>,
    known: &mut Known<'_>,
) -> Box<[(usize, u32)]> {
    let Known { tuples, classes, spaces, codes } = known;
    let tuple = tuples.tuple(group);
    let wanting = rules.keys().filter(|class| classes.get(**class).wants(tuple));
    wanting.map(|class| (*class, classes.get(*class).key_of(tuple, spaces, codes))).collect()
}

/// Raises the alert of a key for the window that begins at `start`; false when the rule does not
/// speak of that window yet.
fn told(
    row: &Row<'_>,
    (window, place): (&mut WindowClass, &Place),
    (key, start): (u32, i64),
    known: &mut Known<'_>,
    steps: &mut Vec<Step>,
) -> bool {
    let Some(rule) = window.rules.get_mut(place.rule) else { return true };
    if start < rule.active_from {
        return false;
    }
    if rule.core.open.contains(key) || !rule.decided.insert((start, key)) {
        return true;
    }
    let space = &known.spaces[rule.space];
    let unit = row.frame.units.as_ref().map_or(NULL, |units| units.code(row.row));
    space.saw_unit(key, unit);
    let value = rule.has_value().then_some(row.number * if place.is_above() { 1.0 } else { -1.0 });
    let inputs = row.frame.inputs;
    let (since, at) = (EventTime(start), EventTime(row.time));
    let seen = Observation { condition: true, value, since, at, inputs };
    let mut out = Sink { steps, space, codes: known.codes };
    rule.core.observe(key, &seen, row.of_batch, &mut out);
    true
}

impl Place {
    fn is_above(&self) -> bool {
        matches!(self.bound, Bound::Above { .. })
    }
}
