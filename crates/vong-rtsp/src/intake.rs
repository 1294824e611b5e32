//! Keeps one camera stream alive for ever: connect, deliver, report, back off, again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use retina::client::SessionGroup;
use tokio::time::Instant;
use tracing::{debug, info};
use vong_media::{AccessUnit, AccessUnitSink, VideoParameters};
use vong_model::{CameraId, EventTime, UnitCode};
use vong_runtime::{Clock, Shutdown};

use crate::backoff::Backoff;
use crate::error::Error;
use crate::facts::{About, CameraFact, CameraState, FactSender, OnvifFact};
use crate::gate::ConnectGate;
use crate::login::{Login, presentable};
use crate::metadata_track::MetadataTrack;
use crate::metrics::RtspMetrics;
use crate::networks::Networks;
use crate::onvif::{EventFilter, Told, parse_metadata};
use crate::session::{Ask, Event, Playing, Transport};
use crate::teller::Teller;
use crate::watch::{ClockChange, ClockWatch, LossChange, LossWatch, Order, OrderWatch};

/// A session that lasted this long was a good one: the next attempt may come at once.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// One stream of one camera.
#[derive(Clone, Debug)]
pub struct CameraStream {
    pub camera_id: CameraId,
    pub unit_code: UnitCode,
    pub url: String,
    pub login: Option<Login>,
    pub transport: Transport,
    pub kind: StreamKind,
}

/// Which of a camera's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// What is recorded: it stands for the camera.
    Main,
    /// The light one for small tiles. Only its connection is told, as `live_stream`.
    Live,
}

/// What all streams share; cheap to clone.
#[derive(Clone, Debug)]
pub struct IntakeGround {
    pub gate: ConnectGate,
    pub networks: Arc<Networks>,
    pub clock: Arc<dyn Clock>,
    pub metrics: RtspMetrics,
}

