//! One configured source, compiled: what to read from a payload, and how to judge it.

use std::time::Duration;

use vong_model::EventTime;

use crate::batch::{DecodedBatch, Id, Reading, Reject};
use crate::config::{FieldConfig, FieldKind, SensorIdConfig, SourceConfig, UnknownSensors};
use crate::decoder::Tally;
use crate::error::Error;
use crate::hash;
use crate::ids::{Ids, SensorIdProblem};
use crate::json::{Extractor, Found, Malformed, Slots};
use crate::reason::RejectReason;
use crate::timestamp::TimestampFormat;
use crate::topic::TopicTemplate;

#[derive(Clone, Debug)]
pub(crate) struct SourceDecoder {
    pub(crate) id: String,
    pub(crate) id_hash: u64,
    pub(crate) qos: u8,
    pub(crate) template: TopicTemplate,
    number: usize,
    extractor: Extractor,
    timestamp: Option<TimestampAt>,
    sensor_id: Option<SensorIdAt>,
    unknown_sensors: UnknownSensors,
    max_age: Duration,
    max_ahead: Duration,
    clock_tolerance: Duration,
    fields: Vec<FieldDecoder>,
}

#[derive(Clone, Debug)]
struct TimestampAt {
    slot: usize,
    pointer: String,
    format: TimestampFormat,
}

#[derive(Clone, Debug)]
struct SensorIdAt {
    slot: usize,
    pointer: String,
    strip_prefix: Option<String>,
}

#[derive(Clone, Debug)]
struct FieldDecoder {
    slot: usize,
    pointer: String,
    metric: usize,
    unit: Option<usize>,
    kind: FieldKind,
    scale: Scale,
    min: f64,
    max: f64,
    optional: bool,
}

/// A factor. One over a whole number divides by that number, so that 3300 mV are 3.3 V and not
/// 3.3000000000000003 V.
#[derive(Clone, Copy, Debug)]
enum Scale {
    Times(f64),
    Over(f64),
}

impl Scale {
    fn new(factor: f64) -> Self {
        let inverse = 1.0 / factor;
        if inverse.fract() == 0.0 { Self::Over(inverse) } else { Self::Times(factor) }
    }

    fn apply(self, raw: f64) -> f64 {
        match self {
            Self::Times(factor) => raw * factor,
            Self::Over(inverse) => raw / inverse,
        }
    }
}

/// One message on its way through a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) arrival: EventTime,
    pub(crate) message_hash: u64,
    /// From the topic, where the topic has it.
    pub(crate) sensor: Option<Result<usize, SensorIdProblem>>,
}

/// What decoding writes to.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) ids: &'a mut Ids,
    pub(crate) slots: &'a mut Slots,
    pub(crate) batch: &'a mut DecodedBatch,
}

/// Why something was refused, in words.
#[derive(Debug)]
struct Problem {
    reason: RejectReason,
    detail: String,
}

fn problem(reason: RejectReason, detail: String) -> Problem {
    Problem { reason, detail }
}

/// The event time, and whether the device's clock runs ahead.
#[derive(Clone, Copy, Debug)]
struct Moment {
    event_time: EventTime,
    clock_ahead: bool,
}

