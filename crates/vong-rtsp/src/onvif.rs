//! What ONVIF cameras say of themselves: events inside their metadata track, and that they are
//! there at all.
//!
//! Everything here is read from bytes of a device nobody vouches for: sizes are bounded, nothing is
//! fetched, no entity is expanded.

pub mod discovery;
mod events;
mod metadata;

pub(crate) use events::{EventFilter, Told};
pub use metadata::{MAX_DOCUMENT_BYTES, MAX_NOTIFICATIONS, Notification, parse_metadata};
