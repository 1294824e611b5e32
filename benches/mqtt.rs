//! MQTT intake with QoS 1 through a real Mosquitto: messages decoded and durable before they are
//! acknowledged, against a client that receives and acknowledges the same messages and does nothing.
//!
//! The broker has kept all messages for a session before the time begins: the sender costs nothing,
//! and both sides drain as fast as they can. Skipped, with the reason, where there is no Mosquitto.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::time::Instant;
use vong_decode::{Decoder, SourcesFile};
use vong_log::{FileLog, Log, LogConfig};
use vong_model::Assets;
use vong_mqtt::{BrokerConfig, MqttIntake, MqttMetrics, Protocol};
use vong_runtime::{Clock as _, OnFailure, Shutdown, SystemClock, Tasks};
use vong_telemetry::Metrics;
use vong_testkit::{Mosquitto, MosquittoOptions, Publisher};

use crate::log::directory;
use crate::report::{Row, Scale, Target, in_turn};

const MANY: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for connections in [1, MANY] {
        let each = scale.of(80_000) / connections;
        if Drain::begin(1, 0)?.is_none() {
            return Ok(Vec::new());
        }
        let rate = |seconds: f64| (each * connections) as f64 / seconds;
        let both = in_turn(
            scale.rounds,
            || Ok(rate(filled(connections, each)?.durable()?)),
            || Ok(rate(filled(connections, each)?.receive()?)),
        )?;
        let of = if connections == 1 { "connection" } else { "connections" };
        rows.push(Row::rate(
            format!("mqtt: QoS 1 durable before acknowledged, {connections} {of} / only received"),
            "messages/s",
            both,
            Target::Ratio(0.8),
        ));
    }
    Ok(rows)
}

fn filled(connections: usize, each: usize) -> Result<Drain> {
    Drain::begin(connections, each)?.context("mosquitto was there a moment ago")
}

/// A broker that keeps `each` messages for each of its sessions.
struct Drain {
    broker: Mosquitto,
    connections: usize,
    each: usize,
    runtime: tokio::runtime::Runtime,
}

impl Drain {
    fn begin(connections: usize, each: usize) -> Result<Option<Self>> {
        // No limit on messages in flight, so that neither side waits for round trips.
        let options = MosquittoOptions::default();
        let Some(broker) = Mosquitto::start_with(&options)? else { return Ok(None) };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let drain = Self { broker, connections, each, runtime };
        let sessions = (0..connections).map(|number| receive(drain.broker.port(), number, 0));
        drain.runtime.block_on(try_join_all(sessions))?;
        for number in 0..connections {
            let mut publisher = Publisher::connect(drain.broker.port(), "publisher")?;
            publisher.publish(&messages(number, 0..each), &mut 0)?;
        }
        Ok(Some(drain))
    }

    /// Seconds until plain clients have received all.
    fn receive(self) -> Result<f64> {
        let (port, each) = (self.broker.port(), self.each);
        let start = Instant::now();
        let clients = (0..self.connections).map(|number| receive(port, number, each));
        self.runtime.block_on(try_join_all(clients))?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds until all is in a log on the disk and acknowledged.
    fn durable(self) -> Result<f64> {
        let directory = directory()?;
        let config = LogConfig::new(directory.path().join("log"));
        let log: Arc<dyn Log> = Arc::new(FileLog::open(config, Arc::new(SystemClock), 7)?);
        let metrics = Metrics::new();
        let told = MqttMetrics::new(&metrics);
        let intakes = (0..self.connections)
            .map(|number| intake(self.broker.port(), number, Arc::clone(&log), &told))
            .collect::<Result<Vec<_>>>()?;
        let all = (self.connections * self.each) as f64;
        let start = Instant::now();
        let seconds = self.runtime.block_on(async {
            let tasks = Tasks::new("edges", Shutdown::new());
            for intake in intakes {
                tasks.spawn("mqtt", OnFailure::Continue, intake.run(tasks.shutdown()));
            }
            while sum(&metrics, "vong_mqtt_acknowledged_total") < all {
                ensure!(start.elapsed() < PATIENCE, "not all was acknowledged after {PATIENCE:?}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let seconds = start.elapsed().as_secs_f64();
            tasks.stop(PATIENCE).await;
            Ok(seconds)
        })?;
        let rows = sum(&metrics, "vong_mqtt_rows_total");
        ensure!(rows == all, "{rows} rows of {all} messages");
        Ok(seconds)
    }
}

/// Receives `count` messages of session `number` and acknowledges them; with 0, makes the session.
async fn receive(port: u16, number: usize, count: usize) -> Result<()> {
    let mut options = MqttOptions::new(session(number), "127.0.0.1", port);
    options.set_clean_session(false);
    let (client, mut events) = AsyncClient::new(options, 10);
    if count == 0 {
        client.subscribe(format!("t{number}/+"), QoS::AtLeastOnce).await?;
    }
    let mut received = 0;
    loop {
        match events.poll().await? {
            Event::Incoming(Packet::SubAck(_)) if count == 0 => break,
            Event::Incoming(Packet::Publish(_)) => received += 1,
            _ => {}
        }
        if received > 0 && received >= count {
            break;
        }
    }
    client.disconnect().await?;
    while events.poll().await.is_ok() {}
    Ok(())
}

fn intake(
    port: u16,
    number: usize,
    log: Arc<dyn Log>,
    metrics: &MqttMetrics,
) -> Result<MqttIntake> {
    let id = format!("b{number}");
    let sources = format!(
        "[[source]]\nid = \"s{number}\"\nbroker = \"{id}\"\ntopic = \"t{number}/{{sensor_id}}\"\n\
         timestamp = {{ pointer = \"/t\", format = \"unix_ms\" }}\n[[source.field]]\nmetric = \
         \"number\"\npointer = \"/n\"\n"
    );
    let sources: SourcesFile = toml::from_str(&sources)?;
    let decoder = Decoder::new(&id, &sources.sources, &Assets::default())?;
    let mut config = BrokerConfig::new(&id, "127.0.0.1", port);
    config.protocol = Protocol::V311; // as the plain client speaks
    config.client_id = Some(session(number));
    Ok(MqttIntake::new(config, decoder, log, Arc::new(SystemClock), metrics, 1)?)
}

fn session(number: usize) -> String {
    format!("session-{number}")
}

fn messages(connection: usize, numbers: Range<usize>) -> Vec<(String, Vec<u8>)> {
    let now_ms = SystemClock.now() / 1_000;
    let message = |n| {
        let payload = format!("{{\"t\":{now_ms},\"n\":{n}}}");
        (format!("t{connection}/S-{}", n % 500), payload.into_bytes())
    };
    numbers.map(message).collect()
}

/// A counter over all its labels.
fn sum(metrics: &Metrics, name: &str) -> f64 {
    let text = metrics.render();
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    lines.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
}
