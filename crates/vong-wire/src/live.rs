//! The live protocol `vong.live.v1`, spoken over a WebSocket at `/api/v1/live`.
//!
//! A client subscribes to views. For each it gets a keyed snapshot, then contiguous numbered
//! deltas: `delta.from` equals the `seq` or `to` that came before, or the client has missed
//! something and must subscribe again. Numbers are log offsets: the same number names the same
//! instant in SQL. Nothing is sent before it is durable.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;
use utoipa::ToSchema;

/// The WebSocket sub-protocol.
pub const PROTOCOL: &str = "vong.live.v1";

/// Field values of one row, by column name.
pub type Fields = Map<String, Value>;

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Latest value per sensor and metric; key `sensor_id/metric`.
    Sensors,
    /// State per camera; key `camera_id`. `recording` is `lost` while what it shows is not recorded,
    /// else null.
    Cameras,
    /// One row per alert that is not yet resolved, or was resolved in the last hour; key `alert_id`.
    Alerts,
    /// Clips filed for alerts of the last day; key `clip_id`.
    Clips,
    /// State per source; key `source_id`.
    Sources,
    /// Latest row per key of each continuous view; key `view/` and the row's texts. `values` are in
    /// the order of `columns`, as in `sensor_id:text n:int`.
    Views,
}

/// From where a client that was connected before wants to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Since {
    pub epoch: String,
    #[ts(type = "number")]
    pub seq: u64,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// Start (or start again) subscription `sid` on `view`.
    Sub {
        sid: u32,
        view: View,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        since: Option<Since>,
    },
    /// End subscription `sid`.
    Unsub { sid: u32 },
    /// Everything of `sid` up to `seq` is on the screen.
    Ack {
        sid: u32,
        #[ts(type = "number")]
        seq: u64,
    },
}

/// A row of a snapshot: key, revision (the log offset that last changed it), all fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Row(
    pub String,
    #[ts(type = "number")] pub u64,
    #[ts(type = "Record<string, unknown>")]
    #[schema(value_type = Object)]
    pub Fields,
);

/// What a delta does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub enum OpKind {
    /// The key is new, or all its fields are given.
    #[serde(rename = "+")]
    Put,
    /// Only the given fields changed.
    #[serde(rename = "~")]
    Patch,
    /// The key is gone.
    #[serde(rename = "-")]
    Remove,
}

/// One change: what, key, revision, fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Op(
    pub OpKind,
    pub String,
    #[ts(type = "number")] pub u64,
    #[ts(type = "Record<string, unknown>")]
    #[schema(value_type = Object)]
    pub Fields,
);

/// Why a client's deltas do not go on where it left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The server's log is another one than the client knew.
    Epoch,
    /// What the client missed is no longer kept in memory.
    Retention,
}

/// Why the server closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ByeCode {
    /// The server stops; come back.
    Shutdown,
    /// The client did not read for too long.
    Slow,
    /// The client broke the protocol; see `detail`.
    Protocol,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    Welcome {
        protocol: String,
        epoch: String,
        /// First offset not yet durable.
        #[ts(type = "number")]
        head: u64,
        #[ts(type = "number")]
        server_time_ms: i64,
        mark_ms: u32,
        /// True when the city behind this server is simulated: screens must say so.
        simulated: bool,
    },
    Snap {
        sid: u32,
        epoch: String,
        #[ts(type = "number")]
        seq: u64,
        part: u32,
        parts: u32,
        rows: Vec<Row>,
        /// Rows in all parts together.
        count: u32,
    },
    Delta {
        sid: u32,
        #[ts(type = "number")]
        from: u64,
        #[ts(type = "number")]
        to: u64,
        /// Source changes folded into `ops`; more than `ops.length` when a key changed repeatedly.
        n: u32,
        ops: Vec<Op>,
    },
    /// Every second per subscription, also when nothing changes: the view is alive up to `seq`.
    Mark {
        sid: u32,
        #[ts(type = "number")]
        seq: u64,
        #[ts(type = "number | null")]
        watermark_ms: Option<i64>,
        #[ts(type = "number")]
        server_time_ms: i64,
    },
    /// The client's `since` cannot be honoured; a snapshot follows.
    Gap {
        sid: u32,
        #[ts(type = "number")]
        from: u64,
        #[ts(type = "number")]
        to: u64,
        why: GapReason,
    },
    Bye {
        code: ByeCode,
        retry_ms: u32,
        detail: String,
    },
}

/// `GET /api/v1/live/{view}/snapshot`: a view as one document, for scripts and first paints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct ViewSnapshot {
    pub epoch: String,
    #[ts(type = "number")]
    pub seq: u64,
    pub rows: Vec<Row>,
}

/// The text of [`ServerMessage::Delta`] around operations that were encoded once for all readers.
pub fn delta_text(sid: u32, from: u64, to: u64, n: u32, ops_json: &str) -> String {
    format!(r#"{{"type":"delta","sid":{sid},"from":{from},"to":{to},"n":{n},"ops":{ops_json}}}"#)
}

/// One part of a snapshot whose rows were encoded once for all readers.
#[derive(Clone, Copy, Debug)]
pub struct SnapPart<'a> {
    pub epoch: &'a str,
    pub seq: u64,
    pub part: u32,
    pub parts: u32,
    pub rows_json: &'a str,
    pub count: u32,
}

/// The text of [`ServerMessage::Snap`] for one reader.
pub fn snap_text(sid: u32, snap: &SnapPart<'_>) -> String {
    let SnapPart { epoch, seq, part, parts, rows_json, count } = snap;
    let epoch = Value::from(*epoch);
    format!(
        r#"{{"type":"snap","sid":{sid},"epoch":{epoch},"seq":{seq},"part":{part},"parts":{parts},"rows":{rows_json},"count":{count}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_put_together_by_hand_is_the_message_it_says_it_is() {
        let fields: Fields = [("value".to_owned(), Value::from(1.5))].into_iter().collect();
        let ops = vec![Op(OpKind::Patch, "TR-1/speed".to_owned(), 9, fields.clone())];
        let text = delta_text(7, 3, 10, 2, &serde_json::to_string(&ops).unwrap());
        let parsed: ServerMessage = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed, ServerMessage::Delta { sid: 7, from: 3, to: 10, n: 2, ops });

        let rows = vec![Row("TR-1/speed".to_owned(), 9, fields)];
        let rows_json = serde_json::to_string(&rows).unwrap();
        let part =
            SnapPart { epoch: "e\"1", seq: 10, part: 1, parts: 1, rows_json: &rows_json, count: 1 };
        let parsed: ServerMessage = serde_json::from_str(&snap_text(7, &part)).unwrap();
        let epoch = "e\"1".to_owned();
        assert_eq!(
            parsed,
            ServerMessage::Snap { sid: 7, epoch, seq: 10, part: 1, parts: 1, rows, count: 1 }
        );
    }
}
