//! `tumble(ts, interval)`, `hop(ts, slide, width)` and `time_bucket(interval, ts)`: the start of the
//! window an instant is in.
//!
//! All are pure integer arithmetic, total for every instant, and keep the type of the instant.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, PrimitiveArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

const DAY_US: i64 = 86_400_000_000;
/// Windows an instant may be in at a time, a limit of ours: a day that slides by the minute.
pub const MAX_OVERLAP: i64 = 1_440;
/// Vietnam keeps UTC+07:00 all year (no daylight saving time since 1975).
const LOCAL_OFFSET_US: i64 = 7 * 3_600_000_000;
/// Monday 2000-01-03 00:00 UTC: the origin TimescaleDB's `time_bucket` counts from, so that seven
/// days begin on a Monday.
const ORIGIN_US: i64 = 946_857_600_000_000;

/// Start of the window of `width_us` microseconds that holds `instant_us`, windows being aligned
/// to 1970-01-01T00:00:00Z. `width_us` must be positive.
pub fn window_start(instant_us: i64, width_us: i64) -> i64 {
    instant_us.saturating_sub(instant_us.rem_euclid(width_us.max(1)))
}

/// As [`window_start`], but aligned to midnight in Vietnam and, for whole weeks, to Monday.
pub fn bucket_start_local(instant_us: i64, width_us: i64) -> i64 {
    let since_origin = instant_us.saturating_add(LOCAL_OFFSET_US).saturating_sub(ORIGIN_US);
    instant_us.saturating_sub(since_origin.rem_euclid(width_us.max(1)))
}

/// Start of the `months`-long window, counted from year 0 in Vietnam's calendar.
fn month_start_local(instant_us: i64, months: i32) -> Option<i64> {
    let local = DateTime::from_timestamp_micros(instant_us.checked_add(LOCAL_OFFSET_US)?)?;
    let month_number = local.year() * 12 + i32::try_from(local.month0()).ok()?;
    let first = month_number - month_number.rem_euclid(months);
    let month = u32::try_from(first.rem_euclid(12)).ok()? + 1;
    let day = NaiveDate::from_ymd_opt(first.div_euclid(12), month, 1)?;
    let midnight = day.and_hms_opt(0, 0, 0)?;
    Some(midnight.and_utc().timestamp_micros() - LOCAL_OFFSET_US)
}

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Micros(i64),
    Months(i32),
}

fn width_of(value: &ColumnarValue, function: &str) -> Result<Width> {
    let ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(interval))) = value else {
        return exec_err!("{function}: the interval must be a constant, as in INTERVAL '1 minute'");
    };
    let micros = interval.nanoseconds / 1_000;
    let micros = i64::from(interval.days).checked_mul(DAY_US).and_then(|d| d.checked_add(micros));
    match (interval.months, micros) {
        (0, Some(micros)) if micros > 0 => Ok(Width::Micros(micros)),
        (months, Some(0)) if months > 0 => Ok(Width::Months(months)),
        _ => exec_err!(
            "{function}: the interval must be positive, and either months or days and time"
        ),
    }
}

/// `tumble(ts, interval)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Tumble {
    signature: Signature,
}

impl Tumble {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Tumble {
    fn name(&self) -> &'static str {
        "tumble"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [instant, interval] => Ok(vec![instant_type(instant)?, interval_type(interval)?]),
            _ => plan_err!("tumble takes (ts, interval), found {} arguments", arg_types.len()),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        first_type(arg_types, 0)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs.first().map_or(SortProperties::Unordered, |p| p.sort_properties))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [instant, interval] = args.args.as_slice() else {
            return exec_err!("tumble takes (ts, interval)");
        };
        let Width::Micros(width_us) = width_of(interval, "tumble")? else {
            return exec_err!("tumble: months differ in length; use time_bucket");
        };
        map_instants(instant, |instant_us| Some(window_start(instant_us, width_us)))
    }
}

/// `hop(ts, slide, width)`: the start of the latest window an instant is in. In a rule a row counts
/// in every window that covers it; `hop_windows` names them all.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    signature: Signature,
}

impl Hop {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Hop {
    fn name(&self) -> &'static str {
        "hop"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        hop_types("hop", arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        first_type(arg_types, 0)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (instant, slide_us, _) = hop_args("hop", &args)?;
        map_instants(instant, |instant_us| Some(window_start(instant_us, slide_us)))
    }
}

/// `hop_windows(ts, slide, width)`: the starts of all windows an instant is in, earliest first;
/// `unnest` it to group history as a rule with `hop` does.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HopWindows {
    signature: Signature,
}

impl HopWindows {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for HopWindows {
    fn name(&self) -> &'static str {
        "hop_windows"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        hop_types("hop_windows", arg_types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(start_field())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (instant, slide_us, width_us) = hop_args("hop_windows", &args)?;
        let instants = cast(&instant.to_array(args.number_rows)?, start_field().data_type())?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let (mut starts, mut lengths) = (Vec::new(), Vec::with_capacity(instants.len()));
        for instant in instants {
            let before = starts.len();
            if let Some(instant_us) = instant {
                let last = window_start(instant_us, slide_us);
                let first = window_start(instant_us.saturating_sub(width_us), slide_us);
                let mut start = first.saturating_add(slide_us);
                while start <= last {
                    starts.push(start);
                    start = start.saturating_add(slide_us);
                }
            }
            lengths.push(starts.len() - before);
        }
        let starts = TimestampMicrosecondArray::from(starts).with_timezone("UTC");
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(Arc::new(start_field()), offsets, Arc::new(starts), None)?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}

fn start_field() -> Field {
    Field::new_list_field(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))), true)
}

