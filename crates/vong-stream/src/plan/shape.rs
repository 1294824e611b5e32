//! Takes a typed plan apart: `Projection? → HAVING? → Aggregate? → WHERE? → table`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::prelude::SessionContext;
use vong_model::ColumnRole;
use vong_sql::Error;
use vong_sql::functions::MAX_OVERLAP;
use vong_sql::rule::{RuleDefinition, Select};

use super::conjunct::Roles;
use super::plain::plain;
use super::relation::{Relation, Tables, is_key};
use super::renumber::{Numbers, expression};
use super::view::Selected;
use super::{
    AggregatePlan, Conjunct, Form, Function, GroupColumn, Kind, Named, RulePlan, SessionPlan,
    SharedAggregate, SlidingCall, SlidingFunction, SlidingPlan, ViewPlan, WindowPlan, columns_of,
    refuse, shared, sliding,
};

/// Narrowest window: a pane costs a close, whatever is in it.
const MIN_WIDTH_US: i64 = 1_000_000;

/// Longest session, and the default: without a bound a restart could not know where to begin.
const LONGEST_SESSION_US: i64 = 86_400_000_000;

/// What `GROUP BY` says of windows.
#[derive(Clone, Copy, Debug)]
enum WindowCall {
    Fixed { width_us: i64, slide_us: i64 },
    Session { gap_us: i64, longest_us: i64 },
}

/// The parts of a supported plan, outermost first.
struct Parts<'a> {
    output: &'a [Expr],
    having: Option<&'a Expr>,
    aggregate: Option<&'a Aggregate>,
    /// What rows must meet, `WHERE` and `ON` together.
    filter: Vec<Expr>,
    relation: Relation,
}

struct Lowering<'a> {
    state: SessionState,
    rule: &'a RuleDefinition,
    select: &'a Select,
    plan: &'a LogicalPlan,
    relation: &'a Relation,
    schema: DFSchemaRef,
}

pub(super) fn take_apart(
    session: &SessionContext,
    tables: &Tables,
    rule: &RuleDefinition,
    plan: &LogicalPlan,
) -> Result<RulePlan, Error> {
    let select = &rule.select;
    refuse::nodes(plan, select)?;
    let folded = sliding::fold(plan, select)?;
    let parts = match &folded {
        Some(folded) => parts(&folded.window.input, tables, select)?,
        None => parts(plan, tables, select)?,
    };
    let lowering = Lowering {
        state: session.state(),
        rule,
        select,
        plan,
        relation: &parts.relation,
        schema: Arc::clone(&parts.relation.schema),
    };
    let mut planned = match &folded {
        Some(folded) => sliding_rule(rule, &lowering, &parts, folded)?,
        None => lowering.rule(rule, &parts)?,
    };
    let kept = planned.keep_needed(&parts.relation);
    kept.map_err(|e| select.refuse(e.strip_backtrace(), "select"))?;
    refuse::clauses(rule, &planned)?;
    Ok(planned)
}

/// A rule with `OVER`.
fn sliding_rule(
    rule: &RuleDefinition,
    lowering: &Lowering<'_>,
    parts: &Parts<'_>,
    folded: &sliding::Folded<'_>,
) -> Result<RulePlan, Error> {
    let select = &rule.select;
    if rule.no_data_for.is_some() {
        return Err(select.refuse("NO DATA FOR and OVER do not go together", "over"));
    }
    if parts.aggregate.is_some() {
        return Err(refuse::unsupported(select, "OVER of a GROUP BY", "over"));
    }
    let all = folded.outputs.iter().chain(&folded.conditions).chain(&folded.window.window_expr);
    for expr in all.chain(&parts.filter) {
        refuse::expression(expr, select)?;
    }
    lowering.sliding(parts, folded)
}

