//! Window rules that share their panes: rows are added up once, however many rules read them.
//!
//! A family holds the rules of one stream whose rows pass the same conditions on values and whose
//! ids are among the same columns. Conditions on ids choose groups after the adding up, so rules
//! that differ in ids, key, window, aggregate and threshold cost a row nothing.
//!
//! Invariant: what a rule finds does not depend on the other rules of its family.

mod early;
mod saved;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use datafusion::error::Result;
use vong_alert::Inputs;
use vong_model::{EventTime, Offset, RuleId};

use super::cells::Wants;
use super::classes::{Classes, Wanted};
use super::codes::{Codes, NULL};
use super::family_rule::{FamilyRule, Find, Output};
use super::frame::{Expressions, Frame, without_nulls};
use super::keys::KeySpace;
use super::meter::Part;
use super::panes::{Levels, Pane};
use super::rule::{RuleCore, RuleMeta, Sink, Step};
use super::spans::{Span, Times, spans_of};
use super::stream::words;
use super::tuples::Tuples;
use crate::plan::{Conjunct, Form, Named, SharedAggregate, WindowPlan, columns_of};

use early::Early;
pub(super) use early::deciding;
pub(super) use saved::SavedFamily;

/// What is added up: an argument and a filter that some aggregates have in common.
#[derive(Debug)]
struct Slot {
    argument: Option<usize>,
    masks: Vec<usize>,
    is_read: bool,
}

/// All windows of one width and slide.
#[derive(Debug)]
struct WindowClass {
    width_us: i64,
    slide_us: i64,
    level: usize,
    /// Start of the first window that is not closed.
    closed_to: Option<i64>,
    rules: Vec<FamilyRule>,
}

/// Rules over the same rows and columns.
#[derive(Debug)]
pub(super) struct Family {
    /// Conditions on values, as text and as expressions.
    pub(super) scope: String,
    conditions: Vec<Named>,
    tuples: Tuples,
    classes: Classes,
    slots: Vec<Slot>,
    wants: Vec<Wants>,
    expressions: Expressions,
    outputs: Vec<Output>,
    output_of: HashMap<(usize, Option<usize>, crate::plan::Function), usize>,
    levels: Levels,
    windows: Vec<WindowClass>,
    needed: BTreeSet<usize>,
    groups: Vec<u32>,
    /// Rules that one row decides; `None` after a change of rules.
    early: Option<Early>,
    pub(super) part: Part,
}

/// What a rule is made of, for [`Family::add`].
pub(super) struct NewRule<'a> {
    pub(super) meta: Arc<RuleMeta>,
    pub(super) scope: &'a [Conjunct],
    pub(super) keys: &'a [usize],
    pub(super) space: usize,
    pub(super) window: &'a WindowPlan,
    pub(super) aggregates: &'a [SharedAggregate],
}

/// Conditions on values: those of a scope that do not name ids.
pub(super) fn conditions(scope: &[Conjunct]) -> (String, Vec<Named>) {
    let others = scope.iter().filter(|c| !matches!(c.form, Form::OneOf { .. }));
    let named = |c: &Conjunct| Named { text: c.text.clone(), expr: Arc::clone(&c.expr) };
    let named: Vec<Named> = others.map(named).collect();
    let texts: Vec<&str> = named.iter().map(|c| c.text.as_str()).collect();
    (texts.join(" AND "), named)
}

/// Columns whose ids a rule tells apart.
pub(super) fn columns(
    scope: &[Conjunct],
    keys: &[usize],
    aggregates: &[SharedAggregate],
) -> BTreeSet<usize> {
    let of_scope = scope.iter().filter_map(|c| match &c.form {
        Form::OneOf { column, .. } => Some(*column),
        Form::Threshold { .. } | Form::Other => None,
    });
    let of_filters = aggregates.iter().flat_map(|a| a.one_of.iter().map(|(column, _)| *column));
    keys.iter().copied().chain(of_scope).chain(of_filters).collect()
}

