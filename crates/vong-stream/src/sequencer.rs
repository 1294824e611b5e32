//! Decides how far event time has come, once, and writes the decision down.
//!
//! Every decision is a row of `watermarks` or `source_events`; the engine obeys those rows and
//! never this code, so deciding may use the clock and a replay needs none.
//!
//! Rules of the clock of a stream that devices time (`readings`):
//! - A source's clock is the latest event time of its good rows, never ahead of our own clock.
//! - The slowest source that speaks holds the watermark, but at most [`SequencerConfig::max_hold`]
//!   behind the fastest. Sources silent for [`SequencerConfig::idle_after`] hold nothing.
//! - While every source is silent the watermark goes on with the time that passes.
//! - Rows of a device whose clock runs ahead move nothing; the device is named in `source_events`.
//!
//! Streams timed by ourselves (`camera_events`, …) simply follow our clock.

mod rows;
mod saved;

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use serde::{Deserialize, Serialize};
use vong_log::{Entry, Record};
use vong_model::{EventTime, Stream};
use vong_runtime::UnixMicros;

use crate::Error;
use crate::outputs::{instants, text_at};
use rows::{Change, WatermarkRow};

pub(crate) use saved::SavedSequencer;

/// How patient event time is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SequencerConfig {
    /// How much later than its successors a row may come and still count. Milliseconds.
    pub lateness_ms: u64,
    /// A source silent for this long holds nothing back. Milliseconds.
    pub idle_after_ms: u64,
    /// A source silent for this long is dead: somebody should look at it. Milliseconds.
    pub dead_after_ms: u64,
    /// The furthest a slow source holds the others back. Milliseconds.
    pub max_hold_ms: u64,
    /// Least time between two watermarks of a stream. Milliseconds.
    pub min_advance_ms: u64,
}

impl Default for SequencerConfig {
    fn default() -> Self {
        Self {
            lateness_ms: 2_000,
            idle_after_ms: 10_000,
            dead_after_ms: 600_000,
            max_hold_ms: 10_000,
            min_advance_ms: 250,
        }
    }
}

/// One source of a stream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct SourceClock {
    /// Latest event time of a good row.
    clock: Option<EventTime>,
    /// Our clock when it last spoke.
    heard: UnixMicros,
    /// What the log says of it: it holds nothing back.
    idle: bool,
    /// And for so long that it is dead.
    dead: bool,
}

/// A device whose clock is, or was, ahead.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Device {
    ahead: bool,
    logged_ahead: bool,
    ahead_by_s: i64,
    unit_code: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct StreamClock {
    seen: bool,
    watermark: Option<EventTime>,
    decided_at: Option<UnixMicros>,
}

/// Watermarks and the states of sources.
#[derive(Debug)]
pub struct Sequencer {
    config: SequencerConfig,
    streams: BTreeMap<Stream, StreamClock>,
    sources: BTreeMap<String, SourceClock>,
    devices: BTreeMap<(String, String), Device>,
}

impl Sequencer {
    pub fn new(config: SequencerConfig) -> Self {
        Self {
            config,
            streams: BTreeMap::new(),
            sources: BTreeMap::new(),
            devices: BTreeMap::new(),
        }
    }

    /// The watermark the log holds for a stream.
    pub fn watermark(&self, stream: Stream) -> Option<EventTime> {
        self.streams.get(&stream).and_then(|clock| clock.watermark)
    }

    /// Takes a record in: rows from outside, or decisions taken earlier.
    pub fn observe(&mut self, record: &Record) {
        match record.stream {
            Stream::Readings => self.readings(record),
            Stream::Watermarks => self.watermarks(record),
            Stream::SourceEvents => self.source_events(record),
            _ => {}
        }
        if record.stream.feeds_rules() && record.batch.num_rows() > 0 {
            self.streams.entry(record.stream).or_default().seen = true;
        }
    }

    /// The log was read to its end and life goes on at `now`: the time we were away is nobody's
    /// silence, so that what a broker kept for us is not late.
    pub fn resume(&mut self, now: UnixMicros) {
        for source in self.sources.values_mut() {
            source.heard = source.heard.max(now);
        }
    }