/// The service of one stream.
pub struct RtspIntake {
    stream: CameraStream,
    sinks: Vec<Box<dyn AccessUnitSink>>,
    teller: Teller,
    ground: IntakeGround,
    told: Option<CameraState>,
    loss: LossWatch,
    camera_clock: ClockWatch,
    order: OrderWatch,
    events: EventFilter,
    group: Arc<SessionGroup>,
    metadata: MetadataTrack,
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
        facts: FactSender,
        ground: IntakeGround,
    ) -> Self {
        let metadata = MetadataTrack::new(stream.kind == StreamKind::Main);
        Self {
            stream,
            sinks,
            teller: Teller::new(facts, ground.metrics.clone()),
            ground,
            told: None,
            loss: LossWatch::default(),
            camera_clock: ClockWatch::default(),
            order: OrderWatch::default(),
            events: EventFilter::default(),
            group: Arc::new(SessionGroup::default()),
            metadata,
        }
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
            self.ground.metrics.failures.inc();
            self.interrupt();
            let state = if ended.is_refusal() { CameraState::Refused } else { CameraState::Lost };
            self.tell_state(state, &ended.chain(self.stream.login.as_ref()));
            let delay = match &ended {
                e if e.is_login() => backoff.next_login_delay(),
                e if e.is_busy() => backoff.next_busy_delay(),
                _ => backoff.next_delay(),
            };
            debug!(camera = %self.stream.camera_id, delay_ms = delay.as_millis(), "camera waits");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = shutdown.requested() => break,
            }
        }
        self.interrupt();
        Ok(())
    }

    fn interrupt(&mut self) {
        self.sinks.iter_mut().for_each(|sink| sink.interrupted());
        self.order.interrupted();
        self.camera_clock.interrupted();
        self.loss.interrupted();
    }

    /// Connects and delivers until the session ends, which it always does with a reason.
    async fn play(&mut self, backoff: &mut Backoff) -> Error {
        let asked = self.metadata.is_asked_for(Instant::now());
        let mut session = match self.connect(asked).await {
            Ok(session) => session,
            Err(e) => {
                self.metadata.not_connected(asked, &e);
                return e;
            }
        };
        let connected = Connected::new(&self.ground.metrics);
        let begun = Instant::now();
        let ended = self.deliver(&mut session).await;
        let good = begun.elapsed() >= GOOD_SESSION;
        if good {
            backoff.reset();
        }
        self.metadata.ended(session.has_metadata() && !good, &ended, Instant::now());
        drop(connected);
        ended
    }

    async fn connect(&self, metadata: bool) -> Result<Playing, Error> {
        let IntakeGround { gate, networks, clock, metrics } = &self.ground;
        let CameraStream { url, login, transport, .. } = &self.stream;
        let url = networks.pin(url).await?;
        let place = gate.enter(url.host_str().unwrap_or_default()).await;
        metrics.attempts.inc();
        let ask = Ask {
            url: &url,
            login: login.as_ref(),
            transport: *transport,
            group: &self.group,
            metadata,
        };
        let session = Playing::start(&ask, Arc::clone(clock)).await;
        drop(place);
        session
    }

    async fn deliver(&mut self, session: &mut Playing) -> Error {
        let mut known: Option<Arc<VideoParameters>> = None;
        loop {
            // The first frame is prompt: the instants of all that follow hang on when it came.
            let prompt = known.is_none() || self.sinks.iter().any(|sink| sink.is_prompt());
            match session.next(prompt).await {
                Ok(Event::Frame { parameters, mut unit }) => {
                    if let Some(parameters) = parameters
                        && known.as_ref() != Some(&parameters)
                    {
                        let others = known.is_none().then(|| session.offer.others());
                        self.take_parameters(&parameters, others);
                        known = Some(parameters);
                    }
                    match self.order.frame(unit.pts_90k, unit.received_at) {
                        Some(Order::BFrames) => return Error::BFrames,
                        Some(Order::Jumped { by_90k, tell }) => {
                            session.forget_camera_clock();
                            unit.camera_time = None;
                            self.tell_jump(by_90k, tell);
                        }
                        None => {}
                    }
                    self.hand_on(&unit);
                }
                Ok(Event::Clock(camera)) => self.take_clock(camera),
                Ok(Event::Document(document)) => self.take_document(&document),
                Err(e) => return e,
            }
        }
    }

    fn hand_on(&mut self, unit: &AccessUnit) {
        let RtspMetrics { frames, bytes, lost_packets, .. } = &self.ground.metrics;
        frames.inc();
        bytes.inc_by(unit.data.len() as u64);
        lost_packets.inc_by(u64::from(unit.lost_packets));
        self.sinks.iter_mut().for_each(|sink| sink.access_unit(unit));
        let (state, per_mille) =
            match self.loss.frame(unit.received_at, unit.data.len(), unit.lost_packets) {
                Some(LossChange::Bad { per_mille }) => (CameraState::PacketsLost, per_mille),
                Some(LossChange::Good { per_mille }) => (CameraState::PacketsGood, per_mille),
                None => return self.teller.again(),
            };
        let detail = format!("{} % of packets lost over the last minute", tenths(per_mille));
        self.tell(state, &detail);
    }

    /// `others`: what else the camera offers, at the first parameters of a session.
    fn take_parameters(&mut self, parameters: &Arc<VideoParameters>, others: Option<String>) {
        self.sinks.iter_mut().for_each(|sink| sink.parameters(parameters));
        let VideoParameters { codec, width, height, rfc6381, .. } = &**parameters;
        let detail = format!("{codec} {width}x{height} {rfc6381}");
        match others {
            Some(others) => {
                self.tell_state(CameraState::Connected, &format!("{detail}{others}"));
            }
            None => self.tell(CameraState::ParametersChanged, &detail),
        }
    }

    fn tell_jump(&mut self, by_90k: i64, tell: bool) {
        self.ground.metrics.jumps.inc();
        if tell {
            let detail =
                format!("frame times jumped by {} s", seconds(by_90k.saturating_mul(100) / 9));
            self.tell(CameraState::TimestampsJumped, &detail);
        }
    }

    fn take_clock(&mut self, camera: EventTime) {
        let ours = EventTime(self.ground.clock.now());
        for change in self.camera_clock.report(camera, ours) {
            let (state, detail) = match change {
                ClockChange::Off { by_us } => {
                    let way = if by_us > 0 { "ahead of" } else { "behind" };
                    let by = seconds(by_us.saturating_abs());
                    (CameraState::ClockDrift, format!("camera clock is {by} s {way} ours"))
                }
                ClockChange::Good { by_us } => {
                    let by = seconds(by_us);
                    (CameraState::ClockGood, format!("camera clock differs by {by} s from ours"))
                }
                ClockChange::Stepped { by_us } => {
                    let by = seconds(by_us);
                    (CameraState::TimestampsJumped, format!("camera clock was set by {by} s"))
                }
            };
            self.tell(state, &detail);
        }
    }

    fn take_document(&mut self, document: &[u8]) {
        let onvif_dropped = self.ground.metrics.onvif_dropped.clone();
        let notifications = match parse_metadata(document) {
            Ok(notifications) => notifications,
            Err(why) => {
                onvif_dropped.with_label_values(&["unreadable"]).inc();
                return debug!(camera = %self.stream.camera_id, %why, "metadata not read");
            }
        };
        let at = EventTime(self.ground.clock.now());
        let login = self.stream.login.clone();
        let shown = |text: &str| presentable(text, login.as_ref());
        for notification in &notifications {
            match self.events.take(notification, at) {
                Told::Known => {}
                Told::Dropped(reason) => onvif_dropped.with_label_values(&[reason]).inc(),
                Told::Row { state, subject, value, detail } => {
                    let CameraStream { camera_id, unit_code, .. } = &self.stream;
                    let (camera_id, unit_code) = (camera_id.clone(), unit_code.clone());
                    let (subject, detail) = (shown(&subject), shown(&detail));
                    self.teller.tell_onvif(OnvifFact {
                        at,
                        camera_id,
                        state,
                        subject,
                        value,
                        detail,
                        unit_code,
                    });
                }
            }
        }
    }

    /// Tells a change of what the camera is. While a camera stays lost, each failed attempt is
    /// counted but only the first is a fact.
    fn tell_state(&mut self, state: CameraState, detail: &str) {
        if self.told.replace(state) == Some(state) {
            self.teller.again();
        } else {
            self.tell(state, detail);
        }
    }

    fn tell(&mut self, state: CameraState, detail: &str) {
        let CameraStream { camera_id, unit_code, login, kind, .. } = &self.stream;
        let detail = presentable(detail, login.as_ref());
        let (about, detail) = match kind {
            StreamKind::Main => (state.about(), detail),
            StreamKind::Live => (About::LiveStream, format!("sub-stream: {detail}")),
        };
        info!(camera = %camera_id, state = state.as_str(), detail, "camera changed");
        if about == About::LiveStream && state.about() != About::Connection {
            return;
        }
        self.teller.tell(CameraFact {
            at: EventTime(self.ground.clock.now()),
            camera_id: camera_id.clone(),
            about,
            state,
            detail,
            unit_code: unit_code.clone(),
        });
    }
}

/// 14 as `1.4`.
fn tenths(per_mille: u64) -> String {
    format!("{}.{}", per_mille / 10, per_mille % 10)
}

/// Microseconds as seconds with one digit, sign kept.
fn seconds(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let tenths = micros.unsigned_abs() / 100_000;
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
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
