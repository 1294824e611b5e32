//! The words of the live protocol, without their encoding.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use vong_model::{EventTime, Offset};

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// Latest value per sensor and metric; key `sensor_id/metric`.
    Sensors,
    /// State per camera; key `camera_id`.
    Cameras,
    /// Alerts that are not resolved, or were in the last hour of the log; key `alert_id`.
    Alerts,
    /// Clips filed in the last day of the log; key `clip_id`.
    Clips,
    /// State and counts per source; key `source_id`.
    Sources,
    /// Latest row per key of each continuous view; key `view/` and the row's texts.
    Views,
}

impl View {
    pub const ALL: [Self; 6] =
        [Self::Sensors, Self::Cameras, Self::Alerts, Self::Clips, Self::Sources, Self::Views];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sensors => "sensors",
            Self::Cameras => "cameras",
            Self::Alerts => "alerts",
            Self::Clips => "clips",
            Self::Sources => "sources",
            Self::Views => "views",
        }
    }

    /// Names of a row's fields, in the order of [`Row::fields`].
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Sensors => crate::views::sensors::COLUMNS,
            Self::Cameras => crate::views::cameras::COLUMNS,
            Self::Alerts => crate::views::alerts::COLUMNS,
            Self::Clips => crate::views::clips::COLUMNS,
            Self::Sources => crate::views::sources::COLUMNS,
            Self::Views => crate::views::continuous::COLUMNS,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// The value of one field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FieldValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    List(Arc<[FieldValue]>),
}

impl PartialEq for FieldValue {
    /// Floats by their bits: a NaN that stays is not a change.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for FieldValue {}

impl FieldValue {
    pub(crate) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(Arc::from(text)))
    }

    /// Milliseconds of an instant given in microseconds.
    pub(crate) fn millis(micros: Option<i64>) -> Self {
        micros.map_or(Self::Null, |micros| Self::Int(EventTime::from_micros(micros).millis()))
    }

    pub(crate) fn float(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Float)
    }
}

/// One row of a view, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: Arc<str>,
    /// Offset of the record that last changed it.
    pub rev: Offset,
    /// Aligned with [`View::columns`].
    pub fields: Arc<[FieldValue]>,
}

/// What a delta does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The key is new, or begins anew.
    Put(Row),
    /// Only these fields changed; the index is into [`View::columns`].
    Patch { key: Arc<str>, rev: Offset, changes: Vec<(usize, FieldValue)> },
    /// The key is gone; a reader that never had it ignores this.
    Remove { key: Arc<str>, rev: Offset },
}

/// A whole view at `seq`, shared by everybody who asks at that moment.
#[derive(Debug)]
pub struct Snapshot {
    pub view: View,
    pub epoch: Arc<str>,
    pub seq: Offset,
    /// By key.
    pub rows: Vec<Row>,
    pub(crate) encoding: Encoding,
}

/// Everything that changed in a view between two numbers; shared like a snapshot.
#[derive(Debug)]
pub struct Delta {
    pub view: View,
    pub from: Offset,
    pub to: Offset,
    /// Source changes folded into `ops`; more than `ops.len()` when keys changed repeatedly.
    pub n: u64,
    /// In the order of their revisions.
    pub ops: Vec<Op>,
    pub(crate) encoding: Encoding,
}

/// A place where the transport keeps what it made of a shared message, so that it is made once.
#[derive(Debug, Default)]
pub(crate) struct Encoding(OnceLock<Arc<[Arc<str>]>>);

impl Encoding {
    fn get(&self, encode: impl FnOnce() -> Vec<Arc<str>>) -> Arc<[Arc<str>]> {
        Arc::clone(self.0.get_or_init(|| Arc::from(encode())))
    }
}

impl Snapshot {
    /// The parts that `encode` makes of this snapshot; made by the first who asks.
    pub fn encoded(&self, encode: impl FnOnce(&Self) -> Vec<Arc<str>>) -> Arc<[Arc<str>]> {
        self.encoding.get(|| encode(self))
    }
}

impl Delta {
    /// The parts that `encode` makes of this delta; made by the first who asks.
    pub fn encoded(&self, encode: impl FnOnce(&Self) -> Vec<Arc<str>>) -> Arc<[Arc<str>]> {
        self.encoding.get(|| encode(self))
    }
}

/// Why deltas do not go on where the reader left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The reader knew another log.
    Epoch,
    /// What it missed is no longer kept in memory.
    Retention,
}

/// The reader's `since` cannot be honoured; a snapshot follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: Offset,
    pub to: Offset,
    pub why: GapReason,
}

/// The view is alive and complete up to `seq`, which is where the last delta or snapshot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub seq: Offset,
    /// Event time up to which readings are decided; `None` before the first watermark.
    pub watermark: Option<EventTime>,
}

/// What a subscription gives.
#[derive(Clone, Debug)]
pub enum Update {
    Gap(Gap),
    Snapshot(Arc<Snapshot>),
    Delta(Arc<Delta>),
    Mark(Mark),
}