    /// What is to be written down at `now`: changes of sources first, then watermarks.
    ///
    /// # Errors
    /// [`Error::Rows`] when the rows do not fit the stream's schema: a bug.
    pub fn decide(&mut self, now: UnixMicros) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        let changes = self.changes(now);
        if !changes.is_empty() {
            entries.push(Entry::new(Stream::SourceEvents, rows::of_sources(&changes, now)));
        }
        let watermarks = self.advances(now);
        if !watermarks.is_empty() {
            entries.push(Entry::new(Stream::Watermarks, rows::watermarks(&watermarks, now)?));
        }
        Ok(entries)
    }

    fn readings(&mut self, record: &Record) {
        let (Some(times), Some(sources), Some(qualities)) =
            (instants(record, "event_time"), ids(record, "source_id"), ids(record, "quality"))
        else {
            return;
        };
        let ahead_entry = entry_of(&qualities, "clock_ahead");
        let mut latest: Vec<Option<i64>> = vec![None; sources.values().len()];
        for (row, time) in times.values().iter().enumerate() {
            let Some(source) = sources.key(row).and_then(|entry| latest.get_mut(entry)) else {
                continue;
            };
            let ahead = ahead_entry.is_some() && qualities.key(row) == ahead_entry;
            // A silent word: the source speaks, but its time does not count.
            let counts = if ahead { i64::MIN } else { *time };
            *source = Some(source.map_or(counts, |known| known.max(counts)));
        }
        let names = sources.values().as_string::<i32>();
        for (name, latest) in names.iter().zip(latest) {
            if let (Some(name), Some(latest)) = (name, latest) {
                self.heard(name, latest, record.appended_at.micros());
            }
        }
        if ahead_entry.is_some() || self.devices.values().any(|device| device.ahead) {
            self.device_clocks(record, &times);
        }
    }

    fn heard(&mut self, source: &str, latest: i64, at: UnixMicros) {
        let clock = (latest > i64::MIN).then(|| EventTime(latest.min(at)));
        match self.sources.get_mut(source) {
            Some(known) => {
                known.clock = known.clock.max(clock);
                known.heard = known.heard.max(at);
            }
            None => {
                let new = SourceClock { clock, heard: at, idle: false, dead: false };
                self.sources.insert(source.to_owned(), new);
            }
        }
    }

    fn device_clocks(&mut self, record: &Record, times: &arrow::array::TimestampMicrosecondArray) {
        for (row, time) in times.values().iter().enumerate() {
            let text = |name| text_at(record, name, row);
            let (Some(source), Some(sensor)) = (text("source_id"), text("sensor_id")) else {
                continue;
            };
            let ahead = text("quality") == Some("clock_ahead");
            let place = (source.to_owned(), sensor.to_owned());
            if !ahead && !self.devices.contains_key(&place) {
                continue;
            }
            let device = self.devices.entry(place).or_default();
            device.ahead = ahead;
            if ahead {
                device.ahead_by_s = (*time - record.appended_at.micros()) / 1_000_000;
                device.unit_code = text("unit_code").map(str::to_owned);
            }
        }
    }

    fn watermarks(&mut self, record: &Record) {
        let Some(watermarks) = instants(record, "watermark") else { return };
        for (row, watermark) in watermarks.values().iter().enumerate() {
            if let Some(stream) = text_at(record, "stream", row).and_then(Stream::from_name) {
                let clock = self.streams.entry(stream).or_default();
                clock.watermark = clock.watermark.max(Some(EventTime(*watermark)));
            }
        }
    }

    fn source_events(&mut self, record: &Record) {
        for row in 0..record.batch.num_rows() {
            let text = |name| text_at(record, name, row);
            let Some(source) = text("source_id") else { continue };
            match (text("state"), text("sensor_id")) {
                (Some(state @ ("clock_ahead" | "clock_good")), Some(sensor)) => {
                    let place = (source.to_owned(), sensor.to_owned());
                    self.devices.entry(place).or_default().logged_ahead = state == "clock_ahead";
                }
                (Some(state @ ("idle" | "dead" | "alive")), None) => {
                    if let Some(known) = self.sources.get_mut(source) {
                        (known.idle, known.dead) = (state != "alive", state == "dead");
                    }
                }
                _ => {}
            }
        }
    }

    fn changes(&mut self, now: UnixMicros) -> Vec<Change> {
        let mut changes = Vec::new();
        let idle_after = micros(self.config.idle_after_ms);
        let dead_after = micros(self.config.dead_after_ms).max(idle_after);
        for (source_id, source) in &mut self.sources {
            let silent = now.saturating_sub(source.heard);
            let (idle, dead) = (silent > idle_after, silent > dead_after);
            let before = (source.idle, source.dead);
            (source.idle, source.dead) = (idle, dead);
            if (idle, dead) == before {
                continue;
            }
            changes.push(Change {
                source_id: source_id.clone(),
                sensor_id: None,
                state: match (idle, dead) {
                    (_, true) => "dead",
                    (true, false) => "idle",
                    (false, false) => "alive",
                },
                detail: idle.then(|| format!("silent for {} s", silent / 1_000_000)),
                unit_code: None,
            });
        }
        for ((source_id, sensor_id), device) in &mut self.devices {
            if device.ahead == std::mem::replace(&mut device.logged_ahead, device.ahead) {
                continue;
            }
            changes.push(Change {
                source_id: source_id.clone(),
                sensor_id: Some(sensor_id.clone()),
                state: if device.ahead { "clock_ahead" } else { "clock_good" },
                detail: device.ahead.then(|| format!("ahead by {} s", device.ahead_by_s)),
                unit_code: device.unit_code.clone(),
            });
        }
        self.devices.retain(|_, device| device.ahead || device.logged_ahead);
        changes
    }

    fn advances(&mut self, now: UnixMicros) -> Vec<WatermarkRow> {
        let lateness = Duration::from_millis(self.config.lateness_ms);
        let by_devices = self.readings_clock(now);
        let least = micros(self.config.min_advance_ms);
        let mut rows = Vec::new();
        for (stream, clock) in self.streams.iter_mut().filter(|(_, clock)| clock.seen) {
            let timed_by_us = *stream != Stream::Readings;
            // Our own streams are sparse: once a second is plenty for them.
            let least = if timed_by_us { least.max(1_000_000) } else { least };
            let (reached, reason) = match by_devices {
                _ if timed_by_us => (EventTime(now), "idle"),
                Some(reached) => reached,
                None => continue,
            };
            let watermark = reached.saturating_sub(lateness);
            let rested = clock.decided_at.is_none_or(|at| now.saturating_sub(at) >= least);
            if rested && clock.watermark.is_none_or(|known| watermark > known) {
                clock.watermark = Some(watermark);
                clock.decided_at = Some(now);
                rows.push(WatermarkRow { stream: *stream, watermark, reason });
            }
        }
        rows
    }

    /// How far the devices' time has come, and what says so.
    fn readings_clock(&self, now: UnixMicros) -> Option<(EventTime, &'static str)> {
        let of = |idle: bool| {
            self.sources.values().filter(move |s| s.idle == idle).filter_map(|s| s.clock)
        };
        if let Some((slowest, fastest)) = of(false).min().zip(of(false).max()) {
            let hold = Duration::from_millis(self.config.max_hold_ms);
            return Some((slowest.max(fastest.saturating_sub(hold)), "data"));
        }
        let latest = of(true).max()?;
        let timed = self.sources.values().filter(|source| source.clock.is_some());
        let heard = timed.map(|source| source.heard).max()?;
        let passed = u64::try_from(now.saturating_sub(heard)).unwrap_or(0);
        Some((latest.saturating_add(Duration::from_micros(passed)), "idle"))
    }
}

