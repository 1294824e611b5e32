//! What a continuous view keeps of what its query finds.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use datafusion::common::DFSchema;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use vong_model::view::{Layout, MAX_COLUMNS, ValueType, is_name};
use vong_sql::Error;
use vong_sql::rule::{RuleDefinition, Select};

/// A column that every view has: when the row became known.
const EVENT_TIME: &str = "event_time";
/// A column that every table has.
const LOG_OFFSET: &str = "log_offset";

/// The columns of a view, computed from the rows its query finds.
#[derive(Clone, Debug)]
pub(crate) struct ViewPlan {
    pub(crate) layout: Arc<Layout>,
    pub(crate) outputs: Vec<Arc<dyn PhysicalExpr>>,
}

/// What stands between `SELECT` and `FROM`, and what it is made from.
pub(super) struct Selected<'a> {
    /// The whole plan: its columns bear the names.
    pub(super) plan: &'a LogicalPlan,
    /// The expressions, over [`Self::schema`].
    pub(super) outputs: &'a [Expr],
    pub(super) schema: &'a DFSchema,
    /// Whether `event_time` there is the time of the row itself.
    pub(super) of_rows: bool,
}

impl ViewPlan {
    /// `None` for a rule that is no view. `lower` makes an expression computable.
    pub(super) fn of(
        rule: &RuleDefinition,
        selected: &Selected<'_>,
        lower: impl Fn(&Expr) -> Result<Arc<dyn PhysicalExpr>, Error>,
    ) -> Result<Option<Self>, Error> {
        if !rule.is_view() {
            return Ok(None);
        }
        let names = selected.plan.schema().fields().iter().map(|field| field.name());
        let (mut columns, mut outputs) = (Vec::new(), Vec::new());
        for (name, expr) in names.zip(selected.outputs) {
            let is_own_time = matches!(expr, Expr::Column(column) if column.name == EVENT_TIME);
            if selected.of_rows && name == EVENT_TIME && is_own_time {
                continue;
            }
            let data_type = expr.get_type(selected.schema);
            let data_type =
                data_type.map_err(|e| rule.select.refuse(e.strip_backtrace(), "select"))?;
            columns.push((name.as_str(), data_type));
            outputs.push(lower(&expr.clone().unalias())?);
        }
        let layout = layout(&columns, &rule.select)?;
        Ok(Some(Self { layout: Arc::new(layout), outputs }))
    }

    /// The view's rows out of what its query found.
    pub(crate) fn rows(&self, found: &RecordBatch) -> DfResult<RecordBatch> {
        let columns = self.outputs.iter().zip(self.layout.columns()).map(|(expr, (_, of))| {
            let column = expr.evaluate(found)?.into_array(found.num_rows())?;
            Ok(cast(&column, &of.data_type())?)
        });
        let columns = columns.collect::<DfResult<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.layout.schema(), columns)?)
    }
}

/// The columns of a view; each has a name of its own and a type that can be kept.
pub(super) fn layout(
    columns: &[(&str, arrow::datatypes::DataType)],
    select: &Select,
) -> Result<Layout, Error> {
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    for (name, data_type) in columns {
        if !is_name(name) {
            let message = format!(
                "column {} of the view needs a name of a-z, 0-9 and _: write AS after it, as in \
                 count(*) AS n",
                kept.len() + 1
            );
            return Err(select.refuse(message, "select"));
        }
        if *name == EVENT_TIME || *name == LOG_OFFSET {
            let message = format!(
                "every view has a column {name} of its own ({}): give this one another name with AS",
                if *name == EVENT_TIME {
                    "when the row became known"
                } else {
                    "its place in the log"
                }
            );
            return Err(select.refuse(message, name));
        }
        if !seen.insert(*name) {
            let message = format!("two columns of the view are called {name}");
            return Err(select.refuse(message, name));
        }
        let Some(value_type) = ValueType::of(data_type) else {
            let message = format!(
                "a view keeps numbers, texts, truths and instants, and {name} is {data_type}: CAST \
                 it, as in CAST({name} AS DOUBLE)"
            );
            return Err(select.refuse(message, name));
        };
        kept.push(((*name).to_owned(), value_type));
    }
    if kept.is_empty() || kept.len() > MAX_COLUMNS {
        let message = format!("a view has 1 to {MAX_COLUMNS} columns, this one {}", kept.len());
        return Err(select.refuse(message, "select"));
    }
    Ok(Layout::new(kept))
}
