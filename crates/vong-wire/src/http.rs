//! Bodies of the HTTP interface under `/api/v1`.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// `POST /api/v1/sql`.
#[derive(Clone, Debug, Serialize, Deserialize, TS, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// One read-only statement.
    pub sql: String,
}

/// What is known of a clip beside its pictures. Instants are microseconds since 1970, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct ClipFacts {
    pub camera_id: String,
    /// What was asked for.
    #[ts(type = "number")]
    pub from_us: i64,
    #[ts(type = "number")]
    pub to_us: i64,
    /// The first frame shown, by our clock: the one on screen at `from_us`.
    #[ts(type = "number")]
    pub start_us: i64,
    /// After the last frame shown.
    #[ts(type = "number")]
    pub end_us: i64,
    /// What a player plays, 1/90000 s.
    #[ts(type = "number")]
    pub duration_90k: u64,
    /// Frames shown.
    #[ts(type = "number")]
    pub frames: u64,
    /// Of the file.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Whether everything up to `to_us` is recorded; a clip of now becomes ready with its post-roll.
    pub ready: bool,
    /// What of the interval was not recorded, or not yet.
    pub gaps: Vec<ClipGap>,
    /// Groups that were recorded and that the disk does not give any more; they lie inside `gaps`.
    pub damaged: Vec<ClipGap>,
    /// RTP packets lost in its groups.
    #[ts(type = "number")]
    pub lost_packets: u64,
    /// The groups of pictures it is made of.
    pub groups: Vec<ClipGroupFacts>,
}

/// Where nothing was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct ClipGap {
    #[ts(type = "number")]
    pub from_us: i64,
    #[ts(type = "number")]
    pub to_us: i64,
}

/// One group of pictures of a clip, as in the table `video_gops`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct ClipGroupFacts {
    pub file: String,
    #[ts(type = "number")]
    pub byte_offset: u64,
    #[ts(type = "number")]
    pub start_us: i64,
    #[ts(type = "number")]
    pub end_us: i64,
    /// By the camera's own clock, where it says.
    #[ts(type = "number | null")]
    pub camera_time_us: Option<i64>,
    pub frames: u32,
    pub lost_packets: u32,
    pub sha256: String,
    pub chained_sha256: String,
    pub previous_sha256: String,
}

/// Every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Problem {
    /// The class, as in `invalid_input`, `not_found`, `unavailable`.
    pub kind: String,
    /// What failed and why, as a sentence.
    pub message: String,
    /// What to do about it, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub hint: Option<String>,
    /// 1-based, when the fault has a place in the text that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub column: Option<u32>,
}

/// One rule of `GET /api/v1/rules`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    pub rule_id: String,
    pub version: u32,
    /// Switched off, it keeps its name and does nothing.
    pub enabled: bool,
    /// `stateless`, `window`, `absence`, `sliding` or `session`; empty when switched off.
    pub kind: String,
    pub severity: String,
    pub title_vi: String,
    pub title_en: String,
    pub changed_by: String,
    pub open_alerts: u32,
    /// Steps of its alerts since the engine started.
    pub transitions: u64,
    /// Event time at which an alert of it last fired since the engine started.
    pub last_fired_ms: Option<i64>,
    /// Rows it looked at since it is in force.
    pub rows: u64,
    /// Rows or windows of which its condition held.
    pub matches: u64,
    /// Processor time since it is in force, microseconds, from a sample: an equal part of what it
    /// shares with others.
    pub busy_us: u64,
    /// Memory, estimated, bytes: an equal part of what it shares with others.
    pub memory_bytes: u64,
    pub sql: String,
}

/// A continuous view; its rows are in the SQL table of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContinuousView {
    pub view: String,
    pub version: u32,
    /// Switched off, it keeps its name and its rows, and finds no more.
    pub enabled: bool,
    /// `rows`, `window`, `session`, `sliding` or `periodic`; empty when switched off.
    pub kind: String,
    pub changed_by: String,
    /// Rows since the engine started.
    pub rows: u64,
    pub sql: String,
}

/// `POST /api/v1/backtest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BacktestRequest {
    /// `CREATE ALERT RULE …`, one or several; left out: the rules of the log as they were.
    pub sql: Option<String>,
    /// Of the log's rules only this one.
    pub rule_id: Option<String>,
    /// What arrived from this instant on, Unix milliseconds; left out: everything.
    pub from_ms: Option<i64>,
    /// And before this one.
    pub to_ms: Option<i64>,
    /// How many people share the alarms; 1 when left out.
    pub operators: Option<u32>,
}

/// One change of `POST /api/v1/rules`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleChange {
    pub rule_id: String,
    pub version: u32,
    /// `create`, `alter`, `drop`, `enable` or `disable`.
    pub action: String,
}

/// `POST /api/v1/alerts/{alert_id}/{acknowledge|shelve|unshelve|comment}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, TS, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CommandRequest {
    /// Chosen by the client; sending it again does nothing more.
    pub command_id: Option<String>,
    pub reason: Option<String>,
    /// End of a shelving.
    #[ts(type = "number | null")]
    pub until_ms: Option<i64>,
}

/// The command is durable in the log at `offset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct CommandAccepted {
    pub command_id: String,
    #[ts(type = "number")]
    pub offset: u64,
}

