//! How much a query asked again and again has to do: which streams it reads, how often, and what it
//! puts together.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use vong_model::Stream;

use super::Tables;

/// The shape of a query, as far as its cost goes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// Rows of the stretch of a stream.
    Scan(Stream),
    /// Rows of a dimension table.
    Table(f64),
    /// One row out of many.
    One(Box<Work>),
    /// Rows of both sides that are equal in something.
    Join(Box<Work>, Box<Work>),
    /// Each row of one side with each of the other.
    Product(Box<Work>, Box<Work>),
    /// The rows of all.
    All(Vec<Work>),
}

impl Work {
    /// Of an optimised plan, in which conditions of equality stand in the joins.
    pub(super) fn of(plan: &LogicalPlan, tables: &Tables) -> Self {
        let mut parts = vec![Self::of_inputs(plan, tables)];
        // The closure cannot fail, so neither can the walk.
        drop(plan.apply_subqueries(|inner| {
            parts.push(Self::One(Box::new(Self::of(inner, tables))));
            Ok(TreeNodeRecursion::Continue)
        }));
        if parts.len() == 1 { parts.remove(0) } else { Self::All(parts) }
    }

    fn of_inputs(plan: &LogicalPlan, tables: &Tables) -> Self {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let name = scan.table_name.table();
                match Stream::from_name(name) {
                    Some(stream) => Self::Scan(stream),
                    None => {
                        let rows = tables.get(name).map_or(0, |table| table.rows().num_rows());
                        Self::Table(rows as f64)
                    }
                }
            }
            LogicalPlan::Join(join) => {
                let side = |plan| Box::new(Self::of(plan, tables));
                let (left, right) = (side(&join.left), side(&join.right));
                if join.on.is_empty() {
                    Self::Product(left, right)
                } else {
                    Self::Join(left, right)
                }
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                Self::One(Box::new(Self::of(&aggregate.input, tables)))
            }
            other => {
                let mut inputs: Vec<Self> =
                    other.inputs().into_iter().map(|input| Self::of(input, tables)).collect();
                match inputs.len() {
                    1 => inputs.remove(0),
                    _ => Self::All(inputs),
                }
            }
        }
    }

    /// Rows that come out, and rows that are handled on the way; `stretch`: rows of a stream.
    pub(crate) fn rows(&self, stretch: &impl Fn(Stream) -> f64) -> (f64, f64) {
        match self {
            Self::Scan(stream) => (stretch(*stream), stretch(*stream)),
            Self::Table(rows) => (*rows, *rows),
            Self::One(of) => (1.0, of.rows(stretch).1),
            Self::Join(left, right) => {
                let ((left, before_left), (right, before_right)) =
                    (left.rows(stretch), right.rows(stretch));
                (left.max(right), before_left + before_right + left + right)
            }
            Self::Product(left, right) => {
                let ((left, before_left), (right, before_right)) =
                    (left.rows(stretch), right.rows(stretch));
                (left * right, before_left + before_right + left * right)
            }
            Self::All(parts) => {
                let parts = parts.iter().map(|part| part.rows(stretch));
                parts.fold((0.0, 0.0), |(rows, all), (r, a)| (rows + r, all + a))
            }
        }
    }

    /// Whether some part puts each row together with each other one.
    pub(crate) fn has_product(&self) -> bool {
        match self {
            Self::Scan(_) | Self::Table(_) => false,
            Self::One(of) => of.has_product(),
            Self::Join(left, right) => left.has_product() || right.has_product(),
            Self::Product(left, right) => {
                let is_one = |side: &Self| matches!(side, Self::One(_));
                !is_one(left) && !is_one(right) || left.has_product() || right.has_product()
            }
            Self::All(parts) => parts.iter().any(Self::has_product),
        }
    }
}
