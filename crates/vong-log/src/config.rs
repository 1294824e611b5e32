//! What an installation may set about its log.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::format::MAX_SEGMENT_BYTES;

/// Less would hold no record worth setting space aside for.
const MIN_RESERVE_BYTES: u64 = 4_096;

/// Where a log lies and how it is cut into files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    pub dir: PathBuf,
    /// A segment is closed by the first append after it reached this size.
    #[serde(default = "default_segment_bytes")]
    pub segment_bytes: u64,
    /// A segment is closed by the first append after it reached this age.
    #[serde(default = "default_segment_age", rename = "segment_age_s", with = "seconds")]
    pub segment_age: Duration,
    /// How much of the latest records is kept decoded in memory.
    #[serde(default = "default_tail_bytes")]
    pub tail_bytes: usize,
    /// Space set aside for what people and the engine decide while the disk is full; 0: none.
    #[serde(default = "default_reserve_bytes")]
    pub reserve_bytes: u64,
}

fn default_segment_bytes() -> u64 {
    64 * 1024 * 1024
}

fn default_segment_age() -> Duration {
    Duration::from_secs(300)
}

fn default_tail_bytes() -> usize {
    16 * 1024 * 1024
}

fn default_reserve_bytes() -> u64 {
    8 * 1024 * 1024
}

impl LogConfig {
    /// Default sizes in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: default_segment_bytes(),
            segment_age: default_segment_age(),
            tail_bytes: default_tail_bytes(),
            reserve_bytes: default_reserve_bytes(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(1..=MAX_SEGMENT_BYTES).contains(&self.segment_bytes) {
            return Err(Error::Config { key: "segment_bytes", expected: "1 to 1073741824" });
        }
        if self.reserve_bytes != 0
            && !(MIN_RESERVE_BYTES..=MAX_SEGMENT_BYTES).contains(&self.reserve_bytes)
        {
            let expected = "0, or 4096 to 1073741824";
            return Err(Error::Config { key: "reserve_bytes", expected });
        }
        if self.segment_age.is_zero() {
            return Err(Error::Config { key: "segment_age_s", expected: "more than zero" });
        }
        Ok(())
    }
}

/// Durations as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_secs)
    }
}
