//! Settings of the footage directory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Where footage lies, how it is cut into files and how long it is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FootageConfig {
    pub dir: PathBuf,
    /// Length of a file, seconds. Files of different cameras begin at different seconds.
    pub segment_s: u32,
    /// At most this long does written footage wait to become durable, seconds.
    pub sync_every_s: u32,
    /// Footage older than this is deleted, days; 0 keeps it until `max_bytes` is reached.
    pub keep_days: u32,
    /// Once all footage is larger than this the oldest is deleted, bytes; 0 is no limit.
    pub max_bytes: u64,
    /// The longest clip given out, seconds.
    pub max_clip_s: u32,
    /// Cameras with a `keep_days` of their own.
    pub keep_days_of: BTreeMap<String, u32>,
}

impl Default for FootageConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("footage"),
            segment_s: 60,
            sync_every_s: 5,
            keep_days: 30,
            max_bytes: 0,
            max_clip_s: 4 * 3_600,
            keep_days_of: BTreeMap::new(),
        }
    }
}