impl Family {
    pub(super) fn new(scope: &[Conjunct], columns: &BTreeSet<usize>) -> Self {
        let (scope, conditions) = conditions(scope);
        Self {
            scope,
            conditions,
            tuples: Tuples::new(&columns.iter().copied().collect::<Vec<_>>()),
            classes: Classes::default(),
            slots: Vec::new(),
            wants: Vec::new(),
            expressions: Expressions::default(),
            outputs: Vec::new(),
            output_of: HashMap::new(),
            levels: Levels::default(),
            windows: Vec::new(),
            needed: BTreeSet::new(),
            groups: Vec::new(),
            early: None,
            part: Part::default(),
        }
    }

    /// Whether a rule with these conditions on values and these columns can be of this family.
    pub(super) fn fits(&self, scope: &str, columns: &BTreeSet<usize>) -> bool {
        self.scope == scope && columns.iter().all(|c| self.tuples.columns().contains(c))
    }

    /// Rules of the family.
    pub(super) fn len(&self) -> usize {
        self.windows.iter().map(|window| window.rules.len()).sum()
    }

    /// Memory that its rules share, estimated.
    pub(super) fn bytes(&self) -> usize {
        self.levels.bytes() + self.tuples.bytes() + self.classes.bytes()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.windows.iter().all(|window| window.rules.is_empty())
    }

    /// `seen_to`: latest event time of the stream so far; the rule speaks from the first window
    /// that begins after it, because that is the first it will have seen whole.
    pub(super) fn add(
        &mut self,
        rule: NewRule<'_>,
        seen_to: Option<EventTime>,
        spaces: &mut [KeySpace],
        codes: &mut Codes,
    ) {
        let NewRule { meta, scope, keys, space, window, aggregates } = rule;
        let ids = scope.iter().filter_map(|c| match &c.form {
            Form::OneOf { column, texts } => Some((*column, texts)),
            Form::Threshold { .. } | Form::Other => None,
        });
        let ids: Vec<Wanted> = ids.map(|(c, texts)| self.wanted(c, texts, codes)).collect();
        let key: Vec<usize> = keys.iter().filter_map(|c| self.place_of(*c)).collect();
        let class = self.class(ids.clone(), (key.as_slice(), space), spaces, codes);
        let outputs: Vec<usize> = aggregates
            .iter()
            .map(|aggregate| {
                let filters = aggregate.one_of.iter().map(|(c, t)| self.wanted(*c, t, codes));
                let filters: Vec<Wanted> = filters.chain(ids.iter().cloned()).collect();
                let class = self.class(filters, (key.as_slice(), space), spaces, codes);
                let slot = self.slot(aggregate);
                self.output(class, slot, aggregate)
            })
            .collect();
        let named = aggregates.iter().flat_map(|a| a.argument.iter().chain(&a.masks));
        self.needed.extend(named.flat_map(|n| columns_of(&n.expr)));
        let number = self.window(window.width_us, window.slide_us, seen_to);
        let begins = |t: EventTime| {
            vong_sql::functions::window_start(t.micros(), window.slide_us)
                .saturating_add(window.slide_us)
        };
        let active_from = seen_to.map_or(i64::MIN, begins);
        let rule = FamilyRule::new(meta, window, (class, space), outputs, active_from);
        self.windows[number].rules.push(rule);
        self.early = None;
    }

    pub(super) fn remove(&mut self, rule_id: &RuleId) -> Option<(RuleCore, usize)> {
        let found = self.windows.iter_mut().find_map(|window| {
            let mut rules = window.rules.iter();
            let found = rules.position(|rule| rule.core.meta.rule_id() == rule_id)?;
            Some(window.rules.remove(found))
        })?;
        self.early = None;
        self.keep_what_is_read();
        Some((found.core, found.space))
    }

    /// What no rule reads any more is not added up and not looked up.
    fn keep_what_is_read(&mut self) {
        let rules = self.windows.iter().flat_map(|window| &window.rules);
        let (mut classes, mut slots) = (BTreeSet::new(), BTreeSet::new());
        for (outputs, class, _) in rules.map(FamilyRule::reads) {
            let read = outputs.iter().filter_map(|output| self.outputs.get(*output));
            classes.insert(class);
            classes.extend(read.clone().map(|output| output.class));
            slots.extend(read.filter_map(|output| output.slot));
        }
        self.output_of.retain(|(class, ..), _| classes.contains(class));
        self.classes.keep(&classes);
        for (number, slot) in self.slots.iter_mut().enumerate() {
            slot.is_read = slots.contains(&number);
        }
    }

