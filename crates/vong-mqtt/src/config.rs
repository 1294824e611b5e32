//! The shape of a `[[broker]]` in `vong.toml`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vong_decode::Span;

/// One MQTT broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// What sources call it.
    pub id: String,
    pub host: String,
    #[serde(default = "default_port")]
    pub port: u16,
    /// Absent: no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password is the file's content, line ends cut off; read at each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default)]
    pub protocol: Protocol,
    /// The name the broker keeps our session under: it must stay the same and be ours alone.
    /// Absent: `vong-` and the broker's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Larger packets are rejected `too_large`, bytes.
    #[serde(default = "default_max_packet")]
    pub max_packet: usize,
    #[serde(default = "default_keep_alive")]
    pub keep_alive: Span,
    /// How long a broker that speaks MQTT 5 keeps our session and its messages while we are away.
    #[serde(default = "default_session_expiry")]
    pub session_expiry: Span,
}

/// How to trust the broker, and how to be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates (PEM) that may sign the broker's. Absent: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate chain (PEM); goes with `client_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

/// Version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[default]
    #[serde(rename = "5")]
    V5,
    #[serde(rename = "3.1.1")]
    V311,
}

impl BrokerConfig {
    /// A broker with everything at its default.
    pub fn new(id: &str, host: &str, port: u16) -> Self {
        Self {
            id: id.to_owned(),
            host: host.to_owned(),
            port,
            tls: None,
            username: None,
            password_file: None,
            protocol: Protocol::default(),
            client_id: None,
            max_packet: default_max_packet(),
            keep_alive: default_keep_alive(),
            session_expiry: default_session_expiry(),
        }
    }

    pub(crate) fn client_id(&self) -> String {
        self.client_id.clone().unwrap_or_else(|| format!("vong-{}", self.id))
    }

    /// Whole seconds between signs of life, 5 to 65,535.
    pub(crate) fn keep_alive_s(&self) -> u16 {
        u16::try_from(self.keep_alive.0.as_secs()).unwrap_or(u16::MAX).max(5)
    }
}

fn default_port() -> u16 {
    1883
}

fn default_max_packet() -> usize {
    1024 * 1024
}

fn default_keep_alive() -> Span {
    Span(std::time::Duration::from_secs(30))
}

fn default_session_expiry() -> Span {
    Span(std::time::Duration::from_secs(7 * 86_400))
}
