//! State and row counts per source.
//!
//! Counts begin with this process. They enter the view once per second of log time: a screen shows
//! that rows come in, it does not follow each.

use std::collections::BTreeMap;
use std::sync::Arc;

use vong_log::Record;
use vong_model::columns::{KeyColumn, WrongSchema};
use vong_model::{Columns, Offset, Stream};

use super::{Projection, text_at};
use crate::message::FieldValue;
use crate::table::Table;

pub(crate) const COLUMNS: &[&str] =
    &["source_id", "state", "detail", "event_time_ms", "rows_in", "rows_rejected"];

#[derive(Debug)]
pub(crate) struct Sources {
    counts_from: Offset,
    sources: BTreeMap<Arc<str>, Source>,
    shown_second: i64,
}

#[derive(Debug)]
struct Source {
    state: FieldValue,
    detail: FieldValue,
    event_time: FieldValue,
    rows_in: i64,
    rows_rejected: i64,
    /// Changes that are not in the view yet.
    waiting: u64,
}

impl Sources {
    pub(crate) fn new(counts_from: Offset) -> Self {
        Self { counts_from, sources: BTreeMap::new(), shown_second: i64::MIN }
    }

    fn source(&mut self, source_id: &str) -> &mut Source {
        self.sources.entry(Arc::from(source_id)).or_insert_with(|| Source {
            state: FieldValue::Null,
            detail: FieldValue::Null,
            event_time: FieldValue::Null,
            rows_in: 0,
            rows_rejected: 0,
            waiting: 1, // it is new: that alone must be shown
        })
    }

    fn count(&mut self, ids: KeyColumn<'_>, record: &Record, into: fn(&mut Source) -> &mut i64) {
        let mut rows: BTreeMap<&str, i64> = BTreeMap::new();
        for id in (0..record.batch.num_rows()).filter_map(|row| ids.get(row)) {
            *rows.entry(id).or_default() += 1;
        }
        for (id, rows) in rows {
            let counted = if record.offset >= self.counts_from { rows } else { 0 };
            let source = self.source(id);
            *into(source) += counted;
            source.waiting += u64::try_from(counted).unwrap_or(0);
        }
    }

    fn states(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        let columns = Columns::new(record.stream, &record.batch);
        let (ids, sensors) = (columns.keys("source_id")?, columns.keys("sensor_id")?);
        let (states, times) = (columns.keys("state")?, columns.times("event_time")?);
        let details = columns.texts("detail")?;
        for row in 0..record.batch.num_rows() {
            // About one sensor: says nothing about the source.
            let (Some(id), None) = (ids.get(row), sensors.get(row)) else { continue };
            let source = self.source(id);
            source.state = FieldValue::text(states.get(row));
            source.detail = FieldValue::text(text_at(details, row));
            source.event_time = FieldValue::millis(Some(times.value(row)));
            source.waiting += 1;
            show(id, source, record.offset, table);
        }
        Ok(())
    }

    fn show_counts(&mut self, record: &Record, table: &mut Table) {
        let second = record.appended_at.micros().div_euclid(1_000_000);
        if second == self.shown_second {
            return;
        }
        self.shown_second = second;
        for (id, source) in self.sources.iter_mut().filter(|(_, source)| source.waiting > 0) {
            show(id, source, record.offset, table);
        }
    }
}

fn show(id: &str, source: &mut Source, rev: Offset, table: &mut Table) {
    let Source { state, detail, event_time, rows_in, rows_rejected, waiting } = source;
    let fields = vec![
        FieldValue::text(Some(id)),
        state.clone(),
        detail.clone(),
        event_time.clone(),
        FieldValue::Int(*rows_in),
        FieldValue::Int(*rows_rejected),
    ];
    table.put(id, rev, std::mem::take(waiting), fields);
}

impl Projection for Sources {
    fn apply(&mut self, record: &Record, table: &mut Table) -> Result<(), WrongSchema> {
        let columns = Columns::new(record.stream, &record.batch);
        match record.stream {
            Stream::Readings => self.count(columns.keys("source_id")?, record, |s| &mut s.rows_in),
            Stream::RejectedEvents => {
                self.count(columns.keys("source_id")?, record, |s| &mut s.rows_rejected);
            }
            Stream::SourceEvents => self.states(record, table)?,
            _ => {}
        }
        self.show_counts(record, table);
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, postcard::Error> {
        let states = self.sources.iter().map(|(id, source)| {
            let Source { state, detail, event_time, .. } = source;
            (id, (state, detail, event_time))
        });
        postcard::to_stdvec(&states.collect::<BTreeMap<_, _>>())
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), postcard::Error> {
        let saved: BTreeMap<Arc<str>, (FieldValue, FieldValue, FieldValue)> =
            postcard::from_bytes(saved)?;
        self.sources.clear();
        for (id, (state, detail, event_time)) in saved {
            // Shown again with the next record, because the counts begin anew.
            *self.source(&id) =
                Source { state, detail, event_time, rows_in: 0, rows_rejected: 0, waiting: 1 };
        }
        Ok(())
    }
}
