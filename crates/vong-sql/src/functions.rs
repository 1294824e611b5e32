//! Functions of the dialect on top of DataFusion's own; all immutable, so that a rule may use them.

mod area;
mod clip;
mod place;
mod text;
mod window;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

pub use area::{AREAS, Areas, Bound, UnknownArea, bind, st_within};
pub use text::fold_vietnamese;
pub use window::{MAX_OVERLAP, bucket_start_local, window_start};

/// Every scalar function we add.
pub fn scalar() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::new_from_impl(window::Tumble::new())),
        Arc::new(ScalarUDF::new_from_impl(window::Hop::new())),
        Arc::new(ScalarUDF::new_from_impl(window::HopWindows::new())),
        Arc::new(ScalarUDF::new_from_impl(window::Session::new())),
        Arc::new(ScalarUDF::new_from_impl(window::TimeBucket::new())),
        Arc::new(ScalarUDF::new_from_impl(text::VnSearch::new())),
        Arc::new(ScalarUDF::new_from_impl(text::VnFold::new())),
        Arc::new(ScalarUDF::new_from_impl(place::DistanceM::new())),
        Arc::new(ScalarUDF::new_from_impl(place::WithinM::new())),
        Arc::new(ScalarUDF::new_from_impl(clip::Clip::new())),
        Arc::new(ScalarUDF::new_from_impl(place::CameraView::new())),
        Arc::new(st_within(Arc::default())),
    ]
}

#[cfg(test)]
mod tests;
