//! The one configuration file, `vong.toml`: what it may hold, what it defaults to, and how a
//! mistake in it is told.
//!
//! Keys are strict: an unknown key is an error with its line, its column and the nearest known key.
//! Paths are relative to the file itself, so that a directory of configuration can be moved whole.

mod diagnostic;
mod reference;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vong_model::CameraClass;
use vong_mqtt::{BrokerConfig, TlsConfig};
use vong_rtsp::Networks;
use vong_stream::RuleBudget;

pub use diagnostic::{Diagnostic, from_toml};
pub use reference::reference;

/// Everything `vong serve` needs to know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub city: CityConfig,
    pub data: DataConfig,
    pub files: FilesConfig,
    pub http: HttpConfig,
    #[serde(rename = "broker", skip_serializing_if = "Vec::is_empty")]
    pub brokers: Vec<BrokerConfig>,
    pub stream: StreamConfig,
    pub rules: RulesConfig,
    pub video: VideoConfig,
    pub footage: FootageConfig,
    pub vision: VisionConfig,
    pub query: QueryConfig,
    pub telemetry: TelemetryConfig,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CityConfig {
    pub name_vi: String,
    pub name_en: String,
    pub simulated: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    pub directory: PathBuf,
    pub log_segment_mib: u64,
    pub log_segment_age_s: u64,
    pub log_reserve_mib: u64,
    pub snapshot_every_s: u64,
    pub log_keep_days: u32,
    pub log_keep_gib: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    pub rules: PathBuf,
    pub views: PathBuf,
    pub sources: PathBuf,
    pub sensors: PathBuf,
    pub cameras: PathBuf,
    pub camera_logins: PathBuf,
    pub scenes: PathBuf,
    pub units: PathBuf,
    pub tables: PathBuf,
    pub map: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    pub lateness_ms: u64,
    pub idle_after_s: u64,
    pub dead_after_s: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    pub rows_per_s: u32,
    pub keys: u32,
    pub asked_rows_per_s: u32,
    pub memory_mib: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VideoConfig {
    pub transport: Transport,
    pub pre_roll_s: u64,
    pub post_roll_s: u64,
    pub clip_radius_m: f64,
    pub clip_cameras: usize,
    pub networks: Networks,
}

/// How long footage is kept, and what recording may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FootageConfig {
    pub keep_days: u32,
    pub keep_gib: u64,
    pub min_free_mib: u64,
    pub queue_mib: u64,
    pub event_memory_s: u64,
    pub event_memory_mib: u64,
    pub observation: ClassConfig,
    pub surveillance: ClassConfig,
    pub plate_recognition: ClassConfig,
    pub counting: ClassConfig,
}

/// What holds for the footage of one class of cameras; 0 is as for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassConfig {
    pub keep_days: u32,
    pub keep_gib: u64,
}

impl FootageConfig {
    pub fn class(&self, class: CameraClass) -> ClassConfig {
        match class {
            CameraClass::Observation => self.observation,
            CameraClass::Surveillance => self.surveillance,
            CameraClass::PlateRecognition => self.plate_recognition,
            CameraClass::Counting => self.counting,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VisionConfig {
    pub health: bool,
    pub detector: PathBuf,
    pub worker_memory_mib: u64,
    pub worker_nice: u8,
}

/// How RTP travels from a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryConfig {
    pub concurrent: usize,
    pub deadline_s: u64,
    pub max_rows: u64,
    pub memory_mib: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    pub log_filter: String,
    pub log_json: bool,
}

impl Default for CityConfig {
    fn default() -> Self {
        Self { name_vi: "Đô thị".to_owned(), name_en: "City".to_owned(), simulated: false }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("data"),
            log_segment_mib: 16,
            log_segment_age_s: 300,
            log_reserve_mib: 8,
            snapshot_every_s: 60,
            log_keep_days: 30,
            log_keep_gib: 40,
        }
    }
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            rules: PathBuf::from("rules"),
            views: PathBuf::from("views"),
            sources: PathBuf::from("sources"),
            sensors: PathBuf::from("sensors.csv"),
            cameras: PathBuf::from("cameras.csv"),
            camera_logins: PathBuf::from("camera-logins.toml"),
            scenes: PathBuf::from("scenes"),
            units: PathBuf::from("units.csv"),
            tables: PathBuf::from("tables"),
            map: PathBuf::from("map"),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080) }
    }
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self { lateness_ms: 2_000, idle_after_s: 10, dead_after_s: 600 }
    }
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self { rows_per_s: 1_000, keys: 10_000, asked_rows_per_s: 250_000, memory_mib: 256 }
    }
}

