// The messages between server and screens, generated from crates/vong-wire; `cargo xtask gen` rewrites them.

export type Fields = Record<string, unknown>;

export const PROTOCOL = 'vong.live.v1';

export const VIDEO_PROTOCOL = 'vong.video.v1';

export type View = "sensors" | "cameras" | "alerts" | "clips" | "sources" | "views";

export type Since = { epoch: string, seq: number, };

export type ClientMessage = { "type": "sub", sid: number, view: View, since?: Since, } | { "type": "unsub", sid: number, } | { "type": "ack", sid: number, seq: number, };

export type Row = [string, number, Record<string, unknown>];

export type OpKind = "+" | "~" | "-";

export type Op = [OpKind, string, number, Record<string, unknown>];

export type GapReason = "epoch" | "retention";

export type ByeCode = "shutdown" | "slow" | "protocol";

export type ServerMessage = { "type": "welcome", protocol: string, epoch: string, 
/**
 * First offset not yet durable.
 */
head: number, server_time_ms: number, mark_ms: number, 
/**
 * True when the city behind this server is simulated: screens must say so.
 */
simulated: boolean, } | { "type": "snap", sid: number, epoch: string, seq: number, part: number, parts: number, rows: Array<Row>, 
/**
 * Rows in all parts together.
 */
count: number, } | { "type": "delta", sid: number, from: number, to: number, 
/**
 * Source changes folded into `ops`; more than `ops.length` when a key changed repeatedly.
 */
n: number, ops: Array<Op>, } | { "type": "mark", sid: number, seq: number, watermark_ms: number | null, server_time_ms: number, } | { "type": "gap", sid: number, from: number, to: number, why: GapReason, } | { "type": "bye", code: ByeCode, retry_ms: number, detail: string, };

export type ViewSnapshot = { epoch: string, seq: number, rows: Array<Row>, };

export type SqlRequest = { 
/**
 * One read-only statement.
 */
sql: string, };

export type ClipFacts = { camera_id: string, 
/**
 * What was asked for.
 */
from_us: number, to_us: number, 
/**
 * The first frame shown, by our clock: the one on screen at `from_us`.
 */
start_us: number, 
/**
 * After the last frame shown.
 */
end_us: number, 
/**
 * What a player plays, 1/90000 s.
 */
duration_90k: number, 
/**
 * Frames shown.
 */
frames: number, 
/**
 * Of the file.
 */
bytes: number, 
/**
 * Whether everything up to `to_us` is recorded; a clip of now becomes ready with its post-roll.
 */
ready: boolean, 
/**
 * What of the interval was not recorded, or not yet.
 */
gaps: Array<ClipGap>, 
/**
 * Groups that were recorded and that the disk does not give any more; they lie inside `gaps`.
 */
damaged: Array<ClipGap>, 
/**
 * RTP packets lost in its groups.
 */
lost_packets: number, 
/**
 * The groups of pictures it is made of.
 */
groups: Array<ClipGroupFacts>, };

export type ClipGap = { from_us: number, to_us: number, };

export type ClipGroupFacts = { file: string, byte_offset: number, start_us: number, end_us: number, 
/**
 * By the camera's own clock, where it says.
 */
camera_time_us: number | null, frames: number, lost_packets: number, sha256: string, chained_sha256: string, previous_sha256: string, };

export type Problem = { 
/**
 * The class, as in `invalid_input`, `not_found`, `unavailable`.
 */
kind: string, 
/**
 * What failed and why, as a sentence.
 */
message: string, 
/**
 * What to do about it, when that is known.
 */
hint?: string, 
/**
 * 1-based, when the fault has a place in the text that was sent.
 */
line?: number, column?: number, };

export type CommandRequest = { 
/**
 * Chosen by the client; sending it again does nothing more.
 */
command_id: string | null, reason: string | null, 
/**
 * End of a shelving.
 */
until_ms: number | null, };

export type CommandAccepted = { command_id: string, offset: number, };

export type About = { version: string, city_name_vi: string, city_name_en: string, simulated: boolean, server_time_ms: number, };

export type SensorInfo = { sensor_id: string, kind: string, name_vi: string, name_en: string, lon: number, lat: number, unit_code: string, };

