//! Keeps one camera stream alive for ever: connect, deliver, report, back off, again.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::{debug, info};
use vong_media::{AccessUnitSink, VideoParameters};
use vong_model::{CameraId, EventTime, UnitCode};
use vong_runtime::{Clock, Shutdown};

use crate::backoff::Backoff;
use crate::error::Error;
use crate::facts::{CameraFact, CameraState, FactSender};
use crate::metrics::RtspMetrics;
use crate::session::{Delivery, Login, Playing, Transport};

/// A session that lasted this long was a good one: the next attempt may come at once.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// How many cameras of one host may be in the middle of connecting at the same time.
///
/// After a power cut all cameras come back at once; servers behind one address refuse such a burst.
/// Hosts do not share places: an address that does not answer holds up itself alone.
#[derive(Clone, Debug)]
pub struct ConnectGate {
    places: usize,
    hosts: Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>,
}

impl ConnectGate {
    pub fn new(places: usize) -> Self {
        Self { places: places.max(1), hosts: Arc::default() }
    }

    fn of(&self, url: &str) -> Arc<Semaphore> {
        let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let mut hosts = self.hosts.lock();
        let semaphore = hosts.entry(host.unwrap_or_default());
        Arc::clone(semaphore.or_insert_with(|| Arc::new(Semaphore::new(self.places))))
    }
}

/// One stream of one camera.
#[derive(Clone, Debug)]
pub struct CameraStream {
    pub camera_id: CameraId,
    pub unit_code: UnitCode,
    pub url: String,
    pub login: Option<Login>,
    pub transport: Transport,
}

/// The service of one stream.
pub struct RtspIntake {
    stream: CameraStream,
    sinks: Vec<Box<dyn AccessUnitSink>>,
    /// `None` for a secondary stream: the camera's state is told by its main stream alone.
    facts: Option<FactSender>,
    gate: ConnectGate,
    clock: Arc<dyn Clock>,
    metrics: RtspMetrics,
    told: Option<CameraState>,
}

impl std::fmt::Debug for RtspIntake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtspIntake").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl RtspIntake {
    pub fn new(
        stream: CameraStream,
        sinks: Vec<Box<dyn AccessUnitSink>>,
        facts: Option<FactSender>,
        gate: ConnectGate,
        clock: Arc<dyn Clock>,
        metrics: RtspMetrics,
    ) -> Self {
        Self { stream, sinks, facts, gate, clock, metrics, told: None }
    }

    /// Runs until shutdown. Never fails: a camera that cannot be reached is a fact, not an error.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        let mut backoff = Backoff::new(self.stream.camera_id.as_str());
        loop {
            let ended = tokio::select! {
                // A camera whose bytes find a bug of ours is lost, told and tried again like any other.
                ended = AssertUnwindSafe(self.play(&mut backoff)).catch_unwind() => {
                    ended.unwrap_or(Error::Panicked)
                }
                () = shutdown.requested() => break,
            };
            self.metrics.failures.inc();
            self.sinks.iter_mut().for_each(|sink| sink.interrupted());
            let state = if ended.is_refusal() { CameraState::Refused } else { CameraState::Lost };
            self.tell(state, ended.chain()).await;
            let delay = backoff.next_delay();
            debug!(camera = %self.stream.camera_id, delay_ms = delay.as_millis(), "camera waits");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = shutdown.requested() => break,
            }
        }
        self.sinks.iter_mut().for_each(|sink| sink.interrupted());
        Ok(())
    }

    /// Connects and delivers until the session ends, which it always does with a reason.
    async fn play(&mut self, backoff: &mut Backoff) -> Error {
        let mut session = match self.connect().await {
            Ok(session) => session,
            Err(e) => return e,
        };
        let connected = Connected::new(&self.metrics);
        let begun = tokio::time::Instant::now();
        let ended = self.deliver(&mut session).await;
        if begun.elapsed() >= GOOD_SESSION {
            backoff.reset();
        }
        drop(connected);
        ended
    }

    async fn connect(&self) -> Result<Playing, Error> {
        let gate = self.gate.of(&self.stream.url);
        let place = gate.acquire().await;
        self.metrics.attempts.inc();
        let CameraStream { url, login, transport, .. } = &self.stream;
        let session =
            Playing::start(url, login.as_ref(), *transport, Arc::clone(&self.clock)).await;
        drop(place);
        session
    }

    async fn deliver(&mut self, session: &mut Playing) -> Error {
        let mut known: Option<Arc<VideoParameters>> = None;
        loop {
            let Delivery { parameters, unit } = match session.next().await {
                Ok(delivery) => delivery,
                Err(e) => return e,
            };
            if let Some(parameters) = parameters
                && known.as_ref() != Some(&parameters)
            {
                self.take_parameters(&parameters, known.is_none()).await;
                known = Some(parameters);
            }
            self.metrics.frames.inc();
            self.metrics.bytes.inc_by(unit.data.len() as u64);
            self.metrics.lost_packets.inc_by(u64::from(unit.lost_packets));
            self.sinks.iter_mut().for_each(|sink| sink.access_unit(&unit));
        }
    }

    async fn take_parameters(&mut self, parameters: &Arc<VideoParameters>, first: bool) {
        self.sinks.iter_mut().for_each(|sink| sink.parameters(parameters));
        let VideoParameters { codec, width, height, rfc6381, .. } = &**parameters;
        let detail = format!("{codec} {width}x{height} {rfc6381}");
        let state = if first { CameraState::Connected } else { CameraState::ParametersChanged };
        self.tell(state, detail).await;
        if !first {
            self.told = Some(CameraState::Connected); // which it still is
        }
    }

    /// Puts a change of state on the log. While a camera stays lost, each failed attempt is counted
    /// but only the first is a fact.
    async fn tell(&mut self, state: CameraState, detail: String) {
        let Some(facts) = &self.facts else { return };
        if self.told == Some(state) && state != CameraState::ParametersChanged {
            return;
        }
        info!(camera = %self.stream.camera_id, state = state.as_str(), detail, "camera changed");
        let CameraStream { camera_id, unit_code, .. } = &self.stream;
        let sent = facts.send(CameraFact {
            at: EventTime(self.clock.now()),
            camera_id: camera_id.clone(),
            state,
            detail,
            unit_code: unit_code.clone(),
        });
        if sent.await.is_ok() {
            self.told = Some(state);
        }
    }
}

/// Counts a session as connected for as long as it lives, however it ends.
struct Connected {
    gauge: vong_telemetry::Gauge,
}

impl Connected {
    fn new(metrics: &RtspMetrics) -> Self {
        metrics.connected.inc();
        Self { gauge: metrics.connected.clone() }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