impl Sequencer {
    /// How far the stream's event time has come and what holds it, in lines; `now` by our clock,
    /// `watermark` as the engine has it.
    pub fn explain(
        &self,
        stream: Stream,
        now: UnixMicros,
        watermark: Option<EventTime>,
    ) -> Vec<String> {
        let behind = |time: EventTime| now.saturating_sub(time.micros()) as f64 / 1e6;
        let mut lines = vec![match watermark {
            Some(at) => {
                format!("watermark of {}: {:.1} s behind our clock", stream.name(), behind(at))
            }
            None => format!("{} has no watermark yet: nothing came", stream.name()),
        }];
        if stream != Stream::Readings {
            lines.push("it follows our own clock: the rows are timed by us".to_owned());
            return lines;
        }
        let lateness = self.config.lateness_ms;
        lines.push(format!("rows may be {lateness} ms later than their successors"));
        let speaking = self.sources.iter().filter(|(_, source)| !source.idle);
        let slowest = speaking.filter_map(|(id, source)| Some((source.clock?, id))).min();
        for (source_id, source) in &self.sources {
            let clock = source.clock.map(|clock| format!("{:.1} s behind", behind(clock)));
            let holds = slowest.is_some_and(|(_, slowest)| slowest == source_id);
            let state = match (source.idle, holds) {
                (true, _) if source.dead => "dead: holds nothing, somebody should look at it",
                (true, _) => "idle: holds nothing",
                (false, true) => "the slowest that speaks: it holds the watermark",
                (false, false) => "speaks",
            };
            let clock = clock.unwrap_or_else(|| "no good row yet".to_owned());
            lines.push(format!("source {source_id}: {clock}, {state}"));
        }
        for ((source_id, sensor_id), device) in self.devices.iter().filter(|(_, d)| d.ahead) {
            lines.push(format!(
                "device {sensor_id} of {source_id}: its clock is {} s ahead; its rows take no part",
                device.ahead_by_s
            ));
        }
        lines
    }
}

fn micros(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000)
}

fn ids(record: &Record, name: &str) -> Option<arrow::array::DictionaryArray<Int32Type>> {
    let column = record.batch.column(record.stream.column_index(name));
    column.as_dictionary_opt::<Int32Type>().cloned()
}

/// The dictionary's entry that is `text`.
fn entry_of(column: &arrow::array::DictionaryArray<Int32Type>, text: &str) -> Option<usize> {
    column.values().as_string_opt::<i32>()?.iter().position(|value| value == Some(text))
}

#[cfg(test)]
mod tests;