export type CameraInfo = { camera_id: string, name_vi: string, name_en: string, lon: number, lat: number, 
/**
 * Direction of view, degrees clockwise from north.
 */
heading_deg: number, 
/**
 * Width of the view, degrees; 360 where the camera turns.
 */
fov_deg: number, 
/**
 * How far it shows what happens, metres.
 */
range_m: number, 
/**
 * `observation`, `surveillance`, `plate_recognition` or `counting`.
 */
class: string, 
/**
 * Who answers for it; empty when unknown.
 */
owner: string, 
/**
 * Why it records; empty when unknown.
 */
purpose: string, 
/**
 * `continuous`, or `events`: only around alerts.
 */
recording: string, unit_code: string, };

export type ReviewCase = { alert_id: string, rule_id: string, severity: string, title_vi: string, title_en: string, key: string, sensor_id: string | null, camera_id: string | null, unit_code: string | null, value: number | null, fired_ms: number, 
/**
 * `violation`, `none` or `needs_more`; nothing until somebody decided.
 */
decision: string | null, decided_by: string | null, decided_ms: number | null, note: string | null, 
/**
 * Of cameras that the caller may see; the best view first.
 */
clips: Array<ReviewClip>, };

export type ReviewClip = { clip_id: string, camera_id: string, from_ms: number, to_ms: number, distance_m: number, 
/**
 * 0 to 1; nothing where the camera is only near.
 */
view_quality: number | null, };

export type FrameTable = { 
/**
 * Wall clock of the first frame, microseconds since 1970.
 */
start_us: number, 
/**
 * As the MP4's: tables and bytes with one tag belong together.
 */
etag: string, 
/**
 * As in `avc1.64001f` (RFC 6381).
 */
codec: string, width: number, height: number, 
/**
 * Media time of each frame, 1/90000 s, rising; media time follows the wall clock.
 */
times_90k: number[], 
/**
 * Media time after the last frame, 1/90000 s.
 */
end_90k: number, 
/**
 * What of the span is not there.
 */
gaps: Array<FootageGap>, };

export type FootageGap = { from_ms: number, to_ms: number, };

export type Readiness = { ready: boolean, 
/**
 * What is still missing, by part.
 */
waiting_for: Array<string>, };

export type VideoMode = "full" | "key" | "off";

export type VideoStreamName = "main" | "sub";

export type VideoForm = "frames" | "fragments" | "stills" | "motion_jpeg";

export type VideoCodec = "h264" | "h265";

export type VideoTile = { tile: number, camera_id: string, stream: VideoStreamName, mode: VideoMode, 
/**
 * Somebody looks at this one: it keeps all frames when the client cannot keep up, and gets them
 * as JPEG where the client cannot decode them.
 */
keep: boolean, };

export type VideoClientMessage = { "type": "show", 
/**
 * What the client can decode.
 */
plays: Array<VideoCodec>, 
/**
 * `frames` or `fragments`.
 */
form: VideoForm, tiles: Array<VideoTile>, } | { "type": "taken", bytes: number, };

export type VideoModeReason = "slow" | "recovered";

export type VideoRefusal = "unknown" | "not_allowed" | "codec";

export type VideoServerMessage = { "type": "welcome", protocol: string, server_time_ms: number, window_bytes: number, } | { "type": "setup", tile: number, 
/**
 * Unique on this connection; pictures carry it.
 */
setup: number, camera_id: string, 
/**
 * The stream that is shown, which need not be the wanted one.
 */
stream: VideoStreamName, form: VideoForm, codec: VideoCodec, 
/**
 * RFC 6381, as in `avc1.64001f`.
 */
codecs: string, width: number, height: number, 
/**
 * What `form` says, as hexadecimal digits.
 */
data: string, } | { "type": "lost", tile: number, } | { "type": "refused", tile: number, why: VideoRefusal, codec: VideoCodec | null, } | { "type": "mode", tile: number, mode: VideoMode, why: VideoModeReason, } | { "type": "mark", server_time_ms: number, } | { "type": "bye", code: ByeCode, retry_ms: number, detail: string, };
