//! A running installation: what is wired to what, and the order in which it stops.
//!
//! Start: stores, log, engines, edges, doors. Stop: edges first, so that nothing new enters; then
//! the recorder writes what it holds; then engines; the doors close last.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};
use vong_decode::{Decoder, SourceConfig};
use vong_evidence::{
    Checkpoints, Desk, DeskConfig, EvidenceMetrics, Exporter, Key, Sealer, SealerConfig,
};
use vong_footage::{ClassLimits, ClosedSegment, Footage, FootageConfig, FootageMetrics};
use vong_http::{App, CityInfo, HttpMetrics, HttpServer, Readiness};
use vong_hub::{Hub, HubConfig, HubHandle, HubMetrics, VideoHub};
use vong_log::{
    Entry, Error as LogError, FileLog, Health, Log, LogConfig, LogMetrics, Retention, Snapshots,
};
use vong_media::StillMaker;
use vong_model::view::ViewTables;
use vong_model::{
    Assets, Camera, CameraClass, CameraId, EventTime, SourceEvent, Stream, Table, source_events,
};
use vong_mqtt::{MqttIntake, MqttMetrics};
use vong_query::{
    Archiver, ArchiverConfig, ArchiverMetrics, Dimensions, QueryConfig, QueryEngine, QueryMetrics,
    Sources,
};
use vong_recorder::{
    ClipConfig, ClipFiler, ClipMetrics, Recorder, RecorderConfig, RecorderHandle, RecorderMetrics,
    RingLimits,
};
use vong_rtsp::{ConnectGate, FactWriter, IntakeGround, RtspMetrics};
use vong_runtime::{Clock, Current, OnFailure, Shutdown, Tasks};
use vong_sql::rule::RuleStatement;
use vong_store::{Store, StoreConfig, StoreMetrics};
use vong_stream::{
    EngineHandle, EngineService, RuleDesk, SequencerConfig, SnapshotConfig, StreamConfig,
    StreamMetrics,
};
use vong_telemetry::Metrics;

use crate::cameras::{self, Aligned, Prober, RunningCameras};
use crate::config::{self, Config};
use crate::site::Site;
use crate::vision::{Eyes, Scenes};
use crate::{log_retention, log_watch, sources, tables};

/// How many cameras of one host connect at the same time.
const CONNECTING: usize = 8;

/// How long each phase may take to stop.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where, below the data directory, engine and live views write down what they know.
const ENGINE_DIR: &str = "engine";
const LIVE_DIR: &str = "live";

/// Where, below the data directory, checkpoints and packages lie, and the key that signs them.
pub(crate) const EVIDENCE_DIR: &str = "evidence";
pub(crate) const KEYS_DIR: &str = "keys";

/// A package that nobody fetched is made again if it is needed: its footage stays on hold.
const KEEP_PACKAGES: Duration = Duration::from_secs(7 * 86_400);

/// Before what the log did not take is told again.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// How often footage that is too old is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Installation {
    address: SocketAddr,
    readiness: Readiness,
    failed: Shutdown,
    desk: RuleDesk,
    query: QueryEngine,
    assets: Current<Assets>,
    footage: Footage,
    cameras: RunningCameras,
    edges: Tasks,
    engines: Tasks,
    doors: Tasks,
    recorder: Option<JoinHandle<()>>,
    goodbye: Shutdown,
}

/// How much was changed by reading the files again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reloaded {
    pub(crate) tables: usize,
    pub(crate) rules: usize,
    pub(crate) cameras: Aligned,
}

/// What every part is built from.
struct Ground {
    clock: Arc<dyn Clock>,
    registry: Metrics,
    log: Arc<dyn Log>,
    assets: Current<Assets>,
    readiness: Readiness,
    edges: Tasks,
    engines: Tasks,
}

impl Installation {
    /// Brings registers, tables and rule files that were changed into force. Cameras that did not
    /// change are not disturbed. Sensors that are new to the register are known to SQL and screens
    /// at once, to the decoders of brokers after a restart; scenes too are read at the start only.
    ///
    /// # Errors
    /// When the log does not take a change.
    pub(crate) async fn reload(&self, site: &Site) -> Result<Reloaded> {
        let Site { config: _, assets, logins, sources, scenes: _, tables, areas, rules } = site;
        self.assets.set(Arc::new(assets.clone()));
        self.footage.set_classes(classes(assets));
        let cameras = self.cameras.align(assets, logins).await;
        self.query
            .set_dimensions(dimensions(assets, sources, tables).with_areas(Arc::clone(areas)));
        let tables = self.desk.align_tables(tables).await?; // rules may need them,
        let rules = self.desk.align(rules).await?.len(); // so they come after
        Ok(Reloaded { tables, rules, cameras })
    }

