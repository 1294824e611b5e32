//! What leaves the process as JSON: the messages of the live protocol and of the HTTP interface.
//!
//! Only types of this crate are serialised outward. Their OpenAPI and TypeScript forms are
//! generated from here, so a screen and the server cannot disagree about a field.
//!
//! Instants are integers ending `_ms`: milliseconds since 1970-01-01T00:00:00Z, exact in a
//! JavaScript number.

pub mod http;
pub mod live;
pub mod probe;
pub mod video;

pub use live::PROTOCOL;
pub use video::VIDEO_PROTOCOL;
