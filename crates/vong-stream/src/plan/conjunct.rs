//! One condition out of an `AND` chain, and what the predicate index can know about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use vong_model::ColumnRole;

use super::relation::Relation;

/// A condition, typed and ready to run on batches of the stream.
#[derive(Clone, Debug)]
pub(crate) struct Conjunct {
    /// Equal texts are the same condition.
    pub(crate) text: String,
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    pub(crate) form: Form,
}

/// What can be known of a condition without evaluating it on rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// An id column is one of these texts.
    OneOf {
        column: usize,
        texts: BTreeSet<String>,
    },
    /// A float column lies on one side of a number.
    Threshold {
        column: usize,
        bound: Bound,
    },
    Other,
}

/// One side of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    Above { than: f64, or_equal: bool },
    Below { than: f64, or_equal: bool },
}

impl Bound {
    /// Whether the value is on this side.
    pub(crate) fn holds(self, value: f64) -> bool {
        self.possible(value, value)
    }

    /// Whether a value between `min` and `max` can be on this side.
    pub(crate) fn possible(self, min: f64, max: f64) -> bool {
        // total_cmp, because the comparison kernels order NaN so.
        match self {
            Self::Above { than, or_equal: true } => max.total_cmp(&than).is_ge(),
            Self::Above { than, or_equal: false } => max.total_cmp(&than).is_gt(),
            Self::Below { than, or_equal: true } => min.total_cmp(&than).is_le(),
            Self::Below { than, or_equal: false } => min.total_cmp(&than).is_lt(),
        }
    }
}

/// What kinds of column a condition names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Roles {
    pub(crate) dimension: bool,
    pub(crate) measure: bool,
    pub(crate) time: bool,
    pub(crate) provenance: bool,
    /// A column of a joined table.
    pub(crate) table: bool,
}

impl Roles {
    pub(super) fn of(expr: &Expr, relation: &Relation) -> Self {
        let mut roles = Self::default();
        let places = expr.column_refs().into_iter().filter_map(|c| relation.index(c));
        for place in places.collect::<BTreeSet<usize>>() {
            match relation.role(place) {
                Some(ColumnRole::Time) => roles.time = true,
                Some(ColumnRole::Dimension) => roles.dimension = true,
                Some(ColumnRole::Measure) => roles.measure = true,
                Some(ColumnRole::Provenance) => roles.provenance = true,
                None => roles.table = true,
            }
        }
        roles
    }

    /// The condition only selects what the rule is about.
    pub(crate) fn is_scope(self) -> bool {
        !self.measure && !self.time
    }
}

impl Form {
    pub(super) fn of(expr: &Expr, relation: &Relation) -> Self {
        match expr {
            Expr::BinaryExpr(binary) => Self::of_binary(binary, relation),
            Expr::InList(list) if !list.negated => {
                let texts: Option<BTreeSet<String>> = list.list.iter().map(text_of).collect();
                let column = key_column(&list.expr, relation);
                match column.zip(texts) {
                    Some((column, texts)) => Self::OneOf { column, texts },
                    None => Self::Other,
                }
            }
            _ => Self::Other,
        }
    }

    fn of_binary(binary: &BinaryExpr, relation: &Relation) -> Self {
        let BinaryExpr { left, op, right } = binary;
        if *op == Operator::Eq {
            let either = key_column(left, relation)
                .zip(text_of(right))
                .or_else(|| key_column(right, relation).zip(text_of(left)));
            return match either {
                Some((column, text)) => Self::OneOf { column, texts: BTreeSet::from([text]) },
                None => Self::Other,
            };
        }
        let straight = float_column(left, relation).zip(number_of(right));
        let turned = || float_column(right, relation).zip(number_of(left));
        let (found, op) = match straight {
            Some(found) => (Some(found), Some(*op)),
            None => (turned(), op.swap()),
        };
        match (found, op.and_then(bound_of)) {
            (Some((column, than)), Some(bound)) => Self::Threshold { column, bound: bound(than) },
            _ => Self::Other,
        }
    }
}

pub(super) fn bound_of(op: Operator) -> Option<fn(f64) -> Bound> {
    match op {
        Operator::Gt => Some(|than| Bound::Above { than, or_equal: false }),
        Operator::GtEq => Some(|than| Bound::Above { than, or_equal: true }),
        Operator::Lt => Some(|than| Bound::Below { than, or_equal: false }),
        Operator::LtEq => Some(|than| Bound::Below { than, or_equal: true }),
        _ => None,
    }
}

/// The id column under the casts the analyzer puts around it.
fn key_column(expr: &Expr, relation: &Relation) -> Option<usize> {
    column_of_type(uncast(expr, is_text), relation, |t| matches!(t, DataType::Dictionary(..)))
}

fn float_column(expr: &Expr, relation: &Relation) -> Option<usize> {
    column_of_type(expr, relation, |t| *t == DataType::Float64)
}

fn column_of_type(expr: &Expr, relation: &Relation, fits: fn(&DataType) -> bool) -> Option<usize> {
    let Expr::Column(column) = expr else { return None };
    let place = relation.index(column)?;
    fits(relation.data_type(place)).then_some(place)
}

pub(super) fn text_of(expr: &Expr) -> Option<String> {
    match uncast(expr, is_text) {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    }
}

pub(super) fn number_of(expr: &Expr) -> Option<f64> {
    match uncast(expr, DataType::is_numeric) {
        Expr::Literal(value, _) if value.data_type().is_numeric() => {
            match value.cast_to(&DataType::Float64) {
                Ok(ScalarValue::Float64(number)) => number,
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

pub(super) fn uncast(expr: &Expr, fits: fn(&DataType) -> bool) -> &Expr {
    match expr {
        Expr::Cast(cast) if fits(cast.field.data_type()) => uncast(&cast.expr, fits),
        other => other,
    }
}
