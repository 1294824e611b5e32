//! Changes to many screens: the real HTTP server and hub, real WebSockets on loopback.
//!
//! Screens read everything and check nothing but what a message is. The baseline is a bare
//! tokio-tungstenite server that pushes one prepared text of the same size to as many readers as
//! fast as it can: it does not even read, so it costs less than an echo would. Rates are per second
//! of processor time that the threads of the server used (hub included, readers not).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt64Array};
use futures::{SinkExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use vong_evidence::{Checkpoints, Desk, DeskConfig, EvidenceMetrics, Exporter, Key, verifier_page};
use vong_footage::{Footage, FootageConfig, FootageMetrics};
use vong_http::{App, CityInfo, HttpMetrics, HttpServer, Readiness};
use vong_hub::{Hub, HubConfig, HubMetrics, VideoHub};
use vong_log::{Entry, Log, MemLog};
use vong_model::columns::{key_column, time_column};
use vong_model::{Assets, EventTime, Stream};
use vong_query::{Dimensions, QueryConfig, QueryEngine, QueryMetrics, Sources};
use vong_runtime::{Clock, Current, OnFailure, Shutdown, SystemClock, Tasks};
use vong_store::{Store, StoreConfig};
use vong_stream::{EngineService, RuleDesk, StreamConfig, StreamMetrics};
use vong_telemetry::Metrics;

use crate::log::directory;
use crate::report::{Row, Scale, Target, in_turn};

const SENSORS: usize = 500;
/// Threads are told apart by these names.
const SERVER: &str = "wall-server";
const READER: &str = "wall-reader";

/// How the city changes and who looks on.
#[derive(Clone, Copy, Debug)]
struct Load {
    screens: usize,
    /// Sensors that change at once.
    changes: usize,
    every: Duration,
}

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let single = Load { screens: 100, changes: 1, every: Duration::from_millis(1) };
    let whole = Load { screens: 30, changes: SENSORS, every: Duration::from_millis(10) };
    let mut rows = Vec::new();
    let (both, size) = compare(single, scale, |seen| seen.messages)?;
    let name =
        format!("fanout: deltas of about one change, 100 screens / plain push of {size} bytes");
    rows.push(Row::rate(name, "messages/s a core", both, Target::AtLeast(100e3)));
    let ((ours, baseline), size) = compare(whole, scale, |seen| seen.changes)?;
    let name =
        format!("fanout: changes in deltas of 500, 30 screens / plain push of {size} bytes, x 500");
    let both = (ours, baseline * SENSORS as f64);
    rows.push(Row::rate(name, "changes/s a core", both, Target::AtLeast(100e3)));
    Ok(rows)
}

/// Per core second, ours and the baseline's messages; and the size of a message.
fn compare(load: Load, scale: &Scale, of: fn(&Seen) -> u64) -> Result<((f64, f64), usize)> {
    let first = ours(load, scale.turn)?;
    let size = usize::try_from(first.bytes / first.messages.max(1)).unwrap_or_default();
    let both = in_turn(
        scale.rounds,
        || ours(load, scale.turn).map(|seen| of(&seen) as f64 / seen.core_seconds),
        || push(load, size, scale.turn).map(|seen| seen.messages as f64 / seen.core_seconds),
    )?;
    Ok((both, size))
}

/// What the readers received within a turn.
#[derive(Debug)]
struct Seen {
    messages: u64,
    bytes: u64,
    changes: u64,
    /// Of the server's threads.
    core_seconds: f64,
}

#[derive(Debug, Default)]
struct Counts {
    connected: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    changes: AtomicU64,
}

fn runtime(name: &str, threads: usize) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    Ok(builder.worker_threads(threads).thread_name(name).enable_all().build()?)
}

fn ours(load: Load, turn: Duration) -> Result<Seen> {
    let dir = directory()?;
    let server = runtime(SERVER, 2)?;
    let tasks = Tasks::new("bench", Shutdown::new());
    let log = MemLog::new(Arc::new(SystemClock));
    let address = server.block_on(serve(&dir, &log, &tasks))?;
    let stop = Arc::new(AtomicBool::new(false));
    let feeder = {
        let stop = Arc::clone(&stop);
        vong_runtime::thread::spawn("wall-feeder", move || feed(&log, load, &stop))?
    };
    let seen = watch(address, load.screens, turn);
    stop.store(true, Ordering::Relaxed);
    feeder.join().ok().context("the feeder panicked")??;
    server.block_on(tasks.stop(Duration::from_secs(2)));
    server.shutdown_background();
    let seen = seen?;
    ensure!(seen.changes >= seen.messages, "a delta without changes");
    Ok(seen)
}

