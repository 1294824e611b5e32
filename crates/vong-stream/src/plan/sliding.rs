//! Rules that look at each row together with those before it: `avg(value) OVER (PARTITION BY …
//! ORDER BY event_time RANGE|ROWS BETWEEN … PRECEDING AND CURRENT ROW)`.
//!
//! Shape of the typed plan: any projections, filters and aliases over one window node, over the
//! conditions on rows, over the stream. What stands above the window node is folded into one
//! condition and one list of outputs over its columns.

use std::collections::HashMap;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchemaRef, ScalarValue};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, LogicalPlan, Window, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use vong_sql::Error;
use vong_sql::rule::Select;

use super::shape::interval_us;
use super::{Frame, SlidingFunction, refuse};

/// Longest time a frame looks back: what is looked back on is kept in memory for each key.
const MAX_BACK_US: i64 = 86_400_000_000;
/// Most rows a frame looks back.
const MAX_BACK_ROWS: u64 = 100_000;

/// What stands above the window node, in terms of the window node's columns.
pub(super) struct Folded<'a> {
    pub(super) outputs: Vec<Expr>,
    pub(super) conditions: Vec<Expr>,
    pub(super) window: &'a Window,
}

/// Folds the plan down to its window node; `None` when it has none.
pub(super) fn fold<'a>(
    plan: &'a LogicalPlan,
    select: &Select,
) -> Result<Option<Folded<'a>>, Error> {
    let mut above = Vec::new();
    let mut node = plan;
    let window = loop {
        match node {
            LogicalPlan::Window(window) => break window,
            LogicalPlan::Projection(projection) => {
                above.push(node);
                node = &projection.input;
            }
            LogicalPlan::Filter(filter) => {
                above.push(node);
                node = &filter.input;
            }
            LogicalPlan::SubqueryAlias(alias) => {
                above.push(node);
                node = &alias.input;
            }
            _ => return Ok(None),
        }
    };
    let mut columns: Vec<Expr> = window.schema.columns().into_iter().map(Expr::Column).collect();
    let mut schema: &DFSchemaRef = &window.schema;
    let mut conditions = Vec::new();
    for node in above.into_iter().rev() {
        match node {
            LogicalPlan::Filter(filter) => {
                conditions.push(rewritten(&filter.predicate, schema, &columns, select)?);
            }
            LogicalPlan::Projection(projection) => {
                let below = projection.expr.iter().map(|e| e.clone().unalias());
                let new = below.map(|e| rewritten(&e, schema, &columns, select));
                columns = new.collect::<Result<_, _>>()?;
                schema = &projection.schema;
            }
            // An alias renames the table, not its columns.
            LogicalPlan::SubqueryAlias(alias) => schema = &alias.schema,
            _ => {}
        }
    }
    Ok(Some(Folded { outputs: columns, conditions, window }))
}

/// `expr` over `schema`, whose columns are `columns`, said in terms of what those stand for.
fn rewritten(
    expr: &Expr,
    schema: &DFSchemaRef,
    columns: &[Expr],
    select: &Select,
) -> Result<Expr, Error> {
    let known: HashMap<Column, &Expr> = schema.columns().into_iter().zip(columns).collect();
    let done = expr.clone().transform(|part| {
        let found = match &part {
            Expr::Column(column) => known.get(column).map(|stands_for| (*stands_for).clone()),
            _ => None,
        };
        Ok(match found {
            Some(found) => Transformed::yes(found),
            None => Transformed::no(part),
        })
    });
    done.map(|done| done.data).map_err(|e| select.refuse(e.strip_backtrace(), "select"))
}

/// One `OVER` expression.
pub(super) struct Call<'a> {
    pub(super) function: SlidingFunction,
    pub(super) argument: Option<&'a Expr>,
    pub(super) partition_by: &'a [Expr],
    pub(super) frame: Frame,
}

/// Reads one expression of the window node.
pub(super) fn call<'a>(expr: &'a Expr, select: &Select) -> Result<Call<'a>, Error> {
    let function = match expr {
        Expr::Alias(alias) => return call(&alias.expr, select),
        Expr::WindowFunction(function) => function.as_ref(),
        _ => return Err(refuse::unsupported(select, "this in OVER", "over")),
    };
    let WindowFunction { fun, params } = function;
    if params.filter.is_some() || params.distinct || params.null_treatment.is_some() {
        return Err(refuse::unsupported(select, "FILTER, DISTINCT or NULLS before OVER", "over"));
    }
    let by_time = |expr: &Expr| matches!(expr, Expr::Column(c) if c.name() == "event_time");
    let ordered = match params.order_by.as_slice() {
        [sort] => sort.asc && by_time(&sort.expr),
        _ => false,
    };
    if !ordered {
        return Err(select.refuse("a frame is ordered by event_time, ascending", "over"));
    }
    let name = fun.name();
    let function = match (fun, name) {
        (WindowFunctionDefinition::AggregateUDF(_), "count") => SlidingFunction::Count,
        (WindowFunctionDefinition::AggregateUDF(_), "sum") => SlidingFunction::Sum,
        (WindowFunctionDefinition::AggregateUDF(_), "avg") => SlidingFunction::Avg,
        (WindowFunctionDefinition::AggregateUDF(_), "min") => SlidingFunction::Min,
        (WindowFunctionDefinition::AggregateUDF(_), "max") => SlidingFunction::Max,
        (WindowFunctionDefinition::AggregateUDF(_), "stddev" | "stddev_samp") => {
            SlidingFunction::Stddev
        }
        (_, "first_value") => SlidingFunction::First,
        _ => {
            let message = format!(
                "{name}() OVER is not for rules; count, sum, avg, min, max, stddev and first_value \
                 are"
            );
            return Err(select.refuse(message, name));
        }
    };
    let argument = match params.args.as_slice() {
        [Expr::Literal(value, _)] if !value.is_null() => None,
        [argument] => Some(argument),
        _ => return Err(select.refuse(format!("{name}() OVER takes one argument"), name)),
    };
    if argument.is_none() && function != SlidingFunction::Count {
        return Err(select.refuse(format!("{name}() OVER needs a column"), name));
    }
    let frame = frame(params, select)?;
    Ok(Call { function, argument, partition_by: &params.partition_by, frame })
}

fn frame(
    params: &datafusion::logical_expr::expr::WindowFunctionParams,
    select: &Select,
) -> Result<Frame, Error> {
    let frame = &params.window_frame;
    let WindowFrameBound::CurrentRow = frame.end_bound else {
        return Err(select.refuse("a frame ends at CURRENT ROW", "over"));
    };
    let unbounded = || {
        let message = format!(
            "a frame looks back a bounded way: RANGE BETWEEN INTERVAL '5 minutes' PRECEDING AND \
             CURRENT ROW (a day at most), or ROWS BETWEEN 10 PRECEDING AND CURRENT ROW \
             ({MAX_BACK_ROWS} at most)"
        );
        select.refuse(message, "over")
    };
    match (frame.units, &frame.start_bound) {
        (WindowFrameUnits::Rows, WindowFrameBound::CurrentRow) => Ok(Frame::Rows(0)),
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))))
            if *rows <= MAX_BACK_ROWS =>
        {
            Ok(Frame::Rows(usize::try_from(*rows).unwrap_or(usize::MAX)))
        }
        (WindowFrameUnits::Range, WindowFrameBound::Preceding(back)) => {
            let back = interval_us(&Expr::Literal(back.clone(), None));
            let back = back.filter(|back| (0..=MAX_BACK_US).contains(back));
            back.map(Frame::Range).ok_or_else(unbounded)
        }
        _ => Err(unbounded()),
    }
}
