//! `st_within(lon, lat, area)`: whether a point lies in an administrative unit or another area.
//!
//! Areas come from the dimension table `areas`. Where the area is a literal, [`bind`] puts its
//! polygon into the expression, so that a row costs a look at a bounding box and, within it, at the
//! edges that stand at the point's latitude.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{exec_datafusion_err, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use geo::indexed::IntervalTreeMultiPolygon;
use geo::orient::Direction;
use geo::{BoundingRect, Contains, MultiPolygon, Orient, Point, Rect};
use vong_model::Table;
use wkt::TryFromWkt;

use crate::nearest;

/// The dimension table that areas come from: `area_id` (key) and `wkt` (a `MULTIPOLYGON`).
pub const AREAS: &str = "areas";
/// Name of the function.
const NAME: &str = "st_within";

/// One area, made ready for many questions.
struct Area {
    bounds: Option<Rect>,
    edges: IntervalTreeMultiPolygon<f64>,
    /// Of its text: two versions of an area are two things.
    digest: u64,
}

impl Area {
    fn parse(wkt: &str) -> std::result::Result<Self, String> {
        let polygons = MultiPolygon::<f64>::try_from_wkt_str(wkt).map_err(|e| e.to_string())?;
        // Holes run the other way round, whatever the file says: the edges are counted so.
        let polygons = polygons.orient(Direction::Default);
        let (bounds, edges) = (polygons.bounding_rect(), IntervalTreeMultiPolygon::new(&polygons));
        Ok(Self { bounds, edges, digest: digest(wkt) })
    }

    /// A point on the border is not within.
    fn holds(&self, lon: f64, lat: f64) -> bool {
        let point = Point::new(lon, lat);
        self.bounds.is_some_and(|bounds| bounds.contains(&point)) && self.edges.contains(&point)
    }
}

/// FNV-1a of 64 bits: the same with every build, because it stands in what EXPLAIN shows.
fn digest(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    text.bytes().fold(start, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Every area, by id.
#[derive(Default)]
pub struct Areas {
    by_id: BTreeMap<String, Arc<Area>>,
}

impl fmt::Debug for Areas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_id.keys()).finish()
    }
}

impl Areas {
    /// # Errors
    /// Which area is none, and why.
    pub fn of(table: &Table) -> std::result::Result<Self, String> {
        let mut by_id = BTreeMap::new();
        for row in 0..table.rows().num_rows() {
            let id = table.text_at("area_id", row).unwrap_or_default();
            let wkt = table.text_at("wkt", row).unwrap_or_default();
            let area = Area::parse(wkt).map_err(|e| format!("area '{id}' is no polygon: {e}"))?;
            by_id.insert(id.to_owned(), Arc::new(area));
        }
        Ok(Self { by_id })
    }

    /// Whether a point lies in this area, its border excluded; `None` for one that is not there.
    pub fn holds(&self, id: &str, lon: f64, lat: f64) -> Option<bool> {
        self.by_id.get(id).map(|area| area.holds(lon, lat))
    }

    /// Ids of all areas that a point lies in.
    pub fn around(&self, lon: f64, lat: f64) -> Vec<&str> {
        let around = self.by_id.iter().filter(|(_, area)| area.holds(lon, lat));
        around.map(|(id, _)| id.as_str()).collect()
    }

    fn unknown(&self, id: &str) -> UnknownArea {
        let did_you_mean = nearest(id, &self.by_id.keys().cloned().collect());
        UnknownArea { id: id.to_owned(), did_you_mean, none: self.by_id.is_empty() }
    }
}

/// An area that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownArea {
    pub id: String,
    did_you_mean: Option<String>,
    none: bool,
}

impl fmt::Display for UnknownArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no area '{}'", self.id)?;
        match &self.did_you_mean {
            Some(name) => write!(f, "; did you mean '{name}'?"),
            None if self.none => {
                f.write_str(": areas come from units.geojson and areas.geojson of the map")
            }
            None => f.write_str("; SELECT area_id FROM areas lists them"),
        }
    }
}

/// What [`bind`] found.
#[derive(Debug, Default)]
pub struct Bound {
    /// Areas that are named.
    pub areas: BTreeSet<String>,
    pub unknown: Option<UnknownArea>,
    /// Some area is named by something else than a literal.
    pub open: bool,
}

/// Puts the polygons of areas that are named by literals into the plan.
///
/// # Errors
/// When the plan cannot be rewritten.
pub fn bind(plan: LogicalPlan, areas: &Areas) -> Result<(LogicalPlan, Bound)> {
    let mut bound = Bound::default();
    let done = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(bind_expression(expr, areas, &mut bound)?.update_data(|expr| name.restore(expr)))
        })?;
        Ok(Transformed { tnr: TreeNodeRecursion::Continue, ..node })
    })?;
    Ok((done.data, bound))
}

