//! `st_distance_m(lon1, lat1, lon2, lat2)`: metres between two points on the ground.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use vong_model::Place;

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
        let [lon_a, lat_a, lon_b, lat_b] = arrays.as_slice() else {
            return exec_err!("st_distance_m takes (lon1, lat1, lon2, lat2)");
        };
        let from =
            lon_a.as_primitive::<Float64Type>().iter().zip(lat_a.as_primitive::<Float64Type>());
        let to =
            lon_b.as_primitive::<Float64Type>().iter().zip(lat_b.as_primitive::<Float64Type>());
        let metres: Float64Array = from
            .zip(to)
            .map(|((lon_a, lat_a), (lon_b, lat_b))| {
                let a = Place { lon: lon_a?, lat: lat_a? };
                Some(a.distance_m(Place { lon: lon_b?, lat: lat_b? }))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(metres)))
    }
}
