//! Many cameras in one process, each behind its own address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::Instant;
use vong_runtime::{Clock, OnFailure, Shutdown, Tasks};
use vong_sim::camera::Reel;

use super::connection::Connection;
use super::counts::{CameraCounts, Counting, tick};
use super::script::{Flapping, Login, Script};

/// What one camera is.
#[derive(Clone, Debug)]
pub struct FakeCamera {
    /// Port 0 for one of the system's choice, kept for the camera's life.
    pub address: SocketAddr,
    pub reel: Arc<Reel>,
    /// What [`super::Fault::OtherReel`] shows.
    pub other_reel: Option<Arc<Reel>>,
    pub login: Login,
    /// Offers a G.711 track; nothing is ever sent on it.
    pub audio: bool,
    /// Offers an ONVIF metadata track on which these documents are sent in turn, one a second.
    pub metadata: Vec<String>,
    /// Small NAL units travel together: STAP-A (RFC 6184 5.7.1) and AP (RFC 7798 4.4.2).
    pub aggregate: bool,
    pub script: Script,
}

impl FakeCamera {
    /// A sound camera at `address`, open to all.
    pub fn new(address: SocketAddr, reel: Arc<Reel>) -> Self {
        Self {
            address,
            reel,
            other_reel: None,
            login: Login::Open,
            audio: false,
            metadata: Vec::new(),
            aggregate: false,
            script: Script::default(),
        }
    }
}

/// The address of camera `number` of a street: hosts of their own, all of them this machine.
pub fn loopback(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 77, high, low), 0))
}

/// Running cameras; they end with [`FakeFarm::stop`].
#[derive(Debug)]
pub struct FakeFarm {
    cameras: Vec<Arc<Camera>>,
    tasks: Tasks,
    ground: Arc<Ground>,
}

/// What all cameras of a farm share.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) clock: Arc<dyn Clock>,
    tasks: Tasks,
    /// Off: nobody listens and every connection is reset.
    power: watch::Sender<bool>,
    /// Cameras that hold still send nothing but keep their connections.
    pub(crate) still: watch::Sender<bool>,
    describes: Mutex<(Instant, usize)>,
    numbers: AtomicU64,
}

/// One camera at work.
#[derive(Debug)]
pub(crate) struct Camera {
    pub(crate) plan: FakeCamera,
    pub(crate) counts: Counting,
    /// Refusals as stale that are still to come.
    pub(crate) stale: AtomicU64,
    up: watch::Sender<bool>,
}

impl Ground {
    /// Whether one more DESCRIBE fits into this second.
    pub(crate) fn fits(&self, limit: usize) -> bool {
        let mut describes = self.describes.lock();
        if describes.0.elapsed() >= Duration::from_secs(1) {
            *describes = (Instant::now(), 0);
        }
        describes.1 += 1;
        describes.1 <= limit
    }
}

impl FakeFarm {
    /// Binds every address and serves.
    ///
    /// # Errors
    /// When an address cannot be bound, named in the error.
    pub async fn start(cameras: Vec<FakeCamera>, clock: Arc<dyn Clock>) -> Result<Self> {
        let tasks = Tasks::new("fake-cameras", Shutdown::new());
        let ground = Arc::new(Ground {
            clock,
            tasks: tasks.clone(),
            power: watch::Sender::new(true),
            still: watch::Sender::new(false),
            describes: Mutex::new((Instant::now(), 0)),
            numbers: AtomicU64::new(0),
        });
        let mut started = Vec::new();
        for mut plan in cameras {
            let listener = listen(plan.address)
                .await
                .with_context(|| format!("could not serve a camera on {}", plan.address))?;
            plan.address = listener.local_addr()?;
            let stale = match &plan.login {
                Login::Digest { stale, .. } => *stale,
                Login::Open | Login::Basic { .. } => 0,
            };
            let camera = Arc::new(Camera {
                plan,
                counts: Counting::default(),
                stale: AtomicU64::new(stale),
                up: watch::Sender::new(true),
            });
            let (own, own_ground) = (Arc::clone(&camera), Arc::clone(&ground));
            let shutdown = tasks.shutdown();
            tasks.spawn("fake-camera", OnFailure::Continue, async move {
                tokio::select! {
                    served = own.serve(listener, &own_ground) => served,
                    () = own.flap() => Ok(()),
                    () = shutdown.requested() => Ok(()),
                }
            });
            started.push(camera);
        }
        Ok(Self { cameras: started, tasks, ground })
    }

