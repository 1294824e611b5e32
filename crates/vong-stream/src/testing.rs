//! Records and whole stories from lines of text, for tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::Int32Type;
use vong_log::Record;
use vong_model::{EventTime, Offset, Stream};

use crate::outputs::{Outputs, TransitionRow};
use crate::{Counts, Engine, RulePlanner, tables};

pub(crate) const SECOND: i64 = 1_000_000;

/// One reading.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) at_us: i64,
    pub(crate) sensor: String,
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) ahead: bool,
}

impl Row {
    pub(crate) fn new(at_us: i64, sensor: &str, metric: &str, value: f64) -> Self {
        let (sensor, metric) = (sensor.to_owned(), metric.to_owned());
        Self { at_us, sensor, metric, value, ahead: false }
    }
}

pub(crate) fn ids<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<DictionaryArray<Int32Type>>())
}

fn times(micros: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

pub(crate) fn readings(rows: &[Row]) -> RecordBatch {
    // The source is named after the letters of the sensor's id, as in WL-001 of source wl.
    let sources: Vec<String> = rows
        .iter()
        .map(|r| r.sensor.chars().take_while(|c| c.is_alphabetic()).collect::<String>())
        .collect();
    let arrival = |r: &Row| if r.ahead { r.at_us - 300 * SECOND } else { r.at_us };
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|r| r.at_us)),
        times(rows.iter().map(arrival)),
        ids(sources.iter().map(|s| Some(s.as_str()))),
        ids(rows.iter().map(|r| Some(r.sensor.as_str()))),
        ids(rows.iter().map(|r| Some(r.metric.as_str()))),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.value))),
        ids(rows.iter().map(|_| None)),
        ids(rows.iter().map(|r| r.sensor.ends_with('1').then_some("00101"))),
        ids(rows.iter().map(|r| Some(if r.ahead { "clock_ahead" } else { "good" }))),
        Arc::new(UInt64Array::from_iter_values(0..rows.len() as u64)),
    ];
    RecordBatch::try_new(Stream::Readings.schema(), columns).unwrap()
}

pub(crate) fn watermark(stream: &str, at_us: i64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        times([at_us].into_iter()),
        ids([Some(stream)].into_iter()),
        times([at_us].into_iter()),
        ids([Some("data")].into_iter()),
    ];
    RecordBatch::try_new(Stream::Watermarks.schema(), columns).unwrap()
}

pub(crate) fn rule_change(action: &str, rule_id: &str, version: u32, sql: &str) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        times([0].into_iter()),
        ids([Some(rule_id)].into_iter()),
        Arc::new(UInt32Array::from(vec![version])),
        ids([Some(action)].into_iter()),
        Arc::new(StringArray::from(vec![sql])),
        Arc::new(StringArray::from(vec!["test"])),
    ];
    RecordBatch::try_new(Stream::RuleChanges.schema(), columns).unwrap()
}

pub(crate) fn rule_sql(rule_id: &str, clauses: &str, select: &str) -> String {
    format!(
        "CREATE ALERT RULE {rule_id} SEVERITY low {clauses} TITLE vi 'a' en 'b' ACTION vi 'c' en \
         'd' AS {select}"
    )
}

/// An operator's act.
pub(crate) fn command(alert: &str, action: &str, until_us: Option<i64>) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        times([0].into_iter()),
        Arc::new(StringArray::from(vec![format!("{alert}-{action}")])),
        Arc::new(StringArray::from(vec![alert])),
        ids([Some(action)].into_iter()),
        Arc::new(StringArray::from(vec!["an"])),
        Arc::new(StringArray::from(vec![Some("why")])),
        Arc::new(TimestampMicrosecondArray::from(vec![until_us]).with_timezone("UTC")),
    ];
    RecordBatch::try_new(Stream::Commands.schema(), columns).unwrap()
}

fn camera(at_us: i64, camera_id: &str, state: &str) -> RecordBatch {
    let about = match state {
        "connected" | "lost" | "refused" => "connection",
        "recording_lost" | "recording_good" => "recording",
        "removed" => "register",
        _ => "stream",
    };
    let columns: Vec<ArrayRef> = vec![
        times([at_us].into_iter()),
        times([at_us].into_iter()),
        ids([Some(camera_id)].into_iter()),
        ids([Some(state)].into_iter()),
        Arc::new(StringArray::from(vec![None::<&str>])),
        ids([Some("00101")].into_iter()),
        ids([Some(about)].into_iter()),
    ];
    RecordBatch::try_new(Stream::CameraEvents.schema(), columns).unwrap()
}

