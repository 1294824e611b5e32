//! All rules of one stream, sharing what they have in common.

mod saved;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::error::Result;
use vong_alert::{Act, Inputs};
use vong_model::{AlertId, EventTime, Offset, RuleId, Stream, Table};

use super::codes::Codes;
use super::enrich::Enrichment;
use super::family::{Family, NewRule, columns, conditions};
use super::frame::Frame;
use super::index::{Index, Rows, Scope};
use super::keys::KeySpace;
use super::meter::{self, Meter, Stopwatch};
use super::part::{Part, by_arrival, saw_units};
use super::row_view::RowView;
use super::rule::{RuleCore, RuleMeta, Sink, Step};
use super::selection::Selection;
use super::session::SessionRule;
use super::silence::SilenceRule;
use super::spans::Times;
use super::window::WindowGroup;
use super::{Pushed, RuleStatus};
use crate::plan::{Kind, RulePlan, SharedAggregate, WindowPlan};

pub(super) use saved::SavedStream;

/// Rows of a batch for one selection.
struct Selected {
    number: usize,
    rows: Rows,
    part: Part,
}

/// The operator of one stream.
#[derive(Debug)]
pub(super) struct StreamOperator {
    stream: Stream,
    event_time: usize,
    quality: Option<usize>,
    unit: Option<usize>,
    pub(super) watermark: Option<EventTime>,
    /// Latest event time of any row that took part.
    pub(super) seen_to: Option<EventTime>,
    codes: Codes,
    enrichment: Enrichment,
    index: Index,
    spaces: Vec<KeySpace>,
    selections: Vec<Option<Selection>>,
    selection_of: HashMap<(String, usize), usize>,
    families: Vec<Family>,
    keys: Vec<u32>,
    groups: Vec<usize>,
    meter: Meter,
    /// What all rules of the stream share.
    part: meter::Part,
}

impl StreamOperator {
    pub(super) fn new(stream: Stream) -> Self {
        let find = |name| stream.columns().iter().position(|c| c.name == name);
        Self {
            stream,
            event_time: stream.column_index("event_time"),
            quality: find("quality"),
            unit: find("unit_code"),
            watermark: None,
            seen_to: None,
            codes: Codes::new(stream.columns().len()),
            enrichment: Enrichment::new(stream),
            index: Index::default(),
            spaces: Vec::new(),
            selections: Vec::new(),
            selection_of: HashMap::new(),
            families: Vec::new(),
            keys: Vec::new(),
            groups: Vec::new(),
            meter: Meter::default(),
            part: meter::Part::default(),
        }
    }

    pub(super) fn measure(&mut self, stopwatch: Stopwatch) {
        self.meter.set(stopwatch);
    }

    pub(super) fn add(&mut self, meta: Arc<RuleMeta>, plan: &RulePlan) -> Result<()> {
        let mut plan = plan.clone();
        self.enrichment.add(meta.rule_id(), &mut plan)?;
        self.codes.widen(self.enrichment.width());
        self.add_numbered(meta, &plan)
    }

    /// The plan reads columns of enriched batches.
    fn add_numbered(&mut self, meta: Arc<RuleMeta>, plan: &RulePlan) -> Result<()> {
        let space = self.space(&plan.keys);
        if let Kind::Window(WindowPlan { shared: Some(aggregates), .. }) = &plan.kind {
            self.add_to_family(meta, plan, space, aggregates);
            return Ok(());
        }
        let scope = self.index.scope(self.stream, &plan.scope, &mut self.codes);
        let number = self.selection(scope, space);
        let seen_to = self.seen_to.max(self.watermark);
        let Some(selection) = self.selections.get_mut(number).and_then(Option::as_mut) else {
            return Ok(());
        };
        let rule_id = meta.rule_id().clone();
        match &plan.kind {
            Kind::Stateless { condition, value } => {
                selection.lane.add(meta, condition, value.as_ref());
            }
            Kind::Absence { limit } => selection.silences.push(SilenceRule::new(meta, *limit)),
            Kind::Window(window) => {
                let found = selection.windows.iter().position(|g| g.is_of(window));
                let place = found.unwrap_or_else(|| {
                    selection.windows.push(WindowGroup::new(window.width_us, window.slide_us));
                    selection.windows.len() - 1
                });
                if let Some(group) = selection.windows.get_mut(place) {
                    group.add(meta, window, &mut selection.expressions, seen_to);
                }
            }
            Kind::Sliding(plan) => selection.sliding.add(meta, plan, selection.sealer.pushed),
            // Asked by the operator of all streams.
            Kind::Periodic(_) => return Ok(()),
            Kind::Rows(view) => selection.views.push(RowView::new(meta, view)),
            Kind::Session(plan) => {
                selection.sessions.push(SessionRule::new(meta, plan, selection.sealer.pushed));
            }
        }
        let always = [self.event_time].into_iter().chain(self.unit);
        selection.read(&rule_id, plan.columns().into_iter().chain(always).collect());
        Ok(())
    }

