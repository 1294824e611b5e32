//! The composition root: reads the configuration, builds every part, supervises, stops in order.
//!
//! Knows all parts and decides nothing: what is not wiring belongs into another crate.

pub mod assets;
pub mod config;
