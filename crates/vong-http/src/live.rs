//! The live protocol over a WebSocket; the adapter between hub updates and wire messages.
//!
//! One task per screen, no queue: while a screen does not read, its subscriptions fold changes
//! inside the hub. A screen that does not read for ten seconds is closed and told to come back.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use futures::future::{FutureExt, select_all};
use serde_json::Value;
use tracing::debug;
use vong_hub::{Delta, FieldValue, Op, Row, Snapshot, Subscription, Update, View};
use vong_model::{Action, EventTime, Offset, authorize};
use vong_wire::live::{
    self as wire, ByeCode, ClientMessage, Fields, GapReason, OpKind, PROTOCOL, ServerMessage,
    SnapPart, ViewSnapshot, delta_text, snap_text,
};

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// A screen that cannot take a message for this time is gone or broken.
const SLOW_LIMIT: Duration = Duration::from_secs(10);

/// Subscriptions of one screen.
const SUBSCRIPTIONS: usize = 16;

/// Rows in one part of a snapshot: about 500 kB of text.
const ROWS_A_PART: usize = 2_000;

/// Messages a screen may send in one second.
const INBOUND_A_SECOND: u32 = 50;

/// The live protocol.
#[utoipa::path(get, path = "/api/v1/live", responses((status = 101, description = "WebSocket, sub-protocol vong.live.v1")))]
pub(crate) async fn connect(
    State(app): State<App>,
    Caller(caller): Caller,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    authorize(&caller, Action::ViewLive, "live")?;
    // Every buffer of the library is bounded: its own defaults are not.
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(64 * 1024)
        .max_frame_size(64 * 1024)
        .write_buffer_size(32 * 1024)
        .max_write_buffer_size(8 * 1024 * 1024);
    Ok(upgrade.on_upgrade(move |socket| async move {
        app.metrics.live_clients.inc();
        let metrics = app.metrics.clone();
        let ended = Screen { app, socket, subscriptions: Vec::new(), inbound: Inbound::default() }
            .run()
            .await;
        metrics.live_clients.dec();
        debug!(?ended, "screen left");
    }))
}

/// A view as one document.
#[utoipa::path(get, path = "/api/v1/live/{view}/snapshot", params(("view" = wire::View, Path)),
    responses((status = 200, body = ViewSnapshot), (status = 404)))]
pub(crate) async fn snapshot(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(view): Path<String>,
) -> Result<Json<ViewSnapshot>, Problem> {
    authorize(&caller, Action::ViewLive, &view)?;
    let known = View::ALL.into_iter().find(|known| known.name() == view);
    let known = known.ok_or_else(|| {
        let names = View::ALL.map(View::name).join(", ");
        Problem::not_found(format!("there is no view '{view}'"))
            .with_hint(format!("views: {names}"))
    })?;
    let snapshot = app.hub.snapshot(known);
    Ok(Json(ViewSnapshot {
        epoch: snapshot.epoch.to_string(),
        seq: snapshot.seq.0,
        rows: snapshot.rows.iter().map(|row| wire_row(known, row)).collect(),
    }))
}

/// Why a screen's connection ended.
#[derive(Debug)]
enum Ended {
    Left,
    Slow,
    Stopped,
    Bye,
}

struct Screen {
    app: App,
    socket: WebSocket,
    subscriptions: Vec<(u32, Subscription)>,
    inbound: Inbound,
}

impl Screen {
    async fn run(mut self) -> Ended {
        let app = &self.app;
        let welcome = ServerMessage::Welcome {
            protocol: PROTOCOL.to_owned(),
            epoch: app.hub.epoch().to_owned(),
            head: app.log.head().0,
            server_time_ms: now_ms(app),
            mark_ms: u32::try_from(app.hub.mark_every().as_millis()).unwrap_or(u32::MAX),
            simulated: app.city.simulated,
        };
        let stop = app.shutdown.clone();
        let served = async {
            self.say(&welcome).await?;
            loop {
                self.serve_one().await?;
            }
        };
        let served: Result<(), Ended> = tokio::select! {
            served = served => served,
            () = stop.requested() => Err(self.bye(ByeCode::Shutdown, 1_000, "the server stops").await),
        };
        served.err().unwrap_or(Ended::Left)
    }