    /// Opens the stores and starts everything; returns once the door is open, before it is ready.
    pub(crate) async fn start(site: Site, clock: Arc<dyn Clock>) -> Result<Self> {
        let Site { config, assets, logins, sources: mappings, scenes, tables, areas, rules } = site;
        // A port that is taken is told before a store is touched.
        let http = HttpServer::bind(config.http.listen).await?;
        let (address, failed, goodbye) = (http.address(), Shutdown::new(), Shutdown::new());
        let phase = |name| Tasks::new(name, failed.clone());
        let (edges, engines, doors) = (phase("edges"), phase("engines"), phase("doors"));
        let registry = Metrics::new();
        let log = open_log(&config, &clock, &registry)?;
        let health = log.health();
        let log: Arc<dyn Log> = Arc::new(log);
        let assets = Current::new(Arc::new(assets));
        let readiness = Readiness::default();
        let ground =
            Ground { clock, registry, log, assets, readiness: readiness.clone(), edges, engines };

        ground.watch_log(health);
        let store = ground.open_store(&config)?;
        let (footage, recovered) = ground.open_footage(&config)?;
        let evidence = ground.start_evidence(&config, &footage);
        let engine = ground.start_engine(&config)?;
        let live = HubMetrics::new(&ground.registry);
        let hub = ground.start_hub(&config, live.clone());
        let video = VideoHub::new(live);
        let dimensions = dimensions(&ground.assets.now(), &mappings, &tables).with_areas(areas);
        ground.trim_log(&config, store.clone());
        let query = ground.start_queries(&config, (store, &footage), dimensions, engine.views())?;
        let (recorder, recording) = ground.start_recorder(&config.footage, &footage, recovered)?;
        ground.start_clip_filer(&config.video, &recorder);
        let (eyes, stills) = ground.start_vision(&config, scenes)?;
        let parts = (recorder, video.clone(), eyes);
        let cameras = ground.start_cameras(&config.video, &logins, parts).await;
        ground.start_brokers(&config, &mappings)?;
        let desk =
            RuleDesk::new(Arc::clone(&ground.log), Arc::clone(&ground.clock), engine.clone())
                .with_budget(config.rules.budget());
        ground.align_rules(engine, desk.clone(), (tables, rules));

        let parts = (query.clone(), desk.clone(), hub, video, (footage.clone(), evidence), stills);
        let app = ground.app(&config, parts, goodbye.clone());
        doors.spawn("http", OnFailure::StopProcess, http.run(app, doors.shutdown()));
        let Ground { assets, edges, engines, .. } = ground;
        Ok(Self {
            address,
            readiness,
            failed,
            desk,
            query,
            assets,
            footage,
            cameras,
            edges,
            engines,
            doors,
            recorder: Some(recording),
            goodbye,
        })
    }

    /// Where screens find it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves once every part can do its job.
    pub(crate) async fn ready(&self) {
        while !self.readiness.waiting_for().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resolves when a part that nothing works without has failed.
    pub(crate) async fn failed(&self) {
        self.failed.requested().await;
    }

    /// Stops in order; what was accepted is on disk when this returns.
    pub(crate) async fn stop(mut self) {
        info!("stopping");
        self.edges.stop(PATIENCE).await; // nothing new enters, and the cameras' sinks are gone
        drop(self.cameras); // with what could make new ones,
        if let Some(recorder) = self.recorder.take() {
            let joined = tokio::task::spawn_blocking(move || recorder.join()); // so the recorder ends
            match tokio::time::timeout(PATIENCE, joined).await {
                Ok(Ok(Ok(()))) => {}
                ended => warn!(?ended, "recorder did not end in order"),
            }
        }
        self.engines.stop(PATIENCE).await;
        self.goodbye.request(); // screens are told before the listener goes
        self.doors.stop(PATIENCE).await;
        info!("stopped");
    }
}

impl Ground {
    fn open_store(&self, config: &Config) -> Result<Store> {
        let dir = config.data.directory.join("history");
        let metrics = StoreMetrics::new(&self.registry);
        let store = Store::open(
            StoreConfig { dir, ..StoreConfig::default() },
            self.log.epoch(),
            Some(metrics),
        );
        store.context("could not open the history tables")
    }