/// An engine fed line by line.
pub(crate) struct Story {
    engine: Engine,
    next: u64,
    now_us: i64,
    versions: BTreeMap<String, u32>,
    pub(crate) out: Outputs,
}

impl Story {
    pub(crate) fn new() -> Self {
        let engine = Engine::new(Arc::new(RulePlanner::new().unwrap()));
        Self { engine, next: 0, now_us: 0, versions: BTreeMap::new(), out: Outputs::default() }
    }

    pub(crate) fn rule(&mut self, rule_id: &str, clauses: &str, select: &str) {
        let version = self.versions.entry(rule_id.to_owned()).or_insert(0);
        *version += 1;
        let sql = rule_sql(rule_id, clauses, select);
        let batch = rule_change("create", rule_id, *version, &sql);
        self.feed(Stream::RuleChanges, batch);
        assert_eq!(self.engine.counts().refused_rules, 0, "{sql}");
    }

    /// The table as CSV; `None`: it is gone.
    pub(crate) fn table(&mut self, name: &str, text: Option<&str>) {
        self.feed(Stream::ConfigChanges, tables::to_batch(name, text, EventTime(0)));
    }

    pub(crate) fn counts(&self) -> Counts {
        self.engine.counts()
    }

    /// The next record gets this offset.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.next = offset;
    }

    pub(crate) fn feed(&mut self, stream: Stream, batch: RecordBatch) {
        let offset = Offset(self.next);
        self.next += 1;
        let record = Record { offset, appended_at: EventTime(self.now_us), stream, batch };
        self.out.extend(self.engine.apply(&record));
    }

    /// `<s> <sensor> <metric> <value> [ahead]`, `watermark [stream] <s>`, `camera <s> <id> <state>`,
    /// `drop|enable|disable <rule>`, `ack|unshelve|comment <rule> <key>`, `shelve <rule> <key> <s>`.
    pub(crate) fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let us = |text: &str| (text.parse::<f64>().unwrap() * SECOND as f64) as i64;
        match words.as_slice() {
            ["watermark", at] => self.watermark("readings", us(at)),
            ["watermark", stream, at] => self.watermark(stream, us(at)),
            ["camera", at, id, state] => {
                self.feed(Stream::CameraEvents, camera(us(at), id, state));
            }
            [action @ ("drop" | "enable" | "disable"), rule] => {
                self.feed(Stream::RuleChanges, rule_change(action, rule, 1, ""));
            }
            ["ack", rule, key] => self.act(rule, key, "acknowledge", None),
            ["shelve", rule, key, until] => self.act(rule, key, "shelve", Some(us(until))),
            [act @ ("unshelve" | "comment"), rule, key] => self.act(rule, key, act, None),
            [at, sensor, metric, value, rest @ ..] => {
                let mut row = Row::new(us(at), sensor, metric, value.parse().unwrap());
                row.ahead = !rest.is_empty();
                self.now_us = self.now_us.max(row.at_us);
                self.feed(Stream::Readings, readings(&[row]));
            }
            other => panic!("not a line: {other:?}"),
        }
    }

    fn watermark(&mut self, stream: &str, at_us: i64) {
        self.now_us = self.now_us.max(at_us);
        self.feed(Stream::Watermarks, watermark(stream, at_us));
    }

    fn act(&mut self, rule: &str, key: &str, act: &str, until_us: Option<i64>) {
        let of = |row: &&TransitionRow| row.rule_id.as_str() == rule && row.key.ends_with(key);
        let id = self.out.transitions.iter().rev().find(of).unwrap().alert_id.clone();
        self.feed(Stream::Commands, command(id.as_str(), act, until_us));
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.out.transitions {
            let at = row.event_time.micros() as f64 / SECOND as f64;
            write!(text, "{at} {} {} {}", row.rule_id, row.key, row.state).unwrap();
            if let Some(value) = row.value {
                write!(text, " {value}").unwrap();
            }
            if row.actor != "engine" {
                write!(text, " by {}", row.actor).unwrap();
            }
            text.push('\n');
        }
        if self.out.late_count() > 0 {
            writeln!(text, "late {}", self.out.late_count()).unwrap();
        }
        text
    }
}