    /// One message in or one update out.
    async fn serve_one(&mut self) -> Result<(), Ended> {
        let updates = self.subscriptions.iter_mut().map(|(sid, subscription)| {
            let sid = *sid;
            subscription.next().map(move |update| (sid, update)).boxed()
        });
        let updates: Vec<_> = updates.collect();
        let next_update = async move {
            if updates.is_empty() {
                std::future::pending().await
            } else {
                select_all(updates).await.0
            }
        };
        tokio::select! {
            received = self.socket.recv() => match received {
                Some(Ok(Message::Text(text))) => self.take(&text).await,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                Some(Ok(Message::Binary(_))) => Err(self.bye(ByeCode::Protocol, 5_000, "messages are text").await),
                Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Ended::Left),
            },
            (sid, update) = next_update => match update {
                Some(update) => {
                    // Whoever was served goes to the end, or a busy view would starve the alerts.
                    self.subscriptions.rotate_left(1);
                    self.send_update(sid, update).await
                }
                None => Err(Ended::Stopped),
            },
        }
    }

    async fn take(&mut self, text: &str) -> Result<(), Ended> {
        if !self.inbound.allows(now_ms(&self.app)) {
            return Err(self.bye(ByeCode::Protocol, 5_000, "too many messages").await);
        }
        let message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(e) => {
                return Err(self
                    .bye(ByeCode::Protocol, 5_000, &format!("not understood: {e}"))
                    .await);
            }
        };
        match message {
            ClientMessage::Sub { sid, view, since } => {
                self.subscriptions.retain(|(known, _)| *known != sid);
                if self.subscriptions.len() >= SUBSCRIPTIONS {
                    return Err(self.bye(ByeCode::Protocol, 5_000, "too many subscriptions").await);
                }
                let since = since.as_ref().map(|since| (since.epoch.as_str(), Offset(since.seq)));
                self.subscriptions.push((sid, self.app.hub.subscribe(hub_view(view), since)));
            }
            ClientMessage::Unsub { sid } => self.subscriptions.retain(|(known, _)| *known != sid),
            ClientMessage::Ack { .. } => {} // nothing depends on it yet
        }
        Ok(())
    }

    async fn send_update(&mut self, sid: u32, update: Update) -> Result<(), Ended> {
        match update {
            Update::Snapshot(snapshot) => self.send_snapshot(sid, &snapshot).await,
            Update::Delta(delta) => {
                let ops = delta.encoded(encode_ops);
                let ops = ops.first().map_or("[]", |ops| &**ops);
                let n = u32::try_from(delta.n).unwrap_or(u32::MAX);
                self.send(delta_text(sid, delta.from.0, delta.to.0, n, ops)).await
            }
            Update::Mark(mark) => {
                let server_time_ms = now_ms(&self.app);
                let watermark_ms = mark.watermark.map(EventTime::millis);
                self.say(&ServerMessage::Mark {
                    sid,
                    seq: mark.seq.0,
                    watermark_ms,
                    server_time_ms,
                })
                .await
            }
            Update::Gap(gap) => {
                let why = match gap.why {
                    vong_hub::GapReason::Epoch => GapReason::Epoch,
                    vong_hub::GapReason::Retention => GapReason::Retention,
                };
                self.say(&ServerMessage::Gap { sid, from: gap.from.0, to: gap.to.0, why }).await
            }
        }
    }

    async fn send_snapshot(&mut self, sid: u32, snapshot: &Snapshot) -> Result<(), Ended> {
        let parts = snapshot.encoded(encode_rows);
        let count = u32::try_from(snapshot.rows.len()).unwrap_or(u32::MAX);
        let total = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        for (part, rows_json) in (1_u32..).zip(parts.iter()) {
            let snap = SnapPart {
                epoch: &snapshot.epoch,
                seq: snapshot.seq.0,
                part,
                parts: total,
                rows_json,
                count,
            };
            self.send(snap_text(sid, &snap)).await?;
        }
        Ok(())
    }

    async fn say(&mut self, message: &ServerMessage) -> Result<(), Ended> {
        let text = serde_json::to_string(message).expect("wire messages have string keys only");
        self.send(text).await
    }

    async fn send(&mut self, text: String) -> Result<(), Ended> {
        let bytes = text.len() as u64;
        match tokio::time::timeout(SLOW_LIMIT, self.socket.send(Message::Text(text.into()))).await {
            Ok(Ok(())) => {
                self.app.metrics.live_messages.inc();
                self.app.metrics.live_bytes.inc_by(bytes);
                Ok(())
            }
            Ok(Err(_)) => Err(Ended::Left),
            Err(_elapsed) => {
                self.app.metrics.live_closed_slow.inc();
                Err(Ended::Slow)
            }
        }
    }

    /// Says good-bye; whether the screen hears it does not matter.
    async fn bye(&mut self, code: ByeCode, retry_ms: u32, detail: &str) -> Ended {
        let bye = ServerMessage::Bye { code, retry_ms, detail: detail.to_owned() };
        drop(self.say(&bye).await);
        drop(
            tokio::time::timeout(Duration::from_secs(1), self.socket.send(Message::Close(None)))
                .await,
        );
        Ended::Bye
    }
}

