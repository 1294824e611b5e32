//! What the shared panes can do of a window rule: which aggregates, and which conditions on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::conjunct::{bound_of, number_of};
use super::{Bound, Named};

/// An aggregate that panes keep in a form that can be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

/// One aggregate of a rule, as the shared panes compute it.
#[derive(Clone, Debug)]
pub(crate) struct SharedAggregate {
    pub(crate) function: Function,
    /// `None`: every row counts.
    pub(crate) argument: Option<Named>,
    /// Whether the argument can be null, so that not every row counts.
    pub(crate) nullable: bool,
    /// The part of its `FILTER` that names ids: column and texts.
    pub(crate) one_of: Vec<(usize, BTreeSet<String>)>,
    /// The rest of its `FILTER`.
    pub(crate) masks: Vec<Named>,
}

/// A condition on one aggregate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    Bound(Bound),
    /// It is not null.
    Known,
}

/// The function, when panes can keep it; of which expression.
pub(super) fn function_of(call: &AggregateFunction) -> Option<(Function, &Expr)> {
    let params = &call.params;
    if params.distinct || !params.order_by.is_empty() || params.null_treatment.is_some() {
        return None;
    }
    let [argument] = params.args.as_slice() else { return None };
    let function = match call.func.name() {
        "count" => Function::Count,
        "sum" => Function::Sum,
        "avg" => Function::Avg,
        "min" => Function::Min,
        "max" => Function::Max,
        _ => return None,
    };
    Some((function, argument))
}

/// Whether panes can keep numbers of this type: others keep the type's own arithmetic.
pub(super) fn is_kept(data_type: &DataType) -> bool {
    *data_type == DataType::Float64
}

/// A condition as tests of single aggregates, all of which must pass; `None` when it is more.
pub(super) fn tests(
    having: Option<&Expr>,
    aggregate_of: &impl Fn(&Expr) -> Option<usize>,
) -> Option<Vec<(usize, Test)>> {
    let mut tests = Vec::new();
    for expr in having.map(split_conjunction).unwrap_or_default() {
        match expr {
            Expr::BinaryExpr(binary) => tests.push(comparison(binary, aggregate_of)?),
            Expr::IsNotNull(of) => tests.push((aggregate_of(of)?, Test::Known)),
            Expr::Between(between) if !between.negated => {
                let of = aggregate_of(&between.expr)?;
                let (low, high) = (number_of(&between.low)?, number_of(&between.high)?);
                tests.push((of, Test::Bound(Bound::Above { than: low, or_equal: true })));
                tests.push((of, Test::Bound(Bound::Below { than: high, or_equal: true })));
            }
            Expr::Literal(ScalarValue::Boolean(Some(true)), _) => {}
            _ => return None,
        }
    }
    Some(tests)
}

fn comparison(
    binary: &BinaryExpr,
    aggregate_of: &impl Fn(&Expr) -> Option<usize>,
) -> Option<(usize, Test)> {
    let BinaryExpr { left, op, right } = binary;
    let straight = aggregate_of(left).zip(number_of(right)).map(|found| (found, *op));
    let turned = || aggregate_of(right).zip(number_of(left)).zip(op.swap());
    let ((of, than), op): ((usize, f64), Operator) = straight.or_else(turned)?;
    Some((of, Test::Bound(bound_of(op)?(than))))
}

/// An expression with its text.
pub(super) fn named(expr: &Arc<dyn datafusion::physical_expr::PhysicalExpr>) -> Named {
    Named { text: expr.to_string(), expr: Arc::clone(expr) }
}
