//! The router and the listener.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tracing::{debug, info};
use vong_runtime::Shutdown;
use vong_telemetry::{Classify, Kind};

use crate::app::App;
use crate::live_video::VideoDoor;
use crate::{
    backtest, city, clip_facts, clips, commands, console, evidence, frames, guard, holds, live,
    live_video, openapi, probe, review, rules, sql, system,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("http server failed")]
    Serve(#[source] std::io::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Listen { .. } => Kind::Unavailable,
            Self::Serve(_) => Kind::Internal,
        }
    }
}

/// Bodies of requests are small: statements and commands.
const BODY_LIMIT: usize = 256 * 1024;

/// A bound listener that is not served yet.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpServer {
    /// Binds at once, so that a taken port is told at start-up.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let fault = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self { listener, address })
    }

    /// Where it listens; the port is the real one when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until shutdown, then lets open requests end for at most three seconds.
    pub async fn run(self, app: App, shutdown: Shutdown) -> Result<(), Error> {
        info!(address = %self.address, "http listens");
        let stop = shutdown.clone();
        // A small frame must not wait for the acknowledgement of the one before it.
        let listener = self.listener.tap_io(|connection| {
            if let Err(e) = connection.set_nodelay(true) {
                debug!(error = %e, "could not switch off batching of small packets");
            }
        });
        let serving = axum::serve(listener, router(app))
            .with_graceful_shutdown(async move { stop.requested().await });
        let forced = async {
            shutdown.requested().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
        };
        tokio::select! {
            served = serving => served.map_err(Error::Serve),
            () = forced => Ok(()),
        }
    }
}

fn router(app: App) -> Router {
    // Video is compressed already, and a range of it must arrive as the bytes asked for.
    let compressible = SizeAbove::new(1_024)
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("application/zip"))
        .and(NotForContentType::const_new("application/vnd.apache.arrow"))
        .and(NotForContentType::IMAGES);
    let video = VideoDoor::new(&app);
    Router::new()
        .route("/livez", get(system::livez))
        .route("/readyz", get(system::readyz))
        .route("/metrics", get(system::metrics))
        .route("/api/v1/openapi.json", get(openapi::serve))
        .route("/api/v1/about", get(city::about))
        .route("/api/v1/sensors", get(city::sensors))
        .route("/api/v1/cameras", get(city::cameras))
        .route("/map/{layer}", get(city::map_layer))
        .route("/api/v1/sql", post(sql::run))
        .route("/api/v1/rules", get(rules::list).post(rules::change))
        .route("/api/v1/views", get(rules::list_views))
        .route("/api/v1/backtest", post(backtest::run))
        .route("/api/v1/alerts/{alert_id}/{action}", post(commands::act))
        .route("/api/v1/live", get(live::connect))
        .route("/api/v1/live/{view}/snapshot", get(live::snapshot))
        .route("/api/v1/video", get(live_video::connect).with_state(video))
        .route("/api/v1/cameras/probe", post(probe::look))
        .route("/api/v1/cameras/{camera_id}/clip.mp4", get(clips::of_camera))
        .route("/api/v1/cameras/{camera_id}/clip.json", get(clip_facts::of_camera))
        .route("/api/v1/clips/{file}", get(clips::filed))
        .route("/api/v1/holds", get(holds::list))
        .route("/api/v1/holds/{hold_id}", delete(holds::release))
        .route("/api/v1/evidence", get(evidence::list).post(evidence::begin))
        .route("/api/v1/evidence/key", get(evidence::key))
        .route("/api/v1/evidence/{package_id}", get(evidence::status))
        .route("/api/v1/evidence/{package_id}/custody.jsonl", get(evidence::custody))
        .route("/api/v1/evidence/{package_id}/package.zip", get(evidence::fetch))
        .route("/api/v1/cameras/{camera_id}/frames", get(frames::table))
        .route("/api/v1/cameras/{camera_id}/still.jpg", get(frames::still))
        .route("/api/v1/review", get(review::queue))
        .fallback(console::file)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(from_fn(guard::refuse_strangers))
        .with_state(app)
}