    /// The footage, and the files that a crash had left open.
    fn open_footage(&self, config: &Config) -> Result<(Footage, Vec<ClosedSegment>)> {
        let settings = &config.footage;
        let limits = |class: CameraClass| {
            let config::ClassConfig { keep_days, keep_gib } = settings.class(class);
            let limits = ClassLimits { keep_days, max_bytes: keep_gib.saturating_mul(1 << 30) };
            (class.as_str().to_owned(), limits)
        };
        let footage = FootageConfig {
            dir: config.data.directory.join("footage"),
            keep_days: settings.keep_days,
            max_bytes: settings.keep_gib.saturating_mul(1 << 30),
            min_free_bytes: settings.min_free_mib.saturating_mul(1 << 20),
            classes: CameraClass::ALL.into_iter().map(limits).collect(),
            ..FootageConfig::default()
        };
        let opened =
            Footage::open(footage, Arc::clone(&self.clock), FootageMetrics::new(&self.registry));
        let (footage, opened) = opened.context("could not open the footage")?;
        footage.set_classes(classes(&self.assets.now()));
        if opened.cut_bytes > 0 {
            warn!(bytes = opened.cut_bytes, "cut torn ends of footage files");
        }
        let sweeper = footage.clone();
        let stop = self.engines.shutdown();
        self.engines.spawn("footage/retention", OnFailure::Continue, sweep(sweeper, stop));
        Ok((footage, opened.recovered))
    }

    /// Seals what is recorded, hour by hour, and makes packages of it. A damaged key or checkpoint
    /// switches that off, as loudly as can be, and nothing else: alerts do not wait for it.
    fn start_evidence(&self, config: &Config, footage: &Footage) -> Desk {
        let metrics = EvidenceMetrics::new(&self.registry);
        let opened = self.open_evidence(config, footage, metrics.clone());
        let off = opened.as_ref().err().map(|error| format!("{error:#}"));
        let stop = self.engines.shutdown();
        let told = tell_evidence(Arc::clone(&self.log), Arc::clone(&self.clock), off, stop);
        self.engines.spawn("evidence/told", OnFailure::Continue, told);
        opened.unwrap_or_else(|error| {
            let why = format!("{error:#}");
            error!(
                error = why,
                "evidence is switched off: footage is not sealed, packages cannot be made; alerts and recording go on"
            );
            metrics.switched_off(true);
            Desk::off(&why)
        })
    }

    fn open_evidence(
        &self,
        config: &Config,
        footage: &Footage,
        metrics: EvidenceMetrics,
    ) -> Result<Desk> {
        let data = &config.data.directory;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the system gives no randomness for a key")?;
        let key = Key::open(&data.join(KEYS_DIR), || seed);
        let key = Arc::new(key.context("could not open the key of this installation")?);
        let dir = data.join(EVIDENCE_DIR);
        let checkpoints =
            Checkpoints::open(&dir, &key.public()).context("could not open the checkpoints")?;
        let sealer = Sealer::new(
            SealerConfig::default(),
            (footage.clone(), checkpoints.clone()),
            Arc::clone(&key),
            Arc::clone(&self.clock),
            metrics.clone(),
        );
        let exporter = Exporter {
            footage: footage.clone(),
            checkpoints,
            key,
            clock: Arc::clone(&self.clock),
            software: format!("vong {}", env!("CARGO_PKG_VERSION")),
            site_vi: config.city.name_vi.clone(),
            site_en: config.city.name_en.clone(),
            verifier: vong_evidence::verifier_page(),
        };
        let min_free_bytes = config.footage.min_free_mib.saturating_mul(1 << 20);
        let desk = DeskConfig { dir, keep: KEEP_PACKAGES, min_free_bytes };
        let desk = Desk::open(desk, exporter, Arc::clone(&self.log), metrics)
            .context("could not open the evidence packages")?;
        let sealing = sealer.run(Arc::clone(&self.log), self.engines.shutdown());
        self.engines.spawn("evidence/sealer", OnFailure::Continue, sealing);
        let keeping = desk.clone().keep_house(self.engines.shutdown());
        self.engines.spawn("evidence/packages", OnFailure::Continue, keeping);
        Ok(desk)
    }