    pub fn len(&self) -> usize {
        self.cameras.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cameras.is_empty()
    }

    /// The RTSP address of camera `index`, in the order of the start.
    pub fn url(&self, index: usize) -> String {
        let address = self.cameras.get(index).map(|camera| camera.plan.address);
        address.map_or_else(String::new, |address| format!("rtsp://{address}/stream"))
    }

    /// What camera `index` did so far.
    pub fn counts(&self, index: usize) -> CameraCounts {
        self.cameras.get(index).map(|camera| camera.counts.now()).unwrap_or_default()
    }

    /// Cuts or restores the power of all cameras.
    pub fn power(&self, on: bool) {
        self.ground.power.send_replace(on);
    }

    /// Cuts or restores the power of camera `index` alone.
    pub fn power_of(&self, index: usize, on: bool) {
        if let Some(camera) = self.cameras.get(index) {
            camera.up.send_replace(on);
        }
    }

    /// Lets all cameras hold still (nothing is sent, connections stay), or go on.
    pub fn hold_still(&self, still: bool) {
        self.ground.still.send_replace(still);
    }

    pub async fn stop(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
    }
}

impl Camera {
    async fn serve(
        self: &Arc<Self>,
        first: TcpListener,
        ground: &Arc<Ground>,
    ) -> std::io::Result<()> {
        let mut listener = Some(first);
        let (mut power, mut up) = (ground.power.subscribe(), self.up.subscribe());
        loop {
            let on = *power.borrow_and_update() && *up.borrow_and_update();
            if !on {
                listener = None;
            } else if listener.is_none() {
                listener = Some(listen(self.plan.address).await?);
            }
            tokio::select! {
                changed = power.changed() => if changed.is_err() { return Ok(()) },
                changed = up.changed() => if changed.is_err() { return Ok(()) },
                accepted = accept(listener.as_ref()) => {
                    // Out of files, mostly: it passes, and must not spin meanwhile.
                    let Ok(tcp) = accepted else {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    };
                    self.welcome(tcp, ground);
                }
            }
        }
    }

    fn welcome(self: &Arc<Self>, tcp: tokio::net::TcpStream, ground: &Arc<Ground>) {
        let number = tick(&self.counts.connections);
        let id = ground.numbers.fetch_add(1, Ordering::Relaxed);
        let (mut power, mut up) = (ground.power.subscribe(), self.up.subscribe());
        let (camera, ground, shutdown) =
            (Arc::clone(self), Arc::clone(ground), ground.tasks.shutdown());
        let tasks = ground.tasks.clone();
        tasks.spawn("fake-camera/viewer", OnFailure::Continue, async move {
            let mut connection = Connection::new(camera, ground, tcp, number, id);
            let ended = tokio::select! {
                ended = connection.run() => ended,
                _ = power.wait_for(|on| !on) => Err(std::io::ErrorKind::ConnectionReset.into()),
                _ = up.wait_for(|on| !on) => Err(std::io::ErrorKind::ConnectionReset.into()),
                () = shutdown.requested() => Ok(()),
            };
            if ended.is_err() {
                connection.reset();
            }
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// Comes and goes; never returns.
    async fn flap(&self) {
        let Some(Flapping { seed, up, down }) = &self.plan.script.flapping else {
            return std::future::pending().await;
        };
        let mut chance = ChaCha8Rng::seed_from_u64(*seed);
        loop {
            tokio::time::sleep(chance.random_range(up.clone())).await;
            self.up.send_replace(false);
            tokio::time::sleep(chance.random_range(down.clone())).await;
            self.up.send_replace(true);
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<tokio::net::TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(tcp, _)| tcp),
        None => std::future::pending().await,
    }
}

/// Binds also where connections of the same camera are still fading away.
async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    const TRIES: usize = 50;
    for _ in 1..TRIES {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        if socket.bind(address).is_ok() {
            return socket.listen(64);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    TcpListener::bind(address).await
}