fn bind_expression(expr: Expr, areas: &Areas, bound: &mut Bound) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| {
        let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
        if call.func.name() != NAME {
            return Ok(Transformed::no(expr));
        }
        let [lon, lat, id] = call.args.as_slice() else { return Ok(Transformed::no(expr)) };
        let Some(id) = literal(id) else {
            bound.open = true;
            return Ok(Transformed::no(expr));
        };
        let Some(area) = areas.by_id.get(id) else {
            bound.unknown.get_or_insert_with(|| areas.unknown(id));
            return Ok(Transformed::no(expr));
        };
        bound.areas.insert(id.to_owned());
        let inside = ScalarUDF::new_from_impl(Inside::new(id, area));
        let call = ScalarFunction::new_udf(Arc::new(inside), vec![lon.clone(), lat.clone()]);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    })
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Cast(cast) => literal(&cast.expr),
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// `st_within(lon, lat, area)`.
pub(super) struct Within {
    areas: Arc<Areas>,
    signature: Signature,
}

/// The function over these areas; it takes the place of the one a session has.
pub fn st_within(areas: Arc<Areas>) -> ScalarUDF {
    ScalarUDF::new_from_impl(Within::new(areas))
}

impl Within {
    pub(super) fn new(areas: Arc<Areas>) -> Self {
        let point_and_text =
            |text| TypeSignature::Exact(vec![DataType::Float64, DataType::Float64, text]);
        let texts = [DataType::Utf8, DataType::Utf8View, DataType::LargeUtf8];
        let signature =
            Signature::one_of(texts.map(point_and_text).to_vec(), Volatility::Immutable);
        Self { areas, signature }
    }
}

impl fmt::Debug for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}

impl PartialEq for Within {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.areas, &other.areas)
    }
}

impl Eq for Within {}

impl Hash for Within {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.areas).hash(state);
    }
}

impl ScalarUDFImpl for Within {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [lon, lat, id] = args.args.as_slice() else {
            return exec_err!("st_within takes (lon, lat, area)");
        };
        if let ColumnarValue::Scalar(id) = id {
            let Some(id) = id.try_as_str().flatten() else {
                return Ok(ColumnarValue::Array(Arc::new(BooleanArray::new_null(
                    args.number_rows,
                ))));
            };
            let area = self.areas.by_id.get(id);
            let area = area.ok_or_else(|| exec_datafusion_err!("{}", self.areas.unknown(id)))?;
            return points(lon, lat, args.number_rows, |_| Some(area.as_ref()));
        }
        let ids = cast(&id.to_array(args.number_rows)?, &DataType::Utf8)?;
        let ids: &StringArray = ids.as_string();
        // An area that a column names and that is not there is not known, as with any look-up.
        let mut seen: HashMap<&str, Option<&Area>> = HashMap::new();
        let mut of_row = |row: usize| {
            let id = ids.is_valid(row).then(|| ids.value(row))?;
            let area = || self.areas.by_id.get(id).map(AsRef::as_ref);
            *seen.entry(id).or_insert_with(area)
        };
        points(lon, lat, args.number_rows, &mut of_row)
    }
}

/// `st_within` with its area in it.
struct Inside {
    name: String,
    area: Arc<Area>,
    signature: Signature,
}

impl Inside {
    fn new(id: &str, area: &Arc<Area>) -> Self {
        let signature = Signature::exact(vec![DataType::Float64; 2], Volatility::Immutable);
        // Equal names are the same polygon: rules share what they compute by its text.
        let name = format!("{NAME} '{id}' {:016x}", area.digest);
        Self { name, area: Arc::clone(area), signature }
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Inside {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Inside {}

impl Hash for Inside {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Inside {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [lon, lat] = args.args.as_slice() else {
            return exec_err!("st_within takes (lon, lat, area)");
        };
        points(lon, lat, args.number_rows, |_| Some(&self.area))
    }
}

fn points<'a>(
    lon: &ColumnarValue,
    lat: &ColumnarValue,
    rows: usize,
    mut area: impl FnMut(usize) -> Option<&'a Area>,
) -> Result<ColumnarValue> {
    let (lon, lat) = (lon.to_array(rows)?, lat.to_array(rows)?);
    let (lon, lat) = (lon.as_primitive::<Float64Type>(), lat.as_primitive::<Float64Type>());
    let within: BooleanArray = lon
        .iter()
        .zip(lat.iter())
        .enumerate()
        .map(|(row, (lon, lat))| Some(area(row)?.holds(lon?, lat?)))
        .collect();
    Ok(ColumnarValue::Array(Arc::new(within)))
}

#[cfg(test)]
mod tests;
