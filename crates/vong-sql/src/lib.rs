//! *The* SQL dialect: session factory, functions, rule DDL, limits.
//!
//! Rules, wall tiles, analysts and backtests speak this one dialect; nothing else builds a session.

pub mod rule;
