//! Cameras that fail, the intake that bears it, and what is seen of both.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use vong_media::{AccessUnit, AccessUnitSink, Stamp, Timeline, VideoParameters};
use vong_model::EventTime;
use vong_rtsp::{
    CameraState, CameraStream, ConnectGate, Fact, FactSender, IntakeGround, Login, Networks,
    RtspIntake, RtspMetrics, StreamKind, Transport, fact_channel,
};
use vong_runtime::channel::Receiver;
use vong_runtime::{Clock, OnFailure, Shutdown, SystemClock, Tasks};
use vong_telemetry::Metrics;
use vong_testkit::camera::{CameraSpec, Codec, FakeCamera, FakeFarm, Reel, Script, loopback};

/// One group of pictures of two seconds.
pub(crate) fn reel(codec: Codec, width: u32) -> Arc<Reel> {
    type Filmed = Vec<(Codec, u32, Arc<Reel>)>;
    static REELS: OnceLock<Mutex<Filmed>> = OnceLock::new();
    let mut reels = REELS.get_or_init(Mutex::default).lock();
    if let Some((_, _, reel)) = reels.iter().find(|(c, w, _)| (*c, *w) == (codec, width)) {
        return Arc::clone(reel);
    }
    let spec =
        CameraSpec { width, height: (width * 9 / 16) & !1, ..CameraSpec::new("REEL", codec) };
    let reel = Arc::new(Reel::film(&spec, 1, 20).unwrap());
    reels.push((codec, width, Arc::clone(&reel)));
    reel
}

/// A camera with this script at an address of its own.
pub(crate) fn camera(script: Script) -> FakeCamera {
    static NUMBERS: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(1);
    let number = NUMBERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut camera = FakeCamera::new(loopback(number), reel(Codec::H264, 320));
    camera.script = script;
    camera
}

/// What a sink got of one camera.
#[derive(Clone, Debug, Default)]
pub(crate) struct Got {
    pub(crate) frames: u64,
    pub(crate) keys: u64,
    pub(crate) bytes: usize,
    pub(crate) lost_packets: u64,
    pub(crate) interruptions: u64,
    pub(crate) sizes: Vec<(u32, u32)>,
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) camera_times: Vec<Option<EventTime>>,
    pub(crate) last: Option<bytes::Bytes>,
}

#[derive(Debug)]
struct Sink {
    got: Arc<Mutex<Got>>,
    timeline: Timeline,
}

impl AccessUnitSink for Sink {
    fn parameters(&mut self, parameters: &Arc<VideoParameters>) {
        self.got.lock().sizes.push((parameters.width, parameters.height));
    }

    fn access_unit(&mut self, unit: &AccessUnit) {
        let mut got = self.got.lock();
        got.frames += 1;
        got.keys += u64::from(unit.key);
        got.bytes += unit.data.len();
        got.lost_packets += u64::from(unit.lost_packets);
        got.stamps.push(self.timeline.stamp(unit.pts_90k, unit.received_at));
        got.camera_times.push(unit.camera_time);
        got.last = Some(unit.data.clone());
    }

    fn interrupted(&mut self) {
        self.got.lock().interruptions += 1;
        self.timeline.interrupted();
    }
}

/// A street of fake cameras and the intake of each.
pub(crate) struct World {
    pub(crate) farm: FakeFarm,
    pub(crate) metrics: RtspMetrics,
    tasks: Tasks,
    facts: Receiver<Fact>,
    sender: FactSender,
    ground: IntakeGround,
    got: Vec<Arc<Mutex<Got>>>,
    pub(crate) told: Vec<Fact>,
}

impl World {
    pub(crate) async fn new(cameras: Vec<FakeCamera>) -> Self {
        Self::with_facts(cameras, fact_channel()).await
    }

    /// A world whose facts go this way.
    pub(crate) async fn with_facts(
        cameras: Vec<FakeCamera>,
        (sender, facts): (FactSender, Receiver<Fact>),
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let farm = FakeFarm::start(cameras, Arc::clone(&clock)).await.unwrap();
        let metrics = RtspMetrics::new(&Metrics::new());
        let ground = IntakeGround {
            gate: ConnectGate::new(8),
            networks: Arc::new(Networks::default()),
            clock,
            metrics: metrics.clone(),
        };
        Self {
            farm,
            metrics,
            tasks: Tasks::new("edges", Shutdown::new()),
            facts,
            sender,
            ground,
            got: Vec::new(),
            told: Vec::new(),
        }
    }

    /// The intake of camera `index`, told as `CAM-<index>`.
    pub(crate) fn take_in(&mut self, index: usize, login: Option<Login>, transport: Transport) {
        let url = self.farm.url(index);
        self.take_in_url(index, url, login, transport);
    }

    pub(crate) fn take_in_url(
        &mut self,
        index: usize,
        url: String,
        login: Option<Login>,
        transport: Transport,
    ) {
        self.take_in_stream(CameraStream {
            camera_id: format!("CAM-{index}").as_str().into(),
            unit_code: "U1".into(),
            url,
            login,
            transport,
            kind: StreamKind::Main,
        });
    }

    pub(crate) fn take_in_stream(&mut self, stream: CameraStream) {
        let name = format!("rtsp/{}", stream.camera_id);
        let got = Arc::new(Mutex::new(Got::default()));
        self.got.push(Arc::clone(&got));
        let sink = Sink { got, timeline: Timeline::new() };
        let facts = self.sender.clone();
        let intake = RtspIntake::new(stream, vec![Box::new(sink)], facts, self.ground.clone());
        let shutdown = self.tasks.shutdown();
        self.tasks.spawn(name, OnFailure::Continue, intake.run(shutdown));
    }

    pub(crate) fn take_in_all(mut self) -> Self {
        for index in 0..self.farm.len() {
            self.take_in(index, None, Transport::Tcp);
        }
        self
    }

    pub(crate) fn got(&self, index: usize) -> Got {
        self.got[index].lock().clone()
    }

    pub(crate) fn frames(&self, index: usize) -> u64 {
        self.got[index].lock().frames
    }

    /// States told of camera `index` so far, in order.
    pub(crate) fn states(&mut self, index: usize) -> Vec<&'static str> {
        self.details(index).into_iter().map(|(state, _)| state.as_str()).collect()
    }

    pub(crate) fn details(&mut self, index: usize) -> Vec<(CameraState, String)> {
        while let Some(fact) = self.facts.try_recv() {
            self.told.push(fact);
        }
        let id = format!("CAM-{index}");
        let of_camera = self.told.iter().filter_map(|fact| match fact {
            Fact::Camera(fact) if fact.camera_id.as_str() == id => {
                Some((fact.state, fact.detail.clone()))
            }
            _ => None,
        });
        of_camera.collect()
    }

    /// Waits until `done`, else fails with what was told.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) {
        let begun = tokio::time::Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < limit, "{what}: not within {limit:?}; told {:?}", self.told);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        self.farm.stop().await;
    }
}