/// Counts what a screen sends within the current second.
#[derive(Debug, Default)]
struct Inbound {
    second: i64,
    count: u32,
}

impl Inbound {
    fn allows(&mut self, now_ms: i64) -> bool {
        let second = now_ms / 1_000;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count += 1;
        self.count <= INBOUND_A_SECOND
    }
}

fn now_ms(app: &App) -> i64 {
    EventTime(app.clock.now()).millis()
}

fn hub_view(view: wire::View) -> View {
    match view {
        wire::View::Sensors => View::Sensors,
        wire::View::Cameras => View::Cameras,
        wire::View::Alerts => View::Alerts,
        wire::View::Clips => View::Clips,
        wire::View::Sources => View::Sources,
        wire::View::Views => View::Views,
    }
}

/// Rows in parts; an empty view is one empty part.
fn encode_rows(snapshot: &Snapshot) -> Vec<Arc<str>> {
    let encode = |rows: &[Row]| {
        let rows: Vec<wire::Row> = rows.iter().map(|row| wire_row(snapshot.view, row)).collect();
        Arc::from(serde_json::to_string(&rows).expect("rows have string keys only"))
    };
    if snapshot.rows.is_empty() {
        return vec![encode(&[])];
    }
    snapshot.rows.chunks(ROWS_A_PART).map(encode).collect()
}

fn encode_ops(delta: &Delta) -> Vec<Arc<str>> {
    let ops: Vec<wire::Op> = delta.ops.iter().map(|op| wire_op(delta.view, op)).collect();
    vec![Arc::from(serde_json::to_string(&ops).expect("operations have string keys only"))]
}

fn wire_row(view: View, row: &Row) -> wire::Row {
    wire::Row(row.key.to_string(), row.rev.0, all_fields(view, row))
}

fn wire_op(view: View, op: &Op) -> wire::Op {
    match op {
        Op::Put(row) => {
            wire::Op(OpKind::Put, row.key.to_string(), row.rev.0, all_fields(view, row))
        }
        Op::Patch { key, rev, changes } => {
            let changed = changes.iter().filter_map(|(index, value)| {
                let name = view.columns().get(*index)?;
                Some(((*name).to_owned(), json(value)))
            });
            wire::Op(OpKind::Patch, key.to_string(), rev.0, changed.collect())
        }
        Op::Remove { key, rev } => wire::Op(OpKind::Remove, key.to_string(), rev.0, Fields::new()),
    }
}

fn all_fields(view: View, row: &Row) -> Fields {
    let pairs = view.columns().iter().zip(row.fields.iter());
    pairs.map(|(name, value)| ((*name).to_owned(), json(value))).collect()
}

/// JSON has no NaN and no infinity: both are null.
fn json(value: &FieldValue) -> Value {
    match value {
        FieldValue::Null => Value::Null,
        FieldValue::Bool(value) => Value::from(*value),
        FieldValue::Int(value) => Value::from(*value),
        FieldValue::Float(value) => Value::from(*value),
        FieldValue::Text(value) => Value::from(&**value),
        FieldValue::List(values) => Value::Array(values.iter().map(json).collect()),
    }
}
