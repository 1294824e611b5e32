//! Identities. Each is its own type, so that a camera can never be asked for as a sensor.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// A configured origin of rows: one topic mapping, one file, one poller.
    SourceId
);
text_id!(
    /// A measuring device, unique in the city.
    SensorId
);
text_id!(
    /// A camera, unique in the city.
    CameraId
);
text_id!(
    /// Code of an administrative unit. Codes are reused over the years: look one up by code *and* date.
    UnitCode
);
text_id!(
    /// The name of an alert rule, as in `CREATE ALERT RULE <name>`.
    RuleId
);
text_id!(
    /// Identity of one alert episode: a hash of rule, version, key and episode start.
    AlertId
);
text_id!(
    /// Identity of one clip filed for an alert.
    ClipId
);

/// Place of a record in the log: dense, starting at 0, never reused.
///
/// The same number names the same instant for a wall, an analyst and an auditor.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Offset(pub u64);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// The offset after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
