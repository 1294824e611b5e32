//! The composition root: reads the configuration, builds every part, supervises, stops in order.
//!
//! Knows all parts and decides nothing: what is not wiring belongs into another crate.

mod areas;
pub mod assets;
mod backtest;
mod cameras;
mod check;
pub mod cli;
pub mod config;
mod demo;
mod evidence;
mod fsck;
mod installation;
mod log_retention;
mod log_watch;
mod serve;
mod site;
mod sources;
mod sql;
mod tables;
mod vision;

pub use site::Site;
