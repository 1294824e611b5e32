//! All cameras of the city behind one RTSP address.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tracing::{debug, error, info};
use vong_runtime::{Clock, OnFailure, Shutdown, Tasks, UnixMicros};

use super::dice::Dice;
use super::feed::{Feed, StreamCounts};
use super::film::{self, Stage};
use super::viewer::{Connection, House};
use super::{CameraSpec, Codec, Error};
use crate::scene::Scene;

/// RTSP connections at one time; more are closed as they come.
const MAX_CONNECTIONS: usize = 256;
/// The path of a stream that answers DESCRIBE and then sends random bytes.
const GARBAGE: &str = "/garbage";

/// What to film and where to serve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FarmConfig {
    pub listen: SocketAddr,
    pub cameras: Vec<CameraSpec>,
    pub seed: u64,
    /// A viewer that sends nothing for so long is dropped.
    #[serde(default = "default_session_timeout")]
    pub session_timeout: Duration,
}

fn default_session_timeout() -> Duration {
    Duration::from_secs(60)
}

impl FarmConfig {
    /// `cameras` with the usual timeout.
    pub fn new(listen: SocketAddr, cameras: Vec<CameraSpec>, seed: u64) -> Self {
        Self { listen, cameras, seed, session_timeout: default_session_timeout() }
    }

    /// The ten cameras of the sample city: CAM-01 to CAM-08 in H.264, CAM-09 and CAM-10 in H.265
    /// with an H.264 sub-stream.
    pub fn sample_city(listen: SocketAddr, seed: u64) -> Self {
        let mut cameras = Vec::new();
        for number in 1..=10 {
            let codec = if number <= 8 { Codec::H264 } else { Codec::H265 };
            let main = CameraSpec::new(format!("CAM-{number:02}"), codec);
            if codec == Codec::H265 {
                cameras.push(CameraSpec { sub: true, codec: Codec::H264, ..main.clone() });
            }
            cameras.push(main);
        }
        Self::new(listen, cameras, seed)
    }
}

/// Films every stream that is watched and serves it; see [`CameraFarm::run`].
#[derive(Debug)]
pub struct CameraFarm {
    listener: TcpListener,
    cameras: Vec<CameraSpec>,
    house: Arc<House>,
    handle: FarmHandle,
}

/// What a farm has done so far.
#[derive(Clone, Debug)]
pub struct FarmHandle {
    address: SocketAddr,
    house: Arc<House>,
}

impl FarmHandle {
    /// Where the cameras are served, with the real port if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The RTSP address of a stream's `path`.
    pub fn url(&self, path: &str) -> String {
        format!("rtsp://{}{path}", self.address)
    }

    /// Counts of every stream, in the order of the configuration.
    pub fn streams(&self) -> Vec<StreamCounts> {
        self.house.feeds.iter().map(|feed| feed.counts()).collect()
    }

    /// Counts of the stream at `path` (`/CAM-01/main`).
    pub fn stream(&self, path: &str) -> Option<StreamCounts> {
        self.house.feeds.iter().find(|feed| feed.path == path).map(|feed| feed.counts())
    }
}

impl CameraFarm {
    /// Binds the address; frame 0 of every camera is at `anchor`.
    ///
    /// # Errors
    /// [`Error::DuplicateStream`], [`Error::Listen`].
    pub fn new(
        config: FarmConfig,
        scene: Arc<dyn Scene>,
        clock: Arc<dyn Clock>,
        anchor: UnixMicros,
    ) -> Result<Self, Error> {
        let FarmConfig { listen, cameras, seed, session_timeout } = config;
        let mut paths = BTreeSet::new();
        if let Some(twice) = cameras.iter().map(CameraSpec::path).find(|p| !paths.insert(p.clone()))
        {
            return Err(Error::DuplicateStream { path: twice });
        }
        let failed = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let time_base = |path: &str| Dice::new(seed, path).below(u32::MAX);
        let mut feeds: Vec<_> = cameras
            .iter()
            .map(|spec| {
                let path = spec.path();
                let base = time_base(&path);
                Arc::new(Feed::new(path, Some(spec.camera_id.clone()), base))
            })
            .collect();
        feeds.push(Arc::new(Feed::new(GARBAGE.to_owned(), None, 0)));
        let stage = Stage { seed, scene, clock, anchor };
        let house = Arc::new(House { feeds, stage, session_timeout });
        let handle = FarmHandle { address, house: Arc::clone(&house) };
        Ok(Self { listener, cameras, house, handle })
    }