    fn add_to_family(
        &mut self,
        meta: Arc<RuleMeta>,
        plan: &RulePlan,
        space: usize,
        aggregates: &[SharedAggregate],
    ) {
        let Kind::Window(window) = &plan.kind else { return };
        let (conditions, _) = conditions(&plan.scope);
        let columns = columns(&plan.scope, &plan.keys, aggregates);
        let known = self.families.iter().position(|f| f.fits(&conditions, &columns));
        let number = known.unwrap_or_else(|| {
            // Most rules name sensor and metric, so that one more column makes one family of all.
            let usual = ["sensor_id", "camera_id", "metric"].into_iter();
            let usual =
                usual.filter_map(|name| self.stream.columns().iter().position(|c| c.name == name));
            let columns = columns.iter().copied().chain(usual).collect();
            self.families.push(Family::new(&plan.scope, &columns));
            self.families.len() - 1
        });
        let seen_to = self.seen_to.max(self.watermark);
        let rule =
            NewRule { meta, scope: &plan.scope, keys: &plan.keys, space, window, aggregates };
        self.families[number].add(rule, seen_to, &mut self.spaces, &mut self.codes);
    }

    /// Takes the rule out; its open alerts are cancelled at `at`. False when it is not here.
    pub(super) fn remove(
        &mut self,
        rule_id: &RuleId,
        at: EventTime,
        why: &'static str,
        steps: &mut Vec<Step>,
    ) -> bool {
        self.enrichment.remove(rule_id);
        for place in 0..self.selections.len() {
            let Some(selection) = self.selections[place].as_mut() else { continue };
            let Some(mut core) = selection.remove(rule_id) else { continue };
            let Some(space) = self.spaces.get(selection.space) else { continue };
            core.cancel_all(at, why, &mut Sink { steps, space, codes: &self.codes });
            if selection.is_empty() {
                self.index.remove(place, &selection.scope);
                self.selection_of.remove(&(selection.scope.text.clone(), selection.space));
                self.selections[place] = None;
            }
            return true;
        }
        for family in &mut self.families {
            let Some((mut core, space)) = family.remove(rule_id) else { continue };
            let space = &self.spaces[space];
            core.cancel_all(at, why, &mut Sink { steps, space, codes: &self.codes });
            self.families.retain(|family| !family.is_empty());
            return true;
        }
        false
    }

