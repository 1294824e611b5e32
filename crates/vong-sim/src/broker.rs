//! The MQTT broker of a demonstration: rumqttd inside this process, on loopback only.
//!
//! rumqttd has no way to be stopped: its threads live until the process ends. A site uses a broker
//! of its own; this one is for `vong demo` and tests. Its log target is `rumqttd`, which reports
//! every closed connection as an error: filter it with `rumqttd=off`.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::error::Error;

/// Ports of the embedded broker, on 127.0.0.1. rumqttd speaks one protocol version a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// For MQTT 3.1.1.
    pub port: u16,
    /// For MQTT 5, if wanted.
    #[serde(default)]
    pub port_v5: Option<u16>,
}

/// A broker that answers.
#[derive(Clone, Debug)]
pub struct EmbeddedBroker {
    /// MQTT 3.1.1.
    pub address: SocketAddr,
    /// MQTT 5.
    pub address_v5: Option<SocketAddr>,
}

/// How long a new broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What each subscribed filter keeps for a subscriber that is away: ten segments of 512 KiB, some
/// minutes of one kind of sensor. The broker fills them all before it lets go of the oldest, so
/// they are what a demonstration's memory grows by in its first hour.
const SEGMENT_BYTES: usize = 512 << 10;
const SEGMENTS: usize = 10;
const MAX_CONNECTIONS: usize = 64;
const MAX_PAYLOAD_BYTES: usize = 256 << 10;

impl EmbeddedBroker {
    /// Starts a broker and returns once it accepts connections.
    ///
    /// Fails with [`Error::BrokerAddress`] when the port is taken.
    pub async fn start(config: &BrokerConfig) -> Result<Self, Error> {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let address = loopback(config.port);
        let address_v5 = config.port_v5.map(loopback);
        for address in std::iter::once(address).chain(address_v5) {
            // rumqttd would only log that the port is taken, from a thread of its own
            let probe = std::net::TcpListener::bind(address);
            drop(probe.map_err(|source| Error::BrokerAddress { address, source })?);
        }
        let settings = settings(address, address_v5);
        vong_runtime::thread::spawn("vong-broker", move || {
            if let Err(error) = Broker::new(settings).start() {
                tracing::error!(%error, "embedded broker ended");
            }
        })
        .map_err(|source| Error::BrokerThread { source })?;
        for address in std::iter::once(address).chain(address_v5) {
            answers(address).await?;
        }
        Ok(Self { address, address_v5 })
    }
}

async fn answers(address: SocketAddr) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if Instant::now() > deadline {
            return Err(Error::BrokerSilent { address });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn settings(address: SocketAddr, address_v5: Option<SocketAddr>) -> Config {
    let server = |name: &str, listen| {
        let connections = ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: MAX_PAYLOAD_BYTES,
            max_inflight_count: 500,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        };
        let name = name.to_owned();
        let settings =
            ServerSettings { name, listen, tls: None, next_connection_delay_ms: 1, connections };
        HashMap::from([("loopback".to_owned(), settings)])
    };
    Config {
        id: 0,
        router: RouterConfig {
            max_connections: MAX_CONNECTIONS,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        },
        v4: Some(server("broker-v4", address)),
        v5: address_v5.map(|address| server("broker-v5", address)),
        ..Config::default()
    }
}
