//! The live pictures of a page over one WebSocket; the protocol is specified in `vong_wire::video`.
//!
//! One task per page, no queue: what a page does not take stays in the video hub, which skips it to
//! the next key frame. A page is allowed a window of payload bytes on their way; while it is full
//! nothing is sent, so that no buffer of the network hides how late a picture is.

mod door;
mod flow;
mod motion;
mod screen;
mod stills;
mod tile;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use tracing::debug;
use vong_model::{Action, authorize};
use vong_wire::VIDEO_PROTOCOL;

use crate::error::Problem;
use crate::guard::Caller;
pub(crate) use door::VideoDoor;
use screen::Screen;

/// Live pictures of all tiles of a page.
#[utoipa::path(get, path = "/api/v1/video", responses((status = 101, description = "WebSocket, sub-protocol vong.video.v1")))]
pub(crate) async fn connect(
    State(door): State<VideoDoor>,
    Caller(caller): Caller,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    authorize(&caller, Action::ViewLive, "video")?;
    // Every buffer of the library is bounded: its own defaults are not.
    let upgrade = upgrade
        .protocols([VIDEO_PROTOCOL])
        .max_message_size(64 * 1024)
        .max_frame_size(64 * 1024)
        .write_buffer_size(64 * 1024)
        .max_write_buffer_size(32 * 1024 * 1024);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let metrics = door.metrics.clone();
        metrics.video_clients.inc();
        let ended = Screen::new(door, caller, socket).run().await;
        metrics.video_clients.dec();
        debug!(?ended, "page with pictures left");
    }))
}

#[cfg(test)]
mod tests;