    /// Runs the rows of one record. Steps are in row order, then by rule.
    pub(super) fn push(
        &mut self,
        batch: &RecordBatch,
        offset: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<Pushed> {
        let (mut pushed, kept) = self.keep(batch)?;
        let first = steps.len();
        let failed = match kept {
            None => self.push_rows(batch, Part::ALL, offset, steps),
            // What we timed ourselves was only appended late: a fact like "connected" must not be
            // lost to the rules that look at one row. Windows are closed and stay so.
            Some(kept) if self.quality.is_none() => {
                pushed.late.clear();
                let lane = self.push_rows(batch, Part::LANE, offset, steps);
                let others = self.push_some(batch, &kept, Part::ALL_BUT_LANE, offset, steps);
                lane.and(others)
            }
            Some(kept) if pushed.ahead.is_empty() => {
                self.push_some(batch, &kept, Part::ALL, offset, steps)
            }
            Some(kept) => {
                let heard = by_arrival(batch, &pushed.ahead, self.event_time)?;
                let mut rows: Vec<u32> = kept.iter().chain(&pushed.ahead).copied().collect();
                rows.sort_unstable();
                let silences = self.push_some(&heard, &rows, Part::SILENCES, offset, steps);
                let others = self.push_some(batch, &kept, Part::ALL_BUT_SILENCES, offset, steps);
                silences.and(others)
            }
        };
        if let Some(new) = steps.get_mut(first..) {
            new.sort_by(|a, b| {
                a.row.cmp(&b.row).then_with(|| a.rule.rule_id().cmp(b.rule.rule_id()))
            });
        }
        failed.map(|()| pushed)
    }

    /// Event time has reached `watermark`; steps are in order of their time, rule and key.
    pub(super) fn advance(
        &mut self,
        watermark: EventTime,
        offset: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        if self.watermark.is_some_and(|known| known >= watermark) {
            return Ok(());
        }
        self.watermark = Some(watermark);
        let first = steps.len();
        let mut laps = self.meter.always();
        // A rule that fails at this instant must not take the others with it.
        let mut done = Ok(());
        for selection in self.selections.iter_mut().flatten() {
            let Some(space) = self.spaces.get(selection.space) else { continue };
            let mut out = Sink { steps, space, codes: &self.codes };
            let advanced = selection.advance(watermark, offset, &mut out);
            done = done.and(advanced);
            selection.part.add(laps.lap(), selection.len());
        }
        for family in &mut self.families {
            let advanced = family.advance(watermark, offset, &self.spaces, &self.codes, steps);
            done = done.and(advanced);
            family.part.add(laps.lap(), family.len());
        }
        if let Some(new) = steps.get_mut(first..) {
            new.sort_by(|a, b| a.order().cmp(&b.order()));
        }
        done
    }

    /// False when no rule of this stream knows the alert.
    pub(super) fn command(
        &mut self,
        alert: &AlertId,
        act: &Act,
        by: (&str, Option<&str>),
        at: EventTime,
        steps: &mut Vec<Step>,
    ) -> bool {
        for selection in self.selections.iter_mut().flatten() {
            let Some(space) = self.spaces.get(selection.space) else { continue };
            let mut out = Sink { steps, space, codes: &self.codes };
            for core in selection.cores() {
                if core.command(alert, act, by, at, &mut out) {
                    return true;
                }
            }
        }
        for (core, space) in self.families.iter_mut().flat_map(Family::cores) {
            let mut out = Sink { steps, space: &self.spaces[space], codes: &self.codes };
            if core.command(alert, act, by, at, &mut out) {
                return true;
            }
        }
        false
    }

    /// Runs `act` on the part of a rule that does not depend on its kind.
    pub(super) fn with_core(
        &mut self,
        rule_id: &RuleId,
        act: impl FnOnce(&mut RuleCore, &KeySpace, &Codes),
    ) {
        let Self { selections, families, spaces, codes, .. } = self;
        let of_selections = selections.iter_mut().flatten().flat_map(|selection| {
            let space = selection.space;
            selection.cores().map(move |core| (core, space))
        });
        let of_families = families.iter_mut().flat_map(Family::cores);
        let mut cores = of_selections.chain(of_families);
        let found = cores.find(|(core, _)| core.meta.rule_id() == rule_id);
        if let Some((core, space)) = found
            && let Some(space) = spaces.get(space)
        {
            act(core, space, codes);
        }
    }

    pub(super) fn explain(&self, rule_id: &RuleId) -> Option<Vec<String>> {
        let mut lines = self.explain_kind(rule_id)?;
        lines.extend(self.enrichment.explain(rule_id));
        Some(lines)
    }

    fn explain_kind(&self, rule_id: &RuleId) -> Option<Vec<String>> {
        let name = |column: &usize| self.column_name(*column);
        for selection in self.selections.iter().flatten() {
            if let Some(mut lines) = selection.explain(rule_id) {
                let space = self.spaces.get(selection.space)?;
                let key: Vec<&str> = space.columns().iter().map(name).collect();
                lines.push(format!("key: {}, {} seen", words(&key, "none"), space.len()));
                return Some(lines);
            }
        }
        self.families.iter().find_map(|family| family.explain(rule_id, &name, &self.spaces))
    }

    /// Rows and time are parts of what is shared; memory is too, with what is the rule's own.
    pub(super) fn status(&mut self, out: &mut Vec<RuleStatus>) {
        let of_stream = self.part;
        for selection in self.selections.iter_mut().flatten() {
            let (part, bytes) = (selection.part.and(of_stream), selection.bytes());
            let each = bytes / selection.len().max(1);
            out.extend(selection.cores().map(|core| status(core, part, each)));
        }
        for family in &mut self.families {
            let (part, bytes) = (family.part.and(of_stream), family.bytes());
            let each = bytes / family.len().max(1);
            out.extend(family.cores().map(|(core, _)| status(core, part, each)));
        }
    }

    /// A rule comes into force, see [`RuleCore::begin`].
    pub(super) fn begin(&mut self, rule_id: &RuleId, kept_back: BTreeMap<String, RuleId>) {
        let of_stream = self.part;
        let of_selections = self.selections.iter_mut().flatten().flat_map(|selection| {
            let part = selection.part;
            selection.cores().map(move |core| (core, part))
        });
        let of_families = self.families.iter_mut().flat_map(|family| {
            let part = family.part;
            family.cores().map(move |(core, _)| (core, part))
        });
        let mut cores = of_selections.chain(of_families);
        if let Some((core, part)) = cores.find(|(core, _)| core.meta.rule_id() == rule_id) {
            core.begin(kept_back, part.and(of_stream));
        }
    }

    /// Sorts out rows that take no part: late ones are named, rows of clocks that run ahead not.
    fn keep(&mut self, batch: &RecordBatch) -> Result<(Pushed, Option<Vec<u32>>)> {
        let times = batch.column(self.event_time).as_primitive::<TimestampMicrosecondType>();
        let times = times.values();
        let watermark = self.watermark.unwrap_or(EventTime::MIN);
        let Some(Times { first: min, last: max, .. }) = Times::of(times) else {
            return Ok((Pushed::default(), None));
        };
        let ahead = self.quality.map(|column| {
            let code = self.codes.interner.code("clock_ahead");
            (self.codes.column(batch, column), code)
        });
        let any_ahead = ahead.as_ref().is_some_and(|(c, code)| c.dictionary().contains(code));
        if EventTime(min) >= watermark && !any_ahead {
            self.seen_to = self.seen_to.max(Some(EventTime(max)));
            return Ok((Pushed { rows: times.len(), ..Pushed::default() }, None));
        }
        let mut pushed = Pushed::default();
        let mut kept = Vec::with_capacity(times.len());
        for (row, time) in (0_u32..).zip(times) {
            let of_good_clock =
                ahead.as_ref().is_none_or(|(column, code)| column.code(row as usize) != *code);
            if !of_good_clock {
                pushed.ahead.push(row);
            } else if EventTime(*time) < watermark {
                pushed.late.push(row);
            } else {
                self.seen_to = self.seen_to.max(Some(EventTime(*time)));
                kept.push(row);
            }
        }
        pushed.rows = kept.len();
        if kept.len() == times.len() {
            return Ok((pushed, None));
        }
        Ok((pushed, Some(kept)))
    }

    /// As [`Self::push_rows`] with some rows of a batch; steps name rows of the whole batch.
    fn push_some(
        &mut self,
        batch: &RecordBatch,
        rows: &[u32],
        part: Part,
        offset: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let first = steps.len();
        let taken = arrow::compute::take_record_batch(batch, &UInt32Array::from(rows.to_vec()))?;
        let pushed = self.push_rows(&taken, part, offset, steps);
        for step in steps.iter_mut().skip(first) {
            step.row = rows.get(step.row as usize).copied().unwrap_or(step.row);
        }
        pushed
    }

    fn push_rows(
        &mut self,
        batch: &RecordBatch,
        part: Part,
        offset: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut laps = self.meter.sampled();
        let batch = &self.enrichment.run(batch, &mut self.codes)?;
        let selections = &self.selections;
        let scope = |number: usize| {
            let selection = selections.get(number).and_then(Option::as_ref)?;
            part.concerns(selection).then_some(&selection.scope)
        };
        let selected = self.index.select(batch, &mut self.codes, scope)?;
        self.shared(laps.lap());
        // A rule that fails on these rows must not take the others with it.
        let mut failed = Ok(());
        if part.windows {
            for family in &mut self.families {
                let columns = (self.event_time, self.unit);
                let known = (&mut self.spaces[..], &mut self.codes);
                let pushed = family.push(batch, columns, offset, known, steps);
                failed = failed.and(pushed);
                family.part.add(laps.lap(), family.len());
            }
        }
        for (number, rows) in selected {
            let rows = Selected { number, rows, part };
            if let Err(e) = self.push_selection(batch, rows, offset, steps) {
                failed = Err(e);
            }
            if let Some(selection) = self.selections.get_mut(number).and_then(Option::as_mut) {
                selection.part.add(laps.lap(), selection.len());
            }
        }
        failed
    }

    /// Adds time to what all rules of the stream share.
    fn shared(&mut self, busy_ns: u64) {
        if busy_ns > 0 {
            let families: usize = self.families.iter().map(Family::len).sum();
            let others: usize = self.selections.iter().flatten().map(Selection::len).sum();
            self.part.add(busy_ns, families + others);
        }
    }

    fn push_selection(
        &mut self,
        batch: &RecordBatch,
        selected: Selected,
        offset: Offset,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let Selected { number, rows, part } = selected;
        let Some(selection) = self.selections.get_mut(number).and_then(Option::as_mut) else {
            return Ok(());
        };
        let Some(space) = self.spaces.get_mut(selection.space) else { return Ok(()) };
        if part.counts(selection) {
            selection.part.rows += rows.as_ref().map_or_else(|| batch.num_rows(), Vec::len) as u64;
        }
        let only_lane =
            selection.silences.is_empty() && selection.views.is_empty() && !selection.has_windows();
        if only_lane && selection.lane.is_out_of_reach(batch, &rows) {
            return Ok(());
        }
        let inputs = Inputs { from: offset, to: offset };
        let mut frame = Frame::new(batch, rows, &selection.needed, self.event_time, inputs)?;
        space.ids(&mut self.codes, &frame.batch, &mut self.keys);
        let unit = self.unit.filter(|unit| !space.columns().contains(unit));
        frame.units = unit.map(|unit| self.codes.column(&frame.batch, unit));
        if !only_lane {
            saw_units(&frame, &self.keys, space);
        }
        let mut out = Sink { steps, space, codes: &self.codes };
        if part.silences {
            for silence in &mut selection.silences {
                silence.push(&frame, &self.keys, &mut out);
            }
        }
        let mut of_rows = Ok(());
        if part.lane {
            of_rows = selection.lane.push(&frame, &self.keys, &mut out);
            for view in &mut selection.views {
                let pushed = view.push(&frame, &mut out);
                of_rows = of_rows.and(pushed);
            }
        }
        if part.windows && selection.has_windows() {
            selection.push_windows(&frame, &self.keys, &mut self.groups)?;
        }
        of_rows
    }

    fn space(&mut self, columns: &[usize]) -> usize {
        let known = self.spaces.iter().position(|space| space.columns() == columns);
        known.unwrap_or_else(|| {
            let names = columns.iter().map(|column| Arc::from(self.column_name(*column)));
            self.spaces.push(KeySpace::new(columns, names.collect(), &self.codes.interner));
            self.spaces.len() - 1
        })
    }

    /// From the next record on the table is this one; `None`: there is none.
    pub(super) fn set_table(&mut self, name: &str, table: Option<&Arc<Table>>) {
        self.enrichment.set_table(name, table);
    }

    fn column_name(&self, column: usize) -> &str {
        let of_stream = self.stream.columns().get(column).map(|c| c.name);
        of_stream.or_else(|| self.enrichment.name(column)).unwrap_or_default()
    }

    fn selection(&mut self, scope: Scope, space: usize) -> usize {
        let place = (scope.text.clone(), space);
        if let Some(known) = self.selection_of.get(&place) {
            return *known;
        }
        let free = self.selections.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.selections.push(None);
            self.selections.len() - 1
        });
        self.selection_of.insert(place, number);
        self.place_selection(number, scope, space);
        number
    }

    fn place_selection(&mut self, number: usize, scope: Scope, space: usize) {
        self.index.insert(number, &scope);
        if let Some(place) = self.selections.get_mut(number) {
            *place = Some(Selection::new(scope, space));
        }
    }
}

/// Names in a row, or what to say when there is none.
pub(super) fn words(names: &[&str], none: &str) -> String {
    if names.is_empty() { none.to_owned() } else { names.join(", ") }
}

/// What every kind of rule can say of itself. `part`: of those it shares work with; `shared`: its
/// part of their memory, bytes.
pub(super) fn status(core: &mut RuleCore, part: meter::Part, shared: usize) -> RuleStatus {
    let own = part.since(core.joined_at);
    RuleStatus {
        rule: Arc::clone(&core.meta),
        enabled: true,
        by: String::new(),
        kind: "",
        open: core.open_count(),
        transitions: core.transitions,
        last_fired: core.last_fired,
        rows: own.rows,
        matches: core.matches,
        busy_us: own.busy_ns / 1_000,
        memory_bytes: (core.bytes() + shared) as u64,
    }
}