impl SourceDecoder {
    pub(crate) fn compile(
        config: &SourceConfig,
        number: usize,
        ids: &mut Ids,
    ) -> Result<Self, Error> {
        let refuse = |problem: &str| Error::Source {
            source_id: config.id.clone(),
            problem: problem.to_owned(),
        };
        let template = TopicTemplate::compile(&config.topic).map_err(|problem| Error::Topic {
            source_id: config.id.clone(),
            topic: config.topic.clone(),
            problem,
        })?;
        if config.id.is_empty() {
            return Err(refuse("id is empty"));
        }
        if config.qos > 1 {
            return Err(refuse("qos must be 0 or 1: repeated deliveries are recognised anyway"));
        }
        if template.captures_sensor_id() == config.sensor_id.is_some() {
            return Err(refuse(
                "the sensor's id must come from {sensor_id} in the topic or from sensor_id.pointer, not both",
            ));
        }
        if config.clock_tolerance > config.max_ahead {
            return Err(refuse("clock_tolerance is longer than max_ahead"));
        }
        if config.fields.is_empty() {
            return Err(refuse("has no [[source.field]]"));
        }
        let mut extractor = Extractor::default();
        let mut want = |pointer: &str| {
            extractor.want(pointer).map_err(|problem| Error::Pointer {
                source_id: config.id.clone(),
                pointer: pointer.to_owned(),
                problem,
            })
        };
        let timestamp = compile_timestamp(config, &mut want)?;
        let sensor_id = compile_sensor_id(config.sensor_id.as_ref(), &mut want)?;
        let mut fields = Vec::with_capacity(config.fields.len());
        for (place, field) in config.fields.iter().enumerate() {
            check_field(config, field, place)?;
            fields.push(FieldDecoder {
                slot: want(&field.pointer)?,
                pointer: field.pointer.clone(),
                metric: ids.name(&field.metric),
                unit: field.unit.as_deref().map(|unit| ids.name(unit)),
                kind: field.kind,
                scale: Scale::new(field.scale),
                min: field.min.unwrap_or(f64::NEG_INFINITY),
                max: field.max.unwrap_or(f64::INFINITY),
                optional: field.optional,
            });
        }
        Ok(Self {
            id: config.id.clone(),
            id_hash: hash::of_topic(&config.id),
            qos: config.qos,
            template,
            number,
            extractor,
            timestamp,
            sensor_id,
            unknown_sensors: config.unknown_sensors,
            max_age: config.max_age.0,
            max_ahead: config.max_ahead.0,
            clock_tolerance: config.clock_tolerance.0,
            fields,
        })
    }