    fn start_engine(&self, config: &Config) -> Result<EngineHandle> {
        let config::StreamConfig { lateness_ms, idle_after_s, dead_after_s } = config.stream;
        let sequencer = SequencerConfig {
            lateness_ms,
            idle_after_ms: idle_after_s.saturating_mul(1_000),
            dead_after_ms: dead_after_s.saturating_mul(1_000),
            ..SequencerConfig::default()
        };
        let snapshots = SnapshotConfig {
            dir: config.data.directory.join(ENGINE_DIR),
            every: Duration::from_secs(config.data.snapshot_every_s),
        };
        let metrics = StreamMetrics::new(&self.registry);
        let (engine, handle) = EngineService::new(
            Arc::clone(&self.log),
            Arc::clone(&self.clock),
            StreamConfig { sequencer, snapshots: Some(snapshots) },
            metrics,
        )?;
        self.engines.spawn("engine", OnFailure::StopProcess, engine.run(self.engines.shutdown()));
        Ok(handle)
    }

    /// Engine and live views are on record up to some offset; only below it the log may be cut.
    fn trim_log(&self, config: &Config, store: Store) {
        let days = Duration::from_secs(86_400).saturating_mul(config.data.log_keep_days);
        let keep = Retention {
            keep_age: Some(days),
            keep_bytes: Some(config.data.log_keep_gib.saturating_mul(1 << 30)),
        };
        let of = |dir: &str| Snapshots::new(&config.data.directory.join(dir), self.log.epoch(), 0);
        let readers = log_retention::Readers { store, snapshots: [of(ENGINE_DIR), of(LIVE_DIR)] };
        let (log, clock) = (Arc::clone(&self.log), Arc::clone(&self.clock));
        let trimming = log_retention::run(log, readers, keep, clock, self.engines.shutdown());
        self.engines.spawn("log/retention", OnFailure::Continue, trimming);
    }

    fn start_hub(&self, config: &Config, metrics: HubMetrics) -> HubHandle {
        let snapshots = Some(config.data.directory.join(LIVE_DIR));
        let settings = HubConfig {
            snapshots,
            snapshot_every_s: config.data.snapshot_every_s,
            ..HubConfig::default()
        };
        let (hub, handle) = Hub::new(&settings, Arc::clone(&self.log), metrics);
        self.engines.spawn("hub", OnFailure::StopProcess, hub.run(self.engines.shutdown()));
        self.readiness.wait_for("live views");
        let (waiting, readiness) = (handle.clone(), self.readiness.clone());
        self.engines.spawn("hub/ready", OnFailure::Continue, async move {
            if waiting.ready().await {
                readiness.done("live views");
            }
            Ok::<(), std::convert::Infallible>(())
        });
        handle
    }