/// `GET /api/v1/about`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct About {
    pub version: String,
    pub city_name_vi: String,
    pub city_name_en: String,
    pub simulated: bool,
    #[ts(type = "number")]
    pub server_time_ms: i64,
}

/// `GET /api/v1/sensors`: what stands where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct SensorInfo {
    pub sensor_id: String,
    pub kind: String,
    pub name_vi: String,
    pub name_en: String,
    pub lon: f64,
    pub lat: f64,
    pub unit_code: String,
}

/// `GET /api/v1/cameras`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct CameraInfo {
    pub camera_id: String,
    pub name_vi: String,
    pub name_en: String,
    pub lon: f64,
    pub lat: f64,
    /// Direction of view, degrees clockwise from north.
    pub heading_deg: f64,
    /// Width of the view, degrees; 360 where the camera turns.
    pub fov_deg: f64,
    /// How far it shows what happens, metres.
    pub range_m: f64,
    /// `observation`, `surveillance`, `plate_recognition` or `counting`.
    pub class: String,
    /// Who answers for it; empty when unknown.
    pub owner: String,
    /// Why it records; empty when unknown.
    pub purpose: String,
    /// `continuous`, or `events`: only around alerts.
    pub recording: String,
    pub unit_code: String,
}

/// One case of `GET /api/v1/review`: an alert with clips, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct ReviewCase {
    pub alert_id: String,
    pub rule_id: String,
    pub severity: String,
    pub title_vi: String,
    pub title_en: String,
    pub key: String,
    pub sensor_id: Option<String>,
    pub camera_id: Option<String>,
    pub unit_code: Option<String>,
    pub value: Option<f64>,
    #[ts(type = "number")]
    pub fired_ms: i64,
    /// `violation`, `none` or `needs_more`; nothing until somebody decided.
    pub decision: Option<String>,
    pub decided_by: Option<String>,
    #[ts(type = "number | null")]
    pub decided_ms: Option<i64>,
    pub note: Option<String>,
    /// Of cameras that the caller may see; the best view first.
    #[serde(default)]
    pub clips: Vec<ReviewClip>,
}

/// A clip of a [`ReviewCase`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct ReviewClip {
    pub clip_id: String,
    pub camera_id: String,
    #[ts(type = "number")]
    pub from_ms: i64,
    #[ts(type = "number")]
    pub to_ms: i64,
    pub distance_m: f64,
    /// 0 to 1; nothing where the camera is only near.
    pub view_quality: Option<f64>,
}

/// `GET /api/v1/cameras/{camera_id}/frames`: when each frame of a span of footage is shown, in the
/// MP4 that `clip.mp4` of the same span is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct FrameTable {
    /// Wall clock of the first frame, microseconds since 1970.
    #[ts(type = "number")]
    pub start_us: i64,
    /// As the MP4's: tables and bytes with one tag belong together.
    pub etag: String,
    /// As in `avc1.64001f` (RFC 6381).
    pub codec: String,
    pub width: u32,
    pub height: u32,
    /// Media time of each frame, 1/90000 s, rising; media time follows the wall clock.
    #[ts(type = "number[]")]
    pub times_90k: Vec<u64>,
    /// Media time after the last frame, 1/90000 s.
    #[ts(type = "number")]
    pub end_90k: u64,
    /// What of the span is not there.
    pub gaps: Vec<FootageGap>,
}

/// Where nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct FootageGap {
    #[ts(type = "number")]
    pub from_ms: i64,
    #[ts(type = "number")]
    pub to_ms: i64,
}

/// `GET /readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Readiness {
    pub ready: bool,
    /// What is still missing, by part.
    pub waiting_for: Vec<String>,
}

/// `POST /api/v1/evidence`: cameras and a range, or an alert whose clips say both.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRequest {
    #[serde(default)]
    pub cameras: Vec<String>,
    #[serde(default)]
    pub from_ms: Option<i64>,
    #[serde(default)]
    pub to_ms: Option<i64>,
    #[serde(default)]
    pub alert_id: Option<String>,
    /// Number or name of the case.
    pub case: String,
    /// Why it is asked for.
    pub purpose: String,
    /// Who asks, as it shall stand in the package.
    pub by: String,
}

/// A package on the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidencePackage {
    pub package_id: String,
    /// `making`, `ready` or `failed`.
    pub state: String,
    /// Bytes of footage written so far.
    pub done_bytes: u64,
    /// Bytes of footage there are to write; 0 until it is known.
    pub all_bytes: u64,
    /// Size of the package, once it is ready.
    pub package_bytes: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    pub asked_ms: i64,
}

/// `GET /api/v1/holds`: footage that is kept from being deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FootageHold {
    pub hold_id: u64,
    pub camera_id: String,
    pub from_ms: i64,
    pub to_ms: i64,
    /// Number or name of the case.
    pub case: String,
    pub reason: String,
    /// When it lapses; without, it holds until it is released.
    pub until_ms: Option<i64>,
    pub created_ms: i64,
}

/// `GET /api/v1/evidence/key`: whose signature packages carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceKey {
    pub algorithm: String,
    /// 64 hexadecimal digits.
    pub public_key: String,
    /// SHA-256 of the public key, in groups of eight digits.
    pub fingerprint: String,
}