impl RulesConfig {
    /// What rules may cost.
    pub fn budget(&self) -> RuleBudget {
        let Self { rows_per_s, keys, asked_rows_per_s, memory_mib } = *self;
        RuleBudget {
            rows_per_s: f64::from(rows_per_s),
            keys: f64::from(keys.max(1)),
            asked_rows_per_s: f64::from(asked_rows_per_s),
            rule_bytes: f64::from(memory_mib) * 1024.0 * 1024.0,
        }
    }
}

impl Default for VideoConfig {
    fn default() -> Self {
        Self {
            transport: Transport::Tcp,
            pre_roll_s: 10,
            post_roll_s: 10,
            clip_radius_m: 800.0,
            clip_cameras: 2,
            networks: Networks::default(),
        }
    }
}

impl Default for FootageConfig {
    fn default() -> Self {
        Self {
            keep_days: 30,
            keep_gib: 100,
            min_free_mib: 1_024,
            queue_mib: 64,
            event_memory_s: 30,
            event_memory_mib: 16,
            observation: ClassConfig::default(),
            surveillance: ClassConfig::default(),
            plate_recognition: ClassConfig::default(),
            counting: ClassConfig::default(),
        }
    }
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            health: true,
            detector: Path::new("models").join(vong_detect::MODEL_FILE),
            worker_memory_mib: 1_024,
            worker_nice: 10,
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self { concurrent: 4, deadline_s: 30, max_rows: 1_000_000, memory_mib: 256 }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_filter: "info".to_owned(), log_json: false }
    }
}

impl Config {
    /// Reads `path`; relative paths inside become relative to its directory.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Diagnostic::of_file(path, format!("could not read the configuration: {e}")).with_hint(
                "give the file with --config, or start with `vong demo`, which needs none",
            )
        })?;
        let mut config: Self = from_toml(path, &text)?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        config.resolve(base);
        config.refuse_open_doors(path, &text)?;
        Ok(config)
    }

    fn resolve(&mut self, base: &Path) {
        let FilesConfig {
            rules,
            views,
            sources,
            sensors,
            cameras,
            camera_logins,
            scenes,
            units,
            tables,
            map,
        } = &mut self.files;
        let registers = [sensors, cameras, camera_logins, units, &mut self.vision.detector];
        let folders = [rules, views, sources, scenes, tables, map, &mut self.data.directory];
        for path in registers.into_iter().chain(folders) {
            *path = base.join(&*path);
        }
        for broker in &mut self.brokers {
            if let Some(TlsConfig { ca_file, client_cert, client_key }) = &mut broker.tls {
                [ca_file, client_cert, client_key]
                    .into_iter()
                    .flatten()
                    .for_each(|path| *path = base.join(&*path));
            }
            broker.password_file.iter_mut().for_each(|path| *path = base.join(&*path));
        }
    }

    /// A listener without accounts is for this machine alone.
    fn refuse_open_doors(&self, path: &Path, text: &str) -> Result<(), Diagnostic> {
        if self.http.listen.ip().is_loopback() {
            return Ok(());
        }
        let message =
            format!("http.listen = \"{}\" is reachable from other machines", self.http.listen);
        let refused = Diagnostic::of_key(path, text, "listen", message);
        Err(refused.with_hint(
            "without TLS and accounts vong listens on loopback only: use 127.0.0.1, and reach it from \
             elsewhere through an SSH tunnel",
        ))
    }
}

#[cfg(test)]
mod tests;
