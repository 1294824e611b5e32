//! Every stream of the log, with its Arrow schema and the words that explain it.
//!
//! A stream is also an SQL table of the same name; SQL adds the column `log_offset`.
//! Ids on disk never change and are never reused; a new column goes at the end and is nullable.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// What a record of the log is, to those who replay it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    Data,
    Watermark,
    Source,
    Rule,
    Command,
    Alert,
    Config,
}

/// What a column is to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// An instant.
    Time,
    /// Says *what the row is about*: a condition on it selects rows.
    Dimension,
    /// Says *what was found*: a condition on it can turn true and false for one key.
    Measure,
    /// Says where the row comes from; not for conditions.
    Provenance,
}

/// The Arrow type of a column, by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `Timestamp(Microsecond, "UTC")`.
    Time,
    /// `Dictionary(Int32, Utf8)`: few distinct values, grouped and compared by code.
    Key,
    /// `Utf8`.
    Text,
    /// `Binary`.
    Bytes,
    Float64,
    UInt32,
    UInt64,
    /// `List(Utf8)`: as many in each row as its writer says, as of all lists.
    Texts,
    /// `List(Float64)`.
    Floats,
    /// `List(Int64)`.
    Ints,
}

/// One column and its documentation.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub column_type: ColumnType,
    pub role: Role,
    pub doc: &'static str,
    pub nullable: bool,
}

impl ColumnType {
    pub fn data_type(self) -> DataType {
        match self {
            Self::Time => time_type(),
            Self::Key => key_type(),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Float64 => DataType::Float64,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Texts => list_of(DataType::Utf8),
            Self::Floats => list_of(DataType::Float64),
            Self::Ints => list_of(DataType::Int64),
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// The type of every instant.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// The type of every id-like text.
pub fn key_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// A stream of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stream {
    /// One measured value of one sensor.
    Readings = 1,
    /// A fact about a camera: it came, it went, its stream changed.
    CameraEvents = 2,
    /// A closed footage file.
    VideoSegments = 3,
    /// A message that could not be understood, kept with its bytes and the reason.
    RejectedEvents = 4,
    /// A reading that arrived after its window had been decided.
    LateEvents = 5,
    /// Footage filed for an alert: a reference to recorded bytes, not a copy.
    Clips = 6,
    /// A row that a continuous view found, decided by the engine from the log alone.
    ViewRows = 7,
    /// What passed a line or stood in a zone of a camera's picture, added up over a period.
    VehicleCounts = 8,
    /// Something a camera's picture shows, or shows of the camera itself, began or ended.
    VideoEvents = 9,
    /// A step in the life of evidence: footage was sealed, a package was made or taken.
    EvidenceEvents = 10,
    /// An advance of a stream's event-time clock; decided once, then a fact.
    Watermarks = 16,
    /// A change of a source's or sensor's own state.
    SourceEvents = 17,
    /// A rule or a continuous view was created, changed or dropped.
    RuleChanges = 18,
    /// An operator's act.
    Commands = 19,
    /// One step in the life of one alert, decided by the engine from the log alone.
    AlertTransitions = 20,
    /// The configuration that was in force from here on.
    ConfigChanges = 21,
}

impl Stream {
    pub const ALL: [Self; 16] = [
        Self::Readings,
        Self::CameraEvents,
        Self::VideoSegments,
        Self::RejectedEvents,
        Self::LateEvents,
        Self::Clips,
        Self::ViewRows,
        Self::VehicleCounts,
        Self::VideoEvents,
        Self::EvidenceEvents,
        Self::Watermarks,
        Self::SourceEvents,
        Self::RuleChanges,
        Self::Commands,
        Self::AlertTransitions,
        Self::ConfigChanges,
    ];

    /// Table name, plural snake_case.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// The id that stands on disk.
    pub fn id(self) -> u8 {
        self as u8
    }

    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.id() == id)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    pub fn kind(self) -> RecordKind {
        self.definition().kind
    }

    /// The column that names the thing a row is about: the key of a rule that does not group.
    pub fn entity(self) -> Option<&'static str> {
        self.definition().entity
    }

