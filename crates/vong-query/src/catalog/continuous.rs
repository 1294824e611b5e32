//! Continuous views as tables: the rows of `view_rows` that are theirs, under their own columns.
//!
//! A view that was altered shows the rows whose columns are those it has now; the others stay in
//! `view_rows`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::exec_err;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, col, lit,
};
use vong_model::Stream;
use vong_model::view::{self, Lane, Layout, ValueType};
use vong_store::LOG_OFFSET;

use crate::table::StreamTable;
use crate::tail::Moment;

/// The table of the view `name`.
pub(super) fn table(
    name: &str,
    known: &view::ViewTable,
    moment: &Arc<Moment>,
) -> Result<Arc<dyn TableProvider>> {
    let stream = Stream::ViewRows;
    let rows = provider_as_source(Arc::new(StreamTable::new(stream, Arc::clone(moment))));
    let own = col("view").eq(lit(name)).and(col("layout").eq(lit(known.layout.to_string())));
    let plan = LogicalPlanBuilder::scan(stream.name(), rows, None)?
        .filter(own)?
        .project(columns(&known.layout))?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, Some(known.sql.clone()))))
}

fn columns(layout: &Layout) -> Vec<Expr> {
    let own = layout.places().map(|(name, value_type, lane, place)| {
        let taken = ScalarUDF::from(Item::new(value_type, lane, place));
        taken.call(vec![col(lane.column())]).alias(name)
    });
    std::iter::once(col("event_time")).chain(own).chain([col(LOG_OFFSET)]).collect()
}

/// One value out of each row's list, with its own type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Item {
    signature: Signature,
    value_type: ValueType,
    lane: Lane,
    place: usize,
}

impl Item {
    fn new(value_type: ValueType, lane: Lane, place: usize) -> Self {
        let signature = Signature::exact(vec![lane.data_type()], Volatility::Immutable);
        Self { signature, value_type, lane, place }
    }
}

impl ScalarUDFImpl for Item {
    fn name(&self) -> &'static str {
        "view_item"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value_type.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [lists] = args.args.as_slice() else {
            return exec_err!("{} takes one list", self.lane.column());
        };
        let lists = lists.to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(self.value_type.item(&lists, self.place)?))
    }
}
