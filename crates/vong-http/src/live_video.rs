//! A camera's live picture as fragmented MP4 over a WebSocket, one fragment per frame.
//!
//! The video hub skips a slow viewer to the next key frame; nothing is queued here.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use vong_hub::{VideoEvent, VideoViewer};
use vong_media::{LiveFragmenter, VideoParameters, init_segment};
use vong_model::{Action, CameraId};
use vong_runtime::Shutdown;
use vong_wire::http::LiveVideoInit;

use crate::app::App;
use crate::error::Problem;
use crate::guard::Caller;

/// A viewer that cannot take a frame for this time is gone.
const SLOW_LIMIT: Duration = Duration::from_secs(10);

/// The live picture of a camera.
#[utoipa::path(get, path = "/api/v1/cameras/{camera_id}/live", params(("camera_id" = String, Path)), responses(
    (status = 101, description = "WebSocket: a text message LiveVideoInit, then binary: init segment, fragments"),
    (status = 404, body = vong_wire::http::Problem)
))]
pub(crate) async fn watch(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(camera_id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let camera = CameraId::from(camera_id);
    app.may_see(&caller, Action::ViewLive, &camera)?;
    let viewer = app.video.watch(&camera);
    let viewer =
        viewer.ok_or_else(|| Problem::not_found(format!("there is no camera '{camera}'")))?;
    let upgrade = upgrade
        .max_message_size(4 * 1024)
        .max_frame_size(4 * 1024)
        .write_buffer_size(64 * 1024)
        .max_write_buffer_size(32 * 1024 * 1024);
    Ok(upgrade.on_upgrade(move |socket| async move {
        app.metrics.video_viewers.inc();
        // A viewer that leaves, for whatever reason, is no fault.
        drop(Tile { socket, fragmenter: LiveFragmenter::new() }.run(viewer, app.shutdown).await);
        app.metrics.video_viewers.dec();
    }))
}

struct Tile {
    socket: WebSocket,
    fragmenter: LiveFragmenter,
}

/// The viewer left or does not read.
struct Gone;

impl Tile {
    async fn run(mut self, mut viewer: VideoViewer, shutdown: Shutdown) -> Result<(), Gone> {
        loop {
            tokio::select! {
                event = viewer.next() => self.show(event).await?,
                received = self.socket.recv() => match received {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                    Some(Ok(_)) => {}
                },
                () = shutdown.requested() => return Ok(()),
            }
        }
    }

    async fn show(&mut self, event: VideoEvent) -> Result<(), Gone> {
        match event {
            VideoEvent::Parameters(parameters) => self.begin(&parameters).await,
            VideoEvent::Unit { unit, .. } => match self.fragmenter.wrap(&unit) {
                Ok(fragment) => self.send(Message::Binary(fragment.bytes)).await,
                Err(_too_large) => Ok(()),
            },
            VideoEvent::Interrupted => {
                self.fragmenter.interrupted();
                Ok(())
            }
        }
    }

    async fn begin(&mut self, parameters: &VideoParameters) -> Result<(), Gone> {
        self.fragmenter = LiveFragmenter::new();
        let VideoParameters { rfc6381, width, height, .. } = parameters;
        let mime = format!("video/mp4; codecs=\"{rfc6381}\"");
        let init = LiveVideoInit { mime, width: *width, height: *height };
        let text = serde_json::to_string(&init).expect("the message has string keys only");
        let segment = init_segment(parameters).map_err(|_unencodable| Gone)?;
        self.send(Message::Text(text.into())).await?;
        self.send(Message::Binary(segment)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match tokio::time::timeout(SLOW_LIMIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}
