//! From the conditions of a query to the cameras and the time its footage can lie in.
//!
//! What is not understood is passed over: the plan filters again, so that only work is lost.

use std::collections::BTreeSet;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use vong_footage::GopFilter;
use vong_model::{CameraId, EventTime};

/// The least that has to be read for rows that meet all of `conditions`.
pub(super) fn of(conditions: &[Expr]) -> GopFilter {
    let mut filter = GopFilter::all();
    for condition in conditions.iter().flat_map(split_conjunction) {
        narrow(&mut filter, condition);
    }
    filter
}

fn narrow(filter: &mut GopFilter, condition: &Expr) {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (left, Expr::Literal(value, _)) => compare(filter, column(left), *op, value),
            (Expr::Literal(value, _), right) => {
                let turned = op.swap();
                turned.into_iter().for_each(|op| compare(filter, column(right), op, value));
            }
            _ => {}
        },
        Expr::Between(between) if !between.negated => {
            if let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&*between.low, &*between.high)
            {
                compare(filter, column(&between.expr), Operator::GtEq, low);
                compare(filter, column(&between.expr), Operator::LtEq, high);
            }
        }
        Expr::InList(InList { expr, list, negated: false })
            if column(expr) == Some("camera_id") =>
        {
            let cameras: Option<BTreeSet<CameraId>> = list.iter().map(camera).collect();
            if let Some(cameras) = cameras {
                keep(filter, &cameras);
            }
        }
        // `camera_id IN (…)` of few cameras comes as a chain of OR.
        _ => {}
    }
    if let Some(cameras) = either(condition) {
        keep(filter, &cameras);
    }
}

/// Name of the column that is compared, also when it is cast.
fn column(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) => column(&cast.expr),
        _ => None,
    }
}

fn compare(filter: &mut GopFilter, column: Option<&str>, op: Operator, value: &ScalarValue) {
    match (column, time(value)) {
        (Some("camera_id"), _) if op == Operator::Eq => {
            if let Some(id) = text(value) {
                keep(filter, &[CameraId::from(id)].into());
            }
        }
        (Some("start_time" | "end_time"), Some(at)) => {
            // A group with its start or its end at `at` touches the instants around it.
            let (before, after) =
                (EventTime(at.0.saturating_sub(1)), EventTime(at.0.saturating_add(1)));
            if matches!(op, Operator::Eq | Operator::Gt | Operator::GtEq) {
                filter.from = filter.from.max(before);
            }
            if matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq) {
                filter.to = filter.to.min(after);
            }
        }
        _ => {}
    }
}

fn keep(filter: &mut GopFilter, cameras: &BTreeSet<CameraId>) {
    match &mut filter.cameras {
        Some(kept) => kept.retain(|camera| cameras.contains(camera)),
        None => filter.cameras = Some(cameras.clone()),
    }
}

/// The cameras of `camera_id = 'a' OR camera_id = 'b' …`.
fn either(condition: &Expr) -> Option<BTreeSet<CameraId>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    match op {
        Operator::Or => {
            let mut cameras = either(left)?;
            cameras.append(&mut either(right)?);
            Some(cameras)
        }
        Operator::Eq if column(left) == Some("camera_id") => camera(right).map(|id| [id].into()),
        _ => None,
    }
}

fn camera(value: &Expr) -> Option<CameraId> {
    match value {
        Expr::Literal(value, _) => text(value).map(CameraId::from),
        _ => None,
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Dictionary(_, value) => text(value),
        value => value.try_as_str().flatten(),
    }
}

/// A text is an instant too when the column is cast to be compared with it; then it is passed over.
fn time(value: &ScalarValue) -> Option<EventTime> {
    match value {
        ScalarValue::TimestampMicrosecond(Some(us), _) => Some(EventTime(*us)),
        ScalarValue::TimestampNanosecond(Some(ns), _) => Some(EventTime(ns.div_euclid(1_000))),
        ScalarValue::TimestampMillisecond(Some(ms), _) => Some(EventTime(ms.saturating_mul(1_000))),
        ScalarValue::TimestampSecond(Some(s), _) => Some(EventTime(s.saturating_mul(1_000_000))),
        _ => None,
    }
}
