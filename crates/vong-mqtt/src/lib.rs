//! MQTT intake: subscribe, decode, append, acknowledge, in this order.
//!
//! Invariant: a QoS 1 message is acknowledged only after the append that holds its rows is durable.
//! Until then the broker keeps it, so neither a crash of ours nor one of the broker's loses it; a
//! message that is delivered again for that reason is recognised and stored once.
//!
//! What the broker must be told, because no client can: how much it keeps for us while we are away
//! (Mosquitto: `max_queued_messages`, 1,000 by default, and `persistence true`), and how many
//! unacknowledged messages it sends at once (`max_inflight_messages`, 20 by default: then a batch,
//! and so an fsync, never carries more than 20 messages).

mod backoff;
mod codec;
mod config;
mod error;
mod intake;
mod link;
mod metrics;
mod oversize;

pub use config::{BrokerConfig, Protocol, TlsConfig};
pub use error::Error;
pub use intake::MqttIntake;
pub use metrics::MqttMetrics;
