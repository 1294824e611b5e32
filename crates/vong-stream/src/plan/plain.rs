//! Functions that DataFusion only runs in another form, said in that form.
//!
//! Some functions, as `coalesce` and `nvl`, are never evaluated: the optimizer writes them as `CASE`.
//! Rules are lowered without the optimizer, which would also fold what is refused here.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};

/// `expr` with every function call as its function wants to be run.
pub(super) fn plain(expr: Expr, schema: &DFSchema, state: &SessionState) -> Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(Arc::clone(state.config_options()))
        .build();
    let said = expr.transform_up(|part| match part {
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            Ok(match func.simplify(args, &context)? {
                ExprSimplifyResult::Simplified(other) => Transformed::yes(other),
                ExprSimplifyResult::Original(args) => {
                    Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))
                }
            })
        }
        other => Ok(Transformed::no(other)),
    });
    Ok(said?.data)
}
