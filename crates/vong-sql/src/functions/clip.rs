//! `clip(camera_id, from, to)`: where the footage of a camera is played from, below the origin.
//!
//! Only an address: whether anything was recorded is what `video_gops` says.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use vong_model::EventTime;

const THREE: &str = "clip takes (camera_id, from, to): a camera's id and two timestamps";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Clip {
    signature: Signature,
}

impl Clip {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [camera, from, to] = arg_types else { return plan_err!("{THREE}") };
        if !is_text(camera) || !is_time(from) || !is_time(to) {
            return plan_err!("{THREE}");
        }
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Ok(vec![DataType::Utf8, time.clone(), time])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [camera, from, to] = arrays.as_slice() else { return exec_err!("{THREE}") };
        let from = from.as_primitive::<TimestampMicrosecondType>();
        let to = to.as_primitive::<TimestampMicrosecondType>();
        let rows = camera.as_string::<i32>().iter().zip(from.iter().zip(to.iter()));
        let addresses: Result<StringArray> = rows
            .map(|(camera, (from, to))| match (camera, from, to) {
                (Some(camera), Some(from), Some(to)) => address(camera, from, to).map(Some),
                _ => Ok(None),
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(addresses?)))
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => true,
        _ => false,
    }
}

/// A timestamp, or a text that is read as one.
fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, _)) || is_text(data_type)
}

/// Instants in microseconds; the address holds whole milliseconds, rounded outwards.
fn address(camera: &str, from_us: i64, to_us: i64) -> Result<String> {
    if from_us >= to_us {
        let (from, to) = (EventTime(from_us), EventTime(to_us));
        return exec_err!(
            "clip of camera '{camera}' must end after it begins: from {from} to {to}"
        );
    }
    let (from_ms, to_ms) = (from_us.div_euclid(1_000), to_us.saturating_add(999).div_euclid(1_000));
    let mut path = String::from("/api/v1/cameras/");
    for byte in camera.bytes() {
        // What needs no escape in a path, RFC 3986, 2.3.
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            write!(path, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    write!(path, "/clip.mp4?from_ms={from_ms}&to_ms={to_ms}")
        .expect("writing to a string cannot fail");
    Ok(path)
}
