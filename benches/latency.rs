//! From a message to the broker until its alert is on a WebSocket: the vong that was built beside
//! this program, a real Mosquitto, 1,000 rules, and a load of other sensors meanwhile.
//!
//! Each probe is a sensor of its own that crosses a threshold once. Skipped, with the reason, where
//! there is no Mosquitto or no vong beside this program.
#![expect(clippy::print_stdout, reason = "says why it was skipped")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use futures::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use vong_testkit::{Mosquitto, Publisher};

use crate::log::directory;
use crate::report::{Row, Scale, Target, percentile};

const RULES: usize = 1_000;
const SENSORS: usize = 1_000;
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(40);
/// The load is sent in portions of this length.
const PORTION: Duration = Duration::from_millis(20);

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let Some(broker) = Mosquitto::start_or_skip()? else { return Ok(Vec::new()) };
    let Some(vong) = Vong::start(&broker)? else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for (rate, (p50, p99)) in [(1_000, (3.0, 15.0)), (20_000, (3.0, 15.0))] {
        let waits = vong.probe(&broker, rate, scale.of(500))?;
        for (share, bound, what) in
            [(0.5, p50, "p50"), (0.99, p99, "p99"), (0.999, 5.0 * p99, "p99.9")]
        {
            rows.push(Row::time(
                format!("latency: publish to alert on a WebSocket, 1,000 rules, {rate} events/s, {what} / {bound} ms"),
                "ms",
                (percentile(waits.clone(), share), bound),
                Target::Below(bound),
            ));
        }
    }
    Ok(rows)
}

/// A running vong in a directory of its own.
struct Vong {
    process: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Drop for Vong {
    fn drop(&mut self) {
        drop(self.process.kill()); // it may have ended by itself
        drop(self.process.wait());
    }
}

impl Vong {
    fn start(broker: &Mosquitto) -> Result<Option<Self>> {
        let beside: PathBuf = std::env::current_exe()?.with_file_name("vong");
        if !beside.try_exists()? {
            println!("skipped: needs {}", beside.display());
            return Ok(None);
        }
        let directory = directory()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        write_site(directory.path(), port, broker.port())?;
        let mut command = Command::new(beside);
        command.args(["serve", "--config"]).arg(directory.path().join("vong.toml"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let vong = Self { process, address: format!("127.0.0.1:{port}"), _directory: directory };
        let begun = Instant::now();
        while !vong.is_ready() {
            ensure!(begun.elapsed() < Duration::from_secs(60), "vong is not ready after 60 s");
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(1)); // its subscriptions
        Ok(Some(vong))
    }

    fn is_ready(&self) -> bool {
        use std::io::{Read as _, Write as _};
        let asked = std::net::TcpStream::connect(&self.address).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.contains(" 200 "))
        });
        asked.unwrap_or(false)
    }

    /// Milliseconds from publishing each probe until its alert is read, under a load of `rate`.
    fn probe(&self, broker: &Mosquitto, rate: usize, probes: usize) -> Result<Vec<f64>> {
        let seen: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wall-reader")
            .enable_all()
            .build()?;
        let reader = runtime.spawn(read_alerts(self.address.clone(), Arc::clone(&seen)));
        let stop = Arc::new(AtomicBool::new(false));
        let (port, told) = (broker.port(), Arc::clone(&stop));
        let load = vong_runtime::thread::spawn("load", move || load(port, rate, &told))?;
        std::thread::sleep(Duration::from_secs(2));
        let mut publisher = Publisher::connect(broker.port(), "probe")?;
        let mut sent = Vec::with_capacity(probes);
        for number in 0..probes {
            let sensor = format!("P-{rate}-{number:04}");
            let message = (format!("probe/{sensor}"), payload(2_000.0)?);
            sent.push((sensor, Instant::now()));
            publisher.publish(&[message], &mut 0)?;
            std::thread::sleep(PAUSE);
        }
        std::thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        load.join().map_err(|_panic| anyhow::anyhow!("the load panicked"))??;
        reader.abort();
        runtime.shutdown_background();
        let seen = seen.lock();
        let wait = |(sensor, at): &(String, Instant)| {
            let arrived = seen.get(sensor).with_context(|| format!("no alert of {sensor}"))?;
            Ok(arrived.duration_since(*at).as_secs_f64() * 1e3)
        };
        sent.iter().map(wait).collect()
    }
}

