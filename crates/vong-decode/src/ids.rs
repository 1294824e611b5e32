//! Numbers for the ids that rows repeat, so that a row carries no text.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use vong_model::Assets;

use crate::batch::Id;

/// Sensors nobody registered are numbered up to here, then forgotten between batches.
const UNREGISTERED_MAX: usize = 65_536;
const SENSOR_ID_BYTES_MAX: usize = 128;

/// Sensors, unit codes, and the names (metrics, units) of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    sensors: Vec<Sensor>,
    registered: usize,
    by_id: HashMap<Arc<str>, usize>,
    unit_codes: Vec<String>,
    names: Vec<String>,
}

#[derive(Clone, Debug)]
struct Sensor {
    id: Arc<str>,
    unit_code: Option<usize>,
}

/// Why a text is no sensor id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SensorIdProblem {
    Empty,
    Unusable,
}

impl fmt::Display for SensorIdProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing",
            Self::Unusable => "more than 128 bytes or control characters",
        })
    }
}

impl Ids {
    pub(crate) fn new(assets: &Assets) -> Self {
        let mut ids = Self::default();
        for sensor in assets.sensors.values() {
            let code = sensor.unit_code.as_str();
            let unit_code = (!code.is_empty()).then(|| intern(&mut ids.unit_codes, code));
            ids.add(Arc::from(sensor.sensor_id.as_str()), unit_code);
        }
        ids.registered = ids.sensors.len();
        ids
    }

    /// The number of a metric or unit.
    pub(crate) fn name(&mut self, text: &str) -> usize {
        intern(&mut self.names, text)
    }

    pub(crate) fn named(&self, number: usize) -> Id<'_> {
        Id { number, text: self.names.get(number).map_or("", String::as_str) }
    }

    pub(crate) fn intern_sensor(&mut self, id: &str) -> Result<usize, SensorIdProblem> {
        if let Some(number) = self.by_id.get(id) {
            return Ok(*number);
        }
        if id.is_empty() {
            return Err(SensorIdProblem::Empty);
        }
        if id.len() > SENSOR_ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(SensorIdProblem::Unusable);
        }
        Ok(self.add(Arc::from(id), None))
    }

    pub(crate) fn is_registered(&self, sensor: usize) -> bool {
        sensor < self.registered
    }

    pub(crate) fn sensor(&self, number: usize) -> Id<'_> {
        Id { number, text: self.sensors.get(number).map_or("", |s| &s.id) }
    }

    pub(crate) fn unit_code_of(&self, sensor: usize) -> Option<Id<'_>> {
        let number = self.sensors.get(sensor)?.unit_code?;
        Some(Id { number, text: self.unit_codes.get(number)? })
    }

    /// Forgets the sensors nobody registered once they are too many; true if it did.
    /// Numbers given to them before mean nothing afterwards.
    pub(crate) fn trim(&mut self) -> bool {
        if self.sensors.len().saturating_sub(self.registered) <= UNREGISTERED_MAX {
            return false;
        }
        self.sensors.truncate(self.registered);
        let registered = self.registered;
        self.by_id.retain(|_, number| *number < registered);
        true
    }

    fn add(&mut self, id: Arc<str>, unit_code: Option<usize>) -> usize {
        let number = self.sensors.len();
        self.sensors.push(Sensor { id: Arc::clone(&id), unit_code });
        self.by_id.insert(id, number);
        number
    }
}

fn intern(texts: &mut Vec<String>, text: &str) -> usize {
    if let Some(number) = texts.iter().position(|t| t == text) {
        return number;
    }
    texts.push(text.to_owned());
    texts.len().saturating_sub(1)
}
