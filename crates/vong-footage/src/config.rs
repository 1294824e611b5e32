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
    /// So much of the disk is left to others, bytes: nothing is recorded into it.
    pub min_free_bytes: u64,
    /// The longest clip given out, seconds.
    pub max_clip_s: u32,
    /// What holds for a class instead of `keep_days`, and besides `max_bytes`.
    pub classes: BTreeMap<String, ClassLimits>,
}

/// How long footage of one class is kept; 0 is as all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassLimits {
    pub keep_days: u32,
    /// Once the footage of the class is larger than this its oldest is deleted, bytes.
    pub max_bytes: u64,
}

impl FootageConfig {
    pub(crate) fn limits_of(&self, class: &str) -> ClassLimits {
        let own = self.classes.get(class).copied().unwrap_or_default();
        let keep_days = if own.keep_days > 0 { own.keep_days } else { self.keep_days };
        ClassLimits { keep_days, ..own }
    }
}

impl Default for FootageConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("footage"),
            segment_s: 60,
            sync_every_s: 5,
            keep_days: 30,
            max_bytes: 0,
            min_free_bytes: 0,
            max_clip_s: 4 * 3_600,
            classes: BTreeMap::new(),
        }
    }
}