/// The desk that nobody asks for a package.
fn evidence_desk(
    dir: &TempDir,
    log: &Arc<dyn Log>,
    footage: &Footage,
    registry: &Metrics,
) -> Result<Desk> {
    let dir = dir.path().join("evidence");
    let key = Arc::new(Key::open(&dir.join("keys"), || [7; 32])?);
    let exporter = Exporter {
        footage: footage.clone(),
        checkpoints: Checkpoints::open(&dir, &key.public())?,
        key,
        clock: Arc::new(SystemClock),
        software: String::new(),
        site_vi: String::new(),
        site_en: String::new(),
        verifier: verifier_page(),
    };
    let desk = DeskConfig { dir, keep: Duration::from_secs(60), min_free_bytes: 0 };
    Ok(Desk::open(desk, exporter, Arc::clone(log), EvidenceMetrics::new(registry))?)
}

/// The hub and the HTTP server over `log`, with everything else of a server present and idle.
async fn serve(dir: &TempDir, log: &MemLog, tasks: &Tasks) -> Result<SocketAddr> {
    let registry = Metrics::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log: Arc<dyn Log> = Arc::new(log.clone());
    let hub_config = HubConfig { tick_ms: 1, ..HubConfig::default() };
    let hub_metrics = HubMetrics::new(&registry);
    let (hub, handle) = Hub::new(&hub_config, Arc::clone(&log), hub_metrics.clone());
    tasks.spawn("hub", OnFailure::Continue, hub.run(tasks.shutdown()));
    let assets = Arc::new(Assets::default());
    let (_, engine) = EngineService::new(
        Arc::clone(&log),
        Arc::clone(&clock),
        StreamConfig::default(),
        StreamMetrics::new(&registry),
    )?;
    let store = StoreConfig { dir: dir.path().join("store"), ..StoreConfig::default() };
    let footage = FootageConfig { dir: dir.path().join("footage"), ..FootageConfig::default() };
    let (footage, _) = Footage::open(footage, Arc::clone(&clock), FootageMetrics::new(&registry))?;
    let sources = Sources {
        log: Arc::clone(&log),
        store: Store::open(store, log.epoch(), None)?,
        dimensions: Dimensions::new(&assets),
        clock: Arc::clone(&clock),
        footage: footage.clone(),
        views: engine.views(),
    };
    let evidence = evidence_desk(dir, &log, &footage, &registry)?;
    let query = QueryEngine::new(QueryConfig::default(), sources, QueryMetrics::new(&registry))?;
    let city = CityInfo {
        version: "0".to_owned(),
        name_vi: "Thành phố Mẫu".to_owned(),
        name_en: "Sample City".to_owned(),
        simulated: true,
        map: dir.path().join("map"),
    };
    let rules = RuleDesk::new(Arc::clone(&log), Arc::clone(&clock), engine);
    let app = App {
        city: Arc::new(city),
        assets: Current::new(assets),
        log,
        query,
        rules,
        backtests: Arc::default(),
        hub: handle,
        video: VideoHub::new(hub_metrics),
        footage,
        evidence,
        stills: None,
        prober: None,
        clock,
        readiness: Readiness::default(),
        metrics: HttpMetrics::new(&registry),
        registry,
        shutdown: tasks.shutdown(),
    };
    let server = HttpServer::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = server.address();
    tasks.spawn("http", OnFailure::Continue, server.run(app, tasks.shutdown()));
    Ok(address)
}

/// Changes the city until told to stop; `load.every` apart.
fn feed(log: &MemLog, load: Load, stop: &AtomicBool) -> Result<()> {
    let ids: Vec<String> = (0..SENSORS).map(|i| format!("TR-{i:03}")).collect();
    let mut next = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        let rows: Vec<usize> = (next..next + load.changes).collect();
        next += load.changes;
        let id = |row: &usize| ids.get(row % SENSORS).map(String::as_str);
        let at = |row: &usize| Some(EventTime(1_767_225_600_000_000 + *row as i64 * 1_000));
        let times = time_column(rows.iter().map(at));
        let same = |text: &'static str| key_column(rows.iter().map(move |_| Some(text)));
        let values = rows.iter().map(|row| (row * 7_919 % 1_000) as f64 / 10.0);
        let columns: Vec<ArrayRef> = vec![
            Arc::clone(&times),
            times,
            same("city-traffic"),
            key_column(rows.iter().map(id)),
            same("speed"),
            Arc::new(Float64Array::from_iter_values(values)),
            same("km/h"),
            same("00101"),
            same("good"),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64))),
        ];
        let batch = RecordBatch::try_new(Stream::Readings.schema(), columns)?;
        log.append_blocking(vec![Entry::new(Stream::Readings, batch)])?;
        std::thread::sleep(load.every);
    }
    Ok(())
}

