//! `cameras_facing(lon, lat, radius_m)`: the cameras that show a place, best view first.
//!
//! A camera counts that stands at most `radius_m` metres away and has the place within its own
//! range and angle of view. For a place of every row of a table there is the function `camera_view`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use vong_model::{Assets, Facing, Place};

use super::table_of;

/// The function over the cameras of one moment.
#[derive(Debug)]
pub(crate) struct CamerasFacing {
    assets: Arc<Assets>,
}

impl CamerasFacing {
    pub(crate) const NAME: &'static str = "cameras_facing";

    pub(crate) fn new(assets: Arc<Assets>) -> Self {
        Self { assets }
    }
}

impl TableFunctionImpl for CamerasFacing {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let numbers: Vec<f64> = args.exprs().iter().filter_map(number).collect();
        let [lon, lat, radius_m] = numbers[..] else {
            return plan_err!(
                "cameras_facing takes (lon, lat, radius_m), three numbers written out, as in \
                 cameras_facing(105.9, 18.34, 300); for the place of every row use camera_view"
            );
        };
        let mut facing = self.assets.cameras_facing(Place { lon, lat });
        facing.retain(|facing| facing.distance_m <= radius_m);
        table_of(rows(&facing)?)
    }
}

fn number(expr: &Expr) -> Option<f64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value.cast_to(&arrow::datatypes::DataType::Float64).ok()? {
        ScalarValue::Float64(number) => number.filter(|number| number.is_finite()),
        _ => None,
    }
}

fn rows(facing: &[Facing<'_>]) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&Facing<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(facing.iter().map(of)))
    };
    let numbers = |of: &dyn Fn(&Facing<'_>) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(facing.iter().map(of)))
    };
    let columns = [
        ("camera_id", texts(&|f| f.camera.camera_id.to_string())),
        ("name_vi", texts(&|f| f.camera.name_vi.clone())),
        ("name_en", texts(&|f| f.camera.name_en.clone())),
        ("distance_m", numbers(&|f| f.distance_m)),
        ("off_axis_deg", numbers(&|f| f.off_axis_deg)),
        ("view_quality", numbers(&|f| f.quality)),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
