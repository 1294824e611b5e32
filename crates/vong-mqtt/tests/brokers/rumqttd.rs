//! Against rumqttd, the broker of a demonstration: one port for each protocol, sessions in memory.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use vong_mqtt::Protocol;
use vong_testkit::{Publisher, free_port, wait_until};

use crate::support::{Site, TestLog, numbered, publish};

/// Starts a broker that lives as long as the test process; `(port of 3.1.1, port of 5)`.
fn start() -> Result<(u16, u16)> {
    let ports = (free_port()?, free_port()?);
    let server = |name: &str, port| {
        let connections = ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: 256 << 10,
            max_inflight_count: 200,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let name = name.to_owned();
        let settings =
            ServerSettings { name, listen, tls: None, next_connection_delay_ms: 1, connections };
        HashMap::from([("loopback".to_owned(), settings)])
    };
    let config = Config {
        router: RouterConfig {
            max_connections: 20,
            max_outgoing_packet_count: 200,
            max_segment_size: 4 << 20,
            max_segment_count: 10,
            ..RouterConfig::default()
        },
        v4: Some(server("v4", ports.0)),
        v5: Some(server("v5", ports.1)),
        ..Config::default()
    };
    vong_runtime::thread::spawn("rumqttd", move || {
        Broker::new(config).start().map_err(|e| e.to_string())
    })?;
    let up = |port| Publisher::connect(port, "probe").is_ok();
    let answers = wait_until(Duration::from_secs(10), || up(ports.0));
    ensure!(answers, "rumqttd does not answer");
    Ok(ports)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_taken_once_and_kept_while_we_are_away() -> Result<()> {
    let (v4, v5) = tokio::task::block_in_place(start)?;
    for (protocol, port) in [(Protocol::V311, v4), (Protocol::V5, v5)] {
        let log = Arc::new(TestLog::new());
        let site = Site::start_with(port, protocol, &log, |config| {
            config.client_id = Some(format!("intake-{protocol:?}"));
        })?;
        site.wait_for("connection", || log.states().len() == 2)?;
        tokio::time::sleep(Duration::from_millis(300)).await; // the subscription is answered
        publish(v4, &numbered(0..5_000))?;
        site.wait_for("all", || log.numbers().len() >= 5_000)?;
        site.stop().await?;
        publish(v4, &numbered(5_000..6_000))?;
        let again = Site::start_with(port, protocol, &log, |config| {
            config.client_id = Some(format!("intake-{protocol:?}"));
        })?;
        again.wait_for("the rest", || log.numbers().len() >= 6_000)?;
        ensure!(log.exactly(0..6_000), "{protocol:?}: each message once");
        again.stop().await?;
    }
    Ok(())
}
