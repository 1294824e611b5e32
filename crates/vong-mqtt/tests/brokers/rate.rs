//! Prints how fast messages the broker has kept are taken, against a client that only receives
//! them; asserts nothing about speed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::time::Instant;
use vong_log::{FileLog, Log, LogConfig};
use vong_mqtt::Protocol;
use vong_runtime::SystemClock;
use vong_testkit::{Mosquitto, MosquittoOptions};

use crate::support::{Site, numbered, publish};

const MESSAGES: i64 = if cfg!(debug_assertions) { 5_000 } else { 100_000 };

#[tokio::test(flavor = "multi_thread")]
async fn intake_rate_is_printed() -> Result<()> {
    for max_inflight in [0, 20] {
        let options = MosquittoOptions { max_inflight, ..MosquittoOptions::default() };
        let Some(broker) = Mosquitto::start_with(&options)? else { return Ok(()) };
        receive_only(&broker, 0).await?;
        let directory = tempfile::tempdir()?;
        let config = LogConfig {
            dir: directory.path().to_path_buf(),
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(300),
            tail_bytes: 16 << 20,
            reserve_bytes: 0,
        };
        let log: Arc<dyn Log> = Arc::new(FileLog::open(config, Arc::new(SystemClock), 1)?);
        let port = broker.port();
        let site = Site::start_on(port, Protocol::V311, Arc::clone(&log), |_| ())?;
        site.wait_for("connection", || site.metric("connected") == 1)?;
        tokio::time::sleep(Duration::from_millis(300)).await; // the subscription is answered
        site.stop().await?;
        publish(port, &numbered(0..MESSAGES))?;

        let raw_s = receive_only(&broker, MESSAGES).await?;
        let started = Instant::now();
        let site = Site::start_on(port, Protocol::V311, log, |_| ())?;
        let all = u64::try_from(MESSAGES)?;
        site.wait_for("all", || site.metric("acknowledged_total") >= all)?;
        let durable_s = started.elapsed().as_secs_f64();
        site.stop().await?;
        let rate = |seconds: f64| MESSAGES as f64 / seconds / 1e3;
        println!(
            "in flight {max_inflight}: raw {:.1} k/s, durable {:.1} k/s, ratio {:.2}",
            rate(raw_s),
            rate(durable_s),
            raw_s / durable_s
        );
    }
    Ok(())
}

/// Seconds until a plain client with automatic acknowledgements has received `count` messages;
/// with 0, it subscribes and leaves.
async fn receive_only(broker: &Mosquitto, count: i64) -> Result<f64> {
    let mut options = MqttOptions::new("raw", "127.0.0.1", broker.port());
    options.set_clean_session(false);
    let (client, mut events) = AsyncClient::new(options, 10);
    let started = Instant::now();
    client.subscribe("t/+", QoS::AtLeastOnce).await?;
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
    let seconds = started.elapsed().as_secs_f64();
    client.disconnect().await?;
    while events.poll().await.is_ok() {}
    Ok(seconds)
}