    fn start_queries(
        &self,
        config: &Config,
        (store, footage): (Store, &Footage),
        dimensions: Dimensions,
        views: watch::Receiver<ViewTables>,
    ) -> Result<QueryEngine> {
        let config::QueryConfig { concurrent, deadline_s, max_rows, memory_mib } = config.query;
        let memory_bytes =
            usize::try_from(memory_mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
        let limits = QueryConfig {
            concurrent,
            deadline_s,
            max_rows,
            memory_bytes,
            ..QueryConfig::default()
        };
        let (log, clock) = (Arc::clone(&self.log), Arc::clone(&self.clock));
        let sources = Sources {
            log: Arc::clone(&log),
            store: store.clone(),
            dimensions,
            clock: Arc::clone(&clock),
            footage: footage.clone(),
            views,
        };
        let query = QueryEngine::new(limits, sources, QueryMetrics::new(&self.registry))?;
        let metrics = ArchiverMetrics::new(&self.registry);
        let archiver = Archiver::new(ArchiverConfig::default(), log, store, clock, metrics);
        self.engines.spawn("archiver", OnFailure::Continue, archiver.run(self.engines.shutdown()));
        Ok(query)
    }

    fn start_recorder(
        &self,
        config: &config::FootageConfig,
        footage: &Footage,
        recovered: Vec<ClosedSegment>,
    ) -> Result<(RecorderHandle, JoinHandle<()>)> {
        let settings = RecorderConfig {
            queue_bytes: config.queue_mib.saturating_mul(1 << 20),
            ring: RingLimits {
                keep: Duration::from_secs(config.event_memory_s),
                bytes: config.event_memory_mib.saturating_mul(1 << 20),
            },
        };
        let (recorder, handle, teller) = Recorder::new(
            settings,
            footage.clone(),
            Arc::clone(&self.log),
            Arc::clone(&self.clock),
            RecorderMetrics::new(&self.registry),
        );
        let telling = teller.run(self.engines.shutdown());
        self.engines.spawn("recorder/losses", OnFailure::Continue, telling);
        let (alive, ended) = tokio::sync::oneshot::channel();
        let thread = vong_runtime::thread::spawn("vong-recorder", move || {
            recorder.run(&recovered);
            if alive.send(()).is_err() {
                debug!("nobody waits for the recorder any more");
            }
        });
        // A panic drops the sender: recording is over, and a process that goes on would hide it.
        self.engines.spawn("recorder/watch", OnFailure::StopProcess, ended);
        let thread = thread.context("could not start the recorder's thread")?;
        Ok((handle, thread))
    }

    /// Among the edges: it hands footage of cameras of events to the recorder, which ends after them.
    fn start_clip_filer(&self, config: &config::VideoConfig, recorder: &RecorderHandle) {
        let clips = ClipConfig {
            pre_roll: Duration::from_secs(config.pre_roll_s),
            post_roll: Duration::from_secs(config.post_roll_s),
            radius_m: config.clip_radius_m,
            cameras: config.clip_cameras,
        };
        let (assets, log, clock) =
            (self.assets.clone(), Arc::clone(&self.log), Arc::clone(&self.clock));
        let metrics = ClipMetrics::new(&self.registry);
        let filer = ClipFiler::new(clips, assets, log, clock, recorder.clone(), metrics);
        self.edges.spawn("clip-filer", OnFailure::StopProcess, filer.run(self.edges.shutdown()));
    }

    fn start_vision(&self, config: &Config, scenes: Scenes) -> Result<(Eyes, Arc<dyn StillMaker>)> {
        let log = Arc::clone(&self.log);
        let eyes = Eyes::start((config, scenes), log, &self.clock, &self.registry, &self.edges)?;
        let stills = Arc::new(eyes.vision.stills());
        Ok((eyes, stills))
    }

    async fn start_cameras(
        &self,
        config: &config::VideoConfig,
        logins: &crate::assets::CameraLogins,
        (recorder, video, eyes): (RecorderHandle, VideoHub, Eyes),
    ) -> RunningCameras {
        let (writer, facts) = FactWriter::new(Arc::clone(&self.log));
        self.edges.spawn("rtsp/facts", OnFailure::StopProcess, writer.run(self.edges.shutdown()));
        let cameras = RunningCameras::new(cameras::Shared {
            tasks: self.edges.clone(),
            transport: match config.transport {
                config::Transport::Tcp => vong_rtsp::Transport::Tcp,
                config::Transport::Udp => vong_rtsp::Transport::Udp,
            },
            recorder,
            video,
            eyes,
            facts,
            ground: IntakeGround {
                gate: ConnectGate::new(CONNECTING),
                networks: Arc::new(config.networks.clone()),
                clock: Arc::clone(&self.clock),
                metrics: RtspMetrics::new(&self.registry),
            },
        });
        cameras.align(&self.assets.now(), logins).await;
        cameras
    }

    fn start_brokers(&self, config: &Config, mappings: &[SourceConfig]) -> Result<()> {
        let metrics = MqttMetrics::new(&self.registry);
        for broker in &config.brokers {
            if !mappings.iter().any(|source| source.broker == broker.id) {
                warn!(broker = broker.id, "no source names this broker; it is not connected to");
                continue;
            }
            let decoder = Decoder::new(&broker.id, mappings, &self.assets.now())?;
            let seed = random_seed(&*self.clock);
            let (log, clock) = (Arc::clone(&self.log), Arc::clone(&self.clock));
            let intake = MqttIntake::new(broker.clone(), decoder, log, clock, &metrics, seed)?;
            let name = format!("mqtt/{}", broker.id);
            self.edges.spawn(name, OnFailure::StopProcess, intake.run(self.edges.shutdown()));
        }
        Ok(())
    }

    fn watch_log(&self, health: watch::Receiver<Health>) {
        let (log, clock) = (Arc::clone(&self.log), Arc::clone(&self.clock));
        let watching = log_watch::run(log, health, clock, self.engines.shutdown());
        self.engines.spawn("log/watch", OnFailure::Continue, watching);
    }

    /// Once the engine has read the log it knows the rules in force; the files' differences follow.
    fn align_rules(
        &self,
        engine: EngineHandle,
        desk: RuleDesk,
        (tables, files): (Vec<Table>, Vec<RuleStatement>),
    ) {
        self.readiness.wait_for("rules");
        let readiness = self.readiness.clone();
        let stop = self.engines.shutdown();
        self.engines.spawn("rules", OnFailure::StopProcess, async move {
            tokio::select! {
                () = engine.caught_up() => {}
                () = stop.requested() => return Ok(()),
            }
            let tables = desk.align_tables(&tables).await?;
            let rules = desk.align(&files).await?.len();
            if tables + rules > 0 {
                info!(tables, rules, "tables and rules changed since the last start");
            }
            readiness.done("rules");
            Ok::<(), vong_stream::Error>(())
        });
    }

    fn app(
        &self,
        config: &Config,
        parts: (QueryEngine, RuleDesk, HubHandle, VideoHub, (Footage, Desk), Arc<dyn StillMaker>),
        goodbye: Shutdown,
    ) -> App {
        let (query, rules, hub, video, (footage, evidence), stills) = parts;
        let city = CityInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name_vi: config.city.name_vi.clone(),
            name_en: config.city.name_en.clone(),
            simulated: config.city.simulated,
            map: config.files.map.clone(),
        };
        App {
            city: Arc::new(city),
            assets: self.assets.clone(),
            log: Arc::clone(&self.log),
            query,
            rules,
            backtests: Arc::default(),
            hub,
            video,
            footage,
            evidence,
            stills: Some(stills),
            prober: Some(Arc::new(Prober::new(
                Arc::new(config.video.networks.clone()),
                Arc::clone(&self.clock),
            ))),
            clock: Arc::clone(&self.clock),
            readiness: self.readiness.clone(),
            registry: self.registry.clone(),
            metrics: HttpMetrics::new(&self.registry),
            shutdown: goodbye,
        }
    }
}

/// The class of every camera's footage.
fn classes(assets: &Assets) -> BTreeMap<CameraId, String> {
    let of = |camera: &Camera| (camera.camera_id.clone(), camera.class.as_str().to_owned());
    assets.cameras.values().map(of).collect()
}

/// What history SQL can join.
fn dimensions(assets: &Assets, mappings: &[SourceConfig], tables: &[Table]) -> Dimensions {
    let registers = Dimensions::new(assets).with("sources", sources::table(mappings));
    // The registers' own tables are there already, with every validity of a unit.
    let own = tables.iter().filter(|table| !tables::OF_REGISTERS.contains(&table.name()));
    own.fold(registers, |all, table| all.with(table.name(), table.rows().clone()))
}

fn open_log(config: &Config, clock: &Arc<dyn Clock>, registry: &Metrics) -> Result<FileLog> {
    let log = LogConfig {
        segment_bytes: config.data.log_segment_mib.saturating_mul(1 << 20),
        segment_age: Duration::from_secs(config.data.log_segment_age_s),
        reserve_bytes: config.data.log_reserve_mib.saturating_mul(1 << 20),
        ..LogConfig::new(config.data.directory.join("log"))
    };
    let seed = random_seed(&**clock);
    let log = FileLog::open_with(log, Arc::clone(clock), seed, LogMetrics::new(registry));
    log.context("could not open the log")
}

/// Chance enters here and nowhere else: the log's identity and the spread of reconnects.
fn random_seed(clock: &dyn Clock) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(clock.now())
}