    pub fn handle(&self) -> FarmHandle {
        self.handle.clone()
    }

    /// Films and serves until the shutdown of `tasks`; connections run as tasks of it.
    ///
    /// # Errors
    /// [`Error::Listen`], [`Error::StartThread`]. A camera that fails is logged and stops alone.
    pub async fn run(self, tasks: Tasks) -> Result<(), Error> {
        let Self { listener, cameras, house, handle } = self;
        let address = handle.address;
        let shutdown = tasks.shutdown();
        let listener = tokio::net::TcpListener::from_std(listener)
            .map_err(|source| Error::Listen { address, source })?;
        // The threads' own signal: they must also end when this future returns early.
        let stop = shutdown.child();
        let threads = start_threads(&cameras, &house, &stop)?;
        info!(%address, streams = cameras.len(), "simulated cameras are served over RTSP");
        accept(&listener, &house, &tasks).await;
        stop.request();
        let joined = tokio::task::spawn_blocking(|| {
            threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
        });
        match joined.await {
            Ok(0) => {}
            Ok(panicked) => error!(panicked, "camera threads panicked (a bug)"),
            Err(e) => error!(error = %e, "cannot wait for camera threads"),
        }
        Ok(())
    }
}

async fn accept(listener: &tokio::net::TcpListener, house: &Arc<House>, tasks: &Tasks) {
    let shutdown = tasks.shutdown();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut number = 0_u64;
    loop {
        let accepted = tokio::select! {
            () = shutdown.requested() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of files, mostly: it passes, and must not spin meanwhile.
                debug!(error = %e, "cannot accept a viewer");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        number += 1;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!(%peer, "too many viewers, connection closed");
            continue;
        };
        let (house, shutdown) = (Arc::clone(house), shutdown.clone());
        tasks.spawn(format!("camera/viewer-{number}"), OnFailure::Continue, async move {
            let served = match Connection::new(house, tcp, peer, number) {
                Ok(connection) => connection.run(shutdown).await,
                Err(e) => Err(e),
            };
            drop(place);
            if let Err(e) = served {
                debug!(%peer, error = %e, "viewer went away");
            }
            Ok::<(), std::convert::Infallible>(())
        });
    }
}

fn start_threads(
    cameras: &[CameraSpec],
    house: &Arc<House>,
    stop: &Shutdown,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let mut threads = Vec::new();
    let count = u32::try_from(cameras.len()).unwrap_or(u32::MAX).max(1);
    for (index, (spec, feed)) in cameras.iter().zip(&house.feeds).enumerate() {
        // Spread over a frame's time, so that not all streams want the processor at once.
        let share = u32::try_from(index).unwrap_or(0);
        let delay = Duration::from_secs(1) / spec.fps.max(1) * share / count;
        let (feed, stage) = (Arc::clone(feed), house.stage.clone());
        let (spec, stop) = (spec.clone(), stop.clone());
        let name = format!("film{}", spec.path());
        let body = move || {
            if let Err(e) = film::film(&feed, &spec, &stage, delay, &stop) {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                error!(error = %e, cause, path = feed.path, "camera stopped filming");
                feed.hang_up();
            }
        };
        threads.push(start(&name, body)?);
    }
    if let (Some(model), Some(garbage)) = (house.feeds.first(), house.feeds.last()) {
        let (model, feed, stage) = (Arc::clone(model), Arc::clone(garbage), house.stage.clone());
        let stop = stop.clone();
        let body = move || film::babble(&feed, &model, &stage, &stop);
        threads.push(start("film/garbage", body)?);
    }
    Ok(threads)
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let failed = |source| Error::StartThread { name: name.to_owned(), source };
    vong_runtime::thread::spawn(name, body).map_err(failed)
}