async fn read_alerts(
    address: String,
    seen: Arc<Mutex<HashMap<String, Instant>>>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let url = format!("ws://{address}/api/v1/live");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
    socket.send(Message::text(r#"{"type":"sub","sid":1,"view":"alerts"}"#)).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let now = Instant::now();
        for (place, _) in text.match_indices("\"P-") {
            let rest = text.get(place + 1..).unwrap_or_default();
            let sensor = rest.split('"').next().unwrap_or_default();
            seen.lock().entry(sensor.to_owned()).or_insert(now);
        }
    }
    Ok(())
}

/// Publishes `rate` messages a second of sensors that cross nothing.
fn load(port: u16, rate: usize, stop: &AtomicBool) -> Result<()> {
    let mut publisher = Publisher::connect(port, "load")?;
    let portion = rate * PORTION.as_millis() as usize / 1_000;
    let (begun, mut sent) = (Instant::now(), 0_u32);
    while !stop.load(Ordering::Relaxed) {
        let messages = (0..portion).map(|i| {
            let sensor = (sent as usize * portion + i) % SENSORS;
            Ok((format!("load/B-{sensor:04}"), payload((i % 50) as f64)?))
        });
        publisher.publish(&messages.collect::<Result<Vec<_>>>()?, &mut 0)?;
        sent += 1;
        std::thread::sleep((PORTION * sent).saturating_sub(begun.elapsed()));
    }
    Ok(())
}

fn payload(value: f64) -> Result<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "a device has a clock of its own")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(format!("{{\"t\":{now},\"v\":{value}}}").into_bytes())
}

fn write_site(directory: &Path, port: u16, broker: u16) -> Result<()> {
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:{port}\"\n[[broker]]\nid = \"b\"\nhost = \"127.0.0.1\"\nport = \
         {broker}\n"
    );
    std::fs::write(directory.join("vong.toml"), config)?;
    let source = |id: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\nbroker = \"b\"\ntopic = \"{id}/{{sensor_id}}\"\ntimestamp = {{ \
             pointer = \"/t\", format = \"unix_ms\" }}\n[[source.field]]\nmetric = \"{id}\"\npointer = \
             \"/v\"\nunit = \"1\"\n"
        )
    };
    for folder in ["sources", "rules"] {
        std::fs::create_dir(directory.join(folder))?;
    }
    std::fs::write(directory.join("sources/all.toml"), source("load") + &source("probe"))?;
    std::fs::write(directory.join("rules/all.sql"), rules()?)?;
    Ok(())
}

/// One rule the probes cross, and others, half on single rows and half on windows, that nothing does.
fn rules() -> Result<String> {
    let mut text = String::new();
    let mut rule = |name: &str, select: &str| {
        writeln!(
            text,
            "CREATE ALERT RULE {name} SEVERITY low TITLE vi 'a' en 'b' ACTION vi 'c' en 'd' AS {select};"
        )
    };
    rule("probe", "SELECT sensor_id, value FROM readings WHERE metric = 'probe' AND value > 1000")?;
    for number in 1..RULES {
        let select = if number % 2 == 0 {
            format!(
                "SELECT sensor_id, value FROM readings WHERE metric = 'load' AND value > {}",
                1_000 + number
            )
        } else {
            format!(
                "SELECT sensor_id, avg(value) FROM readings WHERE metric = 'load' AND sensor_id IN \
                 ('B-{number:04}', 'B-{:04}') GROUP BY sensor_id, tumble(event_time, INTERVAL '{} \
                 seconds') HAVING avg(value) > {}",
                number / 2,
                10 + number % 3 * 10,
                1_000 + number
            )
        };
        rule(&format!("r{number:04}"), &select)?;
    }
    Ok(text)
}
