//! Latest row of each key of each continuous view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType, UInt64Type};
use vong_log::Record;
use vong_model::columns::{KeyColumn, WrongSchema};
use vong_model::view::{Layout, ValueType};
use vong_model::{Columns, Stream};

use super::{Departures, Projection};
use crate::message::FieldValue;
use crate::table::Table;

pub(crate) const COLUMNS: &[&str] = &["view", "columns", "values", "event_time_ms"];
const EVENT_TIME: usize = 3;

/// Rows leave after `keep` without another of their key, and with their view.
#[derive(Debug)]
pub(crate) struct Continuous {
    keep: Duration,
    departures: Departures,
    keys: BTreeMap<String, BTreeSet<Arc<str>>>,
}

impl Continuous {
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, departures: Departures::default(), keys: BTreeMap::new() }
    }

    /// A view that is made anew begins empty, one that is dropped leaves nothing.
    fn changed(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        let columns = Columns::new(record.stream, &record.batch);
        let (names, actions) = (columns.keys("rule_id")?, columns.keys("action")?);
        for row in 0..record.batch.num_rows() {
            let (Some(name), Some("create" | "alter" | "drop")) =
                (names.get(row), actions.get(row))
            else {
                continue;
            };
            for key in self.keys.remove(name).unwrap_or_default() {
                self.departures.cancel(&key);
                table.remove(&key, record.offset, record.appended_at);
            }
        }
        Ok(())
    }

    fn rows(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        let columns = Columns::new(record.stream, &record.batch);
        let (views, layouts) = (columns.keys("view")?, columns.keys("layout")?);
        let times = columns.times("event_time")?;
        for (view, text) in kinds(&views, &layouts, record.batch.num_rows()) {
            let Ok(layout) = text.parse::<Layout>() else { continue };
            let own = |row: &u32| {
                views.get(*row as usize) == Some(view) && layouts.get(*row as usize) == Some(text)
            };
            let rows: Vec<u32> = (0..).take(record.batch.num_rows()).filter(own).collect();
            let Some(found) = unpacked(&record.batch, &layout, &rows) else { continue };
            let texts: Vec<usize> = layout.keys().collect();
            for (place, row) in rows.iter().enumerate() {
                let key = key(view, texts.iter().map(|text| &found[*text]), place);
                let at = FieldValue::millis(Some(times.value(*row as usize)));
                let values = layout.columns().iter().zip(&found);
                let values = values.map(|((_, of), column)| value(*of, column, place)).collect();
                let fields = vec![
                    FieldValue::text(Some(view)),
                    FieldValue::text(Some(text)),
                    FieldValue::List(values),
                    at,
                ];
                self.put(view, &key, fields, record, table);
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        view: &str,
        key: &str,
        fields: Vec<FieldValue>,
        record: &Record,
        table: &mut Table,
    ) {
        let is_older = match (table.field(key, EVENT_TIME), fields.get(EVENT_TIME)) {
            (Some(FieldValue::Int(shown)), Some(FieldValue::Int(new))) => new < shown,
            _ => false,
        };
        if is_older {
            return;
        }
        table.put(key, record.offset, 1, fields);
        self.departures.schedule(key, record.appended_at.saturating_add(self.keep));
        self.keys.entry(view.to_owned()).or_default().insert(Arc::from(key));
    }
}

impl Projection for Continuous {
    fn apply(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        self.departures.depart(record, table);
        match record.stream {
            Stream::RuleChanges => self.changed(record, table),
            Stream::ViewRows => self.rows(record, table),
            _ => Ok(()),
        }
    }

    fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&(&self.departures, &self.keys))
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), postcard::Error> {
        (self.departures, self.keys) = postcard::from_bytes(saved)?;
        Ok(())
    }
}

/// The views and layouts in a record; a record has few.
fn kinds<'a>(
    views: &KeyColumn<'a>,
    layouts: &KeyColumn<'a>,
    rows: usize,
) -> BTreeSet<(&'a str, &'a str)> {
    (0..rows).filter_map(|row| Some((views.get(row)?, layouts.get(row)?))).collect()
}

fn unpacked(batch: &RecordBatch, layout: &Layout, rows: &[u32]) -> Option<Vec<ArrayRef>> {
    let rows = UInt32Array::from(rows.to_vec());
    let own = take_record_batch(batch, &rows).ok()?;
    layout.unpack(&own).ok()
}

/// `view/text/text`.
fn key<'a>(view: &str, texts: impl Iterator<Item = &'a ArrayRef>, row: usize) -> String {
    let mut key = view.to_owned();
    for column in texts {
        let texts = column.as_string::<i32>();
        key.push('/');
        key.push_str(if texts.is_null(row) { "" } else { texts.value(row) });
    }
    key
}

fn value(of: ValueType, column: &ArrayRef, row: usize) -> FieldValue {
    if column.is_null(row) {
        return FieldValue::Null;
    }
    match of {
        ValueType::Text => FieldValue::text(Some(column.as_string::<i32>().value(row))),
        ValueType::Float => FieldValue::Float(column.as_primitive::<Float64Type>().value(row)),
        ValueType::Int => FieldValue::Int(column.as_primitive::<Int64Type>().value(row)),
        // A reader of JSON has no integer so large: its digits as text.
        ValueType::UInt => {
            let whole = column.as_primitive::<UInt64Type>().value(row);
            i64::try_from(whole)
                .map_or_else(|_large| FieldValue::text(Some(&whole.to_string())), FieldValue::Int)
        }
        ValueType::Bool => FieldValue::Bool(column.as_boolean().value(row)),
        ValueType::Time => {
            FieldValue::millis(Some(column.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
    }
}
