//! `st_distance_m(lon1, lat1, lon2, lat2)`: metres between two points on the ground, and
//! `st_dwithin(lon1, lat1, lon2, lat2, metres)`: whether they are at most so far apart;
//! `camera_view(lon, lat, heading_deg, fov_deg, range_m, place_lon, place_lat)`: how well a camera
//! shows a place, 0 to 1, null where it does not.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use vong_model::{Camera, Place};

/// Great-circle distance, see [`Place::distance_m`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DistanceM {
    signature: Signature,
}

impl DistanceM {
    pub(super) fn new() -> Self {
        let arguments = vec![DataType::Float64; 4];
        Self { signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DistanceM {
    fn name(&self) -> &'static str {
        "st_distance_m"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some((from, to)) = arrays.split_at_checked(2) else { return exec_err!("{FOUR}") };
        let metres: Float64Array = distances(from, to)?.collect();
        Ok(ColumnarValue::Array(Arc::new(metres)))
    }
}

/// As [`DistanceM`], compared with a fifth argument.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct WithinM {
    signature: Signature,
}

impl WithinM {
    pub(super) fn new() -> Self {
        let arguments = vec![DataType::Float64; 5];
        Self { signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for WithinM {
    fn name(&self) -> &'static str {
        "st_dwithin"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some((most, points)) = arrays.split_last() else { return exec_err!("{FIVE}") };
        let Some((from, to)) = points.split_at_checked(2) else { return exec_err!("{FIVE}") };
        let most = most.as_primitive::<Float64Type>();
        let near: BooleanArray = distances(from, to)?
            .zip(most.iter())
            .map(|(metres, most)| Some(metres? <= most?))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(near)))
    }
}

/// See [`Camera::view_of`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CameraView {
    signature: Signature,
}

impl CameraView {
    pub(super) fn new() -> Self {
        let arguments = vec![DataType::Float64; 7];
        Self { signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CameraView {
    fn name(&self) -> &'static str {
        "camera_view"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let numbers: Vec<_> = arrays.iter().map(|a| a.as_primitive::<Float64Type>()).collect();
        let [lon, lat, heading, fov, range, place_lon, place_lat] = numbers.as_slice() else {
            return exec_err!("{SEVEN}");
        };
        let own = lon.iter().zip(*lat).zip(heading.iter().zip(*fov).zip(*range));
        let quality = own.zip(place_lon.iter().zip(*place_lat)).map(|((own, view), place)| {
            let ((heading_deg, fov_deg), range_m) = view;
            let camera = Camera {
                place: Place { lon: own.0?, lat: own.1? },
                heading_deg: heading_deg?,
                fov_deg: fov_deg?,
                range_m: range_m?,
                ..Camera::default()
            };
            let place = Place { lon: place.0?, lat: place.1? };
            camera.view_of(place).map(|view| view.quality)
        });
        Ok(ColumnarValue::Array(Arc::new(quality.collect::<Float64Array>())))
    }
}

const SEVEN: &str =
    "camera_view takes (lon, lat, heading_deg, fov_deg, range_m, place_lon, place_lat)";
const FOUR: &str = "st_distance_m takes (lon1, lat1, lon2, lat2)";
const FIVE: &str = "st_dwithin takes (lon1, lat1, lon2, lat2, metres)";

/// Metres between points given as two columns each; null where a number is missing.
fn distances<'a>(
    from: &'a [ArrayRef],
    to: &'a [ArrayRef],
) -> Result<impl Iterator<Item = Option<f64>> + 'a> {
    let ([lon_a, lat_a], [lon_b, lat_b]) = (from, to) else { return exec_err!("{FOUR}") };
    let places = |lon: &'a ArrayRef, lat: &'a ArrayRef| {
        let pairs = lon.as_primitive::<Float64Type>().iter().zip(lat.as_primitive::<Float64Type>());
        pairs.map(|(lon, lat)| Some(Place { lon: lon?, lat: lat? }))
    };
    let pairs = places(lon_a, lat_a).zip(places(lon_b, lat_b));
    Ok(pairs.map(|(a, b)| Some(a?.distance_m(b?))))
}