    /// Every rule, with the key space it speaks of.
    pub(super) fn cores(&mut self) -> impl Iterator<Item = (&mut RuleCore, usize)> {
        let rules = self.windows.iter_mut().flat_map(|window| &mut window.rules);
        rules.map(|rule| (&mut rule.core, rule.space))
    }

    /// How a rule of this family is run; `None` when it is not here.
    pub(super) fn explain<'n>(
        &self,
        rule_id: &RuleId,
        name: &impl Fn(&usize) -> &'n str,
        spaces: &[KeySpace],
    ) -> Option<Vec<String>> {
        let is_it = |rule: &&FamilyRule| rule.core.meta.rule_id() == rule_id;
        let (window, rule) =
            self.windows.iter().find_map(|w| w.rules.iter().find(is_it).map(|rule| (w, rule)))?;
        let (outputs, class, tested) = rule.reads();
        let others = self.windows.iter().flat_map(|w| &w.rules).filter(|other| !is_it(other));
        let others: Vec<&FamilyRule> = others.collect();
        let is_shared = |output: &&usize| others.iter().any(|o| o.reads().0.contains(*output));
        let shared = outputs.iter().filter(is_shared).count();
        let apart: Vec<&str> = self.tuples.columns().iter().map(name).collect();
        let key: Vec<&str> = spaces.get(rule.space)?.columns().iter().map(name).collect();
        let class = self.classes.get(class);
        let groups: usize = class.groups.iter().map(Vec::len).sum();
        let (pane_us, panes) = self.levels.kept(window.level);
        let seconds = |us: i64| us as f64 / 1e6;
        Some(vec![
            format!(
                "rows: {}; added up once for {} rules, apart by {}",
                if self.scope.is_empty() { "every row" } else { &self.scope },
                others.len() + 1,
                words(&apart, "nothing")
            ),
            format!(
                "window: {} s every {} s, out of panes of {} s; {panes} panes kept",
                seconds(window.width_us),
                seconds(window.slide_us),
                seconds(pane_us)
            ),
            format!(
                "key: {}, {} seen, out of {groups} groups",
                words(&key, "none"),
                class.keys.len()
            ),
            format!("aggregates: {}, {shared} of them shared with other rules", outputs.len()),
            match rule.deciding() {
                Some(_) => "fires with the row that meets its condition, before its window ends",
                None => "fires when its window ends",
            }
            .to_owned(),
            format!(
                "marginal cost: nothing a row; at the close of a window {}",
                if tested {
                    "one look at the range of each aggregate, and at the keys when it is in reach"
                } else {
                    "its condition on every key"
                }
            ),
        ])
    }

    /// Adds the rows of one record that take part. What one row decides is raised at once.
    pub(super) fn push(
        &mut self,
        batch: &RecordBatch,
        (event_time, unit): (usize, Option<usize>),
        offset: Offset,
        (spaces, codes): (&mut [KeySpace], &mut Codes),
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let passed;
        let mut rows: Option<Vec<u32>> = None;
        let batch = if self.conditions.is_empty() {
            batch
        } else {
            let condition = self.condition(batch)?;
            let taken = condition.values().set_indices().filter_map(|row| u32::try_from(row).ok());
            rows = Some(taken.collect());
            passed = filter_record_batch(batch, &condition)?;
            &passed
        };
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.part.rows += batch.num_rows() as u64;
        let mut groups = std::mem::take(&mut self.groups);
        self.tuples.ids(codes, batch, &mut groups);
        self.classes.admit_new(&self.tuples, spaces, codes);
        let inputs = Inputs { from: offset, to: offset };
        let mut frame = Frame::new(batch, None, &self.needed, event_time, inputs)?;
        frame.units = unit.map(|unit| codes.column(batch, unit));
        self.expressions.forget();
        let pushed = self.push_frame(&frame, &groups, offset);
        let row_of = |row: usize| {
            let of_batch = rows.as_ref().and_then(|rows| rows.get(row)).copied();
            of_batch.unwrap_or_else(|| u32::try_from(row).unwrap_or(u32::MAX))
        };
        let told = self.push_early(&frame, &groups, row_of, (spaces, codes), steps);
        self.groups = groups;
        pushed.and(told)
    }

    /// Closes every window that ends at or before the watermark.
    pub(super) fn advance(
        &mut self,
        watermark: EventTime,
        cause: Offset,
        spaces: &[KeySpace],
        codes: &Codes,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        self.levels.absorb(watermark, &self.wants);
        self.look_again();
        let mut windows = std::mem::take(&mut self.windows);
        let mut done = Ok(());
        for window in &mut windows {
            let closed = self.advance_window(window, watermark, cause, (spaces, codes), steps);
            done = done.and(closed);
        }
        self.windows = windows;
        let needed = |level: usize| {
            let readers = self.windows.iter().filter(|w| w.level == level);
            readers.filter_map(|w| w.closed_to).min()
        };
        self.levels.forget(watermark, needed);
        done
    }

    fn advance_window(
        &self,
        window: &mut WindowClass,
        watermark: EventTime,
        cause: Offset,
        (spaces, codes): (&[KeySpace], &Codes),
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let target = window.first_open(watermark.micros());
        let first = self.levels.next_pane(window.level, i64::MIN);
        let mut next = match (window.closed_to, first) {
            (Some(closed_to), _) => closed_to,
            // A row far ahead must not close the windows of those that follow it.
            (None, Some(pane)) => window.first_open(pane).min(target),
            (None, None) => target,
        };
        let mut done = Ok(());
        while next < target {
            let pane = self.levels.next_pane(window.level, next);
            let busy = pane.map_or(target, |pane| window.first_open(pane)).clamp(next, target);
            if busy > next && window.rules.iter().all(|rule| rule.core.open_count() == 0) {
                // Nothing to close until then: only shelves can end in between.
                for rule in &mut window.rules {
                    let mut out = Sink { steps, space: &spaces[rule.space], codes };
                    rule.core.advance(EventTime(busy), &mut out);
                }
                next = busy;
                continue;
            }
            let span = (next, next.saturating_add(window.width_us));
            let pane = self.levels.between(window.level, span, &self.wants);
            let mut find = Find {
                span,
                pane: pane.as_deref(),
                cause,
                classes: &self.classes,
                outputs: &self.outputs,
                columns: vec![None; self.outputs.len()],
            };
            for rule in &mut window.rules {
                let mut out = Sink { steps, space: &spaces[rule.space], codes };
                // A rule that fails on this window must not take the others with it.
                let closed = rule.close(&mut find, &mut out);
                done = done.and(closed);
            }
            next = next.saturating_add(window.slide_us);
        }
        window.closed_to = Some(next);
        window.rules.iter_mut().for_each(|rule| rule.forget_before(next));
        done
    }

    fn push_frame(&mut self, frame: &Frame, groups: &[u32], offset: Offset) -> Result<()> {
        let total = self.tuples.len();
        let Some(times) = Times::of(&frame.times) else { return Ok(()) };
        let fed: Vec<(usize, i64, i64)> = self.levels.fed().collect();
        for (level, width_us, end) in fed {
            if times.first >= end {
                continue;
            }
            for (start, span) in spans_of(&frame.times, times, width_us) {
                if start >= end {
                    continue;
                }
                let taken: Vec<u32>;
                let of_rows = match &span {
                    Span::All => groups,
                    Span::Slice(from, len) => groups.get(*from..*from + *len).unwrap_or_default(),
                    Span::Rows(rows) => {
                        let group = |row: &u32| groups.get(*row as usize).copied();
                        taken = rows.values().iter().filter_map(group).collect();
                        &taken
                    }
                };
                let Some(pane) = self.levels.pane(level, start, &self.wants) else { continue };
                let unit =
                    |row: usize| frame.units.as_ref().map_or(NULL, |u| u.code(span.row(row)));
                pane.touch(of_rows, total, offset, unit);
                Self::add_slots(pane, &self.slots, &mut self.expressions, (frame, &span), of_rows)?;
            }
        }
        Ok(())
    }

    fn add_slots(
        pane: &mut Pane,
        slots: &[Slot],
        expressions: &mut Expressions,
        (frame, span): (&Frame, &Span),
        groups: &[u32],
    ) -> Result<()> {
        let slots = slots.iter().zip(pane.slots_mut());
        for (slot, cells) in slots.filter(|(slot, _)| slot.is_read) {
            let argument = match slot.argument {
                Some(number) => Some(span.cut(expressions.get(number, frame)?)?),
                None => None,
            };
            let mut mask: Option<BooleanArray> = None;
            for number in &slot.masks {
                let answer: ArrayRef = Arc::new(expressions.mask(*number, frame)?);
                let answer = without_nulls(&span.cut(&answer)?);
                mask = Some(match mask {
                    None => answer,
                    Some(so_far) => BooleanArray::new(so_far.values() & answer.values(), None),
                });
            }
            cells.add(groups, argument.as_ref(), mask.as_ref());
        }
        Ok(())
    }

    fn condition(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut all: Option<BooleanArray> = None;
        for condition in &self.conditions {
            let answer = condition.expr.evaluate(batch)?.into_array(batch.num_rows())?;
            let answer = without_nulls(&answer);
            all = Some(match all {
                None => answer,
                Some(so_far) => BooleanArray::new(so_far.values() & answer.values(), None),
            });
        }
        Ok(all.unwrap_or_else(|| BooleanArray::from(vec![true; batch.num_rows()])))
    }

    fn place_of(&self, column: usize) -> Option<usize> {
        self.tuples.columns().iter().position(|c| *c == column)
    }

    fn wanted(&self, column: usize, texts: &BTreeSet<String>, codes: &mut Codes) -> Wanted {
        let wanted = texts.iter().map(|text| codes.interner.code(text)).collect();
        (self.place_of(column).unwrap_or_default(), wanted)
    }

    fn class(
        &mut self,
        wanted: Vec<Wanted>,
        (key, space): (&[usize], usize),
        spaces: &mut [KeySpace],
        codes: &Codes,
    ) -> usize {
        self.classes.add(wanted, (key.to_vec(), space), &self.tuples, (spaces, codes))
    }

    /// `None`: the rows of the group themselves are counted.
    fn slot(&mut self, aggregate: &SharedAggregate) -> Option<usize> {
        let argument = aggregate.argument.as_ref().map(|a| self.expressions.add(a));
        let mut masks: Vec<usize> =
            aggregate.masks.iter().map(|mask| self.expressions.add(mask)).collect();
        masks.sort_unstable();
        if argument.is_none() && masks.is_empty() {
            return None;
        }
        let known = self.slots.iter().position(|s| s.argument == argument && s.masks == masks);
        let number = known.unwrap_or_else(|| {
            self.slots.push(Slot { argument, masks, is_read: true });
            self.wants.push(Wants::default());
            self.slots.len() - 1
        });
        self.slots[number].is_read = true;
        self.wants[number].count |= aggregate.nullable || !aggregate.masks.is_empty();
        self.wants[number].add(aggregate.function);
        Some(number)
    }

    fn output(&mut self, class: usize, slot: Option<usize>, of: &SharedAggregate) -> usize {
        let function = of.function;
        *self.output_of.entry((class, slot, function)).or_insert_with(|| {
            self.outputs.push(Output { class, slot, function });
            self.outputs.len() - 1
        })
    }

    fn window(&mut self, width_us: i64, slide_us: i64, seen_to: Option<EventTime>) -> usize {
        let same = |w: &WindowClass| w.width_us == width_us && w.slide_us == slide_us;
        if let Some(known) = self.windows.iter().position(same) {
            return known;
        }
        let level = self.levels.level(slide_us, seen_to);
        let rules = Vec::new();
        self.windows.push(WindowClass { width_us, slide_us, level, closed_to: None, rules });
        self.windows.len() - 1
    }
}

impl WindowClass {
    /// Start of the first window that holds `instant_us` or comes after it.
    fn first_open(&self, instant_us: i64) -> i64 {
        let before = instant_us.saturating_sub(self.width_us);
        vong_sql::functions::window_start(before, self.slide_us).saturating_add(self.slide_us)
    }
}