    pub(crate) fn as_id(&self) -> Id<'_> {
        Id { number: self.number, text: &self.id }
    }

    pub(crate) fn carries_time(&self) -> bool {
        self.timestamp.is_some()
    }

    /// Appends the message's rows and rejects: at least one of either.
    pub(crate) fn decode(&self, input: &Input<'_>, work: &mut Work<'_>) -> Tally {
        let mut tally = Tally::default();
        if let Err(problem) = self.decode_fields(input, work, &mut tally) {
            self.reject(input, work.batch, &problem, &mut tally);
        } else if tally == Tally::default() {
            let detail = "expected at least one of the optional fields, found none".to_owned();
            let nothing = problem(RejectReason::MissingField, detail);
            self.reject(input, work.batch, &nothing, &mut tally);
        }
        tally
    }

    fn decode_fields(
        &self,
        input: &Input<'_>,
        work: &mut Work<'_>,
        tally: &mut Tally,
    ) -> Result<(), Problem> {
        self.extractor.extract(input.payload, work.slots).map_err(|e| malformed(input, &e))?;
        let moment = self.moment(work.slots, input.arrival)?;
        let sensor = self.sensor(input, work)?;
        for field in &self.fields {
            match field.value(work.slots) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    work.batch.readings.push(&Reading {
                        event_time: moment.event_time,
                        arrival_time: input.arrival,
                        source: self.as_id(),
                        sensor: work.ids.sensor(sensor),
                        metric: work.ids.named(field.metric),
                        value,
                        unit: field.unit.map(|unit| work.ids.named(unit)),
                        unit_code: work.ids.unit_code_of(sensor),
                        clock_ahead: moment.clock_ahead,
                        message_hash: input.message_hash,
                    });
                    tally.rows = tally.rows.saturating_add(1);
                }
                Err(problem) => self.reject(input, work.batch, &problem, tally),
            }
        }
        Ok(())
    }

    fn moment(&self, slots: &Slots, arrival: EventTime) -> Result<Moment, Problem> {
        let Some(TimestampAt { slot, pointer, format }) = &self.timestamp else {
            return Ok(Moment { event_time: arrival, clock_ahead: false });
        };
        let found = slots.get(*slot);
        let text = slots.text_of(found);
        if matches!(found, Found::Missing | Found::Null) {
            let detail =
                format!("{}: expected a timestamp, found {}", at(pointer), found.describe());
            return Err(problem(RejectReason::MissingField, detail));
        }
        let event_time = format.read(found, text).map_err(|expected| {
            let detail =
                format!("{}: expected {expected}, found {}", at(pointer), shown(found, text));
            problem(RejectReason::BadTimestamp, detail)
        })?;
        if arrival.since(event_time) > self.max_age {
            let detail = format!("{}: {event_time} is older than max_age allows", at(pointer));
            return Err(problem(RejectReason::TimeTooOld, detail));
        }
        let ahead = event_time.since(arrival);
        if ahead > self.max_ahead {
            let detail = format!("{}: {event_time} is further ahead than max_ahead", at(pointer));
            return Err(problem(RejectReason::TimeInFuture, detail));
        }
        Ok(Moment { event_time, clock_ahead: ahead > self.clock_tolerance })
    }

    fn sensor(&self, input: &Input<'_>, work: &mut Work<'_>) -> Result<usize, Problem> {
        let (sensor, whence) = match (&self.sensor_id, input.sensor) {
            (Some(at_pointer), _) => (at_pointer.read(work)?, at(&at_pointer.pointer)),
            (None, Some(from_topic)) => (from_topic, "the topic"),
            (None, None) => (Err(SensorIdProblem::Empty), "the topic"),
        };
        let sensor = sensor.map_err(|e| {
            let reason = match e {
                SensorIdProblem::Empty => RejectReason::MissingField,
                SensorIdProblem::Unusable => RejectReason::WrongType,
            };
            problem(reason, format!("{whence}: expected a sensor id, found {e}"))
        })?;
        if self.unknown_sensors == UnknownSensors::Reject && !work.ids.is_registered(sensor) {
            let id = work.ids.sensor(sensor).text;
            let detail = format!("{whence}: expected a registered sensor, found '{id}'");
            return Err(problem(RejectReason::UnknownSensor, detail));
        }
        Ok(sensor)
    }

    #[cold]
    fn reject(
        &self,
        input: &Input<'_>,
        batch: &mut DecodedBatch,
        problem: &Problem,
        tally: &mut Tally,
    ) {
        batch.rejects.push(&Reject {
            arrival_time: input.arrival,
            source: self.as_id(),
            topic: input.topic,
            reason: problem.reason,
            detail: &problem.detail,
            payload: input.payload,
            message_hash: input.message_hash,
        });
        tally.rejects = tally.rejects.saturating_add(1);
    }
}

impl SensorIdAt {
    fn read(&self, work: &mut Work<'_>) -> Result<Result<usize, SensorIdProblem>, Problem> {
        let found = work.slots.get(self.slot);
        let number;
        let text = match found {
            Found::Text(_) => work.slots.text_of(found),
            Found::Integer(id) => {
                number = id.to_string();
                &number
            }
            Found::Missing | Found::Null => "",
            other => {
                let detail = format!(
                    "{}: expected a sensor id, found {}",
                    at(&self.pointer),
                    other.describe()
                );
                return Err(problem(RejectReason::WrongType, detail));
            }
        };
        let prefix = self.strip_prefix.as_deref().unwrap_or("");
        Ok(work.ids.intern_sensor(text.strip_prefix(prefix).unwrap_or(text)))
    }
}

impl FieldDecoder {
    /// The value in the field's unit; none when it is optional and absent.
    fn value(&self, slots: &Slots) -> Result<Option<f64>, Problem> {
        let found = slots.get(self.slot);
        let raw = match (self.kind, found) {
            (_, Found::Missing | Found::Null) if self.optional => return Ok(None),
            (_, Found::Missing | Found::Null) => {
                return Err(self.problem(RejectReason::MissingField, found.describe()));
            }
            (FieldKind::Number, Found::Integer(value)) => *value as f64,
            (FieldKind::Number, Found::Number(value)) => *value,
            (FieldKind::Boolean, Found::Bool(value)) => f64::from(u8::from(*value)),
            (FieldKind::NumericText, Found::Text(_)) => {
                let text = slots.text_of(found);
                let parsed = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
                parsed.ok_or_else(|| self.problem(RejectReason::WrongType, &shown(found, text)))?
            }
            (_, Found::Repeated) => {
                return Err(self.problem(RejectReason::MalformedJson, found.describe()));
            }
            _ => return Err(self.problem(RejectReason::WrongType, found.describe())),
        };
        let value = self.scale.apply(raw);
        if !value.is_finite() || value < self.min || value > self.max {
            let Self { pointer, min, max, .. } = self;
            let detail = format!("{}: expected {min} to {max}, found {value}", at(pointer));
            return Err(problem(RejectReason::OutOfRange, detail));
        }
        Ok(Some(value))
    }