fn parts<'a>(plan: &'a LogicalPlan, tables: &Tables, select: &Select) -> Result<Parts<'a>, Error> {
    let (mut output, mut having, mut aggregate): (&[Expr], _, _) = (&[], None, None);
    let mut node = plan;
    if let LogicalPlan::Projection(projection) = node {
        output = &projection.expr;
        node = &projection.input;
    }
    if let LogicalPlan::Filter(filter) = node
        && matches!(*filter.input, LogicalPlan::Aggregate(_))
    {
        having = Some(&filter.predicate);
        node = &filter.input;
    }
    if let LogicalPlan::Aggregate(found) = node {
        aggregate = Some(found);
        node = &found.input;
    }
    let mut filter = Vec::new();
    if let LogicalPlan::Filter(found) = node {
        filter.extend(split_conjunction(&found.predicate).into_iter().cloned());
        node = &found.input;
    }
    let relation = Relation::of(node, tables, select)?;
    filter.extend(relation.conditions.iter().cloned());
    filter.extend(relation.matched());
    Ok(Parts { output, having, aggregate, filter, relation })
}

impl Lowering<'_> {
    /// A rule without `OVER`.
    fn rule(&self, rule: &RuleDefinition, parts: &Parts<'_>) -> Result<RulePlan, Error> {
        let select = self.select;
        let all = parts.output.iter().chain(parts.having).chain(&parts.filter);
        let aggregated =
            parts.aggregate.iter().flat_map(|a| a.aggr_expr.iter().chain(&a.group_expr));
        for expr in all.chain(aggregated) {
            refuse::expression(expr, select)?;
        }
        match (parts.aggregate, rule.no_data_for) {
            (None, None) if rule.is_view() => self.rows(parts),
            (None, None) => self.stateless(parts),
            (None, Some(limit)) => {
                let scope = self.scope(parts)?;
                let keys = self.row_keys(parts.output);
                Ok(self.plan(scope, keys, Kind::Absence { limit }))
            }
            (Some(aggregate), None) => self.window(parts, aggregate),
            (Some(_), Some(_)) => Err(select.refuse(
                "NO DATA FOR watches for rows, not for groups: write SELECT sensor_id FROM … WHERE …",
                "group",
            )),
        }
    }

    fn plan(&self, scope: Vec<Conjunct>, keys: Vec<usize>, kind: Kind) -> RulePlan {
        RulePlan { scope, keys, ..RulePlan::of(self.relation.stream, kind) }
    }

    fn scope(&self, parts: &Parts<'_>) -> Result<Vec<Conjunct>, Error> {
        Ok(self.conjuncts(&parts.filter)?.into_iter().map(|(conjunct, _)| conjunct).collect())
    }

    fn stateless(&self, parts: &Parts<'_>) -> Result<RulePlan, Error> {
        let (mut scope, mut condition) = (Vec::new(), Vec::new());
        let mut can_end = false;
        for (conjunct, roles) in self.conjuncts(&parts.filter)? {
            can_end |= !roles.is_scope();
            // A table changes: what it says of a row must be able to end an alert. Ids choose rows
            // by the index all the same; a change of those makes the rule begin anew.
            let is_indexed = matches!(conjunct.form, Form::OneOf { .. });
            let is_scope = roles.is_scope() && (is_indexed || !roles.table);
            if is_scope { scope.push(conjunct) } else { condition.push(conjunct) }
        }
        if !can_end {
            let message = "nothing here can turn false again, so the alert would never end: add \
                           a condition on what was found (value, state), or NO DATA FOR";
            return Err(self.select.refuse(message, "where"));
        }
        let value = self.numeric(parts.output, &self.schema)?.map(|(_, named)| named);
        let keys = self.row_keys(parts.output);
        Ok(self.plan(scope, keys, Kind::Stateless { condition, value }))
    }

    /// A view of single rows.
    fn rows(&self, parts: &Parts<'_>) -> Result<RulePlan, Error> {
        let scope = self.scope(parts)?;
        let is_column = |expr: &&Expr| matches!(expr, Expr::Column(_));
        let copied = parts.output.iter().filter(is_column).count();
        if scope.is_empty() && copied >= self.relation.stream.columns().len() {
            let message = format!(
                "the view would be a copy of {}: select fewer columns, or add WHERE",
                self.relation.stream.name()
            );
            return Err(self.select.refuse(message, "select"));
        }
        let view = self.view(parts.output, &self.schema, true)?;
        let view = view.ok_or_else(|| self.plan_error("not a view"))?;
        Ok(self.plan(scope, Vec::new(), Kind::Rows(view)))
    }

    /// What a view keeps; `None` for an alert rule.
    fn view(
        &self,
        outputs: &[Expr],
        schema: &DFSchema,
        of_rows: bool,
    ) -> Result<Option<ViewPlan>, Error> {
        let selected = Selected { plan: self.plan, outputs, schema, of_rows };
        ViewPlan::of(self.rule, &selected, |expr| self.physical(expr, schema))
    }

    fn window(&self, parts: &Parts<'_>, aggregate: &Aggregate) -> Result<RulePlan, Error> {
        let scope = self.scope(parts)?;
        let (mut keys, mut groups, mut window) = (Vec::new(), Vec::new(), None);
        for group in &aggregate.group_expr {
            if let Some(found) = self.window_of(group)? {
                if window.replace(found).is_some() {
                    return Err(self.select.refuse("two windows in one GROUP BY", "group"));
                }
                groups.push(GroupColumn::WindowStart);
            } else {
                groups.push(GroupColumn::Key(keys.len()));
                keys.push(self.key_column(group)?);
            }
        }
        let Some(window) = window else {
            let message = "an aggregate needs a window: add tumble(event_time, INTERVAL '1 \
                           minute') to GROUP BY, or hop";
            return Err(self.select.refuse(message, "group"));
        };
        let output = &aggregate.schema;
        let having = parts.having.map(|h| self.physical(h, output)).transpose()?;
        let number = self.numeric(parts.output, output)?;
        let by_id = matches!(window, WindowCall::Fixed { .. });
        let shared = self.shared(&aggregate.aggr_expr, by_id)?;
        let schema = Arc::new(output.as_arrow().clone());
        let view = self.view(parts.output, output, false)?;
        let (width_us, slide_us) = match window {
            WindowCall::Fixed { width_us, slide_us } => (width_us, slide_us),
            WindowCall::Session { gap_us, longest_us } => {
                let aggregates = shared.ok_or_else(|| {
                    let message = "a session keeps count, sum, avg, min and max of floats only";
                    self.select.refuse(message, "session")
                })?;
                let value = number.map(|(_, named)| named.expr);
                let plan = SessionPlan {
                    gap_us,
                    longest_us,
                    aggregates,
                    schema,
                    groups,
                    having,
                    value,
                    view,
                };
                return Ok(self.plan(scope, keys, Kind::Session(plan)));
            }
        };
        let aggregates = aggregate.aggr_expr.iter().map(|expr| self.aggregate(expr));
        let aggregates = aggregates.collect::<Result<Vec<_>, _>>()?;
        let aggregate_of = |expr: &Expr| match expr {
            Expr::Column(column) => {
                let place = output.index_of_column(column).ok()?;
                place.checked_sub(groups.len())
            }
            _ => None,
        };
        let plan = WindowPlan {
            width_us,
            slide_us,
            shared,
            tests: shared::tests(parts.having, &aggregate_of),
            value_of: number.as_ref().and_then(|(expr, _)| aggregate_of(expr)),
            value: number.map(|(_, named)| named.expr),
            schema,
            aggregates,
            groups,
            having,
            view,
        };
        Ok(self.plan(scope, keys, Kind::Window(plan)))
    }

    fn sliding(&self, parts: &Parts<'_>, folded: &sliding::Folded<'_>) -> Result<RulePlan, Error> {
        let scope = self.scope(parts)?;
        let (mut keys, mut calls): (Option<Vec<usize>>, _) = (None, Vec::new());
        for expr in &folded.window.window_expr {
            let call = sliding::call(expr, self.select)?;
            let by = call.partition_by.iter().map(|expr| self.key_column(expr));
            let by = by.collect::<Result<Vec<_>, _>>()?;
            if keys.get_or_insert_with(|| by.clone()) != &by {
                let message = "all frames of a rule have the same PARTITION BY: it is the key";
                return Err(self.select.refuse(message, "partition"));
            }
            let argument = match call.argument {
                None => None,
                Some(of) => {
                    let is_float = of.get_type(&self.schema).is_ok_and(|t| shared::is_kept(&t));
                    if !is_float && call.function != SlidingFunction::Count {
                        let message = "a frame is over a float: write CAST(… AS DOUBLE)";
                        return Err(self.select.refuse(message, "over"));
                    }
                    Some(shared::named(&self.physical(of, &self.schema)?))
                }
            };
            calls.push(SlidingCall { function: call.function, argument, frame: call.frame });
        }
        let output = &folded.window.schema;
        let condition = folded.conditions.iter().cloned().reduce(Expr::and);
        // A view keeps every row when it says nothing else.
        let condition = condition.or_else(|| self.rule.is_view().then(|| lit(true)));
        let Some(condition) = condition else {
            let message = "nothing here can turn false again: add QUALIFY with a condition";
            return Err(self.select.refuse(message, "over"));
        };
        let condition = self.physical(&condition, output)?;
        let value = self.numeric(&folded.outputs, output)?.map(|(_, named)| named.expr);
        let view = self.view(&folded.outputs, output, true)?;
        let plan = self.narrowed(calls, output, (&condition, value.as_ref()), view)?;
        Ok(self.plan(scope, keys.unwrap_or_default(), Kind::Sliding(plan)))
    }

    /// Condition and value over the columns they read and the calls, and no others.
    fn narrowed(
        &self,
        calls: Vec<SlidingCall>,
        output: &DFSchema,
        (condition, value): (&Arc<dyn PhysicalExpr>, Option<&Arc<dyn PhysicalExpr>>),
        mut view: Option<ViewPlan>,
    ) -> Result<SlidingPlan, Error> {
        let width = output.fields().len() - calls.len();
        let shown = view.iter().flat_map(|view| &view.outputs);
        let read = [condition].into_iter().chain(value).chain(shown).flat_map(columns_of);
        let inputs: BTreeSet<usize> = read.filter(|place| *place < width).collect();
        let inputs: Vec<usize> = inputs.into_iter().collect();
        let kept = inputs.iter().copied().chain(width..output.fields().len());
        let numbers: Numbers = kept.clone().zip(0..).collect();
        let fault = |e: DataFusionError| self.plan_error(&e.strip_backtrace());
        let schema = output.as_arrow().project(&kept.collect::<Vec<_>>());
        let schema = schema.map_err(|e| fault(e.into()))?;
        let over = |read: &Arc<dyn PhysicalExpr>| expression(read, &numbers).map_err(fault);
        for output in view.iter_mut().flat_map(|view| &mut view.outputs) {
            *output = over(output)?;
        }
        // What comes from a table can be null, whatever the table says today.
        let nullable =
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        Ok(SlidingPlan {
            calls,
            inputs,
            schema: Arc::new(Schema::new(nullable.collect::<Vec<_>>())),
            condition: over(condition)?,
            value: value.map(over).transpose()?,
            view,
        })
    }

    fn aggregate(&self, expr: &Expr) -> Result<AggregatePlan, Error> {
        let text = expr.clone().unalias().to_string();
        let said = plain(expr.clone(), &self.schema, &self.state);
        let said = said.map_err(|e| self.plan_error(&e.strip_backtrace()))?;
        let lowered = LoweredAggregateBuilder::new(
            &said,
            &self.schema,
            self.schema.as_arrow(),
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )
        .build()
        .map_err(|e| self.plan_error(&e.strip_backtrace()))?;
        let function = lowered.aggregate;
        if !function.order_bys().is_empty() {
            return Err(refuse::unsupported(self.select, "ORDER BY in an aggregate", "order"));
        }
        let arguments = function.expressions().iter().map(shared::named).collect();
        let filter = lowered.filter.as_ref().map(shared::named);
        Ok(AggregatePlan { text, function, arguments, filter })
    }

    /// The aggregates as shared panes compute them; `None` when one of them is beyond panes.
    /// `by_id`: filters on ids are told apart, because panes keep groups by id.
    fn shared(
        &self,
        aggregates: &[Expr],
        by_id: bool,
    ) -> Result<Option<Vec<SharedAggregate>>, Error> {
        let mut out = Vec::with_capacity(aggregates.len());
        for expr in aggregates {
            let plain = expr.clone().unalias();
            let Expr::AggregateFunction(call) = &plain else { return Ok(None) };
            let Some((function, argument)) = shared::function_of(call) else { return Ok(None) };
            let argument = match (function, argument) {
                (Function::Count, Expr::Literal(value, _)) if !value.is_null() => None,
                (Function::Count, of) => Some(self.physical(of, &self.schema)?),
                (_, of) if of.get_type(&self.schema).is_ok_and(|t| shared::is_kept(&t)) => {
                    Some(self.physical(of, &self.schema)?)
                }
                _ => return Ok(None),
            };
            let (mut one_of, mut masks) = (Vec::new(), Vec::new());
            for part in call.params.filter.as_deref().map(split_conjunction).unwrap_or_default() {
                match Form::of(part, self.relation) {
                    Form::OneOf { column, texts } if by_id => one_of.push((column, texts)),
                    _ => {
                        masks.push(shared::named(&self.physical(part, &self.schema)?));
                    }
                }
            }
            let nullable = argument
                .as_ref()
                .is_some_and(|argument| argument.nullable(self.schema.as_arrow()).unwrap_or(true));
            let argument = argument.as_ref().map(shared::named);
            out.push(SharedAggregate { function, argument, nullable, one_of, masks });
        }
        Ok(Some(out))
    }

    /// The window, when the expression is a call of `tumble`, `hop` or `session`.
    fn window_of(&self, expr: &Expr) -> Result<Option<WindowCall>, Error> {
        let call = match expr {
            Expr::Alias(alias) => return self.window_of(&alias.expr),
            Expr::ScalarFunction(call)
                if matches!(call.func.name(), "tumble" | "hop" | "session") =>
            {
                call
            }
            _ => return Ok(None),
        };
        let name = call.func.name();
        let by_event_time = matches!(
            call.args.first(),
            Some(Expr::Column(column)) if column.name() == "event_time"
        );
        if !by_event_time {
            return Err(self.select.refuse("windows are cut by event_time", name));
        }
        let length = |place: usize| {
            let us = call.args.get(place).and_then(interval_us).filter(|us| *us >= MIN_WIDTH_US);
            us.ok_or_else(|| {
                let message = "the width of a window is a constant of at least 1 second, without \
                               months, as in INTERVAL '1 minute'";
                self.select.refuse(message, name)
            })
        };
        if name == "tumble" {
            let width_us = length(1)?;
            return Ok(Some(WindowCall::Fixed { width_us, slide_us: width_us }));
        }
        if name == "session" {
            let gap_us = length(1)?;
            let longest_us = if call.args.len() > 2 { length(2)? } else { LONGEST_SESSION_US };
            if gap_us > longest_us || longest_us > LONGEST_SESSION_US {
                let message = "session(event_time, gap, longest): the gap is not longer than the \
                               longest session, and that is a day at most";
                return Err(self.select.refuse(message, name));
            }
            return Ok(Some(WindowCall::Session { gap_us, longest_us }));
        }
        let (slide_us, width_us) = (length(1)?, length(2)?);
        if width_us < slide_us || width_us % slide_us != 0 || width_us / slide_us > MAX_OVERLAP {
            let message = format!(
                "hop(event_time, slide, width): the width is a multiple of the slide, at most \
                 {MAX_OVERLAP} times, as in hop(event_time, INTERVAL '1 minute', INTERVAL '1 hour')"
            );
            return Err(self.select.refuse(message, name));
        }
        Ok(Some(WindowCall::Fixed { width_us, slide_us }))
    }

    fn key_column(&self, expr: &Expr) -> Result<usize, Error> {
        let plain = expr.clone().unalias();
        let found = match &plain {
            Expr::Column(column) => self.relation.key(column),
            _ => None,
        };
        found.ok_or_else(|| {
            let ids = self.relation.stream.columns().iter().filter(|c| is_key(c));
            let ids = ids.map(|c| c.name).collect::<Vec<_>>().join(", ");
            let message = format!("a rule groups by {ids} and tumble(…), not by {plain}");
            self.select.refuse(message, "group")
        })
    }

    /// The key of a rule that does not group: the stream's entity, unless other ids are selected
    /// and the entity is not; then the first of those.
    fn row_keys(&self, output: &[Expr]) -> Vec<usize> {
        let selected = output.iter().filter_map(|expr| match expr.clone().unalias() {
            Expr::Column(column) => self.relation.key(&column),
            _ => None,
        });
        let selected: Vec<usize> = selected.collect();
        let stream = self.relation.stream;
        let entity = stream.entity().map(|name| stream.column_index(name));
        match entity {
            Some(entity) if selected.is_empty() || selected.contains(&entity) => vec![entity],
            _ => selected.first().copied().or(entity).into_iter().collect(),
        }
    }

    fn conjuncts(&self, filter: &[Expr]) -> Result<Vec<(Conjunct, Roles)>, Error> {
        let mut out = Vec::new();
        for expr in filter {
            let roles = Roles::of(expr, self.relation);
            if roles.provenance {
                let names = self.relation.stream.columns().iter();
                let named = names.filter(|c| c.role == ColumnRole::Provenance).map(|c| c.name);
                let word = named.into_iter().next().unwrap_or("where");
                let message = format!("'{word}' says where a row comes from; not for conditions");
                return Err(self.select.refuse(message, word));
            }
            let physical = self.physical(expr, &self.schema)?;
            let form = Form::of(expr, self.relation);
            out.push((Conjunct { text: physical.to_string(), expr: physical, form }, roles));
        }
        // One canonical order, so that the same scope written differently is the same scope.
        out.sort_by(|a, b| a.0.text.cmp(&b.0.text));
        out.dedup_by(|a, b| a.0.text == b.0.text);
        Ok(out)
    }

    /// The first output column that is a number.
    fn numeric(&self, output: &[Expr], schema: &DFSchema) -> Result<Option<(Expr, Named)>, Error> {
        for expr in output {
            let is_number = expr.get_type(schema).is_ok_and(|t| t.is_numeric());
            if is_number {
                let expr = expr.clone().unalias();
                let physical = self.physical(&expr, schema)?;
                return Ok(Some((expr, shared::named(&physical))));
            }
        }
        Ok(None)
    }

    fn physical(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, Error> {
        plain(expr.clone(), schema, &self.state)
            .and_then(|expr| self.state.create_physical_expr(expr, schema))
            .map_err(|e| self.plan_error(&e.strip_backtrace()))
    }

    fn plan_error(&self, message: &str) -> Error {
        self.select.refuse(message.to_owned(), "select")
    }
}

pub(super) fn interval_us(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Interval(_)) => {
            interval_us(&cast.expr)
        }
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(width)), _) if width.months == 0 => {
            let day_us = i64::from(width.days).checked_mul(86_400_000_000)?;
            day_us.checked_add(width.nanoseconds / 1_000)
        }
        _ => None,
    }
}