fn hop_types(name: &str, arg_types: &[DataType]) -> Result<Vec<DataType>> {
    match arg_types {
        [instant, slide, width] => {
            Ok(vec![instant_type(instant)?, interval_type(slide)?, interval_type(width)?])
        }
        _ => plan_err!("{name} takes (ts, slide, width), found {} arguments", arg_types.len()),
    }
}

/// Instant, slide and width in microseconds.
fn hop_args<'a>(name: &str, args: &'a ScalarFunctionArgs) -> Result<(&'a ColumnarValue, i64, i64)> {
    let [instant, slide, width] = args.args.as_slice() else {
        return exec_err!("{name} takes (ts, slide, width)");
    };
    match (width_of(slide, name)?, width_of(width, name)?) {
        (Width::Micros(slide_us), Width::Micros(width_us))
            if width_us >= slide_us && width_us / slide_us <= MAX_OVERLAP =>
        {
            Ok((instant, slide_us, width_us))
        }
        _ => exec_err!(
            "{name}: the width is at least the slide and at most {MAX_OVERLAP} times it, both \
             without months"
        ),
    }
}

/// `session(ts, gap[, longest])`: in a rule, groups a key's rows into runs without a pause of `gap`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    signature: Signature,
}

impl Session {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Session {
    fn name(&self) -> &'static str {
        "session"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [instant, rest @ ..] if (1..=2).contains(&rest.len()) => {
                let lengths = rest.iter().map(interval_type);
                [instant_type(instant)].into_iter().chain(lengths).collect()
            }
            _ => plan_err!("session takes (ts, gap) or (ts, gap, longest)"),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        first_type(arg_types, 0)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!(
            "session() groups rows in a rule only; in a query compare event_time with \
             lag(event_time) OVER (PARTITION BY … ORDER BY event_time)"
        )
    }
}

/// `time_bucket(interval, ts)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TimeBucket {
    signature: Signature,
}

impl TimeBucket {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &'static str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [interval, instant] => Ok(vec![interval_type(interval)?, instant_type(instant)?]),
            _ => plan_err!("time_bucket takes (interval, ts), found {} arguments", arg_types.len()),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        first_type(arg_types, 1)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs.get(1).map_or(SortProperties::Unordered, |p| p.sort_properties))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval, instant] = args.args.as_slice() else {
            return exec_err!("time_bucket takes (interval, ts)");
        };
        match width_of(interval, "time_bucket")? {
            Width::Micros(width_us) => {
                map_instants(instant, |us| Some(bucket_start_local(us, width_us)))
            }
            Width::Months(months) => map_instants(instant, |us| month_start_local(us, months)),
        }
    }
}

fn first_type(arg_types: &[DataType], index: usize) -> Result<DataType> {
    match arg_types.get(index) {
        Some(found) => Ok(found.clone()),
        None => plan_err!("an argument is missing"),
    }
}

fn instant_type(found: &DataType) -> Result<DataType> {
    match found {
        DataType::Timestamp(_, _) => Ok(found.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Null => {
            Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
        }
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            Ok(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))))
        }
        _ => plan_err!("expected a timestamp, found {found}"),
    }
}

fn interval_type(found: &DataType) -> Result<DataType> {
    match found {
        DataType::Interval(_)
        | DataType::Duration(_)
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::LargeUtf8 => Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
        _ => plan_err!("expected an interval, as in INTERVAL '1 minute', found {found}"),
    }
}

/// Applies `start` to instants in microseconds, and gives back the type that came in.
fn map_instants(
    value: &ColumnarValue,
    start: impl Fn(i64) -> Option<i64>,
) -> Result<ColumnarValue> {
    match value {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(map_array(array, start)?)),
        ColumnarValue::Scalar(scalar) => {
            let mapped = map_array(&scalar.to_array()?, start)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&mapped, 0)?))
        }
    }
}

fn map_array(array: &ArrayRef, start: impl Fn(i64) -> Option<i64>) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, zone) = array.data_type().clone() else {
        return exec_err!("expected a timestamp, found {}", array.data_type());
    };
    let in_micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let array =
        if unit == TimeUnit::Microsecond { Arc::clone(array) } else { cast(array, &in_micros)? };
    let mapped: PrimitiveArray<TimestampMicrosecondType> =
        array.as_primitive::<TimestampMicrosecondType>().unary_opt(start);
    let mapped: ArrayRef = Arc::new(mapped.with_timezone_opt(zone.clone()));
    if unit == TimeUnit::Microsecond {
        return Ok(mapped);
    }
    Ok(cast(&mapped, &DataType::Timestamp(unit, zone))?)
}