/// As ours, but the same text again and again, from a server that does nothing else.
fn push(load: Load, size: usize, turn: Duration) -> Result<Seen> {
    let server = runtime(SERVER, 2)?;
    let tasks = Tasks::new("bench", Shutdown::new());
    let listener = server.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    let text = Utf8Bytes::from(format!(r#"{{"type":"delta",{:1$}}}"#, "", size.saturating_sub(17)));
    let pushing = tasks.clone();
    let entered = server.enter();
    tasks.spawn("accept", OnFailure::Continue, async move {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let text = text.clone();
            pushing.spawn("push", OnFailure::Continue, async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await?;
                // Until the reader has left, which is how every turn ends.
                while socket.send(Message::Text(text.clone())).await.is_ok() {}
                Ok::<(), tungstenite::Error>(())
            });
        }
        #[expect(unreachable_code, reason = "says what kind of error the block has")]
        Ok::<(), std::io::Error>(())
    });
    drop(entered);
    let seen = watch(address, load.screens, turn);
    server.block_on(tasks.stop(Duration::from_millis(100)));
    server.shutdown_background();
    seen
}

/// Opens `screens` WebSockets, waits until all receive, and counts for `turn`.
fn watch(address: SocketAddr, screens: usize, turn: Duration) -> Result<Seen> {
    let readers = runtime(READER, 1)?;
    let tasks = Tasks::new("readers", Shutdown::new());
    let counts = Arc::new(Counts::default());
    let entered = readers.enter();
    for _ in 0..screens {
        tasks.spawn("reader", OnFailure::Continue, read(address, Arc::clone(&counts)));
    }
    drop(entered);
    let patience = Instant::now() + Duration::from_secs(20);
    while counts.connected.load(Ordering::Relaxed) < screens as u64 {
        ensure!(Instant::now() < patience, "not all screens were served within 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(turn / 4);
    let now = || {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&counts.messages), of(&counts.bytes), of(&counts.changes))
    };
    let (before, used) = (now(), core_seconds(SERVER)?);
    std::thread::sleep(turn);
    let (after, used_then) = (now(), core_seconds(SERVER)?);
    drop(tasks);
    readers.shutdown_background();
    let seen = Seen {
        messages: after.0 - before.0,
        bytes: after.1 - before.1,
        changes: after.2 - before.2,
        // One tick of the counter at least.
        core_seconds: (used_then - used).max(0.01),
    };
    ensure!(seen.messages > 0, "nothing was received within a turn");
    Ok(seen)
}

async fn read(address: SocketAddr, counts: Arc<Counts>) -> Result<(), tungstenite::Error> {
    let url = format!("ws://{address}/api/v1/live");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
    socket.send(Message::text(r#"{"type":"sub","sid":1,"view":"sensors"}"#)).await?;
    let mut is_new = true;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        if !text.starts_with(r#"{"type":"delta""#) {
            continue;
        }
        if std::mem::take(&mut is_new) {
            counts.connected.fetch_add(1, Ordering::Relaxed);
        }
        let changes = text.matches(r#"["~","#).count() + text.matches(r#"["+","#).count();
        counts.messages.fetch_add(1, Ordering::Relaxed);
        counts.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        counts.changes.fetch_add(changes as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Processor time that the living threads called `name` have used, as the kernel counts it: in
/// hundredths of a second.
fn core_seconds(name: &str) -> Result<f64> {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").context("could not list the threads")? {
        let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        let Some((head, rest)) = stat.rsplit_once(") ") else { continue };
        if head.split_once('(').is_some_and(|(_, found)| found == name) {
            // Fields 14 and 15 of proc_pid_stat(5); the first of `rest` is field 3.
            let used = rest.split(' ').skip(11).take(2);
            ticks += used.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
    }
    Ok(ticks as f64 / 100.0)
}