    /// One sentence on what a row is.
    pub fn doc(self) -> &'static str {
        self.definition().doc
    }

    pub fn columns(self) -> &'static [Column] {
        self.definition().columns
    }

    /// Index of a column; a misspelt literal is a bug, found by the first test that runs it.
    pub fn column_index(self, name: &str) -> usize {
        self.columns()
            .iter()
            .position(|column| column.name == name)
            .unwrap_or_else(|| unreachable!("stream '{}' has no column '{name}'", self.name()))
    }

    /// Columns in order, with `doc` and `role` in each field's metadata.
    pub fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<Vec<(Stream, SchemaRef)>> =
            LazyLock::new(|| Stream::ALL.iter().map(|s| (*s, build_schema(*s))).collect());
        let found = SCHEMAS.iter().find(|(stream, _)| *stream == self);
        found.map(|(_, schema)| Arc::clone(schema)).expect("every stream is in ALL")
    }

    /// Whether rules may read it (facts from outside; never what the engine itself decides).
    pub fn feeds_rules(self) -> bool {
        matches!(
            self,
            Self::Readings
                | Self::CameraEvents
                | Self::SourceEvents
                | Self::VideoSegments
                | Self::VehicleCounts
                | Self::VideoEvents
        )
    }

    fn definition(self) -> &'static Definition {
        match self {
            Self::Readings => &READINGS,
            Self::CameraEvents => &CAMERAEVENTS,
            Self::VideoSegments => &VIDEOSEGMENTS,
            Self::RejectedEvents => &REJECTEDEVENTS,
            Self::LateEvents => &LATEEVENTS,
            Self::Clips => &CLIPS,
            Self::ViewRows => &VIEWROWS,
            Self::VehicleCounts => &VEHICLECOUNTS,
            Self::VideoEvents => &VIDEOEVENTS,
            Self::EvidenceEvents => &EVIDENCEEVENTS,
            Self::Watermarks => &WATERMARKS,
            Self::SourceEvents => &SOURCEEVENTS,
            Self::RuleChanges => &RULECHANGES,
            Self::Commands => &COMMANDS,
            Self::AlertTransitions => &ALERTTRANSITIONS,
            Self::ConfigChanges => &CONFIGCHANGES,
        }
    }
}

