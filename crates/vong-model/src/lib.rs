//! The words of the domain: ids, time, severity, places, who may do what, and the Arrow schema
//! *with its documentation* of every stream and table.
//!
//! Knows no task, no SQL engine and no JSON. A column that exists anywhere in the product is
//! described here and nowhere else; SQL's `information_schema`, the generated table reference and
//! the live views read these texts.

mod access;
mod assets;
pub mod columns;
mod facing;
mod grants;
mod handling;
mod ids;
mod severity;
mod source_event;
pub mod streams;
pub mod tables;
mod time;
pub mod view;

pub use access::{AccessDenied, Action, Principal, Role, authorize, authorize_camera};
pub use assets::{Assets, Camera, CameraClass, Place, Recording, Sensor, Unit};
pub use columns::Columns;
pub use facing::Facing;
pub use grants::{Grant, Grants, Right, WrongGrants};
pub use handling::{Comparison, InWords, LatePolicy, Limit, Rung};
pub use ids::{AlertId, CameraId, ClipId, Offset, RuleId, SensorId, SourceId, UnitCode};
pub use severity::{Severity, UnknownSeverity};
pub use source_event::{SourceEvent, source_events};
pub use streams::{Column, Role as ColumnRole, Stream};
pub use tables::{Table, TableFault};
pub use time::EventTime;
