//! How each view follows from the records of the log. Pure: records in, rows out.

pub(crate) mod alerts;
pub(crate) mod cameras;
pub(crate) mod clips;
pub(crate) mod continuous;
pub(crate) mod sensors;
pub(crate) mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, StringArray};
use serde::{Deserialize, Serialize};
use vong_log::Record;
use vong_model::columns::WrongSchema;
use vong_model::{EventTime, Offset};

use crate::View;
use crate::table::Table;

/// What one view makes of a record.
pub(crate) trait Projection: Send + Debug {
    /// Called with every record, in order. Log time is the record's `appended_at`.
    fn apply(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema>;

    /// What it knows beyond its table, written down.
    fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        Ok(Vec::new())
    }

    /// Goes on from what was written down; unchanged when that cannot be read.
    fn load(&mut self, _saved: &[u8]) -> Result<(), postcard::Error> {
        Ok(())
    }
}

/// How long rows stay, in log time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) resolved: Duration,
    pub(crate) clips: Duration,
    /// Of a row of a continuous view that no other replaces.
    pub(crate) views: Duration,
}

pub(crate) fn projection(view: View, keep: Keep, counts_from: Offset) -> Box<dyn Projection> {
    match view {
        View::Sensors => Box::new(sensors::Sensors::default()),
        View::Cameras => Box::new(cameras::Cameras),
        View::Alerts => Box::new(alerts::Alerts::new(keep.resolved)),
        View::Clips => Box::new(clips::Clips::new(keep.clips)),
        View::Sources => Box::new(sources::Sources::new(counts_from)),
        View::Views => Box::new(continuous::Continuous::new(keep.views)),
    }
}

/// The text at `row`; `None` when it is null.
pub(crate) fn text_at(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// Keys that leave at a known log time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Departures {
    by_time: BTreeSet<(EventTime, Arc<str>)>,
    by_key: BTreeMap<Arc<str>, EventTime>,
}

impl Departures {
    pub(crate) fn schedule(&mut self, key: &str, at: EventTime) {
        self.cancel(key);
        let key: Arc<str> = Arc::from(key);
        self.by_key.insert(Arc::clone(&key), at);
        self.by_time.insert((at, key));
    }

    pub(crate) fn cancel(&mut self, key: &str) {
        if let Some((key, at)) = self.by_key.remove_entry(key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// Takes away every key that is due at the record's time.
    pub(crate) fn depart(&mut self, record: &Record, table: &mut Table) {
        while let Some((at, key)) = self.by_time.first().cloned()
            && at <= record.appended_at
        {
            self.cancel(&key);
            table.remove(&key, record.offset, record.appended_at);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