/// Puts it on the log whether evidence is switched on; if not, why.
async fn tell_evidence(
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    off: Option<String>,
    stop: Shutdown,
) -> Result<(), LogError> {
    let state = if off.is_some() { "switched_off" } else { "switched_on" };
    let now = EventTime(clock.now());
    let rows = source_events(&[SourceEvent::now(now, "vong_evidence", state, off.as_deref())]);
    // Nothing else tells it later, and an alert hangs on it.
    while let Err(error) = log.append(vec![Entry::new(Stream::SourceEvents, rows.clone())]).await {
        warn!(%error, state, "could not tell how evidence is, trying again");
        tokio::select! {
            () = tokio::time::sleep(TELL_AGAIN) => {}
            () = stop.requested() => break,
        }
    }
    Ok(())
}

async fn sweep(footage: Footage, stop: Shutdown) -> Result<(), vong_footage::Error> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = stop.requested() => return Ok(()),
        }
        let worker = footage.clone();
        let swept = tokio::task::spawn_blocking(move || {
            let swept = worker.sweep();
            worker.outlook(); // for its metrics
            swept
        });
        match swept.await {
            Ok(Ok(swept)) => info!(?swept, "old footage looked for"),
            Ok(Err(e)) => warn!(error = %e, "could not delete old footage"),
            Err(e) => warn!(error = %e, "could not look for old footage"),
        }
    }
}
