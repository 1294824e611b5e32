//! What a rule must not contain, whatever its shape.

use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use vong_model::LatePolicy;
use vong_sql::Error;
use vong_sql::rule::{INHIBITED_ON, RuleDefinition, Select};

use super::RulePlan;

/// Aggregates whose answer depends on how rows are cut into batches, or that keep every row.
const BATCH_DEPENDENT: &str = "approx_";
const UNBOUNDED: [&str; 3] = ["array_agg", "string_agg", "grouping"];

/// Refuses plan nodes the operator does not run.
pub(super) fn nodes(plan: &LogicalPlan, select: &Select) -> Result<(), Error> {
    let mut found = None;
    // The closure cannot fail, so neither can the walk.
    drop(plan.apply(|node| {
        let what = match node {
            LogicalPlan::Union(_) => Some(("UNION", "union")),
            LogicalPlan::Distinct(_) => Some(("DISTINCT", "distinct")),
            LogicalPlan::Sort(_) => Some(("ORDER BY", "order")),
            LogicalPlan::Limit(_) => Some(("LIMIT", "limit")),
            LogicalPlan::Unnest(_) => Some(("UNNEST", "unnest")),
            LogicalPlan::Values(_) => Some(("VALUES", "values")),
            LogicalPlan::EmptyRelation(_) => Some(("a SELECT without FROM", "select")),
            LogicalPlan::RecursiveQuery(_) => Some(("WITH RECURSIVE", "with")),
            _ => None,
        };
        found = what;
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    }));
    match found {
        Some((what, word)) => Err(unsupported(select, what, word)),
        None => Ok(()),
    }
}

/// Refuses clauses that the query gives nothing to work on.
pub(super) fn clauses(rule: &RuleDefinition, plan: &RulePlan) -> Result<(), Error> {
    let columns = plan.stream.columns();
    if let Some(inhibition) = &rule.inhibited_by {
        let is_key = plan.keys.iter().any(|key| plan.column_name(*key) == inhibition.on);
        let is_unit = inhibition.on == INHIBITED_ON
            && columns.iter().any(|column| column.name == INHIBITED_ON);
        if !is_key && !is_unit {
            let message = format!(
                "INHIBITED BY … ON {} compares that column, but the rule's key has none: select it, \
                 or group by it",
                inhibition.on
            );
            return Err(rule.select.refuse(message, "select"));
        }
    }
    if rule.late == LatePolicy::Revise {
        return Err(unsupported(&rule.select, "LATE REVISE", "select"));
    }
    if !rule.ladder.is_empty() && !plan.has_value() {
        let message = "RAISE TO compares the first number the query selects, and it selects none";
        return Err(rule.select.refuse(message, "select"));
    }
    Ok(())
}

pub(super) fn unsupported(select: &Select, what: &str, word: &str) -> Error {
    select.refuse(format!("{what}: not supported in a rule yet"), word)
}

/// Refuses subqueries, and functions whose answer is not a function of the rows alone.
pub(super) fn expression(expr: &Expr, select: &Select) -> Result<(), Error> {
    let mut refused = ControlFlow::Continue(());
    // The closure cannot fail, so neither can the walk.
    drop(expr.apply(|e| {
        refused = one(e, select);
        Ok(if refused.is_break() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    }));
    match refused {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// Refuses functions that give another answer each time, wherever they stand in the expression.
pub(super) fn volatile(expr: &Expr, select: &Select) -> ControlFlow<Box<Error>> {
    let mut refused = ControlFlow::Continue(());
    // The closure cannot fail, so neither can the walk.
    drop(expr.apply(|e| {
        refused = one_volatile(e, select);
        Ok(if refused.is_break() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    }));
    refused
}

fn one_volatile(expr: &Expr, select: &Select) -> ControlFlow<Box<Error>> {
    let Expr::ScalarFunction(call) = expr else { return ControlFlow::Continue(()) };
    let name = call.func.name();
    if call.func.signature().volatility == Volatility::Immutable {
        return ControlFlow::Continue(());
    }
    let message = format!(
        "{name}() gives another answer each time: a rule must say the same of the same rows, live \
         and in a backtest; use event_time"
    );
    ControlFlow::Break(Box::new(select.refuse(message, name)))
}

fn one(expr: &Expr, select: &Select) -> ControlFlow<Box<Error>> {
    let refuse =
        |message: String, word: &str| ControlFlow::Break(Box::new(select.refuse(message, word)));
    match expr {
        Expr::ScalarFunction(_) => one_volatile(expr, select),
        Expr::AggregateFunction(call) => {
            let name = call.func.name();
            if name.starts_with(BATCH_DEPENDENT) {
                let message = format!(
                    "{name}() depends on how rows are cut into batches, so live and backtest \
                     would differ"
                );
                return refuse(message, name);
            }
            if UNBOUNDED.contains(&name) {
                return refuse(format!("{name}() keeps every row of the window"), name);
            }
            ControlFlow::Continue(())
        }
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
            ControlFlow::Break(Box::new(unsupported(select, "subqueries", "(")))
        }
        _ => ControlFlow::Continue(()),
    }
}