fn build_schema(stream: Stream) -> SchemaRef {
    let fields: Vec<Field> = stream
        .columns()
        .iter()
        .map(|column| Field::new(column.name, column.column_type.data_type(), column.nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

struct Definition {
    name: &'static str,
    kind: RecordKind,
    entity: Option<&'static str>,
    doc: &'static str,
    columns: &'static [Column],
}

const fn column(
    name: &'static str,
    column_type: ColumnType,
    role: Role,
    doc: &'static str,
) -> Column {
    Column { name, column_type, role, doc, nullable: false }
}

const fn nullable(column: Column) -> Column {
    Column { nullable: true, ..column }
}

use ColumnType::{Bytes, Float64, Floats, Ints, Key, Text, Texts, Time, UInt32, UInt64};
use Role::{Dimension, Measure, Provenance};

static READINGS: Definition = Definition {
    name: "readings",
    kind: RecordKind::Data,
    entity: Some("sensor_id"),
    doc: "One measured value of one sensor.",
    columns: &[
        column("event_time", Time, Role::Time, "When it happened, by the device's clock."),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("source_id", Key, Dimension, "Configured source the row came from."),
        column("sensor_id", Key, Dimension, "Device that measured."),
        column(
            "metric",
            Key,
            Dimension,
            "What was measured: speed, flow, occupancy, water_level, rain, pm25, pm10, noise, door_open, power.",
        ),
        column("value", Float64, Measure, "The value, in `unit`."),
        nullable(column(
            "unit",
            Key,
            Dimension,
            "Unit of `value`, as in km/h, m, mm, µg/m³, dB, kW.",
        )),
        nullable(column(
            "unit_code",
            Key,
            Dimension,
            "Administrative unit where the device stands; null when unknown.",
        )),
        column(
            "quality",
            Key,
            Measure,
            "`good`, or `clock_ahead` when the device's clock runs ahead of ours: such rows take no part in rules.",
        ),
        column(
            "message_hash",
            UInt64,
            Provenance,
            "Hash of topic and payload; equal hashes of one source are one message delivered twice.",
        ),
    ],
};

static CAMERAEVENTS: Definition = Definition {
    name: "camera_events",
    kind: RecordKind::Data,
    entity: Some("camera_id"),
    doc: "A fact about a camera: it came, it went, its stream changed.",
    columns: &[
        column("event_time", Time, Role::Time, "When it happened, by the device's clock."),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("camera_id", Key, Dimension, "Camera the fact is about."),
        column(
            "state",
            Key,
            Measure,
            "Of the connection: `connected`, `lost`, `refused`; of the register: `removed`; of what arrives: `packets_lost` (more than 1 % over a minute) until `packets_good`; of the clock: `clock_drift` (more than 2 s from our clock) until `clock_good`; of the stream, without an end: `parameters_changed`, `timestamps_jumped`; of the recording: `recording` (the first footage since it was started), `recording_lost` until `recording_good`.",
        ),
        nullable(column("detail", Text, Measure, "Why, in words: codec and size, or the error.")),
        nullable(column(
            "unit_code",
            Key,
            Dimension,
            "Administrative unit where the device stands; null when unknown.",
        )),
        nullable(column(
            "about",
            Key,
            Dimension,
            "What `state` is a state of; each goes its own way: `connection`, `arrival`, `clock`, `stream`, `recording`, `register`, or `live_stream` (the connection of the sub-stream for small tiles). Null in rows from before there was this column.",
        )),
    ],
};

static VIDEOSEGMENTS: Definition = Definition {
    name: "video_segments",
    kind: RecordKind::Data,
    entity: Some("camera_id"),
    doc: "A closed footage file.",
    columns: &[
        column("event_time", Time, Role::Time, "When it happened, by the device's clock."),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("camera_id", Key, Dimension, "Camera the fact is about."),
        column("file", Text, Measure, "Path below the footage directory."),
        column("start_time", Time, Role::Time, "Instant of the first frame."),
        column("end_time", Time, Role::Time, "Instant after the last frame."),
        column("codec", Key, Measure, "`h264` or `h265`."),
        column("width", UInt32, Measure, "Pixels."),
        column("height", UInt32, Measure, "Pixels."),
        column("frames", UInt32, Measure, "Frames in the file."),
        column("gops", UInt32, Measure, "Groups of pictures, each starting with a key frame."),
        column("bytes", UInt64, Measure, "Size of the file."),
        column("lost_packets", UInt64, Measure, "RTP packets lost while it was recorded."),
    ],
};

static REJECTEDEVENTS: Definition = Definition {
    name: "rejected_events",
    kind: RecordKind::Data,
    entity: None,
    doc: "A message that could not be understood, kept with its bytes and the reason.",
    columns: &[
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("source_id", Key, Dimension, "Configured source the row came from."),
        column("topic", Text, Measure, "Where it came in."),
        column(
            "reason",
            Key,
            Measure,
            "One of a closed list: malformed_json, missing_field, wrong_type, out_of_range, bad_timestamp, time_too_old, time_in_future, unknown_topic, unknown_sensor, too_large.",
        ),
        column("detail", Text, Measure, "What exactly, where in the payload, what was expected."),
        column("payload", Bytes, Measure, "The raw bytes, cut at 64 KiB."),
        column(
            "message_hash",
            UInt64,
            Provenance,
            "Hash of topic and payload; equal hashes of one source are one message delivered twice.",
        ),
    ],
};

static LATEEVENTS: Definition = Definition {
    name: "late_events",
    kind: RecordKind::Data,
    entity: Some("sensor_id"),
    doc: "A reading that arrived after its window had been decided.",
    columns: &[
        column("event_time", Time, Role::Time, "When it happened, by the device's clock."),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("source_id", Key, Dimension, "Configured source the row came from."),
        column("sensor_id", Key, Dimension, "Device that measured."),
        column("metric", Key, Dimension, "As in readings."),
        column("value", Float64, Measure, "As in readings."),
        column("watermark", Time, Measure, "The watermark it came after."),
        column(
            "cause_offset",
            UInt64,
            Provenance,
            "Log offset of the record that caused this row.",
        ),
        column("cause_ordinal", UInt32, Provenance, "Place among the rows that one record caused."),
    ],
};

static CLIPS: Definition = Definition {
    name: "clips",
    kind: RecordKind::Data,
    entity: Some("camera_id"),
    doc: "Footage filed for an alert: a reference to recorded bytes, not a copy.",
    columns: &[
        column("event_time", Time, Role::Time, "The moment of the alert."),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("clip_id", Text, Measure, "Identity of the clip."),
        column("alert_id", Text, Measure, "The alert it was filed for."),
        column("camera_id", Key, Dimension, "Camera the fact is about."),
        column("from_time", Time, Measure, "Start, pre-roll included."),
        column("to_time", Time, Measure, "End, post-roll included."),
        column("distance_m", Float64, Measure, "From the alert's place to the camera, metres."),
        column("url", Text, Measure, "Where the clip is played from."),
        nullable(column(
            "view_quality",
            Float64,
            Measure,
            "How well the camera shows the place, 0 to 1; null where it is only near.",
        )),
    ],
};

static VIEWROWS: Definition = Definition {
    name: "view_rows",
    kind: RecordKind::Data,
    entity: None,
    doc: "A row of a continuous view; the table of the view's own name shows it with its columns.",
    columns: &[
        column(
            "event_time",
            Time,
            Role::Time,
            "End of the window, instant of the asking, or time of the row: when it became known.",
        ),
        column("cause_time", Time, Role::Time, "Arrival time of the record that caused the row."),
        column("view", Key, Dimension, "Name of the view."),
        column("version", UInt32, Measure, "Its version."),
        column(
            "layout",
            Key,
            Measure,
            "The view's columns in order, as in `sensor_id:text n:int avg:float`: the first text stands first in `texts`, and so on.",
        ),
        column("texts", Texts, Measure, "Its columns of type `text`, in order."),
        column("floats", Floats, Measure, "Its columns of type `float`, in order."),
        column(
            "ints",
            Ints,
            Measure,
            "Its columns of type `int`, `uint` (the same 64 bits), `bool` (0 or 1) and `time` (microseconds since 1970), in order.",
        ),
        column(
            "cause_offset",
            UInt64,
            Provenance,
            "Log offset of the record that caused this row.",
        ),
        column("cause_ordinal", UInt32, Provenance, "Place among the rows that one record caused."),
    ],
};

static VEHICLECOUNTS: Definition = Definition {
    name: "vehicle_counts",
    kind: RecordKind::Data,
    entity: Some("camera_id"),
    doc: "What passed a line or stood in a zone of a camera's picture, added up over a period.",
    columns: &[
        column("event_time", Time, Role::Time, "End of the period, by our clock."),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("camera_id", Key, Dimension, "Camera the fact is about."),
        column("line", Key, Dimension, "Line or zone of the camera's scene."),
        column(
            "direction",
            Key,
            Dimension,
            "`forward` or `backward` over a line, as the scene names them; `inside` for a zone.",
        ),
        column(
            "kind",
            Key,
            Dimension,
            "`vehicle` where nothing tells more; else `car`, `motorcycle`, `bus`, `truck`, `bicycle`, `person`.",
        ),
        column("count", UInt32, Measure, "Crossings in the period; for a zone, the most at once."),
        nullable(column(
            "speed",
            Float64,
            Measure,
            "Mean speed, km/h, where the scene is measured.",
        )),
        nullable(column(
            "occupancy",
            Float64,
            Measure,
            "Share of the period in which it was taken, 0 to 1.",
        )),
        nullable(column(
            "queue",
            Float64,
            Measure,
            "Longest queue, metres, where the scene is measured.",
        )),
        column("period_s", Float64, Measure, "Length of the period, seconds."),
        nullable(column(
            "unit_code",
            Key,
            Dimension,
            "Administrative unit where the device stands; null when unknown.",
        )),
    ],
};

static VIDEOEVENTS: Definition = Definition {
    name: "video_events",
    kind: RecordKind::Data,
    entity: Some("camera_id"),
    doc: "Something a camera's picture shows, or shows of the camera itself, began or ended.",
    columns: &[
        column(
            "event_time",
            Time,
            Role::Time,
            "When the deciding frame was received, by our clock.",
        ),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("camera_id", Key, Dimension, "Camera the fact is about."),
        column(
            "kind",
            Key,
            Dimension,
            "Of the camera: `black`, `white`, `defocused`, `covered`, `moved`, `frozen`, `clock_wrong`, `scene_change`; of the street: `stopped_vehicle`, `wrong_way`, `queue`, `crowd`; `onvif` for what the camera itself told.",
        ),
        column("state", Key, Measure, "`began`, `going_on` (repeated while it lasts), `ended`."),
        nullable(column(
            "subject",
            Text,
            Measure,
            "Zone or line of the scene, or the topic of a camera's own event.",
        )),
        nullable(column(
            "value",
            Float64,
            Measure,
            "The number behind it, in the unit of its kind.",
        )),
        nullable(column("detail", Text, Measure, "In words.")),
        nullable(column(
            "unit_code",
            Key,
            Dimension,
            "Administrative unit where the device stands; null when unknown.",
        )),
    ],
};

static EVIDENCEEVENTS: Definition = Definition {
    name: "evidence_events",
    kind: RecordKind::Data,
    entity: None,
    doc: "A step in the life of evidence: an hour of footage was sealed, a package was made or taken, a hold was released.",
    columns: &[
        column("event_time", Time, Role::Time, "When it was done, by our clock."),
        column("arrival_time", Time, Role::Time, "When it was recorded, by our clock."),
        column("kind", Key, Dimension, "`sealed`, `exported`, `downloaded`, `released`."),
        nullable(column("package_id", Text, Measure, "The package; null for a seal.")),
        nullable(column("case_id", Text, Measure, "The case it was made for.")),
        nullable(column("purpose", Text, Measure, "Why it was made.")),
        column("actor", Text, Measure, "Who did it."),
        column("cameras", Text, Measure, "Cameras in it, parted by blanks."),
        column("from_time", Time, Measure, "Start of the footage it is about."),
        column("to_time", Time, Measure, "End of the footage it is about."),
        column(
            "hash",
            Text,
            Measure,
            "SHA-256 of the checkpoint, of the package's manifest, or of the custody entry; empty for a hold.",
        ),
        nullable(column(
            "detail",
            Text,
            Measure,
            "The signed checkpoint, whole; the alert a package was made for; what was fetched; which hold was released.",
        )),
    ],
};

static WATERMARKS: Definition = Definition {
    name: "watermarks",
    kind: RecordKind::Watermark,
    entity: None,
    doc: "An advance of a stream's event-time clock; decided once, then a fact.",
    columns: &[
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("stream", Key, Dimension, "The stream whose clock advances."),
        column("watermark", Time, Measure, "Rows older than this are late from here on."),
        column("reason", Key, Measure, "`data`, or `idle` when no source speaks and time passes."),
    ],
};

static SOURCEEVENTS: Definition = Definition {
    name: "source_events",
    kind: RecordKind::Source,
    entity: Some("source_id"),
    doc: "A change of a source's or sensor's own state.",
    columns: &[
        column("event_time", Time, Role::Time, "When it happened, by the device's clock."),
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("source_id", Key, Dimension, "Configured source the row came from."),
        nullable(column("sensor_id", Key, Dimension, "Null when it is about the whole source.")),
        column(
            "state",
            Key,
            Measure,
            "`alive`, `idle`, `dead`, `connected`, `lost`, `clock_ahead`, `clock_good`; of the log itself: `disk_full`, `disk_good`, `disk_slow`, `sync_failed`, `log_damaged`, `log_good`; of the processes that decode pictures: `worker_failed`, `worker_good`, `set_aside`, `taken_back`; of footage (`vong_footage`): `disk_full`, `disk_good`; of clips (`vong_clips`): `late`; of evidence (`vong_evidence`): `switched_off`, `switched_on`.",
        ),
        nullable(column("detail", Text, Measure, "In words.")),
        nullable(column(
            "unit_code",
            Key,
            Dimension,
            "Administrative unit where the device stands; null when unknown.",
        )),
    ],
};

static RULECHANGES: Definition = Definition {
    name: "rule_changes",
    kind: RecordKind::Rule,
    entity: None,
    doc: "A rule or a continuous view was created, changed or dropped.",
    columns: &[
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("rule_id", Key, Dimension, "Name of the rule or view."),
        column("version", UInt32, Measure, "Counts up with each change."),
        column("action", Key, Measure, "`create`, `alter`, `drop`, `enable`, `disable`."),
        column("sql", Text, Measure, "The statement, whole."),
        column("actor", Text, Measure, "Who did it."),
    ],
};

static COMMANDS: Definition = Definition {
    name: "commands",
    kind: RecordKind::Command,
    entity: None,
    doc: "An operator's or a reviewer's act.",
    columns: &[
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column(
            "command_id",
            Text,
            Measure,
            "Chosen by the client; a repeated command is done once.",
        ),
        column("alert_id", Text, Measure, "The alert acted on."),
        column(
            "action",
            Key,
            Measure,
            "`acknowledge`, `shelve`, `unshelve`, `comment`; of a review `review_violation`, `review_none`, `review_needs_more`.",
        ),
        column("actor", Text, Measure, "Who acted."),
        nullable(column("reason", Text, Measure, "In the actor's words.")),
        nullable(column("until_time", Time, Measure, "End of a shelving.")),
    ],
};

static ALERTTRANSITIONS: Definition = Definition {
    name: "alert_transitions",
    kind: RecordKind::Alert,
    entity: None,
    doc: "One step in the life of one alert, decided by the engine from the log alone.",
    columns: &[
        column("event_time", Time, Role::Time, "When it happened, by the device's clock."),
        column("cause_time", Time, Role::Time, "Arrival time of the record that caused the step."),
        column("alert_id", Text, Measure, "Identity of the episode."),
        column("rule_id", Key, Dimension, "The rule."),
        column("rule_version", UInt32, Measure, "Its version."),
        column(
            "state",
            Key,
            Measure,
            "`pending`, `firing`, `acknowledged`, `shelved`, `suppressed`, `resolved`, `cancelled`.",
        ),
        column(
            "severity",
            Key,
            Measure,
            "As it is from this step on: `critical`, `high`, `medium`, `low`.",
        ),
        column("key", Text, Measure, "The group the alert is about, as in sensor_id=TL-012."),
        nullable(column("sensor_id", Key, Dimension, "When the key names a sensor.")),
        nullable(column("camera_id", Key, Dimension, "When the key names a camera.")),
        nullable(column(
            "unit_code",
            Key,
            Dimension,
            "Administrative unit where the device stands; null when unknown.",
        )),
        nullable(column("value", Float64, Measure, "The number behind the step.")),
        column("started_time", Time, Measure, "Event time at which the episode began."),
        column("title_vi", Text, Measure, "Title, Vietnamese."),
        column("title_en", Text, Measure, "Title, English."),
        column("action_vi", Text, Measure, "What to do, Vietnamese."),
        column("action_en", Text, Measure, "What to do, English."),
        column("actor", Text, Measure, "`engine`, or who acted."),
        nullable(column("reason", Text, Measure, "Why the step was taken.")),
        column(
            "input_from_offset",
            UInt64,
            Provenance,
            "First log offset among the rows behind it.",
        ),
        column("input_to_offset", UInt64, Provenance, "Last log offset among them."),
        column(
            "cause_offset",
            UInt64,
            Provenance,
            "Log offset of the record that caused this row.",
        ),
        column("cause_ordinal", UInt32, Provenance, "Place among the rows that one record caused."),
        column("engine_version", UInt32, Provenance, "Version of the engine's semantics."),
    ],
};

static CONFIGCHANGES: Definition = Definition {
    name: "config_changes",
    kind: RecordKind::Config,
    entity: None,
    doc: "The configuration that was in force from here on.",
    columns: &[
        column("arrival_time", Time, Role::Time, "When we received it, by our clock."),
        column("item", Text, Measure, "File or section."),
        column("sha256", Text, Measure, "Of its content."),
        nullable(column("detail", Text, Measure, "The content, secrets removed.")),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_unique_and_found_again() {
        for stream in Stream::ALL {
            assert_eq!(Stream::from_id(stream.id()), Some(stream));
            assert_eq!(Stream::from_name(stream.name()), Some(stream));
            assert_eq!(stream.schema().fields().len(), stream.columns().len());
        }
    }

    #[test]
    fn no_stream_can_carry_video_frames() {
        // Facts about video enter the log, frames never do: the only binary column is a rejected payload.
        for stream in Stream::ALL.into_iter().filter(|s| *s != Stream::RejectedEvents) {
            assert!(stream.columns().iter().all(|c| c.column_type != Bytes), "{}", stream.name());
        }
    }
}