    #[cold]
    fn problem(&self, reason: RejectReason, found: &str) -> Problem {
        let expected = match self.kind {
            FieldKind::Number => "a number",
            FieldKind::Boolean => "true or false",
            FieldKind::NumericText => "a number in a string",
        };
        problem(reason, format!("{}: expected {expected}, found {found}", at(&self.pointer)))
    }
}

fn compile_timestamp(
    config: &SourceConfig,
    want: &mut impl FnMut(&str) -> Result<usize, Error>,
) -> Result<Option<TimestampAt>, Error> {
    let Some(timestamp) = &config.timestamp else { return Ok(None) };
    let format = TimestampFormat::compile(timestamp).map_err(|problem| Error::TimestampFormat {
        source_id: config.id.clone(),
        format: timestamp.format.clone(),
        problem,
    })?;
    let (slot, pointer) = (want(&timestamp.pointer)?, timestamp.pointer.clone());
    Ok(Some(TimestampAt { slot, pointer, format }))
}

fn compile_sensor_id(
    config: Option<&SensorIdConfig>,
    want: &mut impl FnMut(&str) -> Result<usize, Error>,
) -> Result<Option<SensorIdAt>, Error> {
    let Some(SensorIdConfig { pointer, strip_prefix }) = config else { return Ok(None) };
    let (slot, strip_prefix) = (want(pointer)?, strip_prefix.clone());
    Ok(Some(SensorIdAt { slot, pointer: pointer.clone(), strip_prefix }))
}

fn check_field(config: &SourceConfig, field: &FieldConfig, place: usize) -> Result<(), Error> {
    let earlier = config.fields.iter().take(place);
    let problem = if field.metric.is_empty() {
        "metric is empty"
    } else if earlier.clone().any(|other| other.metric == field.metric) {
        "is configured twice"
    } else if !field.scale.is_finite() || field.scale == 0.0 {
        "scale must be a finite number other than 0"
    } else if field.min.is_some_and(f64::is_nan) || field.max.is_some_and(f64::is_nan) {
        "min and max must be numbers"
    } else if field.min.unwrap_or(f64::NEG_INFINITY) > field.max.unwrap_or(f64::INFINITY) {
        "min is greater than max"
    } else {
        return Ok(());
    };
    let (source_id, metric) = (config.id.clone(), field.metric.clone());
    Err(Error::Field { source_id, metric, problem })
}

#[cold]
fn malformed(input: &Input<'_>, error: &Malformed) -> Problem {
    if input.payload.is_empty() {
        let detail = "payload: expected JSON, found nothing".to_owned();
        return problem(RejectReason::MalformedJson, detail);
    }
    let text = error.to_string();
    // serde_json has no other way to tell a number no f64 can hold from a misspelt one.
    let reason = if text.starts_with("number out of range") {
        RejectReason::OutOfRange
    } else {
        RejectReason::MalformedJson
    };
    problem(reason, format!("payload: expected JSON, found: {text}"))
}

/// A pointer as a sentence names it.
fn at(pointer: &str) -> &str {
    if pointer.is_empty() { "payload" } else { pointer }
}

fn shown(found: &Found, text: &str) -> String {
    match found {
        Found::Text(_) => format!("'{}'", text.chars().take(64).collect::<String>().escape_debug()),
        Found::Integer(value) => value.to_string(),
        Found::Number(value) => value.to_string(),
        other => other.describe().to_owned(),
    }
}
