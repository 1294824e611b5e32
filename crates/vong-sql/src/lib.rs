//! *The* SQL dialect: session factory, functions, rule DDL, limits.
//!
//! Rules, wall tiles, analysts and backtests speak this one dialect; nothing else builds a session.

mod error;
pub mod functions;
pub mod guard;
pub mod rule;
mod session;

pub use error::{Error, Place};
pub use guard::nearest;
pub use session::{
    CATALOG, DIALECT, MAX_DEPTH, MAX_SQL_BYTES, SCHEMA, SessionLimits, runtime, session, session_in,
};
